"""`raysearch data`: what there is, getting and checking it; without its data nothing is begun."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from raysearch.cli.application import app
from raysearch.client import Client
from raysearch.sweeps import catalog
from tests.trainables.data import files
from tests.trainables.data.scenes import written
from trainables.data.catalog import DATA_SETS


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def said(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["data", *arguments])


def test_the_catalogue_is_found_by_name() -> None:
    assert catalog.data_sets(["trainables"]) == DATA_SETS
    with pytest.raises(LookupError, match="no data set is named 'cifar'; did you mean 'cifar10'"):
        catalog.find_data_set("cifar", ["trainables"])


def test_each_set_is_listed_with_licence_size_and_place() -> None:
    lines = said().stdout
    assert all(f"{name}: " in lines for name in DATA_SETS)
    assert "size       170.5 MB" in lines and "looked for data/mnist, data/MNIST/raw" in lines
    assert "there      no: data set mnist is not there" in lines


def test_the_list_is_json_too(tmp_path: Path) -> None:
    files.write_mnist(tmp_path / "data/mnist")
    rows = {row["name"]: row for row in json.loads(said("--json").stdout)}
    assert rows.keys() == DATA_SETS.keys()
    assert rows["mnist"]["missing"] is None and rows["mnist"]["bytes"] == 11_594_722
    assert "raysearch data get cifar10" in rows["cifar10"]["missing"]


def test_some_of_a_set_is_shown() -> None:
    result = said("show", "digits", "--count", "2", "--split", "val")
    assert result.exit_code == 0 and Path("digits.png").read_bytes().startswith(b"\x89PNG")
    assert "images      1,197 train, 300 val, 300 test" in result.stdout
    assert result.stdout.endswith("picture     digits.png\n")
    told = json.loads(said("show", "digits", "--json", "--picture", "two.png").stdout)
    assert told["picture"] == "two.png" and [row["class"] for row in told["rows"]] == [
        str(digit) for digit in range(10)
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "digit"], "no data set is named 'digit'; did you mean 'digits'?"),
        (["show", "digits", "--split", "all"], "--split must be one of train, val, test, got"),
        (["show", "digits", "--picture", "no/a.png"], "--picture must be in a folder that is"),
        (["show", "digits", "--picture", "."], "--picture must be a file, got the folder ."),
        (["show", "mnist"], "data set mnist is not there"),
    ],
)
def test_what_cannot_be_shown_is_one_sentence(arguments: list[str], words: str) -> None:
    result = said(*arguments)
    assert result.exit_code == 2 and words in result.stderr and len(result.stderr.splitlines()) == 1
    assert list(Path().iterdir()) == []


def test_get_says_that_it_is_there(tmp_path: Path) -> None:
    files.write_mnist(tmp_path / "elsewhere/mnist")
    result = said("get", "mnist", "--root", "elsewhere")
    assert result.exit_code == 0 and result.stdout == "mnist is there: elsewhere/mnist\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["get", "mnits"], "no data set is named 'mnits'; did you mean 'mnist'?"),
        (["get", "mnist", "--from", "no"], "--from must be a file or folder that is there"),
        (["get", "folder"], "a folder of images is your own"),
        (["check", "mnits"], "no data set is named 'mnits'"),
        (["get", "movi_c"], "data set movi_c is not there"),
        (["get", "tiny"], "data set tiny is not there (looked for in data/made/tiny-160); run"),
        (["prepare", "coco"], "data set coco is not there (looked for in data/coco); run"),
        (["prepare", "coco", "--crop", "none"], "crop must be left out for coco, whose pictures"),
        (["make", "coco"], "data set coco cannot be made; these can: "),
        (["prepare", "mnist"], "data set mnist is read as it is: there is nothing to prepare"),
        (["prepare", "clevr"], "run `raysearch data get clevr`, or put CLEVR_v1.0.zip there"),
        (["prepare", "movi_c", "--train", "3"], "data set movi_c is not there"),
        (["make", "mnist"], "data set mnist cannot be made; these can: clevr_with_masks, clevr, "),
        (["make", "tetrominoes", "--rule", "colors"], "--rule must be NAME=VALUE, got 'colors'"),
        (["make", "tetrominoes", "--rule", "size=3"], "size is no rule of tetrominoes"),
        (["make", "clevr", "--equal-colors"], "equal_colors is no rule of clevr"),
    ],
)
def test_bad_input_is_one_sentence(arguments: list[str], words: str) -> None:
    result = said(*arguments)
    assert result.exit_code == 2 and words in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_scenes_are_prepared_and_checked(tmp_path: Path) -> None:
    written.tetrominoes(tmp_path / "data", 20)
    options = ["--image-size", "8", "--train", "10", "--val", "4", "--test", "6"]
    folder = "data/prepared/tetrominoes-8-none-nearest"
    result = said("prepare", "tetrominoes", *options)
    assert result.exit_code == 0 and result.stdout == f"prepared: {folder}\n"
    manifest = json.loads((tmp_path / folder / "manifest.json").read_text())
    assert manifest["splits"] == {"train": [0, 10], "val": [10, 14], "test": [14, 20]}
    assert said("check", "tetrominoes").stdout == "tetrominoes: right\n"
    (tmp_path / folder / "images-00000.npy").write_bytes(b"")
    result = said("check", "tetrominoes")
    assert result.exit_code == 1 and "images-00000.npy was changed; delete" in result.stdout


def test_a_set_with_boxes_is_made_prepared_checked_and_shown(tmp_path: Path) -> None:
    result = said("make", "tiny", "--image-size", "64")
    assert result.exit_code == 0
    assert result.stdout == "made: data/made/tiny-64\nprepared: data/made/tiny-64\n"
    made = json.loads((tmp_path / "data/made/tiny-64/made.json").read_text())
    assert (made["scenes"], made["image_size"]) == (16, 64)
    assert said("check", "tiny").stdout == "tiny: right\n"
    result = said("show", "tiny", "--split", "val", "--count", "2", "--json")
    shown = json.loads(result.stdout)
    assert shown["facts"]["pictures"] == "8 train, 4 val, 4 test"
    assert [row["val"] for row in shown["rows"]] == [1, 1, 1, 2]
    assert (tmp_path / "tiny.png").is_file()


def test_wrong_options_of_preparing_are_one_sentence(tmp_path: Path) -> None:
    written.tetrominoes(tmp_path / "data", 3)
    result = said("prepare", "tetrominoes", "--crop", "center")
    assert result.exit_code == 2 and "crop must be one of none, centre, google" in result.stderr
    result = said("prepare", "tetrominoes", "--train", "2")
    assert result.exit_code == 2 and "must be told together, got train only" in result.stderr


def test_scenes_are_made_in_their_own_format_and_prepared(tmp_path: Path) -> None:
    options = ["--scenes", "5", "--image-size", "32", "--seed", "3"]
    result = said("make", "clevr", *options, "--no-prepare")
    assert result.exit_code == 0 and result.stdout == "made: data/made/clevr-32\n"
    made = json.loads((tmp_path / "data/made/clevr-32/made.json").read_text())
    assert (made["scenes"], made["image_size"], made["seed"]) == (5, 40, 3)  # cut to 32
    result = said("make", "clevr", *options)
    assert result.stdout.endswith("prepared: data/prepared/made-clevr-32-centre-nearest\n")


@pytest.mark.parametrize(("crop", "size"), [("whole", [32, 43, 3]), ("square", [32, 32, 3])])
def test_scenes_are_made_as_high_as_a_crop_that_keeps_all_rows_leaves_them(
    tmp_path: Path, crop: str, size: list[int]
) -> None:
    options = ["--scenes", "5", "--image-size", "32", "--crop", crop]
    result = said("make", "clevr_with_masks", *options)
    folder = f"data/prepared/made-clevr_with_masks-32-{crop}-nearest"
    assert result.stdout.splitlines() == [
        "made: data/made/clevr_with_masks-32-high",
        f"prepared: {folder}",
    ]
    made = json.loads((tmp_path / "data/made/clevr_with_masks-32-high/made.json").read_text())
    manifest = json.loads((tmp_path / folder / "manifest.json").read_text())
    assert made["image_size"] == 32 and manifest["image"] == size
    again = said("prepare", "clevr_with_masks", "--made", *options[2:])
    assert again.exit_code == 0 and again.stdout == f"prepared: {folder}\n"
    result = said("prepare", "clevr_with_masks", "--made", "--image-size", "32")
    assert result.exit_code == 2
    assert "no made clevr_with_masks is at data/made/clevr_with_masks-32;" in result.stderr


def test_check_finds_wrong_bytes_and_says_what_is_right(tmp_path: Path) -> None:
    files.write_mnist(tmp_path / "data/mnist")
    result = said("check", "mnist", "digits")
    assert result.exit_code == 1 and "digits: right" in result.stdout
    assert "mnist: data/mnist/train-images-idx3-ubyte.gz must have the checksum" in result.stdout


def test_check_of_a_set_that_is_not_there_says_what_to_run() -> None:
    result = said("check", "mnist")
    assert result.exit_code == 1 and "run `raysearch data get mnist`" in result.stdout


@pytest.mark.parametrize(
    "command",
    [
        ["search", "ssl.digits_grid", "data.name=mnist", "model.patch_size=4"],
        ["train", "ssl.supervised", "data.name=mnist", "model.patch_size=4"],
    ],
    ids=["search", "train"],
)
def test_without_its_data_nothing_is_begun(tmp_path: Path, command: list[str]) -> None:
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 2 and result.stdout == ""
    assert result.stderr.startswith("error: data set mnist is not there (looked for in data/mnist")
    assert list(tmp_path.iterdir()) == []


def test_the_plan_says_what_is_missing() -> None:
    command = ["plan", "ssl.digits_grid", "data.name=mnist", "model.patch_size=4"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0 and "missing    data set mnist is not there" in result.stdout
    assert "missing" not in CliRunner().invoke(app, ["plan", "ssl.digits_grid"]).stdout


def test_files_of_another_set_are_not_taken(tmp_path: Path) -> None:
    files.write_mnist(tmp_path / "at hand")
    result = said("get", "mnist", "--from", "at hand")
    assert result.exit_code == 2 and "must have the checksum" in result.stderr
    assert not (tmp_path / "data").exists()


def test_the_same_from_python(tmp_path: Path) -> None:
    client = Client(tmp_path / "runs", show=False)
    files.write_mnist(tmp_path / "data/mnist")
    table = client.data()
    assert list(table.index) == list(DATA_SETS)
    assert table.missing.isna()["mnist"] and "data get cifar10" in str(table.missing["cifar10"])
    client.data_get("mnist")
    assert len(client.data_check("mnist")) == 4 and client.data_check("digits") == []
