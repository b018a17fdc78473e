"""Runs one trial again in a process of its own: `python -P rerun.py job.json`; or under torchrun.

It imports nothing of this package, so that the kept code is the only one that is found; what it has
to say goes to `said.jsonl` in the folder of the job, a line of JSON for each thing.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib
import json
import math
import os
import shutil
import signal
import sys
import sysconfig
import traceback
import zipfile
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1


class Enough(BaseException):
    """The last step that is asked for was reported: the experiment ends here."""


class Session:
    """The session of a trial that is run again: it writes down what it hears.

    Only the checkpoints of the steps in `wanted` are kept, each copied, since its name may be used
    again; of the others the newest stays where it is, as it would in a search. The run is over
    after step `last` (None: at its own end), once all `names` of metrics were reported there. In a
    group of workers it may not end there, or the others would wait for it: it is told to stop, and
    what it reports after that does not count.
    """

    def __init__(self, job: Mapping[str, Any], folder: Path, restored: str | None) -> None:
        self.folder = folder
        self.checkpoints: dict[int, Path] = {}
        self._said = Path(job["said"])
        self._wanted, self._last = set(job["wanted"]), job["last"]
        self._names = set(job.get("names", ()))
        self.objectives = list[str](job.get("objectives", ()))
        self._step, self._open = -1, set[str]()
        self._is_alone, self._stop = job["workers"] < 2, False
        self.own_workers = int(job.get("own_workers", 1))
        self._restored = restored
        self._latest: Path | None = None
        self.tested: dict[str, float] | None = None

    def restored(self) -> Path | None:
        """A copy of the checkpoint to evaluate; None for a run from its start."""
        if not self._restored:
            return None
        saved, rank = Path(self._restored), os.environ.get("RANK", "0")
        copy = self.folder / "restored-copy" / rank / saved.name
        if not copy.parent.exists():
            copy.parent.mkdir(parents=True)
            _copy(saved, copy)
        return copy

    def describe(self, facts: Mapping[str, object]) -> None:
        """Writes the facts down."""
        self.say("described", facts=dict(facts))

    def report(
        self,
        step: int,
        metrics: Mapping[str, float],
        checkpoint: Path | None = None,
        *,
        costs: Mapping[str, float] | None = None,
    ) -> None:
        """Writes a report down; the experiment ends in it where the trial was ended.

        Costs are not: they are never the same twice.
        """
        values = {str(name): _number(value) for name, value in metrics.items()}
        if self.tested is not None:
            self.tested |= values
            return
        self.say("report", step=int(step), metrics=values)
        if checkpoint is not None:
            self._keep(int(step), Path(os.fsdecode(checkpoint)))
        names = self._names if step == self._last else set[str]()
        self._open = self._open - values.keys() if step == self._step else names - values.keys()
        self._step = int(step)
        self._stop = self._last is not None and step >= self._last and not self._open
        if self._stop and self._is_alone:
            raise Enough

    def artifact(self, name: str, path: Path) -> None:
        """Nothing: pictures are not compared."""

    def alive(self) -> None:
        """Nothing: nobody waits for a word."""

    def should_stop(self) -> bool:
        """Whether the last report was made."""
        return self._stop

    def _keep(self, step: int, path: Path) -> None:
        if step in self._wanted:
            kept = self.folder / "kept" / f"{step:08d}" / path.name
            _remove(kept.parent)
            kept.parent.mkdir(parents=True)
            _copy(path, kept)
            self.checkpoints[step] = kept
        before, self._latest = self._latest, path.absolute()
        own = self.folder.resolve()
        if before is not None and before != self._latest and own in before.resolve().parents:
            _remove(before)

    def say(self, kind: str, **body: Any) -> None:
        """Appends a line."""
        with self._said.open("a") as file:
            file.write(json.dumps({"kind": kind, **body}, default=plain) + "\n")


def plain(value: Any) -> Any:
    """What a library made of a number or a list of them is taken off, as the session does it."""
    for name in ("item", "tolist"):
        if hasattr(value, name):
            with suppress(Exception):  # an array of several elements has no single one
                return getattr(value, name)()
    if isinstance(value, set | frozenset):
        return sorted(value, key=repr)
    return value.value if isinstance(value, Enum) else str(value)


def _number(value: Any) -> float:
    return float(value.item() if hasattr(value, "item") else value)


class SilentSession(Session):
    """The session of a rank above 0: it says nothing, and its group is told by rank 0 to stop."""

    def report(
        self,
        step: int,
        metrics: Mapping[str, float],
        checkpoint: Path | None = None,
        *,
        costs: Mapping[str, float] | None = None,
    ) -> None:
        """Nothing."""

    def say(self, kind: str, **body: Any) -> None:
        """Nothing."""


def main(file: str) -> int:
    """Runs the job, the evaluation on the test split, and compares checkpoints; the exit status."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    job = json.loads(Path(file).read_text())
    rank = int(os.environ["RANK"]) if job["workers"] > 1 else 0
    kind = SilentSession if rank else Session
    session = kind(job, Path(job["folder"]), job["restored"])
    try:
        target = _resolve(job["experiment"])
        _set_threads(int(job["threads"]))
        with suppress(Enough), _group(job["workers"]):
            _entry_point(target, job["purpose"])(job["config"], session)
        if not rank:
            _compare(job, session)
            _test(job, target, session)
        error = ""
    except BaseException as failure:  # every way in which foreign code can end is a result
        traceback.print_exc()
        error = _sentence(failure)
    session.say("end", error=error, outside=_outside(job["code"]))
    return 1 if error else 0


