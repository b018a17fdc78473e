"""The files of a working tree: those that are kept, those that are sent, those that never are."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from raysearch.errors import BadSetting
from raysearch.provenance.repository import Refused, ask, names_of

SOURCES = (".py", ".pyi", ".toml", ".cfg", ".ini", ".yaml", ".yml")
"""What is kept of what git tracks or would track; elsewhere only Python."""
OF_PROGRAMS = (
    *SOURCES,
    *(".sh", ".json", ".jsonc", ".txt", ".gin", ".jsonnet", ".j2", ".tmpl", ".in", ".mk", ".lua"),
    *(".c", ".cc", ".cpp", ".cu", ".cuh", ".h", ".hpp", ".pyx", ".jl", ".r", ".R", ".rs", ".ipynb"),
    *("Makefile", "Dockerfile"),
)
"""And of the code of programs."""
LARGEST = 1 << 20
"""Bytes of one file that is kept."""
ENVIRONMENTS = (".venv", "venv", "__pycache__")
"""Folders in which what git does not track is not kept."""
_NOT_KEPT = ("__pycache__", "node_modules", "site-packages", "mlruns", "venv", "env")
"""Folders that are not kept where there is no repository."""
_NOT_SENT = (".git", ".venv", "runs", "__pycache__")
"""Folders in which what git does not track is not sent."""
_VISITED = 20_000
"""Files and folders that are looked at where there is no repository."""
_PATIENCE = 60.0
"""Seconds for a list of what is sent."""
_SECRET = re.compile(
    r"(^|/)(\.env[^/]*|[^/]*\.env|\.netrc|\.pgpass|\.npmrc|\.pypirc|\.git-credentials|\.htpasswd"
    r"|id_(rsa|dsa|ecdsa|ed25519)[^/]*|[^/]*\.(pem|key|p12|pfx|jks|keystore|kdbx)"
    r"|\.?(secret|credential)s?(\.[^/]*)?|\.aws|\.ssh|\.gnupg|\.kube|\.docker)(/|$)",
    re.IGNORECASE,
)


def is_secret(name: str) -> bool:
    """Whether the name of a file promises a secret."""
    return bool(_SECRET.search(name))


def why_not(name: str, path: Path) -> str:
    """Why a file may not be kept; empty if it may."""
    if is_secret(name):
        return "by its name it may hold a secret"
    if not name.isascii() and name.encode(errors="replace") != name.encode(errors="ignore"):
        return "its name is no text"
    if path.is_symlink():
        return "a link"
    if not path.is_file():
        return "a repository of its own" if path.is_dir() else "no file"
    size = path.stat().st_size
    return f"larger than {LARGEST >> 20} MiB" if size > LARGEST else ""


def sources_below(
    root: Path, never: Sequence[Path], left_out: dict[str, str], suffixes: tuple[str, ...]
) -> Iterator[str]:
    """Files of source below a folder, nearest first, not in environments, runs, hidden folders."""
    closed, waiting, seen = {path.resolve() for path in never}, deque([root]), 0
    while waiting:
        folder = waiting.popleft()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            continue
        if any(entry.name == "pyvenv.cfg" for entry in entries):
            continue
        seen += len(entries)
        if seen > _VISITED:
            left_out["the rest"] = f"more than {_VISITED} files and folders"
            return
        for entry in entries:
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                if not entry.name.startswith(".") and entry.name not in _NOT_KEPT:
                    waiting.extend([path] if path.resolve() not in closed else [])
            elif entry.name.endswith(suffixes):
                yield path.relative_to(root).as_posix()


def sent(root: Path) -> Iterator[str]:
    """What is sent of a tree: what git tracks or would track, or all where there is no git.

    Not what by its name may hold a secret, unless git tracks it. Raises ValueError for a link that
    leads out of the tree, or nowhere.
    """
    tracked = _listed(root, "--cached")
    if tracked is None:
        yield from (name for name in _all_below(root, root) if not is_secret(name))
        return
    others = _listed(root, "--others", "--exclude-standard") or []
    new = [
        name
        for name in others
        if not set(PurePosixPath(name).parts) & set(_NOT_SENT) and not is_secret(name)
    ]
    for name in [*tracked, *new]:
        path = root / name
        if path.is_dir():  # a repository in this one, or a link to a folder
            yield from _all_below(root, path)
        elif path.is_file() or path.is_symlink():  # what was deleted is tracked until a commit
            yield name


def _listed(root: Path, *options: str) -> list[str] | None:
    """What git lists below a folder; None where there is no repository."""
    try:
        return names_of(ask(root, "ls-files", "-z", *options, patience=_PATIENCE))
    except Refused:
        return None


def _all_below(root: Path, top: Path, *, follows: bool = True) -> Iterator[str]:
    """All files below a folder; links in a folder that is linked are not followed: it must end."""
    within(root, str(top.relative_to(root)))
    for folder, folders, files in os.walk(top):
        folders[:] = [name for name in folders if name not in _NOT_SENT]
        here = Path(folder).relative_to(root)
        yield from ((here / name).as_posix() for name in files)
        for name in folders:
            if follows and (root / here / name).is_symlink():
                yield from _all_below(root, root / here / name, follows=False)


def within(root: Path, name: str) -> Path:
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
