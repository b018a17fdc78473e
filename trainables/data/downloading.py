"""A file from an address: resumed where it broke off, checked, and only then under its name."""

from __future__ import annotations

import fcntl
import http.client
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from trainables.data.places import digest_of, fits

Say = Callable[[str], None]

_PIECE = 1 << 18
_TIMEOUT = 60.0
_SAY_EVERY = 10.0
_TRIES = 4
"""So many requests in a row may bring nothing new before an address is given up."""


class WrongBytes(ValueError):
    """What came is not what was expected; nothing was put in place."""


def download(
    urls: Sequence[str], target: Path, checksum: str, say: Say, *, size: int = 0, pause: float = 1.0
) -> None:
    """Brings a file from the first address that has it to `target`, unless it is there already.

    What has come stays beside it as `<name>.partial` until all is there and its checksum is right;
    the next call goes on from there. `size` in bytes (0: unknown) bounds what is taken. `pause` in
    seconds is waited before another request, longer each time.

    Raises:
        ConnectionError: no address answers. WrongBytes: what they send has another checksum.
        ValueError: an address that is not http, another process that brings the file, a disk that
            cannot be written.
    """
    if target.exists() and fits(target, checksum):
        say(f"{target} is there")
        return
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(target.with_name(f"{target.name}.partial")) as partial:
            _fetch(urls, partial, checksum, say, size, pause)
            os.fsync(partial.fileno())
            os.replace(partial.name, target)
    except OSError as error:
        if isinstance(error, ConnectionError):
            raise
        raise ValueError(f"{target} cannot be written: {error.strerror or error}") from None
    say(f"{target} has come, its checksum is right" if checksum else f"{target} has come")


@contextmanager
def _alone(path: Path) -> Generator[IO[bytes]]:
    """Opens the partial file for this process alone; an empty one is not left behind."""
    with open(path, "a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"{path} is being brought by another process; wait for it") from None
        if not path.exists() or not os.path.samestat(path.stat(), os.fstat(file.fileno())):
            raise ValueError(f"{path} has just been brought by another process; look again")
        try:
            yield file
        finally:
            if path.exists() and not path.stat().st_size:
                path.unlink()


def _fetch(
    urls: Sequence[str], partial: IO[bytes], checksum: str, say: Say, size: int, pause: float
) -> None:
    """Fills the partial file with what has the checksum, from one of the addresses."""
    reasons: list[str] = []
    wrong: WrongBytes | None = None
    for url in urls:
        if not re.match(r"https?://", url):
            raise ValueError(f"an address must begin with http:// or https://, got {url!r}")
        resumed = _length(partial) > 0
        for _ in range(2 if resumed else 1):  # wrong bytes from before: once more from nothing
            try:
                _fill(url, partial, say, size, pause)
                return _check(url, partial, checksum)
            except ConnectionError as error:
                reasons.append(str(error))
                break
            except WrongBytes as error:
                wrong = error
                partial.truncate(0)
    if wrong is not None:
        raise wrong
    raise ConnectionError("; ".join(reasons) or "there is no address to get it from")


def _fill(url: str, partial: IO[bytes], say: Say, size: int, pause: float) -> None:
    """Asks for what is not there yet, until all is; a request that breaks off is followed up."""
    tries = 0
    while True:
        before = _length(partial)
        reason = _request(url, partial, say, size)
        if reason is None:
            return
        tries = 0 if _length(partial) > before else tries + 1
        if tries >= _TRIES:
            raise ConnectionError(f"{url} cannot be had: {reason}")
        say(f"{url} broke off at {_length(partial):,} bytes ({reason}); going on")
        time.sleep(pause * 2**tries)


def _request(url: str, partial: IO[bytes], say: Say, size: int) -> str | None:
    """One request for the rest; None if it brought all of it, otherwise why not."""
    have = _length(partial)
    asked = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(asked, timeout=_TIMEOUT) as answer:
            total = _total(answer, have)
            if answer.status != 206 or total is None:
                partial.truncate(0)  # it sends the whole file again, or does not say which part
                have, total = 0, _integer(answer.headers.get("Content-Length"))
            say(f"{url}: {have:,} of {total or size:,} bytes are here")
            _copy(url, answer, partial, size, say)
    except urllib.error.HTTPError as error:
        return _refused(url, error, partial, size)
    except (OSError, http.client.HTTPException) as error:
        return str(getattr(error, "reason", error)) or type(error).__name__
    got = _length(partial)
    return None if total is None or got >= total else f"{total - got:,} bytes did not come"


def _copy(url: str, answer: Any, partial: IO[bytes], size: int, say: Say) -> None:
    reported = time.monotonic()
    while piece := answer.read(_PIECE):
        try:
            partial.write(piece)
            length = _length(partial)
        except OSError as error:  # the disk, not the network: asking again would not help
            raise ValueError(f"{partial.name} cannot be written: {error.strerror}") from None
        if size and length > size:
            raise WrongBytes(f"{url} must have {size:,} bytes, and it sends more")
        if time.monotonic() - reported > _SAY_EVERY:
            reported = time.monotonic()
            say(f"{url}: {length:,} bytes")


def _refused(url: str, error: urllib.error.HTTPError, partial: IO[bytes], size: int) -> str | None:
    """What an HTTP error means: nothing is left to send, a passing trouble, or the end."""
    have = _length(partial)
    error.close()
    if error.code == 416:  # the range begins at or behind the end
        if have and have == (_after_slash(error.headers.get("Content-Range")) or size):
            return None
        partial.truncate(0)
        return "the part that was here is none of it"
    if error.code in (408, 429) or error.code >= 500:
        return f"HTTP {error.code} {error.reason}"
    raise ConnectionError(f"{url} cannot be had: HTTP {error.code} {error.reason}")


def _check(url: str, partial: IO[bytes], checksum: str) -> None:
    if not checksum:
        return
    partial.flush()
    partial.seek(0)
    got = digest_of(partial, checksum.partition(":")[0])
    if got != checksum:
        raise WrongBytes(f"{url} must have the checksum {checksum}, got {got}; nothing was kept")


def _length(partial: IO[bytes]) -> int:
    partial.flush()
    return os.fstat(partial.fileno()).st_size


def _total(answer: Any, have: int) -> int | None:
    """Bytes of the whole file, if the answer is the rest of it from where it was asked for."""
    text = answer.headers.get("Content-Range") or ""
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", text.strip())
    if answer.status != 206 or match is None or int(match[1]) != have or match[2] == "*":
        return None
    return int(match[2])


def _after_slash(text: str | None) -> int | None:
    return _integer((text or "").rpartition("/")[2])


def _integer(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None
