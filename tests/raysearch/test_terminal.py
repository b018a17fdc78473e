"""Output never fails and reads no markup; one file writes to the terminal."""

from __future__ import annotations

import ast
import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table
from typer.testing import CliRunner

import raysearch
from raysearch.cli.application import app
from raysearch.cli.show_verbs import record_tables
from raysearch.driver.progress import Watch, best_tables, headline, rounded, trials_table
from raysearch.events.log import Store
from raysearch.results.forecast import forecast
from raysearch.terminal import (
    letters,
    make_console,
    print_csv,
    print_json,
    say_wrapped,
    table_of,
)
from raysearch.texts import visible
from tests.raysearch.events import streams
from tests.raysearch.events.streams import Hand
from tests.raysearch.odd import ODD
from tests.raysearch.pages.report_streams import choice
from tests.raysearch.test_texts import acts

ROOT = Path(raysearch.__file__).parent
ONLY = {"terminal.py"}
IN_A_TRIAL = {"trial/session.py", "trial/group/rank.py", "trial/own_process.py"}
IN_A_TRIAL |= {"programs/shims/sitecustomize.py", "programs/shims/wandb/harmless.py"}
"""What prints to the log of a trial."""


def written(tree: ast.AST) -> list[tuple[int, str]]:
    """Where something is written to the terminal, or markup is asked for, and how."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in ("Console", "print", "typer.echo", "sys.stdout.write", "sys.stderr.write"):
                found.append((node.lineno, name))
            for keyword in node.keywords:
                is_on = getattr(keyword.value, "value", None) is not False
                if keyword.arg in ("markup", "emoji") and is_on:
                    found.append((node.lineno, keyword.arg))
        if isinstance(node, ast.Attribute) and node.attr in ("from_markup", "print_exception"):
            found.append((node.lineno, node.attr))
    return found


@pytest.mark.parametrize("file", sorted(ROOT.rglob("*.py")), ids=lambda file: file.name)
def test_one_file_writes_to_the_terminal(file: Path) -> None:
    if str(file.relative_to(ROOT)) not in ONLY | IN_A_TRIAL:
        assert written(ast.parse(file.read_text())) == []


def test_each_file_that_may_write_is_there_and_does() -> None:
    for file in ONLY | IN_A_TRIAL:
        assert written(ast.parse((ROOT / file).read_text()))


def test_the_walk_sees_what_it_looks_for() -> None:
    code = "Console()\nprint(1)\nx.print('[b]', markup=True)\nText.from_markup('')\nf(emoji=False)"
    assert [name for _, name in written(ast.parse(code))] == [
        "Console", "print", "markup", "from_markup"
    ]  # fmt: skip


# Nothing is read in texts


def odd_search(text: str) -> Hand:
    """A search in which all that people, trials and libraries write is this text."""
    spec: dict[str, Any] = {
        "metrics": [{"name": text, "direction": "maximize", "reduce": "last"}],
        "fidelity": "epochs", "notes": text, "fixed": {text: text}, "outside": {text: text},
    }  # fmt: skip
    hand = Hand(**spec)
    for number in range(3):
        params = {f"{text}.a": text if number else None, f"{text}.b": number}
        kinds = {f"{text}.a": choice(text, None)}
        hand.trial(f"t{number}", 0.5 + number / 10, params=params, distributions=kinds)
    return hand


def drawn(what: Any, console: Console) -> str:
    with console.capture() as capture:
        console.print(what)
    return capture.get()


@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("width", [20, 80, 200])
def test_any_text_is_drawn_in_any_width(text: str, width: int) -> None:
    view = odd_search(text).view
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    for what in (
        trials_table(view, 9, width), *best_tables(view, 3, width), headline(view), letters(text),
        *record_tables([{"search": text, text: text}, {"search": "b", text: None}], width),
    ):  # fmt: skip
        found = drawn(what, console)  # of rich itself, which would read markup in texts
        assert set(acts(found)) <= {"\n"}
        assert max(map(len, found.splitlines()), default=0) <= 2 * width


def test_brackets_stay_in_what_is_shown() -> None:
    table = trials_table(odd_search("[cls]").view, 9)
    assert "[cls]" in drawn(table, Console(file=io.StringIO(), width=200))
    assert "[b]x[/b]" in drawn("[b]x[/b]", make_console(file=io.StringIO()))


def test_parameters_that_do_not_fit_are_counted() -> None:
    hand = Hand()
    for number in range(2):
        hand.trial(f"t{number}", 0.5, params={f"p{n}": number for n in range(150)})
    for width in (20, 80, 200):
        table: Table = trials_table(hand.view, 9, width)
        count = len(table.columns) - 5
        assert str(table.columns[-1].header) == f"+{150 - count} more"
    assert len(trials_table(hand.view, 9).columns) == 4 + 150


def test_long_values_are_cut_in_tables_and_whole_for_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = Store(f"sqlite:///{tmp_path / 'runs/raysearch.db'}")
    log = store.create("long", streams.spec())
    for number, word in enumerate(("long " * 4000, "short")):
        streams.ask(log, number, params={"prompt": word})
        streams.run(log, number, tmp_path)
    run = CliRunner().invoke
    for command in (["results", "long"], ["status", "long"]):
        assert len(run(app, command).stdout) < 3000
    rows = json.loads(run(app, ["results", "long", "--json"]).stdout)
    table = csv.DictReader(io.StringIO(run(app, ["results", "long", "--csv"]).stdout))
    for found in (rows, list(table)):
        assert {row["prompt"] for row in found} == {"long " * 4000, "short"}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
def test_json_is_lossless_and_csv_keeps_what_utf_8_can_write(
    text: str, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", newline="")
    monkeypatch.setattr(sys, "stdout", stream)
    print_json([{text: text}])
    found = stream.buffer.getvalue()  # type: ignore[attr-defined]
    assert json.loads(found.decode("ascii")) == [{text: text}]
    stream.buffer.truncate(0)
    stream.buffer.seek(0)
    print_csv([{"a": text, "b": 1}])
    found = stream.buffer.getvalue().decode()  # type: ignore[attr-defined]
    row = next(csv.DictReader(io.StringIO(found, newline="")))
    assert row["b"] == "1" and (row["a"] == text or "surrogates" in str(_why(text)))


def _why(text: str) -> UnicodeError | None:
    try:
        text.encode()
    except UnicodeError as error:
        return error
    return None


# Nothing that writes can fail

WRITES = "from raysearch.streams import open_streams; open_streams()\n"


def program(
    code: str, *, redirect: str = "", environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command = f'"$0" -c "$1" {redirect}'
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}", sys.executable, WRITES + code],
        capture_output=True, text=True, errors="replace", check=False,
        env={**os.environ, **(environment or {})},
    )  # fmt: skip


LONG = "from raysearch.terminal import say\nfor n in range(20_000): say('größe → ✓ ' + 'x' * 50)\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    "redirect",
    [
        ">&-",
        "2>&-",
        "<&-",
        ">&- 2>&- <&-",
        "> /dev/full",
        "> /dev/full 2>&1",
        "| head -1",
        "| true",
    ],
)
def test_the_status_is_that_of_the_command_whatever_becomes_of_its_output(redirect: str) -> None:
    for status in (0, 3):
        done = program(f"{LONG}raise SystemExit({status})", redirect=redirect)
        assert done.returncode == status, done.stderr
        assert done.stderr == ""


@pytest.mark.slow
def test_no_file_gets_the_descriptor_of_a_stream_that_is_closed() -> None:
    done = program(
        "import sys; f = open('/dev/null'); sys.exit(f.fileno() < 3)", redirect="<&- >&- 2>&-"
    )
    assert done.returncode == 0


@pytest.mark.slow
def test_no_file_of_a_child_gets_it_either() -> None:
    child = "import sys; sys.exit(open('/dev/null').fileno() < 3)"
    code = f"import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', {child!r}]))"
    assert program(code, redirect="<&- >&- 2>&-").returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"},
        {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "cp1252"}, {"PYTHONIOENCODING": "ascii:replace"}, {},
    ],
    ids=str,
)  # fmt: skip
def test_letters_that_the_terminal_has_not_are_spelt_out(environment: dict[str, str]) -> None:
    odd, last = list(ODD.values()), "0.5 ± 0.1 … größe → ok"
    code = (
        f"import sys\nfrom raysearch.terminal import say, show, table_of\nfor text in {odd!a}:\n"
        "    say(text); say(text, err=True); show(table_of([text], [[text]])); print(text)\n"
        f"print({last!a})"
    )
    done = program(code, environment=environment)
    assert done.returncode == 0, done.stderr
    found = done.stdout.splitlines()[-1]
    assert found.startswith("0.5 ") and found.endswith(" ok")
    if environment.get("PYTHONIOENCODING") == "ascii":
        assert found == r"0.5 +- 0.1 ... gr\xf6\xdfe -> ok"


FULL = "print_json({'a': 1})"


@pytest.mark.slow
def test_what_a_program_is_to_read_is_whole_or_an_error() -> None:
    code = f"from raysearch.terminal import print_json\n{FULL}"
    for redirect, status in (("> /dev/full", 1), ("| true", 0), (">&-", 0), ("> /dev/null", 0)):
        done = program(code, redirect=redirect)
        assert done.returncode == status, done.stderr
        assert ("no space left on device" in done.stderr) == bool(status)


@pytest.mark.slow
def test_a_command_says_that_its_output_was_lost(tmp_path: Path) -> None:
    def run(redirect: str) -> subprocess.CompletedProcess[str]:
        command = f'"$0" -m raysearch.cli list {redirect}'
        line = ["bash", "-c", f"set -o pipefail; {command}", sys.executable]
        return subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)

    full, gone, plain = run("> /dev/full"), run("| true"), run("--json > /dev/full")
    assert (full.returncode, gone.returncode, plain.returncode) == (0, 0, 2)
    assert "standard output did not take all" in full.stderr and gone.stderr == ""
    assert "error: standard output must take what is written" in plain.stderr
    assert "no space is left on the disk" not in full.stderr + plain.stderr


# A display that breaks


class Broken(io.StringIO):
    """A stream that fails when it is written to."""

    def write(self, text: str) -> int:
        raise OSError(5, "Input/output error")


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_display_that_breaks_is_said_once_and_ends_no_search(
    is_terminal: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    hand = Hand()
    console = Console(file=Broken(), force_terminal=is_terminal, width=20)
    with Watch(console) as watch:
        for number in range(3):
            hand.trial(f"t{number}", 0.5)
            watch.listen(hand.view)
    said = capsys.readouterr().err
    assert said.count("the display ends, the search goes on: OSError") == 1


class Moments:
    """A clock that is set by hand, in seconds."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_line_on_top_says_what_is_done_and_for_how_long() -> None:
    clock, stream = Moments(), io.StringIO()
    hand = Hand(gpus=1.0, trials=3)
    console = Console(file=stream, force_terminal=True, width=80, color_system=None)

    def last() -> str:
        """What was drawn since the last time."""
        text = stream.getvalue()
        stream.seek(0)
        stream.truncate()
        return text

    with Watch(console, clock=clock) as watch:
        clock.now = 42
        watch.tick()
        assert "starting Ray for 42 s" in last()
        watch.listen(hand.view)
        assert "waiting for GPUs for 0 s, 42 s in all" in last()
        clock.now += 12 * 60
        watch.tick()
        assert "waiting for GPUs for 12 min, 13 min in all" in last(), "also while nothing happens"
        asked = {"params": {}, "distributions": {}, "config": {}, "digest": "x", "seed": 0}
        hand.say("asked", 0, origin="sampler", **asked)
        hand.say("started", 0, attempt=1, folder="", restored=None)
        clock.now = 3 * 3600
        watch.listen(hand.view)
        assert "starting trials for 0 s, 3.0 h in all" in last()
        hand.say("described", 0, facts={})
        clock.now += 1
        watch.listen(hand.view)
        assert "running for 0 s, 3.0 h in all" in last()
    last()
    watch.tick()
    assert last() == "", "the terminal was given back"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (119, "119 s"), (120, "2 min"), (720, "12 min"), (7140, "119 min"),
     (7200, "2.0 h"), (172799, "48.0 h"), (172800, "2.0 days")],
)  # fmt: skip
def test_durations_have_one_unit(seconds: float, text: str) -> None:
    assert rounded(seconds) == text


