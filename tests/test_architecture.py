"""The structure keeps its promises: who imports whom, what a command pays, how long files are."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import grimp
import pytest
from sqlalchemy import Engine, event
from typer.testing import CliRunner

from raysearch.cli.application import app
from raysearch.events.log import Store
from tests.raysearch.events import streams

ROOT = Path(__file__).parents[1]
HEAVY = (
    *(
        "torch",
        "torchvision",
        "timm",
        "tensorflow",
        "ray",
        "mlflow",
        "optuna",
        "fastapi",
        "uvicorn",
    ),
    *("matplotlib", "pandas", "numpy", "scipy", "sklearn", "requests", "jinja2", "PIL", "einops"),
)
"""What takes from a tenth of a second to many seconds to import."""
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


def test_the_sweeps_are_free_of_circles_that_types_alone_would_close() -> None:
    """The contract looks at what is imported when it runs; here imports for types count too."""
    graph = grimp.build_graph("raysearch", cache_dir=None)
    assert graph.nominate_cycle_breakers("raysearch.sweeps") == set()


@pytest.mark.slow
def test_a_family_is_checked_without_being_named(tmp_path: Path) -> None:
    """It knows another, is known to what is shared, and its configuration imports a network's."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in ("raysearch", "search_spaces", "trainables"):
        unread = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=unread)
    family = tmp_path / "trainables" / "newest"
    family.mkdir()
    (family / "__init__.py").write_text("")
    (family / "config.py").write_text("import torch\n")
    (family / "experiment.py").write_text("from trainables.ssl import learners\n")
    (family / "network.py").write_text("")
    with (tmp_path / "trainables/metrics/knn.py").open("a") as file:
        file.write("from trainables.newest import network\n")
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    broken = [line for line in done.stdout.splitlines() if " BROKEN" in line]
    assert [line.partition(" BROKEN")[0] for line in broken] == [
        "No circle of imports",
        "Configs and the clock of a run need no torch",
        "No family is known to another, nor to what they share",
    ]
    for words in ("newest.config -> torch", "newest.experiment -> trainables.ssl.learners"):
        assert words in done.stdout
    assert "trainables.metrics.knn -> trainables.newest.network" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        *(["--help"], ["spaces"], ["plan", "ssl.digits_vit"], ["list"], ["data"]),
        *(["status", "nothing"], ["results", "nothing"], ["best", "nothing"], ["logs", "nothing"]),
    ],
    ids=lambda arguments: arguments[0],
)
def test_the_front_imports_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    code = (
        "import sys; from raysearch.cli.application import app\n"
        f"try: app({arguments!r})\n"
        "except SystemExit: pass\n"
        f"print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().splitlines()[-1] == "LOADED []"


_COUNTED = """
import sys

from raysearch.cli.application import app

try:
    app({arguments!r})
except SystemExit:
    pass
mine = [name for name in sys.modules if name.partition(".")[0] in {packages!r}]
print("LOADED", len(mine))
"""
"""A command, and how many modules of some packages it has imported at its end."""


def loaded(folder: Path, arguments: list[str], *packages: str) -> int:
    code = _COUNTED.format(arguments=arguments, packages=packages)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )
    return int(done.stdout.strip().splitlines()[-1].split()[1])


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["status", "nothing"]])
def test_what_asks_for_no_sweep_reads_none(arguments: list[str], tmp_path: Path) -> None:
    assert loaded(tmp_path, arguments, "search_spaces", "trainables") == 0


@pytest.mark.slow
def test_the_sweeps_are_listed_without_the_experiments_that_they_run(tmp_path: Path) -> None:
    """A sweep needs the configurations of its family, and those need no model and no loop."""
    families = [path for path in (ROOT / "trainables").rglob("*.py")]
    assert loaded(tmp_path, ["spaces"], "trainables") < len(families) / 3


def queries(store: Store, folder: Path, command: list[str]) -> int:
    """How many statements a command of the front sends to the database."""
    counted = list[str]()

    def hear(connection: object, cursor: object, statement: str, *rest: object) -> None:
        counted.append(statement)

    event.listen(Engine, "before_cursor_execute", hear)
    try:
        options = ["--store", store.url, "--runs", str(folder)]
        assert CliRunner().invoke(app, [*command, *options]).exit_code == 0
    finally:
        event.remove(Engine, "before_cursor_execute", hear)
    return len(counted)


def test_one_search_is_looked_at_as_cheaply_beside_twenty_others(tmp_path: Path) -> None:
    """Counted in statements: what others recorded is not read."""
    store = Store(f"sqlite:///{tmp_path / 'raysearch.db'}")
    streams.search(store, "one", tmp_path / "one").flush()
    alone = queries(store, tmp_path, ["status", "one"])
    for number in range(20):
        log = store.create(f"other-{number}", streams.spec(search=f"other-{number}"))
        log.flush()
    assert queries(store, tmp_path, ["status", "one"]) == alone
    listed = queries(store, tmp_path, ["list"])
    assert alone <= listed < 21 * (alone + 5)


CLOCKS = ("monotonic", "perf_counter", "process_time", "time")
TESTS = sorted(path for path in (ROOT / "tests").rglob("*.py"))


