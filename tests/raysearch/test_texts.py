"""Whatever was written is shown as text: on its line, cut, with nothing in it that acts."""

from __future__ import annotations

import math
import unicodedata
from typing import Any

import pytest

from raysearch.errors import described, sentence
from raysearch.texts import (
    CELL,
    SENTENCE,
    article,
    block,
    cut,
    decimals,
    encodable,
    one_line,
    shown,
    shown_value,
    visible,
)
from raysearch.trial.session import formatted
from tests.raysearch.odd import ODD


def test_a_value_that_is_empty_is_seen_and_a_type_has_its_article() -> None:
    assert [shown_value(one) for one in ("", "a", 0.1, None)] == ["''", "a", "0.1", "None"]
    assert [article(one) for one in ("object", "int", "list")] == ["an object", "an int", "a list"]


each_odd = pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())


def acts(text: str) -> list[str]:
    """The characters that no terminal should get: control, direction, half ones (Unicode)."""
    harmless = "\u200c\u200d"  # joiners, without which emoji and Persian fall apart
    kinds = ("Cc", "Cf", "Cs", "Zl", "Zp")
    return [c for c in text if unicodedata.category(c) in kinds and c not in harmless]


@each_odd
def test_what_is_visible_holds_nothing_that_acts(text: str) -> None:
    assert acts(visible(text)) == []
    assert set(acts(block(text))) <= {"\n", "\r", "\t"}
    assert acts(one_line(text)) == [] == acts(shown(text))
    encodable(text).encode()


@each_odd
def test_what_is_shown_has_its_length(text: str) -> None:
    assert len(shown(text)) <= CELL
    assert len(one_line(text)) <= SENTENCE


def test_plain_letters_stay_as_they_are() -> None:
    for text in ("größe → π …", "[cls] $x$ <b>", "日本語", "👩‍💻"):
        assert visible(text) == text == one_line(text) == block(text)


def test_a_byte_of_a_file_name_that_is_no_utf_8_is_spelt_out() -> None:
    assert visible("caf\udce9.jpg") == r"caf\xe9.jpg" == encodable("caf\udce9.jpg")


@pytest.mark.parametrize("most", [1, 2, 3, 4, 10, 40])
def test_a_cut_text_has_its_beginning_its_end_and_the_length(most: int) -> None:
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 41)))
    found = cut(text, most)
    head, _, tail = found.partition("…")
    assert len(found) == most and text.startswith(head) and text.endswith(tail)
    assert cut(text, 41) == text


def test_colours_of_a_log_stay_and_end_with_it_where_they_are_wanted() -> None:
    assert block("\x1b[31mred\x1b[2J", colours=True) == "\x1b[31mred\\x1b[2J\x1b[0m"
    assert block("\x1b[31mred") == "\\x1b[31mred"


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Leaving(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)

    __repr__ = __str__


class Numb(Exception):
    def __str__(self) -> str:
        return 3  # type: ignore[return-value]


def caused(error: Exception, *causes: Exception) -> Exception:
    for one, other in zip((error, *causes), causes, strict=False):
        one.__cause__ = other
    return error


def noted(error: Exception, note: str) -> Exception:
    error.add_note(note)
    return error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("\n\nError(s) in loading:\n\tsize mismatch for head"),
         "RuntimeError: Error(s) in loading: size mismatch for head"),
        (FileNotFoundError("cannot read caf\udce9.jpg"),
         r"FileNotFoundError: cannot read caf\xe9.jpg"),
        (ValueError("a\0b\x1b[31mred"), r"ValueError: a\x00b\x1b[31mred"),
        (Mute("in block", 3), "Mute: Mute('in block', 3)"),
        (Mute(), "Mute"), (Leaving(Leaving()), "Leaving"), (Numb(), "Numb"),
        (StopIteration(), "StopIteration"), (KeyError("lr"), "KeyError: lr"),
        (KeyError(("a", 1)), "KeyError: ('a', 1)"), (LookupError("a", 1), "LookupError: ('a', 1)"),
        (ExceptionGroup("several", [ValueError("one"), TypeError("two")]),
         "ExceptionGroup: several (2 sub-exceptions): ValueError: one; TypeError: two"),
        (caused(RuntimeError("top"), ValueError("middle"), OSError("root")),
         "RuntimeError: top (because of OSError: root)"),
        (noted(ValueError("nan"), "in layer 3\nof it"), "ValueError: nan: in layer 3 of it"),
        (FileNotFoundError("no images below [/data/imagenet/train]"),
         "FileNotFoundError: no images below [/data/imagenet/train]"),
    ],
)  # fmt: skip
def test_what_an_exception_says_is_kept(error: Exception, said: str) -> None:
    assert described(error) == said


@each_odd
def test_any_message_is_one_line_of_bounded_length_that_can_be_written(text: str) -> None:
    for error in (ValueError(text), Mute(text), ExceptionGroup("g", [KeyError(text)] * 50)):
        assert len(described(error)) <= SENTENCE and acts(described(error)) == []
        assert acts(sentence(error)) == []
        formatted(error).encode()


def test_of_a_long_message_the_end_is_kept_and_the_cause() -> None:
    long = described(caused(ValueError("begin " + "y " * 10**6 + " end"), OSError("root")))
    assert long.startswith("ValueError: begin y") and long.endswith(
        "end (because of OSError: root)"
    )
    assert len(formatted(ValueError("x" * 10**6))) <= 100_000


def test_causes_that_go_round_in_a_circle_end() -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    assert described(one).startswith("ValueError: one")


def test_a_traceback_that_cannot_be_formatted_is_told_all_the_same() -> None:
    odd: Any = ("f.py", "three", object(), 7)
    error = SyntaxError("bad", odd)
    assert "SyntaxError" in formatted(error)


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.0, "0.0000"), (0.5, "0.5000"), (-0.001, "-0.0010"), (3.21e-5, "3.21e-05"), (1e38, "1e+38"),
     (999999.0, "999999.0000"), (math.inf, "inf"), (math.nan, "nan")],
)  # fmt: skip
def test_a_measured_number_says_something_whatever_its_size(value: float, said: str) -> None:
    assert decimals(value) == said
