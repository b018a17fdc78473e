"""Reads of the gateway, answered from the events: searches, trials, reports; a page of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Path, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import AfterValidator

from raysearch import verbs
from raysearch.errors import BadSetting, UnknownName
from raysearch.results.answer import summary
from raysearch.results.layout import records
from raysearch.results.opening import view_of
from raysearch.results.selection import Chosen, chosen_rows, group_columns, grouped
from raysearch.results.tables import trial_columns
from raysearch.results.view import SearchView
from raysearch.server.requests import Name, plain
from raysearch.server.supervisor import Supervisor
from raysearch.sweeps.nearest import on_offer

Record = dict[str, Any]


def _query(words: str, most: int = 400) -> Any:
    return Query(max_length=most, description=words)


Plain = AfterValidator(plain)
Group = Annotated[str | None, _query("Only searches of this group."), Plain]
Tags = Annotated[
    list[Annotated[str, Plain]] | None,
    Query(max_length=50, description="Only searches with these tags: name=value, or name."),
]
Words = Annotated[str | None, _query("Only with this in name, question or notes."), Plain]
Where = Annotated[
    str | None, _query("A condition: optimizer.kind == 'adamw' and lr < 0.01.", 2000), Plain
]
Sort = Annotated[str | None, _query("Columns, apart by commas; a minus for falling."), Plain]
GroupBy = Annotated[str | None, _query("A column: a row for each of its values."), Plain]
Number = Annotated[int, Path(ge=0, lt=1 << 31, description="The number of a trial.")]


def _known_once(request: Request) -> None:
    """Refuses a parameter that is not known, or is given twice where one would not be heard."""
    names = [name for name, _ in request.query_params.multi_items()]
    known = [field.alias for field in request.scope["route"].dependant.query_params]
    if unknown := [name for name in names if name not in known]:
        raise BadSetting(
            f"{unknown[0][:80]!r} is no parameter of this address{on_offer(unknown[0], known)}"
        )
    if twice := [name for name in names if name != "tag" and names.count(name) > 1]:
        raise BadSetting(f"{twice[0][:80]} must be given once, got {names.count(twice[0])} of them")


def add_reads(app: FastAPI, supervisor: Supervisor) -> None:
    """Adds the places that are read; each answer is strict JSON, as of `--json`."""

    @app.get("/searches", dependencies=[Depends(_known_once)])
    def searches(group: Group = None, tag: Tags = None, text: Words = None) -> list[Record]:
        """The searches, oldest first: state, counts of trials, best."""
        chosen = verbs.Filter.read(group, tag or [], text)
        return verbs.listed(supervisor.settings(), chosen)

    @app.get("/searches/{name}", dependencies=[Depends(_known_once)])
    def search(name: Name) -> Record:
        """How far a search is: its state, counts, the best configuration, seconds."""
        settings, driven = supervisor.settings(), supervisor.driven(name)
        if driven is not None and driven.state:
            return {"name": name, "state": driven.state, "reason": driven.reason}
        view = view_of(name, settings)[1]
        state = verbs.state_of(view, settings)
        return strict({"name": name, "state": state, "reason": view.reason, **summary(view)})

    @app.get("/searches/{name}/trials", dependencies=[Depends(_known_once)])
    def trials(
        name: Name, where: Where = None, sort: Sort = None, group_by: GroupBy = None
    ) -> list[Record]:
        """All trials, best first, with the parameters that vary; or those that are chosen."""
        view = view_of(name, supervisor.settings())[1]
        chosen = Chosen(where, sort, group_by)
        if group_by is not None:
            return strict(records(group_columns(view, group_by), grouped(view, chosen)))
        found = chosen_rows(view, chosen)
        return strict(records(trial_columns(view), found))

    @app.get("/searches/{name}/trials/{trial}/reports", dependencies=[Depends(_known_once)])
    def reports(name: Name, trial: Number) -> list[Record]:
        """What a trial reported: step, fidelity, values of the objectives, metrics, costs."""
        return strict(reports_of(view_of(name, supervisor.settings())[1], trial))

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(page_of(app.openapi()))


def reports_of(view: SearchView, number: int) -> list[Record]:
    """A record for each report of a trial. Raises UnknownName: there is no such trial."""
    trial = view.trials.get(number)
    if trial is None:
        raise UnknownName(
            f"search {view.search!r} has no trial {number}; it has {len(view.trials)}"
        )
    return [
        {
            "step": step,
            "fidelity": fidelity,
            "values": values,
            "metrics": metrics,
            "costs": trial.costs.get(step, {}),
        }
        for step, fidelity, values, metrics in trial.reports
    ]


def strict(value: Any) -> Any:
    """The same as strict JSON: what is not finite becomes None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): strict(inner) for name, inner in value.items()}
    return [strict(inner) for inner in value] if isinstance(value, list | tuple) else value


def page_of(schema: Mapping[str, Any]) -> str:
    """A page of all places with what they take, made from the OpenAPI description alone."""
    rows: list[str] = []
    for path, methods in schema["paths"].items():
        for method, about in methods.items():
            taken = [
                f"<li><code>{escape(one['name'])}</code> {escape(one.get('description', ''))}</li>"
                for one in about.get("parameters", [])
            ]
            purpose = escape(about.get("description") or about.get("summary", ""))
            rows.append(
                f"<h2><code>{escape(method.upper())} {escape(path)}</code></h2><p>{purpose}</p>"
                f"<ul>{''.join(taken)}</ul>"
            )
    title = escape(f"{schema['info']['title']} {schema['info']['version']}")
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>"
        f"<style>body{{font:16px/1.5 sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}}"
        f"h2{{font-size:1rem;margin:2rem 0 0}}:root{{color-scheme:light dark}}</style>"
        f"<h1>{title}</h1><p>Each request needs the token of the head, as <code>Authorization: "
        f"Bearer …</code>. The same for programs: <a href=/openapi.json>openapi.json</a>.</p>"
        f"{''.join(rows)}</html>"
    )
