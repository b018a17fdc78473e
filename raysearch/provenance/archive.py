"""The working tree as a package to be sent: the same files give the same bytes."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from raysearch.errors import BadSetting
from raysearch.provenance.origin import GIT_STATE, git_state
from raysearch.provenance.unarchive import LIMIT, MOST_FILES, refuse_names
from raysearch.provenance.working_tree import sent, within
from raysearch.sweeps.search_spec import to_plain

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
    files = {name: within(root, name) for name in sorted({*sent(root)} - {GIT_STATE})}
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
