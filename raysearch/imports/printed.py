"""Lines that a script prints, as patterns by which their numbers are read."""

from __future__ import annotations

import ast
import re
import string
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from raysearch.imports.source import in_small_letters, last_of, text_of, value_of

_NAMES = ("print", "tqdm_write", "echo", "secho", "rprint", "print0", "print_rank_0")
"""Functions that print: also those of click and rich."""
_METHODS = ("print", "echo", "secho", "write")
"""Methods that print, and nothing before it: of click, tqdm, an accelerator, a console."""
_LOGGERS = ("info", "warning", "debug", "log", "msg", "success")
_MARKUP = re.compile(r"\[/?[a-z#@][^\]]*\]|\[/\]")
"""Styles in a text that rich prints."""
_PERCENT = re.compile(r"%(?:\((\w+)\))?[-+ #0]*(?:\d+|\*)?(?:\.(?:\d+|\*))?([diouxXeEfFgGrsc%])")
_STEPS = ("epoch", "step", "global_step", "iteration", "iter", "it", "ep", "current_epoch", "rnd")
_SPLIT = re.compile(r"\b(train|training|val|valid|validation|dev|eval|test)\b", re.IGNORECASE)
_PHASES = ("phase", "split", "stage", "mode", "subset", "partition")
"""What a value is called that says on which split the others of its line were measured."""
_ANY_HELD_OUT = r"(?i:val\w*|dev|eval\w*|test\w*)"
_SAME = frozenset(
    "float int str round format mean average sum item cpu detach numpy tolist compute result "
    "get squeeze".split()
)
"""Calls by which a value stays what it is, or becomes its mean; another one makes another."""
_COMPLAINT = re.compile(r"stopping|not finite|\bnan\b|skipping", re.IGNORECASE)
"""Lines that are printed once something went wrong."""
_SHORT = {"valid": "val", "validation": "val", "training": "train"}
_BEGIN = r"^\s*"
_NUMBER = r"[-+]?(?:[.\d][-+.\w]*|nan|inf)"


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
    """The lines that have a metric, in the order of the source.

    Lines without words are told apart by their shape alone: one that others have is none.
    """
    printed = list(_printed(tree))
    shapes = Counter(_shape(pieces) for pieces, _ in printed)
    for pieces, is_whole in printed:
        found = _line(pieces, is_metric, is_whole and shapes[_shape(pieces)] == 1)
        if found is None:
            continue
        others = [each for each in shapes if each != _shape(pieces)]
        if is_whole and any(re.search(found.pattern, each.replace("\0", "1")) for each in others):
            # It also stands within another line, as `acc 1` does in `train acc 1`.
            found = replace(found, pattern=_BEGIN + found.pattern.removeprefix(_BEGIN))
        yield found


