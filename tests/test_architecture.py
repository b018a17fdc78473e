"""The structure keeps its promises: who imports whom, what a command pays, how long files are."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "ray", "mlflow", "optuna", "tensorflow", "matplotlib")
SOURCES = sorted(
    path
    for folder in ("raysearch", "search_spaces", "trainables")
    for path in (ROOT / folder).rglob("*.py")
)


@pytest.mark.slow
def test_every_import_rule_holds() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["spaces"], ["plan", "ssl.digits_vit"], ["list"], ["data"], ["status", "nothing"]],
    ids=lambda arguments: arguments[0],
)
def test_the_front_imports_no_torch(arguments: list[str], tmp_path: Path) -> None:
    code = (
        "import sys; from raysearch.cli import app\n"
        f"try: app({arguments!r})\n"
        "except SystemExit: pass\n"
        f"print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().splitlines()[-1] == "LOADED []"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "modules"),
    [
        ("--help", ("sqlalchemy", "pandas", "numpy", "rich.live", "raysearch.front", "trainables")),
        ("spaces", ("sqlalchemy", "pandas", "numpy", "rich.live", "raysearch.front")),
        ("list", ("pandas", "numpy", "trainables")),
    ],
)
def test_the_front_imports_only_what_it_needs(
    command: str, modules: tuple[str, ...], tmp_path: Path
) -> None:
    code = (
        f"import sys; from raysearch.cli import app\n"
        f"try: app([{command!r}])\n"
        f"except SystemExit: pass\n"
        f"print('LOADED', [name for name in {modules!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().splitlines()[-1] == "LOADED []"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_one_idea(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    assert ast.get_docstring(tree) or not text.strip(), "a module opens with its one line"
    assert text.count("\n") <= 400
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= 60 or path.name == "loop.py", f"{node.name} has {length} lines"
