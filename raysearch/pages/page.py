"""The page of a report: one HTML file that needs no other."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from raysearch.pages import answer, making, tables
from raysearch.pages.chart import Chart, embedded_data, trial_facts
from raysearch.pages.facts import failures
from raysearch.pages.objectives import objectives
from raysearch.pages.picture import Picture
from raysearch.pages.pictures import Pictures, kind_of
from raysearch.pages.words import listed
from raysearch.results.view import SearchView
from raysearch.texts import block, cut, encodable, visible

_HERE = Path(__file__).parent
_SCRIPTS = ("charts.js", "parallel.js", "page.js")
_OPTION = re.compile(r"(?<!\S)--?[A-Za-z][\w-]{,30}(?![\w-])")
_NAME = 300
"""Letters of a name in the head of a column or a row."""


def render(view: SearchView, folder: Path, pictures: Pictures) -> str:
    """The HTML of the page; whatever people wrote is escaped, pictures are in it."""
    goals = objectives(view)
    data = embedded_data(
        pictures.charts, trial_facts(view), [goal.name for goal in goals], view.varying()
    )
    return rendered(
        "page.html",
        data=data,
        view=view,
        spec=view.spec,
        goals=goals,
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


def rendered(template: str, **content: Any) -> str:
    """The HTML of a page with the one style and the one script of all pages in it."""
    script = Markup("\n".join(_read(name) for name in _SCRIPTS))
    style = Markup(_read("page.css"))
    page = environment().get_template(template)
    return encodable(page.render(style=style, script=script, policy=_policy(script), **content))


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _policy(script: str) -> str:
    """What a browser may run and load: this one script, and the pictures that are in the page.

    What people wrote is escaped; should that ever fail, it is still no program.
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        f"img-src data:; base-uri 'none'; form-action 'none'"
    )


def environment() -> Environment:
    """Templates of pages: all that is put into them is escaped, and turns no letters round."""
    found = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_harmless,
    )
    found.filters["embedded"] = embedded
    found.filters["breakable"] = breakable
    found.filters["listed"] = listed
    found.filters["command"] = command
    found.filters["elided"] = elided
    found.tests["picture"] = lambda value: isinstance(value, Picture)
    found.tests["chart"] = lambda value: isinstance(value, Chart)
    return found


def _harmless(value: Any) -> Any:
    """What is written on the page: nothing that turns letters round, or that is none."""
    return block(value) if type(value) is str else value


def embedded(picture: Picture) -> Markup:
    """A picture as an address that holds all of it."""
    data = base64.b64encode(picture.path.read_bytes()).decode()
    return Markup(f"data:{kind_of(picture.path)};base64,{data}")


def breakable(name: str) -> Markup:
    """A dotted name that may be broken behind its dots and strokes."""
    return _broken(cut(visible(name), _NAME))


def elided(name: str, most: int = 44) -> Markup:
    """The same of at most so many letters; of a longer one all of it is shown by the pointer."""
    whole = cut(visible(name), _NAME)
    if len(whole) <= most:
        return _broken(whole)
    return Markup('<span title="{}">{}</span>').format(whole, _broken(cut(whole, most)))


def command(text: str) -> Markup:
    """A command, in which no line ends within the name of an option."""
    said = str(escape(block(text)))
    return Markup(_OPTION.sub(r'<span class="option">\g<0></span>', said))


def _broken(text: str) -> Markup:
    found = str(escape(text))
    for mark in (".", "/", "_", "]"):
        found = found.replace(mark, f"{mark}<wbr>")
    return Markup(found)
