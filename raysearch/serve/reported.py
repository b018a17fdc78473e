"""The report of a search as one file, to be unpacked elsewhere."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from raysearch.errors import BadSetting
from raysearch.serve.state import ServiceState
from raysearch.serve.verbs_by_http import run


async def report_of(
    name: str, service: ServiceState, is_left: Callable[[], Awaitable[bool]]
) -> bytes:
    """Writes the report of a search, and returns page and pictures as a zip.

    Raises:
        ValueError: it could not be written; what the command says.
    """
    said, status = {"out": "", "err": ""}, 1
    async for message in run(["report", name], service, is_left):
        status = message.get("exit", status)
        for where in said:
            said[where] += message.get(where, "")
    if status != 0:
        raise BadSetting(said["err"].strip().removeprefix("error: ") or "no report was written")
    return await asyncio.to_thread(_zipped, Path(said["out"].splitlines()[0]).parent)


def _zipped(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder).as_posix())
    return buffer.getvalue()
