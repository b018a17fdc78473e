"""One copy of the data: what four processes that train on one set keep of it in memory.

Each process maps the set and takes all of its training images, in batches. PSS counts a page that n
processes have by its nth part, so its sum is the memory that is really used. Run by
`python -m benchmarks.data_sharing`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from trainables.data.catalog import FASHION_MNIST, DataSet
from trainables.data.images import load

_KIB = 1024


@dataclass(frozen=True)
class Memory:
    """MiB of one process: PSS and RSS of the set's mappings, and what is private in the process."""

    pss: float
    resident: float
    private: float


def measured(folder: Path) -> Memory:
    """This process, by its `/proc/self/smaps`."""
    pss = resident = private = 0
    is_of_the_set = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        words = line.split()
        if "-" in words[0] and not words[0].endswith(":"):
            is_of_the_set = line.endswith(".npy") and str(folder) in line
        elif words[0] == "Pss:" and is_of_the_set:
            pss += int(words[1])
        elif words[0] == "Rss:" and is_of_the_set:
            resident += int(words[1])
        elif words[0] in ("Private_Clean:", "Private_Dirty:") and not is_of_the_set:
            private += int(words[1])
    return Memory(pss / _KIB, resident / _KIB, private / _KIB)


def trial(data_set: DataSet, root: Path, lines: tuple[Barrier, Barrier], answers: Any) -> None:
    """What a trial does with a set: maps it and takes each training image once."""
    import torch

    torch.set_num_threads(1)
    found = load(data_set, root=root)
    for positions in torch.randperm(len(found.train)).split(256):
        found.train.take(positions)
    lines[0].wait()  # all have all pages
    answers.put(measured(root / "cache"))
    lines[1].wait()  # none leaves before all have looked


def together(data_set: DataSet, root: Path, number: int) -> list[Memory]:
    """So many processes at once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "trainables.data.images", __name__])
    lines, answers = (context.Barrier(number), context.Barrier(number)), context.Queue()
    processes = [
        context.Process(target=trial, args=(data_set, root, lines, answers)) for _ in range(number)
    ]
    for process in processes:
        process.start()
    found = [answers.get(timeout=300) for _ in processes]
    for process in processes:
        process.join()
    return found


def generated(root: Path, count: int) -> None:
    """Fashion-MNIST's shape with random pixels, for a machine without it."""
    from tests.trainables.data.files import write_mnist

    write_mnist(root / "fashion_mnist", count, count // 6)


def main(number: int = 4, count: int = 60_000) -> float:
    """Prints the figures; returns the sum of PSS over that of a single trial."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        if FASHION_MNIST.missing(root) is not None:
            generated(root, count)
        return report(FASHION_MNIST, root, number)


def report(data_set: DataSet, root: Path, number: int) -> float:
    """Prints what one process and so many keep of a set, and what copies would take."""
    together(data_set, root, 1)  # makes the arrays
    [alone] = together(data_set, root, 1)
    found = together(data_set, root, number)
    total = sum(one.pss for one in found)
    print(f"{data_set.name}: mappings of the set in MiB")
    print(f"{'':>12} {'PSS':>8} {'RSS':>8}   private in the process, all else")
    print(f"{'one alone':>12} {alone.pss:8.1f} {alone.resident:8.1f}   {alone.private:8.1f}")
    for index, one in enumerate(found):
        print(
            f"{f'{index + 1} of {number}':>12} {one.pss:8.1f} {one.resident:8.1f}   "
            f"{one.private:8.1f}"
        )
    copies = sum(one.resident for one in found)
    print(f"{'sum':>12} {total:8.1f} {copies:8.1f}")
    print(f"{number} processes keep {total / alone.pss:.3f} times what one keeps")
    return total / alone.pss


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=4)
    main(parser.parse_args().processes)
