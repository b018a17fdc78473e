"""Classes of pixels of scenes: object or background, or a property of the object."""

from __future__ import annotations

from trainables.data.names import FASHION_CLASSES
from trainables.data.scenes.facts import SceneFacts

ANY = "any"
"""The property that all objects share: two classes, background and object."""
BACKGROUND = "background"

_DIGITS = tuple(str(digit) for digit in range(10))
_VALUES: dict[str, dict[str, tuple[str, ...]]] = {
    "clevr_with_masks": {
        "size": ("small", "large"),
        "material": ("rubber", "metal"),
        "shape": ("cube", "sphere", "cylinder"),
        "color": ("gray", "blue", "brown", "yellow", "red", "green", "purple", "cyan"),
    },
    "tetrominoes": {"shape": tuple(f"piece {number}" for number in range(1, 20))},
    "digit_grids": {"digit": _DIGITS},
    "garments": {"garment": FASHION_CLASSES},
    **{
        f"multi_dsprites_{name}": {"shape": ("square", "ellipse", "heart")}
        for name in ("binarized", "colored_on_grayscale", "colored_on_colored")
    },
}
"""Names of the values of properties, by set, in the order of their codes from 1."""


def properties(data_set: SceneFacts) -> tuple[str, ...]:
    """The properties by which pixels of a set may be told apart; none if it has no masks.

    A set whose masks are classes has a single one, which is called so.
    """
    if not data_set.has_masks:
        return ()
    if data_set.classes:
        return (ANY,)
    return ANY, *_VALUES.get(data_set.name, {})


def classes(data_set: SceneFacts, by: str) -> tuple[str, ...]:
    """Names of the classes of pixels, by index; 0 is the background.

    Raises:
        LookupError: the set does not have the property.
    """
    known = properties(data_set)
    if by not in known:
        raise LookupError(
            f"classes must be one of {', '.join(known)} for {data_set.name}, got {by!r}"
            if known
            else f"name must be a set with masks, and {data_set.name} has none"
        )
    if data_set.classes:
        return data_set.classes
    return (BACKGROUND, *(("object",) if by == ANY else _VALUES[data_set.name][by]))
