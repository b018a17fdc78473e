"""Configurations of programs: open sets of named values."""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from raysearch.errors import BadSetting, UnknownName
from raysearch.sweeps.nearest import on_offer
from raysearch.sweeps.program_start import missing
from raysearch.sweeps.values import as_json

PLACE = re.compile(r"\{\{|\}\}|\{([A-Za-z_][\w.\-]*)\}")
"""A place in a word of a command, or a brace that is doubled to be one."""
SPECIAL = ("seed", "config", "checkpoint", "resume", "workers")
"""Places that are no values of the sweep."""
_OWN = "program"
_NAME = re.compile(r"[+~]{0,2}[A-Za-z_@/-][\w.\-@/:]*")


class ProgramConfig:
    """The values of one run of a program: the configuration of a search over it.

    Each program has a class of its own, which knows its facts, defaults, and names seen so far.
    """

    experiment: ClassVar[str] = ""
    name: ClassVar[str] = ""
    facts: ClassVar[dict[str, Any]] = {}
    defaults: ClassVar[dict[str, Any]] = {}
    not_in_digest: ClassVar[tuple[str, ...]] = ()
    """Facts that change no run, such as where its folder lies."""
    _names: ClassVar[set[str]] = set()

    def __init__(
        self,
        values: Mapping[str, Any] | None = None,
        seed: int = 0,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        self._values = dict(self.defaults if values is None else values)
        self._seed = seed
        self._facts = dict(self.facts if facts is None else facts)
        self._names.update(self._values)

    @classmethod
    def kind(
        cls,
        experiment: str,
        name: str,
        facts: Mapping[str, Any],
        not_in_digest: Sequence[str],
        defaults: Mapping[str, Any],
    ) -> type[ProgramConfig]:
        """The class of the configurations of one program, the same one for equal programs.

        Raises:
            BadSetting: a default that cannot be given.
        """
        plain = _checked(defaults)
        identity = [experiment, name, facts, list(not_in_digest), plain]
        key = json.dumps(identity, default=str)
        if key in _KINDS:
            return _KINDS[key]
        own = {
            "experiment": experiment,
            "name": name,
            "facts": dict(facts),
            "not_in_digest": tuple(not_in_digest),
            "_names": set[str](),
            "__doc__": f"The values of a run of {name}.",
        }
        made: Any = type("ProgramConfig", (cls,), {**own, "defaults": plain})
        return _KINDS.setdefault(key, made)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """The configuration with these values; a `seed` among them is the seed, and passed on.

        Raises:
            BadSetting: a name or value that cannot be given, or a place of the command without one.
        """
        plain = _checked(values)
        seed = plain.pop("seed", 0)
        if type(seed) is not int:
            raise BadSetting(f"seed must be a whole number, got {seed!r}")
        facts = dict(cls.facts)
        if "seed" in values and "seed" in facts and facts["seed"] is None:
            facts["seed"] = "seed"
        config = cls(plain, seed, facts)
        _check_places(config)
        return config

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return self._seed

    @property
    def values(self) -> dict[str, Any]:
        """The values by name, without the seed."""
        return copy.deepcopy(self._values)

    def to_json(self) -> dict[str, Any]:
        """The values by name, the seed, and what the program is."""
        return {**self.values, "seed": self._seed, _OWN: copy.deepcopy(self._facts)}

    def canonical(self) -> dict[str, Any]:
        """What makes a run what it is: its values and its command, not where its files lie."""
        facts = {key: one for key, one in self._facts.items() if key not in self.not_in_digest}
        return {**self.values, _OWN: copy.deepcopy(facts)}

    def digest(self) -> str:
        """A short hash of the canonical form."""
        text = json.dumps([self.experiment, self.canonical()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def value_at(self, path: str) -> Any:
        """The value of this name. Raises LookupError if there is none."""
        if path == "seed":
            return self._seed
        if path not in self._values:
            raise UnknownName(
                f"{path!r} is no value of {self.name}{on_offer(path, [*self._values, 'seed'])}"
            )
        return self._values[path]

    def with_values(self, values: Mapping[str, object]) -> Self:
        """The configuration with other values of names that it has.

        Raises:
            LookupError: a name that it does not have. BadSetting: a value that cannot be given.
        """
        for path in values:
            self.value_at(path)
        plain = _checked(values)
        seed = plain.pop("seed", self._seed)
        if type(seed) is not int:
            raise BadSetting(f"seed must be a whole number, got {seed!r}")
        return type(self)({**self._values, **plain}, seed, self._facts)

    def with_seed(self, seed: int) -> Self:
        """The configuration with another seed."""
        return type(self)(self._values, seed, self._facts)

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """The configuration that `to_json` wrote."""
        values = {name: value for name, value in data.items() if name not in ("seed", _OWN)}
        return cls(_checked(values), int(data["seed"]), data[_OWN])

    @classmethod
    def paths(cls) -> frozenset[str]:
        """All names of values that were seen so far, and the seed."""
        return frozenset({*cls._names, "seed"})

    def missing(self) -> str | None:
        """The sentence on a file that its program needs and is not there, or None."""
        return missing(self._facts, PLACE) if "command" in self._facts else None

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.to_json() == self.to_json()

    def __hash__(self) -> int:
        return hash((self.digest(), self._seed))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self._values.items())
        return f"{self.name}({shown})"


_KINDS: dict[str, type[ProgramConfig]] = {}


def split(config: Mapping[str, Any]) -> tuple[dict[str, Any], int, dict[str, Any]]:
    """The values, the seed and the program of what `to_json` wrote."""
    values = {name: value for name, value in config.items() if name not in ("seed", _OWN)}
    return values, int(config["seed"]), dict(config[_OWN])


def places(word: str) -> list[str]:
    """The names that have a place in a word of a command."""
    return [found[1] for found in PLACE.finditer(word) if found[1]]


def has_place(word: str, name: str) -> bool:
    """Whether a word of a command has a place for a name."""
    return name in places(word)


def _checked(values: Mapping[Any, Any]) -> dict[str, Any]:
    """The values as plain JSON. Raises BadSetting for a name or value that cannot be given."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name == _OWN:
            raise BadSetting(
                f"the name of a value must be such as lr, batch-size or optimizer.lr, and not "
                f"{_OWN!r}, got {name!r}"
            )
        found[name] = as_json(name, value)
        if "\\u0000" in json.dumps(found[name]):
            raise BadSetting(f"{name} must have no NUL, got {value!r}")
    return found


def _check_places(config: ProgramConfig) -> None:
    """Each place of the command has a value and, where there are only places, each value one."""
    facts = config.to_json()[_OWN]
    if "command" not in facts:
        return
    named = [name for word in facts["command"] for name in places(word)]
    missing = [name for name in named if name not in config.values and name not in SPECIAL]
    if missing:
        raise BadSetting(
            f"command has a place {{{missing[0]}}} without a value"
            f"{on_offer(missing[0], list(config.values))}; a brace is written twice, as {{{{"
        )
    without = [name for name in config.values if name not in named]
    if facts["arguments"] == "places" and without:
        raise BadSetting(
            f"command must have a place {{{without[0]}}}, since arguments='places'; its places are "
            f"{', '.join(named) or 'none'}"
        )
