"""Overrides: what Hydra reads is kept as it is, what it refuses is one sentence."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import (
    ChoiceSweep,
    Glob,
    IntervalSweep,
    Override,
    QuotedString,
    RangeSweep,
)
from hydra.errors import HydraException

from raysearch.errors import BadSetting
from raysearch.imports.hydra_overrides import range_values, read_override

PARSER = OverridesParser.create()
SIGNS = {"": "", "+": "ADD", "++": "FORCE_ADD", "~": "DEL"}
LINES = (
    r"""
a=1|a=-10|a=1_000|a=+3|a=1.5|a=.5|a=5.|a=1e-3|a=-1E+4|a=inf|a=nan|a=-inf|a=info|a=nano
a=true|a=FALSE|a=truely|a=null|a=Null|a=nulls|a=|a= 1|a=abc|a=a b c|a=foo-bar_10|a=10-5|a=1a
a=resnet18|a=/path/to/file.txt|a=50%|a=user@host|a=x*y|a=a:b:c|a=12:30|a=1 2|a=a.b.c|a=-|a=v1.0-rc
a='one, two'|a="x=y"|a='it\'s'|a="say \"hi\""|a='back\\'|a="\\\\"|a=''|a='a\\\'b'|a=\,b|a=a\ b|a=\\
a=1,2,3|a=1e-3,1e-2|a=x,'y z',null,true|a= 1 , 2 |a=[1,2],[3]|a=[]|a=[1, a, 'b c', [2]]
a={}|a={x:1,y:[2,z]}
a=choice(1,2,3)|a=choice(a)|a=choice( a , 'b,c' )|a=range(5)|a=range(1,5)
a=range(1,10,3)|a=range(0,1,0.25)
a=range(5,0,-1)|a=range(start=1,stop=4)|a=range(1,5,step=2)|a=range(0.1,0.5,0.1)|a=range(1.0,4)
a=interval(0,1)|a=interval(1e-4,1e-1)|a=int(interval(1,9))|a=tag(log,interval(0.01,1))
a=tag(log, int(interval(1, 64)))|a=tag(x,y,choice(1,2))|a=tag(log,sweep=interval(0,1))
a=sort(3,1,2)|a=sort(3,1,2,reverse=true)|a=sort(choice(b,a))|a=sort(range(5,1,-2))|a=sort(range(1,5),reverse=true)
a=int(3.9)|a=int('7')|a=float(3)|a=str(1,2)|a=str(true)|a=bool(0)|a=bool('False')|a=float(range(1,4))|a=int(1.5,2.5)
a=int([1.5,2.5])|a=float({x:1})|a=str(choice(1,true))|a=glob(*)|a=glob([a*,b*],exclude=ab)|a=glob(include=x)
a.b.c=1|a_b-c=1|$a=1|a/b=x|a@b.c=x|+a=1|++a.b=2|~a|~a=1|a.0.b=3|a=${x.y}|a=pre_${x}_post
a=choice()|a=foo(1)|a=range(a)|a=interval(1)|a=1,|a=(1)|a=[1|a='x|a=x=y|a==1|a|a=f(
a=range(1,5|a=tag(1,interval(0,1))|a=tag(log,5)|a=bool(maybe)|a=int(x)|a=a(b|a=b)c|a=!|a=x#y
a=str(interval(0,1))|a=range(0,1,step=0.5,1)|a={a:1,b}|a={1:2}|a=,1|a=~b|a=[a,]|a=choice(1,,2)|a b=1
""".strip()
    .replace("\n", "|")
    .split("|")
)


def theirs(text: str) -> Override | None:
    """What Hydra reads; None if it refuses."""
    try:
        return PARSER.parse_overrides([text])[0]
    except (HydraException, AssertionError):
        return None


def ours(text: str) -> Any:
    """What we read; None if it is refused, in one sentence."""
    try:
        return read_override(text)
    except BadSetting as error:
        assert repr(text) in str(error) and "\n" not in str(error) and "https:" not in str(error)
        return None


@pytest.mark.parametrize("text", LINES)
def test_an_override_is_read_as_hydra_reads_it(text: str) -> None:
    found, expected = ours(text), theirs(text)
    assert (found is None) == (expected is None)
    if expected is None:
        return
    assert (found.key, found.package) == (expected.key_or_group, expected.package)
    assert expected.type.name == (SIGNS[found.sign] or "CHANGE")
    job = _job(found.value)
    if isinstance(found.value, (ChoiceSweep, RangeSweep)):
        assert job == list(expected.sweep_iterator(_as_it_is))
    elif not isinstance(found.value, (IntervalSweep, Glob)):
        assert repr(job) == repr(expected.value())


def _job(value: Any) -> Any:
    if isinstance(value, ChoiceSweep):
        return value.list
    return list(range_values(value)) if isinstance(value, RangeSweep) else value


def _as_it_is(value: Any) -> Any:
    """Each element of a choice as a job of Hydra's has it: quoted texts without their quotes."""
    if isinstance(value, list):
        return [_as_it_is(each) for each in value]
    return value.text if isinstance(value, QuotedString) else value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=1_000", 1000),
        ("a=1e-3", 0.001),
        ("a='x, y'", "x, y"),
        ("a=1a", "1a"),
        ("a=", ""),
        ("a=[1,'b c',[2]]", [1, "b c", [2]]),
        ("a={x:1,y:['z']}", {"x": 1, "y": ["z"]}),
        ("a=x,'y z',null,true", ["x", "y z", None, True]),
        ("a=range(0,1,0.25)", [0.0, 0.25, 0.5, 0.75]),
        ("a=sort(3,1,2,reverse=true)", [3, 2, 1]),
        ("a=float(range(1,4))", [1.0, 2.0, 3.0]),
    ],
)
def test_values_are_plain(text: str, value: Any) -> None:
    assert _job(read_override(text).value) == value


