"""Messages of a trial: made plain where they are sent, checked where they are heard.

What a trial says is never trusted. The same rules hold on both sides: in the trial's process they
raise where the experiment made the mistake; in the driver they end the attempt, and nothing else.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from enum import Enum
from multiprocessing.connection import Connection
from numbers import Number
from pathlib import Path, PurePath
from typing import Any, cast

from raysearch.costs import COSTS
from raysearch.errors import BadSetting, described
from raysearch.texts import article, cut, encodable
from raysearch.trial.job import Message

LARGEST = 16 << 20
"""Bytes of a message at most: whatever is larger belongs into a file."""
MOST_STEPS = 2**63 - 1
"""The largest step that databases and MLflow can hold."""
MOST_PROGRESS = 2.0**53
"""Whole numbers up to here are exact as floats."""
LONGEST_TEXT = 2_000
LONGEST_TRACEBACK = 100_000
"""Characters of a message and of a traceback that are kept: their beginning and their end."""
_LONGEST_NAME = 1_000
_LONGEST_FILE, _LONGEST_PATH = 255, 4_000
"""Bytes that Linux takes: a path has 4095, and where it is kept is a little longer."""
_LARGEST_INTEGER = 10**1000
_MOST_FACTS = 1_000
_DEEPEST = 20
_LARGEST_ARRAY = 1_000
_PROGRESS = "progress/"
_MOST_COSTS = 100
_MOST_NODES = 10_000


class InvalidMessage(BadSetting, TypeError):
    """What a trial says cannot be taken: names the field, the rule and the value."""


def send(connection: Connection[Any, Any], message: Mapping[str, Any]) -> None:
    """Sends a message as JSON: what is not plain data cannot reach the other side."""
    content = json.dumps(message).encode()
    if len(content) > LARGEST:
        kind = message.get("kind")
        raise InvalidMessage(f"a {kind} must have at most {LARGEST} bytes, got {len(content)}")
    connection.send_bytes(content)


def receive(connection: Connection[Any, Any]) -> Message:
    """The next message.

    Raises:
        InvalidMessage: what came is none. EOFError, OSError: the other side is gone.
    """
    content = connection.recv_bytes(LARGEST)
    try:
        message = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InvalidMessage(f"a message must be JSON, got {len(content)} bytes: {error}") from None
    if not isinstance(message, dict) or not isinstance(message.get("kind"), str):
        raise InvalidMessage(f"a message must be an object with its kind, got {brief(message)}")
    return cast(Message, message)


# Values


def brief(value: object) -> str:
    """A value as a sentence shows it: cut, and of one whose `repr` raises its type."""
    try:
        text = repr(value)
    except Exception:
        text = f"{article(type(value).__name__)}"
    return text if len(text) <= 200 else f"{text[:160]} … ({len(text)} characters)"


def checked_step(step: object) -> int:
    """The step of a report: a whole number from 0 to 2^63 - 1, of whatever type."""
    value = _item(step)
    if not _is_whole(value):
        raise InvalidMessage(f"step must be a whole number, got {brief(step)}")
    if not 0 <= value <= MOST_STEPS:
        raise InvalidMessage(f"step must be from 0 to {MOST_STEPS}, got {brief(step)}")
    return int(value)


def checked_metrics(metrics: object) -> dict[str, float]:
    """The metrics of a report: a float for each name.

    What has one element, as a NumPy scalar or a tensor, is taken as a number. What counts progress
    must be finite, since a fidelity is made of it.
    """
    if not isinstance(metrics, Mapping):
        raise InvalidMessage(f"metrics must be a mapping of names to numbers, got {brief(metrics)}")
    found: dict[str, float] = {}
    for name, value in cast("Mapping[object, object]", metrics).items():
        _check_name("the name of a metric", name)
        number = _number(f"metric {brief(name)}", value)
        if str(name).startswith(_PROGRESS) and not 0 <= number <= MOST_PROGRESS:
            raise InvalidMessage(
                f"metric {brief(name)} must be a finite number from 0 to 2^53, got {number}"
            )
        found[str(name)] = number
    return found


def checked_costs(costs: object, metrics: Mapping[str, float]) -> dict[str, float]:
    """The costs of a report that has these metrics: finite numbers, by names such as `cost/hours`.

    None is the same as none at all.
    """
    if costs is None:
        return {}
    if not isinstance(costs, Mapping):
        raise InvalidMessage(f"costs must be a mapping of names to numbers, got {brief(costs)}")
    given = cast("Mapping[object, object]", costs)
    if len(given) > _MOST_COSTS:
        raise InvalidMessage(f"costs must be at most {_MOST_COSTS}, got {len(given)}")
    if given and not metrics:
        raise InvalidMessage("costs must be reported together with a metric, got costs alone")
    found: dict[str, float] = {}
    for name, value in given.items():
        _check_name("the name of a cost", name)
        if not str(name).startswith(COSTS) or name == COSTS or name in metrics:
            raise InvalidMessage(
                f"the name of a cost must begin with {COSTS} and be that of no metric, got "
                f"{brief(name)}"
            )
        number = _number(f"cost {brief(name)}", value)
        if not math.isfinite(number):
            raise InvalidMessage(f"cost {brief(name)} must be a finite number, got {number}")
        found[str(name)] = number
    return found


def checked_usage(usage: object) -> dict[str, float]:
    """What an attempt used, by names of costs: finite numbers."""
    return checked_costs(usage, {"step": 0.0})


def checked_nodes(nodes: object) -> list[str]:
    """The host names of the machines of an attempt, at least one."""
    found = cast("list[object]", nodes) if isinstance(nodes, list) else []
    if not 1 <= len(found) <= _MOST_NODES:
        raise InvalidMessage(f"nodes must be 1 to {_MOST_NODES} host names, got {brief(nodes)}")
    for name in found:
        _check_name("the name of a node", name)
    return [str(name) for name in found]


def checked_facts(facts: object) -> dict[str, Any]:
    """Facts as plain JSON: numbers, texts, paths, and small arrays, sets and mappings of them."""
    if not isinstance(facts, Mapping):
        raise InvalidMessage(f"facts must be a mapping of names to values, got {brief(facts)}")
    given = cast("Mapping[object, object]", facts)
    if len(given) > _MOST_FACTS:
        raise InvalidMessage(f"facts must be at most {_MOST_FACTS}, got {len(given)}")
    for name in given:
        _check_name("the name of a fact", name)
    return {str(name): _plain(f"fact {brief(name)}", value) for name, value in given.items()}


def checked_path(what: str, path: object, trial: Path) -> Path:
    """The place of a file in the folder of a trial, relative to it, however it is written.

    Symbolic links are followed on both sides: a folder of runs may be one.

    Raises:
        InvalidMessage: no path, or none below the folder of an attempt of this trial.
    """
    if not isinstance(path, (str, PurePath)) or "\0" in str(path):
        raise InvalidMessage(f"{what} must be a path, got {brief(path)}")
    try:
        inside = Path(path).resolve().relative_to(trial.resolve())
    except (ValueError, OSError, RuntimeError):
        inside = Path()
    if len(inside.parts) < 2:
        raise InvalidMessage(
            f"{what} must be written below session.folder, the folder of its attempt in "
            f"{brief(str(trial))}, got {brief(str(path))}"
        )
    names = [len(os.fsencode(name)) for name in (trial / inside).parts]
    if max(names) > _LONGEST_FILE or sum(names) + len(names) > _LONGEST_PATH:
        raise InvalidMessage(
            f"{what} must be a path of at most {_LONGEST_PATH} bytes, each name at most "
            f"{_LONGEST_FILE}, got {brief(str(path))}"
        )
    return inside


def is_file(path: object) -> bool:
    """Whether it is the path of a file that exists."""
    try:
        return isinstance(path, (str, PurePath)) and Path(path).is_file()
    except (ValueError, OSError):
        return False


def checked_artifact(name: object) -> str:
    """The name of an artifact: a relative path with a suffix or none, `figures/roc.png`."""
    _check_name("the name of an artifact", name)
    parts = PurePath(str(name)).parts
    if not parts or ".." in parts or PurePath(str(name)).is_absolute():
        raise InvalidMessage(
            f"the name of an artifact must be a relative path such as figures/roc.png, without "
            f"'..', got {brief(name)}"
        )
    return str(PurePath(*parts))


def _check_name(what: str, name: object) -> None:
    if not isinstance(name, str) or len(name) > _LONGEST_NAME or not _is_text(name):
        raise InvalidMessage(
            f"{what} must be a text of at most {_LONGEST_NAME} characters, got {brief(name)}"
        )


def _is_text(text: str) -> bool:
    """Whether a text can be stored anywhere: no NUL, and no half of a pair of surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def _item(value: object) -> Any:
    """The one element of a NumPy scalar, an array or a tensor; otherwise the value as it is."""
    take = getattr(value, "item", None)
    if take is None or isinstance(value, type):
        return value
    try:
        return take()
    except Exception:  # several elements, none, or a tensor without values
        return value


