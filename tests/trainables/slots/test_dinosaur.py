"""DINOSAUR: features stored or live, what a checkpoint holds, and what is measured."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from tests.trainables.slots import small
from trainables.core import checkpoint
from trainables.core.session import LocalSession
from trainables.data.scenes.store import open_store
from trainables.layers.patches import PatchFeatures
from trainables.slots.config import Dinosaur
from trainables.slots.dinosaur import DinosaurExperiment
from trainables.slots.parts import Setting
from trainables.slots.scenes import read

COUNT = small.SIZES["train"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small scenes; features of them are stored below, too."""
    folder = tmp_path_factory.mktemp("scenes")
    small.provide(folder)
    return folder


def configured(root: Path, **values: Any) -> Dinosaur:
    """A small configuration; a double underscore is a dot."""
    named = {name.replace("__", "."): value for name, value in values.items()}
    chosen = Dinosaur().with_values({"decoder.kind": named.pop("decoder.kind", "mlp")})
    plain = {**small.values(chosen), "data.root": str(root), "training.batch_size": 8}
    return chosen.with_values({**plain, "evaluation.main.scenes": 8, **named})


def loaded(root: Path, **values: Any) -> DinosaurExperiment:
    """A small experiment with its data."""
    experiment = DinosaurExperiment.create(configured(root, **values).to_json())
    experiment.load()
    return experiment.eval()


def exact(root: Path, split: str = "train", name: str = "movi_c") -> torch.Tensor:
    """The features of a split, computed here."""
    folder = configured(root).data.with_values({"name": name}).folder()
    scenes = open_store(folder).splits[split]
    patches = PatchFeatures(name="test_vit", weights=None, image_size=32)
    return patches(read(scenes, np.arange(len(scenes))))


@pytest.mark.parametrize(("store", "off"), [("float16", 1e-3), ("int8", 0.01), ("live", 1e-6)])
def test_batches_have_the_features_of_their_examples(root: Path, store: str, off: float) -> None:
    experiment = loaded(root, features__store=store)
    batch = experiment.batch(3)
    expected = exact(root)[batch["examples"]]
    assert ("images" in batch) == (store == "live")
    assert float((experiment._seen(batch) - expected).norm() / expected.norm()) < off


def test_stored_batches_are_as_small_as_their_codes(root: Path) -> None:
    codes = [loaded(root, features__store=kind).batch(1)["codes"] for kind in ("int8", "float16")]
    assert [each.dtype for each in codes] == [torch.int8, torch.float16]


def test_the_features_of_a_share_are_those_of_the_batch(root: Path) -> None:
    experiment, places = loaded(root), torch.tensor([6, 1])
    batch, share = experiment.batch(2), experiment.share(2, places)
    assert set(share) == set(batch)
    assert all(torch.equal(share[name], batch[name][places]) for name in batch)


@pytest.mark.parametrize("store", ["int8", "live"])
def test_the_frozen_network_is_in_no_checkpoint_and_among_no_parameters(
    root: Path, tmp_path: Path, store: str
) -> None:
    config = configured(root, features__store=store, training__steps=1)
    session = LocalSession(tmp_path)
    DinosaurExperiment.run(config.to_json(), session)
    experiment = DinosaurExperiment(config)
    saved = checkpoint.read(next((tmp_path / "checkpoints").iterdir()))
    assert set(saved.model) == set(experiment.state_dict())
    assert all(name.startswith("network.") for name in saved.model)
    parameters = sum(each.numel() for each in experiment.network.parameters())
    assert session.facts["parameters"] == parameters


def test_only_stored_frames_are_computed(root: Path) -> None:
    experiment = loaded(root, data__frames=3)
    store = experiment._stored("train", experiment._store)
    assert len(store) == COUNT * 3 // 4 == experiment.num_examples
    batch = experiment.batch(1)
    positions = experiment._order[batch["examples"].numpy()]
    assert (positions % 4 < 3).all()
    expected = exact(root)[torch.from_numpy(positions)]
    assert float((experiment._seen(batch) - expected).norm() / expected.norm()) < 0.01


def test_a_smaller_choice_of_objects_shares_the_store(root: Path) -> None:
    experiment = loaded(root, data__max_objects=6, training__batch_size=2)
    whole = loaded(root)
    folders = [each._stored("train", each._store).folder for each in (experiment, whole)]
    assert folders[0] == folders[1] and experiment.num_examples < COUNT
    batch = experiment.batch(1)
    positions = torch.from_numpy(experiment._order)[batch["examples"]]
    expected = exact(root)[positions]
    assert float((experiment._seen(batch) - expected).norm() / expected.norm()) < 0.01