def _sentence(error: BaseException) -> str:
    """The first line of what an exception says, if it can say anything."""
    text = type(error).__name__
    with suppress(Exception):
        text = f"{text}: {error}".strip().splitlines()[0][:500]
    return text


@contextmanager
def _group(workers: int) -> Generator[None]:
    """Joins the group of workers, if there is one: over NCCL if each has a GPU, else over gloo."""
    if workers < 2:
        yield
        return
    import torch
    import torch.distributed as dist

    gpus = torch.cuda.device_count()
    if gpus:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % gpus)
    dist.init_process_group("nccl" if gpus >= workers else "gloo")
    yield
    dist.barrier()
    dist.destroy_process_group()


def _resolve(name: str) -> Any:
    module, _, attribute = name.partition(":")
    target: Any = importlib.import_module(module)
    for part in attribute.split("."):
        target = getattr(target, part)
    return target


def _entry_point(target: Any, purpose: str) -> Callable[..., Any]:
    """What is called for a purpose; a function is its own `run`, and no other."""
    return getattr(target, purpose, target) if purpose == "run" else getattr(target, purpose)


def _set_threads(threads: int) -> None:
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def _compare(job: Mapping[str, Any], session: Session) -> None:
    for step, path in job["checkpoints"].items():
        own = session.checkpoints.get(int(step))
        if own is None:
            session.say("missing", step=int(step))
            continue
        session.say("compared", step=int(step), **difference(Path(path), own))


def _test(job: Mapping[str, Any], target: Any, session: Session) -> None:
    """The test split, from the checkpoint of the step that it was evaluated at then."""
    own = session.checkpoints.get(job["test_step"]) if job["test_step"] is not None else None
    if own is None or not hasattr(target, "test"):
        return
    folder = session.folder / "test"
    folder.mkdir(exist_ok=True)
    test = Session(job, folder, str(own))
    test.tested = {}
    target.test(job["config"], test)
    session.say("tested", metrics=test.tested)


def difference(one: Path, other: Path) -> dict[str, Any]:
    """How two checkpoints differ: how many `values` they have, and the names of the `different`.

    Tensors are compared by type, shape and bits; a file that is no checkpoint of torch by the
    values of its JSON, by the members of its archive, or by its bytes. `largest` is the largest
    difference between two numbers, None where there is none to give.
    """
    here, there = leaves(one), leaves(other)
    names = sorted({*here, *there})
    different = [name for name in names if print_of(here.get(name)) != print_of(there.get(name))]
    gaps = [_gap(here[name], there[name]) for name in different if name in here and name in there]
    known = [gap for gap in gaps if gap is not None]
    return {
        "values": len(names),
        "different": different[:5],
        "count": len(different),
        "largest": max(known, default=None),
    }


def leaves(path: Path) -> dict[str, Any]:
    """The values in a checkpoint by dotted names."""
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        found = [(file.relative_to(path).as_posix(), leaves(file)) for file in files]
        return {f"{name}/{key}": value for name, own in found for key, value in own.items()}
    if zipfile.is_zipfile(path):
        return _of_archive(path)
    content = path.read_bytes()
    try:
        return dict(_flat(json.loads(content)))
    except (UnicodeDecodeError, json.JSONDecodeError):
        return {"content": content}


def _of_archive(path: Path) -> dict[str, Any]:
    """Torch's own format, or any other zip: the contents of its members, not their times."""
    try:
        import torch

        return dict(_flat(torch.load(path, map_location="cpu", weights_only=True)))
    except Exception:  # no torch, no checkpoint of torch, or one with other objects than tensors
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            return {name.partition("/")[2] or name: archive.read(name) for name in names}


def _flat(value: Any, prefix: str = "") -> Any:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(value, list | tuple) and value:
        for index, inner in enumerate(value):
            yield from _flat(inner, f"{prefix}.{index}" if prefix else str(index))
    else:
        yield prefix or "content", value


def print_of(value: Any) -> str:
    """What is equal exactly where two values are: tensors bit for bit."""
    if hasattr(value, "detach"):
        plain = value.detach().cpu().contiguous().view(-1)
        bits = plain.view(sys.modules["torch"].uint8).numpy().tobytes()
        return f"{value.dtype}{tuple(value.shape)}{hashlib.sha256(bits).hexdigest()}"
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    return repr(value)


def _gap(one: Any, other: Any) -> float | None:
    if hasattr(one, "detach") and hasattr(other, "detach"):
        if one.shape != other.shape or not one.numel():
            return None
        gap = float((one.detach().double() - other.detach().double()).abs().max())
    elif isinstance(one, int | float) and isinstance(other, int | float):
        gap = abs(float(one) - float(other))
    else:
        return None
    return gap if math.isfinite(gap) else None


def _outside(code: str | None) -> list[str]:
    """The files of modules that are neither kept code nor installed nor Python's own."""
    if code is None:
        return []
    paths = sysconfig.get_paths()
    known = [Path(code), *(Path(paths[name]) for name in ("stdlib", "platstdlib"))]
    known += [Path(place).resolve() for place in known]
    found: list[str] = []
    for module in list(sys.modules.values()):
        name = getattr(module, "__file__", None)
        file = Path(name or "")
        if name == __file__ or not file.is_absolute() or not file.exists():
            continue  # some modules are made by others, and have no file
        is_installed = {"site-packages", "dist-packages"} & set(file.parts)
        if not is_installed and not any(file.is_relative_to(place) for place in known):
            found.append(str(file))
    return sorted(found)


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target) if source.is_dir() else shutil.copyfile(source, target)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
