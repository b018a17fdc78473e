"""The page of a report: one HTML file that needs no other."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from raysearch.pages import answer, making, tables
from raysearch.pages.canvas import Picture
from raysearch.pages.facts import failures
from raysearch.pages.objectives import objectives
from raysearch.pages.pictures import Pictures, kind_of
from raysearch.pages.words import listed
from raysearch.results.view import SearchView
from raysearch.texts import block, cut, encodable, visible

_HERE = Path(__file__).parent
_NAME = 300
"""Letters of a name in the head of a column or a row."""


def render(view: SearchView, folder: Path, pictures: Pictures) -> str:
    """The HTML of the page; whatever people wrote is escaped, pictures are in it."""
    page = _environment().get_template("page.html")
    script = Markup((_HERE / "page.js").read_text(encoding="utf-8"))
    html = page.render(
        view=view,
        spec=view.spec,
        goals=objectives(view),
        style=Markup((_HERE / "page.css").read_text(encoding="utf-8")),
        script=script,
        policy=_policy(script),
        notice=answer.notice(view),
        answer=answer.answer(view),
        tiles=answer.tiles(view),
        bars=answer.bars(view),
        saved=answer.saved_sentence(view),
        winner=making.shown_winner(view, folder),
        tests=tables.test_table(view),
        references=tables.reference_table(view),
        ranking=tables.ranking_table(view),
        trials=tables.trials_table(view),
        failures=failures(view, folder),
        made=making.made(view, folder),
        pictures=pictures,
    )
    return encodable(html)


def _policy(script: str) -> str:
    """What a browser may run and load: this one script, and the pictures that are in the page.

    What people wrote is escaped; should that ever fail, it is still no program.
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        f"img-src data:; base-uri 'none'; form-action 'none'"
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_harmless,
    )
    environment.filters["embedded"] = embedded
    environment.filters["breakable"] = breakable
    environment.filters["listed"] = listed
    environment.tests["picture"] = lambda value: isinstance(value, Picture)
    return environment


def _harmless(value: Any) -> Any:
    """What is written on the page: nothing that turns letters round, or that is none."""
    return block(value) if type(value) is str else value


def embedded(picture: Picture) -> Markup:
    """A picture as an address that holds all of it."""
    data = base64.b64encode(picture.path.read_bytes()).decode()
    return Markup(f"data:{kind_of(picture.path)};base64,{data}")


def breakable(name: str) -> Markup:
    """A dotted name that may be broken behind its dots and strokes."""
    text = str(escape(cut(visible(name), _NAME)))
    for mark in (".", "/", "_", "]"):
        text = text.replace(mark, f"{mark}<wbr>")
    return Markup(text)
