"""A package that came from elsewhere: what may be in it, and how it is unpacked."""

from __future__ import annotations

import errno
import io
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from raysearch.errors import BadSetting, Unreachable

LIMIT = 100 << 20
"""Bytes of all files of a package together, before they are compressed."""
MOST_FILES, DEEPEST, LONGEST, WIDEST = 20_000, 32, 1000, 200
"""Files of a package; folders in each other; bytes of a whole name and of each of its parts."""

_CONTENTS = 8 << 20
"""Bytes of the table of contents: it is read whole before anything can be counted."""
_PIECE = 1 << 18
_QUOTED = 100
"""Characters of a name that are quoted."""
_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""The others cannot be taken apart piece by piece: one piece may become gigabytes."""
_END, _END_64 = struct.Struct("<4s4H2LH"), b"PK\x06\x07"
_DAMAGED = (
    *(zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error, EOFError),
    *(NotImplementedError, RuntimeError, ValueError, OverflowError, IndexError),
)
"""What `zipfile` raises for content that is not what it says."""


def unpack(content: bytes, folder: Path) -> None:
    """Writes the files of a package below a folder that is empty.

    All that can be known beforehand is checked before the first file is written; a checksum that is
    wrong is seen while its file is. Memory and files are bounded, whatever the content says.

    Raises:
        BadSetting: it is no zip, is damaged, encrypted or too large; has too many files, too long,
            too deep or clashing names, or what is no plain file below its folder.
        Unreachable: the disk is full.
    """
    try:
        _refuse_contents(content)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            _refuse_entries(entries, len(content))
            for entry in entries:
                _write(archive, entry, folder / entry.filename)
    except BadSetting:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Unreachable("no space is left on the disk for the package") from None
        raise BadSetting(f"the package cannot be unpacked: {error.strerror}") from None
    except _DAMAGED as error:
        raise BadSetting(f"the package cannot be unpacked: {error}") from None


def refuse_names(names: Iterable[str]) -> None:
    """Raises BadSetting for names of files that a package cannot have, here or on another system.

    Each is plain text, relative, without `..`, not too long or deep, and differs from the others
    in more than case or composition of letters; none is also the folder of another.
    """
    files, folders = dict[str, str](), dict[str, str]()
    for name in names:
        if wrong := _wrong_name(name):
            raise BadSetting(f"a package must have plain files below its folder, got {wrong}")
        same = _same(name)
        if same in files:
            raise BadSetting(
                f"names in a package must differ by more than case, got {files[same]!r} and "
                f"{name!r}"
            )
        files[same] = name
        for parent in PurePosixPath(same).parents:
            folders[str(parent)] = name
    for same in files.keys() & folders.keys():
        raise BadSetting(
            f"a package must have plain files below its folder, got {files[same]!r}, which is a "
            f"folder of {folders[same]!r} too"
        )


def _refuse_contents(content: bytes) -> None:
    """Looks at the end of a zip, before its table of contents is read."""
    if len(content) < _END.size:
        raise BadSetting("the package cannot be unpacked: it is no zip file")
    sign, *_, entries, size, _, comment = _END.unpack_from(content, len(content) - _END.size)
    if sign != b"PK\x05\x06" or comment:
        raise BadSetting("the package cannot be unpacked: it is no plain zip file")
    has_64 = content[-_END.size - 20 :].startswith(_END_64)
    if has_64 or entries > MOST_FILES or size > _CONTENTS:
        raise BadSetting(f"a package must have at most {MOST_FILES} files, got {entries} or more")


def _refuse_entries(entries: list[zipfile.ZipInfo], size: int) -> None:
    if len(entries) > MOST_FILES:
        raise BadSetting(f"a package must have at most {MOST_FILES} files, got {len(entries)}")
    if sum(entry.file_size for entry in entries) > LIMIT + (1 << 20):
        raise BadSetting(f"a package must have at most {LIMIT >> 20} MiB of files")
    if sum(entry.compress_size for entry in entries) > size:
        raise BadSetting("the package cannot be unpacked: its files overlap")
    for entry in entries:
        name = entry.orig_filename[:_QUOTED]
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if entry.is_dir() or kind not in (0, stat.S_IFREG) or entry.orig_filename != entry.filename:
            raise BadSetting(f"a package must have plain files below its folder, got {name!r}")
        if entry.flag_bits & _ENCRYPTED:
            raise BadSetting(f"a package must not be encrypted, and {name!r} is")
        if entry.compress_type not in _METHODS:
            raise BadSetting(f"a package must be stored or deflated, and {name!r} is neither")
    refuse_names(entry.filename for entry in entries)


def _wrong_name(name: str) -> str:
    """What is wrong with a name by itself, with the name; empty if nothing is."""
    short = repr(name[:_QUOTED])
    try:
        parts = [part.encode() for part in name.split("/")]
    except UnicodeEncodeError:
        return f"{short}, which is no text"
    if any(part in (b"", b".", b"..") for part in parts) or "\\" in name:
        return short
    if any(unicodedata.category(letter) in ("Cc", "Cf", "Zl", "Zp") for letter in name):
        return f"{short}, which has characters that cannot be seen"
    if len(parts) > DEEPEST or sum(map(len, parts)) > LONGEST or max(map(len, parts)) > WIDEST:
        return f"{short}, which is deeper than {DEEPEST} folders or longer than {WIDEST} bytes"
    return ""


def _same(name: str) -> str:
    """What is equal for names that are one file on some system."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _write(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> None:
    """Writes one file, piece by piece; what it becomes is never more than it said."""
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with archive.open(entry) as packed, path.open("xb") as file:
        while piece := packed.read(_PIECE):
            written += len(piece)
            file.write(piece)
    if written != entry.file_size:
        raise BadSetting(f"the package cannot be unpacked: {entry.filename!r} is cut short")
    path.chmod(0o755 if entry.external_attr >> 16 & 0o100 else 0o644)
