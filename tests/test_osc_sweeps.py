"""The sweeps of the family osc as they were published: in their size, with what they offer."""

from __future__ import annotations

import inspect
import re
import shlex
from typing import Any

import pytest
import typer

from raysearch.cli.application import app
from raysearch.driver.plan import parse_overrides
from raysearch.results.flat import flat
from raysearch.sweeps.checks import check_space
from raysearch.sweeps.space import Space
from search_spaces import osc, osc_small
from search_spaces.osc_settings import DROP_INS
from tests.osc_sweeps import DROPS, LETTERS, SWEEPS, check_labels, offered, space
from trainables.osc.config import Representation

WIDTHS, LAYERS, HEADS = (64, 128, 256), (2, 4, 6), (4, 8)
QUERIES = {"queries.kind": ("learned", "kmeans", "sampled"), "queries.components": (1, 16, 32)}
FUNCTIONS = {"objects.kind": ("cross_attention", "slot_attention")}
SAMPLED = {
    "choice.weights": ("more_objects", "more_global"),
    "backbone.width": WIDTHS,
    "backbone.heads": HEADS,
    "backbone.layers": LAYERS,
    "objects.iterations": (1, 2, 4),
}
STATED: dict[str, tuple[str, int, int, dict[str, tuple[Any, ...]]]] = {
    "A": (
        "pretrained_cross_decoder",
        192,
        144,
        {
            "schedule.decay": ("cosine", "exponential"),
            "objects.heads": HEADS,
            "objects.positions": ("copied", "learned"),
            "objects.reuses_layers": (False, True),
            "choice.weights": ("equal", "more_global", "more_objects"),
            "queries.num_slots": (11, 24),
            "objects.layers": (1, 3),
        },
    ),
    "B": (
        "global.p44.d64.sweep_layers_heads",
        9,
        9,
        {"backbone.layers": LAYERS, "backbone.heads": (2, 4, 8)},
    ),
    "C": (
        "p88.h8.d64.cross.sweep_layers_layers",
        6,
        6,
        {"backbone.layers": (2, 4), "objects.layers": (1, 2, 4)},
    ),
    "D": (
        "p44.h8.d64.cross.sweep_layers_layers",
        6,
        6,
        {"backbone.layers": (2, 4), "objects.layers": (1, 2, 4)},
    ),
    "E": (
        "p44.h8.d64.slot.sweep_layers_iters",
        6,
        6,
        {"backbone.layers": (2, 4), "objects.iterations": (1, 2, 4)},
    ),
    "F": ("slurm_sweep_sampled", 324, 324, {**SAMPLED, "queries.components": (12, 24, 48)}),
    "G": ("global_only_slurm", 12, 6, {"backbone.width": WIDTHS, "backbone.layers": (2, 4)}),
    "H": (
        "sim_all_query_fn",
        80,
        80,
        {
            **QUERIES,
            **FUNCTIONS,
            "backbone.width": (128, 256),
            "backbone.patch_size": (4, 8),
            "choice.heads": ("h4_b16", "h8_b8"),
        },
    ),
    "I": (
        "ctr_all_p44",
        12,
        12,
        {"objects.iterations": (1, 2), "backbone.layers": (2, 4), "backbone.width": WIDTHS},
    ),
    "J": (
        "sim_img_crop",
        16,
        16,
        {
            "backbone.patch_size": (4, 8),
            "choice.crop": ("0.1-0.3", "0.1-0.5", "0.1-0.8", "0.3-1.0"),
            "backbone.width": (64, 128),
        },
    ),
    "K": ("sim_img_cross1", 4, 4, {"backbone.patch_size": (4, 8), "backbone.width": (128, 256)}),
    "M": ("sim_img_slot1", 4, 4, {"backbone.patch_size": (4, 8), "backbone.width": (128, 256)}),
    "N": (
        "sweep_everything",
        3240,
        3240,
        {
            **QUERIES,
            **FUNCTIONS,
            "architecture": ("obj_global", "global_obj"),
            "backbone.width": WIDTHS,
            "backbone.layers": LAYERS,
            "backbone.heads": (4, 8, 16),
            "choice.patches": ("p4_b16", "p8_b64"),
            "choice.weights": ("more_global", "more_objects", "zero_objects"),
        },
    ),
    "O": ("readme_slurm", 108, 108, SAMPLED),
}
EPOCHS = {**dict.fromkeys("BCEFO", 25), "D": 5, **dict.fromkeys("GHIJKMN", 10)}
_NARROW = {"backbone.width": 64, "backbone.heads": 8, **DROPS}
_BATCH = {"backbone.heads": 4, "training.batch_size": 16}
_GLOBAL = {"loss.global_weight": 1.0, "loss.object_weight": 0.05}
FIXED: dict[str, dict[str, object]] = {
    "A": {
        "backbone.name": "vit_tiny_patch16_224.augreg_in21k",
        "backbone.frozen": True,
        "training.steps": 5000,
        "queries.kind": "learned",
        "objects.kind": "cross_attention",
        "views.small.count": 4,
        "schedule.floor": 0.1,
    },
    "B": {"architecture": "global", "backbone.patch_size": 4, "training.batch_size": 8, **DROPS},
    "C": {**_GLOBAL, **_NARROW, "backbone.patch_size": 8, "training.batch_size": 64},
    "D": {**_GLOBAL, **_NARROW, "backbone.patch_size": 4, "training.batch_size": 8},
    "E": {**_GLOBAL, **_NARROW, "backbone.patch_size": 4, "training.batch_size": 8},
    "F": {"optimizer.lr": 7e-4, "optimizer.weight_decay": 1e-4, "architecture": "obj_global"},
    "G": {"backbone.heads": 4, "training.batch_size": 32, "backbone.patch_size": 8},
    "H": {**_GLOBAL, "loss.objects": "sim_img", "views.min_area": 0.3, "backbone.layers": 2},
    "I": {**_GLOBAL, **_BATCH, "loss.objects": "ctr_all", "backbone.patch_size": 4},
    "J": {**_GLOBAL, **_BATCH, "loss.objects": "sim_img", "objects.iterations": 1},
    "K": {**_GLOBAL, **_BATCH, "objects.kind": "cross_attention", "objects.layers": 1},
    "M": {**_GLOBAL, **_BATCH, "objects.kind": "slot_attention", "objects.iterations": 1},
    "N": {**DROPS, "global_function.dropout": 0.2, "object_projection.dropout": 0.2},
    "O": {"queries.kind": "sampled", "queries.components": 1, "objects.kind": "slot_attention"},
}


