"""Packages that only some need: which extra of the installation has each, said where it lacks."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping

from raysearch.errors import BadSetting

PACKAGES: Mapping[str, tuple[str, ...]] = {
    "hydra": ("hydra",),
    "notify": ("apprise",),
    "postgres": ("psycopg",),
    "server": ("fastapi", "flask_wtf", "psycopg", "uvicorn"),
    "tensorboard": ("tensorboard",),
    "tfrecord": ("tensorflow",),
    "wandb": ("wandb",),
}
"""The extras of the installation, and what is imported of each."""


def require(extra: str, what: str) -> None:
    """Refuses what an extra is needed for, where a package of it is not installed.

    Args:
        extra: a key of `PACKAGES`.
        what: what needs it, as the sentence begins: `raysearch serve`.

    Raises:
        ValueError: names what needs it, the packages that lack and the extra that has them.
    """
    lacking = [name for name in PACKAGES[extra] if not _is_there(name)]
    if lacking:
        raise BadSetting(
            f"{what} needs the extra {extra!r} of raysearch ({', '.join(lacking)}: not "
            f"installed): pip install 'raysearch[{extra}]'"
        )


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):  # a module that was replaced by None, or by a bare one
        return False
