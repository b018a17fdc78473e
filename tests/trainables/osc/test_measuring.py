"""What an evaluation says of representations, and what stands beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainables.osc import small
from trainables.core.experiment import Evaluated
from trainables.metrics.segments import adjusted_rand, contingency
from trainables.osc import probing, targets
from trainables.osc.config import Representation
from trainables.osc.experiment import RepresentationExperiment
from trainables.osc.measuring import Measuring


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of data sets with tiny stores."""
    folder = tmp_path_factory.mktemp("data")
    small.provide(folder)
    return folder


def loaded(root: Path, **values: Any) -> RepresentationExperiment:
    """A small experiment with its data, in evaluation mode."""
    start = Representation().with_values(values)
    config = start.with_values(
        {**small.values(start), "data.root": str(root), "training.batch_size": 4, **values}
    )
    experiment = RepresentationExperiment.create(config.to_json())
    experiment.load()
    return experiment.eval()


def measured(experiment: RepresentationExperiment, last: bool = False) -> Evaluated:
    """The evaluation of the validation split."""
    with torch.inference_mode():
        return Measuring(experiment).measure("val", last)


CLIPS = {"views.kind": "frames", "data.name": "digit_grids", "data.made": True}


@pytest.mark.parametrize("values", [{}, {"queries.kind": "sampled"}, CLIPS], ids=str)
def test_an_evaluation_is_the_same_each_time(values: dict[str, Any], root: Path) -> None:
    experiment = loaded(root, **values)
    torch.manual_seed(1)
    first = measured(experiment).values
    torch.manual_seed(2)
    assert measured(experiment).values == first


def test_scores_of_a_scene_are_those_of_its_map(root: Path) -> None:
    experiment = loaded(root)
    measuring = Measuring(experiment)
    positions = np.arange(8)
    with torch.inference_mode():
        [look] = measuring.looks("val", positions)
        values = measured(experiment).values
    assert look.maps is not None and look.labels is not None
    size = (look.images.shape[2], look.images.shape[3])
    maps = torch.nn.functional.interpolate(look.maps, size, mode="bilinear")
    found = maps.argmax(1)
    counts = contingency(look.labels, found, int(look.labels.max()) + 1, maps.shape[1])
    assert values["ari"] == pytest.approx(float(adjusted_rand(counts).mean()))


def test_sampled_queries_differ_between_images_and_repeat(root: Path) -> None:
    experiment = loaded(root, **{"queries.kind": "sampled"})
    measuring = Measuring(experiment)
    with torch.inference_mode():
        [first] = measuring.looks("val", np.arange(4))
        [again] = measuring.looks("val", np.arange(4))
        [alone] = measuring.looks("val", np.arange(2, 3))
    assert first.found.slots is not None and again.found.slots is not None
    assert alone.found.slots is not None
    assert torch.equal(first.found.slots, again.found.slots)
    torch.testing.assert_close(alone.found.slots[0], first.found.slots[2])


@pytest.mark.parametrize("kind", ["sampled", "normal", "patch", "kmeans"])
def test_drawn_slots_may_be_others_in_number(kind: str, root: Path) -> None:
    values = {"queries.kind": kind, "evaluation.num_slots": 3}
    experiment = loaded(root, **values)
    with torch.inference_mode():
        [look] = Measuring(experiment).looks("val", np.arange(4))
    assert look.maps is not None and look.maps.shape[1] == 3
    assert measured(experiment, last=True).values["slots_used"] <= 3


def test_normal_queries_that_all_share_make_views_easy_to_match(root: Path) -> None:
    """The published evaluation: the same slots for all images and for both views."""
    plain = loaded(root, **{"queries.kind": "normal"})
    shared = loaded(root, **{"queries.kind": "normal", "evaluation.shares_draws": True})
    values = [measured(one).values for one in (plain, shared)]
    assert values[1]["objects/ctr_img"] < values[0]["objects/ctr_img"] - 0.1
    assert values[1]["collapse/partners/entropy"] == pytest.approx(0, abs=1e-9)


