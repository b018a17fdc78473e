"""What objects there are in an image, as questions and counts: targets of probes."""

# B images, E entities (the first ones are backgrounds), V values of a property.

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import torch
from torch import Tensor

CLEVR_VALUES = {"size": 2, "color": 8, "material": 2, "shape": 3}
"""How many values properties of objects have on CLEVR, in the order of the 96 questions."""


def questions(
    size: Tensor, color: Tensor, material: Tensor, shape: Tensor, visible: Tensor
) -> Tensor:
    """The 96 questions on CLEVR: is there an object that is such in all four ways? Bool [B, 96].

    Question ((size · 8 + color) · 2 + material) · 3 + shape, of codes from 0 (in the arguments they
    are from 1, and 0 is none), [B, E] each. Entity 0 is the background, and objects that are not
    `visible`, bool [B, E], are not there.
    """
    codes = {"size": size, "color": color, "material": material, "shape": shape}
    return combinations(codes, visible, CLEVR_VALUES)


def combinations(
    codes: Mapping[str, Tensor],
    visible: Tensor,
    values: Mapping[str, int],
    *,
    num_background: int = 1,
    first_code: int = 1,
) -> Tensor:
    """Is there an object with such a combination of values? Bool [B, Π V]; the last varies fastest.

    Args:
        codes: of any integer type, [B, E], by property; others than in `values` are not looked at.
        visible: bool [B, E].
        values: V of each property, in order.
        num_background: how many first entities are no objects.
        first_code: that of the first value: below it an object has none, and is left out.

    Raises:
        ValueError: an object has a code that is too large.
    """
    index = torch.zeros_like(visible, dtype=torch.int64)
    has_all = visible
    for name, number in values.items():
        code = codes[name].long() - first_code
        _check(name, code, has_all, num_background, number, first_code)
        has_all = has_all & (code >= 0)
        index = index * number + code
    return _present(index, has_all, prod(values.values()), num_background)


def property_targets(
    codes: Mapping[str, Tensor],
    visible: Tensor,
    values: Mapping[str, int],
    *,
    num_background: int = 1,
    first_code: int = 1,
) -> dict[str, Tensor]:
    """For each property: is there an object with such a value? Bool [B, V] by its name.

    Arguments are those of `combinations`.

    Raises:
        ValueError: an object has a code that is too large.
    """
    return {
        name: combinations(
            codes,
            visible,
            {name: number},
            num_background=num_background,
            first_code=first_code,
        )
        for name, number in values.items()
    }


def counts(visible: Tensor, most: int, *, num_background: int = 1) -> Tensor:
    """How many objects are visible, int64 [B], at most `most`: classes 0…`most` of a probe."""
    return visible[:, num_background:].sum(1).clamp(max=most)


def _present(index: Tensor, takes_part: Tensor, number: int, num_background: int) -> Tensor:
    """Which of so many indices [B, E] occur, bool [B, number]."""
    index = index.where(takes_part, number)[:, num_background:]
    found = torch.zeros(len(index), number + 1, dtype=torch.bool, device=index.device)
    return found.scatter_(1, index, True)[:, :number]


def _check(
    name: str, code: Tensor, visible: Tensor, num_background: int, number: int, first_code: int
) -> None:
    """Refuses codes that would be counted as another value."""
    seen = code[:, num_background:][visible[:, num_background:]]
    if seen.numel() and int(seen.max()) >= number:
        raise ValueError(
            f"{name} must have codes up to {number - 1 + first_code}, "
            f"got {int(seen.max()) + first_code}"
        )
