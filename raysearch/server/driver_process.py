"""The program that a job on the head runs: it drives a search that was submitted."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

from raysearch.errors import RaysearchError, UnknownName
from raysearch.events.log import Store
from raysearch.notifications import FILE, channels
from raysearch.server.state import ServiceState
from raysearch.server.submissions import Submission, Submissions, code_folder, link_data
from raysearch.settings import Channels, Settings
from raysearch.streams import open_streams
from raysearch.terminal import say

FINISHED, BAD_INPUT = 0, 2


def drive(submission: Submission, service: ServiceState, notify: Channels | None = None) -> str:
    """Begins the search, or goes on with it; returns how it ended, in a sentence.

    `notify` is whom the service notifies of all its searches.

    Raises:
        LookupError, ValueError, ConnectionError: it cannot be begun, or not gone on with.
    """
    from raysearch.driver.progress import Watch
    from raysearch.driver.search import resume, start

    settings = Settings.locate(
        service.runs, service.store, service.tracking_uri, service.ray_address
    )
    settings = replace(settings, notify=notify)
    sys.argv = submission.command.split(" ")  # it is in the record of the search
    with Watch() as watch:
        if Store(service.store).exists(submission.name):
            # Nobody is there who could be asked: what was sent is what runs.
            outcome = resume(submission.name, settings, watch.listen, as_it_was=True)
        else:
            outcome = start(submission.asked(), settings, watch.listen)
    return f"{outcome.name}: {outcome.state}" + (f" ({outcome.reason})" if outcome.reason else "")


def main(name: str, state: Path) -> int:
    """Drives the submission of that name, in the folder of its code; returns the exit status."""
    open_streams()
    try:
        service = ServiceState.read(state)
        service.use_token()
        known = Submissions(state)
        submission = known.read(name)
        if submission is None:
            raise UnknownName(f"no search {name!r} was submitted to {state}")
        where = Settings.locate(service.runs, service.store, service.tracking_uri)
        submission = known.under_its_name(submission, where)
        if service.tracking_user:
            os.environ["MLFLOW_TRACKING_USERNAME"] = service.tracking_user
            os.environ["MLFLOW_TRACKING_PASSWORD"] = service.tracking_password
        file = state / FILE
        notify = channels([f"@{file.absolute()}"] if file.exists() else None, None)
        code = code_folder(Path(service.runs), submission.code)
        link_data(code, Path(service.runs))
        os.chdir(code)
        say(drive(submission, service, notify))
    except RaysearchError as error:
        say(f"error: {error}", err=True)
        return BAD_INPUT
    return FINISHED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
