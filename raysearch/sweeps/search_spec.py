"""The specification of a search: all that was decided when it began, frozen and typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Self, Union, get_args, get_origin, get_type_hints

from raysearch.errors import BadSetting
from raysearch.sweeps.sweep import Direction, Fidelity, Incomplete
from raysearch.texts import shown

FORMAT = 2
"""The version of what `SearchSpec.to_body` writes; see `raysearch.events.formats`."""

_WORDS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """An objective as a search keeps it; unlike a sweep's `Metric` it refuses nothing."""

    name: str
    """The metric that trials report."""
    direction: Direction
    """`maximize` or `minimize`."""
    reduce: str = "last"
    """How the reports of a trial become one value: `last`, `best` or `mean(k)`."""

    @property
    def is_maximized(self) -> bool:
        """Whether more is better."""
        return self.direction == "maximize"

    @property
    def sign(self) -> float:
        """By which a value becomes a cost: −1 where more is better, else 1."""
        return -1.0 if self.is_maximized else 1.0


@dataclass(frozen=True, slots=True)
class GitState:
    """The commit that a search began at; all None outside a repository."""

    commit: str | None = None
    """The hash of the commit."""
    branch: str | None = None
    """The branch, `HEAD` if there was none."""
    dirty: bool | None = None
    """Whether there were changes that were not committed."""


@dataclass(frozen=True, slots=True)
class CodeState:
    """The code that a search runs, as `provenance.snapshot` keeps it."""

    snapshot: str
    """The hash that names the snapshot, the folder of it below that of the search."""
    source: str = ""
    """The hash of the source files in it."""
    versions: str = ""
    """The hash of the versions and settings in it."""
    paths: tuple[str, ...] | None = None
    """Folders that its caller had added to where modules are looked for, if any."""


@dataclass(frozen=True, slots=True)
class EvaluatedTrial:
    """A finished trial that is evaluated with other settings."""

    search: str
    """The search that trained it."""
    trial: int
    """Its number there."""
    config: Mapping[str, Any]
    """The configuration that it was trained with."""
    params: Mapping[str, Any]
    """Its sampled values, by Optuna's names."""
    distributions: Mapping[str, Mapping[str, Any]]
    """What these were sampled from."""
    checkpoint: str
    """The absolute path of its best checkpoint."""
    bytes: int | None = None
    """The size of that file, if it is known."""
    sha256: str | None = None
    """The hash of that file, if it is known."""

    def link(self) -> dict[str, Any]:
        """What an evaluating trial knows of it."""
        link = {"search": self.search, "trial": self.trial, "checkpoint": self.checkpoint}
        file = {"bytes": self.bytes, "sha256": self.sha256}
        return link | {name: value for name, value in file.items() if value is not None}


@dataclass(frozen=True, slots=True)
class EvaluatedTrials:
    """The finished trials that a search evaluates, instead of training its own."""

    search: str
    """The search that they are of."""
    trials: tuple[EvaluatedTrial, ...]
    """The trials, best first."""


@dataclass(frozen=True, slots=True)
class KnownTrial:
    """A result that was known before the search."""

    params: Mapping[str, Any]
    """The values of its parameters, by Optuna's names."""
    values: tuple[float, ...]
    """The value of each objective."""


