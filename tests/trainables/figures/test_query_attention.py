"""Where queries look: maps lie over the picture in its scale, beside the right boxes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from PIL import Image

from trainables.figures.boxes import Labelled
from trainables.figures.canvas import canvas
from trainables.figures.outlines import PREDICTED, TRUE, PictureAxes
from trainables.figures.query_attention import (
    Look,
    Queries,
    draw_look,
    finding_queries,
    query_heads,
    query_layers,
    query_models,
    seen_share,
    sure_queries,
)

IMAGE = torch.full((3, 64, 80), 0.5)
"""On a grid of 3 × 4 cells of 32 pixels, the last row and the last column are padding."""
TRUTH = Labelled(torch.tensor([[0.5, 0.5, 0.5, 0.5], [0.2, 0.2, 0.2, 0.2]]), torch.tensor([1, 2]))
MOST = (253, 231, 37)
"""The colour of the largest weight."""


def queries(*scores: float, place: tuple[int, int] = (0, 0)) -> Queries:
    """As many as there are scores, of class 1, that look at one cell and find the first object."""
    count = len(scores)
    maps = torch.zeros(count, 3, 4)
    maps[:, *place] = 1.0
    boxes = TRUTH.boxes[:1].repeat(count, 1)
    return Queries(maps, boxes, torch.ones(count).long(), torch.tensor(scores))


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def bright(path: Path) -> int:
    """How many pixels have about the colour of the largest weight over grey."""
    shade = 0.85 * np.array(MOST) + 0.15 * 128
    return int((np.abs(pixels(path) - shade).max(-1) < 6).sum())


def drawn(look: Look, path: Path) -> Any:
    """The axes of a look, before they are gone."""
    with canvas(path, 3, 2) as figure:
        picture = PictureAxes(figure.subplots(), IMAGE)
        draw_look(picture, look, 32, TRUTH)
        axes: Any = picture.axes
        boxes = {
            color: [one.get_bbox().extents.tolist() for one in axes.patches
                    if to_hex(one.get_edgecolor()) == color]
            for color in (PREDICTED, TRUE)
        }  # fmt: skip
        extents = [one.get_extent() for one in axes.images]
        return boxes, extents, (axes.get_xlim(), axes.get_ylim()), axes.get_title()


def test_a_map_and_boxes_have_the_scale_of_the_picture(tmp_path: Path) -> None:
    """The map overhangs it by the padding, which is not shown."""
    look = Look(torch.rand(3, 4), torch.tensor([0.25, 0.25, 0.5, 0.5]), "")
    boxes, extents, limits, _ = drawn(look, tmp_path / "a.png")
    assert np.array(extents).tolist() == [[0, 80, 64, 0], [0, 128, 96, 0]]
    assert limits == ((0, 80), (64, 0))
    assert boxes[PREDICTED] == [[0, 0, 40, 32]]
    assert np.array(boxes[TRUE]) == pytest.approx(
        np.array([[20, 16, 60, 48], [8, 6.4, 24, 19.2]]), abs=1e-5
    )


@pytest.mark.parametrize(
    "weights, words",
    [
        (torch.ones(3, 4), "cat, 50% beyond"),
        (torch.eye(3, 4) * torch.tensor([1.0, 1.0, 0.0])[:, None], "cat"),
        (torch.zeros(3, 4), "cat, looks nowhere"),
    ],
)
def test_attention_beyond_the_picture_is_said(
    tmp_path: Path, weights: torch.Tensor, words: str
) -> None:
    """Of twelve cells six begin in the picture."""
    look = Look(weights, TRUTH.boxes[0], "cat")
    assert drawn(look, tmp_path / "a.png")[3] == words


@pytest.mark.parametrize("size, share", [((64, 80), 0.5), ((65, 97), 1.0), ((1, 1), 1 / 12)])
def test_the_share_of_a_uniform_map_is_that_of_cells(size: tuple[int, int], share: float) -> None:
    assert seen_share(torch.full((3, 4), 0.3), size, 32) == pytest.approx(share)


def test_sure_queries_are_those_above_the_score_best_first() -> None:
    asked = queries(0.3, 0.95, 0.9, 0.99)
    assert sure_queries(asked, 0.9, 6) == [3, 1]
    assert sure_queries(asked, 0.2, 3) == [3, 1, 2]
    assert sure_queries(asked, 0.99, 3) == sure_queries(queries(), 0.0, 3) == []


def test_an_object_is_found_by_the_best_box_of_its_class() -> None:
    boxes = torch.cat([TRUTH.boxes[[0, 0, 0]] + torch.tensor([0.1, 0.0, 0.02])[:, None],
                       TRUTH.boxes[1:] + 0.6])  # fmt: skip
    asked = Queries(
        torch.ones(4, 3, 4), boxes, torch.tensor([1, 2, 1, 2]), torch.tensor([0.9, 0.9, 0.6, 0.9])
    )
    assert finding_queries(asked, TRUTH, 0.5)[0] == 2
    assert finding_queries(asked, TRUTH, 0.6)[0] == 0
    assert finding_queries(asked._replace(boxes=boxes + 9), TRUTH, 0.5) == [-1, -1]
    assert finding_queries(queries(), TRUTH, 0.5) == [-1, -1]


def test_layers_are_rows_and_sure_queries_columns(tmp_path: Path) -> None:
    """The cell that they look at is bright in each, but where edges of boxes lie over it."""
    two = {"layer 1": queries(0.1, 0.2, 0.3), "layer 2": queries(0.95, 0.5, 0.99)}
    query_layers(tmp_path / "a.png", image=IMAGE, layers=two, cell=32, true=TRUTH, title="a")
    query_layers(
        tmp_path / "b.png", image=IMAGE, layers={"layer 2": two["layer 2"]}, cell=32, most=1
    )
    assert bright(tmp_path / "a.png") == pytest.approx(4 * bright(tmp_path / "b.png"), rel=0.2)
    assert bright(tmp_path / "b.png") > 3000


def test_a_map_on_padding_alone_shows_nothing(tmp_path: Path) -> None:
    away = queries(0.95, place=(2, 3))
    query_layers(tmp_path / "a.png", image=IMAGE, layers={"layer 1": away}, cell=32)
    assert not bright(tmp_path / "a.png")


def test_where_no_query_is_sure_the_picture_says_so(tmp_path: Path) -> None:
    """Nothing at all, no objects, and an object that no query finds are drawn, too."""
    query_layers(tmp_path / "a.png", image=IMAGE, layers={"layer 1": queries(0.2)}, cell=32)
    query_layers(tmp_path / "b.png", image=IMAGE, layers={}, cell=32)
    none = Labelled(torch.zeros(0, 4), torch.zeros(0).long())
    models = {"a": queries(0.9), "b": queries()}
    query_models(tmp_path / "c.png", image=IMAGE, models=models, cell=32, true=none)
    query_models(
        tmp_path / "d.png", image=IMAGE, models=models, cell={"a": 32, "b": 16}, true=TRUTH
    )
    query_models(tmp_path / "e.png", image=IMAGE, models={}, cell={}, true=TRUTH)
    maps, boxes = torch.zeros(0, 2, 3, 4), torch.zeros(0, 4)
    query_heads(tmp_path / "f.png", image=IMAGE, maps=maps, boxes=boxes, cell=32)
    assert not any(bright(tmp_path / f"{name}.png") for name in "abcef")
    assert bright(tmp_path / "d.png") > 3000


def test_what_a_network_gives_is_drawn_as_it_is(tmp_path: Path) -> None:
    """In half precision, with a graph behind it."""
    given = queries(0.95)
    maps, boxes, scores = (
        one.bfloat16().requires_grad_() for one in (given.maps, given.boxes, given.scores)
    )
    one = {"layer 1": Queries(maps, boxes, given.classes, scores)}
    query_layers(tmp_path / "a.png", image=IMAGE.half(), layers=one, cell=32)
    query_models(tmp_path / "b.png", image=IMAGE, models=one, cell=32, true=TRUTH)
    assert bright(tmp_path / "a.png") > 1000 < bright(tmp_path / "b.png")


def test_heads_stand_beside_their_mean(tmp_path: Path) -> None:
    """Two heads that look at two cells, both of which are bright in the mean."""
    maps = torch.zeros(1, 2, 3, 4)
    maps[0, 0, 0, 0] = maps[0, 1, 1, 0] = 1
    query_heads(tmp_path / "a.png", image=IMAGE, maps=maps, boxes=torch.zeros(1, 4), cell=32)
    query_heads(tmp_path / "b.png", image=IMAGE, maps=maps[:, :1], boxes=torch.zeros(1, 4), cell=32)
    assert bright(tmp_path / "a.png") == pytest.approx(2 * bright(tmp_path / "b.png"), rel=0.1)
