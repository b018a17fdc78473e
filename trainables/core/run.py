"""The configuration of a whole run: what runs it, its seed, and the hash by which it is known."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field

from trainables.core.config import Config

EVALUATION = "evaluation"
"""The part of an experiment's configuration, if it has one, with the settings of evaluations."""
_ABSENT = "absent"


class SeededConfig(Config):
    """What the configurations of all experiments have; a subclass says where the seed is.

    `experiment` names what runs it, as `module:attribute`; `name` is `family.experiment`. What
    stands in a part called `evaluation` changes how networks are measured, not how they are
    trained: trained ones may be evaluated with other values there.
    """

    experiment: ClassVar[str]
    name: ClassVar[str]
    SEED: ClassVar[str]
    """The path of the seed."""

    if TYPE_CHECKING:  # a property here would stand in the way of a field there

        @property
        def seed(self) -> int:
            """The seed of the run; with the digest it identifies a trial."""
            ...

    def with_seed(self, seed: int) -> Self:
        """The same configuration with another seed of the run."""
        return self.with_values({self.SEED: seed})

    def missing(self) -> str | None:
        """What a run needs and is not there, such as its data: one sentence on what to do, or None.

        Asked before a run or a search begins, so that none begins in vain.
        """
        return None

    def digest(self) -> str:
        """16 hexadecimal digits of the SHA-256 of the experiment's name and the canonical form."""
        facts: list[Any] = [self.experiment, self.canonical()]
        text = json.dumps(facts, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @classmethod
    def evaluation_paths(cls) -> frozenset[str]:
        """The paths of the settings of evaluations: what stands in the part `evaluation`."""
        return frozenset(path for path in cls.paths() if path.startswith(f"{EVALUATION}."))

    def first_difference(self, other: SeededConfig) -> tuple[str, Any, Any] | None:
        """Why networks trained with the other configuration are not those of this one.

        Returns the path of the first value, the seed included, on which training depends and that
        differs, with both values (`absent` where it is none); None if there is no such value.
        """
        mine, others = _trained(self), _trained(other)
        for path in dict.fromkeys([*mine, *others]):
            values = mine.get(path, _ABSENT), others.get(path, _ABSENT)
            if values[0] != values[1]:
                return path, *values
        return None


class RunConfig(SeededConfig):
    """The configuration of an experiment of one's own: its own fields, and `seed`.

    `seed` is what a repeat changes: an experiment draws all that it draws at random from it.
    """

    SEED: ClassVar[str] = "seed"
    seed: int = Field(default=0, ge=0)  # pyright: ignore

    @classmethod
    def __pydantic_init_subclass__(cls, **arguments: Any) -> None:
        """Raises ValueError if `seed` was made something else; another default is none."""
        super().__pydantic_init_subclass__(**arguments)
        if cls.model_fields["seed"].annotation is not int:
            raise ValueError(
                f"seed of {cls.__name__} must be an int, since it is the seed of the run, which "
                f"repeats count up; leave it out or call the field otherwise"
            )

    def canonical(self) -> dict[str, Any]:
        """`to_json` without the seed and what is void."""
        return {name: value for name, value in super().canonical().items() if name != "seed"}


def _trained(config: SeededConfig) -> dict[str, Any]:
    """The values on which training depends, by path."""
    parts = {name: part for name, part in config.canonical().items() if name != EVALUATION}
    return {**_leaves(parts, ""), config.SEED: config.seed}


def _leaves(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        is_part = isinstance(value, Mapping)
        found |= _leaves(value, f"{prefix}{name}.") if is_part else {f"{prefix}{name}": value}
    return found
