"""Files as settings: what is in them counts, and not where they lie."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any


def by_content(canonical: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The canonical form of a part, in which the files of some fields are `sha256:…` of theirs.

    A field that is void or null stays so. A file that is not there, of which no run can begin, is
    its path. A folder is the checkpoints in it, whatever they are called.
    """
    found = {name: canonical[name] for name in names if canonical.get(name) is not None}
    return {**canonical, **{name: _content(file) for name, file in found.items()}}


def _content(path: str) -> str:
    file = Path(path).expanduser()
    if file.is_dir():
        parts = sorted(_content(str(one)) for one in file.rglob("*.pt"))
        return f"sha256:{hashlib.sha256(' '.join(parts).encode()).hexdigest()}"
    try:
        facts = file.stat()
        return f"sha256:{_sha256(file, facts.st_size, facts.st_mtime_ns)}"
    except OSError:
        return path


@lru_cache(256)
def _sha256(file: Path, size: int, modified: int) -> str:
    """Of a file as large and as old: each point of a space asks for it."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