def test_what_is_left_is_a_duration() -> None:
    hand = Hand(trials=10)
    for number in range(4):
        hand.trial(f"t{number}", 0.5)
    ahead = forecast(hand.view).seconds
    assert ahead is not None
    assert f"about {rounded(ahead)} left" in headline(hand.view).plain


@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
def test_each_trial_has_one_line_of_text(text: str) -> None:
    hand, stream = odd_search(text), io.StringIO()
    with Watch(make_console(file=stream)) as watch:
        watch.listen(hand.view)
        number = hand.trial("failed", state="failed", params={f"{text}.a": text})
        hand.view.trials[number].reason = text
        watch.listen(hand.view)
    lines = stream.getvalue().splitlines()
    assert set(acts(stream.getvalue())) <= {"\n"}
    assert sum(line.startswith(f"trial {number} failed") for line in lines) == 1
    assert max(map(len, lines)) < 2000


def test_a_table_takes_texts_as_they_are() -> None:
    table = table_of(["[b]"], [["[/b]"]])
    assert drawn(table, Console(file=io.StringIO())).split() == ["[b]", "[/b]"]


@pytest.mark.slow
def test_a_fault_of_ours_is_told_with_its_traceback_and_nothing_that_acts() -> None:
    code = (
        "from raysearch.cli import application\n"
        "def broken(arguments): raise KeyError('tags \\x1b[31m\\u202e', '\\udce9')\n"
        "application.app = broken\napplication.main([])"
    )
    for redirect in ("", "> /dev/full", ">&-"):
        done = program(code, redirect=redirect)
        assert done.returncode == 70
        assert done.stderr.startswith("Traceback") and "KeyError: ('tags " in done.stderr
        assert "This is a fault of raysearch" in done.stderr
        assert set(acts(done.stderr)) <= {"\n"}


