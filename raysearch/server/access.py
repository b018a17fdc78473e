"""Checks before each request: the token, the size of what is sent; and faults of our own."""

from __future__ import annotations

import asyncio
import errno
import hmac
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from raysearch.errors import (
    RaysearchError,
    UnknownName,
    Unreachable,
    WrongState,
    kind_of,
)
from raysearch.provenance.unarchive import LIMIT
from raysearch.server import state as states
from raysearch.server.verbs import Busy, Forbidden
from raysearch.version import HEADER, version

LARGEST_PACKAGE = LIMIT + (8 << 20)
"""Bytes of a package that could not be compressed, with its table of contents."""
LARGEST_JSON = 1 << 20
SAYS: Mapping[type[Exception], int] = {
    Forbidden: 403,
    UnknownName: 404,
    Busy: 429,
    Unreachable: 503,
    WrongState: 409,
    RaysearchError: 400,
}
"""The errors that are said in one sentence, with their status; the first that fits."""
_NO_TOKEN = (
    "the token is missing or wrong: it is that of the head, in ~/.ray/auth_token or RAY_AUTH_TOKEN "
    "there"
)
_LONGEST = 2000
"""Characters of a sentence: what was asked is quoted in some."""
_THINGS = {"name": "search", "code": "package", "trial": "trial"}
"""What is named by a part of a path."""
_PATIENCE = 60.0
"""Seconds without a byte after which the rest of a body is waited for no longer."""
_FULL = (errno.ENOSPC, errno.EDQUOT)
log = logging.getLogger("uvicorn.error")


class Guard:
    """Lets in whoever has the token; says in each answer which raysearch this is.

    A body that is too large is refused before it is there. An exception that nobody foresaw is
    answered by status 500 and a line that says whose fault it is; its traceback is in our log.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers, or lets the application answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def send_named(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                message["headers"] = [*message["headers"], (HEADER.encode(), version().encode())]
            await send(message)

        try:
            await self._answer(scope, receive, send_named)
        except Exception as error:
            log.exception("a fault of raysearch %s at %s", version(), ascii(scope["path"]))
            if not has_begun:
                await fault(error)(scope, receive, send_named)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        request.state.is_known = _is_known(request)
        if not request.state.is_known and scope["path"] != "/health":
            await refusal(_NO_TOKEN, 401, "Unreachable")(scope, receive, send)
            return
        limit = LARGEST_PACKAGE if scope["path"] == "/code" else LARGEST_JSON
        stated = request.headers.get("content-length", "")
        if stated.isdecimal() and len(stated) < 20 and int(stated) > limit:
            await refusal(_too_large(limit), 413, "BadSetting")(scope, receive, send)
            return
        await self._app(scope, _limited(receive, limit), send)


def refusal(text: str, status: int, kind: str) -> Response:
    """An answer in one sentence, whatever letters it quotes; it is cut where it is endless."""
    cut = text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"
    safe = cut.encode(errors="backslashreplace").decode()
    return JSONResponse({"error": safe, "kind": kind}, status)


def refused(error: RaysearchError) -> Response:
    """The answer for bad input, and for what cannot be reached."""
    status = next(status for kind, status in SAYS.items() if isinstance(error, kind))
    return refusal(str(error), status, kind_of(error))


def fault(error: BaseException) -> Response:
    """The answer for what nobody foresaw; a full disk is said as such."""
    if isinstance(error, OSError) and error.errno in _FULL:
        return refused(Unreachable("no space is left on the disk of the head: make some"))
    return refusal(fault_text(error), 500, "")


def fault_text(error: BaseException) -> str:
    """A line that says that something is a fault of raysearch, and where to look."""
    return (
        f"this is a fault of raysearch {version()}, not of what was asked "
        f"({type(error).__name__}): its traceback is in the log of the gateway on the head; please "
        f"send it to whoever looks after raysearch"
    )


def wrong_request(findings: Sequence[Any]) -> Response:
    """The answer for a request that is not as its description says: each finding with its place.

    A place that cannot exist is one that is not there.
    """
    first = findings[0]
    if first["loc"][0] == "path":
        given = str(first.get("input"))[:80]
        return refused(UnknownName(f"no {_THINGS[first['loc'][1]]} is named {given!r}"))
    reasons = [f"{'.'.join(map(str, one['loc']))[:200]}: {_rule(one)}" for one in findings[:5]]
    more = f"; and {len(findings) - 5} more" if len(findings) > 5 else ""
    return refusal("; ".join(reasons) + more, 422, "BadSetting")


def _rule(finding: Mapping[str, Any]) -> str:
    return str(finding["msg"]).removeprefix("Value error, ")


def not_there(error: HTTPException) -> Response:
    """The answer of the frame itself: no such place, no such method, a body that is no JSON."""
    kind = "UnknownName" if error.status_code == 404 else "BadSetting"
    answer = refusal(str(error.detail), error.status_code, kind)
    answer.headers.update(error.headers or {})
    return answer


def _limited(receive: Receive, limit: int) -> Receive:
    """Receives no more than so many bytes, and waits for none of them for ever."""
    size, is_whole = 0, False

    async def receive_some() -> Message:
        nonlocal size, is_whole
        if is_whole:
            return await receive()  # that nobody listens any more
        try:
            message = await asyncio.wait_for(receive(), _PATIENCE)
        except TimeoutError:
            raise HTTPException(408, "the rest did not arrive in time: try again") from None
        size, is_whole = size + len(message.get("body", b"")), not message.get("more_body", False)
        if size > limit:
            raise HTTPException(413, _too_large(limit))
        return message

    return receive_some


def _too_large(limit: int) -> str:
    if limit == LARGEST_PACKAGE:
        return f"a package must have at most {LIMIT >> 20} MiB"
    return f"what is asked must have at most {limit >> 20} MiB"


def _is_known(request: Request) -> bool:
    """Whether a request has the token; that is asked for whatever Ray is set to."""
    given = request.headers.get("authorization", "").encode()
    try:
        wanted = f"Bearer {states.token()}".encode()
    except UnknownName:
        return False  # nobody comes in where there is no token
    return hmac.compare_digest(given, wanted)
