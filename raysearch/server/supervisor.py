"""The supervisor of submitted searches: begins drivers, and begins those anew that died."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from raysearch.driver.plan import make_request
from raysearch.errors import UnknownName
from raysearch.events.log import Store, now
from raysearch.events.schema import CheckpointSaved, Reported, Told
from raysearch.passwords import hidden
from raysearch.results.view import SearchView
from raysearch.server.jobs import Jobs
from raysearch.server.state import ServiceState
from raysearch.server.submissions import Submission, Submissions, code_folder, is_name, reserve
from raysearch.settings import Settings
from raysearch.verbs import state_of

_LONGEST = 300.0
_GETS_ON = (Reported, CheckpointSaved, Told)
"""The kinds of events that show that a driver does something."""


@dataclass(frozen=True)
class Driven:
    """What is to be said of a search that was submitted, beside what its events say.

    `state` is `submitted` or `failed` for one that is no search yet, otherwise empty.
    """

    state: str
    reason: str
    lines: tuple[str, ...] = ()


class Supervisor:
    """The submissions of a service; one process has one, whose methods any thread may call.

    A driver that died is begun again after `pause` seconds, twice as many each time (5 minutes at
    most), and given up after `most` times without a new report. What `service.json` says is read
    each time: the service, and Ray, may have been started again.
    """

    def __init__(self, state: Path, *, pause: float = 5.0, most: int = 20) -> None:
        self.state, self.known = state, Submissions(state)
        self._pause, self._most = pause, most
        self._lock = threading.RLock()
        self._stores: dict[str, Store] = {}

    def service(self) -> ServiceState:
        """The service as it runs now. Raises LookupError while there is none."""
        return ServiceState.read(self.state)

    def settings(self) -> Settings:
        """Where the service has its searches."""
        service = self.service()
        return Settings.locate(service.runs, service.store, service.tracking_uri)

    def store(self) -> Store:
        """The events of its searches."""
        url = self.service().store
        with self._lock:
            if url not in self._stores:
                self._stores[url] = Store(url)
            return self._stores[url]

    def submit(self, asked: Mapping[str, Any]) -> str:
        """Begins the search of a request; returns its name at once.

        Raises:
            ValueError, LookupError: the request is wrong. ConnectionError: Ray does not answer.
        """
        for name in {"space", "overrides"} & asked["options"].keys():
            raise UnknownName(f"a search has no option {name!r}: it stands beside the options")
        request = make_request(asked["space"], asked["overrides"], **asked["options"])
        settings, code = self.settings(), str(asked["code"])
        folder = code_folder(settings.runs, code)
        if not folder.is_dir():
            raise UnknownName(f"code {code!r} is not on the head: send the package first")
        command = hidden(str(asked.get("command", "raysearch submit")))
        with self._lock:
            name = reserve(request.name, str(asked["stem"]), settings, self.known)
            before = self.known.read(name)
            jobs = [] if before is None else before.jobs
            try:
                new = Submission(name, code, request.to_json(), command, jobs=jobs)
                self._begin(self.known.write(new))
            except BaseException:  # whatever it is, the name is free again
                self.known.remove(name)
                with suppress(OSError):
                    settings.folder(name).rmdir()
                raise
        return name

    def tend(self) -> None:
        """Looks after every submission once; what goes wrong with one is raised at the end."""
        wrong: list[Exception] = []
        for submission in self.known:
            if submission.over:
                continue
            try:
                with self._lock:
                    current = self._known(submission.name)
                    if current is not None:
                        self._tend(current)
            except Exception as error:
                wrong.append(error)
        if wrong:
            raise wrong[0]

    def waiting(self) -> list[Submission]:
        """The submissions that are no search yet, or never became one; oldest first."""
        begun = set(self.store().searches())
        with self._lock:
            found = [self._known(one.name) for one in self.known if one.name not in begun]
        return [one for one in found if one is not None and one.name not in begun]

    def driven(self, name: str) -> Driven | None:
        """What is to be said of a search that was submitted; None for any other."""
        with self._lock:
            submission = self._known(name)
            if submission is None or submission.name != name:
                return None
            submission = self._tend(submission)
        lines = tuple(submission.lines)
        if not self.store().exists(name):
            if submission.over:
                return Driven("failed", submission.over, lines)
            return Driven("submitted", "its driver is being started")
        if submission.lines:
            return Driven("", f"its driver is not started again: {submission.over}", lines)
        if submission.restarts and not submission.over:
            return Driven("", f"its driver died and was started again ({submission.restarts})")
        return Driven("", "")

    def code_of(self, arguments: Sequence[str]) -> Path | None:
        """The code that a verb about a search needs: that which was submitted with it."""
        verb, *names = arguments
        for name in names if verb == "check" else ():
            if is_name(name) and (found := self.known.read(name)) is not None:
                return code_folder(Path(self.service().runs), found.code)
        return None

    def let_be(self, name: str) -> str | None:
        """Gives up a submission that nobody drives now, in one sentence; None if somebody does."""
        with self._lock:
            submission, store = self._known(name), self.store()
            if submission is None or submission.over or submission.name != name:
                return None
            if store.exists(name):
                view = SearchView.read(store, name)
                if state_of(view, self.settings()) == "running":
                    return None
            jobs = self._jobs()
            if submission.jobs and jobs.state(submission.jobs[-1]).kind == "alive":
                jobs.stop(submission.jobs[-1])
            self.known.write(replace(submission, over="stopped by request"))
        return f"{name} is not driven now, and its driver is not started again"

    def _jobs(self) -> Jobs:
        return Jobs(self.service().dashboard, self.state)

    def _begin(self, submission: Submission) -> Submission:
        code = code_folder(Path(self.service().runs), submission.code)
        job = self._jobs().begin(submission.name, submission.jobs, code)
        return self.known.write(replace(submission, jobs=[*submission.jobs, job]))

    def _known(self, name: str) -> Submission | None:
        """A submission, by the name that its search has now; one that was deleted is forgotten."""
        found = self.known.read(name)
        if found is None:
            return None
        found = self.known.under_its_name(found, self.settings())
        if self.settings().folder(found.name).exists() or self.store().exists(found.name):
            return found
        self.known.remove(found.name)
        return None

    def _tend(self, submission: Submission) -> Submission:
        """Looks after a submission: all is well, or it is over, or its driver is begun again."""
        name = submission.name
        if submission.over:
            return submission
        jobs, store = self._jobs(), self.store()
        job = jobs.state(submission.jobs[-1] if submission.jobs else f"raysearch-{name}")
        if job.kind == "alive":
            return submission
        if not store.exists(name):
            if job.kind in ("killed", "unknown"):
                return self._rerun(submission, jobs, store)
            why = f"its driver ended before the search began, with exit status {job.exit}"
            return self._over(submission, "stopped" if job.kind == "stopped" else why, jobs)
        state = state_of(SearchView.read(store, name), self.settings())
        if state == "killed" or (state == "interrupted" and job.kind != "stopped"):
            return self._rerun(submission, jobs, store)
        return submission if state == "running" else self._over(submission, state)

    def _rerun(self, submission: Submission, jobs: Jobs, store: Store) -> Submission:
        name, moment = submission.name, now()
        new = store.events(name, submission.seen, kinds=_GETS_ON)
        restarts = 0 if next(new, None) is not None else submission.restarts
        if restarts >= self._most:
            why = f"it died {restarts} times without a new report"
            return self._over(submission, why, jobs)
        if restarts and moment < submission.not_before:
            return submission
        wait = min(self._pause * 2**restarts, _LONGEST)
        last = max((event.seq for event in store.events(name, submission.seen)), default=0)
        begun = replace(
            submission,
            restarts=restarts + 1,
            seen=max(last, submission.seen),
            not_before=moment + int(wait * 1000),
        )
        return self._begin(begun)

    def _over(self, submission: Submission, why: str, jobs: Jobs | None = None) -> Submission:
        """It is driven no more; with `jobs` that is a failure, and its last words are kept."""
        lines = jobs.lines(submission.jobs[-1]) if jobs and submission.jobs else []
        return self.known.write(replace(submission, over=why, lines=lines))
