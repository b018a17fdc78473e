"""An array that is written piece by piece is the file that NumPy writes of the whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trainables.data.shards import ShardWriter


@pytest.mark.parametrize("kind", ["u1", "<u2", "i1", "f2"])
def test_the_bytes_are_those_of_numpy(tmp_path: Path, kind: str) -> None:
    whole = np.arange(11 * 6).reshape(11, 2, 3).astype(kind)
    np.save(tmp_path / "whole.npy", whole)
    with ShardWriter(tmp_path / "pieces.npy", kind, (2, 3)) as writer:
        for start in (0, 4, 8):
            writer.add(whole[start : start + 4])
        assert writer.count == 11 and not (tmp_path / "pieces.npy").exists()
    assert (tmp_path / "pieces.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


def test_what_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyError), ShardWriter(tmp_path / "a.npy", np.uint8, (2,)) as writer:
        writer.add(np.zeros((1, 2), np.uint8))
        raise KeyError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rows", [np.zeros((1, 2)), np.zeros((1, 3), np.uint8)])
def test_rows_of_another_kind_are_refused(tmp_path: Path, rows: np.ndarray) -> None:
    writer = ShardWriter(tmp_path / "a.npy", np.uint8, (2,))
    with pytest.raises(ValueError, match=r"rows of a.npy must be uint8 \[2\], got "):
        writer.add(rows)
    writer.give_up()
