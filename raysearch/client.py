"""The same verbs from Python: for a notebook or a script, with pandas tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raysearch import verbs
from raysearch.errors import BadSetting, UnknownName
from raysearch.notebook.live import watching
from raysearch.notebook.shown import Page, Searched
from raysearch.notifications import channels
from raysearch.results import opening
from raysearch.results.failure_reasons import refuse_nothing
from raysearch.results.layout import records
from raysearch.results.tables import columns_of, trial_columns, trial_rows
from raysearch.results.view import SearchView, TrialView
from raysearch.settings import EXPERIMENTS, Settings
from raysearch.sweeps import by_value
from raysearch.sweeps.sweep import Sweep
from raysearch.texts import article
from raysearch.verbs import Filter

if TYPE_CHECKING:
    import pandas as pd

    from raysearch.driver.driver import Outcome
    from raysearch.driver.search import Listener
    from raysearch.provenance.reproduce import Reproduction
    from raysearch.server.remote import Remote
    from raysearch.tracking.findings import Finding


class Client:
    """Searches in a folder of runs: begun, watched and compared from Python.

    Every method does what the command of its name does, and raises what that would say, each with
    one sentence and of the same kind here and at a service: `raysearch.errors`. Tables are pandas
    data frames.

    Args:
        runs: the folder in which everything lies; None: `runs`, or what the environment or
            `raysearch.toml` say, as of the next two.
        store: the database of events; None: in `runs`.
        tracking_uri: MLflow; None: in `runs`.
        show: whether a search that runs prints its progress.
        address: a service, as http://head:8267, in place of the first three: what its searches are
            is asked there (`submit`, `list`, `status`, `results`, `best`, `curves`, `trial`,
            `view`, `check`, `report`, `stop`); reports are written into `runs` here.
        notify: whom searches that run tell of their first result, their first failure and their
            end: addresses of apprise, or `@file` with one a line.
        notify_command: a command that is run then, with JSON as its input.
    """

    def __init__(
        self,
        runs: str | Path | None = None,
        store: str | None = None,
        tracking_uri: str | None = None,
        *,
        show: bool = True,
        address: str | None = None,
        notify: str | Sequence[str] | None = None,
        notify_command: str | None = None,
    ) -> None:
        self.settings, self.show = Settings.locate(runs, store, tracking_uri), show
        if notify or notify_command:
            several = [notify] if isinstance(notify, str) else notify
            self.settings = replace(self.settings, notify=channels(several, notify_command))
        self._there = None if address is None else _service(address)

    # Declared

    def spaces(self) -> pd.DataFrame:
        """The declared sweeps: points, sampler, pruner, metrics, question."""
        from raysearch.cli.spaces import declared

        return _frame(declared(), "name")

    def plan(
        self, space: str | Sweep, overrides: Mapping[str, object] | None = None, **options: Any
    ) -> dict[str, Any]:
        """What a search would run, as its specification, without a trial."""
        from raysearch.driver.plan import Machine, make_request, plan

        with _named(space) as name:
            request = make_request(name, overrides or {}, **options)
            return plan(request, self.settings, Machine.here()).spec.to_body()

    def import_sweep(
        self,
        file: str | Path | None = None,
        overrides: Mapping[str, object] | None = None,
        *,
        hydra: str | None = None,
        **options: Any,
    ) -> str:
        """Writes a W&B sweep, or a Hydra command line, as a sweep of ours; returns its name.

        `options` are `experiment`, `mapped` (paths by the other tool's names), `metric` (a
        `Metric`), `config_dir` and `out` (`raysearch.imports.sweeps.Wanted`).
        """
        from raysearch.imports.sweeps import Wanted, import_sweep

        path = None if file is None else Path(file)
        wanted = Wanted(path, hydra, values=overrides, **options)
        return import_sweep(wanted, self.settings).sweep.reference

    def init_sweep(self, script: str | Path, out: str | Path | None = None) -> str:
        """Writes a first sweep over a training script, which is read but not run; its name."""
        from raysearch.imports.first_sweep import init_sweep

        return init_sweep(Path(script), None if out is None else Path(out)).sweep.reference

    # Data sets

    def data(self, root: Path | None = None) -> pd.DataFrame:
        """The data sets: what each is, licence, bytes, where it is looked for, what is missing."""
        from raysearch.sweeps.catalog import data_sets
        from raysearch.sweeps.data_sets import facts

        return _frame([facts(one, root) for one in data_sets(EXPERIMENTS).values()], "name")

    def data_get(self, name: str, root: Path | None = None, given: Path | None = None) -> None:
        """Gets a data set from its home, or from a file or folder that is `given`."""
        from raysearch.sweeps.catalog import find_data_set

        say = print if self.show else lambda text: None
        find_data_set(name, EXPERIMENTS).get(root, given, say)

    def data_check(self, name: str, root: Path | None = None) -> Sequence[str]:
        """What is wrong with the bytes of a data set: nothing, if all is well."""
        from raysearch.sweeps.catalog import find_data_set

        return find_data_set(name, EXPERIMENTS).check(root)

    # Running

    def search(
        self, space: str | Sweep, overrides: Mapping[str, object] | None = None, **options: Any
    ) -> Searched:
        """Runs a search to its end; returns its name, which a notebook shows as its results.

        `options` are those of the command: `trials`, `time`, `sampler`, `pruner`, `repeats`,
        `seed`, `concurrent`, `name`, `group`, `tags`, `notes` … (`raysearch.driver.plan.Request`).

        Args:
            space: a sweep, or its name. One that no module has, since it was defined in a notebook
                or a script, goes to the trials as it is, with all that it refers to, and is kept
                with the search; so does its experiment, named `__main__:run`.
            overrides: values by config path.

        Raises:
            NothingCompleted: no trial completed, and the first failed as its traceback says.
        """
        from raysearch.driver.plan import make_request
        from raysearch.driver.search import start

        with _named(space) as name:
            request = make_request(name, overrides or {}, **options)
            return self._driven(lambda listen: start(request, self.settings, listen))

    def submit(
        self,
        space: str | Sweep,
        overrides: Mapping[str, object] | None = None,
        folder: Path | None = None,
        **options: Any,
    ) -> str:
        """Sends a search to the service at `address` with the code of a folder; returns its name.

        `options` are those of `search`, without `time_box`; the folder is by default the current
        one.
        """
        from raysearch.driver.plan import make_request
        from raysearch.provenance.archive import pack
        from raysearch.provenance.origin import user_here

        if self._there is None:
            raise BadSetting("address must be given to submit: Client(address='http://head:8267')")
        options.setdefault("user", user_here())
        request = make_request(_sent(space), overrides or {}, **options)
        package = pack(folder or Path.cwd())
        return self._there.submit(request, self._there.plan(request, package), package)

    def resume(
        self, name: str, *, accept_changes: bool = False, as_it_was: bool = False
    ) -> Searched:
        """Goes on with a search that was killed, interrupted or stopped.

        Where its code changed, with what is here (`accept_changes`) or what was kept (`as_it_was`).
        """
        from raysearch.driver.search import resume

        return self._driven(
            lambda listen: resume(
                name, self.settings, listen, accept_changes=accept_changes, as_it_was=as_it_was
            )
        )

    def extend(
        self,
        name: str,
        *,
        trials: int | None = None,
        time: float | None = None,
        accept_changes: bool = False,
        as_it_was: bool = False,
    ) -> Searched:
        """Goes on with a search for more trials, or more time (seconds)."""
        from raysearch.driver.search import extend

        permissions = {"accept_changes": accept_changes, "as_it_was": as_it_was}
        return self._driven(
            lambda listen: extend(
                name, self.settings, listen, trials=trials, seconds=time, **permissions
            )
        )

    def retry(
        self,
        name: str,
        *,
        infeasible: bool = False,
        accept_changes: bool = False,
        as_it_was: bool = False,
    ) -> Searched:
        """Runs the failed trials of a search again."""
        from raysearch.driver.search import retry

        permissions = {"accept_changes": accept_changes, "as_it_was": as_it_was}
        return self._driven(
            lambda listen: retry(name, self.settings, listen, infeasible=infeasible, **permissions)
        )

    def stop(self, name: str, trial: int | None = None) -> None:
        """Asks the driver of a search, in another process, to end it, or one trial."""
        if self._there is not None:
            self._there.stop(name, trial)
            return
        store, view = opening.view_of(name, self.settings)
        verbs.request_stop(store, view, trial, self.settings)

    def train(
        self,
        experiment: str,
        overrides: Mapping[str, object] | None = None,
        folder: Path | None = None,
    ) -> None:
        """Trains one configuration here, without a search; the same call again goes on with it."""
        from raysearch.driver.single import train

        train(experiment, _arguments(overrides), folder, self.settings.runs)

    def evaluate(
        self,
        experiment: str,
        checkpoint: str | Path,
        overrides: Mapping[str, object] | None = None,
        *,
        split: str = "val",
        folder: Path | None = None,
    ) -> None:
        """Evaluates a checkpoint here, with other settings of evaluations if given."""
        from raysearch.driver.single import evaluate

        values, runs = _arguments(overrides), self.settings.runs
        evaluate(experiment, values, Path(checkpoint), split, folder, runs)

    def repro(
        self, name: str, trial: int, folder: Path | None = None, *, here: bool = False
    ) -> Reproduction:
        """Runs a trial again from the code that was kept, or from what is here; what is equal."""
        from raysearch.provenance.reproduce import reproduce

        say = print if self.show else lambda text: None
        return reproduce(name, trial, self.settings, folder, here=here, say=say)

    def _driven(self, drive: Callable[[Listener | None], Outcome]) -> Searched:
        if self.show:
            with watching() as watch:
                outcome = drive(watch.listen)
        else:
            outcome = drive(None)
        refuse_nothing(outcome.view, self.settings.folder(outcome.name))
        return Searched.of(outcome.view)

    # Looking

    def list(
        self,
        group: str | None = None,
        tags: Mapping[str, str | None] | None = None,
        text: str | None = None,
    ) -> pd.DataFrame:
        """The searches of a group, with tags (None: any value), with a text; a row for each."""
        if self._there is not None:
            return _frame(self._there.listed(Filter(group, tags or {}, text)), "name")
        return _frame(verbs.listed(self.settings, Filter(group, tags or {}, text)), "name")

    def view(self, name: str) -> SearchView:
        """All that is known of a search."""
        if self._there is not None:
            return self._there.view(name)
        return opening.view_of(name, self.settings)[1]

    def status(self, name: str) -> dict[str, Any]:
        """State, counts, best trial and seconds of a search."""
        from raysearch.cli.show import summary

        if self._there is not None:
            state = str((said := self._there.state(name))["state"])
            if state in ("submitted", "failed"):
                return {"counts": {}, "best": None, "seconds": 0.0, **said}
            return {"name": name, "state": state, **summary(self.view(name))}
        view = self.view(name)
        return {"name": name, "state": verbs.state_of(view, self.settings), **summary(view)}

    def results(
        self,
        name: str,
        where: str | None = None,
        sort: str | None = None,
        group_by: str | None = None,
    ) -> pd.DataFrame:
        """All trials, best first, with the parameters that vary; or those that are chosen.

        `where` is a condition such as `optimizer.kind == 'adamw'`, `sort` names columns with a
        minus for falling, `group_by` gives a row for each value of a column: count, mean of the
        completed configurations with its 95 % interval, best.
        """
        from raysearch.results.selection import Chosen, chosen_rows, group_columns, grouped

        view = self.view(name)
        chosen = Chosen(where, sort, group_by)
        if group_by is not None:
            return _frame(records(group_columns(view, group_by), grouped(view, chosen)), group_by)
        found = chosen_rows(view, chosen)
        columns, index = trial_columns(view), columns_of(view).own("trial")
        if not found:  # the columns are there all the same
            return _frame(records(columns, trial_rows(view)[:1]), index).iloc[:0]
        return _frame(records(columns, found), index)

    def curves(self, name: str) -> pd.DataFrame:
        """All reports of all trials: `trial`, `step`, fidelity, a column for each metric and cost.

        If reports were refused, those rows have the number of their attempt in `refused_in`.
        """
        import pandas as pd

        view = self.view(name)
        records: list[dict[str, Any]] = []
        for number, trial in view.trials.items():
            for step, fidelity, _, metrics in trial.reports:
                where = {"trial": number, "step": step, view.spec.fidelity: fidelity}
                records.append(where | metrics | trial.costs.get(step, {}))
            for body in trial.refused:
                where = {"trial": number, "step": body["step"], "refused_in": body["attempt"]}
                records.append(where | body["metrics"])
        return pd.DataFrame.from_records(records)

    def best(self, name: str) -> dict[str, Any]:
        """The best trial: number, values, test scores, seed, checkpoint, configuration."""
        from raysearch.cli.show import answer

        folder = self.settings.folder(name)
        if self._there is not None:
            folder = Path(self._there.state(name)["folder"])
        return answer(self.view(name), folder)

    def trial(self, name: str, number: int) -> TrialView:
        """All that is known of one trial."""
        trials = self.view(name).trials
        if number not in trials:
            raise UnknownName(f"search {name!r} has no trial {number}; it has {len(trials)}")
        return trials[number]

    def compare(self, *names: str) -> pd.DataFrame:
        """Searches side by side, a row for each."""
        return _frame(verbs.compared(names, self.settings), "search")

    def diff(self, first: str, second: str) -> pd.DataFrame:
        """Two trials, as `digits-1/3`: what differs of configurations and code, and the results."""
        from raysearch.provenance import trial_difference as trials

        one = trials.NamedTrial.read(first)
        other = trials.NamedTrial.read(second, one.search)
        found = trials.compare_trials(one, other, self.settings)
        return _frame(records(trials.columns(one, other), found), "name")

    def check(self, name: str) -> Sequence[Finding]:
        """What disagrees between events, study, MLflow and folders: nothing, if all is well."""
        from raysearch.audit import audit_search

        if self._there is not None:
            return self._there.findings(name)
        store, _ = verbs.salvaged_of(name, self.settings)
        return audit_search(store, name, self.settings)

    # Keeping

    def note(self, names: str | Sequence[str], text: str) -> None:
        """Replaces the notes of searches."""
        verbs.note(_several(names), text, self.settings)

    def tag(
        self,
        names: str | Sequence[str],
        tags: Mapping[str, str | None] | None = None,
        group: str | None = None,
    ) -> None:
        """Sets tags of searches (None: removes one) and their group."""
        verbs.tag(_several(names), tags or {}, group, self.settings)

    def rename(self, name: str, new: str) -> None:
        """Gives a search that is not running another name."""
        verbs.rename(name, new, self.settings)

    def report(self, name: str, by: str | None = None) -> Page:
        """Writes the report of a search, its objectives `by` settings a or a,b too.

        Returns the path of its page, which a notebook shows as the page itself.
        """
        if self._there is not None:
            return Page(self._there.report(name, self.settings.folder(name) / "report", by))
        return Page(verbs.report(name, self.settings, by)[0])

    def export(self, name: str, url: str, study: str | None = None) -> int:
        """Writes a search as an Optuna study; returns the number of its trials."""
        return verbs.export(name, url, study, self.settings)

    def sync(self, name: str) -> int:
        """Writes to MLflow what it has missed; returns the number of events."""
        return verbs.sync(name, self.settings)

    def delete(self, *names: str) -> None:
        """Deletes searches: events, folders, MLflow runs. It cannot be undone."""
        for name in names:
            verbs.salvaged_of(name, self.settings)
        for name in names:
            verbs.delete(name, self.settings)

    def experiments(self) -> Sequence[str]:
        """The names of all experiments."""
        from raysearch.sweeps.catalog import experiments

        return sorted(experiments(EXPERIMENTS))

    def __repr__(self) -> str:
        return f"Client({str(self.settings.runs)!r})"


def _service(address: str) -> Remote:
    from raysearch.server.remote import Remote

    return Remote(address)


@contextmanager
def _named(space: str | Sweep) -> Generator[str]:
    """The name by which a sweep is found, here and by the processes of a search."""
    if not isinstance(space, Sweep):
        yield _text(space)
    elif (reference := by_value.reference_of(space)) is not None:
        yield reference
    else:
        with by_value.kept_for_now(space) as reference:
            yield reference


def _text(space: object) -> str:
    """The name of a sweep. Raises BadSetting: it is neither that nor a sweep."""
    if isinstance(space, str):
        return space
    hint = "; put @sweep(…) above the function" if callable(space) else ""
    raise BadSetting(
        f"a sweep, or the name of one, must be given, got a {type(space).__name__}{hint}"
    )


def _sent(space: str | Sweep) -> str:
    """The name by which a service finds a sweep. Raises BadSetting: it is in no module."""
    if not isinstance(space, Sweep):
        return _text(space)
    reference = by_value.reference_of(space)
    if reference is None:
        raise BadSetting(
            f"sweep {space.name} must be in a module of the folder that is sent, since a service "
            f"runs files: put it into one, or run it here by search"
        )
    return reference


def _arguments(overrides: Mapping[str, object] | None) -> list[str]:
    """As they are typed: `path=value`."""
    given: Any = overrides or {}
    if not isinstance(given, Mapping):
        raise BadSetting(f"overrides must be a mapping, got {article(type(given).__name__)}")
    return [f"{path}={json.dumps(value)}" for path, value in given.items()]


def _several(names: str | Sequence[str]) -> Sequence[str]:
    return [names] if isinstance(names, str) else names


def _frame(records: Sequence[Mapping[str, Any]], index: str) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame.from_records(list(records))
    return frame.set_index(index) if index in frame else frame
