"""Unsupervised segmentation: its loss, its groups, its evaluations beside the parts they are of."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import jaccard_score
from torch import Tensor
from torch.nn import functional

from tests.trainables.groups import together
from tests.trainables.ssl import segmenting, small
from trainables.core import loop
from trainables.core.randomness import uniform
from trainables.core.session import LocalSession
from trainables.data import aligned
from trainables.data.scenes.catalog import SCENE_SETS
from trainables.data.scenes.choosing import pixels
from trainables.losses.correspondence import Places, correspond, derangements, sampled
from trainables.metrics.mean_field import mean_field
from trainables.metrics.semantic import cluster_scores, tally
from trainables.ssl import segmentation_data
from trainables.ssl.config import Pretraining, Segmentation
from trainables.ssl.own_maps import digest
from trainables.ssl.pretraining import PretrainingExperiment
from trainables.ssl.segmentation import SegmentationExperiment
from trainables.synthetic.writing import write_set

NUMBER = 30
SHORT = {"training.steps": 1, "training.batch_size": 8}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thermal pictures of 32 × 40, which are no squares."""
    found, massmind = tmp_path_factory.mktemp("data"), SCENE_SETS["massmind"]
    folder = massmind.folder(found, made=True, image_size=32)
    write_set("massmind", folder, scenes=NUMBER, image_size=32)
    massmind.prepare(found, progress=lambda done, total: None, made=True, image_size=32)
    return found


def made(root: Path, **values: Any) -> Segmentation:
    """A small configuration; a double underscore is a dot."""
    named = {name.replace("__", "."): value for name, value in values.items()}
    own: dict[str, Any] = {
        "data.name": "massmind",
        "data.classes": "any",
        "data.image_size": 32,
        "data.crop": "whole",
        "data.root": str(root),
        "features.image_size": 64,
        "correspondence.neighbours": 3,
        "training.batch_size": 4,
        "training.steps": 2,
    }
    return Segmentation().with_values({**small.SEGMENTATION, **own, **named})


def loaded(root: Path, **values: Any) -> SegmentationExperiment:
    """The experiment with its data."""
    experiment = SegmentationExperiment.create(made(root, **values).to_json())
    experiment.load()
    return experiment


@pytest.mark.parametrize(("store", "error"), [("float16", 2e-3), ("int8", 3e-2)])
def test_maps_are_those_of_the_network_and_pictures_stay_no_squares(
    root: Path, store: str, error: float
) -> None:
    experiment = loaded(root, features__store=store)
    part = experiment.data.train()
    batch = experiment.batch(1)
    seen = pixels(part.scenes, part.positions[batch["examples"].numpy()])
    assert seen.shape == (4, 3, 32, 40) and batch["own_labels"].shape == (4, 32, 40)
    found = experiment._seen("own", batch).features
    assert found.shape == (4, 64, 4, 5)
    torch.testing.assert_close(found, experiment.data.network(seen), rtol=error, atol=error)
    assert np.array_equal(
        batch["own_labels"].numpy(), part.scenes.labels(part.positions[batch["examples"].numpy()])
    )


def test_a_share_is_what_the_whole_batch_has_at_its_places(root: Path) -> None:
    experiment, places = loaded(root, colours__weight=0.1), torch.tensor([3, 1])
    whole, part = experiment.batch(2), experiment.share(2, places)
    assert whole.keys() == part.keys() >= {"images", "near_codes", "orders"}
    for name, one in part.items():
        assert torch.equal(one, whole[name][places]), name


def test_neighbours_are_near_and_not_the_image_itself(root: Path) -> None:
    experiment = loaded(root)
    part = experiment.data.train()
    rows = np.arange(len(part.positions))
    maps = part.store.dequantized(part.store.take(rows))
    pooled = functional.normalize(maps.mean(1), dim=1)
    cosines = (pooled @ pooled.T).fill_diagonal_(-1)
    assert experiment._nearest is not None
    assert torch.equal(experiment._nearest, cosines.topk(3).indices)