def _printed(tree: ast.Module) -> Iterator[tuple[_Pieces, bool]]:
    """Each line, and whether nothing else can stand in it, such as the time before a log."""
    styled = {
        each.asname or each.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "rich"
        for each in node.names
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        owner, _, called = text_of(node.func).rpartition(".")
        is_named = isinstance(node.func, ast.Name) and called in _NAMES
        is_method = isinstance(node.func, ast.Attribute) and called in _METHODS
        is_log = isinstance(node.func, ast.Attribute) and called in _LOGGERS
        if not (is_named or is_method or is_log):
            continue
        pieces = _logged(node) if is_log else _arguments(node)
        if owner.endswith("console") or called in styled or owner in styled:
            pieces = [_MARKUP.sub("", each) if isinstance(each, str) else each for each in pieces]
        is_whole = not is_log and not any(each.arg == "end" for each in node.keywords)
        for line in _lines(pieces):
            yield line, is_whole


def _shape(pieces: _Pieces) -> str:
    """A line with a mark for each value."""
    text = "".join(piece if isinstance(piece, str) else "\0" for piece in pieces)
    return " ".join(text.split())


def _logged(node: ast.Call) -> _Pieces:
    """What a logger is given: a text, with the values of its places behind it."""
    first, rest = node.args[0], node.args[1:]
    if not rest or not isinstance(first, ast.Constant) or not isinstance(first.value, str):
        return _pieces(first)
    if "{" in first.value and not _PERCENT.search(first.value):
        return _formatted(first.value, ast.Call(node.func, rest, node.keywords))
    return _percent(first.value, rest)


def _arguments(node: ast.Call) -> _Pieces:
    """What is printed; nothing where it is not known what stands between the values."""
    given = next((each.value for each in node.keywords if each.arg == "sep"), ast.Constant(" "))
    between = " " if isinstance(given, ast.Constant) and given.value is None else value_of(given)
    if len(node.args) > 1 and not isinstance(between, str):
        return []
    found: _Pieces = []
    for each in node.args:
        found += [*([between] if found else []), *_pieces(each)]
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
    """What a value is called: the last name of it, through means, products and quotients.

    A function of it, as `exp(loss)`, or a difference, as `1 - acc`, is another thing than what it
    is made of, unless it counts; a function has its own name.
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
        return _name_of_call(node)
    if isinstance(node, ast.BinOp):
        if isinstance(node.op, ast.Mult):
            return _name(node.left) or _name(node.right)
        name = _name(node.left)
        is_sum = isinstance(node.op, (ast.Add, ast.Sub))
        name = name or (_name(node.right) if is_sum else "")
        return name if isinstance(node.op, ast.Div) or name.lower() in _STEPS else ""
    return ""


def _name_of_call(node: ast.Call) -> str:
    called = last_of(node)
    if called not in _SAME:
        return called
    if called == "get" and node.args:
        key = value_of(node.args[0])
        return key if isinstance(key, str) else ""
    owner = node.func.value if isinstance(node.func, ast.Attribute) else None
    if owner is not None and called not in ("format", "round") and not _is_module(owner):
        return _name(owner)
    return _name(node.args[0]) if node.args else ""


def _is_module(node: ast.expr) -> bool:
    return text_of(node) in ("np", "numpy", "torch", "jnp", "tf", "statistics", "math", "builtins")


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


def _line(pieces: _Pieces, is_metric: Callable[[str], bool], is_alone: bool) -> Line | None:
    if _COMPLAINT.search(" ".join(piece for piece in pieces if isinstance(piece, str))):
        return None
    metrics = _named(pieces, is_metric)
    if not metrics:
        return None
    places = [
        place for place, piece in enumerate(pieces) if isinstance(piece, _Slot) and piece.group
    ]
    first = next(each for each in places if _group_at(pieces, each) != "step")
    before = pieces[:first]
    if not any(_has_words(piece) for piece in before):
        return _whole(pieces, metrics) if is_alone else None
    end = len(pieces) if _split_behind(pieces) else places[-1] + 1
    text = "".join(_pattern(piece) for piece in pieces[:end])
    text = re.sub(r"^(\\s\+|\.\*\?)+", "", text).replace(r"\s+\s*", r"\s*")
    return Line(text, tuple(metrics))


def _group_at(pieces: _Pieces, place: int) -> str:
    piece = pieces[place]
    return piece.group if isinstance(piece, _Slot) else ""


def _has_words(piece: str | _Slot) -> bool:
    """Whether it says what a line is: a word, or a split."""
    if isinstance(piece, str):
        return re.search(r"[^\W\d_]{2}|[^\W\d_]\s*[=:]", piece) is not None
    return piece.name.lower() in _PHASES


def _whole(pieces: _Pieces, metrics: list[str]) -> Line:
    """A line of values alone, from its beginning to its end."""
    text = "".join(
        _NUMBER if isinstance(piece, _Slot) and not piece.group else _pattern(piece)
        for piece in pieces
    )
    text = re.sub(r"^(\\s[+*])+|(\\s[+*])+$", "", text).replace(r"\s+\s*", r"\s+")
    return Line(rf"{_BEGIN}{text}\s*$", tuple(metrics))


def _pattern(piece: str | _Slot) -> str:
    if isinstance(piece, str):
        parts = re.split(r"(\s+)", piece)
        return "".join(r"\s+" if part.isspace() else re.escape(part) for part in parts)
    if not piece.group:
        return _ANY_HELD_OUT if piece.name.lower() in _PHASES else ".*?"
    number = r"\d+" if piece.group == "step" else r"[-+.\w]+"
    return rf"\s*(?P<{piece.group}>{number})"


def _named(pieces: _Pieces, is_metric: Callable[[str], bool]) -> list[str]:
    """Gives the slots their groups; returns the metrics."""
    label, split, base = "", _split_behind(pieces), ""
    used: dict[str, None] = {}
    for place, piece in enumerate(pieces):
        if isinstance(piece, str):
            label = _label(piece) or label
            split = _split(piece) or split
            continue
        if piece.name.lower() in _PHASES:
            split = "val"
            continue
        beside = (pieces[place - 1] if place else "", *pieces[place + 1 : place + 2])
        if any(isinstance(each, str) and each.strip() == "/" for each in beside):
            if "step" not in used and _is_step(piece.name, label, is_metric):
                piece.group = "step"
                used["step"] = None
            continue  # so many of so many: a count
        if _is_split(label) and base and not is_metric(piece.name) and not _is_step_name(piece):
            group = f"{_split(label)}_{base}"  # as in `loss 0.5 val 0.4`
        else:
            group = _group(piece.name, label, split, is_metric)
        if group != "step" and group:
            base = re.sub(r"^(train|val|dev|eval|test)_", "", group)
        if group and group not in used:
            piece.group = group
            used[group] = None
    return [name for name in used if name != "step"]


def _group(name: str, label: str, split: str, is_metric: Callable[[str], bool]) -> str:
    """What a value is: by its name and the words before it, which say on which split it is."""
    if _is_step(name, label, is_metric):
        return "step"
    found = next((each for each in (name, label) if is_metric(each)), "")
    if not found or (not _split(name) and len(_splits(label)) > 1):
        return ""  # `train/val loss 0.5 0.4`: which it is only the place says
    if not _split(found):
        own = _split(label)
        if own or split != "train":
            found = "_".join(filter(None, (own or split, found)))
    return re.sub(r"\W+", "_", found).strip("_")


def _split(text: str) -> str:
    """The split that is named last in a text."""
    return next(reversed(_splits(text)), "")


def _splits(text: str) -> list[str]:
    plain = re.sub(r"([a-z])([A-Z])", r"\1 \2", text).replace("_", " ")
    found = [match[0].lower() for match in _SPLIT.finditer(plain)]
    return [_SHORT.get(each, each) for each in found]


def _split_behind(pieces: _Pieces) -> str:
    """The split that only the end of a line names: `loss 0.5 (validation)`."""
    texts = [piece for piece in pieces if isinstance(piece, str)]
    is_last = bool(pieces) and isinstance(pieces[-1], str)
    return _split(texts[-1]) if is_last and not any(map(_split, texts[:-1])) else ""


def _is_split(label: str) -> bool:
    return _SPLIT.fullmatch(label) is not None


def _is_step_name(piece: _Slot) -> bool:
    return piece.name.lower() in _STEPS


def _is_step(name: str, label: str, is_metric: Callable[[str], bool]) -> bool:
    return name.lower() in _STEPS or (label.rpartition("_")[2] in _STEPS and not is_metric(name))


def _label(text: str) -> str:
    """The words that stand right before a value."""
    last = re.split(r"[,;|()\[\]{}\t]", text.rstrip(" :=(\t"))[-1]
    words = re.findall(r"[A-Za-z][\w/@.-]*", last)
    return in_small_letters("_".join(words[-2:]))
