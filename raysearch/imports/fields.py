"""Names of another tool → paths of a configuration, and what the configuration has there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from raysearch.errors import BadSetting, UnknownName, foreign
from raysearch.sweeps.nearest import on_offer
from raysearch.sweeps.sweep import Config

_KIND = ".kind"
"""The end of a path that chooses the variant of a part."""


class Fields:
    """The paths of one configuration class, as another tool names them.

    Args:
        kind: the class.
        mapped: paths, or the metric, by the other tool's names where they differ; an empty path
            leaves a name out.
    """

    def __init__(self, kind: type[Config], mapped: Mapping[str, str] | None = None) -> None:
        self.kind = kind
        self.mapped = dict(mapped or {})
        self._paths = kind.paths()
        self._named: set[str] = set()
        self._variants: dict[str, dict[object, Config]] = {}

    def metric(self, name: str) -> str:
        """The metric of that name."""
        self._named.add(name)
        return self.mapped.get(name) or name

    def resolve(self, names: Iterable[str]) -> dict[str, str]:
        """The path of each name; names that are left out are not there.

        Raises:
            LookupError: names that are no paths and not mapped, each with the nearest paths.
            ValueError: two names with one path.
        """
        found: dict[str, str] = {}
        unknown: list[str] = []
        for name in names:
            self._named.add(name)
            path = self.mapped.get(name, name)
            if path and path not in self._paths:
                unknown.append(f"{name!r} (nearest: {', '.join(self._near(path)) or 'none'})")
            elif path in found.values():
                other = next(each for each, known in found.items() if known == path)
                raise BadSetting(f"{name} and {other} must have different paths, got {path} twice")
            elif path:
                found[name] = path
        if unknown:
            are = "is no path" if len(unknown) == 1 else "are no paths"
            raise UnknownName(
                f"{', '.join(unknown)} {are} of {self.kind.name}; say which by --map name=path, or "
                f"leave one out by --map name="
            )
        return found

    def check(self) -> None:
        """Raises LookupError if a name that was mapped did not occur."""
        for name, path in self.mapped.items():
            if name not in self._named:
                raise UnknownName(
                    f"--map {name}={path}: there is no {name!r}{on_offer(name, self._named)}"
                )

    def _near(self, name: str) -> list[str]:
        """The paths that end in the same word, or else those that look alike; three at most."""
        last = name.replace("/", ".").rpartition(".")[2]
        same = sorted(path for path in self._paths if path.rpartition(".")[2] == last)
        if same:
            return same[:3]
        ends: dict[str, list[str]] = {}
        for path in sorted(self._paths):
            ends.setdefault(path.rpartition(".")[2], []).append(path)
        alike = [path for end in get_close_matches(last, ends, 3, 0.5) for path in ends[end]]
        alike += get_close_matches(name, sorted(self._paths), 3, 0.5)
        return list(dict.fromkeys(alike))[:3]

    def branch(self, path: str, values: Sequence[object]) -> None:
        """Takes in which variants of a part the sweep has, if a path chooses one.

        Raises:
            ValueError: there is no such variant.
        """
        if path.endswith(_KIND):
            with foreign(f"experiment {self.kind.__name__}"):
                self._variants[path] = {
                    value: self.kind().with_values({path: value}) for value in values
                }

    def example(self, path: str) -> Any:
        """What the configuration has at a path by default, in the first variant with that path."""
        configs = [config for variants in self._variants.values() for config in variants.values()]
        for config in [*configs, self.kind()]:
            try:
                return config.value_at(path)
            except LookupError:
                continue
        return None

    def is_whole(self, path: str) -> bool:
        """Whether a path holds integers."""
        return type(self.example(path)) is int

    def is_real(self, path: str) -> bool:
        """Whether a path holds floats."""
        return type(self.example(path)) is float

    def condition(self, path: str) -> tuple[str, tuple[object, ...]] | None:
        """The path of the variant, and its values that have this path; None if all have it."""
        for chooser, variants in self._variants.items():
            if not path.startswith(chooser.removesuffix("kind")) or path == chooser:
                continue
            having = tuple(value for value, config in variants.items() if _has(config, path))
            if 0 < len(having) < len(variants):
                return chooser, having
        return None


def _has(config: Config, path: str) -> bool:
    try:
        config.value_at(path)
    except LookupError:
        return False
    return True
