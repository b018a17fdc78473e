"""Searches as their events tell them, made by hand for the report: many trials, with curves."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from raysearch.events.log import Event
from raysearch.results.view import SearchView
from raysearch.sweeps.sweep import bare
from tests.raysearch.events.facts import fact
from tests.raysearch.events.streams import SPEC

ACCURACY = {"name": "val/accuracy", "direction": "maximize", "reduce": "best"}
TIME = {"name": "val/milliseconds", "direction": "minimize", "reduce": "last"}
BEGIN = 1_780_000_000_000
MANY = {
    "finalists": 3, "repeats": 1, "points": None, "time": None, "threads": 1, "cpus": 1.0,
    "gpus": 0.0, "memory": 2_000_000_000, "packages": {"python": "3.11.9", "torch": "2.14.1"},
    "experiment": "trainables.ssl.experiment:Supervised",
    "command": "raysearch search ssl.by_hand --trials 200 --pruner median:warmup=2 --seed 3",
}  # fmt: skip

FLOAT = {"type": "float", "low": 0.0, "high": 0.3, "log": False, "step": None}
LOG = {"type": "float", "low": 1e-4, "high": 1.0, "log": True, "step": None}
INT = {"type": "int", "low": 1, "high": 6, "log": False, "step": 1}


def choice(*choices: Any) -> dict[str, Any]:
    return {"type": "choice", "choices": list(choices)}


def config_of(params: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """The configuration with these values at their paths."""
    config: dict[str, Any] = {"training": {"epochs": 20, "seed": seed}}
    for name, value in params.items():
        *parents, last = bare(name).split(".")
        at = config
        for parent in parents:
            at = at.setdefault(parent, {})
        at[last] = value
    return config


@dataclass
class Stream:
    """Events of a search, one after the other; `seconds` is the clock."""

    spec: dict[str, Any] = field(default_factory=dict[str, Any])
    name: str = "by-hand"
    seconds: float = 0.0
    events: list[Event] = field(default_factory=list[Event])

    def __post_init__(self) -> None:
        self.say("created", **{**SPEC, **MANY, "search": self.name, **self.spec})

    def say(self, kind: str, trial: int | None = None, /, **body: Any) -> None:
        moment = BEGIN + round(1000 * self.seconds)
        self.events.append(
            Event(len(self.events) + 1, self.name, trial, moment, fact(kind, **body))
        )

    def ask(
        self,
        number: int,
        params: Mapping[str, Any],
        distributions: Mapping[str, Any],
        seed: int = 0,
        **links: Any,
    ) -> None:
        origin = links.pop("origin", "sampler")
        self.say(
            "asked",
            number,
            params=dict(params),
            distributions=dict(distributions),
            config=config_of(params, seed),
            digest=repr(sorted(params.items())),
            seed=seed,
            origin=origin,
            system_attrs={},
            **links,
        )
        self.say("started", number, attempt=1, folder=f"{number:04d}/attempt-1", restored=None)

    def report(self, number: int, epoch: int, raw: list[float], best: list[float]) -> None:
        self.seconds += 0.5
        names = [metric["name"] for metric in self.events[0].body.plain()["metrics"]]
        metrics = {**dict(zip(names, raw, strict=True)), "train/loss": 1.0, "progress/epochs": 0.0}
        self.say(
            "report", number, attempt=1, step=38 * epoch, fidelity=epoch, metrics=metrics,
            values=best, checkpoint=None,
        )  # fmt: skip

    def tell(self, number: int, state: str, values: list[float] | None, reason: str = "") -> None:
        self.seconds += 0.2
        self.say(
            "told", number, state=state, values=values, reason=reason, constraint=0,
            best_step=None, best_checkpoint=None, duplicate_of=None,
        )  # fmt: skip

    def view(self) -> SearchView:
        return SearchView.of(self.name, self.events)


Point = tuple[dict[str, Any], dict[str, Any]]


def vit(draw: random.Random) -> Point:
    """A point of a space with a branch: layers, patches, dropout, an optimiser with its rates."""
    params: dict[str, Any] = {
        "model.layers": draw.randint(1, 6),
        "model.patch_size": draw.choice([2, 4, 8]),
        "model.dropout": draw.uniform(0, 0.3),
        "schedule.kind": draw.choice(["cosine", "linear", "constant"]),
        "optimizer.kind": draw.choice(["adamw", "sgd"]),
    }
    kinds = {
        "model.layers": INT, "model.patch_size": choice(2, 4, 8), "model.dropout": FLOAT,
        "schedule.kind": choice("cosine", "linear", "constant"),
        "optimizer.kind": choice("adamw", "sgd"),
    }  # fmt: skip
    rate = 10 ** draw.uniform(-4, 0)
    if params["optimizer.kind"] == "adamw":
        params["optimizer[adamw].lr"] = rate
        params["optimizer[adamw].weight_decay"] = 10 ** draw.uniform(-4, 0)
        kinds |= {"optimizer[adamw].lr": LOG, "optimizer[adamw].weight_decay": LOG}
    else:
        params["optimizer[sgd].lr"] = rate
        kinds |= {"optimizer[sgd].lr": LOG}
    return params, kinds


def goodness(params: Mapping[str, Any]) -> float:
    """How good a point is, 0…1: a peak in the learning rate, more layers are better."""
    rate = params.get("optimizer[adamw].lr") or params.get("optimizer[sgd].lr") or 1e-2
    peak = -2.3 if params.get("optimizer.kind") == "adamw" else -0.8
    fit = math.exp(-((math.log10(rate) - peak) ** 2) / 0.9)
    fit *= 0.88 + 0.02 * params.get("model.layers", 3) - 0.15 * params.get("model.dropout", 0.1)
    return 0.1 + 0.88 * fit * (0.9 if params.get("model.patch_size") == 8 else 1.0)


def curve(goal: float, draw: random.Random, epochs: int) -> list[float]:
    pace = draw.uniform(2.0, 6.0)
    return [
        0.1 + (goal - 0.1) * (1 - math.exp(-epoch / pace)) + draw.gauss(0, 0.008)
        for epoch in range(1, epochs + 1)
    ]


def many(trials: int = 200, epochs: int = 20, ends: bool = True, seed: int = 0) -> Stream:
    """A search with pruned, failed and infeasible trials, better with time; tested at its end."""
    draw, stream = random.Random(seed), Stream({"trials": trials})
    for number in range(trials):
        params, kinds = vit(draw)
        for _ in range(number // 60):  # as a sampler that learns
            other = vit(draw)
            params, kinds = max((params, kinds), other, key=lambda point: goodness(point[0]))
        stream.ask(number, params, kinds, origin="sampler" if number else "default")
        run(stream, number, goodness(params), draw, epochs)
    if ends:
        end(stream)
    return stream


def run(stream: Stream, number: int, goal: float, draw: random.Random, epochs: int) -> None:
    """A trial to its end: one in thirty fails, one in forty diverges, a bad one is pruned."""
    chance = draw.random()
    scores, best = curve(goal, draw, epochs), 0.0
    for epoch, score in enumerate(scores, 1):
        best = max(best, score)
        stream.report(number, epoch, [score], [best])
        if epoch == 3 and chance < 0.03:
            error = f"exception: ValueError: heads must divide width, got {number}"
            return stream.tell(number, "failed", None, error)
        if epoch == 2 and 0.03 < chance < 0.06:
            return stream.tell(number, "infeasible", None, f"diverged: loss = nan at step {number}")
        if epoch >= 5 and goal < 0.62 and draw.random() < 0.3:
            return stream.tell(number, "pruned", [best], f"pruned at epochs {epoch}")
    return stream.tell(number, "complete", [best])


def end(stream: Stream) -> None:
    """The test of winner and default, and the end."""
    best = stream.view().best()
    assert best is not None
    for number, role, score in ((best.number, "winner", 0.951), (0, "default", 0.874)):
        metrics = {"test/loss": 1 - score, "test/accuracy": score}
        stream.say("tested", number, role=role, metrics=metrics, error="")
    stream.say("finished", reason="", best=best.number)


def picture(path: Path) -> None:
    """A picture as an experiment leaves one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(4, 3))
    FigureCanvasAgg(figure)
    figure.subplots().imshow([[5, 1], [0, 7]], cmap="Blues")
    figure.savefig(path)
