"""The command that serves: one long-running service on the head of a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from raysearch.cli.options import RUNS, Runs, app, plainly
from raysearch.extras import require
from raysearch.settings import Settings
from raysearch.terminal import say


def _text(words: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, help=words, **more)


@app.command()
def serve(
    state: Annotated[
        Path | None, _text("Its folder: database, secrets, logs; default ~/.raysearch.")
    ] = None,
    host: Annotated[str, _text("Where it listens; 0.0.0.0 for a cluster.")] = "127.0.0.1",
    port: Annotated[int, _text("Its own port.")] = 8267,
    mlflow_port: Annotated[int, _text("MLflow's port.")] = 5000,
    database: Annotated[
        str,
        _text("An existing PostgreSQL, instead of one of its own.", envvar="RAYSEARCH_DATABASE"),
    ] = "",
    artifacts: Annotated[
        str, _text("Where MLflow keeps files: a folder, or s3://BUCKET/PATH.")
    ] = "",
    ray_address: Annotated[
        str, _text("The Ray cluster: auto, HOST:6379, or none.", envvar="RAY_ADDRESS")
    ] = "auto",
    user_limit: Annotated[int | None, _text("Slots that one user may hold.", min=1)] = None,
    only_database: Annotated[
        bool, _text("Run its database and nothing else, to restore a backup.", "--only-database")
    ] = False,
    check: Annotated[
        bool, _text("Say how each part is: exit status 0 if all are up.", "--check")
    ] = False,
    runs: Runs = RUNS,
) -> None:
    """Run the service of a head node: database, MLflow with a password, gateway, broker."""
    from raysearch.server.state import default_state

    place = (state or default_state()).absolute()
    with plainly():
        if check:
            raise typer.Exit(0 if _look(place) else 1)
        require("server", "raysearch serve")
        from raysearch.server.service import Options, Service

        options = Options(
            Settings.locate(runs).runs,
            place,
            host,
            port,
            mlflow_port,
            database,
            artifacts,
            ray_address or "auto",
            user_limit,
            only_database,
        )
        Service(options, say).run()


def _look(state: Path) -> bool:
    """Prints how each part is; returns whether all are up."""
    from raysearch.server.broker_process import slots
    from raysearch.server.state import ServiceState

    service = ServiceState.read(state)
    for name, part in service.parts.items():
        known = [f"process {part['pid']}"] if part.get("pid") else []
        if part.get("restarts"):
            known.append(f"started again {part['restarts']} times")
        known += [part["reason"]] if part["reason"] else []
        say(f"{name:<10} {part['state']:<9} {', '.join(known)}".rstrip())
    say(f"{'address':<10} {service.address}")
    for row in slots(state):
        say(
            f"{'slots':<10} {row['name']} of {row['user']}, priority {row['priority']}: "
            f"{row['granted']} of the {row['wants']} that it could use"
        )
    return all(part["state"] == "up" for part in service.parts.values())
