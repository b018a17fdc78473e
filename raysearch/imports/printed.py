"""Lines that a script prints, as patterns by which their numbers are read."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from raysearch.imports.source import text_of

_PRINTERS = ("info", "warning", "debug", "write", "log", "msg", "success")
"""Methods that print a text: of loggers, of tqdm, of a stream."""
_PERCENT = re.compile(r"%(?:\((\w+)\))?[-+ #0]*(?:\d+|\*)?(?:\.(?:\d+|\*))?([diouxXeEfFgGrsc%])")
_STEPS = ("epoch", "step", "global_step", "iteration", "iter", "it", "ep", "current_epoch", "rnd")
_HELD_OUT = re.compile(r"\b(val|valid|validation|dev|eval|test)\b", re.IGNORECASE)
_COMPLAINT = re.compile(r"stopping|not finite|\bnan\b|skipping", re.IGNORECASE)
"""Lines that are printed once something went wrong."""
_SHORT = {"valid": "val", "validation": "val"}


@dataclass(frozen=True)
class Line:
    """A pattern whose groups are the metrics, and the step if the line has it."""

    pattern: str
    metrics: tuple[str, ...]


@dataclass
class _Slot:
    """A value in a text: what it is called where it is computed, and here."""

    name: str
    group: str = ""


_Pieces = list["str | _Slot"]


def printed_lines(tree: ast.Module, is_metric: Callable[[str], bool]) -> Iterator[Line]:
    """The lines that have a metric, in the order of the source."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        is_print = isinstance(node.func, ast.Name) and node.func.id in ("print", "tqdm_write")
        is_method = isinstance(node.func, ast.Attribute) and node.func.attr in _PRINTERS
        if is_print or is_method:
            for pieces in _lines(_arguments(node, is_print)):
                found = _line(pieces, is_metric)
                if found is not None:
                    yield found


def _arguments(node: ast.Call, is_print: bool) -> _Pieces:
    if not is_print and len(node.args) > 1:
        first = node.args[0]
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            return _percent(first.value, node.args[1:])
    found: _Pieces = []
    for each in node.args if is_print else node.args[:1]:
        found += [*([" "] if found else []), *_pieces(each)]
    return found


def _pieces(node: ast.expr) -> _Pieces:
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.JoinedStr):
        return [piece for each in node.values for piece in _pieces(each)]
    if isinstance(node, ast.FormattedValue):
        return [_Slot(_name(node.value))]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        both = [*_pieces(node.left), *_pieces(node.right)]
        return both if any(isinstance(each, str) for each in both) else [_Slot(_name(node))]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod) and _is_text(node.left):
        values = node.right.elts if isinstance(node.right, ast.Tuple) else [node.right]
        return _percent(_joined(node.left), values)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr == "format" and _is_text(node.func.value):
            return _formatted(_joined(node.func.value), node)
    if isinstance(node, ast.Call) and text_of(node.func) == "str" and node.args:
        return _pieces(node.args[0])
    return [_Slot(_name(node))]


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _joined(node: ast.expr) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else ""


def _percent(text: str, values: Sequence[ast.expr]) -> _Pieces:
    found: _Pieces = []
    left, place = list(values), 0
    for match in _PERCENT.finditer(text):
        found.append(text[place : match.start()])
        place = match.end()
        if match[2] == "%":
            found.append("%")
        elif match[1]:
            found.append(_Slot(match[1]))
        else:
            found.append(_Slot(_name(left.pop(0)) if left else ""))
    return [*found, text[place:]]


def _formatted(text: str, call: ast.Call) -> _Pieces:
    found: _Pieces = []
    named = {each.arg: each.value for each in call.keywords}
    count = 0
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError:
        return [text]
    for before, key, _, _ in parts:
        found.append(before)
        if key is None:
            continue
        first = re.split(r"[.\[]", key)[0]
        place = int(first) if first.isdecimal() else count
        count += first == ""
        if first and not first.isdecimal():
            found.append(_Slot(_name(named[first]) if first in named else first))
        else:
            found.append(_Slot(_name(call.args[place]) if place < len(call.args) else ""))
    return found


