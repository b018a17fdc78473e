"""The path of a training over its landscape, and landscapes that are kept by what they are of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainables import runs
from tests.trainables.ssl.pretrained import made
from trainables.core import checkpoint
from trainables.core.experiment import Evaluated
from trainables.metrics.directions import Weights, trajectory
from trainables.ssl import landscapes, paths
from trainables.ssl.config import Pretraining, Supervised
from trainables.ssl.experiment import SupervisedExperiment
from trainables.ssl.pretraining import PretrainingExperiment

TRAINED = Supervised().with_values(
    {"model.kind": "perceptron", "model.width": 12, "training.steps": 8,
     "training.weights_every": 2, "training.evaluate_every": 8, "optimizer.lr": 0.02}
)  # fmt: skip
LOOKS: dict[str, Any] = {"evaluation.landscape.resolution": 3, "evaluation.landscape.images": 20}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights at the start, and after 2, 4, 6 and 8 steps."""
    place = tmp_path_factory.mktemp("trained")
    runs.run(TRAINED, place)
    return place / "weights"


def looked_at(config: Supervised | Pretraining, file: Path, **values: Any) -> Evaluated:
    """The landscape of the network in a checkpoint."""
    named = {f"evaluation.landscape.{name}": value for name, value in values.items()}
    kind = SupervisedExperiment if isinstance(config, Supervised) else PretrainingExperiment
    experiment = kind.create(config.with_values({**LOOKS, **named}).to_json())
    experiment.load()
    [evaluation] = [one for one in experiment.evaluations() if one.name == "landscape"]
    checkpoint.load(file, experiment.eval())
    with torch.inference_mode():
        return evaluation.function(True)


def path_of(found: Evaluated, style: str = "contour") -> torch.Tensor:
    draw: Any = found.figures[style]
    return draw.keywords["trajectory"]


def test_a_path_lies_in_the_plane_of_its_principal_components(folder: Path) -> None:
    """It ends in the network, and reaches as far as the picture; random planes have none of it."""
    last = folder / "step-00000008.pt"
    found = looked_at(TRAINED, last, path=str(folder), plane="path", moves_vectors=True)
    states = [checkpoint.read(one).model for one in sorted(folder.glob("*.pt"))]
    weights = [{k: v for k, v in one.items() if k.startswith("network")} for one in states]
    expected = trajectory(weights, moves_vectors=True).places
    expected = expected / expected.abs().amax(0)
    places = path_of(found)
    torch.testing.assert_close(places, expected, rtol=1e-4, atol=1e-5)
    assert places.abs().amax(0).tolist() == pytest.approx([1, 1]) and not places[-1].any()
    assert 0.9 < found.values["path_share"] <= 1 + 1e-9
    assert abs(found.values["cosine"]) < 1e-4
    chance = looked_at(TRAINED, last, path=str(folder))
    assert len(path_of(chance)) == 5 and chance.values["path_share"] < 0.1
    assert path_of(looked_at(TRAINED, last)) is None


def test_places_are_nearest_to_a_path_on_directions_that_are_not_at_right_angles() -> None:
    weights: list[Weights] = [
        {"w": torch.tensor(one)} for one in ([1.0, 2.0, 4.0], [3.0, 0.0, 0.0], [0.0] * 3)
    ]
    ways: list[Weights] = [
        {"w": torch.tensor([1.0, 0.0, 0.0])},
        {"w": torch.tensor([1.0, 1.0, 0.0])},
    ]
    found = paths.projected(weights, ways)
    torch.testing.assert_close(
        found.places, torch.tensor([[-1, 2], [3, 0], [0, 0]], dtype=torch.float64)
    )
    assert found.share == pytest.approx((5 + 9) / (21 + 9))


@pytest.mark.parametrize("loss", ["own", "probe"])
def test_the_path_of_pretraining_is_that_of_what_is_looked_at(loss: str, tmp_path: Path) -> None:
    """Of the own loss the student moves; of a probe the network that one goes on with."""
    values = {"training.steps": 4, "training.weights_every": 1, "training.evaluate_every": 4}
    off = {f"evaluation.figures.{one}": 0 for one in ("grad_cam", "embedding.points")}
    config = made("dino", data__limit=100).with_values({**values, **off, "evaluation.health": 0})
    session = runs.LocalSession(tmp_path)
    PretrainingExperiment.run(config.to_json(), session)
    found = looked_at(
        config, session.checkpoints[4], path=str(tmp_path / "weights"), plane="path", loss=loss
    )
    assert path_of(found).shape == (5, 2) and found.values["path_share"] > 0.9


