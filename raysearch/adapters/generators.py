"""The states of all generators of random numbers of a process, as tensors and plain values."""

from __future__ import annotations

import random
import sys
from typing import Any

__all__ = ["restore", "states"]


def states() -> dict[str, Any]:
    """Of Python, torch with its GPUs, and numpy if it is imported: what `restore` takes."""
    import torch

    version, words, gauss = random.getstate()
    found: dict[str, Any] = {
        "python": [version, torch.tensor(words, dtype=torch.int64), gauss],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all(),
    }
    if "numpy" in sys.modules:
        kind, keys, *rest = sys.modules["numpy"].random.get_state()
        found["numpy"] = [kind, torch.tensor(keys.astype("int64")), *rest]
    return found


def restore(found: dict[str, Any]) -> None:
    """Sets them to what they were; those of GPUs only where there are as many as then."""
    import torch

    version, words, gauss = found["python"]
    random.setstate((version, tuple(words.tolist()), gauss))
    torch.set_rng_state(found["torch"].cpu())
    if len(found["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([one.cpu() for one in found["cuda"]])
    if "numpy" in found:
        import numpy

        kind, keys, *rest = found["numpy"]
        numpy.random.set_state((kind, keys.numpy().astype("uint32"), *rest))
