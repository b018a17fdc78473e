"""A configuration is shown setting by setting, as it can be given again."""

from __future__ import annotations

import json
from datetime import date, timedelta
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import Field
from typer.testing import CliRunner

from raysearch.cli.application import app
from raysearch.driver.plan import parse_overrides
from raysearch.settings import EXPERIMENTS
from raysearch.sweeps.catalog import experiments
from raysearch.sweeps.described import settings_of
from trainables.core.config import Config
from trainables.core.training import ExperimentConfig

KNOWN = experiments(EXPERIMENTS)


class Small(Config):
    """A part; its `size` is in pixels.

    `weight` multiplies: more is more.
    """

    kind: Literal["small"] = "small"
    size: Annotated[int, Field(ge=8, le=512)] = 64
    weight: float = Field(default=1.0, gt=0)
    name: str | None = Field(default=None, description="What it is called. Anything will do.")
    pair: tuple[float, float] = (0.0, 1.0)


class Large(Config):
    """Another part."""

    kind: Literal["large"] = "large"
    deep: bool = True

    def void(self) -> frozenset[str]:
        """All of it."""
        return frozenset({"deep"})


class Own(ExperimentConfig):
    """An experiment of somebody."""

    experiment: ClassVar[str] = "own:Experiment"
    name: ClassVar[str] = "own"

    part: Annotated[Small | Large, Field(discriminator="kind")] = Small(size=32)


def said(config: Any) -> dict[str, tuple[Any, Any, str, str, bool]]:
    return {
        one.path: (one.value, one.default, one.allowed, one.about, one.is_void)
        for one in settings_of(config)
        if one.path.startswith("part")
    }


def test_a_setting_has_value_default_what_is_allowed_and_its_use() -> None:
    assert said(Own(part=Small(size=16))) == {
        "part.kind": ("small", "small", "small, large", "", False),
        "part.size": (16, 32, "a whole number ≥ 8 and ≤ 512", "its `size` is in pixels", False),
        "part.weight": (1.0, 1.0, "a number > 0", "`weight` multiplies: more is more", False),
        "part.name": (None, None, "a text or null", "What it is called", False),
        "part.pair": ([0, 1], [0, 1], "tuple of (a number, a number)", "", False),
    }


class Pool(Enum):
    """Words for choices."""

    MEAN = "mean"
    FIRST = 1


class Odd(Config):
    """Fields of the rarer types."""

    day: Annotated[date, Field(ge=date(2020, 1, 1))] = date(2024, 2, 3)
    span: Annotated[timedelta, Field(gt=timedelta(0))] = timedelta(seconds=5)
    large: Annotated[int, Field(lt=2**40 + 1)] = 5
    pool: Pool | None = Pool.MEAN
    choice: Literal[True, None, 3, "a"] = None


def test_bounds_of_any_type_are_said_in_full_and_choices_as_they_are_given() -> None:
    assert {one.path: one.allowed for one in settings_of(Odd())} == {
        "day": "date ≥ 2020-01-01",
        "span": "timedelta > 0:00:00",
        "large": "a whole number < 1099511627777",
        "pool": "mean, 1 or null",
        "choice": "true, null, 3, a",
    }


def test_another_variant_is_compared_with_its_own_defaults() -> None:
    assert said(Own(part=Large(deep=False))) == {
        "part.kind": ("large", "large", "small, large", "", False),
        "part.deep": (False, True, "true or false", "", True),
    }


def test_the_seed_counts_although_it_is_void() -> None:
    assert not next(one for one in settings_of(Own()) if one.path == "training.seed").is_void


@pytest.mark.parametrize("name", KNOWN)
def test_what_is_shown_can_be_given_and_gives_the_same(name: str, tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["train", name, "--show", "--runs", str(tmp_path / "runs")])
    assert shown.exit_code == 0 and not (tmp_path / "runs").exists()
    lines = [line.partition("  # ")[0] for line in shown.stdout.splitlines()]
    config = KNOWN[name]()
    again: Any = config
    again = again.with_values(parse_overrides(lines))
    assert json.dumps(again.to_json()) == json.dumps(config.to_json())
    assert {line.partition("=")[0] for line in lines} <= type(again).paths()


def test_a_value_that_is_given_is_shown_beside_the_default() -> None:
    shown = CliRunner().invoke(app, ["train", "ssl.supervised", "optimizer.lr=0.5", "--show"])
    assert "optimizer.lr=0.5  # default 0.001; a number > 0; `lr` is the peak" in shown.stdout


def test_a_text_of_several_lines_is_shown_as_it_can_be_given() -> None:
    given = 'data.path="a\\nb"'
    shown = CliRunner().invoke(app, ["train", "ssl.supervised", given, "--show"])
    assert f"{given}  # default null; " in shown.stdout


@pytest.mark.parametrize("more", [["--folder", "x"], ["--split", "val"], ["--evaluate-only", "x"]])
def test_what_is_only_shown_takes_no_other_option(more: list[str]) -> None:
    refused = CliRunner().invoke(app, ["train", "ssl.supervised", "--show", *more])
    assert refused.exit_code == 2 and "--show must stand alone" in refused.stderr
