"""Stores of features: what comes back, what is built once, and what a kill leaves."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.data import feature_writing
from trainables.data.feature_writing import PIECE, quantized
from trainables.data.features import FeatureStore, identity, store

SHAPE = (100, 3, 8)
SHARD = 1000  # bytes: 27 images of int8, 20 of float16
Kind = Literal["float16", "int8"]
KINDS: tuple[Kind, ...] = ("float16", "int8")
FACTS = {"backbone": "a", "layer": 1}


def features(rows: NDArray[np.int64]) -> Tensor:
    """Normal numbers that depend on the row alone, one channel thirty times as large, and off."""
    found = [
        torch.randn(SHAPE[1:], generator=torch.Generator().manual_seed(int(row))) for row in rows
    ]
    stacked = torch.stack(found)
    stacked[..., 2] = 30 * stacked[..., 2] + 100
    return stacked


def stored(root: Path, kind: Kind = "int8", **changes: Any) -> FeatureStore:
    """The store of those features."""
    settings: dict[str, Any] = {
        "shape": SHAPE,
        "compute": features,
        "shard_bytes": SHARD,
        **changes,
    }
    return store(root, "set", FACTS, kind=kind, **settings)


def everything(found: FeatureStore) -> Tensor:
    """All features as they come back."""
    return found.dequantized(found.take(np.arange(len(found))))


def contents(folder: Path) -> dict[str, bytes]:
    """The bytes of all files."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def refuse(rows: NDArray[np.int64]) -> Tensor:
    """Computes nothing."""
    raise AssertionError(f"rows {rows} were computed anew")


def test_float16_comes_back_rounded_to_float16(tmp_path: Path) -> None:
    expected = features(np.arange(100)).half().float()
    assert torch.equal(everything(stored(tmp_path, "float16")), expected)


def test_a_code_of_int8_is_off_by_half_a_step_at_most(tmp_path: Path) -> None:
    found = stored(tmp_path)
    codes, scales = found.take(np.arange(100))
    assert scales is not None and codes.dtype == torch.int8
    off = (everything(found) - features(np.arange(100))).abs()
    deviation = features(np.arange(PIECE)).flatten(0, 1).std(0, correction=0)
    assert (off <= 0.5001 * scales[..., None] * deviation + 1e-5).all()
    assert codes.abs().amax(-1).eq(127).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_manifest_states_the_relative_error(tmp_path: Path, kind: Kind) -> None:
    found, exact = stored(tmp_path, kind), features(np.arange(100))
    error = float((everything(found) - exact).double().norm() / exact.double().norm())
    assert found.error == pytest.approx(error, rel=1e-4)
    assert found.error < {"float16": 0.0005, "int8": 0.01}[kind]


def test_int8_is_off_by_less_than_a_hundredth_although_one_channel_dwarfs_the_others() -> None:
    draw = torch.Generator().manual_seed(0)
    wide = torch.randn(64, 768, generator=draw)
    wide[:, 5] *= 40
    mean, deviation = wide.mean(0), wide.std(0)
    codes, scales = quantized(wide, mean, deviation)
    again = mean + deviation * codes * scales[:, None]
    others = torch.arange(768) != 5
    assert float((again - wide)[:, others].norm() / wide[:, others].norm()) < 0.01
    naive = (wide / wide.abs().amax(1, keepdim=True) * 127).round()
    naive = naive * wide.abs().amax(1, keepdim=True) / 127
    assert float((naive - wide)[:, others].norm() / wide[:, others].norm()) > 0.05


def test_a_patch_of_zeros_comes_back_as_zeros(tmp_path: Path) -> None:
    found = stored(tmp_path, compute=lambda rows: torch.zeros(len(rows), *SHAPE[1:]))
    assert torch.equal(everything(found), torch.zeros(SHAPE)) and found.error == 0


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_taken_in_their_order_across_shards(tmp_path: Path, kind: Kind) -> None:
    found, rows = stored(tmp_path, kind), np.array([99, 0, 27, 26, 27, 53])
    assert len(list(found.folder.glob("codes-*.npy"))) > 3
    taken = found.dequantized(found.take(rows))
    assert torch.equal(taken, everything(found)[torch.from_numpy(rows)])
    with pytest.raises(IndexError, match=r"rows must be 0…99, got 0…100"):
        found.take(np.array([0, 100]))


def test_files_are_no_larger_than_a_shard_but_for_the_header(tmp_path: Path) -> None:
    folder = stored(tmp_path).folder
    assert max(path.stat().st_size for path in folder.glob("codes-*.npy")) <= SHARD + 128


