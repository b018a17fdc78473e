"""The report of a search as one file, to be unpacked elsewhere."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from raysearch.errors import KINDS, BadSetting
from raysearch.pages.writing import PAGE
from raysearch.server.state import ServiceState
from raysearch.server.verbs import BAD_INPUT, Commands
from raysearch.settings import Settings

_TRIES, _PAUSE = 5, 0.2


async def report_of(
    name: str,
    by: str | None,
    service: ServiceState,
    commands: Commands,
    is_left: Callable[[], Awaitable[bool]],
) -> bytes:
    """Writes the report of a search, and returns page and pictures as a zip.

    The objectives are drawn `by` one setting, or two, as `raysearch report --by`.

    Raises:
        RaysearchError: it could not be written; what the command says, of its kind.
        RuntimeError: it ended by a fault of ours, with its traceback.
    """
    outputs, status, kind = {"out": "", "err": ""}, 1, ""
    command = ["report", name, *([] if by is None else [f"--by={by}"])]
    async for message in commands.run(command, service, is_left):
        status, kind = message.get("exit", status), message.get("kind", kind)
        for where in outputs:
            outputs[where] += message.get(where, "")
    if status not in (0, BAD_INPUT):
        raise RuntimeError(f"no report was written, exit status {status}: {outputs['err']}")
    if status != 0:
        raise KINDS.get(kind, BadSetting)(outputs["err"].strip().removeprefix("error: "))
    # Not as it was printed: a terminal spells out some letters of a folder.
    folder = Settings.locate(service.runs).folder(name) / "report"
    for _ in range(_TRIES):
        with suppress(FileNotFoundError):
            return await asyncio.to_thread(_zipped, folder)
        await asyncio.sleep(_PAUSE)
    raise RuntimeError(f"no report stays in {folder}")


def _zipped(folder: Path) -> bytes:
    """Page and pictures. Raises FileNotFoundError if another report takes their place just now."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(folder / PAGE, PAGE)
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path != folder / PAGE:
                archive.write(path, path.relative_to(folder).as_posix())
    return buffer.getvalue()
