"""One search from start to end: begun or resumed, driven, tested and reported."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from raysearch.driver.cluster import joined, ray_of
from raysearch.driver.driver import Clocks, Driver, Outcome
from raysearch.driver.evaluating import evaluated
from raysearch.driver.live_trial import unfinished
from raysearch.driver.own_ray import OwnRay, tell
from raysearch.driver.plan import Request, check_name, defaults_of, plan, programs_of
from raysearch.driver.resources import Machine, fits
from raysearch.errors import BadSetting, UnknownName, WrongState
from raysearch.events.locks import claim
from raysearch.events.log import EventLog, Store
from raysearch.events.schema import ArtifactWritten, Recoded, Resumed
from raysearch.files import make_folder
from raysearch.passwords import hidden
from raysearch.provenance.resumed_code import Changes, chosen, code_of, modules_of
from raysearch.provenance.search_path import added, paths_of, searched
from raysearch.provenance.snapshot import FOLDER, keep
from raysearch.provenance.sources import Sources
from raysearch.results.collecting import uncollected
from raysearch.results.view import SearchView
from raysearch.settings import Settings
from raysearch.study.study import Study
from raysearch.sweeps import by_value
from raysearch.sweeps.catalog import find_sweep
from raysearch.sweeps.nearest import on_offer
from raysearch.sweeps.requirements import refuse_lacks
from raysearch.sweeps.search_spec import CodeState, SearchSpec, to_plain
from raysearch.sweeps.space import Space

Listener = Callable[[SearchView], None]
"""Called in the driver's loop after each event; must be quick."""
Change = Callable[[SearchView, Study], Callable[[], None]]
_LOSSES = 3
"""So many times in a row another Ray is started after one was lost."""


def start(request: Request, settings: Settings, listener: Listener | None = None) -> Outcome:
    """Runs a new search to its end; with a time box the identical request goes on with its search.

    Raises:
        LookupError, ValueError: bad input, in one sentence; nothing was written, no trial started.
        ConnectionError: no cluster answers, or no Ray starts here; the same.
    """
    begun = time.monotonic()

    def go_on(name: str) -> Outcome:
        left = _left(request.time_box, begun)
        return _resume(name, settings, listener, "refuse", time_box=left)

    return _to_its_end(_start(request, settings, listener), go_on)


@contextmanager
def _begun(folder: Path, settings: Settings) -> Generator[OwnRay | None]:
    """The Ray of a new search; if it does not start, name and folder are as free as before."""
    with ExitStack() as stack:
        try:
            own = stack.enter_context(ray_of(settings.address))
        except BaseException:
            with suppress(OSError):
                (folder / "lock").unlink()
                folder.rmdir()
            raise
        yield own


def _to_its_end(outcome: Outcome, go_on: Callable[[str], Outcome]) -> Outcome:
    """Goes on with a search whose own Ray was lost, on another one, as a resume does.

    Not for ever: one that loses its Ray again and again before anything is reported is interrupted.
    """
    losses, reached = 0, -1
    while outcome.lost:
        reports = sum(len(trial.reports) for trial in outcome.view.trials.values())
        losses, reached = (losses + 1 if reports <= reached else 1), reports
        if losses > _LOSSES:
            break
        tell(f"{outcome.reason}: search {outcome.name!r} goes on with another Ray")
        outcome = go_on(outcome.name)
    return outcome


def _left(time_box: float | None, begun: float) -> float | None:
    """What is left of a time box."""
    return None if time_box is None else max(time_box - (time.monotonic() - begun), 1.0)