def test_what_is_there_is_not_computed_again(tmp_path: Path) -> None:
    first = everything(stored(tmp_path))
    assert torch.equal(everything(stored(tmp_path, compute=refuse)), first)


def test_every_fact_and_the_kind_are_part_of_the_key(tmp_path: Path) -> None:
    keys = [identity({**FACTS, **change}) for change in ({}, {"layer": 2}, {"scenes": "x"})]
    assert len(set(keys)) == 3 and identity(dict(reversed(FACTS.items()))) == keys[0]
    assert stored(tmp_path).folder != stored(tmp_path, "float16").folder


def _build_and_die(root: Path, kind: Kind, calls: int) -> None:
    left = iter(range(calls))

    def compute(rows: NDArray[np.int64]) -> Tensor:
        if next(left, None) is None:
            os.kill(os.getpid(), 9)
        return features(rows)

    stored(root, kind, compute=compute)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("calls", [0, 1, 3])
def test_a_killed_build_goes_on_and_ends_with_the_same_bytes(
    tmp_path: Path, kind: Kind, calls: int
) -> None:
    whole = contents(stored(tmp_path / "whole", kind).folder)
    child = multiprocessing.get_context("fork").Process(
        target=_build_and_die, args=(tmp_path / "killed", kind, calls)
    )
    child.start()
    child.join()
    assert child.exitcode == -9
    seen: list[int] = []

    def compute(rows: NDArray[np.int64]) -> Tensor:
        seen.extend(rows.tolist())
        return features(rows)

    assert contents(stored(tmp_path / "killed", kind, compute=compute).folder) == whole
    if calls == 3:
        assert 0 not in seen  # the first shard was whole


def test_a_build_killed_before_it_was_put_in_its_place_is_put_there(tmp_path: Path) -> None:
    folder = stored(tmp_path).folder
    whole = contents(folder)
    folder.rename(folder.with_name(f".{folder.name}.unfinished"))
    assert contents(stored(tmp_path, compute=refuse).folder) == whole


def _build_and_note(root: Path, note: Path) -> None:
    def compute(rows: NDArray[np.int64]) -> Tensor:
        with note.open("a") as file:
            file.write("".join(f"{row}\n" for row in rows))
        return features(rows)

    stored(root, "float16", compute=compute)


def test_of_several_processes_one_builds_and_the_others_wait(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    given = (tmp_path, tmp_path / "note")
    children = [context.Process(target=_build_and_note, args=given) for _ in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0, 0]
    assert sorted(map(int, (tmp_path / "note").read_text().split())) == list(range(100))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 65536.0])
def test_features_that_cannot_be_stored_are_refused(tmp_path: Path, value: float) -> None:
    def compute(rows: NDArray[np.int64]) -> Tensor:
        return torch.full((len(rows), *SHAPE[1:]), value)

    with pytest.raises(ValueError, match="features must be finite and at most 65504, got"):
        stored(tmp_path, compute=compute)


def test_features_of_another_shape_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"features must be \(27, 3, 8\), got \(27, 3, 7\)"):
        stored(tmp_path, "int8", compute=lambda rows: torch.zeros(27, 3, 7), shape=(27, 3, 8))


def test_a_full_disk_is_found_before_anything_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(ValueError, match="must be on a disk with"):
        stored(tmp_path, compute=refuse)


def test_a_damaged_store_says_what_to_delete(tmp_path: Path) -> None:
    folder = stored(tmp_path).folder
    with (folder / "codes-00001.npy").open("r+b") as file:
        file.truncate(200)
    with pytest.raises(ValueError, match=rf"{folder} is damaged .*delete it: it is made again"):
        stored(tmp_path)


def test_a_folder_without_a_manifest_is_built_again(tmp_path: Path) -> None:
    folder = stored(tmp_path).folder
    whole = contents(folder)
    (folder / "manifest.json").unlink()
    assert contents(stored(tmp_path).folder) == whole


def test_a_root_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="data.root must be a folder that can be written.*'live'"):
        stored(tmp_path / "file")


def test_an_error_above_a_hundredth_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_writing, "_LEVELS", 15)
    with caplog.at_level(logging.WARNING):
        found = stored(tmp_path)
    assert found.error > 0.01
    assert any("with a relative error of" in each for each in caplog.messages)


def test_the_manifest_has_the_facts_and_checksums(tmp_path: Path) -> None:
    manifest = json.loads((stored(tmp_path).folder / "manifest.json").read_text())
    assert manifest["facts"] == {**FACTS, "kind": "int8", "shape": list(SHAPE)}
    assert set(manifest["files"]) == {path.name for path in stored(tmp_path).folder.glob("*.npy")}