def test_intervals_and_globs_are_kept() -> None:
    interval = read_override("a=tag(log, int(interval(1, 64)))").value
    assert (interval.start, interval.end, interval.tags) == (1, 64, {"log"})
    assert type(interval.start) is int
    glob = read_override("a=glob([a*,b*],exclude=ab)").value
    assert glob.filter(["ab", "ac", "ba", "c"]) == ["ac", "ba"]


def test_random_overrides_are_read_or_refused_in_a_sentence() -> None:
    rng = random.Random(7)
    pieces = ["1", "2.5", "1e-3", "abc", "x-y", "true", "null", "'q s'", '"d"', "[", "]", "(", ")"]
    pieces += ["{", "}", ":", ",", " ", "=", "\\,", "\\\\", "choice(", "range(", "interval(", "-"]
    pieces += ["tag(log,", "a", "/", ".", "int(", "sort(", "$", "0", "_"]
    for _ in range(600):
        text = "k=" + "".join(rng.choice(pieces) for _ in range(rng.randint(1, 6)))
        expected = theirs(text)
        if "Sweep(" not in repr(expected).partition("Sweep(")[2]:  # one within another
            assert (ours(text) is None) == (expected is None), text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a=choice(a,choice(b))", "a choice must not hold another sweep"),
        ("a=choice(1,2),3", "a choice must not hold another sweep"),
        ("=1", "must have the form key=value"),
        ("a=range(1,9,0)", "the step of range must not be 0"),
        ("a=range(0,inf)", "range must have finite numbers, got inf"),
        ("a=range(0,1e300)", "at most 1,000,000 values"),
        ("a=interval(0,nan)", "interval must have finite numbers, got nan"),
    ],
)
def test_what_hydra_only_fails_on_later_is_refused_at_once(text: str, words: str) -> None:
    assert theirs(text) is not None
    with pytest.raises(BadSetting, match=re.escape(words)):
        read_override(text)
