"""The checkpoints of a trial on disk: which an attempt has reported, and which may go."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from raysearch.integrity import size_of
from raysearch.results.view import TrialView
from raysearch.trial.checkpoints import FOLDER, Kept, checkpoints_of, of_attempts
from raysearch.trial.messages import InvalidMessage, brief
from raysearch.trial.storage import leftovers, own_place

_SHA256 = re.compile(r"[0-9a-f]{64}")


def reported(message: Mapping[str, Any], folder: Path, trial: int) -> Kept | None:
    """The checkpoint of a report, with paths as events have them; measured here if it was not.

    `message` is `messages.checked`: its paths are relative to the folder of the trial.

    Raises:
        InvalidMessage: it cannot be measured.
    """
    if not message["checkpoint"]:
        return None
    path = f"{trial:04d}/{message['checkpoint']}"
    kept = Kept.read(message, path)
    is_measured = isinstance(kept.bytes, int) and _SHA256.fullmatch(str(kept.sha256)) is not None
    try:
        size = kept.bytes if is_measured else size_of(folder / path)
    except OSError as error:  # it is being written to, or not to be read
        raise InvalidMessage(f"checkpoint {brief(path)} cannot be read: {error.strerror}") from None
    return replace(
        kept,
        bytes=size,
        sha256=kept.sha256 if is_measured else None,
        source=f"{trial:04d}/{kept.source}" if kept.source else None,
    )


def kept_of(trial: TrialView) -> list[Kept]:
    """The last and the best checkpoint of a trial that is told, each once."""
    paths = dict.fromkeys(filter(None, (trial.best_checkpoint, trial.last_checkpoint)))
    return [_kept(trial, path) for path in paths]


def best_of(trial: TrialView) -> Kept:
    """The checkpoint that belongs to the value of a trial."""
    return _kept(trial, str(trial.best_checkpoint))


def written(kept: Iterable[Kept], artifacts: Iterable[str], folder: Path) -> list[Path]:
    """Where a trial wrote these checkpoints, as far as that is there as it was reported."""
    known = {folder / path for path in artifacts}
    return [path for one in kept for path in leftovers(Kept(**one.below(folder)), known)]


def places_of(kept: list[Kept], artifacts: Iterable[str], folder: Path) -> list[Path]:
    """All that goes with these checkpoints: where they are kept, and where they were written."""
    paths = [folder / path for path in of_attempts(one.path for one in kept)]
    return [*written(kept, artifacts, folder), *map(own_place, paths)]


def unneeded(
    folder: Path,
    number: int,
    needed: Iterable[Kept],
    *,
    finished: int | None = None,
    named: Collection[str] = (),
    artifacts: Iterable[str] = (),
) -> list[Path]:
    """What lies among the checkpoints of a trial and is not needed; those of killed attempts too.

    In the `checkpoints` of the attempt that `finished` only what was `named` goes: the rest was
    never said to be a checkpoint. No artifact goes.
    """
    stays = {own_place(folder / kept.path) for kept in needed}
    shown = {folder / path for path in artifacts}
    stays |= shown | {parent for path in shown for parent in path.parents}
    last = folder / f"{number:04d}/attempt-{finished}"
    names = {folder / path for path in named}

    def goes(path: Path) -> bool:
        is_open = path.parent.parent != last or path.parent.name == FOLDER
        return path not in stays and (is_open or path in names)

    return [path for path in checkpoints_of(folder, number) if goes(path)]


def _kept(trial: TrialView, path: str) -> Kept:
    saved = trial.checkpoints.get(path)
    return Kept(0, path, 0.0) if saved is None else Kept(path=path, value=0.0, **saved._asdict())
