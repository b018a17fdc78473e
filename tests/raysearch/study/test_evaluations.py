"""Finished trials with every setting of an evaluating sweep: each pair once, in order, checked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from raysearch.study.evaluations import Evaluations
from raysearch.study.study import Proposal, Study
from raysearch.sweeps.search_spec import EvaluatedTrial, EvaluatedTrials, SearchSpec
from raysearch.sweeps.space import Space
from tests.raysearch.study.driving import events_of, frozen, make_study, spec_of
from tests.raysearch.toys import CONDITIONAL, Toy, swept


@dataclass(frozen=True)
class Trained(Toy):
    """A toy whose training depends on all but its rate."""

    def first_difference(self, other: Toy) -> tuple[str, Any, Any] | None:
        paths = ("depth", "width", "optimizer.lr")
        pairs = [(path, self.value_at(path), other.value_at(path)) for path in paths]
        return next((pair for pair in pairs if pair[1] != pair[2]), None)


def rates(trial: Any) -> Toy:
    return Toy(rate=trial.suggest_float("rate", 0.0, 0.2, step=0.1))


def depths(trial: Any) -> Trained:
    return Trained(depth=trial.suggest_int("depth", 2, 3))


RATES = swept(rates, evaluates="toys.conditional")


def trials(*kinds: str) -> list[EvaluatedTrial]:
    """Finished trials of the conditional sweep, one of each kind of optimiser."""
    found: list[EvaluatedTrial] = []
    for number, kind in enumerate(kinds):
        params: dict[str, Any] = {"optimizer.kind": kind, "depth": 2}
        params[f"optimizer[{kind}].lr"] = 0.01 * (number + 1)
        if kind == "sgd":
            params["optimizer.momentum"] = 0.5
        point = Space(CONDITIONAL).point(params)
        found.append(
            EvaluatedTrial(
                search="trained",
                trial=number,
                config=point.config.to_json(),
                params=point.params,
                distributions={name: d.to_json() for name, d in point.distributions.items()},
                checkpoint=f"/somewhere/{number}.pt",
            )
        )
    return found


def spec(*kinds: str) -> SearchSpec:
    evaluates = EvaluatedTrials("trained", tuple(trials(*kinds)))
    return replace(spec_of(RATES, sampler="grid"), evaluates=evaluates)


def drain(study: Study, count: int | None = None, state: Any = "complete") -> list[Proposal]:
    """Runs trials to their end, one after another."""
    found: list[Proposal] = []
    while len(found) != count and (proposal := study.ask()) is not None:
        found.append(proposal)
        study.tell(proposal.number, state, [0.5] if state == "complete" else None)
    return found


def pair(proposal: Proposal) -> tuple[float, int]:
    assert proposal.evaluates is not None
    return proposal.config["rate"], proposal.evaluates["trial"]


def test_all_trials_with_the_first_setting_come_before_any_with_the_second(
    tmp_path: Path,
) -> None:
    study, _, _ = make_study(tmp_path, RATES, spec("adam", "sgd"))
    found = [pair(proposal) for proposal in drain(study)]
    assert found == [(0.0, 0), (0.0, 1), (0.1, 0), (0.1, 1), (0.2, 0), (0.2, 1)]
    assert study.is_done


def test_a_pair_is_the_trial_with_the_setting_and_no_more(tmp_path: Path) -> None:
    study, _, _ = make_study(tmp_path, RATES, spec("adam", "sgd"))
    last, evaluated = drain(study)[-1], trials("adam", "sgd")[1]
    assert last.config == {**evaluated.config, "rate": 0.2}
    assert last.params == {**evaluated.params, "rate": 0.2}
    assert last.evaluates == evaluated.link()


def test_trials_of_two_branches_keep_their_distributions(tmp_path: Path) -> None:
    study, _, _ = make_study(tmp_path, RATES, spec("adam", "sgd"))
    drain(study)
    names = [sorted(trial.distributions) for trial in study.trials[:2]]
    assert names[0] == ["depth", "optimizer.kind", "optimizer[adam].lr", "rate"]
    assert names[1] == [
        "depth",
        "optimizer.kind",
        "optimizer.momentum",
        "optimizer[sgd].lr",
        "rate",
    ]


@pytest.mark.parametrize("done", [0, 1, 4, 6])
def test_a_rebuilt_study_goes_on_with_the_pairs_that_are_left(tmp_path: Path, done: int) -> None:
    stated = spec("adam", "sgd")
    study, log, store = make_study(tmp_path, RATES, stated)
    first = drain(study, done) if done else []
    log.flush()
    again = Study.rebuild(Space(RATES), stated, log, events_of(store, log))
    assert frozen(again) == frozen(study)
    pairs = [pair(proposal) for proposal in [*first, *drain(again)]]
    assert len(set(pairs)) == len(pairs) == 6


def test_a_failed_evaluation_is_made_again_from_the_same_checkpoint(tmp_path: Path) -> None:
    study, _, _ = make_study(tmp_path, RATES, spec("adam", "sgd"))
    failed = drain(study, state="failed")[3]
    study.retry(failed.number)
    again = drain(study)
    assert [(one.evaluates, one.config) for one in again] == [(failed.evaluates, failed.config)]


def test_prepared_pairs_that_are_dropped_are_proposed_again(tmp_path: Path) -> None:
    study, _, _ = make_study(tmp_path, RATES, spec("adam", "sgd"))
    study.prepare(4)
    study.drop_prepared()
    assert len(drain(study)) == 6


def test_a_value_fixed_by_the_user_is_set_in_each_trial() -> None:
    fixed = Evaluations(Space(RATES, {"rate": 0.1}), trials("adam", "sgd"))
    pairs = list(fixed._pairs())
    assert [one.point.config.value_at("rate") for one in pairs] == [0.1, 0.1]


def refusal(function: Any, evaluated: list[EvaluatedTrial]) -> str:
    space = Space(swept(function, name="toys.readers", evaluates="toys.conditional"))
    with pytest.raises(ValueError) as error:
        Evaluations(space, evaluated).check()
    return str(error.value)


def test_a_setting_that_training_depends_on_is_refused() -> None:
    assert refusal(depths, [*trials("sgd")]) == (
        "toys.readers cannot evaluate trial 0 of trained: depth must be 2, as it was trained, got "
        "3; only settings of evaluations may differ"
    )


def test_a_setting_that_a_trial_cannot_have_is_refused() -> None:
    def heads(trial: Any) -> Toy:
        return Toy(heads=trial.suggest_categorical("heads", [2, 4]))

    narrow = trials("adam")[0]
    narrow = replace(narrow, config={**narrow.config, "width": 2, "heads": 2})
    assert "trial 0 of trained: heads must divide width (2), got 4" in refusal(heads, [narrow])


def test_what_can_be_evaluated_passes() -> None:
    Evaluations(Space(RATES), trials("adam", "sgd", "sgd")).check()
