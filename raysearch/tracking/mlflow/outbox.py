"""Requests that wait for one MLflow run: as few as can be, harmless when repeated."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from raysearch.tracking.mlflow.names import key
from raysearch.tracking.mlflow.refusals import is_of_content, said_of

_METRICS, _PARAMS, _TAGS = 800, 100, 100
"""MLflow takes 1000 things in a request, at most 100 of them parameters and 100 tags."""
_LONGEST_PARAM, _LONGEST_TAG = 6000, 5000
_LONGEST_DATA, _LONGEST_DIGEST = 500, 36
_STEPS = range(-(1 << 63), 1 << 63)
"""Steps that a database can hold."""
ASIDE = "raysearch.set_aside"
"""A tag of a run: what MLflow would not take of it, and why."""


def fitting(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags as MLflow takes them: text without NUL, at most 5000 characters each."""
    return {name: plain(value)[:_LONGEST_TAG] for name, value in tags.items()}


def param_value(value: object) -> str:
    """The value of a parameter as MLflow takes it: at most 6000 characters."""
    return plain(str(value))[:_LONGEST_PARAM]


def plain(text: str) -> str:
    """A text that every database takes: what is no Unicode, and NUL, as an escape."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\x00")


def takes(value: float, step: int) -> bool:
    """Whether MLflow holds such a point: it stores infinity as 1.8e308, and steps of 64 bits."""
    return not math.isinf(value) and step in _STEPS


@dataclass
class Outbox:
    """News of one run. A later tag or status takes the place of an earlier one.

    Tags of the run that begin with one of `only` are taken off unless they are among `tags`.
    `aside` are things that MLflow will never take, with the reason; `name` is what the run is
    called from now on.
    """

    run: str
    metrics: list[Any] = field(default_factory=list[Any])
    params: dict[str, str] = field(default_factory=dict[str, str])
    tags: dict[str, str] = field(default_factory=dict[str, str])
    only: tuple[str, ...] = ()
    datasets: list[Any] = field(default_factory=list[Any])
    name: str | None = None
    status: str | None = None
    ended: int | None = None
    aside: list[str] = field(default_factory=list[str])

    def metric(self, name: str, value: float, time: int, step: int) -> None:
        """A point; one that is infinite is set aside, not one that is not a number."""
        from mlflow.entities import Metric

        if takes(value, step):
            self.metrics.append(Metric(key(name), value, time, step))
        elif math.isinf(value):
            self.aside.append(f"metric {name!r}: infinite values")  # once, whatever the step
        else:
            self.aside.append(f"metric {name!r}: step {step} has more than 64 bits")

    def dataset(self, name: str, digest: str, sizes: Mapping[str, int]) -> None:
        """A data set with its fingerprint and the sizes of its splits."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        name, digest = plain(name)[:_LONGEST_DATA], plain(digest)[:_LONGEST_DIGEST]
        source = json.dumps({"name": name})
        data = Dataset(name, digest, "code", source, profile=json.dumps(dict(sizes)))
        self.datasets.append(DatasetInput(data, [InputTag("mlflow.data.context", "training")]))

    def send(self, client: Any) -> None:
        """Writes everything; what MLflow refuses of it is put `aside`, alone.

        Raises:
            Whatever MLflow raises when it cannot be reached, or takes nothing at all.
        """
        from mlflow.entities import Param, RunTag

        metrics = self.metrics
        params = [Param(key(name), param_value(value)) for name, value in self.params.items()]
        tags = [RunTag(name, value) for name, value in fitting(self.tags).items()]
        while metrics or params or tags:
            self._log(client, [*metrics[:_METRICS], *params[:_PARAMS], *tags[:_TAGS]])
            metrics, params, tags = metrics[_METRICS:], params[_PARAMS:], tags[_TAGS:]
        if self.only:
            for name in sorted(client.get_run(self.run).data.tags):
                if name.startswith(self.only) and name not in self.tags:
                    client.delete_tag(self.run, name)
        if self.datasets:
            self._log_inputs(client)
        if self.aside:
            self._say_aside(client)
        if self.name is not None:
            client.update_run(self.run, name=self.name)
        if self.status == "RUNNING":
            client.update_run(self.run, self.status)
        elif self.status is not None:
            client.set_terminated(self.run, self.status, self.ended)

    def _log(self, client: Any, things: Sequence[Any]) -> None:
        """Writes metrics, parameters and tags; halves what is refused until one thing is left."""
        try:
            _log_batch(client, self.run, things)
            return
        except Exception as error:
            if not is_of_content(client, self.run, error):
                raise
        if len(things) > 1:
            for half in (things[: len(things) // 2], things[len(things) // 2 :]):
                self._log(client, half)
            return
        try:  # once more: a server behind a proxy may have been away for a moment
            _log_batch(client, self.run, things)
        except Exception as error:
            if not is_of_content(client, self.run, error):
                raise
            self.aside.append(f"{_named(things[0])}: {said_of(error)}")

    def _log_inputs(self, client: Any) -> None:
        try:
            client.log_inputs(self.run, self.datasets)
        except Exception as error:
            if not is_of_content(client, self.run, error):
                raise
            self.aside.append(f"data set {self.datasets[0].dataset.name!r}: {said_of(error)}")

    def _say_aside(self, client: Any) -> None:
        """Keeps with the run what is not there: whatever refuses this refuses everything."""
        before = client.get_run(self.run).data.tags.get(ASIDE, "")
        lines = [line for line in before.splitlines() if line]
        lines += [line for line in dict.fromkeys(map(plain, self.aside)) if line not in lines]
        client.set_tag(self.run, ASIDE, "\n".join(lines)[:_LONGEST_TAG])


def _log_batch(client: Any, run: str, things: Sequence[Any]) -> None:
    from mlflow.entities import Metric, Param, RunTag

    kinds = (Metric, Param, RunTag)
    client.log_batch(run, *([one for one in things if isinstance(one, kind)] for kind in kinds))


def _named(thing: Any) -> str:
    from mlflow.entities import Metric, Param

    if isinstance(thing, Metric):
        return f"metric {thing.key!r} at step {thing.step}"
    return f"{'parameter' if isinstance(thing, Param) else 'tag'} {thing.key!r}"
