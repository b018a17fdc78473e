"""Names of the columns of a table, each for one thing: a parameter, a metric, a fact of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

METRIC, OWN = "metric:", "raysearch:"
"""What stands before the name of a column that something else has."""


class Columns:
    """Names for all that a row says; `raysearch results` and `--known` agree on them.

    A parameter always stands under its own name. A metric that is called like one is `metric:lr`,
    and a column of ours that is called like a parameter or a metric is `raysearch:step`.
    """

    def __init__(self, is_parameter: Callable[[str], bool], metrics: Iterable[str]) -> None:
        self._is_parameter = cache(is_parameter)  # of a search it looks at all trials
        self._metrics = {name: self._free(METRIC, name, ()) for name in metrics}

    def metric(self, name: str) -> str:
        """The column of an objective."""
        return self._metrics[name]

    def own(self, name: str) -> str:
        """The column of something that we say of a trial or a search."""
        return self._free(OWN, name, self._metrics.values())

    def of_metric(self, name: str, word: str) -> str:
        """The column of something that we say of an objective, such as its `mean`."""
        return self.own(f"{self._metrics[name]} {word}")

    def _free(self, prefix: str, name: str, taken: Iterable[str]) -> str:
        while self._is_parameter(name) or name in taken:
            name = f"{prefix}{name}"
        return name


def has_path(config: Mapping[str, Any], path: str) -> bool:
    """Whether a configuration, as JSON, has something at a dotted path."""
    here: Any = config
    for part in path.split("."):
        if not isinstance(here, Mapping) or part not in here:
            return False
        here = here[part]
    return True
