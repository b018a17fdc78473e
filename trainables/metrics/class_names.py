"""Names of classes as parts of the names of metrics."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

_ODD = re.compile(r"[^\w\-. ]+")
"""What is no letter, digit, `_`, `-`, dot or space: a stroke would begin a group of metrics."""
_LONGEST = 60


def metric_names(names: Mapping[int, str]) -> dict[int, str]:
    """A name for each class by its number, all different, with nothing in them that is odd.

    Most stay as they are. Anything but letters, digits, `_`, `-`, dots and spaces is `_`; ends are
    trimmed, and after 60 characters a name is cut. A class without a name is called by its number,
    and those of one name have it with their numbers: `ball-3`, `ball-7`.
    """
    plain = {
        number: _ODD.sub("_", " ".join(name.split())).strip(" .")[:_LONGEST].strip(" .")
        for number, name in names.items()
    }
    found = {number: name or str(number) for number, name in plain.items()}
    while len(set(found.values())) < len(found):
        times = Counter(found.values())
        found = {
            number: f"{name}-{number}" if times[name] > 1 else name
            for number, name in found.items()
        }
    return found
