"""One run of one experiment, without a search: to try a configuration, or evaluate a checkpoint."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from raysearch.driver.plan import parse_overrides
from raysearch.errors import BadSetting, UnknownName, foreign, sentence
from raysearch.settings import EXPERIMENTS
from raysearch.sweeps.catalog import find_experiment
from raysearch.sweeps.requirements import refuse_missing
from raysearch.sweeps.sweep import Config
from raysearch.sweeps.values import spelled
from raysearch.terminal import make_console, say
from raysearch.texts import visible
from raysearch.trial.checkpoints import FOLDER, Kept, Retention, remove
from raysearch.trial.lending import lent, take_back

_UNFINISHED = (".partial", ".tmp")
"""The ends of names of files that are still being written."""
SPLITS = ("val", "test", "all")
"""What `evaluate` may be asked for: all but the test split, the test split, both."""


class RunFailed(RuntimeError):
    """An experiment raised what is no bad input: the error is its cause."""


class PrintingSession:
    """A session that prints each report and keeps the last checkpoint.

    It hands out a copy of the `checkpoint` that it is given, or else the newest one in its folder.
    `has_begun` says whether the experiment has said anything.
    """

    def __init__(self, folder: Path, checkpoint: Path | None = None) -> None:
        self.folder = folder
        self.has_begun = False
        self._checkpoint = checkpoint
        self._retention = Retention("maximize")

    def restored(self) -> Path | None:
        """The checkpoint to go on from, or to evaluate."""
        written = (self.folder / "checkpoints").glob("*")
        found = [path for path in written if path.suffix not in _UNFINISHED]
        newest = max(found, key=lambda path: (path.stat().st_mtime_ns, path.name), default=None)
        return lent(self._checkpoint, self.folder) if self._checkpoint is not None else newest

    def describe(self, facts: Mapping[str, object]) -> None:
        """Prints facts such as the data set and the parameter count.

        Rows of references have a line each, with the metrics that a report shows.
        """
        self.has_begun = True
        for name, value in facts.items():
            if not (name.startswith("reference/") and isinstance(value, Mapping)):
                say(f"{name}: {value}")
                continue
            for row, own in value.items():
                if isinstance(own, Mapping):
                    own = {metric: one for metric, one in own.items() if "/" not in str(metric)}
                say(f"{name} {row}: {_numbers(own)}")

    def report(
        self,
        step: int,
        metrics: Mapping[str, float],
        checkpoint: Path | None = None,
        *,
        costs: Mapping[str, float] | None = None,
    ) -> None:
        """Prints metrics and costs with at most one part after the first `/`."""
        self.has_begun = True
        said = {**metrics, **(costs or {})}
        shown = {name: value for name, value in said.items() if name.count("/") <= 1}
        say(f"step {step}: {_numbers(shown)}")
        if checkpoint is not None:
            path = Path(checkpoint).absolute()
            remove(self._retention.add(Kept(step, str(path))), self.folder)

    def artifact(self, name: str, path: Path) -> None:
        """Prints where a picture lies."""
        say(f"{name}: {path}")

    def alive(self) -> None:
        """Nothing: nobody waits for a word."""

    def should_stop(self) -> bool:
        """Never: Ctrl-C ends it, and the same command goes on."""
        return False


def _numbers(values: Any) -> str:
    """Numbers with their names; what is none, which an experiment may say, as it is."""
    if not isinstance(values, Mapping):
        return str(values)
    return ", ".join(
        f"{name} {value:.4g}" if isinstance(value, int | float) else f"{name} {value}"
        for name, value in values.items()
    )


def show(name: str, overrides: Iterable[str]) -> None:
    """Prints a configuration, a line for each setting: as an override, what is allowed, its use.

    Raises:
        LookupError: no such experiment or path. ValueError: a value that is not allowed.
    """
    from raysearch.sweeps.described import settings_of

    console = make_console()
    for one in settings_of(_configured(name, overrides)):
        usual = "" if one.value == one.default else f"default {json.dumps(one.default)}"
        said = [
            usual,
            "the trial is the same whatever it is" if one.is_void else "",
            one.allowed,
            one.about,
        ]
        is_word = isinstance(one.value, str) and one.value.isprintable()
        value = one.value if is_word else json.dumps(one.value)
        line = visible(f"{one.path}={value}  # {'; '.join(filter(None, said))}")
        is_long = console.is_terminal and len(line) > console.width
        say(f"{line[: console.width - 1]}…" if is_long else line)


def train(name: str, overrides: Iterable[str], folder: Path | None, runs: Path) -> None:
    """Trains one configuration in this process; the same command again goes on where it was.

    Raises:
        LookupError: no such experiment or path. ValueError: a value that is not allowed, or a
            folder that cannot be used or holds a run of another configuration.
        FloatingPointError: it diverged. RunFailed: the experiment raised anything else.
    """
    config = _configured(name, overrides)
    refuse_missing([config])
    run = _entry_point(type(config), "run")
    target = folder or runs / "train" / f"{config.name}-{config.digest()}-{config.seed}"
    _prepare(target, config)
    _carry_out(run, config, PrintingSession(target.absolute()))


def _configured(name: str, overrides: Iterable[str]) -> Config:
    """The configuration of an experiment with these values."""
    kind = find_experiment(name, EXPERIMENTS)
    with foreign(f"experiment {kind.name}"):
        config = kind()
        return config.with_values(spelled(parse_overrides(overrides), config))


def evaluate(
    name: str,
    overrides: Iterable[str],
    checkpoint: Path,
    split: str,
    folder: Path | None,
    runs: Path,
) -> None:
    """Evaluates a checkpoint of an experiment, with other settings of evaluations if given.

    The configuration is the one in the checkpoint; `split` is one of `SPLITS`.

    Raises:
        LookupError: no such experiment or path. ValueError: no checkpoint of that experiment, a
            value that is no setting of an evaluation or not allowed, or a folder of no use.
        RunFailed: the experiment raised anything else.
    """
    if split not in SPLITS:
        raise BadSetting(f"--split must be {', '.join(SPLITS[:-1])} or {SPLITS[-1]}, got {split!r}")
    kind = find_experiment(name, EXPERIMENTS)
    run = _for_split(_entry_point(kind, "evaluate"), split)
    with foreign(f"experiment {kind.name}"):
        config = _evaluated(kind, checkpoint, spelled(parse_overrides(overrides), kind()))
    refuse_missing([config])
    stem = f"{kind.name}-{config.digest()}-{config.seed}-{checkpoint.stem}"
    target = folder or runs / "evaluate" / stem
    own = checkpoint.resolve().parent
    if own.parent.name == FOLDER:
        own = own.parent.parent
    else:
        own = own.parent if own.name == "checkpoints" else own / checkpoint.name
    if own in (target.resolve(), *target.resolve().parents):
        raise BadSetting(f"--folder must not be that of the run that is evaluated, got {folder}")
    _prepare(target, config)
    session = PrintingSession(target.absolute(), checkpoint.absolute())
    try:
        _carry_out(run, config, session)
    finally:
        take_back(session.folder)


def _evaluated(kind: type[Config], checkpoint: Path, values: Mapping[str, object]) -> Config:
    """The configuration to evaluate a checkpoint with.

    The experiment may read the one in it by `trained(checkpoint, values)`. Otherwise it is that of
    `config.json` in the folder of the run, or the default one, with these values.

    Raises:
        LookupError, ValueError: no such path, or a value that would change the training.
    """
    trained: Any = getattr(_target(kind), "trained", None)
    if trained is not None:
        return kind.read(trained(checkpoint, values))
    if not checkpoint.exists():
        raise UnknownName(f"--evaluate-only must be a checkpoint, and {checkpoint} is none")
    files = [folder / "config.json" for folder in list(checkpoint.absolute().parents)[:2]]
    file = next((file for file in files if file.is_file()), None)
    before = kind() if file is None else kind.read(json.loads(file.read_text()))
    config = before.with_values(values)
    compare = getattr(before, "first_difference", None) if file else None
    if compare is not None and (found := compare(config)) is not None:
        path, there, here = found
        raise BadSetting(
            f"{path} must be {there!r}, as it was trained, got {here!r}; only settings of "
            f"evaluations, in a part called evaluation, may differ"
        )
    return config


def _for_split(run: Callable[..., Any], split: str) -> Callable[..., Any]:
    """What evaluates a split. Raises BadSetting if it cannot be told which, and must be."""
    if "split" in inspect.signature(run).parameters:
        return partial(run, split=split)
    if split != SPLITS[0]:
        raise BadSetting(
            f"--split must be {SPLITS[0]}, since the experiment's `evaluate` has no argument "
            f"split, got {split!r}"
        )
    return run


def _entry_point(kind: type[Config], purpose: str) -> Callable[..., Any]:
    from raysearch.trial.session import entry_point

    return entry_point(_target(kind), purpose)


def _target(kind: type[Config]) -> Any:
    from raysearch.trial.session import resolve

    os.environ.setdefault("OMP_NUM_THREADS", str(len(os.sched_getaffinity(0))))
    try:
        return resolve(kind.experiment)
    except ModuleNotFoundError as error:
        raise UnknownName(f"experiment {kind.name} needs {kind.experiment}: {error}") from None


def _prepare(folder: Path, config: Config) -> None:
    """Makes the folder of a run, and writes its configuration there.

    Raises:
        ValueError: it cannot be written, or holds a run of another configuration.
    """
    file = folder / "config.json"
    try:
        if file.exists() and any((folder / "checkpoints").glob("*")):
            _refuse_another(folder, json.loads(file.read_text()), config)
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(config.to_json(), indent=2))
    except OSError as error:
        raise BadSetting(f"--folder {folder} cannot be written: {error.strerror}") from None
    say(f"folder: {folder.absolute()}")


def _refuse_another(folder: Path, known: Any, config: Config) -> None:
    try:
        before = type(config).read(known)
        is_same = (before.digest(), before.seed) == (config.digest(), config.seed)
    except (LookupError, ValueError):
        is_same = False
    if not is_same:
        raise BadSetting(
            f"--folder must not hold a run of another configuration, as {folder} does by its "
            f"config.json; choose another one, or delete it"
        )


def _carry_out(run: Callable[..., Any], config: Config, session: PrintingSession) -> None:
    """Runs it to its end. What is wrong before it has said anything is bad input."""
    try:
        run(config.to_json(), session)
    except Exception as error:  # foreign code may end in any way
        is_input = type(error) in (LookupError, ValueError) and not session.has_begun
        if is_input:
            raise BadSetting(sentence(error)) from error
        if isinstance(error, FloatingPointError):
            raise
        raise RunFailed(f"{type(error).__name__}: {error}") from error
