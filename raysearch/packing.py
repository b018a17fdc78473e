"""The working tree as a package to be sent: the same files give the same bytes."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from raysearch.errors import BadSetting
from raysearch.plan import GIT_STATE, git_state
from raysearch.record.sources import is_secret

LIMIT = 100 << 20
"""Bytes of all files of a package together, before they are compressed."""

_NEVER = (".git", ".venv", "runs", "__pycache__")
_NAMED = 5
_LENGTH = 32
"""Hexadecimal digits of the hash that names a package."""
_LINK = 0o120000


@dataclass(frozen=True)
class Package:
    """A zip of a working tree; `digest` names it, `names` are the files in it."""

    digest: str
    content: bytes
    names: frozenset[str]


def pack(folder: Path) -> Package:
    """All files of a working tree: what git tracks or would track, or all where there is no git.

    Not what by its name may hold a secret, unless git tracks it.

    The state of the repository is in it too, as `GIT_STATE`. A link to something in the tree is
    packed as what it points to.

    Raises:
        ValueError: more than `LIMIT`, naming the largest; or a link that leads out of the tree.
    """
    root = folder.resolve()
    files = {name: _within(root, name) for name in sorted(set(_names(root)))}
    _refuse_large(root, files)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in files.items():
            archive.writestr(_entry(name, os.access(path, os.X_OK)), path.read_bytes())
        state = json.dumps(git_state(root), sort_keys=True).encode()
        archive.writestr(_entry(GIT_STATE, False), state)
    content = buffer.getvalue()
    return Package(digest(content), content, frozenset(files))


def digest(content: bytes) -> str:
    """The name of a package."""
    return hashlib.sha256(content).hexdigest()[:_LENGTH]


def unpack(content: bytes, folder: Path) -> None:
    """Writes the files of a package below a folder that is empty.

    Raises:
        ValueError: it is no zip, is damaged, is larger than `LIMIT`, or has a name that leads out.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            if sum(entry.file_size for entry in entries) > LIMIT + (1 << 20):
                raise BadSetting(f"a package must have at most {LIMIT >> 20} MiB of files")
            for entry in entries:
                path = folder / _checked(entry)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(archive.read(entry))
                path.chmod(0o755 if entry.external_attr >> 16 & 0o100 else 0o644)
    except (zipfile.BadZipFile, NotImplementedError, OSError) as error:
        raise BadSetting(f"the package cannot be unpacked: {error}") from None


def _checked(entry: zipfile.ZipInfo) -> PurePosixPath:
    """The name of a file, which stays below the folder that it is written to."""
    path = PurePosixPath(entry.filename)
    is_out = path.is_absolute() or ".." in path.parts or "\\" in entry.filename or not path.parts
    if is_out or entry.is_dir() or entry.external_attr >> 16 & 0o170000 == _LINK:
        name = entry.orig_filename
        raise BadSetting(f"a package must have plain files below its folder, got {name!r}")
    return path


def _entry(name: str, is_executable: bool) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = (0o100755 if is_executable else 0o100644) << 16
    return entry


def _names(root: Path) -> Iterator[str]:
    tracked = _git(root, "--cached")
    if tracked is None:
        yield from (name for name in _walk(root, root) if not is_secret(name))
        return
    others = _git(root, "--others", "--exclude-standard") or []
    new = [
        name
        for name in others
        if not set(PurePosixPath(name).parts) & set(_NEVER) and not is_secret(name)
    ]
    for name in [*tracked, *new]:
        path = root / name
        if path.is_dir():  # a repository in this one, or a link to a folder
            yield from _walk(root, path)
        elif path.is_file() or path.is_symlink():  # what was deleted is tracked until a commit
            yield name


def _git(root: Path, *options: str) -> list[str] | None:
    """What git lists below a folder; None where there is no repository."""
    command = ["git", "-C", str(root), "ls-files", "-z", *options]
    try:
        done = subprocess.run(command, capture_output=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return [os.fsdecode(name) for name in done.stdout.split(b"\0") if name]


def _walk(root: Path, top: Path, *, follows: bool = True) -> Iterator[str]:
    """All files below a folder; links in a folder that is linked are not followed: it must end."""
    _within(root, str(top.relative_to(root)))
    for folder, folders, files in os.walk(top):
        folders[:] = [name for name in folders if name not in _NEVER]
        here = Path(folder).relative_to(root)
        yield from ((here / name).as_posix() for name in files)
        for name in folders:
            if follows and (root / here / name).is_symlink():
                yield from _walk(root, root / here / name, follows=False)


def _within(root: Path, name: str) -> Path:
    """The file of that name. Raises ValueError if a link leads out of the tree, or nowhere."""
    path = root / name
    try:
        real = path.resolve(strict=True)
    except OSError:
        raise BadSetting(f"{name} is a link to nothing: remove it or have git ignore it") from None
    if not real.is_relative_to(root):
        raise BadSetting(
            f"{name} is a link out of {root}, to {real}: only what lies below it is sent; have git "
            f"ignore it, or copy what it points to"
        )
    return path


def _refuse_large(root: Path, files: dict[str, Path]) -> None:
    sizes = {name: path.stat().st_size for name, path in files.items()}
    total = sum(sizes.values())
    if total <= LIMIT:
        return
    largest = sorted(sizes, key=lambda name: -sizes[name])[:_NAMED]
    raise BadSetting(
        f"the working tree {root} must have at most {LIMIT >> 20} MiB to be sent, got "
        f"{total / (1 << 20):.0f} MiB, the largest {_listed(largest, sizes)}; have git ignore what "
        f"is no code"
    )


def _listed(names: Sequence[str], sizes: dict[str, int]) -> str:
    return ", ".join(f"{name} ({sizes[name] / (1 << 20):.1f} MiB)" for name in names)