@pytest.mark.parametrize(("store", "off"), [("float16", 0.02), ("live", 1e-12)])
def test_segments_are_those_of_the_largest_mask(root: Path, store: str, off: float) -> None:
    experiment = loaded(root, features__store=store, slots__num_slots=3)
    found = experiment.measure("val", Setting(), last=False).values
    scenes = experiment._measured.splits["val"]
    positions = experiment.positions("val", Setting())
    noise = experiment.noise("val slots", 0, torch.from_numpy(positions), 3)
    features = exact(root, "val")[positions]
    masks = experiment.network(features, noise).attention.unflatten(2, (2, 2)).argmax(1)
    masks = masks.repeat_interleave(8, 1).repeat_interleave(8, 2).flatten(1)
    labels = scenes.labels(positions).reshape(len(positions), -1)
    expected = np.mean([adjusted_rand_score(*pair) for pair in zip(labels, masks, strict=True)])
    assert found["attention/nearest/ari"] == pytest.approx(expected, abs=off)


def test_a_stored_and_a_live_evaluation_agree(root: Path) -> None:
    setting = Setting(num_slots=5, iterations=2)
    exactly = loaded(root, features__store="live").measure("val", setting, last=False).values
    stored = loaded(root, features__store="float16").measure("val", setting, last=False).values
    assert stored["mse"] == pytest.approx(exactly["mse"], rel=1e-3)
    assert stored["entropy"] == pytest.approx(exactly["entropy"], rel=1e-3)


def test_there_are_eight_scores_of_segments_and_those_of_objects(root: Path) -> None:
    values = loaded(root).measure("val", Setting(), last=False).values
    for prefix in ("", "nearest/", "attention/", "attention/nearest/"):
        assert (
            -0.5 <= values[f"{prefix}foreground_ari"] <= 1 and -0.5 <= values[f"{prefix}ari"] <= 1
        )
    assert 0 <= values["miou"] <= values["mbo"] <= 1
    assert 0 <= values["discovered"] <= values["corloc"] <= 1
    assert 1 <= values["slots_used"] <= 11 and 0 <= values["entropy"] <= np.log(11) + 1e-6


def test_the_last_evaluation_has_counts_pictures_and_a_line_for_each_scene(
    root: Path, tmp_path: Path
) -> None:
    found = loaded(root).measure("val", Setting(), last=True)
    found.records["scenes"](tmp_path / "scenes.csv")
    rows = list(csv.DictReader((tmp_path / "scenes.csv").read_text().splitlines()))
    assert [int(row["position"]) for row in rows] == list(range(8))
    assert np.mean([float(row["mse"]) for row in rows]) == pytest.approx(found.values["mse"])
    for number in {row["objects"] for row in rows}:
        of_number = [float(row["foreground_ari"]) for row in rows if row["objects"] == number]
        name = f"foreground_ari/{number}_objects"
        assert found.values[name] == pytest.approx(np.mean(of_number))
    assert set(found.figures) == {"scenes", "slots", "clip"}


@pytest.mark.slow
def test_pictures_are_drawn(root: Path, tmp_path: Path) -> None:
    for name, draw in loaded(root).measure("val", Setting(), last=True).figures.items():
        draw(tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_another_set_is_measured_with_features_of_its_own(root: Path) -> None:
    experiment = loaded(root, evaluation__other_set="movi_d", evaluation__main__num_slots=4)
    experiment.measure("val", Setting(), last=False)
    folders = {each.folder.name.rpartition("-")[0] for each in experiment._stores.values()}
    plain = "16-none-nearest"
    assert folders == {f"made-movi_c-{plain}-train", f"made-movi_d-{plain}-val"}


@pytest.mark.parametrize("loss", ["mse", "l1", "cosine"])
def test_losses_say_the_squared_difference_beside_themselves(root: Path, loss: str) -> None:
    experiment = loaded(root, loss=loss)
    found = experiment(experiment.batch(1), 1)
    assert (found.total == found.terms["mse"]) == (loss == "mse")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mlp", "autoregressive", "slot_mixer", "broadcast"])
def test_it_learns_to_reconstruct(root: Path, kind: str) -> None:
    size = {"autoregressive": "layers", "broadcast": "channels"}.get(kind, "width")
    values: dict[str, Any] = {"decoder__kind": kind, "schedule__warm_up": 0}
    values[f"decoder__{size}"] = 1 if size == "layers" else 32
    experiment = loaded(root, slots__num_slots=3, optimizer__lr=3e-3, **values).train()
    optimizer = experiment.optimizer(experiment.parameter_groups())
    losses: list[float] = []
    for step in range(1, 81):
        loss = experiment(experiment.batch(step), step).total
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:3])


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"features__backbone": "vit_tiny"}, "features.backbone must be a network of timm"),
        ({"features__layer": 7}, "features.layer must be at most the 6 blocks of test_vit, got 7"),
        ({"features__image_size": 40}, "features.image_size must be a multiple of"),
    ],
)
def test_settings_that_do_not_fit_are_named(
    root: Path, values: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        DinosaurExperiment(configured(root, **values))


def test_weights_that_are_not_there_are_missed_before_anything_begins(root: Path) -> None:
    said = configured(root, features__pretrained=True).missing()
    assert said is not None and said.startswith("features.pretrained must be false for test_vit")
    assert configured(root).missing() is None
