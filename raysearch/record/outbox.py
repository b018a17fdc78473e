"""What waits to be written to one MLflow run: as few requests as can be, harmless when repeated."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_REFUSED = re.compile(r"[^\w\-. /:]")
_METRICS, _PARAMS, _TAGS = 800, 100, 100
"""MLflow takes 1000 things in a request, at most 100 of them parameters and 100 tags."""
_LONGEST_PARAM, _LONGEST_TAG = 6000, 5000


def fitting(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags as MLflow takes them: at most 5000 characters each."""
    return {name: value[:_LONGEST_TAG] for name, value in tags.items()}


def key(name: str) -> str:
    """A name as MLflow accepts it: other characters than letters, digits, `_-./: ` become `_`."""
    return _REFUSED.sub("_", name)


@dataclass
class Outbox:
    """News of one run. A later tag or status takes the place of an earlier one.

    Tags of the run that begin with one of `only` are taken off unless they are among `tags`.
    """

    run: str
    metrics: list[Any] = field(default_factory=list[Any])
    params: dict[str, str] = field(default_factory=dict[str, str])
    tags: dict[str, str] = field(default_factory=dict[str, str])
    only: tuple[str, ...] = ()
    datasets: list[Any] = field(default_factory=list[Any])
    status: str | None = None
    ended: int | None = None

    def metric(self, name: str, value: float, time: int, step: int) -> None:
        """A point; one that is not finite is left out: MLflow stores infinity as 1.8e308."""
        from mlflow.entities import Metric

        if math.isfinite(value):
            self.metrics.append(Metric(key(name), value, time, step))

    def dataset(self, name: str, digest: str, sizes: Mapping[str, int]) -> None:
        """A data set with its fingerprint and the sizes of its splits."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        source = json.dumps({"name": name})
        data = Dataset(name, digest[:36], "code", source, profile=json.dumps(dict(sizes)))
        self.datasets.append(DatasetInput(data, [InputTag("mlflow.data.context", "training")]))

    def send(self, client: Any) -> None:
        """Writes everything."""
        from mlflow.entities import Param, RunTag

        metrics = self.metrics
        params = [Param(name, value[:_LONGEST_PARAM]) for name, value in self.params.items()]
        tags = [RunTag(name, value) for name, value in fitting(self.tags).items()]
        while metrics or params or tags:
            client.log_batch(self.run, metrics[:_METRICS], params[:_PARAMS], tags[:_TAGS])
            metrics, params, tags = metrics[_METRICS:], params[_PARAMS:], tags[_TAGS:]
        if self.only:
            for name in sorted(client.get_run(self.run).data.tags):
                if name.startswith(self.only) and name not in self.tags:
                    client.delete_tag(self.run, name)
        if self.datasets:
            client.log_inputs(self.run, self.datasets)
        if self.status == "RUNNING":
            client.update_run(self.run, self.status)
        elif self.status is not None:
            client.set_terminated(self.run, self.status, self.ended)
