"""Difference of two trials, of one search or of two: configurations, code, results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from raysearch.errors import BadSetting, RaysearchError, UnknownName
from raysearch.events.log import Store
from raysearch.events.schema import Recoded, Started
from raysearch.provenance import snapshot
from raysearch.provenance.environment import differences
from raysearch.results import opening
from raysearch.results.flat import flat
from raysearch.results.headings import headings
from raysearch.results.layout import Column
from raysearch.results.view import SearchView, TrialView
from raysearch.settings import Settings
from raysearch.sweeps.nearest import listed
from raysearch.sweeps.search_spec import CodeState, read_part
from raysearch.texts import decimals, plural, shown

_ABSENT = "absent"
_HEAD = 24
"""Letters of the name of a trial above its column."""
_FEW = 3


@dataclass(frozen=True)
class NamedTrial:
    """A trial by its search and number: `digits-1/3`."""

    search: str
    number: int

    @classmethod
    def read(cls, text: str, search: str | None = None) -> NamedTrial:
        """A trial as it is typed; `search` is meant where only a number is.

        Raises:
            BadSetting: it is neither `SEARCH/NUMBER` nor, where that is allowed, a number.
        """
        name, slash, number = text.rpartition("/")
        name = name if slash else search or ""
        if not name or not number.isdecimal() or len(number) > 9:
            wanted = "SEARCH/NUMBER" + ("" if search is None else f", or a number of {search!r}")
            raise BadSetting(f"a trial must be given as {wanted}, got {text!r}")
        return cls(name, int(number))

    def __str__(self) -> str:
        return f"{self.search}/{self.number}"


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same in two trials; of `results` also what is.

    `gap` is the second number minus the first; None where they are no numbers.
    """

    part: Literal["configuration", "code", "results"]
    name: str
    first: Any
    second: Any
    gap: float | None = None


@dataclass(frozen=True)
class _Trial:
    """A trial, its search, the folder of that, and the snapshots it ran from."""

    named: NamedTrial
    view: SearchView
    trial: TrialView
    folder: Path
    codes: list[str | None]


def columns(first: NamedTrial, second: NamedTrial) -> list[Column[Difference]]:
    """The columns of a table of differences; two trials of one search are told by their numbers."""
    heads = _heads(first, second)
    return [
        Column("part", "", lambda row: row.part, priority=9),
        Column("name", "", lambda row: row.name, lambda row: row.name, may_drop=False, priority=8),
        Column("first", heads[0], lambda row: row.first, lambda row: _text(row, row.first),
               may_drop=False, priority=7),
        Column("second", heads[1], lambda row: row.second, lambda row: _text(row, row.second),
               may_drop=False, priority=6),
        Column("gap", "difference", lambda row: row.gap,
               lambda row: "" if row.gap is None else f"{row.gap:+.4g}", align="right", priority=5),
    ]  # fmt: skip


def _heads(first: NamedTrial, second: NamedTrial) -> list[str]:
    is_one = first.search == second.search
    names = [f"trial {each.number}" if is_one else str(each) for each in (first, second)]
    return headings(names, _HEAD)


def compare_trials(first: NamedTrial, second: NamedTrial, settings: Settings) -> list[Difference]:
    """What differs between two trials, and how their results compare.

    Raises:
        UnknownName: there is no such search or trial.
    """
    one, other = _find(first, settings), _find(second, settings)
    return [*_configurations(one, other), *_code(one, other), *_results(one, other)]


def codes_of(store: Store, view: SearchView, number: int) -> list[str | None]:
    """The snapshots that the attempts of a trial ran from, each once, the first one first."""
    code, found = view.begun.code, list[str | None]()
    for event in store.events(view.search, kinds=(Recoded, Started)):
        if isinstance(event.body, Recoded):
            code = read_part(CodeState, event.body.code, "code")
        elif event.trial == number:
            found.append(code.snapshot if code else None)
    return list(dict.fromkeys(found))


def _find(named: NamedTrial, settings: Settings) -> _Trial:
    store, view = opening.view_of(named.search, settings)
    trial = view.trials.get(named.number)
    if trial is None:
        last = max(view.trials, default=-1)
        there = f"; it has {len(view.trials)}" + (f", 0 to {last}" if last >= 0 else "")
        raise UnknownName(f"search {named.search!r} has no trial {named.number}{there}")
    codes = codes_of(store, view, named.number)
    return _Trial(named, view, trial, settings.folder(named.search), codes)


def _configurations(one: _Trial, other: _Trial) -> Iterator[Difference]:
    """Settings that are not the same, then the seeds if they are not."""
    sides = [
        {**flat(each.trial.config), "(seed)": each.trial.seed, "(sweep)": each.view.spec.sweep_name}
        for each in (one, other)
    ]
    yield from _unlike("configuration", *sides)