def _name(node: ast.expr) -> str:
    """What a value is called: the last name of it, through calls, products and quotients.

    A sum or difference, as `1 - acc`, is another thing than what it is made of, unless it counts.
    """
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Subscript):
        key = node.slice
        is_text = isinstance(key, ast.Constant) and isinstance(key.value, str)
        return str(key.value) if isinstance(key, ast.Constant) and is_text else _name(node.value)
    if isinstance(node, ast.Attribute):
        return _name(node.value) if node.attr in ("avg", "val", "value", "data") else node.attr
    if isinstance(node, ast.Call):
        if node.args and isinstance(node.func, (ast.Name, ast.Attribute)):
            return _name(node.args[0])
        return _name(node.func.value) if isinstance(node.func, ast.Attribute) else ""
    if isinstance(node, ast.BinOp):
        name = _name(node.left) or _name(node.right)
        is_sum = isinstance(node.op, (ast.Add, ast.Sub))
        return "" if is_sum and name.lower() not in _STEPS else name
    return ""


def _lines(pieces: _Pieces) -> Iterator[_Pieces]:
    """The pieces of each line of a text."""
    line: _Pieces = []
    for piece in pieces:
        if isinstance(piece, _Slot):
            line.append(piece)
            continue
        first, *rest = re.split(r"[\n\r]", piece)
        line.append(first)
        for each in rest:
            yield line
            line = [each]
    yield line


def _line(pieces: _Pieces, is_metric: Callable[[str], bool]) -> Line | None:
    if _COMPLAINT.search(" ".join(piece for piece in pieces if isinstance(piece, str))):
        return None
    metrics = _named(pieces, is_metric)
    if not metrics:
        return None
    last = max(
        place for place, piece in enumerate(pieces) if isinstance(piece, _Slot) and piece.group
    )
    text = "".join(_pattern(piece) for piece in pieces[: last + 1])
    text = re.sub(r"^(\\s\+|\.\*\?)+", "", text).replace(r"\s+\s*", r"\s*")
    return Line(text, tuple(metrics))


def _pattern(piece: str | _Slot) -> str:
    if isinstance(piece, str):
        parts = re.split(r"(\s+)", piece)
        return "".join(r"\s+" if part.isspace() else re.escape(part) for part in parts)
    if not piece.group:
        return ".*?"
    number = r"\d+" if piece.group == "step" else r"[-+.\w]+"
    return rf"\s*(?P<{piece.group}>{number})"


def _named(pieces: _Pieces, is_metric: Callable[[str], bool]) -> list[str]:
    """Gives the slots their groups; returns the metrics."""
    whole = " ".join(piece for piece in pieces if isinstance(piece, str))
    held = _HELD_OUT.search(whole.replace("_", " "))
    label, used = "", set[str]()
    for place, piece in enumerate(pieces):
        if isinstance(piece, str):
            label = _label(piece) or label
            continue
        beside = (pieces[place - 1] if place else "", *pieces[place + 1 : place + 2])
        if any(isinstance(each, str) and each.strip() == "/" for each in beside):
            if "step" not in used and _is_step(piece.name, label, is_metric):
                piece.group = "step"
                used.add("step")
            continue  # so many of so many: a count
        group = _group(piece.name, label, held, is_metric)
        if group and group not in used:
            piece.group = group
            used.add(group)
    return [name for name in used if name != "step"]


def _group(
    name: str, label: str, held: re.Match[str] | None, is_metric: Callable[[str], bool]
) -> str:
    if _is_step(name, label, is_metric):
        return "step"
    found = next((each for each in (name, label) if is_metric(each)), "")
    if not found:
        return ""
    if held and not _HELD_OUT.search(found.replace("_", " ")) and "train" not in found.lower():
        split = held[1].lower()
        found = f"{_SHORT.get(split, split)}_{found}"
    return re.sub(r"\W+", "_", found).strip("_")


def _is_step(name: str, label: str, is_metric: Callable[[str], bool]) -> bool:
    return name.lower() in _STEPS or (label.rpartition("_")[2] in _STEPS and not is_metric(name))


def _label(text: str) -> str:
    """The words that stand right before a value."""
    last = re.split(r"[,;|()\[\]{}\t]", text.rstrip(" :=(\t"))[-1]
    words = re.findall(r"[A-Za-z][\w/@.-]*", last)
    return "_".join(words[-2:]).lower()
