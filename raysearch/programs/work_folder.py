"""The working folder of a program: a copy of its code, beside which its data is linked."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from raysearch.errors import BadSetting
from raysearch.provenance import snapshot
from raysearch.provenance.sources import gather, is_secret
from raysearch.sweeps.program import ROOTS

_OUTPUT = re.compile(
    r"(__pycache__|mlruns|mlartifacts|wandb|runs?|outputs?|out|logs?|lightning_logs|tb_logs|multirun"
    r"|checkpoints?|ckpts?|results?|build|dist|node_modules|venv|env|.*\.egg-info|.*\.pyc|.*\.log)",
    re.IGNORECASE,
)
"""What a program writes: shared by its attempts, it would be mixed up."""


def make(session: Any, facts: Mapping[str, Any], target: Path) -> list[str]:
    """Fills a working folder; returns what was linked into it.

    The code is that which was kept with the search; run from nowhere else, that which is there now.
    Without `links` whatever else lies there is linked that is neither hidden, nor a secret, nor by
    its name what a program writes.

    Raises:
        BadSetting: the folder is neither kept nor there, or a link is not.
    """
    folder = Path(facts["folder"])
    target.mkdir(parents=True, exist_ok=True)
    if not _from_search(session, folder, target) and not _from_unpacked(folder, target):
        _from_here(folder, target)
    if facts["links"] is None:
        own = [Path(each).parts[0] for each in (facts["keep"], facts["checkpoints"]) if each]
        linked = list(_link_rest(folder, target, session.folder, own)) if folder.is_dir() else []
    else:
        linked = [_linked(folder, target, name) for name in facts["links"]]
    return linked


def _from_search(session: Any, folder: Path, target: Path) -> bool:
    """Takes the code from the snapshot of the search."""
    job = getattr(session, "job", None)
    if job is None or not job.code or snapshot.damage(Path(job.root), job.code):
        return False
    return bool(snapshot.unpack_folder(Path(job.root), job.code, folder, target))


def _from_unpacked(folder: Path, target: Path) -> bool:
    """Takes the code from a snapshot that was unpacked to run a trial again."""
    for path in map(Path, sys.path):
        for place in (path, *path.parents):
            if not (place / ROOTS).is_file():
                continue
            inner = snapshot.place_of(folder, json.loads((place / ROOTS).read_text()))
            if inner is not None and (place / inner).is_dir():
                shutil.copytree(place / inner, target, dirs_exist_ok=True)
                return True
    return False


def _from_here(folder: Path, target: Path) -> None:
    if not folder.is_dir():
        raise BadSetting(f"the folder of the program must be there, got {folder}")
    found = gather(folder, [], [], [folder])
    prefix = snapshot.place_of(folder, [root["path"] for root in found.roots])
    for name, content in found.files.items():
        if name.startswith(f"{prefix}/"):
            file = target / name[len(str(prefix)) + 1 :]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)


def _linked(folder: Path, target: Path, name: str) -> str:
    """A link to one thing of the folder, in place of what is there."""
    source, place = folder / name, target / name
    if not source.exists():
        raise BadSetting(f"links must name what is in {folder}, got {name!r}")
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(source.absolute())
    return name


def _link_rest(
    folder: Path, target: Path, never: Path, own: Sequence[str], above: str = ""
) -> Iterator[str]:
    """Links what is in a folder and not in its copy: data, weights, and files too large to keep."""
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        name, place = entry.name, target / entry.name
        is_own = not above and name in own
        is_above = never.is_relative_to(Path(entry.path).resolve())
        if name.startswith(".") or _OUTPUT.fullmatch(name) or is_secret(name) or is_own or is_above:
            continue
        if not place.exists():
            if not (Path(entry.path) / "pyvenv.cfg").exists():
                place.symlink_to(Path(entry.path).absolute())
                yield f"{above}{name}"
        elif entry.is_dir(follow_symlinks=False):
            yield from _link_rest(Path(entry.path), place, never, (), f"{above}{name}/")


def modes(folder: Path, target: Path) -> None:
    """Lets scripts of the copy be started that can be started where they are from."""
    for file in target.rglob("*"):
        source = folder / file.relative_to(target)
        if file.is_file() and not file.is_symlink() and source.is_file():
            file.chmod(file.stat().st_mode | (source.stat().st_mode & 0o111))
        elif file.suffix == ".sh" and not file.is_symlink():
            file.chmod(file.stat().st_mode | 0o100)
