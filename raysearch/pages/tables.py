"""The tables of a report: test scores, configurations over their seeds, all trials."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from raysearch.pages.making import evaluated, value_of
from raysearch.pages.objectives import objectives
from raysearch.pages.words import listed, number
from raysearch.results.ranking import Rank, winner
from raysearch.results.references import reference_rows
from raysearch.results.tables import columns_of, cost_names, rows
from raysearch.results.test_scores import on_test_split
from raysearch.results.view import SearchView, TrialView
from raysearch.texts import cut

MOST_RANKED = 50
MESSAGE = 600
"""Letters of a cell that is no number, such as the reason why a trial failed."""


@dataclass(frozen=True)
class Cell:
    """A cell of a table: what is shown, and what it is sorted by (empty: last)."""

    text: str
    key: str = ""


def cell(value: Any) -> Cell:
    """A value as a cell."""
    if value is None:
        return Cell("")
    if isinstance(value, bool):
        return Cell(str(value), str(value))
    if isinstance(value, int | float):
        return Cell(number(value), repr(value))
    return Cell(cut(str(value), MESSAGE), cut(str(value), MESSAGE))


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


def trials_table(view: SearchView) -> tuple[list[str], list[tuple[int, str, list[Cell]]]]:
    """Header and rows of all trials, best first: number, state, and the other cells."""
    names, goals = view.varying(), objectives(view)
    repeated = any(each.is_repeated for each in view.ranking())
    called, own = columns_of(view), [goal.name for goal in goals]
    columns = [called.metric(name) for name in own]
    if repeated:
        columns += [*(called.of_metric(name, "mean") for name in own), called.own("seeds")]
    found = rows(view)
    doubts = [called.own(name) for name in ("outcomes", "suspicious")]
    columns += [name for name in doubts if any(row.get(name) for row in found)]
    columns += [called.own(name) for name in ("step", "seconds", *cost_names(view))]
    table: list[tuple[int, str, list[Cell]]] = []
    for row in found:
        trial = view.trials[row[called.own("trial")]]
        cells = [_spread(row, column) for column in columns] + [_param(trial, n) for n in names]
        table.append((trial.number, trial.state, [*cells, cell(remark(trial))]))
    return [*columns, *names, called.own("remark")], table


def _param(trial: TrialView, name: str) -> Cell:
    """The value of a parameter; None is a value too, unlike that of a branch not taken."""
    text = value_of(trial, name)
    value = trial.params.get(name)
    return cell(value) if isinstance(value, int | float) else Cell(text, text)


def _spread(row: dict[str, Any], column: str) -> Cell:
    """A cell of the row; a mean is shown with its interval, if it has one."""
    found, name = cell(row.get(column)), column.removesuffix(" mean")
    if row.get(f"{name} low") is None or name == column:
        return found
    ends = f"[{number(row[f'{name} low'])}, {number(row[f'{name} high'])}]"
    return Cell(f"{found.text} {ends}", found.key)


def remark(trial: TrialView) -> str:
    """What else there is to say of a trial."""
    said = ["default configuration"] if trial.origin == "default" else []
    if trial.repeat_of is not None:
        said.append(f"trial {trial.repeat_of} again, seed {trial.seed}")
    if trial.retry_of is not None:
        said.append(f"trial {trial.retry_of} tried again")
    if trial.retried_by is not None:
        said.append(f"tried again as trial {trial.retried_by}")
    if trial.evaluates is not None:
        said.append(evaluated(trial))
    if len(trial.attempts) > 1:
        said.append(f"{len(trial.attempts)} attempts")
    said += [trial.reason, trial.differed, *trial.notices]
    said += [f"checkpoint {path} {what}" for path, what in trial.damaged.items()]
    return "; ".join(filter(None, said))
