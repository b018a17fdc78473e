"""The folder by which a program and its trial speak: files, so it works through any wrapper."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from raysearch import adapters as adapters_package
from raysearch import reporting
from raysearch.programs.shims.files import shim_files

_PACKAGE = '"""What a program reports by."""\n\nfrom raysearch.reporting import *  # noqa: F403\n'


class Channel:
    """The host's side of `raysearch.reporting`.

    Args:
        folder: a new folder for one attempt.
        config: the values of the trial, as the program is to see them.
        checkpoint: what it goes on from.
        step: of that checkpoint; what counts its steps itself goes on counting after it.
    """

    def __init__(
        self,
        folder: Path,
        config: Mapping[str, Any],
        checkpoint: Path | None,
        step: int | None = None,
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        (folder / reporting.CONFIG).write_text(json.dumps(config, indent=1))
        path = None if checkpoint is None else str(checkpoint)
        said = {"checkpoint": path, "step": None if checkpoint is None else step}
        (folder / reporting.RESUME).write_text(json.dumps(said))
        self._messages = folder / reporting.MESSAGES
        self._read = 0
        self.path = folder / "path"
        self._fill_path()

    def _fill_path(self) -> None:
        """What the program can import: the reporting functions, and stand-ins for loggers."""
        reported, adapters = Path(reporting.__file__), Path(adapters_package.__file__).parent
        files = {"raysearch/__init__.py": _PACKAGE.encode(), **shim_files()}
        for file in (reported, *sorted(adapters.glob("*.py"))):
            files[f"raysearch/{file.relative_to(reported.parent).as_posix()}"] = file.read_bytes()
        for name, content in files.items():
            place = self.path / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)

    def poll(self) -> list[dict[str, Any]]:
        """The messages that are new; what is none is left out."""
        try:
            with self._messages.open("rb") as file:
                file.seek(self._read)
                text = file.read()
        except FileNotFoundError:
            return []
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        found: list[dict[str, Any]] = []
        for line in whole.splitlines():
            with suppress(ValueError):
                message = json.loads(line)
                if isinstance(message, dict):
                    found.append(cast("dict[str, Any]", message))
        return found

    def answer(self, message: Mapping[str, Any], *, stop: bool) -> None:
        """Answers a report that waits."""
        if message.get("wait", True) and "id" in message:
            with (self.folder / reporting.ANSWERS).open("a") as file:
                file.write(json.dumps({"of": message["id"], "stop": stop}) + "\n")

    def stop(self) -> None:
        """Lets `should_stop` be true."""
        (self.folder / reporting.STOP).touch()
