"""Checks of a sweep before any trial; what is wrong is one sentence each."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from itertools import islice
from typing import Any

from raysearch.errors import BadSetting, UnknownName, sentence
from raysearch.sweeps.distributions import Distribution, plain
from raysearch.sweeps.nearest import on_offer
from raysearch.sweeps.repeatable import refuse_change
from raysearch.sweeps.space import Point, Space
from raysearch.sweeps.sweep import bare
from raysearch.sweeps.walk import from_params, from_rng, where
from raysearch.texts import article

_FEW = 100
"""Each value of parameters with at most so many is written as JSON and read back once."""
_TRIED = 2_000
"""At so many points another value of a parameter is tried before it counts as void."""


def check_space(space: Space) -> None:
    """Checks the declared names, each seen point, the given values, and that no value is void.

    Raises:
        ValueError, LookupError: one sentence that names the parameter and what is allowed.
    """
    first = space.sample(random.Random(0))
    _check_config(space, first.config)
    refuse_change(space)
    names = space.survey.distributions  # first: a class may learn its paths by being made
    paths = type(first.config).paths()
    _check_choices(space, paths)
    _check_fixed_names(space, paths)
    for name in names:
        _check_name(space, name, paths)
    effective: set[str] = set()
    looked = _Looked()
    for point in _seen(space):
        if type(point.config) is not type(first.config):
            raise BadSetting(
                f"sweep {space.sweep.name} must return one class of configuration, got "
                f"{type(first.config).__name__} and {type(point.config).__name__}"
            )
        _check_values(space, point)
        if looked.adds(point):
            _check_json(space, point.config)
        effective.update(path for path in space.fixed if _holds(space, point, path))
    _check_fixed_effects(space, effective)
    _check_void(space)


def _seen(space: Space) -> Iterator[Point]:
    for params in space.survey.params:
        yield space.point(params)


def _check_config(space: Space, config: Any) -> None:
    if not isinstance(config, type) and hasattr(type(config), "paths"):
        experiment = getattr(config, "experiment", None)
        if isinstance(experiment, str) and all(experiment.partition(":")):
            return _check_use(space, config)
        raise BadSetting(
            f"experiment of {type(config).__name__}, which sweep {space.sweep.name} returns, must "
            f"be 'module:attribute', got {experiment!r}"
        )
    raise BadSetting(
        f"sweep {space.sweep.name} must return a configuration of an experiment (a class derived "
        f"from that of all configurations), got {article(type(config).__name__)}"
    )


def _check_use(space: Space, config: Any) -> None:
    """What is asked of each configuration: a decorator on the class may have broken it."""
    _check_json(space, config)
    try:
        seed, digest = config.seed, config.digest()
        other = config.with_seed(seed + 1)
        follows = other.seed == seed + 1 and type(config.seed) is int
        counts = other.digest() == digest and other.to_json() != config.to_json()
    except Exception as error:
        raise BadSetting(
            f"sweep {space.sweep.name} must return a configuration of an experiment, and "
            f"{type(config).__name__} is none that works ({type(error).__name__}: {error}); derive "
            f"it from RunConfig (trainables.core.run) or ExperimentConfig, without a decorator"
        ) from None
    if not (follows and counts):
        raise BadSetting(
            f"{type(config).__name__} of sweep {space.sweep.name} must have its seed where "
            f"with_seed puts it, and a digest without it: with another seed, {seed + 1}, it says "
            f"seed {other.seed!r}, digest {other.digest()} instead of {digest}; a field or method "
            f"of it hides one of all configurations"
        )


def _check_json(space: Space, config: Any) -> None:
    """All values survive JSON, in which they travel to trials and into the events.

    A configuration may say by `lossy()` which do not: paths, each with why.
    """
    what = f"{type(config).__name__} of sweep {space.sweep.name}"
    lossy: dict[str, str] = config.lossy() if hasattr(config, "lossy") else {}
    for path, why in lossy.items():
        raise BadSetting(f"{path} of {what} must have a type and value that JSON keeps: {why}")
    try:
        written = config.to_json()
        again = type(config).read(json.loads(json.dumps(written, allow_nan=False)))
    except Exception as error:  # people's own validators and serializers
        raise BadSetting(f"{what} must be readable from its own JSON: {sentence(error)}") from error
    if again != config or again.to_json() != written:
        changed = [name for name in written if getattr(again, name, 0) != getattr(config, name, 0)]
        raise BadSetting(
            f"{', '.join(changed) or 'a field'} of {what} must have a type that JSON keeps: read "
            f"back, it is another value"
        )


class _Looked:
    """The values of sampled parameters that were looked at, a few of each."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, object]] = set()

    def adds(self, point: Point) -> bool:
        """Whether a point has a value that was not there, of parameters that have only a few."""
        new = {
            (name, repr(value))
            for name, value in point.params.items()
            if not isinstance(value, float) and (point.distributions[name].count or 0) <= _FEW
        } - self._seen
        self._seen |= new
        return bool(new)


