"""What MLflow will never take costs itself, is said once, and the rest is there."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from raysearch import verbs
from raysearch.events.log import Store
from raysearch.settings import Settings
from raysearch.tracking.findings import audit
from raysearch.tracking.mlflow.address import client_of
from raysearch.tracking.mlflow.names import key
from raysearch.tracking.mlflow.outbox import ASIDE, Outbox
from raysearch.tracking.tracker import aside_sentences
from tests.raysearch.events import streams
from tests.raysearch.events.facts import fact

pytestmark = pytest.mark.slow
METRICS = {
    name: float(number)
    for number, name in enumerate(
        [
            "val/AR@100",
            "val/AR#100",
            "/loss",
            "val//loss",
            "",
            "..",
            "x" * 251,
            "x" * 252,
            "a\udcff",
        ]
    )
}
ARTIFACTS = [
    "../../escape/a b#?.txt",
    "/abs.txt",
    "x//y.txt",
    "a%2e%2e/z.txt",
    "C:/q.txt",
    "\udcff",
]


def odd_search(settings: Settings) -> Store:
    """A search of one trial in which nothing is called as it should be."""
    store, folder = Store(settings.store), settings.folder("one")
    said = {"search": "one", "question": "a\0b\udcff", "notes": "y" * 9000}
    log = store.create("one", streams.spec(**said, tags={"a@b/": "x\0"}))
    streams.ask(log, 0, config={"k@": 1, "": 2, "long" * 100: "v" * 9000, "/x": "\udcff\0"})
    streams.begin(log, 0, folder)
    (folder / "0000/attempt-1/a.txt").write_text("a")
    log.append(fact("described", facts={"a@b": "x\0y\udcff" * 2000, "": 1}), 0)
    for step in (-(2**63), -1, 0, 2**63 - 1, 2**63, 2**70):
        metrics = {**METRICS, "val/accuracy": 0.5, "bad": float("inf"), "worse": float("nan")}
        log.append(
            fact(
                "report",
                attempt=1,
                step=step,
                fidelity=1,
                metrics=metrics,
                values=[0.5],
                checkpoint=None,
            ),
            0,
        )
    for name in ARTIFACTS:
        log.append(fact("artifact", name=name, path="0000/attempt-1/a.txt"), 0)
    log.append(fact("artifact", name="secret", path="../../../../../../etc/hostname"), 0)
    log.append(fact("artifact", name="never", path="0000/attempt-1/never.txt"), 0)
    streams.tell(log, 0, "complete", 0.5)
    log.append(fact("finished", reason="", best=0), commit=True)
    return store


def run_of(uri: str) -> Any:
    client = client_of(uri)
    return client.search_runs(["1"], "tags.`raysearch.role` = 'trial'")[0]


def check_all(store: Store, settings: Settings) -> None:
    """Nothing is missing but what was set aside, and that is said once."""
    found: dict[str, list[str]] = {}
    assert verbs.sync("one", settings, found) > 10
    aside = found["MLflow"]
    run, again = run_of(settings.tracking_uri), dict[str, list[str]]()
    assert {key(name): value for name, value in METRICS.items()}.items() <= run.data.metrics.items()
    points = client_of(settings.tracking_uri).get_metric_history(run.info.run_id, key("/loss"))
    assert sorted(point.step for point in points) == [-(2**63), -1, 0, 2**63 - 1]
    assert run.data.params[key("k@")] == "1" and run.data.params[key("/x")] == "\\udcff\\x00"
    worse = client_of(settings.tracking_uri).get_metric_history(run.info.run_id, "worse")
    assert len(worse) == 4 and all(math.isnan(point.value) for point in worse)
    # two steps with what is not a number, the summary, two artifacts, all that is infinite
    assert len(aside) == 2 * (len(METRICS) + 2) + 1 + 2 + 1
    assert aside.count("trial 0: metric 'bad': infinite values") == 1
    assert aside_sentences(found).startswith(
        f"MLflow would not take {len(aside)} things, which the"
    )
    assert "has more than 64 bits" in run.data.tags[ASIDE]
    findings = audit(store, "one", settings.folder("one"), settings.tracking_uri, [])
    assert [str(one) for one in findings if one.where != "study"] == []
    assert verbs.sync("one", settings, again) == 0 and again == {}


def test_in_a_file(tmp_path: Path, tracking: str) -> None:
    settings = Settings.locate(tmp_path)
    assert settings.tracking_uri == tracking
    check_all(odd_search(settings), settings)
    names = {path.name for path in (tmp_path / "mlartifacts").rglob("*") if path.is_file()}
    assert names == {"a b_0x23-3f_.txt", "_0x2f_abs.txt", "_0x2f_y.txt", "z.txt", "q.txt",
                     "_0xdcff_", "config.json"}  # fmt: skip
    assert not (tmp_path.parent / "escape").exists()


def test_one_refused_thing_among_a_thousand_is_found(tracking: str) -> None:
    client = client_of(tracking)
    run = client.create_run("0").info.run_id
    client.log_param(run, "lr", "1")
    outbox = Outbox(run)
    for step in range(700):
        outbox.metric("loss", 0.5, 1, step)
    outbox.metrics[357]._key = "/refused"  # a rule of MLflow's that nobody here knows
    outbox.params = {"lr": "2", "width": "3"}
    outbox.tags = {"fine": "yes", "": "no name"}
    outbox.send(client)
    found = client.get_run(run)
    assert len(client.get_metric_history(run, "loss")) == 699
    assert (found.data.params, found.data.tags["fine"]) == ({"lr": "1", "width": "3"}, "yes")
    assert [line.partition(":")[0] for line in outbox.aside] == [
        "metric '/refused' at step 357", "parameter 'lr'", "tag ''"
    ]  # fmt: skip
    assert found.data.tags[ASIDE].splitlines() == outbox.aside


def test_a_run_that_is_deleted_while_it_is_written_is_written_anew(
    tmp_path: Path, tracking: str
) -> None:
    settings = Settings.locate(tmp_path)
    store = odd_search(settings)
    verbs.sync("one", settings)
    client_of(tracking).delete_run(run_of(tracking).info.run_id)
    verbs.note(["one"], "and so on", settings)
    check = audit(store, "one", settings.folder("one"), tracking, [])
    assert [str(one) for one in check if one.where != "study"] == []
