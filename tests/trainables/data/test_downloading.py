"""Downloads: resumed where they broke off, checked, and only then under their name."""

from __future__ import annotations

import fcntl
import hashlib
import random
from pathlib import Path

import pytest

from tests.trainables.data.server import Served, serving
from trainables.data.downloading import WrongBytes, download

BODY = random.Random(0).randbytes(1_000_000)
CHECKSUM = f"sha256:{hashlib.sha256(BODY).hexdigest()}"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def fetch(served: Served, target: Path, checksum: str = CHECKSUM, size: int = 0) -> list[str]:
    said: list[str] = []
    download([served.url], target, checksum, said.append, size=size, pause=0.001)
    return said


def test_all_of_it_comes(tmp_path: Path) -> None:
    with serving(Served(BODY)) as served:
        said = fetch(served, tmp_path / "deep" / "file")
    assert (tmp_path / "deep" / "file").read_bytes() == BODY
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["file"]
    assert "its checksum is right" in said[-1]


def test_what_is_there_is_not_asked_for_again(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(BODY)
    with serving(Served(BODY)) as served:
        assert fetch(served, tmp_path / "file") == [f"{tmp_path / 'file'} is there"]
    assert served.asked == []


def test_a_file_with_another_checksum_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"an error page")
    with serving(Served(BODY)) as served:
        fetch(served, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BODY


def test_what_breaks_off_goes_on_where_it_was(tmp_path: Path) -> None:
    with serving(Served(BODY, breaks=300_000)) as served:
        fetch(served, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BODY
    assert served.asked == [None, "bytes=300000-", "bytes=600000-", "bytes=900000-"]


def test_the_next_call_goes_on_where_a_killed_one_was(tmp_path: Path) -> None:
    (tmp_path / "file.partial").write_bytes(BODY[:700_000])
    with serving(Served(BODY)) as served:
        fetch(served, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BODY and served.asked == ["bytes=700000-"]


@pytest.mark.parametrize("size", [0, len(BODY)])
def test_when_all_had_come_but_the_name(tmp_path: Path, size: int) -> None:
    (tmp_path / "file.partial").write_bytes(BODY)
    with serving(Served(BODY)) as served:
        fetch(served, tmp_path / "file", size=size)
    assert (tmp_path / "file").read_bytes() == BODY and served.asked == ["bytes=1000000-"]


@pytest.mark.parametrize("how", ["ranges", "shifted"])
def test_a_server_that_sends_another_part_than_asked_for(tmp_path: Path, how: str) -> None:
    (tmp_path / "file.partial").write_bytes(BODY[:700_000])
    served = Served(BODY, ranges=False) if how == "ranges" else Served(BODY, shifted=True)
    with serving(served):
        fetch(served, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BODY


def test_wrong_bytes_are_not_kept(tmp_path: Path) -> None:
    other = BODY[:-1] + bytes([BODY[-1] ^ 1])
    with serving(Served(other)) as served:
        with pytest.raises(WrongBytes, match=f"must have the checksum {CHECKSUM}, got sha256:"):
            fetch(served, tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_wrong_bytes_from_before_are_brought_again(tmp_path: Path) -> None:
    (tmp_path / "file.partial").write_bytes(bytes(700_000))
    with serving(Served(BODY)) as served:
        fetch(served, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BODY and served.asked == ["bytes=700000-", None]


def test_more_bytes_than_there_should_be_are_not_taken(tmp_path: Path) -> None:
    with serving(Served(BODY)) as served:
        with pytest.raises(WrongBytes, match="must have 400,000 bytes, and it sends more"):
            fetch(served, tmp_path / "file", size=400_000)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_never_sends_anything_is_given_up(tmp_path: Path) -> None:
    with serving(Served(BODY, breaks=0)) as served:
        with pytest.raises(ConnectionError, match="cannot be had: 1,000,000 bytes did not come"):
            fetch(served, tmp_path / "file")
    assert len(served.asked) == 4


@pytest.mark.parametrize(("status", "requests"), [(404, 1), (403, 1), (503, 4)])
def test_errors_of_the_server_are_said(tmp_path: Path, status: int, requests: int) -> None:
    with serving(Served(BODY, status=status)) as served:
        with pytest.raises(ConnectionError, match=f"cannot be had: HTTP {status}"):
            fetch(served, tmp_path / "file")
    assert len(served.asked) == requests


def test_the_next_address_is_tried(tmp_path: Path) -> None:
    with serving(Served(BODY, status=404)) as gone, serving(Served(BODY)) as there:
        urls = ["http://127.0.0.1:9/nobody", gone.url, there.url]
        download(urls, tmp_path / "file", CHECKSUM, lambda text: None, pause=0.001)
    assert (tmp_path / "file").read_bytes() == BODY


def test_only_http_is_asked(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    with pytest.raises(ValueError, match="must begin with http:// or https://, got 'file://"):
        download([f"file://{tmp_path}/secret"], tmp_path / "file", "", print)


def test_two_at_once_do_not_write_one_file(tmp_path: Path) -> None:
    with open(tmp_path / "file.partial", "ab") as held, serving(Served(BODY)) as served:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ValueError, match="is being brought by another process; wait for it"):
            fetch(served, tmp_path / "file")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "no folder").write_text("")
    with serving(Served(BODY)) as served:
        with pytest.raises(ValueError, match="no folder/file cannot be written"):
            fetch(served, tmp_path / "no folder" / "file")
