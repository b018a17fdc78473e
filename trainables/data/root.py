"""The folder in which sets of data are looked for."""

from pathlib import Path

ROOT = Path("data")
"""Unless another is given: in the current folder."""