def _start(request: Request, settings: Settings, listener: Listener | None) -> Outcome:
    begun = time.monotonic()
    with joined(settings.address) as machine:
        planned = plan(request, settings, machine)
        check_tracking(settings)
    store = Store(settings.store)
    if request.name is not None and store.exists(request.name):
        return _reuse(request.name, request, store, settings, listener)
    if (renamed := called_now(request, store)) is not None:
        tell(f"search {request.name!r} is called {renamed!r} now, and goes on")
        return resume(renamed, settings, listener, time_box=request.time_box)
    spec = planned.spec
    if planned.sweep.evaluates is not None:
        found = evaluated(planned.space, request.of, request.top, store, settings)
        spec = replace(spec, evaluates=found)
    stem = planned.sweep.name.rpartition(".")[2]
    check_name(f"{stem}-1" if request.name is None else request.name)
    name = request.name or free_name(stem, store, settings)
    folder = settings.folder(name)
    spec = replace(spec, search=name, folder=str(folder))
    claim(folder)
    with store.lock(name, folder) as lock, _begun(folder, settings) as own:
        by_value.keep(planned.sweep, folder / FOLDER / by_value.FOLDER)
        code = _keep_code(spec, settings, programs=programs_of(planned.space))
        spec = replace(spec, code=code)
        log = store.create(name, spec)
        view = _follow(SearchView.read(store, name), log, listener)
        _say_code(log, view, code)
        study = Study(planned.space, spec, log)
        study.learn()
        clocks = Clocks(begun, request.time_box)
        paths = paths_of(code, folder)
        return Driver(settings, store, lock, log, view, study, clocks, paths, own).run([])


def called_now(request: Request, store: Store) -> str | None:
    """The name of the search that the identical request began, if it was renamed meanwhile.

    Only with a time box: such a command is given again until its search has ended.
    """
    if request.name is None or request.time_box is None:
        return None
    new = store.name_now(request.name)
    began = None if new is None else SearchView.read(store, new).spec.request
    return new if began == request.to_json() else None


def _reuse(
    name: str, request: Request, store: Store, settings: Settings, listener: Listener | None
) -> Outcome:
    """Goes on with the search of an identical request; refuses any other."""
    before, now = SearchView.read(store, name).spec.request, request.to_json()
    if request.time_box is None or before is None:
        raise BadSetting(
            f"--name {name!r} is in use; go on with that search by `raysearch resume {name}`, or "
            f"choose another name"
        )
    other = [
        f"{key} ({before.get(key)} then, {now[key]} now)"
        for key in now
        if before.get(key) != now[key]
    ]
    if other:
        raise BadSetting(
            f"--name {name!r} is in use by a search that began with another {' and '.join(other)}; "
            f"only the identical command goes on with it: choose another name, or go on with it as "
            f"it began by `raysearch resume {name} --time-box …`"
        )
    return resume(name, settings, listener, time_box=request.time_box)


def resume(
    name: str,
    settings: Settings,
    listener: Listener | None = None,
    *,
    accept_changes: bool = False,
    as_it_was: bool = False,
    time_box: float | None = None,
    change: Change | None = None,
    asked: str = "",
) -> Outcome:
    """Goes on with a search that was interrupted, stopped or killed; runs nothing twice.

    `change` may alter what is to be done before it goes on, one that is finished too: it checks
    whether it can, and returns what writes it, which is called when all is there to go on; `asked`
    is the command that asks for it, by default `resume`, for what is said of changes. Where
    the code that it runs changed since, what is here runs with `accept_changes`, and what was kept
    with `as_it_was`.

    Raises:
        UnknownName: no such search, or its data is not there any more. WrongState, BadSetting: it
            is being driven (the holder is named), or its code, space or defaults changed since it
            began and neither is set.
    """
    begun = time.monotonic()
    changes = chosen(accept_changes=accept_changes, as_it_was=as_it_was)
    how: dict[str, Any] = {"change": change, "asked": asked or f"resume {name}"}
    first = _resume(name, settings, listener, changes, time_box=time_box, **how)

    def go_on(name: str) -> Outcome:
        left = _left(time_box, begun)
        return _resume(name, settings, listener, changes, time_box=left)

    return _to_its_end(first, go_on)


