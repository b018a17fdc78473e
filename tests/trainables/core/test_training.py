"""The settings of a run: how epochs become steps, what is due when."""

from __future__ import annotations

import pytest

from trainables.core.training import Training


def test_epochs_become_steps_of_whole_batches() -> None:
    assert Training(epochs=3, batch_size=32).total_steps(100) == 9


def test_steps_win_over_epochs() -> None:
    assert Training(epochs=3, steps=5, batch_size=32).total_steps(100) == 5


def test_steps_may_be_none_at_all_but_not_fewer() -> None:
    assert Training(steps=0).total_steps(100) == 0 and Training(steps=0).evaluations_made() == 1
    assert Training(steps=0, evaluate_every=5).is_due(5, 0, 100)
    with pytest.raises(ValueError, match="greater than or equal to 0"):
        Training(steps=-1)


def test_a_batch_may_be_the_whole_set() -> None:
    assert Training(batch_size=100).steps_an_epoch(100) == 1


def test_a_batch_larger_than_the_set_is_refused() -> None:
    with pytest.raises(ValueError) as error:
        Training(batch_size=101).steps_an_epoch(100)
    assert str(error.value) == (
        "training.batch_size must be at most the 100 training examples, got 101"
    )


def test_micro_batches_that_are_not_equal_are_refused() -> None:
    with pytest.raises(ValueError) as error:
        Training.read({"batch_size": 32, "num_micro_batches": 3})
    assert "num_micro_batches must divide training.batch_size (32), got 3" in str(error.value)


@pytest.mark.parametrize(
    ("every", "steps"), [(0, [3, 6, 7]), (2, [2, 4, 6, 7]), (100, [7]), (7, [7])]
)
def test_what_comes_every_so_often_comes_at_the_end_too(every: int, steps: list[int]) -> None:
    settings = Training(steps=7, batch_size=32)
    assert [step for step in range(1, 8) if settings.is_due(every, step, 100)] == steps


def test_an_epoch_is_a_pass_over_the_whole_batches() -> None:
    assert Training(batch_size=32).epochs_at(6, 100) == 2.0
