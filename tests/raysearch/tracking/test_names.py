"""Names that MLflow would not take become names that it takes, and two are never one."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raysearch.tracking.mlflow.names import artifact_path, key
from raysearch.tracking.mlflow.runs import reported_name, summary_name
from tests.raysearch.specs import make_spec

ODD = {
    "val/AR@100": "val/AR_0x40_100",
    "val/AR#100": "val/AR_0x23_100",
    "val/AP@[.50:.95]": "val/AP_0x40-5b_.50:.95_0x5d_",
    "/loss": "_0x2f_loss",
    "val//loss": "val/_0x2f_loss",
    "./loss": "_0x2e_/loss",
    "loss/": "loss_0x2f_",
    "..": "_0x2e-2e_",
    "": "_0x_",
    "\udcff": "_0xdcff_",
}
texts = st.text(st.characters(exclude_categories=[]), max_size=300)
written = st.text("/._0x4@- ", max_size=12) | texts


def accepted(name: str) -> bool:
    """What MLflow's own rule says."""
    from mlflow.exceptions import MlflowException
    from mlflow.utils import validation

    try:
        for check in ("metric", "param", "tag"):
            getattr(validation, f"_validate_{check}_name")(name)
    except MlflowException:
        return False
    return len(name) <= validation.MAX_ENTITY_KEY_LENGTH


@pytest.mark.parametrize("name", ODD)
def test_a_refused_name_is_written_with_the_numbers_of_its_characters(name: str) -> None:
    assert key(name) == ODD[name] and accepted(ODD[name])


@pytest.mark.parametrize("name", ["val/loss", "größe", "center_x1", "a/..b", "01: minutes", " "])
def test_an_accepted_name_stays_as_it_is(name: str) -> None:
    assert key(name) == name and accepted(name)


@given(written)
def test_mlflow_takes_every_name(name: str) -> None:
    assert accepted(key(name))


@given(written, written)
def test_two_names_are_never_one(one: str, other: str) -> None:
    assert (key(one) == key(other)) == (one == other)
    assert (artifact_path(one) == artifact_path(other)) == (one == other)


def test_all_short_names_of_the_characters_that_matter_are_told_apart() -> None:
    names = [
        "".join(some) for size in range(5) for some in itertools.product("/._0x@", repeat=size)
    ]
    assert len({key(name) for name in names}) == len(names) == 1555
    plain = [name for name in names if accepted(name) and "_0x" not in name]
    assert len(plain) > 400 and all(key(name) == name for name in plain)


def test_long_names_that_differ_in_their_last_letter_are_told_apart() -> None:
    one, other = key("x" * 300 + "a"), key("x" * 300 + "b")
    assert one != other and len(one) == len(other) == 250 and accepted(one)


@given(written)
def test_no_artifact_leads_out_of_its_run(name: str) -> None:
    parts = artifact_path(name).split("/")
    assert not {"", ".", ".."} & set(parts)
    assert re.search(r"[#%?\\\x00-\x1f]", "/".join(parts)) is None


def test_a_reported_metric_is_never_that_by_which_trials_are_sorted() -> None:
    spec = make_spec(metrics=[{"name": "val/loss", "direction": "minimize"}])
    assert reported_name("val/loss", spec) == "val/loss"
    assert key(reported_name("objective/val_loss", spec)) != summary_name("val/loss")
