"""The report that a search leaves where it ends."""

from __future__ import annotations

from pathlib import Path

from raysearch.events.log import EventLog
from raysearch.events.schema import ArtifactWritten
from raysearch.results.view import SearchView
from raysearch.texts import one_line


def leave_report(view: SearchView, folder: Path, log: EventLog) -> tuple[str, str]:
    """Writes the report of a search that has ended, and says so in its events, for MLflow too.

    Nothing is written of one that is to go on (paused, interrupted) or has no trial.

    Returns:
        The page, empty if there is none; and why it could not be written, which the search, well
        ended, does not suffer from.
    """
    from raysearch.pages.writing import write_report

    if view.state not in ("finished", "stopped") or not view.trials:
        return "", ""
    try:
        page = write_report(view, folder)
        path = str(page.parent.relative_to(folder))
        log.append(ArtifactWritten("report", path), commit=True)
    except Exception as error:  # whatever there is to be drawn
        return "", one_line(f"{type(error).__name__}: {error}")
    return str(page), ""
