"""Tables of pictures: sizes by whole numbers, and no word cut off."""

from __future__ import annotations

import numpy as np
import torch

from trainables.figures import pictures
from trainables.figures.pictures import Page, cell_size, shown, table


def test_pictures_are_enlarged_by_whole_numbers_and_made_smaller_by_averages() -> None:
    assert cell_size(28, 56, 144) == (140, 280)
    assert cell_size(224, 448, 112) == (112, 224)
    board = (torch.arange(8)[:, None] + torch.arange(8)) % 2
    assert shown(board[None].float(), (16, 16))[:2, :3, 0].tolist() == [[0, 0, 255]] * 2
    assert abs(int(shown(board[None].float(), (2, 2))[0, 0, 0]) - 127) < 10


def test_words_are_never_cut_off() -> None:
    cell = torch.zeros(8, 8, 3, dtype=torch.uint8)
    narrow, wide = (table([[cell]], Page(title="title" * times)) for times in (1, 40))
    assert wide.width > narrow.width + 500
    assert np.asarray(wide)[:, -12:].min() == 255


def test_a_long_heading_fits_its_column_and_keeps_both_ends() -> None:
    """A short one is as it is; names that differ at their ends stay different."""
    assert pictures.fitting("BOAT", 100) == ("BOAT", 13)
    name = "SAILING_BOAT_WITH_{}_SAILS"
    found = [pictures.fitting(name.format(one), 100) for one in ("CLOSED", "OPEN")]
    for text, size in found:
        assert pictures._width(text, size) <= 100 and text.startswith("SAIL")
    assert found[0] != found[1]