def _code(one: _Trial, other: _Trial) -> Iterator[Difference]:
    """Files and versions that are not the same, if snapshots are not."""
    commits = [{"git commit": each.view.spec.git.commit or _ABSENT} for each in (one, other)]
    yield from _unlike("code", *commits)
    names = [each.codes[-1] if each.codes else None for each in (one, other)]
    if names[0] == names[1]:
        return
    try:
        manifests = [
            {} if name is None else snapshot.manifest(each.folder, name)
            for each, name in zip((one, other), names, strict=True)
        ]
        machines = [
            {} if name is None else snapshot.versions(each.folder, name)
            for each, name in zip((one, other), names, strict=True)
        ]
    except RaysearchError as error:
        yield Difference("code", "snapshot", f"{names[0]}", f"{names[1]}: {error}")
        return
    if None in names:
        kept = ["not kept" if name is None else name for name in names]
        yield Difference("code", "snapshot", kept[0], kept[1])
        return
    yield from _files(*(each["sources"] for each in manifests))
    for name, then, now in differences(*machines):
        yield Difference("code", name, then, now)


def _files(one: Mapping[str, str], other: Mapping[str, str]) -> Iterator[Difference]:
    """A file of which each has another content, or that one lacks."""
    for name in sorted(name for name in {*one, *other} if one.get(name) != other.get(name)):
        hashes = [side[name][:8] if name in side else _ABSENT for side in (one, other)]
        yield Difference("code", name.partition("/")[2], hashes[0], hashes[1])


def _results(one: _Trial, other: _Trial) -> Iterator[Difference]:
    sides = [_outcome(each) for each in (one, other)]
    for name in dict.fromkeys(name for side in sides for name in side):
        first, second = (side.get(name) for side in sides)
        if first is not None or second is not None:
            yield Difference("results", name, first, second, _gap(first, second))


def _outcome(one: _Trial) -> dict[str, Any]:
    """How a trial ended, what it found, what it took."""
    trial, spec = one.trial, one.view.spec
    found: dict[str, Any] = {"state": trial.state}
    values = trial.values or (trial.reports[-1][2] if trial.reports else None) or []
    found |= dict(zip((metric.name for metric in spec.metrics), values, strict=False))
    found |= trial.tested.get("metrics") or {}
    last = trial.reports[-1] if trial.reports else None
    found |= {"step": last[0] if last else None, spec.fidelity: last[1] if last else None}
    if trial.started and trial.ended:
        found["seconds"] = (trial.ended - trial.started) / 1000
    return {**found, **trial.last_costs, "reason": trial.reason or None}


def _gap(first: Any, second: Any) -> float | None:
    if any(isinstance(each, bool) or not isinstance(each, int | float) for each in (first, second)):
        return None
    return second - first


def _unlike(
    part: Literal["configuration", "code"], one: Mapping[str, Any], other: Mapping[str, Any]
) -> Iterator[Difference]:
    for name in dict.fromkeys([*one, *other]):
        first, second = (side.get(name, _ABSENT) for side in (one, other))
        if first != second or type(first) is not type(second):
            yield Difference(part, name, first, second)


def telling(
    rows: Iterable[Difference], first: NamedTrial, second: NamedTrial
) -> tuple[list[Difference], list[str]]:
    """The rows that say how two trials differ, and in words what is left out.

    That is what is equal, and of what only one of them has all but a few rows.
    """
    kept: list[Difference] = []
    equal: list[str] = []
    lone: dict[NamedTrial, list[str]] = {first: [], second: []}
    for row in rows:
        whose = None if None not in (row.first, row.second) else second
        whose = first if row.second is None else whose
        if row.first == row.second:
            equal.append(row.name)
        elif whose is not None and row.part == "results" and len(lone[whose]) >= _FEW:
            lone[whose].append(row.name)
        else:
            kept.append(row)
            if whose is not None:
                lone[whose].append("")
    lines = [f"equal in both: {listed(equal, _FEW)}"] if equal else []
    for whose, names in lone.items():
        more = [name for name in names if name]
        head = _heads(first, second)[0 if whose == first else 1]
        if more:
            lines.append(f"{len(more)} more only of {head}, such as {more[0]}")
    return kept, lines


def _text(row: Difference, value: Any) -> str:
    if isinstance(value, float):
        return decimals(value) if row.part == "results" else f"{value:.8g}"
    return "" if value is None else shown(value, 80)


def in_words(found: Iterable[Difference]) -> str:
    """How many settings differ, and whether the code does."""
    rows = list(found)
    settings = [row.name for row in rows if row.part == "configuration"]
    code = [row.name for row in rows if row.part == "code"]
    differ = f"{plural(len(settings), 'setting')} {'differs' if len(settings) == 1 else 'differ'}"
    what = differ if settings else "the configurations are the same"
    return f"{what}; {f'the code differs: {listed(code, 4)}' if code else 'the code is the same'}"
