"""The command that sends a search to a cluster: submit."""

from __future__ import annotations

import inspect
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from raysearch.cli.address import Head, declared
from raysearch.cli.options import FINISHED, NOTHING_COMPLETED, Json, app, plainly
from raysearch.cli.programs import NAMES, sweep_meant
from raysearch.cli.running import search
from raysearch.errors import BadSetting
from raysearch.streams import lost_output
from raysearch.terminal import say

if TYPE_CHECKING:
    from raysearch.server.remote import Remote

Follow = Annotated[
    bool, typer.Option("--follow", "-f", help="Say how far it is until it ends; Ctrl-C leaves it.")
]
_NOT_THERE = ("address", "tracking_uri", "store", "runs", "time_box", "notify", "notify_command")
"""Options of `search` that a service has itself, or that end a command and not a search."""
_NOT_ASKED = (
    *("context", "space", "overrides", "tags", "address", "follow", "as_json"),
    *NAMES,
)
_LOOK_EVERY = 2.0
_GOING = ("submitted", "running", "killed", "interrupted")
"""States of a search that is driven, or will be again."""


def _submit(context: typer.Context, **given: Any) -> None:
    """Send a search, with the code that is here, to a service; print its name at once."""
    from raysearch.driver.plan import make_request, parse_overrides
    from raysearch.provenance.archive import pack
    from raysearch.provenance.origin import user_here
    from raysearch.server.remote import Remote
    from raysearch.verbs import parse_tags

    with plainly():
        if given["address"] is None:
            raise BadSetting("--address must be given, as http://head:8267, or RAYSEARCH_ADDRESS")
        remote = Remote(given["address"])
        named = (given["space"], given["overrides"])
        with sweep_meant(*named, given) as (space, overrides, checked):
            options = {key: value for key, value in given.items() if key not in _NOT_ASKED}
            options["user"] = options["user"] or user_here()
            values, marks = parse_overrides(overrides), parse_tags(given["tags"] or [], [])
            request = make_request(space, values, tags=marks, **options)
            package = pack(Path.cwd())
            name = remote.submit(request, remote.plan(request, package), package)
            checked()
        if given["as_json"]:
            say(json.dumps({"name": name, "address": remote.address}))
        else:
            say(name)
        if given["follow"]:
            raise typer.Exit(_follow(remote, name))


def _follow(remote: Remote, name: str) -> int:
    """Says how far a search is, each time that changes, until it has ended."""
    shown = ""
    try:
        while True:
            state = remote.state(name)["state"]
            text = remote.said(["status", name])
            head = "\n".join(text.splitlines()[: 2 if state != "failed" else None])
            if head != shown:
                say(head)
                shown = head
            if state not in _GOING:
                return FINISHED if state == "finished" else NOTHING_COMPLETED
            if lost_output() is not None:
                return FINISHED  # nobody reads on, such as `head`
            time.sleep(_LOOK_EVERY)
    except KeyboardInterrupt:
        say(f"{name} goes on; look at it by `raysearch status {name}`", err=True)
        return FINISHED


def _parameters() -> list[inspect.Parameter]:
    """What `search` takes, as far as it makes sense far away, and what is asked here besides."""
    known = inspect.signature(search, eval_str=True).parameters
    own = {
        name: inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
        )
        for name, default, annotation in (
            ("address", None, Head),
            ("follow", False, Follow),
            ("as_json", False, Json),
        )
    }
    shared = {name: one for name, one in known.items() if name not in _NOT_THERE}
    return [*({**shared, **own}).values()]


submit = app.command("submit")(declared(_submit, _parameters()))
