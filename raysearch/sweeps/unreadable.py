"""Errors of readers of Python for content that is none of their kind, as bad input."""

from __future__ import annotations

import csv
from collections.abc import Generator
from contextlib import contextmanager

from raysearch.errors import BadSetting


@contextmanager
def legible(what: str) -> Generator[None]:
    """Raises BadSetting for what is no UTF-8, nested too deeply, or too long for its reader."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise BadSetting(
            f"{what} must be text in UTF-8, and byte {error.start} is none; save it as UTF-8"
        ) from None
    except RecursionError:
        raise BadSetting(f"{what} must not be nested so deeply, nor within itself") from None
    except (csv.Error, ValueError) as error:
        if not isinstance(error, csv.Error) and type(error) is not ValueError:
            raise  # a complaint of ours, or a fault
        raise BadSetting(f"{what} cannot be read: {error}") from None
