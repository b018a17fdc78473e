"""The origin of a search: commit, user, versions of libraries."""

from __future__ import annotations

import getpass
import json
import sys
from pathlib import Path

from raysearch.errors import BadSetting
from raysearch.provenance.repository import Refused, ask
from raysearch.sweeps.search_spec import GitState, read_part
from raysearch.texts import article

GIT_STATE = ".raysearch-git.json"
"""A file that says what `git_state` was where a working tree was sent from."""


def git_state(folder: Path) -> GitState:
    """Commit, branch and whether there are changes not committed; None outside a repository."""
    if (folder / GIT_STATE).is_file():
        return _sent_state(folder / GIT_STATE)

    def git(*arguments: str) -> str:
        return ask(folder, *arguments).decode(errors="replace").strip()

    try:
        return GitState(
            commit=git("rev-parse", "HEAD"),
            branch=git("rev-parse", "--abbrev-ref", "HEAD"),
            dirty=bool(git("status", "--porcelain", "--untracked-files=no")),
        )
    except Refused:
        return GitState()


def _sent_state(file: Path) -> GitState:
    """What was written down where a tree was sent. Raises BadSetting if it is not that."""
    try:
        content = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise BadSetting(f"{file} must be as it was sent, and is no JSON: {error}") from None
    if not isinstance(content, dict):
        raise BadSetting(
            f"{file} must be as it was sent, a mapping, got {article(type(content).__name__)}"
        )
    try:
        return read_part(GitState, content, "")
    except ValueError as error:
        raise BadSetting(f"{file} must be as it was sent: {error}") from None


def user_here() -> str:
    """The name of the user who runs this process, as far as the machine knows one."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def versions() -> dict[str, str]:
    """The versions of the libraries that decide the numbers."""
    from importlib.metadata import PackageNotFoundError, version

    found: dict[str, str] = {"python": sys.version.split()[0]}
    for package in ("raysearch", "ray", "optuna", "mlflow", "torch", "torchvision", "timm"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
