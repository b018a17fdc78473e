"""The sweeps of the family detr as they were logged: in their size, with their settings."""

from __future__ import annotations

import inspect
import re
import shlex
from collections.abc import Mapping

import pytest

from raysearch.driver.plan import parse_overrides
from raysearch.sweeps.checks import check_space
from raysearch.sweeps.space import Space
from search_spaces import detr
from tests.detr_sweeps import LOGGED, SWEEPS, at, configurations, offered, space
from trainables.detr.config import Detection
from trainables.detr.parts import Evaluations
from trainables.metrics.boxes import FIGURES

RUN = {
    **{"backbone.name": "resnet50", "backbone.dilation": False, "backbone.pretrained": True},
    **{"transformer.encoder_layers": 6, "transformer.decoder_layers": 6, "transformer.width": 256},
    **{"transformer.heads": 8, "transformer.mlp_ratio": 2048 / 256, "transformer.dropout": 0.1},
    **{"transformer.norm": "pre", "transformer.positions": "sine", "num_queries": 100},
    **{"loss.aux_loss": True, "loss.eos_coef": 0.1},
    **{"loss.costs.ce": 1, "loss.costs.bbox": 5, "loss.costs.giou": 2},
    **{"loss.weights.ce": 1, "loss.weights.bbox": 5, "loss.weights.giou": 2},
    **{"optimizer.lr": 1e-4, "optimizer.backbone_lr": 1e-5, "optimizer.weight_decay": 1e-4},
    **{"training.clip_norm": 0.1, "training.epochs": 300, "training.batch_size": 6 * 6},
    **{"training.seed": 42, "training.steps": None, "data.name": "coco"},
    **{"data.selects_on": "val2017", "cross.padding": "added", "cross.map.kind": "softmax"},
    **{"schedule.kind": "drops", "schedule.epochs": [200], "schedule.factor": 0.1},
}
"""What is common to all runs of the log, whose files of settings are public."""
FAULTY = {
    "optimizer.lr": 1e-5,
    "optimizer.backbone_lr": 1e-4,
    "optimizer.weight_decay": 0.1,
    "loss.aux_loss": False,
}
SPARSEMAX = {"cross.map.kind": "sparsemax"}
SHORT = {"training.epochs": 25}
ALPHA = {
    "cross.map.kind": "entmax",
    "cross.map.start": "normal",
    "cross.map.form": "clamped",
    "cross.map.tied": "head",
    "alpha.lr": 1e-3,
    "alpha.follows_schedule": True,
}
REPAIRED = {**SHORT, **SPARSEMAX}
SWAPPED_POST = {
    "optimizer.lr": 1e-5,
    "optimizer.backbone_lr": 1e-4,
    "transformer.norm": "post",
}
THREES = dict.fromkeys((f"loss.{a}.{b}" for a in ("costs", "weights") for b in ("bbox", "giou")), 3)
TORCH = {"cross.padding": "masked"}


def old_alpha(form: str) -> dict[str, object]:
    own = {"cross.map.form": form, "cross.map.start": "normal_copied"}
    return {**FAULTY, **ALPHA, **own, "alpha.lr": 1e-5, "alpha.weight_decay": 0.1}


def entmax_in(kind: str) -> dict[str, object]:
    return {f"{kind}.map.{path}": ALPHA[f"cross.map.{path}"] for path in ("kind", "start", "form")}


RUNS: dict[str, list[Mapping[str, object]]] = {
    "E01": [
        {**TORCH, **SHORT, "training.batch_size": 8 * 6, "transformer.norm": norm}
        for norm in ("post", "pre")
    ],
    "E02": [TORCH],
    "E03": [SHORT, {}],
    "E04": [SPARSEMAX],
    "E05": [{"cross.map.kind": "entmax15"}],
    "E06": [{"cross.map.kind": "tvmax", "cross.map.weight": 0.05, "cross.map.is_learned": False}],
    "E07": [
        {
            **old_alpha("unbounded"),
            **{
                "cross.map.tied": "layer",
                "cross.map.start": "given",
                "cross.map.alpha": pytest.approx(1.8176, abs=5e-5),
            },
        },
        *(old_alpha(form) for form in ("unused", "constant", "sigmoid", "clamped_sigmoid")),
    ],
    "E08": [{**FAULTY, **SPARSEMAX, "num_queries": 256}],
    "E09": [{**FAULTY, **SPARSEMAX, "num_queries": 256, "optimizer.backbone_lr": 5e-4}],
    "E10": [{**FAULTY, **SPARSEMAX, "num_queries": 64}],
    "E11": [FAULTY],
    "E12_weights": [
        {
            **TORCH,
            "transformer.norm": "post",
            "training.steps": 0,
            "weights_file": "data/weights/detr-r50-e632da11.pth",
        }
    ],
    "E13": [
        {**REPAIRED, **SWAPPED_POST, "optimizer.weight_decay": 0.1},
        {**REPAIRED, **SWAPPED_POST},
        REPAIRED,
    ],
    "E13d": [REPAIRED],
    "E17": [{"cross.map.kind": kind} for kind in ("softmax", "sparsemax", "entmax15")],
    "E18": [{**SPARSEMAX, **THREES}],
    "E19": [ALPHA],
    "E20": [{**ALPHA, "alpha.follows_schedule": False}],
    "E26": [
        {"backbone.name": "resnet18"},
        {"backbone.name": "resnet34"},
        {
            **ALPHA,
            **entmax_in("encoder_self"),
            **entmax_in("decoder_self"),
            "alpha.follows_schedule": False,
        },
    ],
}
"""In what each run differs from `RUN`."""
_SPARSITY = "evaluation.sparsity."
_PROTOCOLS: list[Mapping[str, object]] = [
    {f"{_SPARSITY}protocol": protocol, f"{_SPARSITY}score_above": score}
    for protocol, score in (("rows_a", 0.7), ("rows_b", 0.9), ("rows_c", 0.9))
]
_ALL_AND_SOME: list[Mapping[str, object]] = [
    {f"{_SPARSITY}protocol": "map", f"{_SPARSITY}score_above": score} for score in (0.0, 0.9)
]
_UNREL = {"evaluation.data": "unrel", "evaluation.names": "as_numbered"}
_ALONE = {"evaluation.images_at_once": 1}
MEASURED: dict[str, tuple[str, list[Mapping[str, object]]]] = {
    "E12": ("E17", _PROTOCOLS),
    "E12_baseline": ("E02", _PROTOCOLS),
    "E12_original": ("E12_weights", _PROTOCOLS),
    "E14": ("E17", _ALL_AND_SOME[1:]),
    "E15": ("E17", _ALL_AND_SOME),
    "E15_alpha": ("E19", _ALL_AND_SOME),
    "E16": ("E17", [{f"{_SPARSITY}score_above": 0.0}]),
    "E21": ("E17", [_ALONE]),
    "E21_alpha": ("E19", [_ALONE]),
    "E22": ("E17", [{"evaluation.images_at_once": 6}]),
    "E23": ("E17", [_UNREL]),
    "E23_alpha": ("E19", [_UNREL]),
    "E24": ("E17", [{**_UNREL, **_ALONE}]),
    "E24_alpha": ("E19", [{**_UNREL, **_ALONE}]),
}
"""What each measures, and with which settings."""


