"""The trials of a search as a table: chosen, sorted, in groups."""

from __future__ import annotations

from raysearch.cli.forms import Form, print_columns
from raysearch.driver.progress import trials_table
from raysearch.results.selection import Chosen, chosen_columns, chosen_rows, group_columns, grouped
from raysearch.results.tables import cost_lines, trial_columns
from raysearch.results.view import SearchView
from raysearch.terminal import make_console, say, show
from raysearch.texts import plural


def show_results(view: SearchView, chosen: Chosen, form: Form | None = None) -> None:
    """The trials that are meant, best first unless they are sorted; or their groups."""
    if chosen.group_by is not None:
        by = chosen.group_by
        print_columns(group_columns(view, by), grouped(view, chosen), form)
        return
    found = chosen_rows(view, chosen)
    if form is not None:
        print_columns(trial_columns(view), found, form)
    else:
        is_chosen = chosen.where is not None or bool(chosen.sort)
        width = make_console().width
        if is_chosen:
            columns = chosen_columns(view, chosen)
            show(trials_table(view, len(view.trials), width, found, columns))
        else:
            show(trials_table(view, len(view.trials), width))
        if chosen.where is not None:
            say(f"{len(found)} of {plural(len(view.trials), 'trial')}")
        else:
            costs = cost_lines(view)
            if costs:
                say("costs: median, lowest to highest")
            for line in costs:
                say(line)
