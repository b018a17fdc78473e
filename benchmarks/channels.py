"""Pictures of one channel for a network that was trained with three: which channel mode is best?

Features of a pretrained network (tf_efficientnet_lite0) in each channel mode; each picture is
classified by its 20 nearest others. Shares of hits with 95 % intervals on 150, on 536 and on all
pictures, beside the most frequent class, raw pixels and the same network with random weights; and
the difference to `copy3` on the same pictures, with its interval. Run by

    python -m benchmarks.channels                                # 10,000 garments of Fashion-MNIST
    python -m benchmarks.channels --solar-cells SITE-PACKAGES/elpv_dataset/data

The solar cells (2,624 near-infrared pictures in four classes, CC BY-NC-SA) are those of the package
elpv-dataset; `raysearch data get fashion_mnist` brings the garments.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from trainables.data.images import load
from trainables.layers.backbones import Backbone
from trainables.layers.channels import CHANNEL_MODES
from trainables.layers.weights import locate
from trainables.metrics.intervals import paired, wilson
from trainables.metrics.knn import class_votes
from trainables.settings.images import Images

NETWORK = "tf_efficientnet_lite0"
NEIGHBORS, AT_ONCE, SEED = 20, 64, 0
COUNTS = (150, 536)
"""How many pictures were looked at in the notes."""


class Pictures(NamedTuple):
    """Pixels [N, 1, S, S] in 0…1, the side T that the network sees, and labels [N]."""

    name: str
    pixels: Tensor
    side: int
    labels: Tensor


def garments(number: int) -> Pictures:
    """Test pictures of Fashion-MNIST."""
    settings = Images(name="fashion_mnist")
    found = load(settings.facts(), root=Path(settings.root), path=None, seed=0, limit=None)
    places = torch.arange(min(number, len(found.test)))
    return Pictures("garments", found.test.pixels(places), 64, found.test.labels[places])


def solar_cells(folder: Path) -> Pictures:
    """Of the package, 128 pixels a side; the class is how likely a cell is defective.

    Raises:
        LookupError: it is not that folder.
    """
    table = folder / "labels.csv"
    if not table.is_file():
        raise LookupError(f"--solar-cells must be a folder with labels.csv in it, got {folder}")
    with table.open(encoding="utf-8") as lines:
        rows = [line.split()[:2] for line in lines if line.strip()]
    pixels = [
        np.asarray(Image.open(folder / name).convert("L").resize((128, 128))) for name, _ in rows
    ]
    labels = torch.tensor([round(3 * float(share)) for _, share in rows])
    return Pictures("solar cells", torch.from_numpy(np.stack(pixels))[:, None] / 255, 128, labels)


@torch.inference_mode()
def features(pictures: Pictures, mode: str, *, is_pretrained: bool = True) -> Tensor:
    """[N, D]."""
    torch.manual_seed(SEED)
    network = Backbone(
        name=NETWORK,
        image_size=pictures.pixels.shape[-1],
        channels=1,
        classes=0,
        scale_to=pictures.side,
        weights=locate(NETWORK, None) if is_pretrained else None,
        channel_mode=mode,  # pyright: ignore[reportArgumentType]
    ).eval()
    network.standardised_by(0.0, 1.0)
    return torch.cat([network.embed(part) for part in pictures.pixels.split(AT_ONCE)])


def hits(found: Tensor, labels: Tensor) -> Tensor:
    """Whether the neighbours of each among the others say its class, [N]."""
    classes = int(labels.max()) + 1
    votes = class_votes(
        *(found, labels, found), neighbors=NEIGHBORS, num_classes=classes, leaves_out_itself=True
    )
    return votes.argmax(1) == labels


def table(pictures: Pictures) -> list[tuple[str, ...]]:
    """A row for each channel mode and each blind one; what copies does is the same as copy3."""
    labels = pictures.labels
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(SEED))
    modes = [mode for mode in CHANNEL_MODES if mode != "stem1to3"]  # it begins as copy3
    embedded = {mode: features(pictures, mode) for mode in modes}
    copies = embedded["copy3"]
    apart = float((embedded["sum"] - copies).abs().max() / copies.abs().max())
    print(f"{pictures.name}: sum and copy3 differ by {apart:.1e} of the largest feature at most")
    found = {mode: hits(one, labels) for mode, one in embedded.items()}
    pixels = functional.interpolate(pictures.pixels, (32, 32), mode="area").flatten(1)
    found |= {
        "random network": hits(features(pictures, "sum", is_pretrained=False), labels),
        "raw pixels": hits(pixels, labels),
        "most frequent class": labels == labels.bincount().argmax(),
    }
    rows = [("", *(f"of {count}" for count in (*COUNTS, len(labels))), "less copy3, on all")]
    for name, own in found.items():
        cells = [_share(own[order[:count]]) for count in (*COUNTS, len(labels))]
        rows.append(
            (name, *cells, "{:+.4f} [{:+.4f}, {:+.4f}]".format(*paired(found["copy3"], own)))
        )
    return rows


def _share(own: Tensor) -> str:
    share = float(own.double().mean())
    low, high = wilson(share, len(own))
    return f"{share:.4f} [{low:.3f}, {high:.3f}]"


def main(folder: Path | None, number: int) -> None:
    """Prints the table, in Markdown."""
    torch.set_num_threads(1)
    rows = table(garments(number) if folder is None else solar_cells(folder))
    for place, row in enumerate(rows):
        print("| " + " | ".join(row) + " |")
        if not place:
            print("|---" * len(row) + "|")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.channels",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--solar-cells", type=Path, help="the folder data of elpv_dataset")
    parser.add_argument("--number", type=int, default=10_000, help="of garments; 10,000")
    given = parser.parse_args()
    main(given.solar_cells, given.number)
