"""Every type of field that JSON keeps survives it, seeds and given values; others are named."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any, Literal, NamedTuple
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, field_validator, model_validator

from trainables.core.config import Config
from trainables.core.run import RunConfig
from trainables.core.training import ExperimentConfig, Training


class Pool(Enum):
    CLS = "cls"
    MEAN = "mean"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


@dataclass(frozen=True)
class Stage:
    width: int = 8
    depths: tuple[int, ...] = (2, 2)
    root: Path = Path("a")


class Crop(NamedTuple):
    top: int = 0
    scale: float = 1.0


class Peoples(BaseModel):
    gain: float = 1.0
    pool: Pool = Pool.CLS


class Part(Config):
    widths: tuple[int, int] = (1, 2)
    names: frozenset[str] = frozenset()


class Typed(RunConfig):
    experiment = "tests:none"
    name = "tests.typed"
    betas: tuple[float, float] = (0.9, 0.999)
    mean: tuple[float, ...] = ()
    pairs: list[tuple[int, str]] = []
    root: Path = Path("data")
    pool: Pool = Pool.CLS
    level: Level = Level.LOW
    mode: Literal["a", 1, None] = "a"
    drop: float | None = None
    warmup: int | float | None = None
    stage: Stage = Stage()
    crop: Crop = Crop()
    stages: list[Stage] = []
    peoples: Peoples = Peoples()
    part: Part = Part()
    maybe: Part | None = None
    by_number: dict[int, float] = {}
    by_pool: dict[Pool, int] = {}
    layers: set[int] = set()
    words: frozenset[str] = frozenset()
    groups: frozenset[tuple[int, int]] = frozenset()
    at: datetime | None = None
    day: date = date(2020, 1, 1)
    wait: timedelta = timedelta(0)
    raw: bytes = b""
    price: Decimal = Decimal(0)
    key: UUID = UUID(int=0)


WHOLE = st.integers(-(2**63), 2**63 - 1)
REAL = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
PATHS = st.sampled_from([Path("a"), Path("/x/y"), Path("ä b"), Path(".")])
POOLS = st.sampled_from(Pool)
STAGES = st.builds(Stage, WHOLE, st.lists(WHOLE, max_size=3).map(tuple), PATHS)
PARTS = st.builds(Part, widths=st.tuples(WHOLE, WHOLE), names=st.frozensets(TEXT, max_size=3))
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "betas": st.tuples(REAL, REAL),
    "mean": st.lists(REAL, max_size=3).map(tuple),
    "pairs": st.lists(st.tuples(WHOLE, TEXT), max_size=3),
    "root": PATHS,
    "pool": POOLS,
    "level": st.sampled_from(Level),
    "mode": st.sampled_from(["a", 1, None]),
    "drop": st.none() | REAL,
    "warmup": st.none() | WHOLE | REAL,
    "stage": STAGES,
    "crop": st.builds(Crop, WHOLE, REAL),
    "stages": st.lists(STAGES, max_size=2),
    "peoples": st.builds(Peoples, gain=REAL, pool=POOLS),
    "part": PARTS,
    "maybe": st.none() | PARTS,
    "by_number": st.dictionaries(WHOLE, REAL, max_size=3),
    "by_pool": st.dictionaries(POOLS, WHOLE),
    "layers": st.sets(WHOLE, max_size=4),
    "words": st.frozensets(TEXT, max_size=4),
    "groups": st.frozensets(st.tuples(WHOLE, WHOLE), max_size=3),
    "at": st.none() | st.datetimes() | st.datetimes(timezones=st.just(UTC)),
    "day": st.dates(),
    "wait": st.timedeltas(timedelta(-9999), timedelta(9999)),
    "raw": st.binary(max_size=5),
    "price": st.decimals(allow_nan=False, allow_infinity=False),
    "key": st.uuids(),
    "seed": st.integers(0, 99),
}
CONFIGS = st.fixed_dictionaries({}, optional=FIELDS)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(CONFIGS)
def test_json_and_back_is_the_identity_for_every_type(values: dict[str, Any]) -> None:
    config = Typed(**values)
    plain = json.loads(json.dumps(config.to_json()))
    assert Typed.read(plain) == config and Typed.read(plain).to_json() == plain
    assert config.lossy() == {}
    assert config.with_seed(3).with_seed(config.seed) == config
    assert config.with_seed(100).digest() == config.digest() == Typed.read(plain).digest()


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(CONFIGS)
def test_a_value_of_its_own_type_and_its_json_are_given_alike(values: dict[str, Any]) -> None:
    values = {name: value for name, value in values.items() if name in Typed.paths()}
    config = Typed(**values)
    assert Typed().with_values(values) == config
    assert Typed().with_values({name: config.value_at(name) for name in values}) == config


@pytest.mark.parametrize(
    ("path", "value", "found"),
    [
        ("betas", [0.8, 0.9], (0.8, 0.9)),
        ("root", "/data//x", Path("/data/x")),
        ("pool", "mean", Pool.MEAN),
        ("level", 2, Level.HIGH),
        ("drop", None, None),
        ("warmup", 2, 2),
        ("layers", [2, 1], {1, 2}),
        ("by_number", {"3": 0.5}, {3: 0.5}),
        ("stages", [{"width": 3}], [Stage(3)]),
        ("maybe", {"widths": [3, 4]}, Part(widths=(3, 4))),
        ("day", "2021-02-03", date(2021, 2, 3)),
    ],
)
def test_json_is_taken_for_a_field_of_any_type(path: str, value: object, found: object) -> None:
    assert getattr(Typed().with_values({path: value}), path) == found


def test_parts_of_any_kind_have_paths() -> None:
    values = {"stage.width": 3, "crop.scale": 2.0, "peoples.gain": 0.5, "maybe.widths": [5, 6]}
    config = Typed().with_values({**values, "stage.root": "b", "part.names": ["x"]})
    assert config.stage == Stage(3, root=Path("b")) and config.crop == Crop(0, 2.0)
    assert config.peoples.gain == 0.5 and config.maybe == Part(widths=(5, 6))
    assert {path: config.value_at(path) for path in values} == values
    assert config.value_at("stage") == {"width": 3, "depths": [2, 2], "root": "b"}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"betas": ["0.8", 0.9]}, "betas.0 must be a valid number, got '0.8'"),
        ({"betas": [0.8]}, "betas must"),
        ({"betas": 3}, "betas must be a valid array, got 3"),
        ({"pool": "max"}, "pool must be 'cls' or 'mean', got 'max'"),
        ({"level": "1"}, "level must be 1 or 2, got '1'"),
        ({"root": 3}, "root must be"),
        ({"warmup": "3"}, "warmup must be a valid integer or a valid number, got '3'"),
        ({"stage.width": 1.5}, "stage.width must be a valid integer, got 1.5"),
        ({"stage.width": True}, "stage.width must be a valid integer, got True"),
        ({"stage.width": "3"}, "stage.width must be a valid integer, got '3'"),
        ({"peoples.gain": "3"}, "peoples.gain must be a valid number, got '3'"),
        ({"mean": [float("nan")]}, "mean.0 must be a finite number, got nan"),
        ({"drop": Path("a")}, "drop must be a valid number, got PosixPath('a')"),
        ({"stages": [{"width": 1}, {"widht": 2}]}, "stages.1.widht is no field of tests.typed"),
    ],
)
def test_nothing_is_cast_on_the_way_and_the_place_is_named(
    values: dict[str, object], words: str
) -> None:
    with pytest.raises((ValueError, LookupError)) as error:
        Typed().with_values(values)
    assert str(error.value.args[0]).startswith(words)


def test_a_set_has_one_digest_whatever_order_it_has_in_a_process() -> None:
    words = [f"word-{number}" for number in range(20)]
    plain = Typed(words=frozenset(words), layers=set(range(9, -1, -1))).to_json()
    assert plain["words"] == sorted(words) and plain["layers"] == list(range(10))


class Checked(RunConfig):
    experiment = "tests:none"
    name = "tests.checked"
    part: Part = Part()
    sizes: tuple[int, ...] = (1,)

    @field_validator("part", mode="before")
    @classmethod
    def _a_mapping_is_copied(cls, part: Any) -> Any:
        return dict(part) if isinstance(part, dict) else part


def test_a_validator_of_people_s_own_stands_in_the_way_of_no_type() -> None:
    config = Checked(part=Part(widths=(3, 4), names=frozenset("ab")), sizes=(7, 8))
    assert Checked.read(config.to_json()) == config


class Lossy(RunConfig):
    experiment = "tests:none"
    name = "tests.lossy"
    where: str | Path = "a"
    anything: Any = None
    places: dict[tuple[int, int], float] = {}


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("where", Path("a"), "PosixPath('a') is read back from JSON as 'a'"),
        ("anything", (1, 2), "(1, 2) is read back from JSON as [1, 2]"),
        ("anything", Level.LOW, "<Level.LOW: 1> is read back from JSON as 1"),
        ("anything", object, "cannot be read back from JSON"),
        ("places", {(1, 2): 0.5}, "cannot be read back from JSON"),
    ],
)
def test_what_json_does_not_keep_is_said_by_field(name: str, value: Any, words: str) -> None:
    found = Lossy(**{name: value}).lossy()
    assert list(found) == [name] and words in found[name]


HIDDEN = sorted(
    name
    for name in {*vars(Config), *vars(RunConfig.__mro__[1]), *vars(ExperimentConfig)}
    if not name.startswith(("_", "model_"))
    and name not in RunConfig.model_fields
    and (callable(getattr(ExperimentConfig, name, None)) or name == "seed")
)


@pytest.mark.parametrize("name", [*HIDDEN, "experiment", "name"])
def test_a_field_that_would_hide_what_all_configurations_have_is_refused(name: str) -> None:
    body = {"__annotations__": {name: int}, name: 1, "__module__": "own"}
    with pytest.raises(ValueError, match=f"Own must not have a field called '{name}'"):
        type("Own", (ExperimentConfig,), body)


def test_the_names_that_are_taken_are_many() -> None:
    assert {"seed", "digest", "missing", "void", "paths", "read", "canonical"} <= {*HIDDEN, "seed"}


def test_it_is_said_where_the_seed_is() -> None:
    with pytest.raises(ValueError, match=r'it is training.seed, as config\["training"\]\["seed"\]'):

        class Own(ExperimentConfig):  # pyright: ignore[reportUnusedClass]
            seed: int = 42  # pyright: ignore


def test_a_seed_or_a_training_of_another_type_is_refused() -> None:
    with pytest.raises(ValueError, match="seed of Words must be an int"):
        type("Words", (RunConfig,), {"__annotations__": {"seed": str}, "seed": "a"})
    with pytest.raises(ValueError, match="training of Count must be a Training"):
        type("Count", (ExperimentConfig,), {"__annotations__": {"training": int}, "training": 1})


def test_another_default_of_the_seed_is_the_seed() -> None:
    class Own(RunConfig):
        experiment = "tests:none"
        name = "tests.own"
        seed: int = 42

    assert Own().seed == 42 and Own().with_seed(43).to_json() == {"seed": 43}
    assert Own().with_seed(43).digest() == Own().digest()


def test_a_configuration_of_one_s_own_has_its_own_fields_and_a_seed() -> None:
    class Own(RunConfig):
        experiment = "tests:none"
        name = "tests.own"
        x: float = Field(default=0.0, ge=0)

        def void(self) -> frozenset[str]:
            return frozenset()

    assert Own.paths() == {"x", "seed"} and Own().to_json() == {"seed": 0, "x": 0.0}
    assert Own().canonical() == {"x": 0.0}
    assert Own().first_difference(Own(seed=1)) == ("seed", 0, 1)
    assert Training().to_json().keys() & Own().to_json().keys() == {"seed"}


class Cosine(Config):
    kind: Literal["cosine"] = "cosine"
    cycles: int = 1


class Step(Config):
    kind: Literal["step", "stairs"] = "step"
    factor: float = 0.1

    @model_validator(mode="after")
    def _falls(self) -> Step:
        if self.factor > 1:
            raise ValueError(f"factor must be at most 1, got {self.factor}")
        return self


class Mixed(RunConfig):
    experiment = "tests:none"
    name = "tests.mixed"
    width: int | list[int] | Stage = 4
    decay: Cosine | Step = Cosine()  # without a discriminator


def test_what_may_be_a_number_or_a_part_is_set_as_either() -> None:
    assert {"width", "width.width", "width.root"} <= Mixed.paths()
    assert Mixed().with_values({"width": 6}).width == 6
    for begun in (Mixed(), Mixed(width=[1, 2]), Mixed(width=Stage(width=2))):
        changed = begun.with_values({"width.width": 3})
        assert changed.width == Stage(width=3) and Mixed.read(changed.to_json()) == changed


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ({"kind": "lin"}, ValueError, "decay.kind must be 'cosine' or 'step' or 'stairs', got 'l"),
        (
            {"kind": "step", "factor": "a"},
            ValueError,
            "decay.factor must be a valid number",
        ),
        ({"kind": "stairs", "factor": 2.0}, ValueError, "decay.factor must be at most 1, got 2.0"),
        (
            {"kind": "stairs", "cycles": 2},
            LookupError,
            "no field of tests.mixed with decay.kind 'stairs'",
        ),
        ({"factor": 0.5}, LookupError, "decay.factor is no field .* with decay.kind 'cosine'"),
    ],
)
def test_of_variants_only_the_chosen_one_is_found_fault_with(
    values: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        Mixed().with_values({f"decay.{name}": value for name, value in values.items()})
