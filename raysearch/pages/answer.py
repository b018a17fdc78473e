"""The answer of a search in words and a few numbers, and what it cost."""

from __future__ import annotations

from collections.abc import Sequence

from raysearch.pages.facts import savings, seconds_of
from raysearch.pages.objectives import drawn, objectives
from raysearch.pages.words import elapsed, listed, number, share
from raysearch.results.averaged import long_means
from raysearch.results.forecast import total_runs
from raysearch.results.ranking import Rank, winner
from raysearch.results.test_scores import on_test_split
from raysearch.results.view import SearchView
from raysearch.texts import plural

STATES = (
    "complete",
    "pruned",
    "infeasible",
    "failed",
    "running",
    "waiting",
    "duplicate",
    "known",
)


def answer(view: SearchView) -> list[str]:
    """The answer in a few sentences: who won, how sure that is, what the test split says."""
    won = winner(view)
    if won is None:
        return ["No trial has completed: there is no answer" + _yet(view) + "."]
    goals, best = objectives(view), won.rank
    if len(goals) > 1:
        names = " and ".join(f"{goal.name} ({goal.direction})" for goal in goals)
        count = plural(len(won.front), "configuration")
        blind = "".join(f", in {one.metric} {one.place} ({one})" for one in won.blind)
        said = [f"The Pareto front of {names} has {count}{blind}: " + _named(won.front) + "."]
        said.append(f"Best in {goals[0].name} is trial {best.trial.number}: {_values(view, best)}.")
    else:
        blind = f", but {won.blind[0].place} ({won.blind[0]})" if won.blind else ""
        said = [f"Trial {best.trial.number} is best{blind}: {_values(view, best)}."]
        if won.ties:
            said.append(
                f"It is tied with {_named(won.ties)}: the 95 % interval of the difference "
                f"includes 0."
            )
    if best.suspicion:
        said.append(f"That is suspicious: {best.suspicion}")
    said += [f"{doubt[0].upper()}{doubt[1:]}." for doubt in long_means(view)]
    if view.state == "running":
        said[0] = f"So far: {said[0][0].lower()}{said[0][1:]}"
    return [*said, *_test_sentence(view)]


def _yet(view: SearchView) -> str:
    return " yet" if view.state == "running" else ""


def _named(found: Sequence[Rank]) -> str:
    what = "trial " if len(found) == 1 else "trials "
    return what + listed(each.trial.number for each in found)


def _values(view: SearchView, rank: Rank) -> str:
    """`val/accuracy 0.982, 95 % interval 0.975 to 0.989, mean of 3 seeds`."""
    parts = [
        f"{goal.name} {number(each.mean)}"
        + (f" (95 % interval {number(each.low)} to {number(each.high)})" if each.count > 1 else "")
        for goal, each in zip(objectives(view), rank.intervals, strict=True)
    ]
    if rank.others:
        mean = f"mean of {rank.complete}" if rank.complete > 1 else "no interval"
        return f"{' and '.join(parts)} ({rank.of_seeds}; {mean})"
    if rank.seeds < 2:
        return f"{' and '.join(parts)} (one seed, so no interval)"
    return f"{' and '.join(parts)}, mean of {rank.seeds} seeds"


def _test_sentence(view: SearchView) -> list[str]:
    """`On the test split its test/accuracy is 0.951, that of the default configuration 0.874.`

    Of the scores the one is named that is called like the first objective, if there is one.
    """
    found = on_test_split(view)
    won = next((each for each in found if each.role.startswith("winner") and each.scores), None)
    if won is None:
        return []
    like = f"test/{objectives(view)[0].name.rpartition('/')[2]}"
    name = like if like in won.scores else next(iter(won.scores))
    score = won.scores[name]
    said = f"On the test split its {name} is {score}"
    default = next((each for each in found if each.role == "default" and name in each.scores), None)
    if default is not None:
        said += f", that of the default configuration {default.scores[name]}"
    elif won.role == "winner and default":
        said += "; it is the default configuration"
    return [f"{said}."]


def tiles(view: SearchView) -> list[tuple[str, str, str]]:
    """A few numbers in large letters: label, number, what stands below it."""
    found: list[tuple[str, str, str]] = []
    won = winner(view)
    for goal in objectives(view):
        if won is None:
            break
        each = won.rank.intervals[goal.index]
        below = f"trial {won.rank.trial.number}, {plural(each.count, 'seed')}"
        if each.count > 1:
            below = f"95 % interval {number(each.low)} – {number(each.high)}, {each.count} seeds"
        if won.rank.others:
            below = f"trial {won.rank.trial.number}, {won.rank.of_seeds}"
        found.append((goal.label, number(each.mean), below))
    counts = view.counts()
    total = total_runs(view)
    below = f"{counts.get('complete', 0)} completed, {counts.get('pruned', 0)} pruned"
    ended = f"{view.done()}" + (f" of {total}" if total and total != view.done() else "")
    found.append(("trials ended", ended, below))
    spent = sum(map(seconds_of, drawn(view)))
    found.append(("took", elapsed(view.seconds()), f"{elapsed(spent)} of trials added up"))
    saved = savings(view)
    if saved is not None:
        below = f"by early stopping, about {elapsed(saved.seconds)} of trials"
        found.append(("saved", share(saved.share), below))
    return found


def saved_sentence(view: SearchView) -> str:
    """What early stopping saved, in words."""
    saved = savings(view)
    if saved is None:
        pruned = view.counts().get("pruned", 0)
        if pruned:
            return f"{plural(pruned, 'trial')} ended early; nothing completed to compare with."
        if view.spec.pruner == "none":
            return "There was no early stopping."
        return "No trial was pruned: early stopping saved nothing."
    return (
        f"{plural(saved.trials, 'trial was', 'trials were')} pruned after {saved.taken:,.0f} of "
        f"the {saved.trials * saved.full:,.0f} {saved.unit} that full trials would have taken "
        f"({saved.full:,.0f} each, the median of those that completed). All trials together took "
        f"{saved.all_taken:,.0f} {saved.unit}, so {share(saved.share)} of the whole was saved, "
        f"about {elapsed(saved.seconds)} of trials."
    )


def notice(view: SearchView) -> str:
    """What to know first: the search has not ended, or ended otherwise than planned."""
    if view.state == "finished":
        return view.reason
    total = total_runs(view)
    done = f"{view.done()}{f' of {total}' if total else ''} trials had ended"
    if view.state == "running":
        return f"This search had not ended when this page was made: {done}. Numbers may change."
    why = f" ({view.reason})" if view.reason else ""
    go_on = f"it goes on by raysearch resume {view.search}"
    return f"This search was {view.state}{why} when {done}; {go_on}."


def bars(view: SearchView) -> list[tuple[str, int]]:
    """Counts by state, those that are not 0."""
    counts = view.counts()
    return [(state, counts[state]) for state in STATES if counts.get(state)]
