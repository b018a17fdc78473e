"""The HTTP address of the head: who may come in, and which door leads where."""

from __future__ import annotations

import argparse
import hmac
import logging
import os
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import Body, FastAPI, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from raysearch.errors import BadSetting, RaysearchError, UnknownName, Unreachable, WrongState
from raysearch.packing import LIMIT
from raysearch.plan import check_name
from raysearch.record.bodies import encode
from raysearch.serve import state as states
from raysearch.serve.brokering import slots
from raysearch.serve.capacity import existing
from raysearch.serve.keeping import Keeper
from raysearch.serve.reported import report_of
from raysearch.serve.submissions import code_folder, keep_code
from raysearch.serve.told import told_of
from raysearch.serve.verbs_by_http import Forbidden, line, refuse_other_verbs, run
from raysearch.verbs import state_of, view_of
from raysearch.version import HEADER, version

_LARGEST = LIMIT + (8 << 20)
"""Bytes of a request: a package that could not be compressed, and its table of contents."""
_NO_TOKEN = (
    "the token is missing or wrong: it is that of the head, in ~/.ray/auth_token or RAY_AUTH_TOKEN "
    "there"
)
_LINES = "application/x-ndjson"
_SAYS: Mapping[type[Exception], int] = {
    Forbidden: 403,
    UnknownName: 404,
    Unreachable: 503,
    WrongState: 409,
    RaysearchError: 400,
}
"""The errors that are said in one sentence, with their status; the first that fits."""


def create_app(state: Path, *, pause: float = 5.0) -> FastAPI:
    """The application of the service of a folder of state.

    Submissions are looked after every `pause` seconds, as long as it runs.
    """
    keeper = Keeper(state, pause=pause)

    @asynccontextmanager
    async def living_app(app: FastAPI) -> AsyncGenerator[None]:
        ended = threading.Event()
        thread = threading.Thread(target=_look_after, args=(keeper, pause, ended), daemon=True)
        thread.start()
        yield
        ended.set()
        await run_in_threadpool(thread.join, 10)

    app = FastAPI(lifespan=living_app, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guard)
    for kind in _SAYS:
        app.add_exception_handler(kind, _said)
    _add_facts(app, keeper)
    _add_searches(app, keeper)
    _add_submitting(app, keeper)
    return app


