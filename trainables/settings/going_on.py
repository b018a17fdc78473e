"""Networks that go on from a checkpoint of an earlier run: which file, and which network in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from trainables.settings.contents import by_content

Part = Literal["student", "teacher"]
"""Which network of a checkpoint: the one that was trained, or its moving average."""


def check_part(file: str | None, part: Part | None, *, takes_others: bool = False) -> None:
    """Refuses a part of no file and, unless it may be one of another kind, a file without a part.

    Raises:
        ValueError: begins with the name of the setting.
    """
    if part is not None and file is None:
        raise ValueError(f"weights_part must be null without weights_file, got {part!r}")
    if file is not None and part is None and not takes_others:
        raise ValueError(
            f"weights_part must be 'student' or 'teacher' with weights_file, a checkpoint of a "
            f"run, got null beside {file!r}"
        )


def missing_checkpoint(path: str, file: str | None) -> str | None:
    """The sentence on a checkpoint that is not there, for the part of a configuration at a path."""
    if file is None or Path(file).expanduser().is_file():
        return None
    return f"{path}.weights_file must be a checkpoint that a run has saved, got {file!r}: no file"


def of_content(canonical: dict[str, Any]) -> dict[str, Any]:
    """The canonical form of a model, in which its file is its content, wherever it lies."""
    return by_content(canonical, "weights_file")
