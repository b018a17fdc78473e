"""The picture of a search that evaluates finished trials: an objective against a setting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raysearch.pages.objectives import Objective
from raysearch.pages.settings_curves import curves_of, draw_settings, setting_of
from raysearch.results.intervals import interval
from tests.raysearch.pages import report_cases as cases
from tests.raysearch.pages.report_streams import Stream, choice, goodness

UP = Objective(0, "val/accuracy", "maximize", "best")
VALUES = {"mean": [0.8, 0.7, 0.9], "constant": [0.5, 0.6, 0.4]}


def seeded() -> Stream:
    """Two kinds with three seeds each, measured with 4 and with 8 slots, which cost 0.1."""
    kinds = {"slots.kind": choice("mean", "constant")}
    trials = [(kind, value) for kind, values in VALUES.items() for value in values]
    links: list[dict[str, Any]] = [
        {
            "search": "before",
            "trial": number,
            "config": {},
            "params": {"slots.kind": kind},
            "distributions": kinds,
            "checkpoint": "a.pt",
        }
        for number, (kind, _) in enumerate(trials)
    ]
    spec = {
        "sampler": "grid",
        "pruner": "none",
        "fidelity": "evaluations",
        "evaluates": {"search": "before", "trials": links},
    }
    stream = Stream(spec)
    for place, count in enumerate((4, 8)):
        for link, (_, value) in zip(links, trials, strict=True):
            number = place * len(links) + int(link["trial"])
            evaluates = {key: link[key] for key in ("search", "trial", "checkpoint")}
            asked = {**link["params"], "evaluation.slots": count}
            offered = {**kinds, "evaluation.slots": choice(4, 8)}
            stream.ask(number, asked, offered, evaluates=evaluates)
            stream.report(number, 1, [value - 0.1 * place], [value - 0.1 * place])
            stream.tell(number, "complete", [value - 0.1 * place])
    stream.say("finished", reason="", best=0)
    return stream


def test_a_curve_is_the_mean_over_seeds_with_its_interval() -> None:
    view = seeded().view()
    assert setting_of(view) == "evaluation.slots"
    found = curves_of(view, UP, "evaluation.slots")
    assert found == {
        kind: {4.0: interval(values), 8.0: interval([one - 0.1 for one in values])}
        for kind, values in sorted(VALUES.items())
    }


def test_trials_of_many_varying_values_have_a_curve_each() -> None:
    view = cases.evaluating().view()
    found = curves_of(view, UP, "knn.k")
    assert list(found) == [f"trial {number}" for number in range(6)]
    link = view.spec.evaluates and view.spec.evaluates.trials[3]
    assert link is not None
    assert found["trial 3"][20.0].mean == pytest.approx(goodness(link.params) - 0.04)


def test_the_picture_is_drawn_for_evaluations_only(tmp_path: Path) -> None:
    picture = draw_settings(seeded().view(), UP, tmp_path / "a.png")
    assert picture is not None and picture.path.read_bytes().startswith(b"\x89PNG")
    assert picture.caption == "Means over seeds with 95 % intervals, by slots.kind."
    assert picture.alt == "val/accuracy against evaluation.slots, 2 curves."
    assert draw_settings(cases.grid().view(), UP, tmp_path / "b.png") is None
