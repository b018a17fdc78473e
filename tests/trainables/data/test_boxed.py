"""The picture of an example is the one that it was cut out of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from trainables.data.boxed import boxed
from trainables.data.boxes.cutting import cut
from trainables.data.images import load
from trainables.settings.images import Images as Settings
from trainables.synthetic.maritime import scene, write
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


def test_pictures_of_a_folder_of_masks_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "sea", (scene(0, one, image_size=64) for one in range(24)), 24)
    settings = Settings().with_values(
        {"name": "boxes", "path": "sea", "root": "kept", "image_size": 12, "boxes.min_crop_size": 1,
         "boxes.val_share": 0.3}
    )  # fmt: skip
    root, path = Path("kept"), Path("sea")
    data = load(settings.facts(), root=root, path=path, **settings.arguments())
    given: dict[str, Any] = {**settings.boxes.arguments(), "root": root}
    (found,) = boxed(data.val, "val", torch.tensor([0]), path, 0, **given)
    image = Image.fromarray((255 * found.picture).byte().movedim(0, -1).numpy())
    again = cut(image, found.corners, 12, **given["cut"]) / 255
    assert abs(again - data.val.pixels(torch.tensor([0]))[0].numpy()).max() < 0.006
    assert not (tmp_path / "data").exists()


def resized(image: Image.Image, corners: Any, **form: Any) -> Any:
    """The box of a picture in 0…1, as examples are cut: by their counts."""
    counts = Image.fromarray(np.asarray(image) * 65535)
    return cut(counts, corners, 12, **form)[0].astype(float) / 65535