def _resume(
    name: str,
    settings: Settings,
    listener: Listener | None,
    changes: Changes,
    *,
    time_box: float | None = None,
    change: Change | None = None,
    asked: str = "",
) -> Outcome:
    begun = time.monotonic()
    store = Store(settings.store)
    require(name, store)
    with store.lock(name, settings.folder(name)) as lock, ExitStack() as stack:
        with uncollected():
            events = list(store.events(name))
            view = SearchView.of(name, events)
            if view.state == "finished" and change is None:
                reason = view.reason or "there was nothing left to do"
                return Outcome(name, view.state, reason, view)
            settings = settings.tracking_of(view.spec)
            stack.enter_context(searched(paths_of(view.spec.code, settings.folder(name))))
            code = code_of(view.spec, settings, changes, stack, asked)
            space = Space(find_sweep(view.spec.sweep, settings.sweeps), view.spec.fixed)
            if changes == "refuse" or code.found is None and not _was_recoded(view):
                refuse_changes(name, view.spec, space, asked)
            if space.sweep.evaluates is None:
                refuse_lacks(space)
            fewer = _fewer(view.spec, settings)
            log, left, spent = store.log(name), view.driven.until, view.seconds()
            study = Study.rebuild(space, view.begun, log, events)
            write = change(view, study) if change is not None else lambda: None
            own = stack.enter_context(ray_of(settings.address))
            write()
            log.flush()
            written = list(store.events(name, view.last))  # what study and change have added
            unfinished_trials = unfinished([*events, *written], view.spec)
            for event in written:
                view.apply(event)
        del events, written  # a long search has a gigabyte of them
        clocks = Clocks(begun, time_box, spent)
        at_once = view.spec.concurrent if fewer is None else fewer
        _follow(view, log, listener)
        command = hidden(" ".join(["raysearch", *sys.argv[1:]]))
        log.append(Resumed(command, left, fewer), commit=True)
        if code.found is not None:
            _say_code(log, view, _keep_code(view.spec, settings, code.found))
        driver = Driver(settings, store, lock, log, view, study, clocks, code.paths, own, at_once)
        return driver.run(unfinished_trials)


def extend(
    name: str,
    settings: Settings,
    listener: Listener | None = None,
    *,
    trials: int | None = None,
    seconds: float | None = None,
    accept_changes: bool = False,
    as_it_was: bool = False,
) -> Outcome:
    """Goes on with a search for so many more trials, or so much more time; nothing is run again.

    Raises:
        LookupError, ValueError: as `resume`; or nothing to extend by, or a grid that is complete.
    """
    if trials is None and seconds is None:
        raise BadSetting("--trials or --time must be given: by how much the search is extended")
    if trials is not None and trials < 1:
        raise BadSetting(f"--trials must be at least 1, got {trials}")

    def change(view: SearchView, study: Study) -> Callable[[], None]:
        spec, total = view.spec, view.spec.trials
        if trials is not None and total is None:
            raise BadSetting(f"--trials cannot extend {name!r}: it runs all its {_points(spec)}")
        if trials is not None and total and spec.points and total >= spec.points * spec.repeats:
            raise BadSetting(f"--trials cannot extend {name!r}: it ran all its {_points(spec)}")
        if seconds is not None and spec.time is None:
            raise BadSetting(f"--time cannot extend {name!r}: it began without a limit of time")
        limit = None if spec.time is None else spec.time + (seconds or 0.0)
        return partial(study.extend, None if total is None else total + (trials or 0), limit)

    permissions = {"accept_changes": accept_changes, "as_it_was": as_it_was}
    more = "" if trials is None else f" --trials {trials}"
    more += "" if seconds is None else f" --time {seconds:g}s"
    return resume(
        name, settings, listener, change=change, asked=f"extend {name}{more}", **permissions
    )


def _points(spec: SearchSpec) -> str:
    return f"{spec.points} points" if spec.points else "points until its time is up"


def retry(
    name: str,
    settings: Settings,
    listener: Listener | None = None,
    *,
    infeasible: bool = False,
    accept_changes: bool = False,
    as_it_was: bool = False,
) -> Outcome:
    """Runs the failed trials of a search again, from their start, as trials of their own.

    Raises:
        LookupError, ValueError: as `resume`; or no trial has failed.
    """
    states = ("failed", "infeasible") if infeasible else ("failed",)

    def change(view: SearchView, study: Study) -> Callable[[], None]:
        failed = [
            trial.number
            for trial in view.trials.values()
            if trial.state in states and trial.retried_by is None and trial.duplicate_of is None
        ]
        if not failed:
            hint = "" if infeasible else " (--infeasible runs those again that were infeasible)"
            raise BadSetting(f"search {name!r} has no failed trial that was not run again{hint}")

        def write() -> None:
            for number in failed:
                study.retry(number)

        return write

    permissions = {"accept_changes": accept_changes, "as_it_was": as_it_was}
    asked = f"retry {name}{' --infeasible' if infeasible else ''}"
    return resume(name, settings, listener, change=change, asked=asked, **permissions)


