"""Verbs on searches that exist: filter, note, tag, compare, report, export, delete."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raysearch.errors import BadSetting, UnknownName, WrongState
from raysearch.events.log import SearchIsRunning, Store
from raysearch.events.schema import ArtifactWritten, Fact, Noted, Tagged
from raysearch.passwords import hidden
from raysearch.provenance.search_folder import is_moved, remove
from raysearch.results.layout import records
from raysearch.results.opening import store_of, view_of
from raysearch.results.search_table import COLUMNS, SearchRow
from raysearch.results.view import SearchView
from raysearch.settings import Settings
from raysearch.sweeps.nearest import on_offer

_PATIENCE = 10.0
"""Seconds that a driver has to follow a request."""


@dataclass(frozen=True)
class Filter:
    """Which searches are meant: those of a group, with all of these tags, with a text.

    A tag whose value is None may have any value; `text` is looked for in name, question and notes.
    """

    group: str | None = None
    tags: Mapping[str, str | None] = field(default_factory=dict[str, str | None])
    text: str | None = None

    @classmethod
    def read(cls, group: str | None, tags: Iterable[str], text: str | None) -> Filter:
        """Tags as `name=value` or `name`."""
        pairs = [tag.partition("=") for tag in tags]
        return cls(group, {name: value if equals else None for name, equals, value in pairs}, text)

    def fits(self, view: SearchView) -> bool:
        """Whether this search is meant."""
        spec = view.spec
        if self.group is not None and spec.group != self.group:
            return False
        for name, value in self.tags.items():
            if name not in spec.tags or value not in (None, spec.tags[name]):
                return False
        words = f"{view.search}\n{spec.question}\n{spec.notes}".lower()
        return self.text is None or self.text.lower() in words


def salvaged_of(name: str, settings: Settings) -> tuple[Store, SearchView]:
    """The same, of a damaged search what can be read of it: enough to delete it."""
    from raysearch.results.salvage import salvaged

    try:
        return view_of(name, settings)
    except WrongState:
        store = store_of(settings)
        return store, salvaged(store, name)


def searches(settings: Settings, chosen: Filter | None = None) -> Iterator[SearchView]:
    """All searches that are meant, oldest first; none where there is no store yet.

    One whose events cannot be read is `damaged`, or `newer` if a newer raysearch wrote it; its
    notes say how. The others are as they are.
    """
    try:
        store = store_of(settings)
    except UnknownName:
        return
    for name in store.searches():
        try:
            view = SearchView.read(store, name)
        except WrongState as error:
            view = SearchView.unreadable(name, error)
        if view.created is not None and (chosen is None or chosen.fits(view)):
            yield view


def state_of(view: SearchView, settings: Settings) -> str:
    """The state of a search; one that says it runs although nobody drives it was `killed`."""
    if view.state != "running":
        return view.state
    holder = store_of(settings).lock(view.search, settings.folder(view.search)).holder()
    return "killed" if holder is None else view.state


def search_rows(settings: Settings, chosen: Filter | None = None) -> list[SearchRow]:
    """The searches that are meant as rows of a table, oldest first."""
    return [SearchRow.of(view, state_of(view, settings)) for view in searches(settings, chosen)]


def listed(settings: Settings, chosen: Filter | None = None) -> list[dict[str, Any]]:
    """The searches that are meant, a record for each: `raysearch.results.search_table.COLUMNS`."""
    return records(COLUMNS, search_rows(settings, chosen))


def parse_tags(put: Iterable[str], remove: Iterable[str]) -> dict[str, Any]:
    """`name=value` arguments as tags, and names to be taken off as None.

    Raises:
        ValueError: an argument without `=` or without a name, or a name set and removed at once.
    """
    tags: dict[str, Any] = {}
    for argument in put:
        name, equals, value = argument.partition("=")
        if not equals or not name:
            raise BadSetting(f"a tag must have the form name=value, got {argument!r}")
        tags[name] = value
    for name in remove:
        if name in tags:
            raise BadSetting(f"tag {name!r} must be set or removed, not both")
        tags[name] = None
    return tags


def note(names: Sequence[str], text: str, settings: Settings) -> dict[str, str]:
    """Replaces the notes of searches; see `say`.

    Raises:
        ValueError: the text has no words.
    """
    if not text.strip():
        raise BadSetting(f"a note must have at least one letter, got {text!r}")
    return say(names, Noted(text), settings)


def named(names: Sequence[str], group: str | None, settings: Settings) -> list[str]:
    """The searches that are meant: these, or all of a group.

    Raises:
        BadSetting: both are given, or neither. UnknownName: no search is of that group.
    """
    if bool(names) == (group is not None):
        raise BadSetting("either names of searches or --of-group must be given")
    if group is None:
        return list(names)
    there = {view.search: view.spec.group for view in searches(settings)}
    found = [name for name, its in there.items() if its == group]
    if not found:
        known = {str(its) for its in there.values() if its}
        raise UnknownName(f"no search is of group {group!r}{on_offer(group, known)}")
    return found


def tag(
    names: Sequence[str], tags: Mapping[str, str | None], group: str | None, settings: Settings
) -> dict[str, str]:
    """Sets tags of searches (None: removes) and their group; see `say`.

    Raises:
        ValueError: nothing to set, or a tag to remove that a search does not have.
    """
    if not tags and group is None:
        raise BadSetting("--set, --remove or --group must be given")
    for name in names:
        _, view = view_of(name, settings)
        for key, value in tags.items():
            if value is None and key not in view.spec.tags:
                raise UnknownName(
                    f"search {name!r} has no tag {key!r}{on_offer(key, view.spec.tags)}"
                )
    return say(names, Tagged(dict(tags), group), settings)


def say(names: Sequence[str], fact: Fact, settings: Settings) -> dict[str, str]:
    """Writes an event about searches, or lets the driver of a running one write it.

    Returns, by search, why MLflow does not have it yet: empty if it does, or will by its driver.

    Raises:
        LookupError: there is no such search; none of them is changed.
    """
    for name in names:
        view_of(name, settings)
    return {name: _say(name, fact, settings) for name in dict.fromkeys(names)}


def _say(name: str, fact: Fact, settings: Settings) -> str:
    store, view = view_of(name, settings)
    is_asked, deadline = False, time.monotonic() + _PATIENCE
    while True:
        try:
            with store.lock(name, settings.folder(name)):
                if not (is_asked and _is_said(store, view, fact)):
                    store.log(name).append(fact, commit=True)
            break
        except SearchIsRunning:
            if not is_asked:
                is_asked = True
                store.request(name, {"action": fact.kind, **fact.plain()})
            if _is_said(store, view, fact):
                return ""
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
    return _synced(store, name, settings)


def _is_said(store: Store, view: SearchView, fact: Fact) -> bool:
    later = store.events(view.search, view.last, kinds=[type(fact)])
    return any(event.body == fact for event in later)


def _synced(store: Store, name: str, settings: Settings) -> str:
    """Lets MLflow have it now; why that could not be, or nothing."""
    from raysearch.tracking.consumer import sync

    view = SearchView.read(store, name)
    settings = settings.tracking_of(view.spec)
    if settings.tracking_uri == "none":
        return ""  # it is in no MLflow, and will not be
    try:
        sync(store, name, settings.tracking_uri, settings.folder(name))
    except SearchIsRunning:
        return ""  # somebody goes on with it just now, and writes it
    except ConnectionError as error:
        return str(error)
    return ""


def sync(
    name: str,
    settings: Settings,
    aside: dict[str, list[str]] | None = None,
    track: str | None = None,
) -> int:
    """Writes the backlog of a search to its trackers, or to those in `track`, such as
    `mlflow,tensorboard`; returns the number of events.

    What a tracker would not take is added to `aside`, by what it is called, a sentence each.

    Raises:
        LookupError, ValueError: `track` names none. ConnectionError: one cannot be reached; the
            others have it.
    """
    from raysearch.tracking.consumer import sync as write
    from raysearch.tracking.registry import read_track

    store, view = view_of(name, settings)
    if track is not None:
        read_track(track)
    settings = settings.tracking_of(view.spec)
    return write(store, name, settings.tracking_uri, settings.folder(name), aside, track)


def request_stop(store: Store, view: SearchView, trial: int | None, settings: Settings) -> None:
    """Leaves a request for the driver to end a search or one trial.

    Raises:
        ValueError: nobody drives the search, or the trial has ended. LookupError: no such trial.
    """
    if store.lock(view.search, settings.folder(view.search)).holder() is None:
        raise BadSetting(f"search {view.search!r} is not running ({view.state}): nothing to stop")
    if trial is not None and trial not in view.trials:
        raise UnknownName(f"search {view.search!r} has no trial {trial}")
    if trial is not None and view.trials[trial].ended is not None:
        raise BadSetting(f"trial {trial} of {view.search!r} has ended: {view.trials[trial].state}")
    store.request(view.search, {"action": "stop", "trial": trial})


def rename(name: str, new: str, settings: Settings) -> str:
    """Gives a search another name: in the store, its folder, MLflow.

    Returns why MLflow does not have it yet: empty if it does. Its experiment in MLflow is that of
    the sweep, and keeps its name. What `rename` broke off in between it completes.

    Raises:
        BadSetting: the new name is none, or in use; another search evaluates trials of this one,
            which are found by its name. UnknownName: no such search. SearchIsRunning: it is being
            driven. WrongState: it began with a version that did not write down its name.
    """
    from raysearch.driver.plan import check_name

    check_name(new, "the new name")
    if new == name:
        raise BadSetting(f"search {name!r} is called that already; choose another name")
    store, view = view_of(name, settings)
    before, after = settings.folder(name), settings.folder(new)
    is_half_done = after.exists() and not before.exists()  # killed between folder and store
    if store.exists(new) or (after.exists() and not is_half_done):
        raise BadSetting(f"{new!r} is the name of a search or a folder already; choose another")
    if not view.begun.search:
        raise WrongState(
            f"search {name!r} cannot be renamed: an earlier version began it, and its runs in "
            f"MLflow are known by its name alone"
        )
    for each in searches(settings):
        if each.spec.evaluates is not None and each.spec.evaluates.search == name:
            raise BadSetting(
                f"search {name!r} cannot be renamed: {each.search!r} evaluates its trials, whose "
                f"checkpoints it knows by that name"
            )
    with store.lock(name, after if is_half_done else before):
        _move(store, view, before, after)
    return _synced(store, new, settings)


def _move(store: Store, view: SearchView, before: Path, after: Path) -> None:
    """Renames folder and search; a search that was copied before stays one that was."""
    is_there, begun = before.exists(), Path(view.spec.folder)
    was_moved = is_moved(view, before) if is_there else begun != before
    if is_there:
        before.rename(after)
    try:
        store.rename(view.search, after.name, begun if was_moved else after)
    except BaseException:
        if is_there:
            after.rename(before)
        raise


def compared(names: Sequence[str], settings: Settings) -> list[dict[str, Any]]:
    """A row for each search. Raises ValueError if they have different objectives."""
    from raysearch.results.compare import compare

    views = [view_of(name, settings)[1] for name in dict.fromkeys(names)]
    rows = compare(views)
    return [
        {**row, "state": state_of(view, settings)} for row, view in zip(rows, views, strict=True)
    ]


def comparison(names: Sequence[str], settings: Settings) -> Path:
    """Writes searches onto one page in the folder of runs; returns the page.

    Raises:
        ValueError: they have different objectives. LookupError: no such search.
    """
    from raysearch.pages.comparing import write_comparison

    views = [view_of(name, settings)[1] for name in dict.fromkeys(names)]
    return write_comparison(views, settings.runs)


def report(name: str, settings: Settings, by: str | None = None) -> tuple[Path, str]:
    """Writes the report of a search; the page, and why MLflow does not have it (empty if it does).

    It is an artifact of the search, unless the search is running: then it is only a file. The
    objectives are also drawn `by` one setting, or by two, as `a,b`.
    """
    from raysearch.pages.writing import write_report
    from raysearch.results.factors import read_factors

    factors = () if by is None else read_factors(by)
    store, view = view_of(name, settings)
    folder = settings.folder(name)
    page = write_report(view, folder, factors)
    try:
        with store.lock(name, folder):
            place = str(page.parent.relative_to(folder))
            store.log(name).append(ArtifactWritten("report", place), commit=True)
    except SearchIsRunning:
        return page, "the search is running"
    is_nowhere = settings.tracking_of(view.spec).tracking_uri == "none"
    return page, "" if is_nowhere else _synced(store, name, settings)


def export(name: str, url: str, study: str | None, settings: Settings) -> int:
    """Writes a search as an Optuna study; returns the number of its trials."""
    from raysearch.study.export import export_study

    return export_study(view_of(name, settings)[1], url, study or name)


def delete(name: str, settings: Settings) -> list[Path]:
    """Deletes a search: its MLflow runs, its events, what is its own of its folder.

    One whose events are damaged too, as far as they can be read. MLflow first: if it cannot be
    reached nothing is deleted. Returns what is left in the folder because it is none of the
    search's.

    Raises:
        BadSetting: it was copied or moved, and its runs may be those of another copy.
        LookupError: no such search. SearchIsRunning: it is being driven. ConnectionError: MLflow
            cannot be reached. ValueError: its name leads out of the folder of searches. WrongState:
            its first event cannot be read, by which its runs are known.
    """
    from raysearch.tracking.consumer import delete as delete_runs

    store, view = salvaged_of(name, settings)
    folder, is_given = settings.folder(name), settings.tracking_given
    if folder.parent != settings.runs or folder.name in ("", ".."):
        raise BadSetting(f"search {name!r} has no folder of its own in {settings.runs}")
    settings = settings.tracking_of(view.spec)
    if not view.is_begun and settings.tracking_uri != "none":
        raise WrongState(
            f"search {name!r} is damaged: its first event cannot be read, so nobody can say which "
            f"runs in MLflow are its own; leave them there by --tracking-uri none"
        )
    if not is_given and view.spec.tracking_uri not in (None, "none") and is_moved(view, folder):
        uri = hidden(settings.tracking_uri)
        raise BadSetting(
            f"search {name!r} began in {view.begun.folder} and lies in {folder} now: its runs "
            f"at {uri} may be those of another copy; leave them there by --tracking-uri none, or "
            f"delete them too by --tracking-uri {uri}"
        )
    with store.lock(name, folder):
        delete_runs(view, settings.tracking_uri, folder)
        store.delete(name)
        return remove(view, folder)
