"""The HTTP gateway of the head: its routes, and who may use them."""

from __future__ import annotations

import argparse
import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from raysearch.errors import RaysearchError, UnknownName
from raysearch.events.encoding import encode
from raysearch.results.opening import view_of
from raysearch.server import state as states
from raysearch.server.access import SAYS, Guard, fault_text, not_there, refused, wrong_request
from raysearch.server.broker_process import slots
from raysearch.server.capacity import existing
from raysearch.server.reads import add_reads
from raysearch.server.report_archive import report_of
from raysearch.server.requests import (
    After,
    Code,
    Factors,
    Kept,
    Known,
    Name,
    Named,
    Refusal,
    Submit,
    Verb,
)
from raysearch.server.state import ServiceState
from raysearch.server.submissions import code_folder, keep_code
from raysearch.server.submitted_verbs import SupervisorText, supervisor_text
from raysearch.server.supervisor import Supervisor
from raysearch.server.verbs import Commands, line, refuse_other_verbs
from raysearch.verbs import state_of
from raysearch.version import version

_LINES = "application/x-ndjson"
_UPLOADS = 4
"""Packages that are received at once, each in memory; the next ones wait."""
_SENT_WITHIN = 600.0
"""Seconds in which a package must be here once it is being received."""
_CONNECTIONS = 400
"""Connections at once: fewer than the files that a process may open."""
_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Refusal}
    for status in sorted({401, 404, 405, 408, 413, 415, 422, 500, *SAYS.values()})
}


def create_app(state: Path, *, pause: float = 5.0) -> FastAPI:
    """The application of the service of a folder of state.

    Submissions are looked after every `pause` seconds, as long as it runs.
    """
    supervisor, commands = Supervisor(state, pause=pause), Commands()

    @asynccontextmanager
    async def living_app(app: FastAPI) -> AsyncGenerator[None]:
        ended = threading.Event()
        thread = threading.Thread(target=_look_after, args=(supervisor, pause, ended), daemon=True)
        thread.start()
        yield
        ended.set()
        await run_in_threadpool(thread.join, 10)

    app = FastAPI(
        title="raysearch",
        version=version(),
        lifespan=living_app,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        responses=_REFUSALS,
    )
    app.add_middleware(Guard)
    for kind in (RaysearchError, RequestValidationError, HTTPException, ClientDisconnect):
        app.add_exception_handler(kind, _said)
    _add_facts(app, supervisor)
    _add_verbs(app, supervisor, commands)
    _add_searches(app, supervisor, commands)
    _add_submitting(app, supervisor)
    add_reads(app, supervisor)
    return app


async def _said(request: Request, error: Exception) -> Response:
    if isinstance(error, RequestValidationError):
        return wrong_request(error.errors())
    if isinstance(error, HTTPException):
        return not_there(error)
    if isinstance(error, RaysearchError):
        return refused(error)
    return Response(status_code=400)  # nobody is there any more who would read it


def _look_after(supervisor: Supervisor, pause: float, ended: threading.Event) -> None:
    known = ""
    while not ended.wait(pause):
        try:
            supervisor.tend()
            known = ""
        except RaysearchError as error:  # Ray or the store is away
            if str(error) != known:
                known = str(error)
                logging.getLogger("uvicorn.error").warning("submissions wait: %s", known)
        except Exception:  # a thread that died would look after nothing, and nobody would know
            logging.getLogger("uvicorn.error").exception("a submission is not looked after")


def _add_facts(app: FastAPI, supervisor: Supervisor) -> None:
    @app.get("/health")
    def health(request: Request) -> Response:
        try:
            parts = supervisor.service().parts
        except UnknownName:
            parts = {"service": {"state": "down"}}
        is_well = all(part.get("state") == "up" for part in parts.values())
        answer: dict[str, Any] = {"ok": is_well}
        if request.state.is_known:
            answer |= {"parts": parts, "slots": slots(supervisor.state)}
        return JSONResponse(answer, 200 if is_well else 503)

    @app.get("/cluster")
    def cluster() -> dict[str, Any]:
        service = supervisor.service()
        here, more = existing(service.dashboard)
        return {
            "version": version(),
            "nodes": [
                {"cpus": node.cpus, "gpus": node.gpus, "memory": node.memory}
                for node in (*here, *more)
            ],
            "living": len(here),
            "runs": service.runs,
        }


