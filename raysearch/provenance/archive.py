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
from raysearch.provenance.origin import GIT_STATE, git_state
from raysearch.provenance.sources import is_secret
from raysearch.provenance.unarchive import LIMIT, MOST_FILES, refuse_names
from raysearch.sweeps.search_spec import to_plain

_NEVER = (".git", ".venv", "runs", "__pycache__")
_NAMED = 5
_LENGTH = 32
"""Hexadecimal digits of the hash that names a package."""


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
        ValueError: more than `LIMIT`, naming the largest; too many files; a name that cannot be
            unpacked everywhere; or a link that leads out of the tree.
    """
    root = folder.resolve()
    files = {name: _within(root, name) for name in sorted({*_names(root)} - {GIT_STATE})}
    _refuse_large(root, files)
    _refuse_many(root, files)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in files.items():
            archive.writestr(_entry(name, os.access(path, os.X_OK)), path.read_bytes())
        state = json.dumps(to_plain(git_state(root)), sort_keys=True).encode()
        archive.writestr(_entry(GIT_STATE, False), state)
    content = buffer.getvalue()
    return Package(digest(content), content, frozenset(files))


def digest(content: bytes) -> str:
    """The name of a package."""
    return hashlib.sha256(content).hexdigest()[:_LENGTH]


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


def _refuse_many(root: Path, files: dict[str, Path]) -> None:
    if len(files) >= MOST_FILES:
        raise BadSetting(
            f"the working tree {root} must have fewer than {MOST_FILES} files to be sent, got "
            f"{len(files)}; have git ignore what is no code"
        )
    refuse_names([*files, GIT_STATE])


def _listed(names: Sequence[str], sizes: dict[str, int]) -> str:
    return ", ".join(f"{name} ({sizes[name] / (1 << 20):.1f} MiB)" for name in names)
