"""Our reader of overrides against Hydra's own parser."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hydra.core.override_parser import types as hydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from raysearch.imports.hydra_functions import Choices, Glob, Interval, Range
from raysearch.imports.hydra_grammar import plain, read_override

PARSER = OverridesParser.create()
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


def theirs(text: str) -> Any:
    """What Hydra reads, in our terms; None if it refuses."""
    try:
        found = PARSER.parse_overrides([text])[0]
    except (HydraException, AssertionError):
        return None
    signs = {"CHANGE": "", "ADD": "+", "FORCE_ADD": "++", "DEL": "~"}
    return signs[found.type.name], found.key_or_group, found.package, _seen(found.value())


def _seen(value: Any) -> Any:
    if isinstance(value, hydra.ChoiceSweep):
        texts = [hydra.Override._convert_value(each) for each in value.list]
        return "choice", [repr(each) for each in texts], sorted(value.tags)
    if isinstance(value, hydra.RangeSweep):
        return "range", [repr(each) for each in value.range()], sorted(value.tags)
    if isinstance(value, hydra.IntervalSweep):
        return "interval", repr(value.start), repr(value.end), sorted(value.tags)
    if isinstance(value, hydra.Glob):
        return "glob", list(value.include), list(value.exclude)
    return repr(value)


def ours(text: str) -> Any:
    try:
        found = read_override(text)
    except ValueError:
        return None
    return found.sign, found.key, found.package, _shown(found.value)


def _shown(value: Any) -> Any:
    if isinstance(value, Choices):
        return "choice", [repr(plain(each)) for each in value.values], sorted(value.tags)
    if isinstance(value, Range):
        return "range", [repr(each) for each in value.values()], sorted(value.tags)
    if isinstance(value, Interval):
        return "interval", repr(value.low), repr(value.high), sorted(value.tags)
    if isinstance(value, Glob):
        return "glob", list(value.include), list(value.exclude)
    return repr(value)


@pytest.mark.parametrize("text", LINES)
def test_an_override_is_read_as_hydra_reads_it(text: str) -> None:
    assert ours(text) == theirs(text)


def test_random_overrides_are_read_as_hydra_reads_them() -> None:
    rng = random.Random(7)
    pieces = ["1", "2.5", "1e-3", "abc", "x-y", "true", "null", "'q s'", '"d"', "[", "]", "(", ")"]
    pieces += ["{", "}", ":", ",", " ", "=", "\\,", "\\\\", "choice(", "range(", "interval(", "-"]
    pieces += ["tag(log,", "a", "/", ".", "int(", "sort(", "$", "0", "_"]
    for _ in range(600):
        text = "k=" + "".join(rng.choice(pieces) for _ in range(rng.randint(1, 6)))
        expected = theirs(text)
        if "Sweep(" not in repr(expected):  # a sweep inside another: Hydra fails on it later
            assert ours(text) == expected, text


@pytest.mark.parametrize("text", ["a=choice(a,choice(b))", "a=choice(1,2),3", "=1"])
def test_what_hydra_only_fails_on_later_is_refused_at_once(text: str) -> None:
    assert theirs(text) is not None and ours(text) is None
