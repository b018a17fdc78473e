"""The searches that a report must be able to tell: one for each sort of outcome."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from typing import Any, cast

from raysearch.events.schema import Created
from tests.raysearch.pages.report_streams import (
    ACCURACY,
    LOG,
    TIME,
    Stream,
    choice,
    config_of,
    curve,
    end,
    goodness,
    many,
    vit,
)


def two_directions(trials: int = 60) -> Stream:
    """Accuracy against time: wide models are better and slower; no pruning."""
    draw = random.Random(1)
    stream = Stream({"metrics": [ACCURACY, TIME], "pruner": "none", "trials": trials})
    for number in range(trials):
        params, kinds = vit(draw)
        stream.ask(number, params, kinds, origin="sampler" if number else "default")
        goal, layers = goodness(params), params["model.layers"]
        lasts = layers * 16 / params["model.patch_size"] * draw.uniform(0.9, 1.1)
        scores = curve(goal, draw, 8)
        for epoch, score in enumerate(scores, 1):
            stream.report(number, epoch, [score, lasts], [max(scores[:epoch]), lasts])
        stream.tell(number, "complete", [max(scores), lasts])
    best = stream.view().best()
    assert best is not None
    metrics = {"test/accuracy": 0.93, "test/milliseconds": 31.0}
    stream.say("tested", best.number, role="winner", metrics=metrics, error="")
    stream.say("finished", reason="", best=best.number)
    return stream


def single() -> Stream:
    """One trial, complete."""
    stream, draw = Stream({"trials": 1, "pruner": "none"}), random.Random(2)
    params, kinds = vit(draw)
    stream.ask(0, params, kinds, origin="default")
    for epoch, score in enumerate(curve(0.8, draw, 10), 1):
        stream.report(0, epoch, [score], [score])
    stream.tell(0, "complete", [0.8])
    stream.say("finished", reason="", best=0)
    return stream


def none_completed() -> Stream:
    """Three trials that raised and one that diverged; the search was stopped for that."""
    stream, draw = Stream({"trials": 12}), random.Random(3)
    for number in range(4):
        stream.ask(number, *vit(draw))
        if number == 3:
            stream.report(number, 1, [0.12], [0.12])
            stream.tell(number, "infeasible", None, "diverged: val/accuracy = nan at step 76")
        else:
            stream.tell(number, "failed", None, "exception: KeyError: 'labels'")
    stream.say("stopped", reason="5 attempts failed with the same traceback", best=None)
    return stream


def created(stream: Stream) -> dict[str, Any]:
    """What its first event says, to be changed."""
    first = stream.events[0].body
    assert isinstance(first, Created)
    return cast("dict[str, Any]", first.body)


def running() -> Stream:
    """Forty trials of two hundred, two of them running, one waiting to be tried again."""
    stream, draw = many(40, ends=False), random.Random(4)
    created(stream)["trials"] = 200
    for number in (40, 41, 42):
        params, kinds = vit(draw)
        stream.ask(number, params, kinds)
        for epoch, score in enumerate(curve(goodness(params), draw, 6), 1):
            stream.report(number, epoch, [score], [score])
    stream.say("failed", 42, attempt=1, kind="killed", message="killed", traceback=None, again=True)
    return stream


def repeats() -> Stream:
    """The best three and the default again with four seeds; two of them tie."""
    stream, draw = many(60, ends=False), random.Random(5)
    created(stream).update(repeats=4, finalists=3)
    view = stream.view()
    finalists = [trial.number for trial in view.ranked()[:3]]
    points = {event.trial: event.body.plain() for event in stream.events if event.kind == "asked"}
    number = 60
    for seed in range(1, 5):
        for place in dict.fromkeys([*finalists, 0]):
            body = points[place]
            again: dict[str, Any] = {"seed": seed, "origin": "repeat", "repeat_of": place}
            stream.ask(number, body["params"], body["distributions"], **again)
            goal = (view.trials[place].values or [0.5])[0] - 0.02 + draw.gauss(0, 0.012)
            scores = curve(goal, draw, 20)
            for epoch, score in enumerate(scores, 1):
                stream.report(number, epoch, [score], [max(scores[:epoch])])
            stream.tell(number, "complete", [max(scores)])
            number += 1
    end(stream)
    return stream


def grid(seeds: int = 1) -> Stream:
    """All cells of choices: words, numbers, truth values and None; each with so many seeds."""
    spec = {"sampler": "grid", "pruner": "none", "trials": None, "points": 36, "repeats": seeds}
    stream, draw = Stream(spec), random.Random(6)
    kinds = {
        "model.norm": choice("pre", "post"), "model.pool": choice("mean", "class_token", None),
        "model.heads": choice(1, 2, 4), "optimizer.nesterov": choice(True, False),
    }  # fmt: skip
    cells = [
        dict(zip(kinds, values, strict=True))
        for values in itertools.product(*(kind["choices"] for kind in kinds.values()))
    ]
    for index in range(len(cells) * seeds):
        params = cells[index % len(cells)]
        goal = 0.7 + 0.1 * (params["model.norm"] == "pre") + 0.03 * params["model.heads"]
        stream.ask(index, params, kinds, seed=index // len(cells), origin="grid")
        scores = curve(goal + draw.gauss(0, 0.01), draw, 10)
        for epoch, score in enumerate(scores, 1):
            stream.report(index, epoch, [score], [max(scores[:epoch])])
        stream.tell(index, "complete", [max(scores)])
    stream.say("finished", reason="", best=0)
    return stream


def evaluating() -> Stream:
    """Five settings of an evaluation for each of six finished trials of another search."""
    draw = random.Random(7)
    links: list[dict[str, Any]] = []
    for number in range(6):
        params, kinds = vit(draw)
        checkpoint = f"/runs/vit-1/{number:04d}/attempt-1/checkpoints/step-00000760.pt"
        links.append(
            {
                "search": "vit-1",
                "trial": number,
                "config": config_of(params, 0) | {"knn": {"k": 3}},
                "params": params,
                "distributions": kinds,
                "checkpoint": checkpoint,
            }
        )
    spec = {
        "sampler": "grid", "pruner": "none", "trials": None, "points": 5, "fidelity": "evaluations",
        "evaluates": {"search": "vit-1", "trials": links},
    }  # fmt: skip
    stream = Stream(spec)
    pairs = [(k, link) for k in (1, 5, 10, 20, 50) for link in links]
    for number, (k, link) in enumerate(pairs):
        kinds = {**link["distributions"], "knn.k": choice(1, 5, 10, 20, 50)}
        evaluates = {key: link[key] for key in ("search", "trial", "checkpoint")}
        stream.ask(number, {**link["params"], "knn.k": k}, kinds, evaluates=evaluates)
        value = goodness(link["params"]) - 0.002 * k
        stream.report(number, 1, [value], [value])
        stream.tell(number, "complete", [value])
    stream.say("finished", reason="", best=0)
    return stream


def hostile() -> Stream:
    """Texts that would be markup, formulas or other scripts."""
    spec = {
        "question": "<script>alert('q')</script> & \"$x_1$\"?", "notes": "<b>bold</b> & <i>",
        "tags": {"<u>tag</u>": "</style><script>alert(1)</script>"}, "group": "<img src=x>",
        "metrics": [{"name": "val/$f_1$ <b>", "direction": "maximize", "reduce": "last"}],
        "command": "raysearch search x 'a=<script>'", "trials": 30,
    }  # fmt: skip
    stream, draw = Stream(spec), random.Random(8)
    texts = ["<script>alert(2)</script>", "$\\frac$", "層", "a very long word " * 4]
    kinds = {"x.<i>$a$": choice(*texts), "x.rate": LOG}
    for number in range(30):
        params = {"x.<i>$a$": draw.choice(texts), "x.rate": 10 ** draw.uniform(-4, 0)}
        stream.ask(number, params, kinds)
        if number % 7 == 3:
            stream.tell(number, "failed", None, "exception: <script>alert('r')</script>")
            continue
        for epoch in (1, 2):
            stream.report(number, epoch, [draw.random()], [0.5])
        stream.tell(number, "complete", [draw.random()])
    stream.say("finished", reason="", best=0)
    return stream


def odd(texts: Sequence[str]) -> Stream:
    """All that people, trials and libraries write is one of these texts."""
    first = texts[0]
    metrics = [{"name": text, "direction": "maximize", "reduce": "last"} for text in texts[:2]]
    spec = {
        "question": first, "notes": first, "tags": {first: first}, "group": first,
        "metrics": metrics, "command": first, "trials": 24, "fixed": {first: first},
        "packages": {first: first}, "git": {"commit": first, "branch": first, "dirty": True},
    }  # fmt: skip
    stream, draw = Stream(spec), random.Random(9)
    kinds = {f"{text}.x": choice(*texts) for text in texts}
    for number in range(24):
        params = {name: draw.choice(texts) for name in kinds}
        stream.ask(number, params, kinds, origin="sampler" if number else "default")
        if number % 4 == 3:
            stream.tell(number, "failed", None, texts[number % len(texts)])
            continue
        for epoch in (1, 2):
            stream.report(number, epoch, [draw.random() for _ in metrics], [0.5 for _ in metrics])
        stream.tell(number, "complete", [draw.random() for _ in metrics])
    best = stream.view().best()
    assert best is not None
    scores = {f"test/{first.replace('/', '')}": 0.5}
    stream.say("tested", best.number, role="winner", metrics=scores, error="")
    stream.say("artifact", best.number, name=first, path="none.png")
    stream.say("finished", reason=first, best=0)
    return stream


CASES = {
    "many": many, "two_directions": two_directions, "single": single, "running": running,
    "none_completed": none_completed, "repeats": repeats, "grid": grid, "evaluating": evaluating,
    "hostile": hostile, "empty": Stream,
}  # fmt: skip
