"""Metrics that a configuration never reports are known before it runs; all others are reported."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.osc_sweeps import SWEEPS, space
from tests.trainables.osc import small
from tests.trainables.small_scenes import SIDE, SIZES
from trainables.data.scenes.catalog import SCENE_SETS, store_folder
from trainables.data.scenes.formats import SCHEMAS, Piece
from trainables.data.scenes.store import open_store
from trainables.data.scenes.writing import StoreWriter
from trainables.osc.config import Representation
from trainables.osc.experiment import RepresentationExperiment
from trainables.osc.measuring import Measuring
from trainables.osc.targets import coded

METRICS = [
    *("iou", "dice_with_background", "ari", "foreground_ari", "mbo", "miou", "slots_used"),
    *(
        "collapse/slots/cosine_across_images",
        "collapse/partners/entropy",
        "alike/share",
        "unalike/iou",
    ),
    *("negatives/alike", "negatives/alike_by_chance", "negatives/alike_elsewhere"),
    *("right_matches", "right_matches_by_chance", "objects/total"),
    *("questions/features/ap", "questions/slots/auroc", "counts/features", "counts/slots"),
    *("neighbours/features", "properties/features/color", "properties/slots/color"),
    *("loss", "images/total", "collapse/features/effective_rank"),
]
CLIPS = {"views.kind": "frames", "data.name": "movi_c"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tiny stores, and one of scenes without masks."""
    folder = tmp_path_factory.mktemp("data")
    small.provide(folder)
    settings: dict[str, Any] = {"image_size": SIDE, "crop": "none", "interpolation": "nearest"}
    there = open_store(store_folder(folder, "clevr_with_masks", made=True, **settings))
    writer = StoreWriter(store_folder(folder, "clevr", made=True, **settings), {"name": "clevr"})
    for name in SIZES:
        scenes = there.splits[name]
        every = torch.arange(len(scenes)).numpy()
        fields = {"counts": scenes.counts, **scenes.fields}
        writer.add(Piece(scenes.images(every), None, {k: v[every] for k, v in fields.items()}))
    facts = {"settings": settings, "sources": {}, "num_background": 1}
    writer.finish(lambda _: dict(there.manifest["splits"]), lambda: facts)
    return folder


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"data.name": "clevr"},
        {"data.name": "tetrominoes"},
        {"data.name": "movi_c"},
        CLIPS,
        {**CLIPS, "loss.objects": "none"},
        {"architecture": "global", "loss.objects": "none"},
        {"evaluation.probe.steps": 0, "loss.objects": "ctr_all"},
        {"loss.objects": "sim_img"},
    ],
    ids=str,
)
def test_what_is_said_to_be_never_reported_is_what_an_evaluation_does_not_report(
    values: dict[str, Any], root: Path
) -> None:
    start = Representation()
    config = start.with_values({**small.values(start), "data.root": str(root), **values})
    experiment = RepresentationExperiment.create(config.to_json())
    experiment.load()
    with torch.inference_mode():
        found = Measuring(experiment.eval()).measure("val", False, asks_all=True).values
    said = {name for name in METRICS if config.unreported(f"val/{name}") is not None}
    missing = {name for name in METRICS if not math.isfinite(found.get(name, math.nan))}
    assert said == missing


@pytest.mark.parametrize(
    ("values", "metric", "said"),
    [
        (
            {"data.name": "clevr"},
            "val/iou",
            "metric val/iou needs masks, which data.name 'clevr' does not give; take clevr_with_ma",
        ),
        (
            {"architecture": "global", "loss.objects": "none"},
            "test/ari",
            "metric test/ari needs slots, which architecture 'global' does not give; take obj_glo",
        ),
        (
            {},
            "val/right_matches",
            "metric val/right_matches needs two frames, which views.kind 'published' does not give;"
            " take frames",
        ),
        (
            {"data.name": "nuclei"},
            "val/questions/slots/ap",
            "metric val/questions/slots/ap needs properties, which data.name 'nuclei' does not gi",
        ),
    ],
)
def test_the_sentence_names_the_field_and_what_would_do(
    values: dict[str, Any], metric: str, said: str
) -> None:
    assert str(Representation().with_values(values).unreported(metric)).startswith(said)


def test_what_is_of_no_evaluation_is_not_judged() -> None:
    config = Representation().with_values({"architecture": "global", "loss.objects": "none"})
    assert config.unreported("train/iou") is None and config.unreported("val/other") is None


@pytest.mark.parametrize("name", [name for name in SWEEPS if name != "osc.N"])
def test_no_sweep_compares_what_some_of_its_trials_never_report(name: str) -> None:
    for params in space(name).survey.params[:100]:
        config: Any = space(name).point(params).config
        assert not any(config.unreported(metric.name) for metric in SWEEPS[name].metrics)


@pytest.mark.parametrize("name", SCHEMAS)
def test_properties_of_sets_are_those_that_their_records_have_codes_of(name: str) -> None:
    schema = SCHEMAS[name]
    assert set(SCENE_SETS[name].properties) == {*schema.codes, *schema.whole}


@pytest.mark.parametrize("name", ["clevr_with_masks", "tetrominoes", "movi_c"])
def test_stores_have_the_properties_and_masks_that_their_sets_say(name: str, root: Path) -> None:
    settings: dict[str, Any] = {"image_size": SIDE, "crop": "none", "interpolation": "nearest"}
    scenes = open_store(store_folder(root, name, made=True, **settings)).splits["val"]
    assert set(coded(scenes)) == set(SCENE_SETS[name].properties)
    assert scenes.has_labels == SCENE_SETS[name].has_masks
