"""Where sets lie: found in each form and place, what to do if not, and what is wrong with them."""

from __future__ import annotations

import gzip
import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.trainables.data import files
from tests.trainables.data.server import Served, serving
from trainables.data import images, places
from trainables.data.catalog import CIFAR10, DIGITS, FASHION_MNIST, IMAGE_SETS, MNIST, DataSet, File

DOWNLOADED = [one for one in IMAGE_SETS.values() if one.forms]


@pytest.mark.parametrize("data_set", DOWNLOADED, ids=lambda one: one.name)
def test_each_file_of_the_catalogue_has_an_address_a_size_and_a_checksum(data_set: DataSet) -> None:
    for file in data_set.forms[0]:
        assert file.urls and file.size and re.fullmatch("sha256:[0-9a-f]{64}", file.checksum)
    for file in data_set.forms[1]:
        assert re.fullmatch("sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}", file.checksum)


@pytest.mark.parametrize("data_set", DOWNLOADED, ids=lambda one: one.name)
def test_each_set_says_its_facts(data_set: DataSet) -> None:
    assert data_set.licence and data_set.what and data_set.source.startswith("http")
    assert len(set(data_set.classes)) == len(data_set.classes) in (10, 100)
    assert sum(data_set.splits.values()) in (60_000, 70_000)
    assert IMAGE_SETS[data_set.name] is data_set


@pytest.mark.parametrize("place", ["mnist", "MNIST/raw"])
@pytest.mark.parametrize("packed", [True, False])
def test_idx_files_are_found_in_each_place_and_form(
    tmp_path: Path, place: str, packed: bool
) -> None:
    assert places.find(MNIST, tmp_path) is None
    files.write_mnist(tmp_path / place, packed=packed)
    found = places.find(MNIST, tmp_path)
    assert found is not None and found.folder == tmp_path / place
    assert all(path.is_file() for path in found.paths()) and MNIST.missing(tmp_path) is None


def test_a_set_of_which_a_file_is_missing_is_not_there(tmp_path: Path) -> None:
    files.write_mnist(tmp_path / "mnist")
    (tmp_path / "mnist/t10k-labels-idx1-ubyte.gz").unlink()
    assert places.find(MNIST, tmp_path) is None


def test_what_is_missing_is_one_sentence_with_what_to_run_and_what_to_put_where(
    tmp_path: Path,
) -> None:
    sentence = CIFAR10.missing(tmp_path)
    assert sentence == (
        f"data set cifar10 is not there (looked for in {tmp_path / 'cifar10'} and {tmp_path}); run "
        f"`raysearch data get cifar10 --root {tmp_path}`, or put cifar-10-python.tar.gz into "
        f"{tmp_path / 'cifar10'}"
    )
    nowhere = replace(FASHION_MNIST, places=("fashion_mnist",))
    assert "`apt-get install dataset-fashion-mnist`" in str(nowhere.missing(tmp_path))
    assert DIGITS.missing(tmp_path) is None


def small(url: str, body: bytes) -> DataSet:
    """A set of one packed file."""
    packed, content = (f"sha256:{hashlib.sha256(one).hexdigest()}" for one in (body, b"hello"))
    file = File("a.gz", len(body), packed, content, (url,))
    return replace(MNIST, name="small", places=("small",), forms=((file,),))


def test_it_is_got_from_its_address_and_then_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    said: list[str] = []
    with serving(Served(gzip.compress(b"hello", mtime=0))) as served:
        data_set = small(served.url, served.body)
        data_set.get(tmp_path, None, said.append)
        data_set.get(tmp_path, None, said.append)
    assert len(served.asked) == 1 and data_set.check(tmp_path) == []
    assert said[-1] == f"small is there: {tmp_path / 'small'}"


def test_it_is_taken_from_a_file_or_a_folder_at_hand(tmp_path: Path) -> None:
    body = gzip.compress(b"hello", mtime=5)
    data_set = small("", gzip.compress(b"hello", mtime=0))  # packed anew: the content counts
    (tmp_path / "a.gz").write_bytes(body)
    for number, given in enumerate((tmp_path / "a.gz", tmp_path)):
        data_set.get(tmp_path / str(number), given, lambda text: None)
        assert (tmp_path / str(number) / "small" / "a.gz").read_bytes() == body


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("b.gz", "--from must be a.gz, or a folder that has it"),
        ("a.gz", "a.gz must have the checksum"),
        ("none", "--from must be a file or folder that is there"),
    ],
)
def test_another_file_is_not_taken(tmp_path: Path, name: str, words: str) -> None:
    if name != "none":
        (tmp_path / name).write_bytes(gzip.compress(b"other"))
    with pytest.raises((LookupError, ValueError), match=words):
        small("", b"").get(tmp_path / "root", tmp_path / name, lambda text: None)
    assert not (tmp_path / "root").exists()


def test_an_archive_of_images_becomes_a_folder(tmp_path: Path) -> None:
    import tarfile

    files.write_images(tmp_path / "pets")
    with tarfile.open(tmp_path / "pets.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "pets", "pets")
    said: list[str] = []
    IMAGE_SETS["folder"].get(tmp_path / "root", tmp_path / "pets.tar.gz", said.append)
    path = tmp_path / "root/pets/pets"
    assert said == [f"2 classes are there: data.name=folder data.path={path}"]
    assert places.class_names(path) == ["cat", "dog"]


def test_a_folder_needs_an_archive(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="its archive .tar or zip. by --from"):
        IMAGE_SETS["folder"].get(tmp_path, None, print)


def test_wrong_bytes_and_changed_arrays_are_found(tmp_path: Path) -> None:
    files.write_mnist(tmp_path / "mnist")
    images.load(MNIST, root=tmp_path)
    wrong = MNIST.check(tmp_path)
    assert len(wrong) == 4 and all("must have the checksum sha256:" in one for one in wrong)
    [array] = (tmp_path / "cache").glob("mnist-*/test-images.npy")
    raw = bytearray(array.read_bytes())
    raw[-1] ^= 1
    array.write_bytes(raw)
    assert MNIST.check(tmp_path)[4:] == [
        f"{array} was changed; delete {array.parent}: it is made again"
    ]


@pytest.mark.slow
@pytest.mark.skipif(
    not Path("/usr/share/datasets/fashion-mnist").is_dir(),
    reason="needs the Debian package dataset-fashion-mnist",
)
def test_debians_package_is_found_and_its_bytes_are_those_of_the_authors(tmp_path: Path) -> None:
    found = places.find(FASHION_MNIST, tmp_path)
    assert found is not None and FASHION_MNIST.check(tmp_path) == []
