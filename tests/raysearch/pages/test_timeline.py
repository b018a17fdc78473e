"""The timeline of a search: attempts where and when they ran."""

from __future__ import annotations

from raysearch.pages.chart import Chart
from raysearch.pages.tables import trials_table
from raysearch.pages.timeline import UNKNOWN, lanes, placed, spans, timeline_chart, unit_of
from raysearch.results.tables import rows
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


def on_machines() -> Stream:
    """Trials 0 and 1 on node10, 2 on node2, 3 of two workers on both, 4 where nobody knows."""
    draw, stream = streams.random.Random(0), Stream({"trials": 5})
    for number, nodes in enumerate([["node10"], ["node10"], ["node2"], ["node2", "node10"], None]):
        stream.seconds = 10 * number
        stream.ask(number, *streams.vit(draw))
        if nodes is not None:
            stream.say("placed", number, attempt=1, nodes=nodes)
    stream.seconds = 100
    for number in range(5):
        stream.tell(number, "complete", [0.5])
    return stream


def test_slots_stand_by_machine_and_an_attempt_of_two_machines_on_both() -> None:
    bars, names = placed(spans(on_machines().view()))
    assert names == [
        ("node2", 1), ("node2", 2), ("node10", 1), ("node10", 2), ("node10", 3), (UNKNOWN, 1),
    ]  # fmt: skip
    assert sorted((bar.span.trial, *names[bar.lane]) for bar in bars) == [
        (0, "node10", 1), (1, "node10", 2), (2, "node2", 1), (3, "node10", 3), (3, "node2", 2),
        (4, UNKNOWN, 1),
    ]  # fmt: skip


def test_the_chart_names_the_machines() -> None:
    chart = timeline_chart(on_machines().view())
    assert isinstance(chart, Chart)
    assert chart.spec["y"]["label"] == "machine · slot"
    assert chart.spec["y"]["choices"][::3] == ["node2 · 1", "node10 · 2"]
    layers = {one["name"]: one["data"] for one in chart.spec["layers"]}
    assert layers[""] == [1.5, 4.5]  # between machines
    words = {trial: said[1] for _, _, _, trial, said in layers["completed"]}
    assert words[3].endswith("on node2 and node10") and " on " not in words[4]
    assert "first slot of its machine" in chart.caption


def test_of_one_machine_the_slots_have_no_name_but_the_caption_has_it() -> None:
    stream = Stream({"trials": 1})
    stream.ask(0, *streams.vit(streams.random.Random(0)))
    stream.say("placed", 0, attempt=1, nodes=["node7"])
    chart = timeline_chart(stream.view())
    assert isinstance(chart, Chart) and chart.spec["y"]["choices"] == ["1"]
    assert chart.caption.endswith("All ran on node7.")


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


def test_rows_for_programs_name_the_machine_where_it_is_known() -> None:
    found = {row["trial"]: row["node"] for row in rows(on_machines().view())}
    assert (found[0], found[3], found[4]) == ("node10", "node2, node10", None)
    assert all("node" not in row for row in rows(two_slots().view()))


def test_on_the_page_parameters_come_before_other_numbers_and_remarks_are_last() -> None:
    view = on_machines().view()
    header = trials_table(view)[0]
    last = max(header.index(name) for name in view.varying())
    assert header[:4] == ["trial", "state", "val/accuracy", "epochs"]
    assert header[last + 1 :] == ["step", "seconds", "node", "remark"]