def test_all_experiments_are_there_but_one_that_is_a_row_beside_the_others() -> None:
    assert LOGGED and {name.removeprefix("detr.") for name in LOGGED} == RUNS.keys() | MEASURED
    numbers = {re.sub(r"\D", "", name) for name in (*RUNS, *MEASURED)}
    assert numbers == {f"{number:02}" for number in range(1, 27)} - {"25"}


@pytest.mark.parametrize("number", RUNS)
def test_a_run_is_as_it_was_logged(number: str) -> None:
    found = [config for _, config in configurations(f"detr.{number}")]
    expected = [{**RUN, **own} for own in RUNS[number]]
    assert len(found) == len(expected)
    for config, settings in zip(found, expected, strict=True):
        assert {path: config.value_at(path) for path in settings} == settings


@pytest.mark.parametrize("number", MEASURED)
def test_a_measurement_is_as_it_was_logged(number: str) -> None:
    of, expected = MEASURED[number]
    found = [config for _, config in configurations(f"detr.{number}")]
    assert SWEEPS[f"detr.{number}"].evaluates == f"detr.{of}"
    assert len(found) == len(expected)
    for config, settings in zip(found, expected, strict=True):
        assert {path: config.value_at(path) for path in settings} == settings


@pytest.mark.parametrize("name", [name for name, one in SWEEPS.items() if one.evaluates])
def test_a_measurement_states_nothing_of_training(name: str) -> None:
    assert str(SWEEPS[name].evaluates) in SWEEPS
    for _, config in configurations(name):
        assert config.model_copy(update={"evaluation": Evaluations()}) == Detection()


def test_thresholds_of_softmax_are_the_eight_that_were_passed_through() -> None:
    ((_, config),) = configurations("detr.E16")
    eight = [float(f"1e-{power}") for power in range(10, 2, -1)]
    assert list(config.evaluation.sparsity.thresholds) == pytest.approx(eight, rel=1e-15)


@pytest.mark.parametrize("name", LOGGED)
def test_a_sweep_is_as_large_as_was_stated(name: str) -> None:
    sweep, count = SWEEPS[name], space(name).count()
    several = {"detr.E16": 1, "detr.E26": 3}  # eight passes that are one, and what was not run
    assert count.points == count.distinct == several.get(name, sweep.stated)
    assert sweep.trials is None and sweep.repeats == (5 if name == "detr.E13d" else 1)


@pytest.mark.parametrize("name", LOGGED)
def test_a_sweep_has_a_group_a_day_and_no_error(name: str) -> None:
    sweep = SWEEPS[name]
    assert sweep.tags["group"] == sweep.group
    assert re.fullmatch(r"2022-\d\d(-\d\d)?", sweep.tags["date"])
    check_space(space(name))


@pytest.mark.parametrize("name", SWEEPS)
def test_what_is_compared_is_a_figure_of_coco(name: str) -> None:
    (metric,) = SWEEPS[name].metrics
    assert metric.name.removeprefix("val/") in FIGURES and metric.direction == "maximize"


def test_the_repairs_are_one_setting_after_the_other() -> None:
    paths = ("optimizer.weight_decay", "optimizer.lr", "transformer.norm")
    stages = [at(config, *paths) for _, config in configurations("detr.E13")]
    assert stages == [(0.1, 1e-5, "post"), (1e-4, 1e-5, "post"), (1e-4, 1e-4, "pre")]
    assert offered("detr.E13") == {
        "choice.accidents": frozenset({"a_decay_rates_norm", "b_rates_norm", "c_none"})
    }


def commands() -> list[list[str]]:
    """The commands of the page on these sweeps, word by word."""
    lines = (inspect.getdoc(detr) or "").splitlines()
    return [shlex.split(line) for line in lines if line.startswith("    raysearch ")]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_a_documented_command_is_understood_and_does_something(words: list[str]) -> None:
    given = parse_overrides(one for one in words if re.match(r"[a-z_]+\.[a-z_.]+=", one))
    assert words[:2] == ["raysearch", "search"]
    check_space(Space(SWEEPS[words[2]], given))
