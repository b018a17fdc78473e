"""Neighbouring frames, by the names of pictures."""

from __future__ import annotations

import math

import pytest
import torch

from trainables.core.randomness import generator
from trainables.data.sequences import Sight, frame_of, neighbouring


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("Trip_14_Seq_1/1286352_l.png", ("Trip_14_Seq_1/*_l.png", 1286352)),
        ("a/BOAT/frame007.jpg", ("a/BOAT/frame*.jpg", 7)),
        ("Trip_1/sea.png", None),
    ],
)
def test_a_sequence_is_a_name_without_the_number_of_its_frame(
    name: str, found: tuple[str, int] | None
) -> None:
    assert frame_of(name) == found


def test_neighbours_are_those_that_looking_at_all_pairs_finds() -> None:
    draw = generator(0, "sequences")
    numbers = torch.randint(0, 12, (120,), generator=draw).tolist()
    eyes, seqs, labels = (torch.randint(0, 2, (120,), generator=draw).tolist() for _ in range(3))
    middles = torch.rand(120, 2, generator=draw).tolist()
    sights = [
        Sight(f"Seq_{s}/{3 * n}_{'lr'[e]}.png", (x, y))
        for s, n, e, (x, y) in zip(seqs, numbers, eyes, middles, strict=True)
    ]
    pairs = neighbouring(sights, labels, [one.picture for one in sights], 2)
    there = [sorted({n for n, s, e in zip(numbers, seqs, eyes, strict=True) if (s, e) == key})
             for key in [(s, e) for s in range(2) for e in range(2)]]  # fmt: skip
    wanted: set[tuple[int, int]] = set()
    for one in range(120):
        own = there[2 * seqs[one] + eyes[one]]
        for apart in (-2, -1, 1, 2):
            at = own.index(numbers[one]) + apart
            if not 0 <= at < len(own):
                continue
            alike = [
                other
                for other in range(120)
                if (seqs[other], eyes[other], labels[other], numbers[other])
                == (seqs[one], eyes[one], labels[one], own[at])
            ]
            if alike:
                gaps = [math.dist(middles[one], middles[other]) for other in alike]
                wanted.add((one, alike[gaps.index(min(gaps))]))
    found = zip(pairs.anchors.tolist(), pairs.neighbours.tolist(), strict=True)
    assert len(pairs.anchors) == len(wanted) > 100 and set(found) == wanted


def test_a_gap_in_numbers_is_no_gap_but_a_picture_without_the_class_is_one() -> None:
    sights = [Sight("s/010.png"), Sight("s/900.png")]
    assert neighbouring(sights, [1, 1], ["s/010.png", "s/900.png"], 1).anchors.tolist() == [0, 1]
    between = ["s/010.png", "s/011.png", "s/900.png"]
    assert not len(neighbouring(sights, [1, 1], between, 1).anchors)
    assert neighbouring(sights, [1, 1], between, 2).neighbours.tolist() == [1, 0]
