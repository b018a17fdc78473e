"""Bodies of events as text: strict JSON from which every number comes back exactly."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from raysearch.errors import WrongState

_MARKED = re.compile(r"_*__(nan|inf|-inf|int:-?\d+|text:[\x00-\x7f]*)__")
_ODD_KEY = re.compile(r"_*__text:[\x00-\x7f]*__")
_HALF = re.compile(r"\\ud[89a-f]")
"""Half of a pair in JSON: of a character beyond 16 bits, or of a file name that is no text."""
_LONG = re.compile(r"\d{19}")
_INTEGERS = range(-(1 << 63), 1 << 63)
"""The whole numbers that `orjson` reads exactly."""


def encode(body: Mapping[str, Any]) -> str:
    """Compact JSON; what JSON lacks, or some reader of it, as a marked word.

    A non-finite float is `__nan__`, a whole number beyond 64 bits `__int:…__`, a text that is no
    Unicode, as of an undecodable file name, `__text:…__` with escapes. A text that looks like one
    gets a further `_` in front, which `decode` takes off.
    """
    try:
        text = json.dumps(body, separators=(",", ":"), allow_nan=False)
    except ValueError:
        text = ""
    if not text or '"__' in text or _LONG.search(text) or _HALF.search(text):
        text = json.dumps(_marked(body), separators=(",", ":"), allow_nan=False)
    return text


def decode(text: str) -> dict[str, Any]:
    """The body that `encode` wrote."""
    body = _loads(text)
    return _unmarked(body) if '"__' in text else body


def decode_all(texts: Sequence[str]) -> list[dict[str, Any]]:
    """Many bodies at once: faster than one by one. Raises ValueError if one is not one."""
    whole = f"[{','.join(texts)}]"
    bodies = _loads(whole)
    if len(bodies) != len(texts):
        raise WrongState("one of the bodies is several")
    return [_unmarked(body) for body in bodies] if '"__' in whole else bodies


def _loads(text: str) -> Any:
    """JSON, half characters too: Python writes a file name that is no UTF-8 with them."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if "surrogate" not in str(error):
            raise
        return json.loads(text)


def _marked(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return f"__{value}__"
    if isinstance(value, int) and value not in _INTEGERS:
        return f"__int:{value}__"
    if isinstance(value, str):
        return _marked_text(value, _MARKED)
    if isinstance(value, Mapping):
        return {
            _marked_text(key, _ODD_KEY) if isinstance(key, str) else key: _marked(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_marked(item) for item in value]
    return value


def _marked_text(text: str, marks: re.Pattern[str]) -> str:
    if marks.fullmatch(text):
        return f"_{text}"
    try:
        text.encode()
    except UnicodeEncodeError:
        return f"__text:{text.encode('unicode_escape').decode('ascii')}__"
    return text


def _unmarked(value: Any) -> Any:
    if isinstance(value, str):
        match = _MARKED.fullmatch(value)
        if match is None:
            return value
        if value.startswith("___"):
            return value[1:]
        kind, _, rest = match[1].partition(":")
        if kind == "text":
            return rest.encode().decode("unicode_escape")
        return int(rest) if kind == "int" else float(kind)
    if isinstance(value, dict):
        return {
            _unmarked(key) if _ODD_KEY.fullmatch(key) else key: _unmarked(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_unmarked(item) for item in value]
    return value
