"""A git repository as it lies: its commit, its files, and what is not committed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

_PATIENCE = 10.0
"""Seconds for one question; a filter of a repository may take long."""
_DIFF = ("--binary", "--full-index", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames")
_PLAIN = (
    "-c",
    "core.quotepath=off",
    "-c",
    "diff.noprefix=false",
    "-c",
    "diff.mnemonicPrefix=false",
)
_PLACES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")
"""Variables that a hook sets: they would name another repository than the folder's."""


class Refused(Exception):
    """Git did not answer; the text is one line."""


@dataclass(frozen=True)
class Repository:
    """A repository: the folder at its top, and its commit (empty before the first) and branch."""

    top: Path
    commit: str
    branch: str

    def tracked(self) -> list[str]:
        """The files that git tracks, relative to the top. Raises Refused."""
        return names_of(ask(self.top, "ls-files", "-z"))

    def untracked(self, never: Iterable[Path] = (), without: Iterable[str] = ()) -> list[str]:
        """The files that git neither tracks nor ignores, not those in `never`, nor in folders of
        the names `without`. Raises Refused.
        """
        return names_of(
            ask(
                self.top,
                "ls-files",
                "-z",
                "--others",
                "--exclude-standard",
                *(f"--exclude={name}" for name in without),
                "--",
                ".",
                *self._without(never),
            )
        )

    def diff(self, untracked: Sequence[str], is_refused: Callable[[str], bool]) -> bytes:
        """All that is not committed, as `git apply --binary` takes it; these new files too.

        Files are left out that are refused by their name. Git's own index is not touched: a copy
        of it learns of the new files.

        Raises:
            Refused: git did not answer.
        """
        base = self.commit or ask(self.top, "hash-object", "-t", "tree", os.devnull).decode()
        with tempfile.TemporaryDirectory(prefix="raysearch-") as folder:
            index = Path(folder) / "index"
            own = self.top / ask(self.top, "rev-parse", "--git-path", "index").decode().strip()
            if own.is_file():
                shutil.copy2(own, index)  # its time decides which entries git trusts
            if untracked:
                names = "\0".join(untracked).encode(errors="surrogateescape")
                command = ("--literal-pathspecs", "add", "-N", "--pathspec-from-file=-")
                ask(self.top, *command, "--pathspec-file-nul", index=index, given=names)
            changed = ask(self.top, "diff", *_DIFF, "--name-only", "-z", base.strip(), index=index)
            names = names_of(changed)
            without = [f":(top,exclude,literal){name}" for name in names if is_refused(name)]
            if len(without) == len(names):
                return b""
            words = ("diff", *_DIFF, base.strip(), "--", ":/", *without)
            return ask(self.top, *words, index=index)

    def _without(self, folders: Iterable[Path]) -> list[str]:
        inside = (folder.resolve() for folder in folders)
        return [
            f":(top,exclude,literal){folder.relative_to(self.top).as_posix()}"
            for folder in inside
            if folder.is_relative_to(self.top) and folder != self.top
        ]


def find_repository(folder: Path) -> Repository | None:
    """The repository that a folder lies in; None if there is none, or no git."""
    try:
        top = ask(folder, "rev-parse", "--show-toplevel").decode(errors="surrogateescape").strip()
    except Refused:
        return None
    if not top:
        return None
    try:
        names = ask(folder, "rev-parse", "HEAD", "--abbrev-ref", "HEAD").decode().split()
    except Refused:
        names = ["", ""]
    return Repository(Path(top).resolve(), names[0], names[-1])


def ask(
    folder: Path,
    *words: str,
    index: Path | None = None,
    given: bytes = b"",
    patience: float = _PATIENCE,
) -> bytes:
    """What git answers in a folder, within so many seconds. Raises Refused."""
    environment = {name: value for name, value in os.environ.items() if name not in _PLACES}
    environment |= {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    if index is not None:
        environment["GIT_INDEX_FILE"] = str(index)
    command = ["git", "-C", str(folder), *_PLAIN, *words]
    try:
        done = subprocess.run(
            command, env=environment, input=given, capture_output=True, timeout=patience
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise Refused(f"git did not answer: {type(error).__name__}") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise Refused(f"git refused: {lines[0] if lines else done.returncode}")
    return done.stdout


def names_of(answer: bytes) -> list[str]:
    """The names in an answer that ends each with a zero byte."""
    return [os.fsdecode(name) for name in answer.split(b"\0") if name]
