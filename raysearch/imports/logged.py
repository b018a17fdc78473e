"""Metrics of a script, read from its source: keys that it logs, and numbers that it prints."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from raysearch.imports.printed import printed_lines
from raysearch.imports.source import dict_keys, in_small_letters, parsed, text_of
from raysearch.sweeps.sweep import Metric

_LESS = frozenset(
    "loss err error mse rmse mae nll ppl perplexity wer cer fid bpb bpc cost distance nmse "
    "regret eer rmsd".split()
)
_MORE = frozenset(
    "acc accuracy top1 top5 acc1 acc5 f1 auc auroc auprc map ap miou iou dice bleu rouge r2 psnr "
    "ssim score reward return precision recall ari ndcg mrr success sharpe kappa knn".split()
)
_HELD_OUT = {"val": 3, "valid": 3, "validation": 3, "dev": 3, "eval": 2, "test": 2, "train": -1}
_NO_METRIC = frozenset("epoch step steps iter iteration lr learning_rate time".split())
_SO_FAR = frozenset("best max min highest lowest".split())
_MOST_FILES = 200
_TEXT_OF_SELF = ("self", "fabric", "pl_module", "model")
"""Whose `log` takes a name first: Lightning's."""


@dataclass(frozen=True)
class Logged:
    """A metric that a script reports: how, and by which pattern it is read if it is printed."""

    metric: Metric
    source: str
    pattern: str | None = None
    has_direction: bool = True
    """Whether its name says in which direction it is better."""


def read_logged(script: Path, modules: Sequence[str] = ()) -> list[Logged]:
    """All that a script reports; if that is nothing, what the files that it imports log.

    Args:
        script: the script.
        modules: what it imports besides, as its configuration says.
    """
    found = _logged_by(script)
    if found or found is None:
        return found or []
    return [
        replace(each, source=f"{each.source}, in {os.path.relpath(file, script.parent)}")
        for file in _imported(script, modules)
        for each in _logged_by(file) or []
        if each.pattern is None  # what is printed there may be of another program
    ]


def _imported(script: Path, modules: Sequence[str]) -> list[Path]:
    """Files of one's own that a script imports, and that those import.

    Modules lie beside the script or in a folder above it, down from where one is.
    """
    here = Path.cwd()
    roots = [script.absolute().parent]
    while here in roots[-1].parents:
        roots.append(roots[-1].parent)
    found = [script.absolute()]
    found += [each for name in modules for root in roots for each in _module(root, name)]
    for file in found:  # it grows
        with suppress(LookupError, ValueError, OSError):
            for each in _files(parsed(file), file, roots):
                if each not in found and len(found) <= _MOST_FILES:
                    found.append(each)
    return found[1:]


def _files(tree: ast.Module, file: Path, roots: Sequence[Path]) -> Iterator[Path]:
    """The files of the modules that a source imports, also of names that are modules."""
    for node in ast.walk(tree):
        names: list[str] = []
        places = roots
        if isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                places = [file.parents[node.level - 1]] if node.level <= len(file.parents) else []
            parts = [node.module] if node.module else []
            names = [*parts, *(".".join([*parts, each.name]) for each in node.names)]
        for name in names:
            for root in places:
                yield from _module(root, name)


def _module(root: Path, name: str) -> list[Path]:
    """The file of a module below a folder, if it is there."""
    bare = root.joinpath(*name.split("."))
    files = (bare.with_name(f"{bare.name}.py"), bare / "__init__.py") if bare.name else ()
    return [each for each in files if each.is_file()]


def _logged_by(file: Path) -> list[Logged] | None:
    """What one file reports; None where it cannot be read."""
    try:
        return logged_in(parsed(file))
    except (LookupError, ValueError, OSError):
        return None


def logged_in(tree: ast.Module) -> list[Logged]:
    """All that a source reports, each name once: logged ones before printed ones."""
    found: dict[str, Logged] = {}
    for name, source in _keys(tree):
        if name.lower() not in _NO_METRIC:
            found.setdefault(name, _logged(name, source, None))
    for line in printed_lines(tree, is_metric):
        for name in line.metrics:
            found.setdefault(name, _logged(name, "what it prints", line.pattern))
    return list(found.values())


def choose(logged: Sequence[Logged]) -> Logged:
    """The one to search by: held-out before trained on, now before best so far, then score."""

    def rank(each: Logged) -> tuple[bool, int, bool, bool]:
        words = _words(each.metric.name)
        held = max((_HELD_OUT[word] for word in words if word in _HELD_OUT), default=0)
        return each.has_direction, held, not words & _SO_FAR, not words & _LESS

    return max(logged, key=rank)


def patterns_for(name: str, logged: Sequence[Logged]) -> tuple[str, ...]:
    """By which patterns a metric is read; none if it is logged, or not known to be printed."""
    found = [each.pattern for each in logged if each.metric.name in (name, name.replace("/", "_"))]
    return tuple(pattern for pattern in found if pattern is not None)


def is_metric(name: str) -> bool:
    """Whether a name says how good something is."""
    return bool(_words(name) & (_LESS | _MORE))


def _logged(name: str, source: str, pattern: str | None) -> Logged:
    words = _words(name)
    less = bool(words & _LESS)
    more = bool(words & _MORE)
    direction = "maximize" if more and not less else "minimize"
    return Logged(Metric(name, direction), source, pattern, less or more)


def _words(name: str) -> set[str]:
    return set(re.split(r"[^a-z0-9]+", in_small_letters(name)))


def _keys(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Names that calls of loggers are given, and the call."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = text_of(node.func.value)
            for name in _of_call(node, node.func.attr, owner, tree):
                yield name, f"{owner}.{node.func.attr}"


def _of_call(node: ast.Call, called: str, owner: str, tree: ast.Module) -> list[str]:
    first = node.args[0] if node.args else None
    if called == "report" and owner == "raysearch" and len(node.args) > 1:
        return dict_keys(node.args[1], tree)
    if first is None:
        return []
    if called in ("add_scalar", "scalar", "log_metric"):
        return _constant(first)
    if called == "log" and owner.split(".")[0] in _TEXT_OF_SELF and _constant(first):
        return _constant(first)
    if called in ("log", "log_dict", "log_metrics"):
        return dict_keys(first, tree)
    return []


def _constant(node: ast.expr) -> list[str]:
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []
