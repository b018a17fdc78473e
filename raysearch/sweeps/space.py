"""Walks a define-by-run space: counts it, enumerates it exactly, samples it, finds its default."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

from raysearch.errors import BadSetting, is_complaint, place_of, sentence
from raysearch.sweeps.distributions import Choice, Distribution, Float, Int
from raysearch.sweeps.exits import staying
from raysearch.sweeps.sweep import Config, Sweep, Trial, bare
from raysearch.sweeps.walk import (
    AskedTrial,
    ContinuousError,
    GivenError,
    Odometer,
    Source,
    from_params,
    from_rng,
    from_trial,
    where,
)

__all__ = ["Choice", "Count", "Distribution", "Float", "Int", "Point", "Space", "Survey"]

FEW = 50
"""Up to so many points a space is walked before anything is asked about it."""
ALL = 20_000
"""Up to so many points a finite space is walked whole to count or check it."""
SOME = 200
"""So many random points of a larger one are looked at."""


@dataclass(frozen=True)
class Point:
    """One point of a space: what was sampled, from what, and the configuration that came of it.

    `answered` has the fixed values that were asked for instead of sampled, by full name, with what
    the sweep offers.
    """

    params: dict[str, Any]
    distributions: dict[str, Distribution]
    config: Config
    answered: dict[str, tuple[object, Distribution]]

    @cached_property
    def digest(self) -> str:
        """The hash of the configuration without its seed."""
        return self.config.digest()

    @property
    def seed(self) -> int:
        """The seed of the configuration."""
        return self.config.seed

    @property
    def key(self) -> tuple[str, int]:
        """What identifies a trial: two points with one key are duplicates."""
        return self.digest, self.seed


@dataclass(frozen=True)
class Count:
    """How many points a space has, and how many of them differ in digest or seed.

    Both are None if the space is infinite or, then `more_than` says so, too large to be walked.
    `stated` is the number that the sweep's notes give.
    """

    points: int | None
    distinct: int | None
    stated: int | None
    more_than: int | None = None

    def __str__(self) -> str:
        if self.points is None:
            return "infinite" if self.more_than is None else f"more than {self.more_than}"
        same = "" if self.distinct == self.points else f", {self.distinct} of them distinct"
        return f"{self.points}{same}"


@dataclass(frozen=True)
class Survey:
    """What was seen of a space: each point's parameters, and every distribution by name.

    `keys` has the index of the first point of each key. `exact` says that these are all points;
    `continuous` names the parameters that make the space infinite.
    """

    params: list[dict[str, Any]]
    keys: dict[tuple[str, int], int]
    distributions: dict[str, Distribution]
    continuous: tuple[str, ...]
    exact: bool


class Space:
    """The points of a sweep, with some values given by the user.

    A value at the path of a parameter replaces its suggestions, under all its bracketed names; any
    other one is set in each configuration that has its path, after the sweep's function returned.
    """

    def __init__(self, sweep: Sweep, fixed: Mapping[str, object] | None = None) -> None:
        self.sweep = sweep
        self.fixed = dict(fixed or {})

    def suggest(self, trial: Trial) -> Point:
        """The point that another trial, such as Optuna's, leads to."""
        return self.run(from_trial(trial))

    def run(self, source: Source) -> Point:
        """The point that a source of values leads to.

        Raises:
            ValueError: the sweep gives no valid configuration there; says where and why.
        """
        asking = AskedTrial(source, self.fixed)
        try:
            with staying():
                config = self._with_fixed(self.sweep(asking), asking)
        except (GivenError, ContinuousError, _OutsideError):
            raise
        except (Exception, SystemExit) as error:  # a sweep is people's code: it may raise anything
            raise self._invalid(error, asking) from error
        return Point(asking.params, asking.distributions, config, asking.answered)

    def _invalid(self, error: BaseException, asking: AskedTrial) -> BadSetting:
        place = place_of(error, self.sweep.function.__code__.co_filename)
        at = [place] if place else []
        at += [f"at {where(asking.params)}"] if asking.params else []
        kind = "" if is_complaint(error) else f"{type(error).__name__}: "
        return BadSetting(
            f"sweep {self.sweep.name} gives no valid configuration: {kind}{sentence(error)}"
            + (f" ({', '.join(at)})" if at else "")
        )

    def _with_fixed(self, config: Any, asking: AskedTrial) -> Config:
        asked = {bare(name) for name in asking.answered}
        left = {path: value for path, value in self.fixed.items() if path not in asked}
        while True:  # a variant that is set may bring the paths of the next values
            here = {path: value for path, value in left.items() if _has(config, path)}
            if not here:
                return config
            try:
                config = config.with_values(here)
            except (ValueError, LookupError) as error:
                raise GivenError(sentence(error)) from error
            left = {path: value for path, value in left.items() if path not in here}

    def points(self) -> Iterator[Point]:
        """All points, each once, depth first over the suggestions.

        Raises:
            ValueError: there are infinitely many; names the continuous parameters.
        """
        odometer = Odometer()
        while True:
            try:
                yield self.run(odometer)
            except ContinuousError as error:
                names = dict.fromkeys((error.name, *self.survey.continuous))
                raise BadSetting(self.infinite(names)) from None
            if not odometer.advance():
                return

    def infinite(self, names: Mapping[str, object] | tuple[str, ...]) -> str:
        """The sentence that says that the space is infinite, and what to do."""
        first = next(iter(names))
        are = "is" if len(names) == 1 else "are"
        return (
            f"sweep {self.sweep.name} has infinitely many points, since {', '.join(names)} {are} "
            f"continuous; give a step or fix a value, such as {bare(first)}=…"
        )

    def point(self, params: Mapping[str, object]) -> Point:
        """The point at these parameters, all of them and no others.

        Raises:
            ValueError: one is missing, out of range, or not asked for.
        """
        point = self.run(from_params(params))
        extra = sorted(params.keys() - point.params.keys())
        if extra:
            raise BadSetting(f"sweep {self.sweep.name} does not ask for {', '.join(extra)} here")
        return point

    def sample(self, rng: random.Random, edges: float = 0.0) -> Point:
        """A random point; a share of its values are ends of their ranges."""
        return self.run(from_rng(rng, edges))

    def preview(self, count: int) -> Iterator[Point]:
        """The first points as a search would meet them: the default, then others."""
        default = self.default()
        if default is not None:
            yield default
        rest = count - (default is not None)
        others = self.points() if not self.survey.continuous else self._random_points()
        same = None if default is None else default.params
        yield from islice((point for point in others if point.params != same), max(rest, 0))

    def _random_points(self) -> Iterator[Point]:
        rng = random.Random(1)
        while True:
            yield self.sample(rng)

    def default(self) -> Point | None:
        """The point of the class's default values, inside the sweep's own constants.

        Of a `choice.<name>` it is the label whose paths then have their defaults. None if a default
        is not in the range of its parameter, or no label fits.

        Raises:
            BadSetting: a field of the class has no default, or a wrong one.
        """
        kind = type(self._any().config)
        try:
            default = kind()
        except Exception as error:
            raise BadSetting(
                f"each field of {kind.__name__}, which sweep {self.sweep.name} returns, must have "
                f"a default that is allowed, got: {sentence(error)}"
            ) from error
        return self._default(default, {})

    def _default(self, default: Config, labels: dict[str, object]) -> Point | None:
        missing: list[tuple[str, Distribution]] = []

        def answer(name: str, distribution: Distribution) -> object:
            if name in labels:
                return labels[name]
            if name.startswith("choice."):
                missing.append((name, distribution))
                return distribution.draw(random.Random(0))
            value = default.value_at(bare(name))
            if not distribution.contains(value):
                raise _OutsideError
            return value

        try:
            point = self.run(answer)
        except (_OutsideError, BadSetting):
            return None
        if not missing:
            return point if self._is_default(point, default) else None
        name, distribution = missing[0]
        for label in distribution.some():
            found = self._default(default, {**labels, name: label})
            if found is not None:
                return found
        return None

    def _is_default(self, point: Point, default: Config) -> bool:
        chosen = [bare(name) for name in point.params if name.startswith("choice.")]
        paths = [path for name in chosen for path in self.sweep.choices.get(name, ())]
        return all(
            _has(point.config, path)
            and _has(default, path)
            and point.config.value_at(path) == default.value_at(path)
            for path in paths
        )

    def _any(self) -> Point:
        return self.sample(random.Random(0))

    def count(self) -> Count:
        """How many points there are; walks the space."""
        survey = self.survey
        if survey.exact:
            return Count(len(survey.params), len(survey.keys), self.sweep.stated)
        more_than = None if survey.continuous else ALL
        return Count(None, None, self.sweep.stated, more_than)

    def parameters(self) -> dict[str, Distribution]:
        """Every sampled name with its one distribution. Raises ValueError if a name has two."""
        return dict(self.survey.distributions)

    def conditions(self) -> dict[str, list[dict[str, Any]]]:
        """For each parameter that is not always asked for: the values of its parents when it is."""
        from raysearch.sweeps.conditions import conditions

        return conditions(self.survey.params)

    def fingerprint(self) -> str:
        """A hash of what the space was seen to be: a changed space has another one."""
        survey = self.survey
        seen = {
            "parameters": {name: d.to_json() for name, d in sorted(survey.distributions.items())},
            "conditions": self.conditions(),
            "fixed": self.fixed,
            "points": len(survey.params) if survey.exact else None,
            "digests": [point.digest for point in self.preview(8)],
        }
        text = json.dumps(seen, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @cached_property
    def survey(self) -> Survey:
        """All points of a finite space of up to 20,000, 200 random ones of a larger one.

        Raises:
            ValueError: a point does not validate, or a name has two distributions.
        """
        few = self._few()
        if few is not None:
            return few
        rng = random.Random(0)
        probes = _Seen(self)
        for _ in range(SOME // 4):
            probes.add(self.sample(rng, edges=0.5))
        if not probes.continuous:
            walked = _Seen(self)
            try:
                for point in islice(self._walk(), ALL + 1):
                    walked.add(point)
                if len(walked.params) <= ALL:
                    return walked.survey(exact=True)
            except ContinuousError as error:
                probes.continuous[error.name] = None
        for _ in range(SOME - SOME // 4):
            probes.add(self.sample(rng, edges=0.5))
        return probes.survey(exact=False)

    def _few(self) -> Survey | None:
        """All points of a space of few, which is sooner walked than looked at here and there."""
        walked = _Seen(self)
        try:
            for point in islice(self._walk(), FEW + 1):
                walked.add(point)
        except ContinuousError:
            return None
        return walked.survey(exact=True) if len(walked.params) <= FEW else None

    def _walk(self) -> Iterator[Point]:
        odometer = Odometer()
        yield self.run(odometer)
        while odometer.advance():
            yield self.run(odometer)


class _OutsideError(Exception):
    """A default value is not in the range of its parameter."""


class _Seen:
    """Gathers what a survey holds, point by point, and drops the configurations."""

    def __init__(self, space: Space) -> None:
        self._sweep = space.sweep
        self.params: list[dict[str, Any]] = []
        self.keys: dict[tuple[str, int], int] = {}
        self.distributions: dict[str, Distribution] = {}
        self.continuous: dict[str, None] = {}

    def add(self, point: Point) -> None:
        """Takes in a point. Raises ValueError if it gives a known name another distribution."""
        self.keys.setdefault(point.key, len(self.params))
        self.params.append(point.params)
        for name, distribution in point.distributions.items():
            known = self.distributions.setdefault(name, distribution)
            if known != distribution:
                path = bare(name)
                head, _, tail = path.rpartition(".")
                raise BadSetting(
                    f"{name} of sweep {self._sweep.name} must have one distribution, got {known} "
                    f"and {distribution}; tell the branches apart by brackets, such as "
                    f"{head}[variant].{tail}"
                )
            if distribution.count is None:
                self.continuous[name] = None

    def survey(self, *, exact: bool) -> Survey:
        """What was gathered."""
        return Survey(self.params, self.keys, self.distributions, tuple(self.continuous), exact)


def _has(config: Any, path: str) -> bool:
    try:
        config.value_at(path)
    except LookupError:
        return False
    return True
