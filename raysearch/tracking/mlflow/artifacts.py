"""Files of MLflow runs: uploaded, listed, taken away again."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname


def files(client: Any, run: str, under: str | None = None) -> Iterator[str]:
    """The paths of all files of a run, or of those in one of its folders."""
    for found in client.list_artifacts(run, under):
        if found.is_dir:
            yield from files(client, run, found.path)
        else:
            yield found.path


def replace(client: Any, uri: str, run: str, source: Path, name: str) -> None:
    """Makes the folder `name` of a run equal to a folder here (a single file: its one file)."""
    if source.is_dir():
        client.log_artifacts(run, str(source), name)
        wanted = {f"{name}/{path}" for path in inside(source)}
    else:
        client.log_artifact(run, str(source), name)
        wanted = {f"{name}/{source.name}"}
    for path in set(files(client, run, name)) - wanted:
        _repository(client, uri, run).delete_artifacts(path)


def inside(folder: Path) -> list[str]:
    """The files in a folder and its folders, relative to it."""
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


def delete_all(client: Any, uri: str, run: str) -> None:
    """Deletes all files of a run, where they lie on a disk of ours its folder too."""
    if not client.list_artifacts(run):
        return
    _repository(client, uri, run).delete_artifacts()
    place = urlsplit(client.get_run(run).info.artifact_uri)
    if place.scheme in ("", "file"):
        with suppress(OSError):  # something else lies there
            Path(url2pathname(place.path)).parent.rmdir()


def _repository(client: Any, uri: str, run: str) -> Any:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    return get_artifact_repository(client.get_run(run).info.artifact_uri, tracking_uri=uri)


def is_within(path: str) -> bool:
    """Whether a path of an event lies in the folder of its search."""
    return not path.startswith("/") and ".." not in path.split("/")


def upload_as(client: Any, run: str, file: Path, name: str) -> None:
    """Uploads a file, or a folder, under a name; MLflow knows only that of the file."""
    folder, _, wanted = name.rpartition("/")
    if file.is_dir():
        client.log_artifacts(run, str(file), name)
    elif file.name == wanted:
        client.log_artifact(run, str(file), folder or None)
    else:
        with tempfile.TemporaryDirectory(prefix="raysearch-artifact-") as place:
            named = Path(place) / wanted
            os.symlink(file.absolute(), named)
            client.log_artifact(run, str(named), folder or None)
