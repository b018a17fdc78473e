"""The other sweeps of the family detr: one or more for each question, and all settings together."""

from __future__ import annotations

import random
from typing import Any

import pytest

from raysearch.driver.plan import check_study
from raysearch.sweeps.checks import check_space
from tests.detr_sweeps import OTHERS, SWEEPS, at, configurations, offered, space

ASKED = [name for name in OTHERS if name != "detr.suggested"]
TRAINED = [name for name in ASKED if SWEEPS[name].evaluates is None]
SUGGESTED = "detr.suggested"
MAPS = ("softmax", "sparsemax", "entmax15", "entmax")
RATES = ("right", "swapped", "equal")
TWO = {"cross.map.kind": ("softmax", "sparsemax")}
FOUR = {"cross.map.kind": MAPS}
STARTS = (1.05, 1.25, 1.5, 1.75)
_KINDS = ("given", "normal")
AXES: dict[str, tuple[str, int, dict[str, tuple[Any, ...]]]] = {
    "padding": ("Q1", 8, {"cross.padding": ("masked", "added"), **FOUR}),
    "queries": ("Q2", 8, {"num_queries": (50, 64, 100, 256), **TWO}),
    "noise": ("Q3", 4, FOUR),
    "alpha_starts": (
        "Q4",
        30,
        {
            "cross.map.form": ("smooth", "clamped"),
            "cross.map.tied": ("head", "layer", "global"),
            "cross.map.start": _KINDS,
            "cross.map.alpha": STARTS,
        },
    ),
    "alpha_rates": (
        "Q4",
        8,
        {"alpha.lr": (1e-4, 3e-4, 1e-3, 3e-3), "alpha.follows_schedule": (True, False)},
    ),
    "rates": ("Q5", 12, {"choice.rates": RATES, **FOUR}),
    "norms": ("Q6", 8, {"transformer.norm": ("pre", "post"), **FOUR}),
    "balance": (
        "Q7",
        8,
        {"choice.costs": ("five_two", "threes"), "choice.weights": ("five_two", "threes"), **TWO},
    ),
    "tvmax": (
        "Q8",
        7,
        {
            "cross.map.kind": ("sparsemax", "tvmax"),
            "cross.map.weight": (0.01, 0.05, 0.2),
            "cross.map.is_learned": (False, True),
        },
    ),
    "layers": (
        "Q9",
        24,
        {
            "choice.sparse": ("sparsemax", "entmax15", "entmax"),
            "choice.places": ("cross", "encoder", "decoder", "decoder_and_cross", "everywhere"),
            "cross.layers": ("all", "last", "first_three", "alternate"),
        },
    ),
    "explanations": (
        "Q10",
        13,
        {
            "cross.map.kind": ("softmax", "entmax", "sparsemax"),
            "cross.map.alpha": (*STARTS, 1.95),
            "cross.layers": ("all", "last"),
        },
    ),
    "dead_heads": (
        "Q11",
        6,
        {
            "cross.map.form": ("smooth", "sigmoid", "clamped"),
            "cross.map.start": _KINDS,
            "cross.map.alpha": (1.5,),
        },
    ),
    "corners": (
        "Q12",
        6,
        {
            "evaluation.data": ("own", "unrel"),
            "evaluation.names": ("mapped", "as_numbered"),
            "evaluation.images_at_once": (1, 4),
        },
    ),
    "backbones": ("Q13", 6, {"backbone.name": ("resnet18", "resnet34", "resnet50"), **TWO}),
    "early_signal": ("Q14", 12, {"choice.rates": RATES, **FOUR}),
    "thresholds": (
        "Q15",
        3,
        {"choice.thresholds": ("halves",), "evaluation.sparsity.score_above": (0.0, 0.5, 0.9)},
    ),
}
LENGTHS = {"noise": 300, "alpha_rates": 300, "early_signal": 300, "dead_heads": 300 // 5}


def test_every_question_has_a_sweep() -> None:
    assert {name.removeprefix("detr.") for name in ASKED} == AXES.keys()
    assert {question for question, _, _ in AXES.values()} == {f"Q{one}" for one in range(1, 16)}


@pytest.mark.parametrize("name", AXES)
def test_a_question_has_its_points_and_its_seeds(name: str) -> None:
    sweep, (question, points, axes) = SWEEPS[f"detr.{name}"], AXES[name]
    count = space(f"detr.{name}").count()
    assert sweep.tags["question"] == question
    assert (count.points, count.distinct, sweep.stated) == (points, points, points)
    assert offered(f"detr.{name}") == {name: frozenset(values) for name, values in axes.items()}
    assert (sweep.repeats >= 3) == (sweep.evaluates is None)


@pytest.mark.parametrize("name", OTHERS)
def test_a_sweep_has_no_error(name: str) -> None:
    check_space(space(name))
    check_study(SWEEPS[name].sampler, SWEEPS[name].pruner, SWEEPS[name], space(name))


@pytest.mark.parametrize("name", TRAINED)
def test_faults_are_where_they_are_asked_for(name: str) -> None:
    for params, config in configurations(name):
        assert config.data.selects_on == "train2017"
        assert config.cross.padding == params.get("cross.padding", "masked")
        assert config.training.epochs == LENGTHS.get(name.removeprefix("detr."), 25)
        assert config.schedule.epochs == (200,)
        if "choice.rates" not in params:
            assert at(config, "optimizer.lr", "optimizer.backbone_lr") == (1e-4, 1e-5)
        assert config.optimizer.weight_decay == 1e-4 and config.loss.aux_loss


@pytest.mark.parametrize("name", ["detr.rates", "detr.early_signal"])
def test_rates_are_right_swapped_or_equal(name: str) -> None:
    said = {"right": (1e-4, 1e-5), "swapped": (1e-5, 1e-4), "equal": (1e-4, 1e-4)}
    for params, config in configurations(name):
        found = at(config, "optimizer.lr", "optimizer.backbone_lr")
        assert found == said[params["choice.rates"]]


def test_costs_and_weights_are_five_and_two_or_threes() -> None:
    said = {"five_two": (5, 2), "threes": (3, 3)}
    for params, config in configurations("detr.balance"):
        assert at(config, "loss.costs.bbox", "loss.costs.giou") == said[params["choice.costs"]]
        weights = at(config, "loss.weights.bbox", "loss.weights.giou")
        assert weights == said[params["choice.weights"]]


def test_what_is_void_is_not_asked_for() -> None:
    given = {"cross.map.alpha": [{"cross.map.start": "given"}]}
    assert space("detr.alpha_starts").conditions() == given
    smoothed = [{"cross.map.kind": "tvmax"}]
    weights = {"cross.map.weight": smoothed, "cross.map.is_learned": smoothed}
    assert space("detr.tvmax").conditions() == weights
    assert space("detr.layers").conditions() == {"cross.layers": [{"choice.places": "cross"}]}
    unusual = {"evaluation.names": [{"evaluation.data": "unrel"}]}
    assert space("detr.corners").conditions() == unusual


def test_a_place_has_the_map_and_the_others_softmax() -> None:
    places = {
        "cross": {"cross"},
        "encoder": {"encoder_self"},
        "decoder": {"decoder_self"},
        "decoder_and_cross": {"decoder_self", "cross"},
        "everywhere": {"encoder_self", "decoder_self", "cross"},
    }
    for params, config in configurations("detr.layers"):
        for kind, attention in config.attentions.items():
            is_sparse = kind in places[params["choice.places"]]
            assert attention.map.kind == (params["choice.sparse"] if is_sparse else "softmax")


def test_explaining_maps_learn_no_alpha() -> None:
    assert not any(config.learned_alphas for _, config in configurations("detr.explanations"))


def test_fine_thresholds_are_two_a_decade() -> None:
    _, config = configurations("detr.thresholds")[0]
    expected = [float(f"{digit}e-{power}") for power in range(10, 0, -1) for digit in (1, 3)]
    assert list(config.evaluation.sparsity.thresholds) == pytest.approx(expected, rel=1e-12)


# All settings together -----------------------------------------------------------------------


def samples() -> list[tuple[dict[str, Any], Any]]:
    draw = random.Random(0)
    points = [space(SUGGESTED).sample(draw) for _ in range(300)]
    return [(point.params, point.config) for point in points]


def test_the_suggested_space_offers_what_was_suggested() -> None:
    layers = ("all", "last", "alternate")
    axes = {
        "cross.map.kind": (*MAPS, "tvmax"),
        "cross[few].layers": layers,
        "cross[many].layers": (*layers, "first_three"),
        "num_queries": (50, 64, 100, 256),
        "transformer.norm": ("pre", "post"),
        "transformer.positions": ("sine", "learned"),
        "choice.rates": RATES,
        "optimizer.weight_decay": (1e-4, 0.1),
        "loss.aux_loss": (True, False),
        "choice.balance": ("five_two", "threes"),
        "loss.eos_coef": (0.05, 0.1, 0.2),
        "cross.map.start": _KINDS,
        "cross.map.alpha": STARTS,
        "cross.map.tied": ("head", "layer", "global"),
        "choice.alpha_rate": ("x1", "x3", "x10", "x30"),
        "alpha.follows_schedule": (True, False),
        "cross.map.weight": (0.01, 0.05, 0.2),
        "backbone.name": ("resnet18", "resnet34", "resnet50"),
    }
    assert offered(SUGGESTED) == {name: frozenset(values) for name, values in axes.items()}
    others = space(SUGGESTED).survey.distributions.keys() - axes.keys()
    assert others == {"transformer.decoder_layers", "transformer.dropout"}
    assert SWEEPS[SUGGESTED].repeats == 3


def test_suggested_layers_are_told_apart_by_the_depth() -> None:
    for params, config in samples():
        depth, cross = config.transformer.decoder_layers, config.cross
        names = {name for name in params if name.endswith("layers") and "[" in name}
        expected = "cross[few].layers" if depth <= 3 else "cross[many].layers"
        is_asked = depth > 1 and cross.map.kind != "softmax"
        assert names == ({expected} if is_asked else set())
        sparse = sum(cross.is_in(layer, depth) for layer in range(depth))
        assert 0 < sparse < depth or cross.layers == "all"
        assert ("loss.aux_loss" in params) == (depth > 1)


def test_the_suggested_rate_of_alpha_is_a_multiple_of_that_of_the_transformer() -> None:
    seen = set[str]()
    for params, config in samples():
        assert ("choice.alpha_rate" in params) == (config.cross.map.kind == "entmax")
        if rate := params.get("choice.alpha_rate"):
            times = config.alpha_lr / config.optimizer.lr
            assert times == pytest.approx(int(rate.removeprefix("x")), rel=1e-12)
            seen.add(rate)
    assert seen == {"x1", "x3", "x10", "x30"}


def test_the_suggested_schedule_drops_behind_two_thirds_as_the_published_one() -> None:
    for _, config in samples()[:20]:
        assert config.schedule.epochs[0] * 300 == 200 * config.training.epochs
