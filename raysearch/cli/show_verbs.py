"""What the commands print that compare, note, tag and delete searches."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from raysearch import verbs
from raysearch.cli.show import check_form, columns_table
from raysearch.errors import BadSetting
from raysearch.settings import Settings
from raysearch.terminal import print_csv, print_json, say, show


def show_comparison(names: Sequence[str], settings: Settings, *, csv: bool, as_json: bool) -> None:
    """Searches side by side: a row for each in CSV and JSON, a column for each in the table."""
    check_form(csv=csv, as_json=as_json)
    rows = verbs.compared(names, settings)
    if as_json:
        print_json(rows)
    elif csv:
        print_csv(rows)
    else:
        show(columns_table(rows))


def check_page(*, csv: bool, as_json: bool) -> None:
    """Raises BadSetting if something else than a page is asked for too."""
    if csv or as_json:
        raise BadSetting(f"--html must stand alone, got {'--csv' if csv else '--json'} too")


def show_said(missing: Mapping[str, str]) -> None:
    """Which searches were changed, and where MLflow does not have it yet."""
    for name, problem in missing.items():
        say(f"{name}: written" + (f"; MLflow does not have it yet: {problem}" if problem else ""))


def delete(names: Sequence[str], settings: Settings, *, ask: bool) -> None:
    """Deletes searches, after a question on the terminal.

    Raises:
        ValueError: there is no terminal to ask on. LookupError: no such search, nothing is deleted.
    """
    views = [verbs.salvaged_of(name, settings)[1] for name in names]
    if ask:
        trials = sum(len(view.trials) for view in views)
        question = f"delete {', '.join(names)} ({trials} trials, their checkpoints and MLflow runs)"
        if not sys.stdin.isatty():
            raise BadSetting(f"--yes must be given where nobody can be asked: {question}")
        if input(f"{question}? [y/N] ").strip().lower() not in ("y", "yes"):
            say("nothing was deleted")
            return
    for name in names:
        left = verbs.delete(name, settings)
        if left:
            some = ", ".join(path.name for path in left[:5]) + (" …" if len(left) > 5 else "")
            say(f"{name}: left in {left[0].parent}, since it is none of the search's: {some}")
        say(f"{name}: deleted")
