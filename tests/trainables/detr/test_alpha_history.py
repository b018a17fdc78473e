"""Each α over the steps of a run, and behind a resume."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.trainables.detr.small import values
from trainables.detr.alpha_history import POINTS, AlphaHistory
from trainables.detr.config import Detection
from trainables.detr.experiment import DetectionExperiment
from trainables.layers.learned_alpha import LearnedAlpha

LEARNED = {
    "cross.map.kind": "entmax",
    "decoder_self.map.kind": "entmax",
    "decoder_self.map.tied": "layer",
    "decoder_self.layers": "last",
}


def small() -> DetectionExperiment:
    config = Detection().with_values({**values(Detection()), **LEARNED})
    return DetectionExperiment.create(config.to_json())


def trained(history: AlphaHistory, experiment: DetectionExperiment, steps: range, of: int) -> None:
    """Each raw α rises by a hundredth of its number in each step."""
    alphas = [one for one in experiment.network.modules() if isinstance(one, LearnedAlpha)]
    for step in steps:
        for number, one in enumerate(alphas, 1):
            one.raw.data += 0.01 * number
        history.note(experiment.network, step, of)


def test_each_alpha_is_there_at_every_step_of_a_short_run(tmp_path: Path) -> None:
    experiment = small()
    history = experiment.alpha_history
    assert history is not None
    trained(history, experiment, range(1, 4), 3)
    courses = history.courses(experiment.network)
    assert {kind: one.layers for kind, one in courses.items()} == {
        "cross": [0, 1],
        "decoder_self": [1],
    }
    raw = torch.arange(4)[:, None, None] * 0.01 * torch.tensor([1, 3])[:, None]
    start = torch.tensor((1.5 - 1.01) / 0.99).logit()
    expected = 1.01 + 0.99 * (start + raw).sigmoid()
    assert torch.allclose(courses["cross"].alphas, expected.expand(4, 2, 2), atol=1e-6)
    own = 1.01 + 0.99 * (start + raw[:, :1] * 2).sigmoid()
    assert torch.allclose(courses["decoder_self"].alphas, own.expand(4, 1, 2), atol=1e-6)
    assert courses["cross"].steps.tolist() == [0, 1, 2, 3]
    figures = history.figures(experiment.network)
    assert set(figures) == {"steps", "steps-decoder_self"}
    for name, write in figures.items():
        write(tmp_path / f"{name}.png")


@pytest.mark.parametrize("total", [POINTS - 1, POINTS, 1000])
def test_a_long_run_is_noted_evenly_and_at_both_ends(total: int) -> None:
    experiment = small()
    history = AlphaHistory(experiment.network)
    trained(history, experiment, range(1, total + 1), total)
    steps = history.courses(experiment.network)["cross"].steps
    assert len(steps) == POINTS and steps[0] == 0 and steps[-1] == total
    gaps = steps.diff()
    assert int(gaps.max()) - int(gaps.min()) <= 1


def test_a_resumed_run_has_what_was_before() -> None:
    whole, first, second = small(), small(), small()
    for one, steps in ((whole, range(1, 11)), (first, range(1, 6))):
        assert one.alpha_history is not None
        trained(one.alpha_history, one, steps, 10)
    second.load_state_dict(first.state_dict())
    assert second.alpha_history is not None and whole.alpha_history is not None
    trained(second.alpha_history, second, range(6, 11), 10)
    assert torch.equal(second.alpha_history.alphas, whole.alpha_history.alphas)
    assert torch.equal(second.alpha_history.steps, whole.alpha_history.steps)


def test_nothing_is_noted_where_no_alpha_is_learned() -> None:
    config = Detection().with_values({**values(Detection()), "cross.map.kind": "sparsemax"})
    experiment = DetectionExperiment.create(config.to_json())
    assert not [name for name in experiment.state_dict() if "history" in name]