@dataclass(frozen=True, slots=True)
class KnownTrials:
    """Results of past runs that a search begins with."""

    trials: tuple[KnownTrial, ...]
    """The results, in the order of the file."""
    file: str | None = None
    """The CSV or JSON file that they were read from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSpec:
    """The specification of a search.

    It is the body of the event `created`; what is said of a search later (`extended`, `noted`,
    `tagged`, `recoded`) gives another one, by `dataclasses.replace`. A dataclass, since `list` and
    `status` read one of each search and must not pay for importing pydantic; `from_body` checks
    all types once, and an attribute is read faster than a key.

    Fields with a default change nothing where they have it.
    """

    search: str = ""
    """The name of the search; empty in a plan."""
    folder: str = ""
    """The absolute path of its folder when it began; empty in a plan."""
    sweep: str
    """The sweep, as `module:attribute`."""
    sweep_name: str
    """The name of the sweep, such as `ssl.digits_vit`."""
    experiment: str
    """The experiment that a trial runs, as `module:attribute`."""
    family: str
    """The name of its class of configurations, such as `ssl.supervised`."""
    metrics: tuple[MetricSpec, ...]
    """The objectives, at least one; the first is that by which lists are sorted."""
    fidelity: Fidelity
    """At equal numbers of what trials are compared: `epochs`, `samples` or `evaluations`."""
    space: str
    """The fingerprint of the space, by which a change of the sweep is seen."""
    defaults: str
    """The digest of the default configuration, by which a change of the defaults is seen."""
    question: str = ""
    """What the sweep asks, in a sentence."""
    sampler: str
    """The sampler with its arguments, such as `tpe` or `cmaes:population=8`."""
    pruner: str
    """The pruner with its arguments, such as `median:warmup=5`, or `none`."""
    trials: int | None = None
    """How many trials at most, repeats aside; None: all points, or until the time is up."""
    points: int | None = None
    """How many distinct points the grid has; None if it is none."""
    distinct: int | None = None
    """How many distinct points the space has, whatever samples it; None if they are not finite."""
    seed: int
    """The seed of the sampler."""
    fixed: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Values that were given, by config path."""
    outside: Mapping[str, str] = field(default_factory=dict[str, str])
    """Of these the ones outside of what the sweep offers: by path what it offers."""
    warnings: tuple[str, ...] = ()
    """What is doubtful of the search before it begins, a sentence each."""
    repeats: int = 1
    """With how many seeds a grid's points, or the best of a search, are run; from 1."""
    finalists: int = 0
    """How many of the best are run again with further seeds."""
    incomplete: Incomplete = "last"
    """Where a configuration stands of which a seed was lost: behind all others, or ranked."""
    concurrent: int
    """How many trials ran at once when it began; 0 where that is not known."""
    threads: int
    """Threads of each worker, which decide the last bits of its numbers; 0: not known."""
    workers: int = 1
    """Workers of each trial."""
    cpus: float = 1.0
    """CPUs of each worker."""
    gpus: float = 0.0
    """GPUs of each worker; a share of one if below 1."""
    memory: int
    """Bytes of memory that a trial may use."""
    patience: float
    """Seconds without progress after which a trial is taken to hang."""
    time: float | None = None
    """Seconds that the search may take in all; None: any."""
    trial_time: float | None = None
    """Seconds that each trial may take; None: any."""
    disk: int | None = None
    """Bytes that all checkpoints may take; None: any."""
    max_failures: str | None = None
    """More failed trials than this number, or share such as `20%`, end the search."""
    group: str = ""
    """The group of searches that it belongs to, or nothing."""
    tags: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Tags by name."""
    notes: str = ""
    """Notes of its user."""
    evaluates: EvaluatedTrials | None = None
    """The finished trials that it evaluates; None: it trains."""
    known: KnownTrials | None = None
    """Results that were known before."""
    request: Mapping[str, Any] | None = None
    """The request as plain JSON, by which an identical one goes on with this search."""
    git: GitState = field(default_factory=GitState)
    """Where the working tree was."""
    packages: Mapping[str, str] = field(default_factory=dict[str, str])
    """Versions of the packages that decide the numbers."""
    command: str = "raysearch"
    """The command that began it, without passwords."""
    tracking_uri: str | None = None
    """The tracking address; None: the default of the folder of runs, wherever that lies."""
    user: str = ""
    """Whose share of a cluster it takes from."""
    priority: int = 0
    """Of two searches of a cluster that with the higher one goes first."""
    code: CodeState | None = None
    """The code that it runs; None in a plan, and where it was not kept."""

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> Self:
        """The specification that `to_body` wrote, in this format.

        Raises:
            ValueError: names the field that is missing, or is of another type, and its value.
        """
        if missing := [each.name for each in fields(cls) if each.name not in body]:
            raise BadSetting(f"it lacks {', '.join(missing)}")
        return _read(cls, body, "")

    def to_body(self) -> dict[str, Any]:
        """All of it as plain JSON, with its `format`."""
        return {
            "format": FORMAT,
            **{each.name: to_plain(getattr(self, each.name)) for each in fields(self)},
        }

    @property
    def is_grid(self) -> bool:
        """Whether it runs all points of a finite space."""
        return self.sampler.partition(":")[0] == "grid"

    @property
    def metric(self) -> MetricSpec:
        """The first objective."""
        return self.metrics[0]


UNKNOWN = SearchSpec(
    sweep="",
    sweep_name="",
    experiment="",
    family="",
    metrics=(),
    fidelity="epochs",
    space="",
    defaults="",
    sampler="",
    pruner="",
    seed=0,
    concurrent=0,
    threads=0,
    memory=0,
    patience=0.0,
)
"""That of a search of which nothing can be read."""


def to_plain(value: Any) -> Any:
    """A value of a specification as plain JSON; of a part what is None is left out."""
    if is_dataclass(value):
        found = {each.name: to_plain(getattr(value, each.name)) for each in fields(value)}
        return {name: inner for name, inner in found.items() if inner is not None}
    if isinstance(value, Mapping):
        return {name: to_plain(inner) for name, inner in value.items()}
    return [to_plain(inner) for inner in value] if isinstance(value, tuple | list) else value


@cache
def _types(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def read_part(kind: Any, value: Any, path: str) -> Any:
    """A part of a specification, such as a `CodeState`. Raises ValueError as `from_body`."""
    return _read(kind, value, path)


def _read(kind: Any, value: Any, path: str) -> Any:
    """Plain JSON as a value of a type; a path names it in the error."""
    origin, inner = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return _read_fields(kind, value, path)
    if origin in (Union, UnionType):
        if value is None and NoneType in inner:
            return None
        return _read(next(each for each in inner if each is not NoneType), value, path)
    if origin is Literal:
        if value not in inner:
            raise BadSetting(f"{path} must be one of {', '.join(inner)}, got {shown(value)}")
    elif origin is tuple:
        if not isinstance(value, list | tuple):
            raise BadSetting(f"{path} must be a list, got {shown(value)}")
        return tuple(_read(inner[0], each, f"{path}[{at}]") for at, each in enumerate(value))
    elif origin is Mapping:
        if not isinstance(value, Mapping):
            raise BadSetting(f"{path} must be a mapping, got {shown(value)}")
        if inner[1] is not Any:
            return {name: _read(inner[1], each, f"{path}.{name}") for name, each in value.items()}
    elif kind is not Any and type(value) not in ((int, float) if kind is float else (kind,)):
        raise BadSetting(f"{path} must be {_WORDS[kind]}, got {shown(value)}")
    return value


def _read_fields(kind: Any, value: Any, path: str) -> Any:
    if not isinstance(value, Mapping):
        raise BadSetting(f"{path} must be a mapping, got {shown(value)}")
    types, found = _types(kind), dict[str, Any]()
    for each in fields(kind):
        where = f"{path}.{each.name}" if path else each.name
        if each.name in value:
            found[each.name] = _read(types[each.name], value[each.name], where)
        elif each.default is MISSING and each.default_factory is MISSING:
            raise BadSetting(f"it lacks {where}")
    return kind(**found)
