"""Checkpoints: whole or not there, without code in them, and with a print of all they hold."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
import torch
from torch import nn

from trainables.core import checkpoint
from trainables.core.checkpoint import Position


def trained(seed: int = 0) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A layer with a buffer, and AdamW after one step."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    model(torch.randn(8, 3)).square().sum().backward()
    optimizer.step()
    return model, optimizer


def test_everything_comes_back(tmp_path: Path) -> None:
    model, optimizer = trained(0)
    position = Position(7, "ab" * 32)
    path = checkpoint.save(tmp_path / "deep" / "a.pt", position, model, optimizer)
    other, other_optimizer = trained(1)
    assert checkpoint.load(path, other, other_optimizer) == position
    again = checkpoint.save(tmp_path / "b.pt", position, other, other_optimizer)
    assert checkpoint.fingerprint(path) == checkpoint.fingerprint(again)


def test_it_holds_no_code(tmp_path: Path) -> None:
    path = checkpoint.save(tmp_path / "a.pt", Position(1), *trained())
    assert torch.load(path, weights_only=True)["step"] == 1


@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_an_end_while_saving_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    path = checkpoint.save(tmp_path / "a.pt", Position(1), *trained(0))
    before = checkpoint.fingerprint(path)

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, moment, end)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(path, Position(2), *trained(1))
    assert checkpoint.fingerprint(path) == before


def test_what_a_killed_save_left_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "a.pt.partial").write_bytes(b"half a file")
    path = checkpoint.save(tmp_path / "a.pt", Position(1), *trained())
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_another_model_is_refused_by_name(tmp_path: Path) -> None:
    path = checkpoint.save(tmp_path / "a.pt", Position(1), *trained())
    with pytest.raises(ValueError, match=f"{path} is a checkpoint of another model: .*0.weight"):
        checkpoint.load(path, nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)))


def test_another_format_is_refused(tmp_path: Path) -> None:
    torch.save({"format": 3}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match="must be a checkpoint of format 1 or 2, got 3"):
        checkpoint.load(tmp_path / "a.pt", nn.Linear(1, 1))


@pytest.mark.parametrize("what", ["parameter", "buffer", "optimizer", "order", "step"])
def test_the_fingerprint_sees_each_bit(tmp_path: Path, what: str) -> None:
    model, optimizer = trained()
    before = checkpoint.save(tmp_path / "a.pt", Position(1), model, optimizer)
    weight = next(model.parameters())
    position = {"order": Position(1, "00" * 32), "step": Position(2)}.get(what, Position(1))
    changed = {
        "parameter": weight.data,
        "buffer": model.get_buffer("1.running_mean"),
        "optimizer": optimizer.state[weight]["exp_avg"],
    }.get(what)
    if changed is not None:
        changed.view(-1)[0] = torch.nextafter(changed.view(-1)[0], torch.tensor(9.0))
    after = checkpoint.save(tmp_path / "b.pt", position, model, optimizer)
    assert checkpoint.fingerprint(before) != checkpoint.fingerprint(after)


def test_the_data_order_is_a_chain_of_hashes() -> None:
    first, second = torch.tensor([3, 1]), torch.tensor([2, 0])
    link = hashlib.sha256(b"").digest()
    for examples in (first, second):
        link = hashlib.sha256(link + examples.numpy().tobytes()).digest()
    assert Position().after(first).after(second) == Position(2, link.hex())