def _add_verbs(app: FastAPI, supervisor: Supervisor, commands: Commands) -> None:
    @app.post("/run")
    async def run_verb(request: Request, asked: Verb) -> StreamingResponse:
        refuse_other_verbs(asked.arguments)
        commands.refuse_more()
        service = await run_in_threadpool(supervisor.service)
        told = await run_in_threadpool(supervisor_text, asked.arguments, supervisor)
        code = await run_in_threadpool(supervisor.code_of, asked.arguments)

        async def messages() -> AsyncIterator[dict[str, Any]]:
            is_left = request.is_disconnected
            if told.is_all:
                yield {"exit": told.exit}
                return
            async for message in commands.run(asked.arguments, service, is_left, asked.width, code):
                yield message

        return StreamingResponse(_lines(messages(), told), media_type=_LINES)


async def _lines(
    messages: AsyncIterator[dict[str, Any]], told: SupervisorText
) -> AsyncIterator[bytes]:
    """What a verb says as lines, with what is told beside it; a fault of ours ends it as such."""
    try:
        async for message in messages:
            if "exit" in message and told.text:
                yield line({told.where: told.text})
            yield line(message)
    except Exception as error:
        logging.getLogger("uvicorn.error").exception("a verb could not be run")
        yield line({"err": f"{fault_text(error)}\n"})
        yield line({"exit": 70})


def _add_searches(app: FastAPI, supervisor: Supervisor, commands: Commands) -> None:
    @app.get("/events/{name}")
    def events(name: Name, after: After = 0) -> StreamingResponse:
        view_of(name, supervisor.settings())

        def lines() -> Iterator[str]:
            for event in supervisor.store().events(name, after):
                answer = {key: getattr(event, key) for key in ("seq", "trial", "kind", "time")}
                yield encode({**answer, "body": event.body.plain()}) + "\n"

        return StreamingResponse(lines(), media_type=_LINES)

    @app.get("/holder/{name}")
    def holder(name: Name) -> dict[str, Any]:
        driven, settings, store = supervisor.driven(name), supervisor.settings(), supervisor.store()
        folder = settings.folder(name)
        answer: dict[str, Any] = {"name": name, "folder": str(folder), "holder": None}
        if driven is not None:
            answer |= {"reason": driven.reason, "lines": driven.lines}
        if driven is not None and driven.state:
            return {**answer, "state": driven.state}
        view = view_of(name, settings)[1]
        return {
            **answer,
            "state": state_of(view, settings),
            "holder": store.lock(name, folder).holder(),
        }

    @app.get("/report/{name}")
    async def report(name: Name, request: Request, by: Factors = None) -> Response:
        await run_in_threadpool(view_of, name, supervisor.settings())
        commands.refuse_more()
        page = await report_of(name, by, supervisor.service(), commands, request.is_disconnected)
        return Response(page, media_type="application/zip")


def _add_submitting(app: FastAPI, supervisor: Supervisor) -> None:
    receiving = asyncio.Semaphore(_UPLOADS)

    @app.get("/code/{code}")
    def known(code: Code) -> Known:
        return Known(known=code_folder(supervisor.settings().runs, code).is_dir())

    @app.put("/code", openapi_extra={"requestBody": _PACKAGE})
    async def keep(request: Request) -> Kept:
        runs = (await run_in_threadpool(supervisor.settings)).runs
        async with receiving:
            try:
                content = await asyncio.wait_for(request.body(), _SENT_WITHIN)
            except TimeoutError:
                raise HTTPException(408, "the package did not arrive in time: try again") from None
            return Kept(code=await run_in_threadpool(keep_code, content, runs))

    @app.post("/submit")
    def submit(asked: Submit) -> Named:
        return Named(name=supervisor.submit(asked.model_dump()))


_PACKAGE = {
    "required": True,
    "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
}


def main(arguments: list[str] | None = None) -> None:
    """Serves until it is ended."""
    import uvicorn

    parser = argparse.ArgumentParser(prog="python -m raysearch.server.gateway", description=__doc__)
    parser.add_argument("--state", type=Path, default=states.default_state())
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=states.PORT)
    given = parser.parse_args(arguments)
    with suppress(UnknownName):  # asked before there is a service, it says that there is none
        ServiceState.read(given.state.absolute()).use_token()
    uvicorn.run(
        create_app(given.state.absolute()),
        host=given.host,
        port=given.port,
        timeout_graceful_shutdown=5,
        access_log=False,
        limit_concurrency=_CONNECTIONS,
        ws="none",
    )


if __name__ == "__main__":
    main()
