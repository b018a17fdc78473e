"""Addresses of SQLite databases, and the files that they name."""

from __future__ import annotations

from pathlib import Path


def sqlite_address(file: Path) -> str:
    """The address of an SQLite database: `sqlite:////absolute/what%3F/raysearch.db`."""
    import sqlalchemy as sa

    return sa.URL.create("sqlite", database=str(file)).render_as_string()


def sqlite_file(address: str) -> Path | None:
    """The file of an SQLite database; None if it has none, or is another kind of database."""
    import sqlalchemy as sa
    from sqlalchemy import exc as sa_exc

    try:
        url = sa.make_url(address)
    except (sa_exc.ArgumentError, ValueError):
        return None
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    return None if url.query else Path(str(url.database))


def absolute(address: str, folder: Path | None = None) -> str:
    """An address whose SQLite file does not depend on the current folder; others as they are.

    It is meant from a folder, by default the current one.
    """
    file = sqlite_file(address)
    if file is None or file.is_absolute():
        return address
    return sqlite_address((folder or Path.cwd()).absolute() / file)
