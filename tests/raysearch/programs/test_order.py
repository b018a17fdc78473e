"""Of what several sources say, each value counts once, and the steps of a trial never go back."""

from __future__ import annotations

import random

from raysearch.programs.readers.order import Order
from raysearch.programs.readers.reader import FoundReport


def plain(reports: list[FoundReport]) -> list[tuple[int, dict[str, float]]]:
    return [(one.step, one.metrics) for one in reports]


def said(*steps: tuple[int, dict[str, float]], source: str = "tensorboard") -> list[FoundReport]:
    return [FoundReport(step, metrics, source) for step, metrics in steps]


def test_a_metric_belongs_to_the_first_source_of_the_list() -> None:
    order = Order(["acc"])
    both = [*said((1, {"acc": 0.5}), source="csv"), *said((1, {"acc": 0.5}), source="wandb")]
    assert plain(order.take(both)) == [(1, {"acc": 0.5})]
    assert order.take(said((2, {"acc": 0.6}), source="csv")) == []
    assert dict(order.unheard) == {("acc", "csv"): 2}


def test_metrics_on_the_same_clock_keep_their_steps() -> None:
    order = Order(["acc"])
    assert order.take(said((1, {"loss": 3.0}), (2, {"loss": 2.0}))) == []
    found = plain(order.take(said((3, {"loss": 1.0}), (3, {"acc": 0.5}))))
    assert found == [(1, {"loss": 3.0}), (2, {"loss": 2.0}), (3, {"loss": 1.0, "acc": 0.5})]


def test_a_metric_at_each_iteration_comes_with_that_at_each_epoch() -> None:
    order, found = Order(["acc"]), list[FoundReport]()
    for epoch in (1, 2):
        for iteration in range((epoch - 1) * 100, epoch * 100):
            found += order.take(said((iteration, {"loss": float(iteration)})))
        found += order.take(said((epoch, {"acc": epoch / 10})))
    assert plain(found) == [(1, {"loss": 99.0, "acc": 0.1}), (2, {"loss": 199.0, "acc": 0.2})]


def test_a_metric_at_each_epoch_comes_with_that_at_each_iteration() -> None:
    order = Order(["loss"])
    first = order.take(said((99, {"loss": 1.0}), (1, {"acc": 0.5}), (199, {"loss": 0.5})))
    assert plain(first) == [(99, {"loss": 1.0}), (199, {"acc": 0.5, "loss": 0.5})]


def test_steps_that_go_back_are_dropped_and_counted() -> None:
    order = Order(["acc"])
    found = order.take(said((5, {"acc": 0.1}), (5, {"acc": 0.2}), (3, {"acc": 0.3})))
    assert plain(found) == [(5, {"acc": 0.1})]
    assert order.dropped == {"acc": 2}


def test_at_the_end_come_the_last_values_or_all_if_nothing_is_compared() -> None:
    order = Order(["acc"])
    order.take(said((5, {"acc": 0.1}), (7, {"test": 0.2})))
    assert plain(order.finish()) == [(5, {"test": 0.2})]
    without = Order(["acc"])
    without.take(said((7, {"val_acc": 0.2}), (8, {"val_acc": 0.3})))
    assert plain(without.finish()) == [(7, {"val_acc": 0.2}), (8, {"val_acc": 0.3})]


def test_reports_never_go_back_nor_say_a_value_twice_and_no_moment_of_reading_matters() -> None:
    draws = random.Random(1)
    for _ in range(200):
        written = [
            FoundReport(draws.randrange(9), {name: draws.random()}, "wandb")
            for name in draws.choices("abcd", k=draws.randrange(30))
        ]
        whole, split = Order("a"), Order("a")
        found = whole.take(written) + whole.finish()
        assert found == [one for each in written for one in split.take([each])] + split.finish()
        assert [one.step for one in found] == sorted(one.step for one in found) or not any(
            "a" in one.metrics for one in found
        )
        values = [(one.step, name) for one in found for name in one.metrics]
        assert len(values) == len(set(values))


def test_of_many_values_between_two_only_some_are_kept_and_the_last_is_among_them() -> None:
    order = Order(["acc"])
    order.take(said(*((step, {"loss": float(step)}) for step in range(10_000))))
    found = order.take(said((10_000, {"acc": 1.0})))
    assert 100 <= len(found) <= 202
    assert found[-2].metrics == {"loss": 9999.0}
