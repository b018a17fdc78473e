"""Packages of any kind: each is unpacked whole, or refused in a sentence and leaves nothing."""

from __future__ import annotations

import io
import os
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raysearch.errors import BadSetting
from raysearch.provenance import unarchive
from raysearch.provenance.archive import pack
from raysearch.provenance.unarchive import DEEPEST, MOST_FILES, WIDEST, refuse_names, unpack
from raysearch.server.submissions import keep_code

Entries = list[tuple[str | zipfile.ZipInfo, bytes]]


def zipped(entries: Entries, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for entry, content in entries:
            archive.writestr(entry, content)
    return buffer.getvalue()


def of_mode(mode: int) -> bytes:
    entry = zipfile.ZipInfo("x")
    entry.external_attr = mode << 16
    return zipped([(entry, b"/etc/passwd")])


def encrypted() -> bytes:
    """A package that says of its file that it is encrypted, in both of its headers."""
    content = bytearray(zipped([("x", b"x" * 100)]))
    for sign, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(sign) + at] |= 1
    return bytes(content)


def patched(sign: bytes, at: int, value: bytes, content: bytes | None = None) -> bytes:
    """A package with some bytes of a header replaced."""
    made = bytearray(content or zipped([("x", b"x" * 100)]))
    start = made.index(sign) + at
    made[start : start + len(value)] = value
    return bytes(made)


def overlapping() -> bytes:
    """A hundred entries that all mean the same compressed bytes."""
    content = zipped([("a000", bytes(1 << 19))])
    start = content.index(b"PK\x01\x02")
    central, end = content[start:-22], bytearray(content[-22:])
    entries = b"".join(central.replace(b"a000", b"a%03d" % number) for number in range(100))
    end[8:16] = struct.pack("<HHL", 100, 100, len(entries))
    return content[:start] + entries + bytes(end)


def many(stated: int) -> bytes:
    """A table of contents with a hundred thousand files, which states another number."""
    content = zipped([("x", b"")])
    start = content.index(b"PK\x01\x02")
    end = bytearray(content[-22:])
    entries = content[start:-22] * 100_000
    end[8:16] = struct.pack("<HHL", stated, stated, len(entries))
    return content[:start] + entries + bytes(end)


def lying() -> bytes:
    """A file that says it has 10 bytes, and becomes 64 MiB."""
    made = zipped([("x", bytes(64 << 20))])
    for sign, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        made = patched(sign, at, struct.pack("<L", 10), made)
    return made


ODD: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "text": lambda: b"hello, this is no zip file at all",
    "truncated": lambda: zipped([("x", b"x" * 1000)])[:-30],
    "beheaded": lambda: zipped([("x", b"x" * 1000)])[40:],
    "with a comment": lambda: zipped([("x", b"")])[:-2] + b"\x03\x00abc",
    "link": lambda: of_mode(0o120777),
    "character device": lambda: of_mode(0o020666),
    "block device": lambda: of_mode(0o060666),
    "pipe": lambda: of_mode(0o010666),
    "socket": lambda: of_mode(0o140777),
    "folder": lambda: zipped([("x/", b"")]),
    "encrypted": encrypted,
    "bzip2": lambda: zipped([("x", b"x")], zipfile.ZIP_BZIP2),
    "lzma": lambda: zipped([("x", b"x")], zipfile.ZIP_LZMA),
    "unknown method": lambda: patched(b"PK\x01\x02", 10, b"\x63\x00"),
    "bad checksum": lambda: patched(b"PK\x01\x02", 16, b"\x00\x01\x02\x03"),
    "bad deflate": lambda: patched(b"PK\x03\x04", 31, b"\xff\xff\xff\xff"),
    "another name inside": lambda: patched(b"PK\x03\x04", 30, b"y"),
    "offset beyond": lambda: patched(b"PK\x01\x02", 42, b"\xff\xff\xff\x7f"),
    "name not UTF-8": lambda: patched(b"PK\x01\x02", 46, b"\xff", zipped([("é", b"x")])),
    "lying size": lying,
    "overlapping": overlapping,
    "bomb": lambda: zipped([("x", bytes(102 << 20))]),
    "many files": lambda: zipped([(f"{number}", b"") for number in range(MOST_FILES + 1)]),
    "100,000 files that say they are one": lambda: many(1),
    "100,000 files": lambda: many(65_535),
    "2,000 levels": lambda: zipped([("a/" * 2000 + "x", b"")]),
    "long name": lambda: zipped([("x" * 5000, b"")]),
    "NUL": lambda: patched(b"PK\x01\x02", 47, b"\0", zipped([("abc", b"")])),
    "absolute": lambda: zipped([("/etc/x", b"")]),
    "parent": lambda: zipped([("a/../../x", b"")]),
    "here": lambda: zipped([("./x", b"")]),
    "double slash": lambda: zipped([("a//x", b"")]),
    "backslash": lambda: zipped([("..\\x", b"")]),
    "twice": lambda: zipped([("x", b"1"), ("x", b"1")]),
    "file and folder by case": lambda: zipped([("x", b"1"), ("y", b""), ("Y/z", b"")]),
    "case": lambda: zipped([("Own.py", b"1"), ("own.py", b"2")]),
    "composition": lambda: zipped([("é", b"1"), ("é", b"2")]),
    "wide letters": lambda: zipped([("own.py", b"1"), ("ｏwn.py", b"2")]),
    "right to left": lambda: zipped([("own\u202eyp.x", b"")]),
    "newline": lambda: zipped([("a\nb", b"")]),
    "file and folder": lambda: zipped([("a/b", b""), ("a", b"")]),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", ODD)