def test_a_line_goes_on_below_itself_where_the_terminal_ends(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "note       " + "a word and " * 12 + "x" * 90 + " \x1b"
    monkeypatch.setenv("COLUMNS", "80")
    say_wrapped(text, 11)
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 or "x" * 90 in line for line in lines)
    assert all(line.startswith(" " * 11) for line in lines[1:]) and "\x1b" not in "".join(lines)
    assert " ".join(" ".join(lines).split()) == " ".join(visible(text).split())
    for width in ("0", "200000"):
        monkeypatch.setenv("COLUMNS", width)
        say_wrapped(text, 11)
        assert capsys.readouterr().out == f"{visible(text)}\n"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_live_lines_end_at_words_where_a_terminal_does(is_terminal: bool) -> None:
    values = {f"model.setting_{number}": "a_value" for number in range(6)}
    hand, stream = Hand(fixed=values), io.StringIO()
    console = Console(file=stream, force_terminal=is_terminal, width=80, color_system=None)
    with Watch(console) as watch:
        watch.listen(hand.view)
    fixed = ", ".join(f"{name}={value}" for name, value in values.items())
    lines = [
        line.rstrip()
        for line in re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", "", stream.getvalue()).splitlines()
    ]
    assert any(fixed in line for line in lines) is not is_terminal
    for name, value in values.items():
        assert sum(f"{name}={value}" in line for line in lines) == 1
