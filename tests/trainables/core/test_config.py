"""Configurations: JSON and back, strictness, errors that name the path, the canonical form."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import pytest
from pydantic import Field, ValidationError, model_validator

from trainables.core.config import Config
from trainables.core.training import ExperimentConfig, Training


class Cube(Config):
    kind: Literal["cube"] = "cube"
    side: float = Field(default=1.0, gt=0)


class Ball(Config):
    kind: Literal["ball"] = "ball"
    radius: float = 2.0
    colour: Literal["red", "blue"] = "red"


class Wrapped(Config):
    kind: Literal["wrapped"] = "wrapped"
    content: Annotated[Cube | Ball, Field(discriminator="kind")] = Cube()


class Layer(Config):
    width: int = Field(default=8, ge=1)
    heads: int = 2
    dropout: bool = False
    rate: float = 0.1

    @model_validator(mode="after")
    def _fits(self) -> Layer:
        if self.width % self.heads:
            raise ValueError(f"heads must divide width ({self.width}), got {self.heads}")
        return self

    def void(self) -> frozenset[str]:
        return frozenset() if self.dropout else frozenset({"rate"})


class Example(ExperimentConfig):
    experiment: ClassVar[str] = "tests:none"
    name: ClassVar[str] = "tests.example"
    shape: Annotated[Cube | Ball | Wrapped, Field(discriminator="kind")] = Cube()
    layer: Layer = Layer()
    extra: Ball | None = None


VARIANTS = [
    Example(),
    Example(shape=Ball(colour="blue")),
    Example(shape=Wrapped(content=Ball())),
    Example(extra=Ball(), training=Training(steps=3)),
]


@pytest.mark.parametrize("config", VARIANTS)
def test_json_and_back_is_the_identity(config: Example) -> None:
    assert Example.read(config.to_json()) == config


def test_paths_are_those_of_all_variants() -> None:
    paths = {path for path in Example.paths() if not path.startswith("training.")}
    assert paths == {
        *("layer.width", "layer.heads", "layer.dropout", "layer.rate"),
        *("shape.kind", "shape.side", "shape.radius", "shape.colour"),
        *("shape.content.kind", "shape.content.side"),
        *("shape.content.radius", "shape.content.colour"),
        *("extra", "extra.kind", "extra.radius", "extra.colour"),
    }


def test_a_value_is_found_by_its_path() -> None:
    assert Example(shape=Wrapped()).value_at("shape.content.side") == 1.0


def test_another_kind_starts_from_its_own_defaults() -> None:
    config = Example(shape=Cube(side=7.0)).with_values({"shape.radius": 3.0, "shape.kind": "ball"})
    assert config.shape == Ball(radius=3.0)


def test_an_inner_kind_given_with_an_outer_one_survives() -> None:
    values = {"shape.content.kind": "ball", "shape.kind": "wrapped", "shape.content.radius": 5.0}
    assert Example().with_values(values).shape == Wrapped(content=Ball(radius=5.0))


def test_the_same_kind_keeps_the_other_values() -> None:
    config = Example(shape=Cube(side=7.0)).with_values({"shape.kind": "cube"})
    assert config.shape == Cube(side=7.0)


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        setattr(Example().layer, "width", 3)  # noqa: B010 (what a type checker refuses)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"layer.width": 0}, "layer.width must be greater than or equal to 1, got 0"),
        ({"layer.width": "8"}, "layer.width must be a valid integer, got '8'"),
        ({"layer.width": 8.0}, "layer.width must be a valid integer, got 8.0"),
        ({"layer.width": True}, "layer.width must be a valid integer, got True"),
        ({"layer.dropout": 1}, "layer.dropout must be a valid boolean, got 1"),
        ({"shape.side": 0.0}, "shape.side must be greater than 0, got 0.0"),
        ({"shape.side": float("inf")}, "shape.side must be a finite number, got inf"),
        ({"shape.side": float("nan")}, "shape.side must be a finite number, got nan"),
        ({"layer.heads": 3}, "layer.heads must divide width (8), got 3"),
        ({"shape.kind": "bal"}, "shape.kind must be 'cube' or 'ball' or 'wrapped', got 'bal'"),
        (
            {"shape.kind": "ball", "shape.colour": "rot"},
            "shape.colour must be 'red' or 'blue', got 'rot'",
        ),
        (
            {"shape.kind": "wrapped", "shape.content.side": "a"},
            "shape.content.kind must be given, got {'side': 'a'}",
        ),
    ],
)
def test_a_bad_value_is_named_with_path_and_rule(values: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError) as error:
        Example().with_values(values)
    assert str(error.value) == sentence


def test_an_integer_is_a_float_too() -> None:
    side = Example().with_values({"shape.side": 2}).value_at("shape.side")
    assert (side, type(side)) == (2.0, float)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("layer.widht", "layer.widht is no field of tests.example; did you mean 'layer.width'?"),
        ("lair", "lair is no field of tests.example; did you mean 'layer'?"),
        ("colour", "colour is no field of tests.example; did you mean 'shape.colour'?"),
        ("shape.radius", "shape.radius is no field of tests.example with shape.kind 'cube'"),
    ],
)
def test_an_unknown_path_is_named_with_the_nearest(path: str, sentence: str) -> None:
    for ask in (Example().value_at, lambda path: Example().with_values({path: 1.0})):
        with pytest.raises(LookupError) as error:
            ask(path)
        assert error.value.args[0] == sentence


def test_a_part_is_no_field() -> None:
    with pytest.raises(LookupError, match="layer is a part of tests.example, not a field; it has"):
        Example().with_values({"layer": {}})


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"layer": {"widht": 3}}, "did you mean 'layer.width'"),
        ({"shape": {"kind": "ball", "side": 1.0}}, "with shape.kind 'ball'"),
        ({"lyer": {}}, "did you mean 'layer'"),
    ],
)
def test_a_misspelt_field_in_json_is_named(data: dict[str, object], sentence: str) -> None:
    with pytest.raises(LookupError, match=sentence):
        Example.read(data)


def test_a_part_that_is_no_object_is_named() -> None:
    with pytest.raises(ValueError, match="layer must be an object with fields, got 3"):
        Example.read({"layer": 3})


def test_void_fields_and_the_seed_change_no_digest() -> None:
    config = Example()
    same = config.with_values({"layer.rate": 0.7, "training.seed": 4})
    assert same != config and same.digest() == config.digest()


def test_a_field_counts_once_it_has_an_effect() -> None:
    config = Example().with_values({"layer.dropout": True})
    assert config.with_values({"layer.rate": 0.7}).digest() != config.digest()


def test_epochs_are_void_when_steps_are_given() -> None:
    config = Example(training=Training(steps=5))
    assert config.with_values({"training.epochs": 99}).digest() == config.digest()


def test_the_digest_knows_the_experiment() -> None:
    class Other(Example):
        experiment: ClassVar[str] = "tests:other"

    assert Other().digest() != Example().digest()


def test_the_digest_has_sixteen_hexadecimal_digits_and_is_stable() -> None:
    digest = Example().digest()
    assert len(digest) == 16 and int(digest, 16) >= 0
    assert digest == Example.read(Example().to_json()).digest()
