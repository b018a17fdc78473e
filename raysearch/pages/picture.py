"""A picture of a page: a file that is in the page whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Picture:
    """A picture that was drawn: its file, what it shows in words (`alt`), and what to know of it.

    `width` is its natural width on the page in pixels; 0: its own.
    """

    path: Path
    alt: str
    caption: str
    width: int