def _check_choices(space: Space, paths: frozenset[str]) -> None:
    for name, declared in space.sweep.choices.items():
        if not name.startswith("choice.") or not declared:
            raise BadSetting(
                f"choices of sweep {space.sweep.name} must map 'choice.<name>' to the paths it "
                f"sets, got {name!r}: {declared!r}"
            )
        for path in declared:
            if path not in paths:
                raise UnknownName(
                    f"{name} of sweep {space.sweep.name} sets {path!r}, which no configuration "
                    f"has{on_offer(path, paths)}"
                )


def _check_name(space: Space, name: str, paths: frozenset[str]) -> None:
    if name.startswith("choice."):
        if bare(name) not in space.sweep.choices:
            raise UnknownName(
                f"{name} of sweep {space.sweep.name} must be declared with the paths it sets, "
                f"choices={{{name!r}: (…)}}{on_offer(name, space.sweep.choices)}"
            )
    elif bare(name) not in paths:
        raise UnknownName(
            f"{name!r} of sweep {space.sweep.name} is no path of its configuration"
            f"{on_offer(bare(name), paths)}"
        )


def _check_fixed_names(space: Space, paths: frozenset[str]) -> None:
    known = paths | set(space.sweep.choices)
    for path in space.fixed:
        if path not in known:
            raise UnknownName(
                f"{path!r} is no path of the configurations of sweep {space.sweep.name}"
                f"{on_offer(path, known)}"
            )


def _check_values(space: Space, point: Point) -> None:
    """Each sampled or given value is what the configuration has at its path."""
    for name, value in point.params.items():
        if bare(name).startswith("choice."):
            continue
        try:
            found = point.config.value_at(bare(name))
        except LookupError:
            raise BadSetting(
                f"{name} of sweep {space.sweep.name} is asked for where its configuration has no "
                f"{bare(name)}: at {where(point.params)}"
            ) from None
        if plain(found) != value:
            raise BadSetting(
                f"{name} of sweep {space.sweep.name} must be set in the configuration as it was "
                f"suggested, got {found!r} instead of {value!r} at {bare(name)}"
            )
    for name, (value, offered) in point.answered.items():
        if not bare(name).startswith("choice.") and not _holds(space, point, bare(name)):
            raise BadSetting(
                f"{bare(name)} must be one that sweep {space.sweep.name} can set, {offered}, got "
                f"{value!r}"
            )


def _holds(space: Space, point: Point, path: str) -> bool:
    if path.startswith("choice."):
        return any(bare(name) == path for name in point.answered)
    value = space.fixed[path]
    try:
        found = point.config.value_at(path)
        if found == value:
            return True  # else it may be written otherwise: a path with two slashes, a set
        return bool(point.config.with_values({path: value}).value_at(path) == found)
    except (LookupError, ValueError):
        return False


def _check_fixed_effects(space: Space, effective: set[str]) -> None:
    for path, value in space.fixed.items():
        if path not in effective:
            raise BadSetting(
                f"{path}={value!r} has no effect: no configuration of sweep {space.sweep.name} "
                f"takes it"
            )


def _check_void(space: Space) -> None:
    """A parameter whose value changes no digest, wherever it is asked for, is an error."""
    left = {
        name: distribution
        for name, distribution in space.survey.distributions.items()
        if distribution.count != 1
    }
    for params in islice(space.survey.params, _TRIED):
        if not left:
            return
        digest = space.point(params).digest
        for name in [name for name in left if name in params]:
            if _matters(space, params, name, left[name], digest):
                del left[name]
    for name, distribution in left.items():
        raise BadSetting(
            f"{name} of sweep {space.sweep.name} changes nothing: each value in {distribution} "
            f"gives the same configuration"
        )


def _matters(
    space: Space, params: dict[str, Any], name: str, distribution: Distribution, digest: str
) -> bool:
    rest = from_rng(random.Random(0))
    return any(
        space.run(from_params({**params, name: value}, rest)).digest != digest
        for value in distribution.some()
        if value != params[name]
    )