def test_true_masks_that_grow_are_another_truth(root: Path) -> None:
    twice = {"views.size": 32}  # of what is not resized nothing grows
    plain = measured(loaded(root, **twice)).values
    grown = measured(loaded(root, **twice, **{"evaluation.segmentation.dilates": True})).values
    assert plain["ari"] == grown["ari"] and plain.keys() == grown.keys()
    assert plain["iou_with_background"] != grown["iou_with_background"]


def test_every_value_has_a_row_that_it_must_beat(root: Path) -> None:
    experiment = loaded(root)
    rows = Measuring(experiment).references("val")
    values = measured(experiment).values
    scored = {name for row in rows.values() for name in row}
    assert {"iou", "dice", "ari", "foreground_ari", "iou_with_background"} <= scored
    assert {"questions/slots/ap", "questions/features/auroc", "counts/slots"} <= scored
    assert {"iou", "ari", "questions/slots/ap", "counts/slots"} <= values.keys()
    assert rows["chance"]["questions/slots/auroc"] == 0.5


def test_without_objects_there_are_neither_segments_nor_slots(root: Path) -> None:
    experiment = loaded(root, **{"architecture": "global", "loss.objects": "none"})
    found = measured(experiment, last=True)
    assert "iou" not in found.values and not any("slots" in name for name in found.values)
    assert "questions/features/ap" in found.values and "views" in found.figures


def test_matches_of_clips_are_right_or_by_chance(root: Path) -> None:
    values = measured(loaded(root, **CLIPS)).values
    assert 0 <= values["right_matches"] <= 1 and 0 < values["right_matches_by_chance"] < 1


@pytest.mark.slow
def test_figures_and_maps_are_written(root: Path, tmp_path: Path) -> None:
    found = measured(loaded(root, **{"objects.positions": "learned"}), last=True)
    expected = {"slots", "embeddings", "layers", "iterations", "views", "partners"}
    expected |= {"positions-backbone", "positions-objects", "probes", "answers"}
    assert found.figures.keys() == expected
    for name, write in {**found.figures, **found.files}.items():
        write(tmp_path / name)
    with np.load(tmp_path / "attention.npz") as arrays:
        assert arrays["maps"].shape[1:] == (11, 4, 4)
        assert len(arrays["images"]) == len(arrays["labels"]) == len(arrays["maps"])


def test_questions_are_those_of_visible_objects(root: Path) -> None:
    """Of size, colour, material and shape together; CLEVR has 96."""
    experiment = loaded(root)
    positions = np.arange(8)
    asked = targets.targets(experiment.store, "val", positions)
    fields = experiment.store.splits["val"].fields
    assert asked.questions.shape == (8, 96)
    for scene in range(8):
        present: set[int] = set()
        for entity in range(1, fields["size"].shape[1]):
            if not fields["visibility"][scene, entity]:
                continue
            size, color, material, shape = (
                int(fields[name][scene, entity]) - 1
                for name in ("size", "color", "material", "shape")
            )
            present.add(((size * 8 + color) * 2 + material) * 3 + shape)
        assert set(asked.questions[scene].nonzero()[:, 0].tolist()) == present
        assert int(asked.counts[scene]) == int(fields["visibility"][scene, 1:].sum())


def test_patches_are_not_kept_for_probes(root: Path) -> None:
    with torch.inference_mode():
        [look] = Measuring(loaded(root)).looks("val", np.arange(4))
    seen = probing.Features()
    seen.add(look.found)
    [kept] = seen._parts  # pyright: ignore[reportPrivateUsage]
    assert kept.patches.untyped_storage().nbytes() == 0
    assert torch.equal(seen.features, look.found.features)


def test_probes_are_tested_on_scenes_that_they_have_not_seen(root: Path) -> None:
    asked = targets.targets(loaded(root).store, "val", np.arange(8))
    assert (asked.fitting, asked.testing) == (slice(0, 6), slice(6, 8))
