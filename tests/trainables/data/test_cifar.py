"""CIFAR's pickles: what was written is read, in the archive or beside it; nothing in one is run."""

from __future__ import annotations

import io
import os
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.trainables.data import files
from trainables.data import cifar, places
from trainables.data.catalog import IMAGE_SETS

SETS = ("cifar10", "cifar100")


def read(name: str, folder: Path) -> dict[str, tuple[Any, Any]]:
    found = places.find(IMAGE_SETS[name], folder)
    assert found is not None
    gathered: dict[str, tuple[Any, Any]] = {}
    for part in cifar.parts(name, found.paths()):
        pieces = list(part.pieces)
        gathered[part.name] = tuple(np.concatenate(one) for one in zip(*pieces, strict=True))  # pyright: ignore
    return gathered


@pytest.mark.parametrize("packed", [True, False], ids=["archive", "unpacked"])
@pytest.mark.parametrize("name", SETS)
def test_what_was_written_is_read(tmp_path: Path, name: str, packed: bool) -> None:
    written = files.write_cifar(tmp_path, name, packed=packed)
    found = read(name, tmp_path)
    for part, wanted in (
        ("train", list(written.values())[:-1]),
        ("test", [*written.values()][-1:]),
    ):
        pixels, labels = found[part]
        assert np.array_equal(pixels.reshape(-1, 3072), np.concatenate([one[1] for one in wanted]))
        assert np.array_equal(labels, np.concatenate([one[2] for one in wanted]))


@pytest.mark.parametrize("name", SETS)
def test_it_reads_what_an_ordinary_unpickler_reads(name: str) -> None:
    for raw, _, _ in files.cifar_files(name).values():
        plain: Any = pickle.loads(raw, encoding="latin1")
        key = next(one for one in plain if one.endswith("labels"))
        pixels, labels = cifar.read_batch(io.BytesIO(raw), "a", key)
        assert np.array_equal(pixels.reshape(-1, 3072), plain["data"])
        assert labels.tolist() == plain[key]


def test_an_archive_is_not_unpacked(tmp_path: Path) -> None:
    files.write_cifar(tmp_path, "cifar10", packed=True)
    read("cifar10", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["cifar-10-python.tar.gz"]


@pytest.mark.parametrize("protocol", range(5))
def test_what_python_3_writes_is_read_too(protocol: int) -> None:
    pixels = np.random.RandomState(0).randint(0, 256, (4, 3072)).astype(np.uint8)
    raw = pickle.dumps({"data": np.asfortranarray(pixels), "labels": [1, 2, 3, 0]}, protocol)
    found, labels = cifar.read_batch(io.BytesIO(raw), "a", "labels")
    assert np.array_equal(found.reshape(4, -1), pixels) and labels.tolist() == [1, 2, 3, 0]


class Malicious:
    """Runs something when it is unpickled."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("call", ["mkdir", "exec"])
@pytest.mark.parametrize("place", ["whole", "inside"])
def test_a_malicious_pickle_runs_nothing(tmp_path: Path, call: str, place: str) -> None:
    target = tmp_path / "made"
    code = {
        "mkdir": Malicious(os.mkdir, str(target)),
        "exec": Malicious(exec, f"import os; os.mkdir({str(target)!r})"),
    }[call]
    raw = pickle.dumps(code if place == "whole" else {"data": code, "labels": []}, 2)
    pickle.loads(raw)
    target.rmdir()  # an ordinary unpickler ran it
    with pytest.raises(ValueError, match="a is no file of CIFAR: .* it names .* no place in it"):
        cifar.read_batch(io.BytesIO(raw), "a", "labels")
    assert not target.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("numpy", "load"),
        ("numpy", "ndarray.tofile"),
        ("numpy.core.multiarray", "scalar"),
        ("numpy", "dtype.__setattr__"),
        ("_codecs", "decode"),
        ("builtins", "eval"),
        ("trainables.data.cifar", "Unpickler"),
    ],
)
def test_no_other_name_is_looked_up(module: str, name: str) -> None:
    raw = pickle.PROTO + b"\x04" + f"c{module}\n{name}\n.".encode()
    with pytest.raises(ValueError, match="no place in it"):
        cifar.read_batch(io.BytesIO(raw), "a", "labels")


@pytest.mark.parametrize("dtype", ["O", "f8", "V4"])
def test_only_bytes_are_taken(dtype: str) -> None:
    raw = pickle.dumps({"data": np.zeros((2, 3072), dtype), "labels": [0, 1]}, 2)
    with pytest.raises(ValueError, match="unsigned bytes|no file of CIFAR"):
        cifar.read_batch(io.BytesIO(raw), "a", "labels")


@pytest.mark.parametrize("damage", ["short", "no labels", "few pixels", "not a pickle"])
def test_a_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    files.write_cifar(tmp_path, "cifar10", packed=False)
    path = tmp_path / "cifar-10-batches-py/data_batch_3"
    few = np.zeros((2, 100), np.uint8)
    path.write_bytes(
        {
            "short": path.read_bytes()[:-1000],
            "no labels": files.python2_pickle({"data": few}),
            "few pixels": files.python2_pickle({"data": few, "labels": [0, 1]}),
            "not a pickle": b"<html>not found</html>",
        }[damage]
    )
    with pytest.raises(ValueError, match="data_batch_3 is no file of CIFAR"):
        read("cifar10", tmp_path)


def test_an_archive_without_one_of_its_files_names_it(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "cifar-100-python.tar.gz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("cifar-100-python/other"))
    with pytest.raises(ValueError, match="must hold cifar-100-python/train, and does not"):
        read("cifar100", tmp_path)


def test_a_broken_archive_is_named(tmp_path: Path) -> None:
    files.write_cifar(tmp_path, "cifar10", packed=True)
    path = tmp_path / "cifar-10-python.tar.gz"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ValueError, match="cifar-10-python.tar.gz cannot be read"):
        read("cifar10", tmp_path)
