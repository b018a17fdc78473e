"""Scores of methods that learn nothing, computed once and kept for all runs that ask for them."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from trainables.core.files import appearing
from trainables.data.places import CACHE

_VERSION = 1  # of the methods: another one is another file
log = logging.getLogger(__name__)

Scores = dict[str, dict[str, float]]
"""By method, then by the name of the value."""


def kept_scores(root: Path, facts: Sequence[object], compute: Callable[[], Scores]) -> Scores:
    """The scores that these facts determine: read below `root`, or computed and kept there.

    A file that cannot be read is computed anew, and where none can be written none is kept.
    """
    name = hashlib.sha256(json.dumps([_VERSION, *facts]).encode()).hexdigest()[:16]
    path = root / CACHE / "scores" / f"{name}.json"
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        found = compute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with appearing(path, is_shared=True) as partial:  # several runs may compute it
            partial.write_text(json.dumps(found))
    except OSError as error:
        log.warning("scores are not kept at %s: %s", path, error)
    return found