class Guard:
    """Lets in whoever has the token; says in each answer which raysearch this is."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers, or lets the application answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (HEADER.encode(), version().encode())]
            await send(message)

        request = Request(scope)
        request.state.is_known = _is_known(request)
        if request.state.is_known or request.url.path == "/health":
            await self._app(scope, receive, send_named)
        else:
            await JSONResponse({"error": _NO_TOKEN}, 401)(scope, receive, send_named)


def _is_known(request: Request) -> bool:
    given = request.headers.get("authorization", "").encode()
    try:
        wanted = f"Bearer {states.token()}".encode()
    except UnknownName:
        return False  # nobody comes in where there is no token
    return hmac.compare_digest(given, wanted)


async def _said(request: Request, error: Exception) -> Response:
    status = next(status for kind, status in _SAYS.items() if isinstance(error, kind))
    return JSONResponse({"error": str(error)}, status)


def _look_after(keeper: Keeper, pause: float, ended: threading.Event) -> None:
    known = ""
    while not ended.wait(pause):
        try:
            keeper.tend()
            known = ""
        except RaysearchError as error:  # Ray or the store is away
            if str(error) != known:
                known = str(error)
                logging.getLogger("uvicorn.error").warning("submissions wait: %s", known)
        except Exception:  # a thread that died would look after nothing, and nobody would know
            logging.getLogger("uvicorn.error").exception("a submission is not looked after")


def _add_facts(app: FastAPI, keeper: Keeper) -> None:
    @app.get("/health")
    def health(request: Request) -> Response:
        try:
            parts = keeper.service().parts
        except UnknownName:
            parts = {"service": {"state": "down"}}
        is_well = all(part.get("state") == "up" for part in parts.values())
        said: dict[str, Any] = {"ok": is_well}
        if request.state.is_known:
            said |= {"parts": parts, "slots": slots(keeper.state)}
        return JSONResponse(said, 200 if is_well else 503)

    @app.get("/cluster")
    def cluster() -> dict[str, Any]:
        service = keeper.service()
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


def _add_searches(app: FastAPI, keeper: Keeper) -> None:
    @app.post("/run")
    async def run_verb(
        request: Request,
        arguments: Annotated[list[str], Body()],
        width: Annotated[int | None, Body()] = None,
    ) -> StreamingResponse:
        refuse_other_verbs(arguments)
        service = await run_in_threadpool(keeper.service)
        told = await run_in_threadpool(told_of, arguments, keeper)
        code = await run_in_threadpool(keeper.code_of, arguments)

        async def lines() -> AsyncIterator[bytes]:
            if told.is_all:
                yield line({told.where: told.text})
                yield line({"exit": told.exit})
                return
            async for message in run(arguments, service, request.is_disconnected, width, code):
                if "exit" in message and told.text:
                    yield line({told.where: told.text})
                yield line(message)

        return StreamingResponse(lines(), media_type=_LINES)

    @app.get("/events/{name}")
    def events(name: str, after: Annotated[int, Query(ge=0)] = 0) -> StreamingResponse:
        view_of(name, keeper.settings())

        def lines() -> Iterator[str]:
            for event in keeper.store().events(name, after):
                said = {key: getattr(event, key) for key in ("seq", "trial", "kind", "time")}
                yield encode({**said, "body": event.body}) + "\n"

        return StreamingResponse(lines(), media_type=_LINES)

    @app.get("/holder/{name}")
    def holder(name: str) -> dict[str, Any]:
        check_name(name)
        driven, settings, store = keeper.driven(name), keeper.settings(), keeper.store()
        folder = settings.folder(name)
        said: dict[str, Any] = {"name": name, "folder": str(folder), "holder": None}
        if driven is not None:
            said |= {"reason": driven.reason, "lines": driven.lines}
        if driven is not None and driven.state:
            return {**said, "state": driven.state}
        view = view_of(name, settings)[1]
        return {
            **said,
            "state": state_of(view, settings),
            "holder": store.lock(name, folder).holder(),
        }

    @app.get("/report/{name}")
    async def report(name: str, request: Request) -> Response:
        await run_in_threadpool(view_of, name, keeper.settings())
        page = await report_of(name, keeper.service(), request.is_disconnected)
        return Response(page, media_type="application/zip")


def _add_submitting(app: FastAPI, keeper: Keeper) -> None:
    @app.get("/code/{code}")
    def known(code: str) -> dict[str, bool]:
        return {"known": code_folder(keeper.settings().runs, code).is_dir()}

    @app.put("/code")
    async def keep(request: Request) -> dict[str, str]:
        content = await _read(request)
        return {"code": await run_in_threadpool(keep_code, content, keeper.settings().runs)}

    @app.post("/submit")
    def submit(asked: Annotated[dict[str, Any], Body()]) -> dict[str, str]:
        missing = {"space", "overrides", "options", "code", "stem"} - set(asked)
        if missing:
            raise BadSetting(f"a submission must have {', '.join(sorted(missing))} too")
        return {"name": keeper.submit(asked)}


async def _read(request: Request) -> bytes:
    """The body of a request. Raises ValueError if it is too large, before it is all there."""
    parts, size = list[bytes](), 0
    async for part in request.stream():
        size += len(part)
        if size > _LARGEST:
            raise BadSetting(f"a package must have at most {LIMIT >> 20} MiB")
        parts.append(part)
    return b"".join(parts)


def main(arguments: list[str] | None = None) -> None:
    """Serves until it is ended."""
    import uvicorn

    parser = argparse.ArgumentParser(prog="python -m raysearch.serve.gateway", description=__doc__)
    parser.add_argument("--state", type=Path, default=states.default_state())
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=states.PORT)
    given = parser.parse_args(arguments)
    os.environ.setdefault("RAY_AUTH_MODE", "token")  # or Ray is asked without it
    app = create_app(given.state.absolute())
    uvicorn.run(
        app, host=given.host, port=given.port, timeout_graceful_shutdown=5, access_log=False
    )


if __name__ == "__main__":
    main()
