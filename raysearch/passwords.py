"""Addresses as they may be shown and kept: without their passwords."""

from __future__ import annotations

import re

_SECRET = re.compile(r"(://[^\s:/@?#]*):\S*@")
_SECRET_IN_QUERY = re.compile(r"([?&;]\w*password=)[^\s&;#'\"]*", re.IGNORECASE)


def hidden(text: str) -> str:
    """An address, or a text with addresses in it, with `***` in place of each password."""
    return _SECRET_IN_QUERY.sub(r"\1***", _SECRET.sub(r"\1:***@", text))


def without_password(url: str) -> str:
    """An address as it is kept: whoever connects by it takes the password from elsewhere.

    PostgreSQL's client takes it from `PGPASSWORD` or `~/.pgpass`, MLflow's from
    `MLFLOW_TRACKING_PASSWORD`.
    """
    return _SECRET_IN_QUERY.sub(r"\1", _SECRET.sub(r"\1@", url))
