"""Answers of the head about submitted searches that have not begun, or are gone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from raysearch.server.broker_process import slots
from raysearch.server.submissions import is_name
from raysearch.server.supervisor import Driven, Supervisor
from raysearch.trial.job import label_of


@dataclass(frozen=True)
class SupervisorText:
    """A text to be added on `out` or `err`; with `is_all` in place of the verb's own answer."""

    text: str = ""
    where: str = "out"
    is_all: bool = False
    exit: int = 0


def supervisor_text(arguments: Sequence[str], supervisor: Supervisor) -> SupervisorText:
    """What is to be told beside, or in place of, what a verb says by itself."""
    verb, *rest = arguments
    named = [each for each in rest if not each.startswith("-")]
    if verb == "list":
        return _waiting(
            supervisor, as_json="--json" in rest, is_chosen=len(rest) > ("--json" in rest)
        )
    if not named or verb not in ("status", "stop"):
        return SupervisorText()
    name = named[0]
    if verb == "stop":
        if len(rest) > 1:
            return SupervisorText()  # one trial of it
        reply = supervisor.let_be(name) if is_name(name) else None
        return SupervisorText() if reply is None else SupervisorText(reply + "\n", is_all=True)
    driven = supervisor.driven(name) if is_name(name) else None
    told = SupervisorText() if driven is None else _status(name, driven, as_json="--json" in rest)
    reply = _slots(name, supervisor)
    if told.is_all or not reply:
        return told
    return replace(told, text=reply + told.text, where="err" if "--json" in rest else "out")


def _slots(name: str, supervisor: Supervisor) -> str:
    """How many slots a search has that could use more; empty if it has all."""
    for row in slots(supervisor.state):
        is_it = row["search"] == label_of(supervisor.settings().folder(name))
        if is_it and row["granted"] < row["wants"]:
            return (
                f"slots: {row['granted']} of the {row['wants']} that it could use, others have the "
                f"rest\n"
            )
    return ""


def _status(name: str, driven: Driven, *, as_json: bool) -> SupervisorText:
    text = "".join(f"  {line}\n" for line in driven.lines)
    if driven.state and as_json:
        reply = {"name": name, **asdict(driven), "counts": {}, "best": None, "trials": []}
        return SupervisorText(json.dumps(reply, indent=2) + "\n", is_all=True)
    if driven.state:
        return SupervisorText(f"{name}: {driven.state} ({driven.reason})\n{text}", is_all=True)
    if not driven.reason:
        return SupervisorText()
    return SupervisorText(f"{driven.reason}\n{text}", where="err" if as_json else "out")


def _waiting(supervisor: Supervisor, *, as_json: bool, is_chosen: bool) -> SupervisorText:
    """The submissions that are no search yet, beside the whole list; JSON has searches alone."""
    if is_chosen:
        return SupervisorText()
    lines = [
        f"{one.name}: {'failed' if one.over else 'submitted'}"
        + (f" ({one.over})" if one.over else "")
        for one in supervisor.waiting()
    ]
    text = "".join(f"{line}\n" for line in lines)
    return SupervisorText(text, where="err" if as_json else "out")
