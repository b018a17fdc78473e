"""Snapshots of the code of a search, from which a trial can be run again as it was."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from raysearch.errors import BadSetting, RaysearchError, WrongState
from raysearch.files import appearing
from raysearch.provenance.environment import current_environment
from raysearch.provenance.sources import Sources, gather
from raysearch.provenance.used_sources import imported
from raysearch.provenance.working_tree import SOURCES
from raysearch.sweeps.program import ROOTS
from raysearch.sweeps.search_spec import CodeState

FOLDER = "code"
"""Where snapshots lie, below the folder of a search: one folder each, named by its hash."""

_FORMAT = 1
_MANIFEST, _ARCHIVE, _VERSIONS = "manifest.json", "source.zip", "versions.json"
_LENGTH = 32
"""Hexadecimal digits of a hash."""
_NAMED = 5


def keep(
    folder: Path,
    here: Path,
    modules: Iterable[str],
    never: Sequence[Path],
    threads: int,
    known: CodeState | None = None,
    found: Sources | None = None,
    programs: Sequence[Path] = (),
) -> CodeState:
    """Keeps the code that is here now, once, in the folder of a search.

    A snapshot is a folder with `source.zip` (what `sources.gather` finds), `diff.patch` (all that
    is not committed; only in a repository), `versions.json`
    (`current_environment`) and `manifest.json`, whose hash names it and which has the hashes of the
    others. `found` is what was gathered just now, if it was; `programs` are the folders of those
    that it runs.

    Returns:
        What the events say of it; or `known`, the
        snapshot that the search had, if that is whole and its source and versions are the same
        (only the diff may be another one: in files that are no source, or since another commit).
    """
    found = found or gather(here, modules, never, programs)
    sources = {name: _hash(content) for name, content in sorted(found.files.items())}
    files = {
        **found.diffs,
        _ARCHIVE: _archive(found.files),
        _VERSIONS: _json(current_environment(threads)),
    }
    text = _json(
        {
            "format": _FORMAT,
            "source": _hash(_json({"files": sources, "paths": found.paths})),
            "files": {name: _hash(content) for name, content in sorted(files.items())},
            **_described(found),
            "sources": sources,
        }
    )
    recorded, name = json.loads(text), _hash(text)
    kept = CodeState(name, recorded["source"], recorded["files"][_VERSIONS])
    if known is not None and (known.source, known.versions) == (kept.source, kept.versions):
        if not damage(folder, known.snapshot):
            return known
    if damage(folder, name):
        _write(folder / FOLDER / name, {**files, _MANIFEST: text})
    return kept


def manifest(folder: Path, name: str) -> dict[str, Any]:
    """What a snapshot says of itself. Raises ValueError if it is damaged: names what is."""
    if wrong := damage(folder, name):
        raise BadSetting(f"the code kept in {folder / FOLDER / name} is damaged: {wrong[0]}")
    return json.loads((folder / FOLDER / name / _MANIFEST).read_bytes())


def versions(folder: Path, name: str) -> dict[str, Any]:
    """The environment in a snapshot. Raises ValueError if it is damaged."""
    manifest(folder, name)
    return json.loads((folder / FOLDER / name / _VERSIONS).read_bytes())


def damage(folder: Path, name: str) -> list[str]:
    """What is wrong with a snapshot: files that are missing or have other contents."""
    place = folder / FOLDER / name
    text = _content(place / _MANIFEST)
    if text is None or _hash(text) != name:
        return [f"{_MANIFEST} {'is missing' if text is None else 'was changed'}"]
    wrong: list[str] = []
    for file, digest in json.loads(text)["files"].items():
        content = _content(place / file)
        if content is None or _hash(content) != digest:
            wrong.append(f"{file} {'is missing' if content is None else 'was changed'}")
    return wrong


def unpack(folder: Path, name: str, target: Path) -> list[Path]:
    """Writes the kept source below a folder; returns what belongs on the search path of modules.

    Raises:
        ValueError: the snapshot is damaged.
    """
    recorded = manifest(folder, name)
    target.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / FOLDER / name / _ARCHIVE) as archive:
        archive.extractall(target)
    (target / ROOTS).write_bytes(_json([root["path"] for root in recorded["roots"]]))
    return [target / path for path in recorded["paths"]]


def unpack_folder(folder: Path, name: str, inner: Path, target: Path) -> list[str]:
    """Writes what was kept of one folder, given as it lay, below another; returns the files.

    Raises:
        ValueError: the snapshot is damaged.
    """
    roots = [root["path"] for root in manifest(folder, name)["roots"]]
    prefix = place_of(inner, roots)
    found: list[str] = []
    if prefix is None:
        return found
    with zipfile.ZipFile(folder / FOLDER / name / _ARCHIVE) as archive:
        for entry in archive.namelist():
            if entry.startswith(f"{prefix}/"):
                own = entry[len(prefix) + 1 :]
                file = target / own
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(archive.read(entry))
                found.append(own)
    return found


def place_of(inner: Path, roots: Sequence[str]) -> str | None:
    """Where a folder is among kept files, `0/src`; None if it lay in none of the roots."""
    inside = [number for number, root in enumerate(roots) if inner.is_relative_to(root)]
    if not inside:
        return None
    number = max(inside, key=lambda each: len(roots[each]))
    own = inner.relative_to(roots[number]).as_posix()
    return str(number) if own == "." else f"{number}/{own}"


def changed(folder: Path, before: str, after: str) -> str:
    """In words, what differs between two snapshots: `a.py, b.py and 3 more`."""
    try:
        one, other = manifest(folder, before), manifest(folder, after)
    except RaysearchError as error:
        return str(error)
    here, there = one["sources"], other["sources"]
    names = sorted(name for name in {*here, *there} if here.get(name) != there.get(name))
    if not names:
        return "versions or settings of this machine"
    plain = [name.partition("/")[2] for name in names]
    more = f" and {len(plain) - _NAMED} more" if len(plain) > _NAMED else ""
    return ", ".join(plain[:_NAMED]) + more


def changed_since(folder: Path, name: str, now: Sources, modules: Iterable[str]) -> list[str]:
    """The files that modules are made of, and that are not what a snapshot kept of them.

    Raises:
        WrongState: the snapshot is damaged, so that it cannot be said.
    """
    if wrong := damage(folder, name):
        raise WrongState(
            f"the code kept in {folder / FOLDER / name} is damaged ({wrong[0]}), so nobody can say "
            f"whether it changed; go on with what is here by --accept-changes"
        )
    recorded = manifest(folder, name)
    if recorded["sources"] == {each: _hash(content) for each, content in now.files.items()}:
        return []
    with zipfile.ZipFile(folder / FOLDER / name / _ARCHIVE) as archive:
        kept = {entry: archive.read(entry) for entry in archive.namelist()}
    begin = list(modules)
    then = imported(kept, recorded["paths"], begin)
    here = imported(now.files, now.paths, begin)
    changed = {file for file in {*then, *here} if then.get(file) != here.get(file)}
    return sorted(changed | _changed_of_programs(recorded, now))


def programs_of(folder: Path, name: str) -> list[Path]:
    """The folders of the programs of a search, by what a snapshot says; none if it is damaged."""
    if damage(folder, name):
        return []
    return [Path(each) for each in manifest(folder, name).get("programs", ())]


def _changed_of_programs(recorded: Mapping[str, Any], now: Sources) -> set[str]:
    """The code of programs that is another now, or gone. A new file is nothing that they know."""
    then, here = ([root["path"] for root in roots] for roots in (recorded["roots"], now.roots))
    changed = set[str]()
    for program in recorded.get("programs", ()):
        before, after = (place_of(Path(program), roots) for roots in (then, here))
        for name, digest in recorded["sources"].items():
            if name.startswith(f"{before}/") and name.endswith((*SOURCES, ".sh")):
                own = name[len(str(before)) + 1 :]
                content = now.files.get(f"{after}/{own}")
                if content is None or _hash(content) != digest:
                    changed.add(own)
    return changed


def in_words(first: CodeState | None, code: CodeState | None, folder: Path) -> str:
    """The snapshot in use, and what changed since a search began; empty if none was kept.

    `first` is that with which it began, `code` the last one.
    """
    if code is None:
        return ""
    if first is None:
        return f"{code.snapshot}; that with which it began was not kept"
    if first == code:
        return code.snapshot
    what = changed(folder, first.snapshot, code.snapshot)
    return f"{code.snapshot}; it began with {first.snapshot}, since then changed: {what}"


def _described(found: Sources) -> dict[str, Any]:
    programs = {"programs": found.programs} if found.programs else {}
    return {"roots": found.roots, "paths": found.paths, "left_out": found.left_out, **programs}


def _archive(files: Mapping[str, bytes]) -> bytes:
    """A zip whose bytes depend on the contents alone."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return stream.getvalue()


def _write(target: Path, files: Mapping[str, bytes]) -> None:
    """Writes a folder, whole or not at all; it takes the place of a damaged one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with appearing(target) as partial:
        partial.mkdir()
        partial.chmod(0o755)
        for name, content in files.items():
            (partial / name).write_bytes(content)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True).encode()


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_LENGTH]
