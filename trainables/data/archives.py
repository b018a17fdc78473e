"""Unpacks tar and zip archives; nothing in one can be written outside the folder it goes to."""

from __future__ import annotations

import stat
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

from trainables.core.files import appearing


def is_archive(path: Path) -> bool:
    """Whether a file is a tar archive, packed or not, or a zip archive."""
    return path.is_file() and (tarfile.is_tarfile(path) or zipfile.is_zipfile(path))


def unpack(archive: Path, target: Path) -> None:
    """Unpacks an archive into a folder that is not there yet: all of it, or nothing.

    Refused are absolute names, names with `..`, links of either kind, and devices.

    Raises:
        ValueError: the archive is none, is damaged or has such an entry, which is named; or the
            folder exists.
    """
    if target.exists():
        raise ValueError(f"{target} must not be there yet: delete it, or choose another name")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with appearing(target, is_shared=True) as inside:
            inside.mkdir()
            _unpack(archive, inside)
            inside.chmod(0o755)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, RuntimeError) as error:
        raise ValueError(f"{archive} cannot be unpacked: {error}") from None


def _unpack(archive: Path, folder: Path) -> None:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            for entry in opened.infolist():
                kind = stat.S_IFMT(entry.external_attr >> 16)
                plain = kind in (0, stat.S_IFREG, stat.S_IFDIR)
                _check(archive, entry.filename.replace("\\", "/"), plain)
            opened.extractall(folder)
        return
    with tarfile.open(archive) as opened:
        for member in opened:
            _check(archive, member.name, member.isreg() or member.isdir())
            opened.extract(member, folder, filter="data")


def _check(archive: Path, name: str, plain: bool) -> None:
    """Refuses an entry that is no plain file or folder below the folder it goes to."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{archive} must not write outside its folder, as its entry {name!r} does")
    if not plain:
        raise ValueError(
            f"{archive} must hold files and folders only, and its entry {name!r} is a "
            f"link or a device"
        )
