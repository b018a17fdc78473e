"""A learned α alone: it rises for a target of one key, and falls for a uniform one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from trainables.core.session import LocalSession
from trainables.detr.config import AlphaToy
from trainables.detr.toy import AlphaToyExperiment


def run(folder: Path, **settings: Any) -> LocalSession:
    session = LocalSession(folder)
    AlphaToyExperiment.run(AlphaToy().with_values(settings).to_json(), session)
    return session


def alphas(session: LocalSession) -> list[float]:
    return [report["val/alpha"] for _, report in sorted(session.reports.items())]


@pytest.mark.parametrize("form", ["smooth", "clamped", "sigmoid", "unbounded"])
@pytest.mark.parametrize("target", ["one_hot", "uniform"])
def test_alpha_goes_where_its_target_is(tmp_path: Path, target: str, form: str) -> None:
    settings = {"target": target, "map.form": form, "training.steps": 60, "optimizer.lr": 0.1}
    session = run(tmp_path, **settings)
    found = alphas(session)
    ways = [after - before for before, after in zip(found, found[1:], strict=False)]
    assert len(found) == 3
    if target == "one_hot":
        assert found[-1] > 1.8 and min(ways) > -1e-6
    else:
        assert found[-1] < 1.1 and max(ways) < 1e-6
    rows: Any = session.facts["reference/val"]
    distance = session.reports[60]["val/distance"]
    best = {"one_hot": "sparsemax", "uniform": "softmax"}[target]
    assert distance < rows["untrained"]["distance"]
    assert form == "unbounded" or rows[best]["distance"] - 1e-6 < distance  # that goes beyond 2


def test_the_form_of_8_may_does_not_move(tmp_path: Path) -> None:
    found = alphas(run(tmp_path, **{"map.form": "clamped_sigmoid", "training.steps": 40}))
    assert found == [pytest.approx(2.01)] * 2


def test_distances_are_by_hand() -> None:
    experiment = AlphaToyExperiment.create(AlphaToy().to_json())
    weights, scores = torch.tensor([[0.5, 0.5, 0.0]]), torch.tensor([[3.0, 1.0, 0.0]])
    assert experiment._distance(weights, scores) == pytest.approx(0.5)  # pyright: ignore
    uniform = AlphaToyExperiment.create(AlphaToy(target="uniform").to_json())
    assert uniform._distance(weights, scores) == pytest.approx(1 / 3)  # pyright: ignore


@pytest.mark.parametrize("values", [{"map.form": "constant"}, {"map.is_learned": False}])
def test_an_alpha_that_does_not_learn_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="map must learn α, by is_learned true and a form other"):
        AlphaToy().with_values(values)
