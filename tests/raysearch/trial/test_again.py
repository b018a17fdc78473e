"""Checkpoints are compared by what they hold."""

from __future__ import annotations

from pathlib import Path

import torch

from raysearch.trial.rerun import difference


def test_checkpoints_are_compared_by_bits_not_by_files(tmp_path: Path) -> None:
    state = {"model": {"w": torch.tensor([0.0, 1.0])}, "step": 3}
    torch.save(state, tmp_path / "a.pt")
    torch.save(state, tmp_path / "b.pt")
    assert (tmp_path / "a.pt").read_bytes() != (tmp_path / "b.pt").read_bytes()  # names in them
    assert difference(tmp_path / "a.pt", tmp_path / "b.pt")["count"] == 0
    torch.save({"model": {"w": torch.tensor([-0.0, 1.5])}, "step": 3}, tmp_path / "c.pt")
    found = difference(tmp_path / "a.pt", tmp_path / "c.pt")
    assert found == {"values": 2, "different": ["model.w"], "count": 1, "largest": 0.5}


def test_zeros_of_two_signs_are_two_bits(tmp_path: Path) -> None:
    torch.save({"w": torch.tensor(0.0)}, tmp_path / "a.pt")
    torch.save({"w": torch.tensor(-0.0)}, tmp_path / "b.pt")
    assert difference(tmp_path / "a.pt", tmp_path / "b.pt")["different"] == ["w"]


def test_another_kind_of_file_is_compared_by_its_bytes(tmp_path: Path) -> None:
    for name, content in (("a", b"\xff1"), ("b", b"\xff1"), ("c", b"\xff2")):
        (tmp_path / name).write_bytes(content)
    assert difference(tmp_path / "a", tmp_path / "b")["count"] == 0
    assert difference(tmp_path / "a", tmp_path / "c")["count"] == 1
