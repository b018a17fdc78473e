"""The tables of a report: test scores, configurations over their seeds, all trials."""

from __future__ import annotations

import math
from dataclasses import dataclass

from raysearch.pages.making import value_of
from raysearch.pages.objectives import objectives
from raysearch.pages.words import listed, number
from raysearch.results.layout import Look, on
from raysearch.results.ranking import Rank, winner
from raysearch.results.references import reference_rows
from raysearch.results.tables import REMARK, TrialColumn, TrialRow, trial_columns, trial_rows
from raysearch.results.test_scores import on_test_split
from raysearch.results.view import SearchView
from raysearch.texts import cut

MOST_RANKED = 50


@dataclass(frozen=True)
class Cell:
    """A cell of a table: what is shown, what it is sorted by (empty: last), and how it looks.

    `state` is the state of its trial where it is shown in the colour of that.
    """

    text: str
    key: str = ""
    look: Look = "plain"
    state: str = ""


def cell(column: TrialColumn, row: TrialRow) -> Cell:
    """What a column says of a trial."""
    value = column.value(row)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    key = "" if value is None else repr(value) if is_number else cut(str(value), REMARK)
    state = row.trial.state if column.look == "state" else ""
    return Cell(column.cell(row), key, column.look, state)


def test_table(view: SearchView) -> tuple[list[str], list[list[str]]]:
    """Header and rows: role, trials, and each score with its interval; failures in words."""
    found = on_test_split(view)
    names = list(dict.fromkeys(name for each in found for name in each.scores))
    table = [
        [
            each.role,
            listed(each.trials) if each.trials else "",
            *(str(each.scores[name]) if name in each.scores else "" for name in names),
            "; ".join(f"trial {trial}: {error}" for trial, error in each.errors.items()),
        ]
        for each in found
    ]
    header = ["configuration", "trials", *names, "failed"]
    if not any(row[-1] for row in table):
        header, table = header[:-1], [row[:-1] for row in table]
    return header, table


def reference_table(view: SearchView) -> tuple[list[str], list[list[str]]]:
    """The winner beside what learns nothing, by objective; the best in the first one on top."""
    won, goals = winner(view), objectives(view)
    if won is None:
        return [], []
    found = [reference_rows(won.rank.runs, goal.name) for goal in goals]
    names = list(dict.fromkeys(row for rows in found for row in rows))
    if not names:
        return [], []
    table: list[tuple[str, list[float | None]]] = []
    table.append((f"trial {won.rank.trial.number}", [m.mean for m in won.rank.intervals]))
    table += [(name, [rows.get(name) for rows in found]) for name in names]
    sign = goals[0].sign
    table.sort(key=lambda row: math.inf if row[1][0] is None else sign * row[1][0])
    return ["", *(goal.label for goal in goals)], [
        [name, *map(number, values)] for name, values in table
    ]


def ranking_table(view: SearchView) -> tuple[list[str], list[list[str]]]:
    """The Pareto front, or else the configurations with several seeds, best first."""
    won, goals, names = winner(view), objectives(view), view.varying()
    if won is None:
        return [], []
    front = len(goals) > 1
    found = won.front if front else [each for each in view.ranking() if _has_several(each)]
    ties = {each.trial.number for each in won.ties}
    table: list[list[str]] = []
    for each in list(found)[:MOST_RANKED]:
        run = each.trial
        tie = "best" if each is won.rank else "tied" if run.number in ties else ""
        row = [str(run.number), *(str(mean) for mean in each.intervals), _seeds(each)]
        row += [] if front else [tie, listed(number((r.values or [0.0])[0]) for r in each.runs)]
        table.append([*row, *(value_of(run, name) for name in names)])
    header = ["trial", *(goal.name for goal in goals), "seeds"]
    header += [] if front else ["ranking", "runs"]
    return [*header, *names], table


def _has_several(rank: Rank) -> bool:
    return rank.seeds > 1 or bool(rank.others)


def _seeds(rank: Rank) -> str:
    """Their number, and what else there is to say of them."""
    count = rank.complete + sum(rank.others.values())
    said = [rank.outcomes] if rank.others else []
    said += [f"suspicious: {rank.suspicion}"] if rank.suspicion else []
    return "; ".join([str(count), *said])


def trials_table(view: SearchView) -> tuple[list[str], list[tuple[int, list[Cell]]]]:
    """Header and rows of all trials, best first: number and cells, as `trial_columns` has them."""
    columns = on(trial_columns(view), "page")
    table = [
        (row.trial.number, [cell(column, row) for column in columns]) for row in trial_rows(view)
    ]
    return [column.key for column in columns], table
