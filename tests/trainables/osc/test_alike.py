"""Alike objects in scenes: which they are, as negatives of the loss, and the masks they have."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainables.osc import small
from trainables.core.experiment import Evaluated
from trainables.data.scenes.store import Store
from trainables.metrics.records import Records
from trainables.osc.alike import Alike, object_types, scores_of_alike
from trainables.osc.config import Representation
from trainables.osc.experiment import RepresentationExperiment
from trainables.osc.measuring import Measuring

EVERY = np.arange(8)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of data sets with tiny stores."""
    folder = tmp_path_factory.mktemp("data")
    small.provide(folder)
    return folder


def loaded(root: Path, **values: Any) -> RepresentationExperiment:
    """A small experiment with its data, in evaluation mode."""
    start = Representation()
    config = start.with_values({**small.values(start), "data.root": str(root), **values})
    experiment = RepresentationExperiment.create(config.to_json())
    experiment.load()
    return experiment.eval()


def measured(experiment: RepresentationExperiment) -> Evaluated:
    """The evaluation of the validation split."""
    with torch.inference_mode():
        return Measuring(experiment).measure("val", False)


def properties(store: Store, scene: int, entity: int) -> tuple[Any, ...]:
    """All that is said of what an object is."""
    fields = store.splits["val"].fields
    names = [name for name in ("size", "material", "shape", "color") if name in fields]
    return tuple(np.ravel(fields[name][scene, entity]).tolist() for name in names)


@pytest.mark.parametrize("name", ["clevr_with_masks", "tetrominoes"])
def test_objects_are_of_one_type_if_all_their_properties_are_equal(name: str, root: Path) -> None:
    """Colours of tetrominoes are no codes, and count."""
    store = loaded(root, **{"data.name": name}).store
    types = object_types(store, "val", EVERY)
    visible = store.splits["val"].fields["visibility"][EVERY]
    assert types is not None and types.shape == visible.shape
    objects = [(scene, entity) for scene, entity in np.argwhere(visible) if entity]
    for one, other in product(objects, objects):
        same = properties(store, *one) == properties(store, *other)
        assert bool(types[one] == types[other]) == same
    assert bool((types[:, 0] == -1).all()) and bool((types[torch.from_numpy(~visible)] == -1).all())


def test_without_properties_there_are_no_types(root: Path) -> None:
    experiment = loaded(root, **{"data.name": "movi_c"})
    assert object_types(experiment.store, "val", EVERY) is None
    assert not any("alike" in name for name in measured(experiment).values)


def scene() -> tuple[torch.Tensor, torch.Tensor]:
    """Labels [2, 1, 6] and their masks [2, 4, 1, 6], of which the first holds two objects."""
    labels = torch.tensor([[0, 1, 1, 2, 2, 3], [0, 1, 1, 2, 2, 3]])[:, None]
    masks = labels[:, None] == torch.arange(4)[:, None, None]
    masks[0, 1], masks[0, 2] = masks[0, 1] | masks[0, 2], False
    return labels, masks


def test_alike_objects_that_share_a_slot_cost_the_iou_of_their_scene() -> None:
    """½ and 0 of two alike ones beside 1 of a third: ½; in the other scene all are apart."""
    labels, masks = scene()
    types = torch.tensor([[-1, 7, 7, 8], [-1, 5, 7, 8]])
    alike = Alike(types, np.array([3, 4]), loss="none", images=2)
    columns = alike.columns(np.array([3, 4]), labels, labels, masks, masks.float())
    assert columns["alike"].tolist() == [2, 0]
    records = Records()
    records.add({**columns, "iou": torch.tensor([0.5, 1.0])})
    assert scores_of_alike(records) == {
        "alike/share": 0.5,
        "alike/iou": 0.5,
        "alike/iou_of_alike": 0.25,
        "unalike/iou": 1.0,
    }


@pytest.mark.parametrize(
    ("loss", "shares"),
    [
        ("ctr_img", {"alike": 2 / 15}),
        ("ctr_aug", {"alike": 2 / 15}),
        ("ctr_all", {"alike": 6 / 35, "alike_elsewhere": 1 / 5}),
    ],
)
def test_negatives_are_those_of_the_loss(loss: str, shares: dict[str, float]) -> None:
    """Slots of two images show 7, 7 and 5, 7, 8; three show nothing.

    Within images ⅓, ⅓, 0, 0, 0 of three others are alike; of four elsewhere ¼, ¼, 0, ½, 0; of all
    seven 2/7, 2/7, 0, 2/7, 0, and so by chance.
    """
    labels, masks = scene()
    masks[0, 2] = labels[0] == 3
    masks[0, 3] = False
    alike = Alike(torch.tensor([[-1, 7, 7, 7], [-1, 5, 7, 8]]), np.arange(2), loss=loss, images=2)
    alike.columns(np.arange(2), labels, labels, masks, masks.float())
    found = {f"negatives/{name}": share for name, share in shares.items()}
    expected = {**found, "negatives/alike_by_chance": 6 / 35}
    assert alike.negatives() == pytest.approx(expected)


def test_a_loss_without_negatives_has_none() -> None:
    labels, masks = scene()
    alike = Alike(torch.zeros(2, 4).long(), np.arange(2), loss="sim_img", images=2)
    alike.columns(np.arange(2), labels, labels, masks, masks.float())
    assert alike.negatives() == {}


def test_an_evaluation_has_them_and_rows_beside(root: Path) -> None:
    experiment = loaded(root, **{"loss.objects": "ctr_all", "training.batch_size": 4})
    values = measured(experiment).values
    shares = {"alike", "alike_elsewhere", "alike_by_chance"}
    assert {f"negatives/{name}" for name in shares} <= values.keys()
    assert 0 <= values["negatives/alike"] <= 1 and "alike" not in values
    rows = Measuring(experiment).references("val")
    assert {"alike/share", "unalike/iou"} <= values.keys() & rows["blocks"].keys()
    assert rows["blocks"]["alike/share"] == values["alike/share"]


def test_scenes_with_alike_objects_and_the_others_are_all(root: Path) -> None:
    """Of tetrominoes of which some scenes have two of one shape and colour."""
    values = measured(loaded(root, **{"data.name": "tetrominoes"})).values
    share = values["alike/share"]
    whole = share * values.get("alike/iou", 0) + (1 - share) * values.get("unalike/iou", 0)
    assert values["iou"] == pytest.approx(whole)