@pytest.mark.parametrize("signal", ["features", "labels"])
def test_the_loss_is_the_weighted_sum_of_its_terms(root: Path, signal: str) -> None:
    experiment = loaded(root, signal=signal, head__dropout=0.0)
    batch, network = experiment.batch(1), experiment.network
    found = experiment(batch, 1)
    own, near = experiment._seen("own", batch), experiment._seen("near", batch)

    def places(look: Any, order: Tensor | None, coordinates: Tensor) -> Places:
        codes = network.head(look.features)
        what = look.features
        if signal == "labels":
            what = functional.one_hot(look.labels.long(), 8).movedim(-1, 1).float()
        rows = torch.arange(4) if order is None else order
        return Places(sampled(what[rows], coordinates), sampled(codes[rows], coordinates))

    anchor = places(own, None, own.coordinates)
    terms = {
        "self": correspond(anchor, anchor, 0.18).loss,
        "neighbours": correspond(anchor, places(near, None, near.coordinates), 0.12).loss,
        "others": torch.stack(
            [
                correspond(anchor, places(own, order, near.coordinates), 0.46).loss
                for order in derangements(batch["orders"])
            ]
        ).mean(),
    }
    for name, term in terms.items():
        torch.testing.assert_close(found.terms[name], term)
    assert network.linear is not None and own.labels is not None
    logits = functional.interpolate(
        network.linear(network.head(own.features)), (32, 40), mode="bilinear"
    )
    linear = functional.cross_entropy(logits, own.labels.long())
    torch.testing.assert_close(found.terms["linear"], linear)
    total = 0.67 * terms["self"] + 0.25 * terms["neighbours"] + 0.63 * terms["others"]
    torch.testing.assert_close(found.total, total + linear + found.terms["clusters"])


def test_probes_teach_the_codes_nothing(root: Path) -> None:
    weights = {f"correspondence__{name}_weight": 0.0 for name in ("self", "neighbour", "random")}
    experiment = loaded(root, **weights)
    experiment(experiment.batch(1), 1).total.backward()
    assert all(one.grad is None for one in experiment.network.head.parameters())
    assert all(one.grad is not None and one.grad.any() for one in experiment.network.probes())


def test_terms_of_colours_and_of_reconstruction_teach_them(root: Path) -> None:
    weights = {f"correspondence__{name}_weight": 0.0 for name in ("self", "neighbour", "random")}
    for term in ("colours__weight", "reconstruction_weight"):
        experiment = loaded(root, **weights, **{term: 0.5})
        found = experiment(experiment.batch(1), 1)
        name = term.partition("_")[0]
        torch.testing.assert_close(
            found.total, 0.5 * found.terms[name] + found.terms["linear"] + found.terms["clusters"]
        )
        found.total.backward()
        assert experiment.network.head.linear.weight.grad is not None


