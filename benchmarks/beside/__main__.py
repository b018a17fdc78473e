"""Experiments beside their originals: equal numbers, CPU seconds, peak memory.

A checkout of the original must be there; it is imported and run, not changed. Both have the same
weights, inputs and noise, and one thread. Run by

    python -m benchmarks.beside --original CHECKOUT [attention discovery …]
    python -m benchmarks.beside --original CHECKOUT representations
    python -m benchmarks.beside --original CHECKOUT second_generation
    python -m benchmarks.beside --original CHECKOUT detr
    python -m benchmarks.beside --original CHECKOUT detection_reader
    python -m benchmarks.beside --original CHECKOUT simplex
    python -m benchmarks.beside --original CHECKOUT tvmax --pairs 1
    python -m benchmarks.beside --original CHECKOUT sparsity
    python -m benchmarks.beside --original CHECKOUT average_precision --pairs 1
    python -m benchmarks.beside --original CHECKOUT criterion
    python -m benchmarks.beside --original CHECKOUT self_distillation
    python -m benchmarks.beside --original CHECKOUT landscapes

of github.com/EmbodiedVision/slot_attention_normalization; for `representations` of
github.com/baldassarreFe/iclr-osc-22 at a0995bc, the first generation of its experiments, and for
`second_generation` at afd6043; for `detr`, `detection_reader`, `average_precision` and `criterion`
of github.com/facebookresearch/detr at 29901c5; for `simplex` of github.com/deep-spin/entmax, or the
folder where it is installed; for `tvmax` of github.com/deep-spin/TVmax, with numba installed
besides; for `sparsity` of github.com/erikdao/sparse-detector at 7950c4e; for `self_distillation` of
github.com/facebookresearch/dino at 7c446df; for `landscapes` of
github.com/tomgoldstein/loss-landscape at 64ef4d5, with h5py installed besides.
"""

from __future__ import annotations

import argparse
import importlib
import os
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.beside.measuring import difference, memory, rounding, seconds
from benchmarks.beside.pairing import Case, find, package_of

PARTS = ("attention", "discovery", "set_prediction", "dinosaur", "metrics")
"""Those of one original, which are run unless others are named."""
OTHERS = (
    *("representations", "second_generation", "detr", "detection_reader"),
    *("simplex", "tvmax", "sparsity", "average_precision", "criterion"),
    *("self_distillation", "landscapes"),
)
MEASURES = ("equal", "time", "memory")

_WIDTHS = (46, 10, 10, 24, 21, 21, 26)
_NONE = "·"
_ROUNDING = (
    "    gradients in float32 from those in float64: largest {:.1e} original, {:.1e} ours; "
    "norm of all {:.1e}, {:.1e}"
)


def main(original: Path, parts: Sequence[str], pairs: int = 5, only: str | None = None) -> None:
    """Prints a table for each part (those of Slot Attention if none is given).

    Raises:
        LookupError: there is no such part, or no original in the folder.
        ValueError: there are to be no pairs.
    """
    if unknown := [part for part in parts if part not in PARTS + OTHERS]:
        raise LookupError(f"part must be one of {', '.join(PARTS + OTHERS)}, got {unknown[0]!r}")
    if pairs < 1:
        raise ValueError(f"--pairs must be at least 1, got {pairs}")
    torch.set_num_threads(1)
    for part in parts or PARTS:
        find(original, package_of(importlib.import_module(f"benchmarks.beside.{part}")))
    measures = (only,) if only else MEASURES
    for part in parts or PARTS:
        table(original, part, pairs, measures)


def table(original: Path, part: str, pairs: int, measures: Sequence[str]) -> None:
    """Prints a part: a line for each case, as soon as it is measured."""
    module = importlib.import_module(f"benchmarks.beside.{part}")
    print(f"{part}: {(module.__doc__ or '').splitlines()[0]}")
    _line("", "CPU-s", "CPU-s", "times", "float64: largest", "float32: largest", "peak GB")
    ends = ("output", "gradient")
    apart = " / ".join(ends)
    _line("case", "original", "ours", "(least … most)", apart, apart, "original, ours (start)")
    loads = [os.getloadavg()[0]]
    for case in module.cases():
        wanted = [one for one in measures if _is_asked(case, one)]
        if wanted:
            _line(case.name, *_cells(original, part, case, pairs, wanted))
            if "equal" in wanted and (found := rounding(case)):
                print(_ROUNDING.format(*found.largest, *found.whole), flush=True)
            loads.append(os.getloadavg()[0])
    if "time" in measures:
        print(f"CPU-s and times: medians of {pairs} pairs in turn, one thread")
    print(f"load average {min(loads):.1f} … {max(loads):.1f}\n", flush=True)


def _is_asked(case: Case, measure: str) -> bool:
    return case.is_compared if measure == "equal" else case.is_timed


def _cells(
    original: Path, part: str, case: Case, pairs: int, wanted: Sequence[str]
) -> tuple[str, ...]:
    """All of a line but the name of its case."""
    cells = [_NONE] * 6
    if "time" in wanted:
        found = seconds(case, pairs)
        cells[0], cells[1] = f"{found.original:.4f}", f"{found.ours:.4f}"
        cells[2] = f"{found.times:.2f} ({found.least:.2f} … {found.most:.2f})"
    if "equal" in wanted:
        for index, kind in enumerate((torch.float64, torch.float32)):
            cells[3 + index] = _apart(case, kind)
    if "memory" in wanted:
        theirs = memory(original, part, case.name, "original")
        ours = memory(original, part, case.name, "ours")
        cells[5] = f"{theirs.peak:.2f}, {ours.peak:.2f} (from {ours.start:.2f})"
    return tuple(cells)


def _apart(case: Case, kind: torch.dtype) -> str:
    found = difference(case, kind)
    gradients = _NONE if found.gradients is None else f"{found.gradients:.1e}"
    return f"{found.outputs:.1e} / {gradients:<7}"


def _line(*cells: str) -> None:
    first, *others = zip(cells, _WIDTHS, strict=True)
    print(
        f"{first[0]:<{first[1]}}" + "".join(f"{one:>{width}}" for one, width in others), flush=True
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.beside",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(PARTS + OTHERS))
    parser.add_argument("--original", type=Path, required=True, help="a checkout of the original")
    parser.add_argument("--pairs", type=int, default=5, help="of timings; 5 if not given")
    parser.add_argument("--only", choices=MEASURES)
    given = parser.parse_args()
    main(given.original, given.parts, given.pairs, given.only)
