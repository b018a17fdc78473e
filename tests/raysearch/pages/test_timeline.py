"""The timeline of a search: attempts where and when they ran."""

from __future__ import annotations

from raysearch.pages.chart import Chart
from raysearch.pages.timeline import lanes, spans, timeline_chart, unit_of
from tests.raysearch.pages import report_cases as cases
from tests.raysearch.pages import report_streams as streams
from tests.raysearch.pages.report_streams import BEGIN, Stream


def two_slots() -> Stream:
    """Trials 0 and 1 at once; 0 is lost and tried again; a pause; 2 is running."""
    draw, stream = streams.random.Random(0), Stream({"trials": 4})
    stream.ask(0, *streams.vit(draw))
    stream.seconds = 10
    stream.ask(1, *streams.vit(draw))
    stream.seconds = 20
    said = {"kind": "lost", "message": "its node is gone", "traceback": None}
    stream.say("failed", 0, attempt=1, again=True, **said)
    stream.seconds = 30
    stream.say("started", 0, attempt=2, folder="0000/attempt-2", restored=None)
    stream.seconds = 40
    stream.tell(1, "pruned", [0.2], "pruned at epochs 1")
    stream.seconds = 50
    stream.tell(0, "complete", [0.5])
    stream.say("interrupted", reason="", best=0)
    stream.seconds = 100
    stream.say("resumed", command="raysearch resume by-hand", left=None)
    stream.ask(2, *streams.vit(draw))
    stream.report(2, 1, [0.5], [0.5])
    return stream


def test_an_attempt_ends_where_it_failed_and_a_trial_where_it_was_told() -> None:
    found = [
        (
            span.trial,
            span.attempt,
            (span.begin - BEGIN) / 1000,
            (span.end - BEGIN) / 1000,
            span.sort,
        )
        for span in spans(two_slots().view())
    ]
    assert found == [
        (0, 1, 0.0, 20.0, "tried again"),
        (1, 1, 10.0, 40.2, "pruned"),
        (0, 2, 30.0, 50.2, "completed"),
        (2, 1, 100.0, 100.5, "running"),
    ]


def test_an_attempt_that_a_kill_of_the_driver_ended_ends_with_its_last_event() -> None:
    stream = two_slots()
    stream.seconds = 200
    stream.say("resumed", command="raysearch resume by-hand", left=None)
    stream.say("started", 2, attempt=2, folder="0002/attempt-2", restored=None)
    killed, again = [span for span in spans(stream.view()) if span.trial == 2]
    assert (killed.sort, (killed.end - BEGIN) / 1000) == ("tried again", 100.5)
    assert (again.sort, (again.begin - BEGIN) / 1000) == ("running", 200.0)


def test_no_two_attempts_of_a_slot_overlap_and_no_slot_is_too_many() -> None:
    view = cases.repeats().view()
    for found in (spans(two_slots().view()), spans(view)):
        places = lanes(found)
        for slot in set(places):
            own = [span for span, at in zip(found, places, strict=True) if at == slot]
            assert all(a.end <= b.begin for a, b in zip(own, own[1:], strict=False))
        moments = {span.begin for span in found}
        most = max(sum(s.begin <= at < max(s.end, s.begin + 1) for s in found) for at in moments)
        assert len(set(places)) == most


def test_the_chart_has_each_attempt_and_the_pause() -> None:
    chart = timeline_chart(two_slots().view())
    assert isinstance(chart, Chart)
    layers = {one["name"]: one["data"] for one in chart.spec["layers"]}
    assert layers["not driven"] == [(50.2, 100.0)]
    ((begin, end, lane, trial, (attempt, _)),) = layers["completed"]
    assert (begin, end, lane, trial, attempt) == (30.0, 50.2, 0, 0, "attempt 2")
    assert layers["tried again"][0][4] == ("attempt 1", "20 s (lost: its node is gone)")
    assert chart.spec["y"]["choices"] == ["1", "2"] and "1 attempt was followed" in chart.caption


def test_a_search_without_a_trial_has_no_timeline() -> None:
    assert timeline_chart(Stream().view()) == "No trial has begun: there is no timeline yet."


def test_times_have_a_unit_that_is_read_at_once() -> None:
    assert [unit_of(seconds)[0] for seconds in (300, 301, 10_801, 259_201)] == [
        "seconds", "minutes", "hours", "days",
    ]  # fmt: skip
