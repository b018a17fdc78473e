"""The picture of an example is the one that it was cut out of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from trainables.data.detection.boxed import boxed
from trainables.data.detection.cutting import cut
from trainables.data.images import load
from trainables.settings.images import Images as Settings
from trainables.synthetic.thermal import write_thermal


@pytest.fixture(scope="module")
def sea(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_thermal(tmp_path_factory.mktemp("sea"), share=0.02, size=(24, 32))


@pytest.mark.parametrize("scale", ["bytes", "window"])
@pytest.mark.parametrize("form", [{}, {"context": 0.3}, {"context": 0.3, "shape": "pad"}])
def test_what_is_seen_of_a_picture_is_the_example(
    sea: Path, tmp_path: Path, scale: str, form: dict[str, Any]
) -> None:
    given = {"min_crop_size": 1, **form}
    settings = Settings().with_values(
        {"name": "boxes", "path": str(sea / "samples.json"), "image_size": 12, "channels": 1,
         "thermal.scale": scale, **{f"boxes.{name}": one for name, one in given.items()}}
    )  # fmt: skip
    own = settings.boxes.arguments()
    data = load(settings.facts(), root=tmp_path, path=sea / "samples.json", **settings.arguments())
    positions = torch.arange(0, len(data.val), 7)
    found = boxed(data.val, "val", positions, sea / "samples.json", 0, **own)
    assert len(found) == len(positions)
    for one, example in zip(found, data.val.pixels(positions), strict=True):
        image = Image.fromarray(one.picture[0].numpy())
        again = resized(image, one.corners, **own["cut"])
        assert abs(again - example[0].numpy()).max() < (0.006 if scale == "bytes" else 0.02)
        left, top, right, bottom = one.seen
        if form.get("shape") == "pad":
            high, wide = one.picture.shape[1:]
            assert (right - left) * wide == pytest.approx((bottom - top) * high)
        assert left <= one.corners[0] and bottom >= one.corners[3]


def resized(image: Image.Image, corners: Any, **form: Any) -> Any:
    """The box of a picture in 0…1, as examples are cut: by their counts."""
    counts = Image.fromarray(np.asarray(image) * 65535)
    return cut(counts, corners, 12, **form)[0].astype(float) / 65535
