"""Texts that people, trials and libraries wrote, made safe to show: escaped, on a line, cut."""

from __future__ import annotations

import re

CELL = 40
"""Letters of a name or a value in a table or a line; `--json` and `--csv` have all of them."""
SENTENCE = 500
"""Letters of a message that is kept or shown."""

_CONTROL = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
_INVISIBLE = (
    "\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"
)
_SURROGATES = "\ud800-\udfff"
_COLOUR = r"\x1b\[[0-9;:]*m"
_LINE = re.compile(f"[\t\n\r{_CONTROL}{_INVISIBLE}{_SURROGATES}]")
_BLOCK = re.compile(f"[{_CONTROL}{_INVISIBLE}{_SURROGATES}]")
_LOG = re.compile(f"({_COLOUR})|[{_CONTROL}{_INVISIBLE}{_SURROGATES}]")
_LONE = re.compile(f"[{_SURROGATES}]")


def visible(text: object) -> str:
    """A text in which nothing moves the cursor, turns letters round or ends the line.

    Control characters, line ends, invisible ones and those that change the direction of writing
    are spelt out, such as `\\x1b`; of a file name that is no UTF-8, each byte that is not.
    """
    return _LINE.sub(_spelt, str(text))


def block(text: str, *, colours: bool = False) -> str:
    """Several lines, made safe like `visible`, but with their line ends and tabs.

    With `colours` those that a log has are kept, and end with it.
    """
    if not colours:
        return _BLOCK.sub(_spelt, text)
    found = _LOG.sub(lambda match: match[1] or _spelt(match), text)
    return f"{found}\x1b[0m" if "\x1b[" in found else found


def encodable(text: str) -> str:
    """The text as it is, but that UTF-8 can write it: half characters are spelt out."""
    return _LONE.sub(_spelt, text)


def one_line(text: object, most: int = SENTENCE) -> str:
    """A message on one line, of at most so many letters: spaces and line ends become one space."""
    shown = str(text)
    if len(shown) > 8 * most:  # what is cut anyway is not looked at
        shown = f"{shown[: 4 * most]} {shown[-4 * most :]}"
    return cut(visible(" ".join(shown.split())), most)


def cut(text: str, most: int = CELL) -> str:
    """At most so many letters; of a longer text two thirds from its beginning, the rest its end."""
    if len(text) <= most:
        return text
    tail = most // 3
    return f"{text[: most - tail - 1]}…{text[len(text) - tail :]}"


def shown(value: object, most: int = CELL) -> str:
    """A value as a table or a line has it: four significant digits, or at most so many letters."""
    if isinstance(value, float):
        return f"{value:.4g}"
    text = str(value)
    return cut(visible(text if len(text) <= 2 * most else cut(text, 2 * most)), most)


def shown_value(value: object) -> str:
    """A value of a parameter as a table or a line has it: an empty text can be seen."""
    return "''" if value == "" else shown(value)


def article(name: str) -> str:
    """A name with its article: `a list`, `an object`."""
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def plural(count: int, one: str, many: str = "") -> str:
    """`1 trial`, `3 trials`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def decimals(value: float) -> str:
    """A measured number: four decimals, or four digits where those would say too little."""
    is_usual = value == 0 or 0.001 <= abs(value) < 1e6
    return f"{value:.4f}" if is_usual else f"{value:.4g}"


def _spelt(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte that Python could not decode (PEP 383)
        return f"\\x{code - 0xDC00:02x}"
    return match[0].encode("unicode_escape").decode("ascii")
