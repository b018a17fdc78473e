"""The trials of a search as a table: chosen, sorted, in groups."""

from __future__ import annotations

from raysearch.cli.forms import Form, print_columns
from raysearch.driver.progress import trials_table
from raysearch.results.selection import Chosen, chosen_rows, group_columns, groups
from raysearch.results.tables import cost_lines, trial_columns
from raysearch.results.view import SearchView
from raysearch.terminal import make_console, say, show
from raysearch.texts import plural


def show_results(view: SearchView, chosen: Chosen, form: Form | None = None) -> None:
    """The trials that are meant, best first unless they are sorted; or their groups."""
    found = chosen_rows(view, chosen)
    if chosen.group_by is not None:
        by = chosen.group_by
        print_columns(group_columns(view, by), groups(view, found, by), form)
    elif form is not None:
        print_columns(trial_columns(view), found, form)
    else:
        is_chosen = chosen.where is not None or bool(chosen.sort)
        width = make_console().width
        show(trials_table(view, len(view.trials), width, found if is_chosen else None))
        if chosen.where is not None:
            say(f"{len(found)} of {plural(len(view.trials), 'trial')}")
        else:
            for line in cost_lines(view):
                say(line)
