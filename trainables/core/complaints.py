"""Sentences on paths that are not in a configuration, and on values that it refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, cast, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from trainables.core import parts
from trainables.core.parts import KIND

_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
Location = Sequence[int | str]


def unknown(cls: Any, path: str, kinds: Mapping[str, str] | None = None) -> str:
    """The sentence about a path that is no field, given which variants are chosen on its way."""
    name = getattr(cls, "name", cls.__name__)
    paths: frozenset[str] = cls.paths()
    if path in paths:
        chosen = " and ".join(f"{part}.{KIND} {kind!r}" for part, kind in (kinds or {}).items())
        return f"{path} is no field of {name}" + (f" with {chosen}" if chosen else " here")
    inside = sorted(one for one in paths if one.startswith(f"{path}."))
    if inside:
        return f"{path} is a part of {name}, not a field; it has {', '.join(inside)}"
    outer = {one[:end] for one in paths for end, letter in enumerate(one) if letter == "."}
    near = get_close_matches(path, sorted(paths | outer), 1, 0.5)
    near += sorted(one for one in paths if one.split(".")[-1] == path.split(".")[-1])
    shown = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(paths))}"
    return f"{path} is no field of {name}; {shown}"


def of(
    cls: type, error: ValidationError, data: object, faults: Mapping[str, ValidationError]
) -> ValueError | LookupError:
    """The first finding about data as an error: LookupError for a field that does not exist.

    `faults` are the findings about leaves that could not be read, by path: they say which member of
    a value is wrong, where the finding about the whole only has its type.
    """
    findings = _of_chosen(cls, error.errors(include_url=False), data)
    first = findings[0]
    path, kinds, rest = _place(cls, first["loc"], data)
    if path in faults:
        return of_fault(cls, faults[path], path, data)
    if first["type"] in _UNKNOWN:
        return LookupError(unknown(cls, path, kinds))
    if first["type"] == "literal_error" and kinds and path.endswith(f".{KIND}"):
        others = [one for one in findings if _place(cls, one["loc"], data)[0] == path]
        return ValueError(_sentence(first, path, " or ".join(dict.fromkeys(map(_rule, others)))))
    return ValueError(_joined(error, first, path, rest, _at(data, path)))


def _of_chosen(cls: type, findings: list[ErrorDetails], data: object) -> list[ErrorDetails]:
    """The findings without those about variants that the data do not choose; all if none is left.

    Without a discriminator pydantic tries all variants, and says what is wrong with each.
    """

    def is_chosen(one: ErrorDetails) -> bool:
        kinds = _place(cls, one["loc"], data)[1]
        return all(_at(data, f"{part}.{KIND}") in (None, kind) for part, kind in kinds.items())

    return list(filter(is_chosen, findings)) or findings


def of_leaf(error: ValidationError, path: str, value: object) -> str:
    """The sentence about a value that is none of a leaf."""
    first = error.errors(include_url=False)[0]
    return _joined(error, first, path, first["loc"][1:], value, skipped=1)


def of_fault(
    cls: type, error: ValidationError, path: str, data: object
) -> ValueError | LookupError:
    """The finding about the leaf at a path of data as an error."""
    value, first = _at(data, path), error.errors(include_url=False)[0]
    if first["type"] in _UNKNOWN:
        return LookupError(unknown(cls, _dotted(path, first["loc"][1:], value)))
    return ValueError(of_leaf(error, path, value))


def _joined(
    error: ValidationError,
    first: ErrorDetails,
    path: str,
    rest: Location,
    value: object,
    skipped: int | None = None,
) -> str:
    """The sentence; of a union all that its members want, where they want it of one place."""
    place = _dotted(path, rest, value)
    before = len(first["loc"]) - len(rest) if skipped is None else skipped
    same = [
        one
        for one in error.errors(include_url=False)
        if one["loc"][:before] == first["loc"][:before]
        and _dotted(path, one["loc"][before:], value) == place
    ]
    rules = dict.fromkeys(map(_rule, same)) if rest else {_rule(first): None}
    return _sentence(first, place, " or ".join(rules))


def _dotted(path: str, rest: Location, value: object) -> str:
    """The path of a place in a value: pydantic puts the members of unions between its steps."""
    found = [path] if path else []
    for step in rest:
        try:
            value = cast("Any", value)[step]
        except (LookupError, TypeError):
            continue
        found.append(str(step))
    return ".".join(found)


def _at(data: object, path: str) -> object:
    """The value at a path of JSON."""
    for step in path.split(".") if path else ():
        if not isinstance(data, Mapping):
            return None
        data = cast("Mapping[str, Any]", data).get(step)
    return data


def _place(cls: type, location: Location, data: object) -> tuple[str, dict[str, str], Location]:
    """The dotted path of an error, the variants on its way, and what is left inside of a leaf.

    Behind a part that has variants pydantic puts the tag of the one that was read, or its class.
    """
    found: list[str] = []
    kinds: dict[str, str] = {}
    candidates: list[type] = [cls]
    for place, step in enumerate(map(str, location)):
        if len(candidates) > 1:
            candidates = [one for one in candidates if step in tags(one) or _is_class(step, one)]
            part, known = ".".join(found), [tag for one in candidates for tag in tags(one)]
            given = _at(data, f"{part}.{KIND}")
            kinds[part] = str(given) if given in known else (known or [step])[0]
            continue
        if not candidates:
            return ".".join(found), kinds, location[place:]
        found.append(step)
        annotation = parts.fields_of(candidates[0]).get(step)
        candidates = [] if annotation is None else parts.parts_in(annotation)
    return ".".join(found), kinds, ()


def _is_class(step: str, cls: type) -> bool:
    """Whether a step is a class, such as `Ball` or, with a validator, `function-after[…, Ball]`."""
    return step == cls.__name__ or step.endswith(f", {cls.__name__}]")


def tags(cls: type) -> list[str]:
    """The values of `kind` that a variant answers to."""
    return [str(tag) for tag in get_args(parts.fields_of(cls).get(KIND))]


def _rule(error: ErrorDetails) -> str:
    rule = error["msg"].removeprefix("Value error, ")
    return rule.removeprefix("Input should be ").removeprefix("Input ")


def _sentence(error: ErrorDetails, path: str, rule: str) -> str:
    """One sentence: the path, the rule, the value."""
    if error["type"] == "value_error":
        is_of_field = rule.startswith("must ")  # others begin with the name of one of the fields
        return f"{path}{' ' if is_of_field else '.'}{rule}" if path else rule
    context = error.get("ctx", {})
    if error["type"] == "too_short":
        return f"{path} must have at least {context['min_length']} of them, got {error['input']!r}"
    if error["type"] == "union_tag_invalid":
        expected = context["expected_tags"].replace(", ", " or ")
        return f"{path}.{KIND} must be {expected}, got {context['tag']!r}"
    if error["type"] == "union_tag_not_found":
        return f"{path}.{KIND} must be given, got {error['input']!r}"
    if error["type"] in ("model_type", "model_attributes_type"):
        return f"{path or 'a configuration'} must be an object with fields, got {error['input']!r}"
    return f"{path} must be {rule}, got {error['input']!r}"