def test_what_was_computed_is_kept_by_all_that_it_depends_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another network, other images, another loss or other directions are not found."""
    computed: list[int] = []
    compute = landscapes.landscape

    def counting(*given: Any, **named: Any) -> Any:
        computed.append(1)
        return compute(*given, **named)

    monkeypatch.setattr(landscapes, "landscape", counting)
    last, cache = folder / "step-00000008.pt", str(tmp_path / "kept")
    first = looked_at(TRAINED, last, cache=cache)
    assert looked_at(TRAINED, last, cache=cache).values == first.values and len(computed) == 1
    drawn = looked_at(TRAINED, last, cache=cache, heights="linear", path=str(folder))
    assert drawn.values["centre"] == first.values["centre"] and len(computed) == 1
    others: list[tuple[Path, dict[str, Any]]] = [
        (last, {"images": 30}), (last, {"seed": 1}), (last, {"distance": 2.0}),
        (last, {"split": "val"}), (last, {"norm": "layer"}), (folder / "step-00000006.pt", {}),
    ]  # fmt: skip
    for number, (file, values) in enumerate(others, 2):
        looked_at(TRAINED, file, cache=cache, **values)
        assert len(computed) == number
    smoothed = TRAINED.with_values({"label_smoothing": 0.1})
    looked_at(smoothed, last, cache=cache)
    assert len(computed) == len(others) + 2 == len(list((tmp_path / "kept").iterdir()))


def test_a_path_of_other_networks_is_refused_before_training(folder: Path, tmp_path: Path) -> None:
    wide = TRAINED.with_values({"model.width": 13})
    with pytest.raises(
        ValueError, match="landscape.path must be a folder with checkpoints of this"
    ):
        looked_at(wide, folder / "step-00000008.pt", path=str(folder))
    empty = TRAINED.with_values({**LOOKS, "evaluation.landscape.path": str(tmp_path)})
    assert empty.missing() == (
        f"evaluation.landscape.path must be a folder with at least 4 checkpoints (*.pt), got "
        f"{str(tmp_path)!r}"
    )
    with pytest.raises(ValueError, match="plane must be 'random' unless path names a folder"):
        TRAINED.with_values({**LOOKS, "evaluation.landscape.plane": "path"})


def test_weights_that_are_kept_are_those_of_checkpoints_and_change_nothing(
    folder: Path, tmp_path: Path
) -> None:
    """A run that goes on keeps those of its own steps, the same ones, beside those before."""
    values = {"training.save_every": 4, "training.weights_every": 0}
    session = runs.run(TRAINED.with_values(values), tmp_path)
    assert not (tmp_path / "weights").exists()
    assert TRAINED.digest() == TRAINED.with_values(values).digest()
    for step in (4, 8):
        kept = checkpoint.read(folder / f"step-{step:08d}.pt")
        saved = checkpoint.read(session.checkpoints[step])
        assert kept.position == saved.position and not kept.optimizer
        assert all(torch.equal(one, saved.model[name]) for name, one in kept.model.items())
    runs.run(TRAINED, tmp_path / "again", session.checkpoints[4])
    again = sorted(one.name for one in (tmp_path / "again" / "weights").iterdir())
    assert again == ["step-00000006.pt", "step-00000008.pt"]
    both = [checkpoint.read(one / again[1]).model for one in (folder, tmp_path / "again/weights")]
    assert all(torch.equal(one, both[1][name]) for name, one in both[0].items())


def test_what_has_no_effect_changes_no_digest(folder: Path) -> None:
    """Where a landscape is kept; a path over one dimension; random directions where none are."""
    plain = TRAINED.with_values(LOOKS)
    at = "evaluation.landscape."
    assert plain.digest() == plain.with_values({f"{at}cache": "kept"}).digest()
    line = plain.with_values({f"{at}dimensions": 1})
    assert line.digest() == line.with_values({f"{at}path": str(folder)}).digest()
    whole = plain.with_values({f"{at}path": str(folder), f"{at}plane": "path"})
    assert plain.digest() != whole.digest() == whole.with_values({f"{at}seed": 3}).digest()
    assert "take evaluation.landscape.path" in str(plain.unreported("landscape/path_share"))
    assert whole.unreported("landscape/path_share") is None