def judged_by_seconds(text: str) -> list[int]:
    """The lines in which a test asserts that a clock shows less than a number."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Assert)
        for part in ast.walk(node.test)
        if isinstance(part, ast.Compare) and _reads_clock(part) and _has_upper_bound(part)
    ]


def _reads_clock(node: ast.AST) -> bool:
    calls = [each.func for each in ast.walk(node) if isinstance(each, ast.Call)]
    return any(isinstance(func, ast.Attribute) and func.attr in CLOCKS for func in calls)


def _has_upper_bound(compared: ast.Compare) -> bool:
    return any(
        isinstance(operator, ast.Lt | ast.LtE)
        and all(
            isinstance(leaf, ast.Constant | ast.operator | ast.BinOp) for leaf in ast.walk(right)
        )
        for operator, right in zip(compared.ops, compared.comparators, strict=True)
    )


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_test_judges_by_seconds(path: Path) -> None:
    assert judged_by_seconds(path.read_text()) == []


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("assert time.monotonic() - start < 5", [1]),
        ("assert 1.4 < time.monotonic() - start < 15 + 5", [1]),
        ("assert time.monotonic() - start > 5", []),
        ("assert time.monotonic() < deadline", []),
        ("assert took(many) < 50 * took(few)", []),
    ],
)
def test_the_walk_finds_what_is_judged_by_seconds(text: str, lines: list[int]) -> None:
    assert judged_by_seconds(text) == lines


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "modules"),
    [
        (
            "--help",
            ("sqlalchemy", "pandas", "numpy", "rich.live", "raysearch.cli.show", "trainables"),
        ),
        ("spaces", ("sqlalchemy", "pandas", "numpy", "rich.live", "raysearch.cli.show")),
        ("list", ("pandas", "numpy", "trainables", "hydra", "antlr4", "raysearch.imports")),
    ],
)
def test_the_front_imports_only_what_it_needs(
    command: str, modules: tuple[str, ...], tmp_path: Path
) -> None:
    code = (
        f"import sys; from raysearch.cli.application import app\n"
        f"try: app([{command!r}])\n"
        f"except SystemExit: pass\n"
        f"print('LOADED', [name for name in {modules!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().splitlines()[-1] == "LOADED []"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_what_it_is_and_a_function_fits_on_a_screen(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    assert ast.get_docstring(tree) or not text.strip(), "a module opens with its one line"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= 60 or path.name == "loop.py", f"{node.name} has {length} lines"


OTHERS = ("raysearch/imports/wandb_", "raysearch/trial/guard")
"""Files whose `spec` is another one: a parameter of W&B, what a guardian is started with."""
READERS = [path for path in SOURCES if not str(path.relative_to(ROOT)).startswith(OTHERS)]


def keys_of_specifications(text: str) -> list[int]:
    """The lines that read or write a literal key of a specification, or of what is in one.

    It is known by its name, `spec`, `_spec` or `begun`, as a variable or an attribute, or by the
    call that makes a body of it.
    """
    found: list[int] = []
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Subscript(value=value, slice=ast.Constant(value=str())):
                read = [value]
            case ast.Call(
                func=ast.Attribute(value=value, attr="get" | "pop" | "setdefault"),
                args=[ast.Constant(value=str()), *_],
            ):
                read = [value]
            case ast.Call(func=ast.Attribute(value=value, attr="update"), keywords=[_, *_]):
                read = [value]
            case ast.Call(func=ast.Name(id="getattr"), args=[value, ast.Constant(), *_]):
                read = [value]
            case ast.Compare(left=ast.Constant(value=str()), ops=[ast.In() | ast.NotIn()]):
                read = node.comparators
            case _:
                continue
        found += [node.lineno for value in read if _is_specification(value)]
    return found


def _is_specification(node: ast.expr) -> bool:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) if name in ("spec", "_spec", "begun"):
            return True
        case ast.Call(func=ast.Attribute(attr="to_body")):
            return True
        case ast.Attribute(value=inner, attr=attribute):
            is_mapping = attribute in ("fixed", "outside", "tags", "packages", "request")
            return not is_mapping and _is_specification(inner)
        case ast.Subscript(value=inner):
            return _is_specification(inner)
        case ast.BoolOp(values=[inner, *_]):
            return _is_specification(inner)
        case _:
            return False


@pytest.mark.parametrize("path", READERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_specification_of_a_search_is_read_by_keys(path: Path) -> None:
    assert keys_of_specifications(path.read_text()) == []


def test_what_has_another_specification_knows_none_of_a_search() -> None:
    for path in set(SOURCES) - set(READERS):
        assert "SearchSpec" not in path.read_text() and "SearchView" not in path.read_text()


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ('a = 1\nview.spec["sampler"]', [2]),
        ('self._spec.get("sampler", 1)', [1]),
        ('view.begun["code"] = 1', [1]),
        ('"evaluates" in spec', [1]),
        ('getattr(spec, "sampler")', [1]),
        ('views[0].spec.metrics[0]["name"]', [1]),
        ('(spec.known or {}).get("trials", [])', [1]),
        ('spec.to_body()["sampler"]', [1]),
        ('spec.update(sampler="grid")', [1]),
        ("getattr(spec, name)", []),
        ("spec.sampler", []),
        ('spec.tags["data"]', []),
        ('body["sampler"]', []),
    ],
)
def test_the_walk_finds_what_is_read_by_keys(text: str, lines: list[int]) -> None:
    assert keys_of_specifications(text) == lines
