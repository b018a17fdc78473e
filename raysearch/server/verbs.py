"""The verbs of the command line, run on the head for somebody far away."""

from __future__ import annotations

import asyncio
import codecs
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Sequence
from contextlib import aclosing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import sqlalchemy as sa

from raysearch.errors import KIND_TO, BadSetting, Unreachable
from raysearch.passwords import without_password
from raysearch.server.state import ServiceState

VERBS = (
    *("list", "status", "logs", "stop", "results", "best"),
    *("check", "report", "compare", "diff", "scaling", "note", "tag", "sync"),
)
"""What may be asked for by address: what reads, and what changes no more than a word."""

_OURS = ("--runs", "--store", "--tracking-uri", "--address")
_HERE = ("--open", "--html")
"""What makes or opens a page where it is typed."""
_TRACKED = ("check", "sync")
_PATIENCE = 3.0
BAD_INPUT = 2
"""The exit status of a command that says what has to be changed."""
MOST_AT_ONCE = 32
"""Verbs that run at once, each a process; who follows a log has one all the time."""
_WIDTHS = range(20, 1000)


class Forbidden(BadSetting):
    """What may not be asked for by address."""


class Busy(Unreachable):
    """So many verbs are running that no more is begun."""


def refuse_other_verbs(arguments: Sequence[str]) -> None:
    """Raises Forbidden unless it is one of `VERBS`, on what the service itself has."""
    verb = arguments[0] if arguments else ""
    if verb not in VERBS:
        raise Forbidden(f"by address there are only {', '.join(VERBS)}, got {verb!r}")
    for argument in arguments[1:]:
        if argument.partition("=")[0] in _OURS:
            raise Forbidden(f"{argument.partition('=')[0]} is the service's own where --address is")
        if argument in _HERE:
            raise Forbidden(f"{argument} is for searches that lie here, not where --address is")


def command_of(
    arguments: Sequence[str], service: ServiceState, code: Path | None = None
) -> tuple[list[str], dict[str, str]]:
    """The command that does it here, without a password in it, and its environment with them.

    What asks for the sweep again does so in the `code` of the search.
    """
    verb, *rest = arguments
    places = ["--runs", service.runs, "--store", without_password(service.store)]
    if verb in _TRACKED:
        places += ["--tracking-uri", service.tracking_uri]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    for name in ("RAYSEARCH_ADDRESS", "COLUMNS"):
        environment.pop(name, None)
    if code is not None:
        environment["PYTHONPATH"] = os.pathsep.join([str(code), *_own_path()])
    if service.tracking_user:
        environment["MLFLOW_TRACKING_USERNAME"] = service.tracking_user
        environment["MLFLOW_TRACKING_PASSWORD"] = service.tracking_password
    if password := sa.make_url(service.store).password:
        environment["PGPASSWORD"] = unquote(str(password))
    return [sys.executable, "-m", "raysearch.cli", verb, *places, *rest], environment


class Commands:
    """The commands that run for others: never more than `most` at once."""

    def __init__(self, most: int = MOST_AT_ONCE) -> None:
        self._most = most
        self._free = asyncio.Semaphore(most)

    @property
    def are_all_taken(self) -> bool:
        """Whether as many run as may."""
        return self._free.locked()

    def refuse_more(self) -> None:
        """Raises Busy if as many run as may."""
        if self.are_all_taken:
            raise Busy(f"{self._most} verbs are running on the head, and no more may: try again")

    async def run(
        self,
        arguments: Sequence[str],
        service: ServiceState,
        is_left: Callable[[], Awaitable[bool]],
        width: int | None = None,
        code: Path | None = None,
    ) -> AsyncIterator[dict[str, Any]]:
        """Runs a verb: `{"out": text}` and `{"err": text}` as they come, `{"exit": status}` last.

        With `kind`, that of its error, beside a status of bad input. The command ends with whoever
        listens: with the iterator, or when `is_left` says so.
        """
        command, environment = command_of(arguments, service, code)
        if width is not None and width in _WIDTHS:
            environment["COLUMNS"] = str(width)
        async with self._free:
            with _listening() as (listener, speaker):
                environment[KIND_TO] = str(speaker)
                process = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.PIPE,
                    env=environment,
                    cwd=code,
                    start_new_session=True,
                    pass_fds=(speaker,),
                )
                async with aclosing(_said(process, is_left)) as messages:
                    async for message in messages:
                        yield message
                if process.returncode is not None:
                    kind = _heard(listener)
                    yield {"exit": process.returncode, **({"kind": kind} if kind else {})}


async def _said(
    process: asyncio.subprocess.Process, is_left: Callable[[], Awaitable[bool]]
) -> AsyncGenerator[dict[str, Any]]:
    """What a command prints until it ends; it does not outlive this."""
    outputs: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(64)
    assert process.stdout is not None and process.stderr is not None
    readers = [
        asyncio.create_task(_read(process.stdout, "out", outputs)),
        asyncio.create_task(_read(process.stderr, "err", outputs)),
    ]
    try:
        open_streams = len(readers)
        while open_streams:
            try:
                message = await asyncio.wait_for(outputs.get(), 0.5)
            except TimeoutError:
                if await is_left():
                    return
                continue
            if message is None:
                open_streams -= 1
            else:
                yield message
        await process.wait()
    finally:
        for reader in readers:
            reader.cancel()
        await _end(process)


@contextmanager
def _listening() -> Generator[tuple[int, int]]:
    """A pipe to which a command says what it does not print."""
    listener, speaker = os.pipe()
    try:
        os.set_blocking(listener, False)
        yield listener, speaker
    finally:
        os.close(listener)
        os.close(speaker)


def _heard(listener: int) -> str:
    with suppress(BlockingIOError):
        return os.read(listener, 100).decode(errors="replace")
    return ""


def _own_path() -> list[str]:
    given = os.environ.get("PYTHONPATH")
    return [given] if given else []


async def _read(
    stream: asyncio.StreamReader, name: str, outputs: asyncio.Queue[dict[str, Any] | None]
) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    while piece := await stream.read(1 << 16):
        if text := decoder.decode(piece):
            await outputs.put({name: text})
    await outputs.put(None)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ends a command with all that it started: in order, then at once."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _PATIENCE)


def line(message: dict[str, Any]) -> bytes:
    """A message as a line of JSON."""
    return json.dumps(message).encode() + b"\n"