def test_probes_have_a_rate_of_their_own(root: Path) -> None:
    experiment = loaded(root, schedule__kind="linear", optimizer__kind="adamw")
    settings = experiment.group_settings(2, 2)
    assert settings["probes"].learning_rate == pytest.approx(10 * settings["main"].learning_rate)
    groups = experiment.parameter_groups()
    assert [one["name"] for one in groups] == ["main", "main", "probes"]
    assert [one["weight_decay"] for one in groups] == [0.01, 0.0, 0.0]
    grouped = [id(one) for group in groups for one in group["params"]]
    assert sorted(grouped) == sorted(id(one) for one in experiment.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("signal", ["features", "labels"])
def test_two_workers_are_one(root: Path, signal: str, tmp_path: Path) -> None:
    config = made(root, signal=signal, head__dropout=0.0, training__evaluate_every=2).to_json()
    alone = segmenting.run(config, tmp_path / "alone")
    group = together(2, tmp_path / "group", partial(segmenting.run, config))
    for name, one in alone["state"].items():
        for rank in group:
            torch.testing.assert_close(rank["state"][name], one, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("loss", ["without centring and others", "as published"])
def test_two_parts_of_a_batch_are_one_without_centring_and_others(root: Path, loss: str) -> None:
    """Both make of an image something that depends on the others of its micro-batch."""
    values: dict[str, Any] = {"head__dropout": 0.0}
    if loss != "as published":
        values |= {"correspondence__centres": False, "correspondence__random_weight": 0.0}
    plain = segmenting.PreciseSegmentation.read(made(root, **values).to_json())
    found: list[Tensor] = []
    for parts in (1, 2):
        config = plain.with_values({"training.num_micro_batches": parts})
        experiment = segmenting.Precise.create(config.to_json())
        experiment.load()
        experiment.train()
        loop.backward(experiment, experiment.batch(1), 1, torch.device("cpu"))
        learned = [one.grad.flatten() for one in experiment.parameters() if one.grad is not None]
        found.append(torch.cat(learned))
    is_same = torch.allclose(found[0], found[1], rtol=1e-10, atol=1e-10)
    assert is_same == (loss != "as published")


@pytest.mark.parametrize("mirrors", [True, False])
def test_scores_are_those_of_pixels_one_by_one(root: Path, mirrors: bool) -> None:
    experiment = loaded(root, evaluation__mirrors=mirrors, evaluation__crf=mirrors).eval()
    scenes = experiment.data.store.splits["val"]
    positions = np.arange(4)
    images, labels = pixels(scenes, positions), torch.from_numpy(scenes.labels(positions)).long()
    network = experiment.network
    assert network.linear is not None
    with torch.no_grad():
        found = experiment.evaluations()[0].function(True)
        codes = network.head(experiment.data.network(images))
        if mirrors:
            turned = network.head(experiment.data.network(images.flip(3))).flip(3)
            codes = (codes + turned) / 2
        large = functional.interpolate(codes, (32, 40), mode="bilinear")
        logits, cosines = network.linear(large), network.clusters(large)[1]
    linear = jaccard_score(labels.flatten(), logits.argmax(1).flatten(), average="macro")
    assert found.values["linear_miou"] == pytest.approx(linear, abs=2e-3)
    clusters = cluster_scores(tally(cosines.argmax(1), labels, 7, 7))
    assert found.values["cluster_miou"] == pytest.approx(clusters.miou, abs=2e-3)
    assert ("linear_crf_accuracy" in found.values) == mirrors
    if mirrors:
        smooth = mean_field(images, logits).argmax(1)
        right = float((smooth == labels).double().mean())
        assert found.values["linear_crf_accuracy"] == pytest.approx(right, abs=2e-3)
    assert {"cluster_iou/sky", "linear_iou/water"} <= found.values.keys()
    assert found.figures.keys() == {"segments"}


def test_what_learns_nothing_is_scored_on_the_same_pixels(root: Path) -> None:
    experiment = loaded(root)
    rows: Any = experiment.evaluations()[0].references
    found = rows()
    train, val = (experiment.data.store.splits[name] for name in ("train", "val"))
    labels = train.labels(experiment.data.order)
    most = np.bincount(labels.ravel(), minlength=7).argmax()
    own = val.labels(np.arange(4))
    expected = jaccard_score(own.ravel(), np.full(own.size, most), average="macro")
    assert found["majority"]["cluster_miou"] == pytest.approx(expected)
    assert found["majority"]["linear_accuracy"] == pytest.approx(float((own == most).mean()))
    assert (
        found["features"].keys() == found["colours"].keys() == {"cluster_miou", "cluster_accuracy"}
    )
    assert all(0.1 < one["cluster_miou"] < 0.9 for one in (found["features"], found["colours"]))
    other: Any = loaded(root, training__seed=3).evaluations()[0].references
    assert other() == found


def test_too_few_images_and_too_deep_a_layer_are_refused_by_their_settings(root: Path) -> None:
    with pytest.raises(ValueError, match="correspondence.neighbours must be below the 22 training"):
        loaded(root, correspondence__neighbours=22)
    with pytest.raises(ValueError, match="features.layer must be at most the 6 maps of test_vit"):
        loaded(root, features__layer=7)
    with pytest.raises(ValueError, match="features.backbone must be a network of timm"):
        loaded(root, features__backbone="test_vitt")
    with pytest.raises(ValueError, match="features.taken must be 'outputs' with test_resnet"):
        loaded(root, features__backbone="test_resnet", features__taken="keys")
    with pytest.raises(ValueError, match="at least 2 images in each micro-batch unless"):
        made(root, training__num_micro_batches=4)
    assert made(root, training__num_micro_batches=4, correspondence__random_weight=0.0)
    with pytest.raises(
        ValueError, match="data.classes must be one of any for massmind, got 'shape'"
    ):
        made(root, data__classes="shape")
    with pytest.raises(ValueError, match="data.classes must be none for clevr, which has no masks"):
        made(root, data__name="clevr")


def test_maps_may_be_those_of_a_network_that_was_trained_here(root: Path, tmp_path: Path) -> None:
    start = Pretraining()
    config = start.with_values({**small.values(start), **SHORT})
    session = LocalSession(tmp_path)
    PretrainingExperiment.run(config.to_json(), session)
    file = str(session.checkpoints[1])
    values: dict[str, Any] = {"features__checkpoint": file, "features__image_size": 16}
    experiment = loaded(root, **values)
    found = experiment._seen("own", experiment.batch(1)).features
    assert found.shape == (4, 8, 8, 10)
    facts = experiment.data.facts()
    assert facts["features.checkpoint_sha256"] == digest(Path(file))
    assert made(root, **values, features__layer=3).digest() == made(root, **values).digest()
    assert made(root, features__checkpoint="none").missing() == (
        "features.checkpoint must be a file, and there is none at 'none'"
    )


def test_what_has_no_effect_is_no_part_of_a_configuration(root: Path) -> None:
    plain = made(root)
    for values in (
        {"colours.places": 7},
        {"evaluation.pictures": 0},
        {"evaluation.crf": False},
        {"reconstruction_weight": 0.0},
        {"features.weights_file": "elsewhere"},
    ):
        assert plain.with_values(values).canonical() == plain.canonical()
    keys = plain.with_values({"features.taken": "keys"})
    assert keys.with_values({"features.final_norm": False}).canonical() == keys.canonical()
    alone = plain.with_values({"correspondence.neighbour_weight": 0.0})
    assert alone.with_values({"correspondence.neighbours": 5}).canonical() == alone.canonical()
    assert plain.with_values({"correspondence.neighbours": 5}).canonical() != plain.canonical()


def test_labels_teach_codes_classes(root: Path) -> None:
    """With true classes in place of features the codes of a class become alike."""
    experiment = loaded(root, signal="labels", head__dropout=0.0, optimizer__lr=1e-2)
    optimizer = experiment.optimizer(experiment.parameter_groups())
    for group in optimizer.param_groups:
        group["lr"] = 1e-2
    losses: list[float] = []
    for step in range(1, 31):
        optimizer.zero_grad()
        found = experiment(experiment.batch(step), step)
        found.total.backward()
        optimizer.step()
        losses.append(float(found.terms["self"].detach() + found.terms["others"].detach()))
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.02


def test_others_are_looked_at_at_places_of_their_own_without_neighbours_too(root: Path) -> None:
    experiment = loaded(root, correspondence__neighbour_weight=0.0)
    batch = experiment.batch(1)
    assert "near_codes" not in batch
    assert not torch.equal(batch["other_coordinates"], batch["own_coordinates"])
    losses = [
        experiment.eval()(one, 1).terms["others"].item()
        for one in (batch, {**batch, "other_coordinates": batch["own_coordinates"]})
    ]
    assert losses[0] != losses[1]


def test_five_crops_of_a_scene_are_images_with_their_classes(root: Path) -> None:
    whole, five = loaded(root), loaded(root, data__five_crop=0.5)
    assert five.num_examples == 5 * whole.num_examples
    part, rows = five.data.train(), torch.tensor([3, 4, 15])
    scenes = whole.data.train()
    one, other = pixels(scenes.scenes, scenes.positions[[0, 3]])
    images = segmentation_data.seen(part, rows)
    wanted = torch.stack([one[:, 16:, 20:], one[:, 8:24, 10:30], other[:, :16, :20]])
    assert torch.equal(images, wanted)
    first, fourth = whole.data.labels(scenes, torch.tensor([0, 3]))
    labels = five.data.labels(part, rows)
    assert torch.equal(labels, torch.stack([first[16:, 20:], first[8:24, 10:30], fourth[:16, :20]]))
    coded = segmentation_data.taken(part, rows)
    maps = five.data.network(images)
    torch.testing.assert_close(five.maps(part, coded), maps, atol=5e-3, rtol=5e-3)
    found = five.evaluations()[0]
    assert found.split == "val" and len(five.data.measured("val", 4, mirrors=False).store) == 4


@pytest.mark.parametrize("ratio", [None, 0.5])
def test_codes_of_changed_images_are_aligned_with_the_places_they_show(
    root: Path, ratio: float | None
) -> None:
    weight = {"alignment__weight": 0.5, "alignment__versions": 3, "head__dropout": 0.0}
    experiment = loaded(root, **weight, data__five_crop=ratio)
    batch, part = experiment.batch(1), experiment.data.train()
    found = experiment(batch, 1)
    which = uniform(experiment.config.seed, "versions", 1, torch.arange(4), 1)[:, 0]
    rows = batch["examples"]
    crops = torch.zeros_like(rows) if ratio is None else rows % 5
    scenes = torch.from_numpy(part.positions[rows.numpy()])
    numbers = (5 * scenes + crops) * 3 + (3 * which).long()
    draws = uniform(0, "changed images", 0, numbers, 9)
    images = aligned.changed(segmentation_data.seen(part, rows), draws, 0.8, 0.3)
    head, shape = experiment.network.head, experiment.data.network.shape
    places = aligned.places(aligned.windows(draws[:, :4], 0.8), (shape.rows, shape.columns))
    own = sampled(head(experiment._seen("own", batch).features), places)
    changed = head(experiment.data.network(images)).flatten(2)
    term = -functional.cosine_similarity(own, changed, dim=1).mean()
    torch.testing.assert_close(found.terms["alignment"], term, atol=2e-3, rtol=2e-3)
    others = loaded(root, head__dropout=0.0, data__five_crop=ratio)
    others.load_state_dict(experiment.state_dict())
    rest = others(others.batch(1), 1).total
    torch.testing.assert_close(found.total, rest + 0.5 * found.terms["alignment"])


def test_no_alignment_and_no_crops_are_no_part_of_a_configuration() -> None:
    plain = Segmentation()
    assert plain.with_values({"alignment.versions": 9}).digest() == plain.digest()
    assert "five_crop" not in plain.canonical()["data"]
    for values in ({"alignment.weight": 0.1}, {"data.five_crop": 0.5}):
        assert plain.with_values(values).digest() != plain.digest()


@pytest.mark.slow
def test_without_classes_clusters_are_looked_at_and_nothing_else(tmp_path: Path) -> None:
    clevr = SCENE_SETS["clevr"]
    write_set("clevr", clevr.folder(tmp_path, made=True, image_size=32), scenes=20, image_size=32)
    crop: dict[str, Any] = {"image_size": 32, "crop": "none"}
    clevr.prepare(tmp_path, progress=lambda done, total: None, made=True, **crop)
    experiment = loaded(
        tmp_path,
        data__name="clevr",
        data__classes="none",
        data__crop="none",
        probes__extra_clusters=5,
    )
    batch, network = experiment.batch(1), experiment.network
    assert network.linear is None and len(network.clusters.centroids) == 5
    assert not any("labels" in name for name in batch)
    assert "linear" not in experiment(batch, 1).terms
    experiment.eval()
    with torch.inference_mode():
        found = experiment.evaluations()[0].function(True)
    part = experiment.data.measured("val", 4, mirrors=True)
    images = pixels(part.scenes, part.positions)
    with torch.no_grad():
        codes = network.head(experiment.data.network(images))
        other = network.head(experiment.data.network(images.flip(3))).flip(3)
        codes = (codes + other) / 2
        large = functional.interpolate(codes, images.shape[2:], mode="bilinear")
        directions = functional.normalize(network.clusters.centroids, dim=1)
        cosines = torch.einsum("behw,ke->bkhw", functional.normalize(large, dim=1), directions)
    shares = cosines.argmax(1).flatten().bincount(minlength=5) / cosines[:, 0].numel()
    used = float(torch.exp(-(shares[shares > 0] * shares[shares > 0].log()).sum()))
    assert found.values["clusters_used"] == pytest.approx(used, rel=0.02)
    best = float(cosines.amax(1).mean())
    assert found.values["clusters_cosine"] == pytest.approx(best, abs=5e-3)
    assert set(found.values) == {"clusters_used", "clusters_cosine"}
    with torch.inference_mode():
        blind = experiment.evaluations()[0].references
        rows = blind() if blind is not None else {}
    assert rows.keys() == {"colours", "features"}
    assert all(1 < row["clusters_used"] <= 5 for row in rows.values())
    found.figures["segments"](tmp_path / "segments.png")
    assert (tmp_path / "segments.png").stat().st_size > 2000


def test_what_needs_classes_is_refused_where_there_are_none() -> None:
    plain = Segmentation()
    bare = {"data.classes": "none", "probes.extra_clusters": 27}
    none = plain.with_values(bare)
    assert "data.classes is 'none'" in (none.unreported("val/cluster_miou") or "")
    assert "take data.classes 'none'" in (plain.unreported("val/clusters_used") or "")
    assert none.unreported("val/clusters_used") is plain.unreported("val/linear_miou") is None
    for values, sentence in (
        ({"data.classes": "none"}, "probes.extra_clusters must be at least 2 .*, got 0; try 27"),
        ({**bare, "signal": "labels"}, "signal must be 'features' with data.classes 'none'"),
        ({"data.name": "clevr"}, "data.classes must be none for clevr, which has no masks"),
    ):
        with pytest.raises(ValueError, match=sentence):
            plain.with_values(values)