def _is_number(value: object) -> bool:
    return type(value) is not bool and isinstance(value, Number)


def _is_whole(value: Any) -> bool:
    """Whether it is a whole number, of whatever type: `2`, `2.0`, `Fraction(2)`, `Decimal(2)`."""
    try:
        return _is_number(value) and bool(value == int(value))
    except Exception:  # it is complex, not finite, or of a foreign type, which may raise anything
        return False


def _number(what: str, value: object) -> float:
    item = _item(value)
    try:
        if isinstance(item, (str, bytes, bytearray)):
            raise TypeError
        return float(item)
    except Exception as error:  # foreign types may raise anything
        is_one = hasattr(type(item), "__float__")
        why = f", which float() cannot convert: {described(error)}" if is_one else ""
        raise InvalidMessage(f"{what} must be a number, got {brief(value)}{why}") from None


def _plain(what: str, value: object, depth: int = 0) -> Any:
    """A value as JSON has it: what a library or Python made of a number or a text is taken off."""
    value = _item(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        plain = value.value if isinstance(value, Enum) else value
        if isinstance(plain, int) and abs(plain) > _LARGEST_INTEGER:
            raise InvalidMessage(f"{what} must be a number of at most 1000 digits")
        return cut(_text(plain), LONGEST_TEXT * 10) if isinstance(plain, str) else plain
    if isinstance(value, Enum):
        return _plain(what, value.value, depth)
    if isinstance(value, PurePath):
        return _text(str(value))
    if depth < _DEEPEST and isinstance(value, Mapping):
        pairs = cast("Mapping[object, object]", value).items()
        return {_text(str(key)): _plain(what, inner, depth + 1) for key, inner in pairs}
    listed = _listed(value)
    if depth < _DEEPEST and listed is not None:
        return [_plain(what, inner, depth + 1) for inner in listed]
    raise InvalidMessage(
        f"{what} must be plain data (numbers, texts, and lists and mappings of them), got "
        f"{brief(value)}"
    )


def _text(text: str) -> str:
    """A text that can be stored: undecodable bytes of file names and NULs are written out."""
    return encodable(text).replace("\0", "\\x00")


def _listed(value: object) -> Iterable[object] | None:
    """The elements of a sequence, a set, or a small array or tensor; None for anything else."""
    if isinstance(value, (list, tuple)):
        return cast("list[object]", value)
    if isinstance(value, (set, frozenset)):
        return sorted(cast("set[object]", value), key=repr)
    to_list, size = getattr(value, "tolist", None), getattr(value, "size", None)
    count = size() if callable(size) else size
    if to_list is None or not hasattr(value, "shape"):
        return None
    try:
        elements = math.prod(cast(Any, value).shape) if not isinstance(count, int) else count
        found = to_list() if elements <= _LARGEST_ARRAY else None
    except Exception:
        return None
    return found if isinstance(found, list) else None


# Messages as the driver takes them


def checked(message: Mapping[str, Any], trial: Path) -> Message:
    """A message of an attempt, each field as it must be; paths relative to the folder of a trial.

    Raises:
        InvalidMessage: the first field that cannot be taken.
    """
    kind = message.get("kind")
    if kind == "describe":
        return {"kind": kind, "facts": checked_facts(message.get("facts"))}
    if kind == "artifact":
        path = checked_path("artifact", message.get("path"), trial)
        return {"kind": kind, "name": checked_artifact(message.get("name")), "path": str(path)}
    if kind == "report":
        step, metrics = checked_step(message.get("step")), checked_metrics(message.get("metrics"))
        costs = checked_costs(message.get("costs"), metrics)
        fields = {"step": step, "metrics": metrics, **({"costs": costs} if costs else {})}
        return {"kind": kind, **fields, **_checkpoint(message, trial)}
    if kind == "usage":
        return {"kind": kind, "usage": checked_usage(message.get("usage"))}
    if kind == "placed":
        return {"kind": kind, "nodes": checked_nodes(message.get("nodes"))}
    if kind == "damaged":
        path = checked_path("checkpoint", message.get("path"), trial)
        text = cut(_text(str(message.get("what"))), LONGEST_TEXT)
        return {"kind": kind, "path": str(path), "what": text}
    if kind == "refused":
        step, metrics = checked_step(message.get("step")), checked_metrics(message.get("metrics"))
        text = cut(_text(str(message.get("message"))), LONGEST_TEXT)
        return {"kind": kind, "step": step, "metrics": metrics, "message": text}
    if kind == "end":
        fields = {
            name: str(message.get(name) or "") for name in ("outcome", "message", "traceback")
        }
        return {
            "kind": kind,
            "outcome": fields["outcome"],
            "message": cut(_text(fields["message"]), LONGEST_TEXT),
            "traceback": cut(_text(fields["traceback"]), LONGEST_TRACEBACK),
        }
    raise InvalidMessage(f"a message must be describe, artifact, report or end, got {brief(kind)}")


def _checkpoint(message: Mapping[str, Any], trial: Path) -> Message:
    """The checkpoint of a report, and what was measured of it, as far as that is sound."""
    checkpoint = message.get("checkpoint")
    if checkpoint is None:
        return {"checkpoint": None}
    found: Message = {"checkpoint": str(checked_path("checkpoint", checkpoint, trial))}
    size, sha256 = message.get("bytes"), message.get("sha256")
    if type(size) is int and 0 <= size <= MOST_STEPS:
        found["bytes"] = size
    if isinstance(sha256, str) and re.fullmatch(r"[0-9a-f]{64}", sha256):
        found["sha256"] = sha256
    with suppress(InvalidMessage):
        source = message.get("source")
        found["source"] = None if source is None else str(checked_path("", source, trial))
    return {**found, "copied": message.get("copied") is True}