def test_an_odd_package_is_refused_in_a_sentence_and_leaves_nothing(
    kind: str, tmp_path: Path
) -> None:
    content, runs = ODD[kind](), tmp_path / "runs"
    with pytest.raises(BadSetting, match="package") as refused:
        keep_code(content, runs)
    assert len(str(refused.value)) < 500
    assert not list((runs / ".code").iterdir())
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


@pytest.mark.parametrize("kind", ["bomb", "lying size", "overlapping", "many files", "bzip2"])
def test_a_package_that_is_refused_takes_little_memory(kind: str, tmp_path: Path) -> None:
    content = ODD[kind]()
    tracemalloc.start()
    try:
        with pytest.raises(BadSetting):
            unpack(content, tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("name", "fits"), [("x" * WIDEST, True), ("x" * (WIDEST + 1), False)])
def test_both_edges_of_the_length_of_a_name(name: str, fits: bool, tmp_path: Path) -> None:
    if fits:
        unpack(zipped([(name, b"1")]), tmp_path)
        assert (tmp_path / name).read_bytes() == b"1"
    else:
        with pytest.raises(BadSetting, match=f"longer than {WIDEST} bytes"):
            unpack(zipped([(name, b"1")]), tmp_path)


@pytest.mark.parametrize("more", [0, 1])
def test_both_edges_of_the_depth_of_a_name(more: int, tmp_path: Path) -> None:
    name = "/".join("a" * (DEEPEST + more))
    if more:
        with pytest.raises(BadSetting, match=f"deeper than {DEEPEST} folders"):
            unpack(zipped([(name, b"1")]), tmp_path)
    else:
        unpack(zipped([(name, b"1")]), tmp_path)
        assert (tmp_path / name).read_bytes() == b"1"


@pytest.mark.parametrize("more", [0, 1])
def test_both_edges_of_the_number_of_files(
    more: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unarchive, "MOST_FILES", 3)
    content = zipped([(str(number), b"") for number in range(3 + more)])
    if more:
        with pytest.raises(BadSetting, match="at most 3 files, got 4"):
            unpack(content, tmp_path)
    else:
        unpack(content, tmp_path)
        assert len(list(tmp_path.iterdir())) == 3


def test_a_tree_whose_package_would_be_refused_is_not_packed(tmp_path: Path) -> None:
    (tmp_path / "Own.py").write_text("")
    (tmp_path / "own.py").write_text("")
    with pytest.raises(BadSetting, match="differ by more than case, got 'Own.py' and 'own.py'"):
        pack(tmp_path)
    (tmp_path / "Own.py").unlink()
    os.mkdir(os.fsencode(tmp_path) + b"/\xff")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff/x.py")).write_text("")
    with pytest.raises(BadSetting, match="which is no text"):
        pack(tmp_path)


def test_names_of_all_languages_are_taken(tmp_path: Path) -> None:
    names = ["größe.py", "模型/层.py", "модель.py", "a b.py", "a'b\".py", "%2F.py", "-x", "~", "#"]
    unpack(zipped([(name, name.encode()) for name in names]), tmp_path)
    assert [(tmp_path / name).read_bytes() for name in names] == [name.encode() for name in names]


@given(st.lists(st.text(max_size=12), max_size=6))
@settings(max_examples=60, derandomize=True, deadline=None, database=None)
def test_names_that_are_not_refused_are_files_side_by_side(names: list[str]) -> None:
    try:
        refuse_names(names)
    except BadSetting:
        return
    assert len({name.casefold() for name in names}) == len(names)
    for name in names:
        assert name.encode() and not name.startswith("/") and "\0" not in name
        assert ".." not in name.split("/") and os.path.normpath(name) == name


_SOUND = zipped([("a.py", b"x = 1\n" * 40), ("b/c.txt", bytes(range(256))), ("b/ü", b"")])


@st.composite
def injured(draw: st.DrawFn) -> bytes:
    """A sound package with bytes flipped, cut out, doubled or put in."""
    content = bytearray(_SOUND)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(content) - 1, 0)))
        piece = draw(st.binary(min_size=1, max_size=8))
        kind = draw(st.sampled_from(["flip", "cut", "insert", "double"]))
        if kind == "flip":
            content[at : at + len(piece)] = piece
        elif kind == "cut":
            del content[at : at + draw(st.integers(1, 40))]
        elif kind == "insert":
            content[at:at] = piece
        else:
            content[at:at] = content[at : at + 60]
    return bytes(content)


def _unpack_injured(content: bytes, folder: Path) -> None:
    """It is refused and nothing is there, or whatever is there is below its folder."""
    code = folder / "runs" / ".code"
    try:
        kept = keep_code(content, folder / "runs")
    except BadSetting as error:
        assert "package" in str(error)
        assert [path for path in code.iterdir() if path.name.startswith(".")] == []
    else:
        assert (code / kept).is_dir()
    assert {path.name for path in folder.iterdir()} == {"runs"}


@given(injured())
@settings(max_examples=150, derandomize=True, deadline=None, database=None)
def test_an_injured_package_is_refused_or_whole(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    _unpack_injured(content, tmp_path_factory.getbasetemp() / tmp_path_factory.mktemp("one"))


@pytest.mark.long
@given(injured())
@settings(max_examples=20_000, deadline=None, database=None)
def test_many_injured_packages_are_refused_or_whole(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    _unpack_injured(content, tmp_path_factory.mktemp("one"))


def test_a_file_is_compared_with_its_checksum(tmp_path: Path) -> None:
    content = zipped([("x", b"right")], zipfile.ZIP_STORED).replace(b"right", b"wrong")
    assert zlib.crc32(b"wrong") != zlib.crc32(b"right")
    with pytest.raises(BadSetting, match="the package cannot be unpacked: Bad CRC-32"):
        keep_code(content, tmp_path)
