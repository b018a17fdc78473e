"""What holds for every test."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

# Several tests run at once, and threads that wait for one another's parts of small matrices cost
# most of the time. It is read when torch and numpy are imported: by none before this file.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def _the_current_folder_stays() -> Iterator[None]:
    """A test that left its process elsewhere would change what later ones find."""
    before = os.getcwd()
    yield
    assert os.getcwd() == before