def _fewer(spec: SearchSpec, settings: Settings) -> int | None:
    """How many trials run at once here, if fewer than the search began with fit."""
    if settings.address is not None:
        return None  # nodes may come and go
    machine = Machine.here()
    at_once, before = fits(spec, machine), spec.concurrent
    if at_once >= before:
        return None
    tell(
        f"search {spec.search!r} goes on with {at_once} trials at once, not {before}, since "
        f"only {machine.cpus} CPUs and {machine.gpus} GPUs are here; each with "
        f"{spec.threads} threads as before"
    )
    return at_once


def require(name: str, store: Store) -> None:
    """Raises LookupError, with the nearest name, if there is no such search."""
    if not store.exists(name):
        raise UnknownName(f"no search is named {name!r}{on_offer(name, store.searches())}")


def refuse_changes(name: str, spec: SearchSpec, space: Space, asked: str = "") -> None:
    """Raises ValueError if the sweep or the defaults are not what the search began with."""
    defaults = defaults_of(next(iter(space.preview(1))).config)
    for what, then, now in (
        ("defaults", spec.defaults, defaults),  # first: they change the space's print too
        ("space", spec.space, space.fingerprint()),
    ):
        if then != now:
            raise WrongState(
                f"the {what} of {spec.sweep} changed since search {name!r} began ({then} then, "
                f"{now} now); undo the change, begin a new search, or go on all the same with "
                f"`raysearch {asked or f'resume {name}'} --accept-changes`"
            )


def check_tracking(settings: Settings) -> None:
    """Refuses a tracking address that can never be written."""
    from raysearch.tracking.consumer import check_tracking as check

    check(settings.tracking_uri)


def free_name(stem: str, store: Store, settings: Settings) -> str:
    """The first of `stem-1`, `stem-2` … that is neither a search nor a folder.

    Its folder is made here: of two searches that begin at once each has its own.
    """
    names = set(store.searches())
    stems = (f"{stem}-{number}" for number in count(1))
    return next(one for one in stems if one not in names and make_folder(settings.folder(one)))


def _was_recoded(view: SearchView) -> bool:
    """Whether it went on with other code than it began with, which was accepted then."""
    return view.begun.code != view.spec.code


def _keep_code(
    spec: SearchSpec,
    settings: Settings,
    found: Sources | None = None,
    programs: Sequence[Path] = (),
) -> CodeState:
    """Keeps the code that is here now in the folder of the search; what events say of it."""
    folder, never, here = settings.folder(spec.search), [settings.runs], Path.cwd()
    known, modules = spec.code, modules_of(spec)
    paths = (tuple(added()) or None) if known is None else known.paths
    kept = keep(folder, here, modules, never, spec.threads, known, found, programs)
    return replace(kept, paths=paths)


def _say_code(log: EventLog, view: SearchView, code: CodeState) -> None:
    """Says that the search goes on with other code; and lets MLflow have it, once."""
    if code != view.spec.code:
        log.append(Recoded(to_plain(code)), commit=True)
    path = f"{FOLDER}/{code.snapshot}"
    if path not in view.artifacts.values():
        name = FOLDER if FOLDER not in view.artifacts else f"{FOLDER}-{code.snapshot[:8]}"
        log.append(ArtifactWritten(name, path), commit=True)


def _follow(view: SearchView, log: EventLog, listener: Listener | None) -> SearchView:
    """Keeps a view up to date with what is written."""

    def on_event(event: Any) -> None:
        view.apply(event)
        if listener is not None:
            listener(view)

    log.listeners.append(on_event)
    if listener is not None:
        listener(view)
    return view
