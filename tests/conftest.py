"""What holds for every test."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _the_current_folder_stays() -> Iterator[None]:
    """A test that left its process elsewhere would change what later ones find."""
    before = os.getcwd()
    yield
    assert os.getcwd() == before