def slow(name: str) -> Any:
    """The sweep of 3,240 points takes three seconds to walk."""
    return pytest.param(name, marks=pytest.mark.slow) if name in ("N", "osc.N") else name


letters = pytest.mark.parametrize("letter", [slow(one) for one in LETTERS])


@letters
def test_a_published_sweep_has_its_name_and_as_many_points_as_stated(letter: str) -> None:
    sweep, count = SWEEPS[f"osc.{letter}"], space(f"osc.{letter}").count()
    group, stated, distinct, _ = STATED[letter]
    assert (sweep.group, sweep.tags["group"]) == (group, group)
    assert (sweep.stated, count.points, count.distinct) == (stated, distinct, distinct)
    assert sweep.trials is None and sweep.repeats == 1


@pytest.mark.slow
def test_the_published_sweeps_are_4019_trials_of_which_3965_differ() -> None:
    counts = [space(f"osc.{letter}").count() for letter in LETTERS]
    assert sum(count.stated or 0 for count in counts) == 4019
    assert sum(count.distinct or 0 for count in counts) == 3965


@letters
def test_a_published_sweep_offers_what_was_published(letter: str) -> None:
    axes = {name: frozenset(values) for name, values in STATED[letter][3].items()}
    assert offered(f"osc.{letter}") == axes


@letters
def test_what_is_fixed_is_as_published(letter: str) -> None:
    points = space(f"osc.{letter}").survey.params
    length = {"training.epochs": EPOCHS[letter], "training.steps": None} if letter != "A" else {}
    fixed = FIXED[letter] | length
    for params in points[:: 1 + len(points) // 20]:
        config = space(f"osc.{letter}").point(params).config
        assert {path: config.value_at(path) for path in fixed} == fixed


def test_values_that_would_be_void_are_not_asked_for() -> None:
    assert space("osc.A").conditions()["objects.reuses_layers"] == [{"objects.layers": 3}]
    sampled = {"queries.components": [{"queries.kind": "sampled"}]}
    assert space("osc.H").conditions() == sampled


@letters
def test_a_label_sets_what_it_says(letter: str) -> None:
    check_labels(f"osc.{letter}")


@letters
def test_a_published_sweep_has_no_error(letter: str) -> None:
    check_space(space(f"osc.{letter}"))


def commands() -> list[list[str]]:
    """The commands of the pages on these sweeps, word by word."""
    pages = [inspect.getdoc(page) or "" for page in (osc, osc_small)]
    lines = re.sub(r"\\\n\s*", "", "\n".join(pages)).splitlines()
    return [shlex.split(line) for line in lines if line.startswith("    raysearch ")]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_a_documented_command_is_understood_and_does_something(words: list[str]) -> None:
    _, name, *arguments = words
    command = typer.main.get_command(app).commands[name]  # pyright: ignore[reportAttributeAccessIssue]
    with command.make_context(name, list(arguments)) as context:
        assert context.command is command
    given = parse_overrides(one for one in arguments if re.match(r"[a-z_.]+=", one))
    if name == "search":
        check_space(Space(SWEEPS[arguments[0]], given))
    elif name == "train":
        config = Representation().with_values(given)
        assert {path: config.value_at(path) for path in given} == given
        assert not given or config.digest() != Representation().digest()


@pytest.mark.parametrize("name", DROP_INS)
def test_a_drop_in_is_taken_by_a_sweep(name: str) -> None:
    check_space(Space(SWEEPS["osc.K"], DROP_INS[name]))


@pytest.mark.parametrize(
    ("composed", "purpose"),
    [((), "result"), (("overfit",), "overfit"), (("overfit", "debug"), "debug")],
)
def test_trials_that_are_no_results_say_so_wherever_they_are_listed(
    composed: tuple[str, ...], purpose: str
) -> None:
    """As a parameter of their runs in MLflow, and so in tables; and they are other trials."""
    given = {path: value for name in composed for path, value in DROP_INS[name].items()}
    [point] = Space(SWEEPS["osc.K"], given).preview(1)
    assert flat(point.config.to_json())["purpose"] == purpose
    marked = point.config.with_values({"purpose": "result"}).digest() != point.config.digest()
    assert marked == bool(composed)
