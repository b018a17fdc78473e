"""What is made appears whole or not at all; what was there goes, stays, or is put back."""

from __future__ import annotations

from pathlib import Path

import pytest

from raysearch.files import appearing, write_privately


def test_a_folder_takes_the_place_of_another_one_when_it_is_whole(tmp_path: Path) -> None:
    place = tmp_path / "report"
    for text in ("old", "new"):
        with appearing(place) as fresh:
            fresh.mkdir()
            (fresh / text).write_text("")
    assert [path.name for path in place.iterdir()] == ["new"]
    with pytest.raises(KeyError), appearing(place) as fresh:
        fresh.mkdir()
        raise KeyError
    assert (place / "new").exists() and list(tmp_path.iterdir()) == [place]


def test_a_folder_that_cannot_be_had_leaves_the_old_one(tmp_path: Path) -> None:
    place = tmp_path / "report"
    place.mkdir()
    with pytest.raises(FileNotFoundError), appearing(place):
        pass
    assert list(tmp_path.iterdir()) == [place]


def test_what_another_process_has_put_there_is_kept_if_it_is_to_be(tmp_path: Path) -> None:
    place = tmp_path / "code"
    with appearing(place, keeps=True) as fresh:
        fresh.mkdir()
        place.mkdir()
        (place / "theirs").write_text("")
    assert (place / "theirs").exists() and list(tmp_path.iterdir()) == [place]


def test_what_a_killed_process_left_under_a_name_goes(tmp_path: Path) -> None:
    (tmp_path / ".one.partial").mkdir()
    (tmp_path / ".one.partial" / "half").write_text("")
    with appearing(tmp_path / "one", under=".one.partial") as fresh:
        assert list(fresh.parent.iterdir()) == []
        fresh.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_a_private_file_is_its_owners_alone(tmp_path: Path) -> None:
    for text in ("old", "new"):
        write_privately(tmp_path / "secret", text)
    assert (tmp_path / "secret").read_text() == "new"
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
