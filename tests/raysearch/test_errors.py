"""Bad input is told from faults of raysearch by type, at every way in."""

import argparse
import ast
import re
from pathlib import Path

import pytest
from pydantic import BaseModel

import raysearch
from raysearch.errors import (
    BadSetting,
    RaysearchError,
    UnknownName,
    Unreachable,
    WrongState,
    foreign,
    is_complaint,
    place_of,
    sentence,
)

ROOT = Path(raysearch.__file__).parent
BARE = {"ValueError", "LookupError", "ConnectionError"}
ALONE = {"trial/rerun.py", "reporting.py"}  # in processes of their own, without this package


def raised(tree: ast.AST) -> list[tuple[int, str]]:
    """The line and the name of each exception that is raised, or made to be raised elsewhere."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(tree):
        made = getattr(node, "exc", None) if isinstance(node, ast.Raise) else node
        call = made.func if isinstance(made, ast.Call) else made
        if isinstance(call, ast.Name) and isinstance(node, (ast.Raise, ast.Call)):
            found.append((node.lineno, call.id))
    return found


@pytest.mark.parametrize("file", sorted(ROOT.rglob("*.py")), ids=lambda file: file.name)
def test_no_builtin_error_is_raised_where_a_user_is_meant(file: Path) -> None:
    if str(file.relative_to(ROOT)) in ALONE:
        return
    assert [
        (line, name) for line, name in raised(ast.parse(file.read_text())) if name in BARE
    ] == []


def test_the_walk_sees_what_it_looks_for() -> None:
    tree = ast.parse("def f():\n    raise ValueError('x')\n    return LookupError('y')")
    assert {name for _, name in raised(tree)} >= {"ValueError", "LookupError"}


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (UnknownName, LookupError),
        (BadSetting, ValueError),
        (Unreachable, ConnectionError),
        (WrongState, ValueError),
    ],
)
def test_each_kind_is_also_the_builtin_that_it_was(
    kind: type[RaysearchError], builtin: type[Exception]
) -> None:
    error = kind("a 'quoted' sentence")
    assert isinstance(error, builtin) and isinstance(error, RaysearchError)
    assert str(error) == "a 'quoted' sentence"


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Strict(BaseModel):
    lr: float


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("lr must be positive, got 0"), "lr must be positive, got 0"),
        (LookupError("there is no 'x'"), "there is no 'x'"),
        (KeyError("a"), "a"),
        (ValueError(), "ValueError"),
        (ValueError("\n \n"), "ValueError"),
        (ValueError("two\n  lines"), "two lines"),
        (Mute(), "Mute"),
    ],
)
def test_a_sentence_is_one_line_of_whatever_was_raised(error: Exception, said: str) -> None:
    assert sentence(error) == said


def test_findings_of_pydantic_stand_behind_their_paths() -> None:
    with pytest.raises(ValueError) as caught:
        Strict.model_validate({"lr": "fast"})
    assert re.match(r"lr: Input should be a valid number", sentence(caught.value))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("x"), True),
        (LookupError("x"), True),
        (GeneratorExit(), False),
        (KeyError("x"), False),
        (IndexError("x"), False),
        (UnicodeDecodeError("ascii", b"x", 0, 1, "x"), False),
        (BadSetting("x"), True),
        (TypeError("x"), False),
    ],
)
def test_what_went_wrong_on_the_way_is_no_complaint(error: BaseException, expected: bool) -> None:
    assert is_complaint(error) is expected


def test_foreign_code_is_told_with_its_place() -> None:
    with pytest.raises(BadSetting) as caught, foreign("sweep own:lr"):
        _ = {}["a"]
    assert str(caught.value).startswith("sweep own:lr raised KeyError: a (")
    assert re.search(rf"{re.escape(__file__)}:\d+\)$", str(caught.value))


def test_a_module_that_ends_its_process_is_told_as_such() -> None:
    with pytest.raises(BadSetting, match="^module own raised SystemExit: 2 ") as caught:
        with foreign("module own"):
            argparse.ArgumentParser().parse_args(["--lr"])
    assert re.search(rf"{re.escape(__file__)}:\d+\)$", str(caught.value)), "not Python's own file"


def test_complaints_of_foreign_code_keep_their_words() -> None:
    with pytest.raises(UnknownName, match="^there is no x$"), foreign("anything"):
        raise LookupError("there is no x")
    with pytest.raises(BadSetting, match="^x must be 1$"), foreign("anything"):
        raise ValueError("x must be 1")


def test_a_fault_of_our_own_code_stays_what_it_is() -> None:
    ours = compile("with foreign('anything'):\n    None.x", str(ROOT / "made.py"), "exec")
    with pytest.raises(AttributeError):
        exec(ours, {"foreign": foreign})


def test_the_place_is_in_the_file_that_is_asked_for() -> None:
    try:
        raise ValueError("x")
    except ValueError as error:
        assert place_of(error, __file__) == place_of(error)
        assert place_of(error, "elsewhere.py").startswith(__file__)
