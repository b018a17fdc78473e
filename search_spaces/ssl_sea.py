"""Sweeps on boxes of an infrared camera at sea beyond their augmentations, by the diary's numbers.

The pictures are people's own, as for `ssl_maritime`:

    raysearch search ssl.X37 data.path=sea/samples.json

Pretrained networks are EfficientNet-Lite0, whose weights come in a package. Noted are ViT-B of DINO
and others, whose weights do not: model.name=vit_base_patch8_224.dino model.weights_file=…
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from raysearch.sweeps.sweep import Metric, Trial, sweep
from search_spaces.settings import Settings, labelled, one_of
from search_spaces.ssl_diary import CIFAR, NOTES, logged
from search_spaces.ssl_maritime import SEA, at_sea
from search_spaces.ssl_small import CONTRAST, pretraining
from trainables.ssl.config import Pretraining

BOXES: Settings = {name: value for name, value in SEA.items() if name.startswith("data.")}
PRETRAINED: Settings = {
    **CONTRAST,
    "model.kind": "timm",
    "model.name": "tf_efficientnet_lite0",
    "model.pretrained": True,
    "data.image_size": 64,
    "views.size": 64,
    "method.kind": "simclr",
    "training.steps": 0,
    "evaluation.health": 0,
}
"""Neighbours by a pretrained network, without a step of training."""
embedded = partial(pretraining, BOXES, PRETRAINED)
noted = partial(sweep, sampler="grid", metrics=[Metric("val/knn", "maximize")])
evaluated = partial(sweep, evaluates="ssl.X37", stated=1, metrics=[Metric("val/knn", "maximize")])


@logged(
    "X31",
    "2023-01-25",
    question="Does DINO learn from boxes with small views as large as the large ones?",
    notes="They have 30 to 40 % of the box.",
)
def retried(trial: Trial) -> Pretraining:
    """The last settings of the diary."""
    return at_sea()


@logged(
    "X33",
    "2023-01-18",
    question="Are small views in the corners better than anywhere?",
    stated=2,
    notes="A wish.",
)
def five_crops(trial: Trial) -> Pretraining:
    """Five small views at random, or in the corners and the middle, on CIFAR-10."""
    return pretraining(
        CIFAR, NOTES, {"views.small.count": 5}, one_of(trial, "views.small.local", "random", "five")
    )


@logged(
    "X34",
    "2022-10-05",
    question="Are strips better small views than squares?",
    stated=4,
    notes="A wish. Neighbours are of boxes, whatever was learned from.",
)
def strips(trial: Trial) -> Pretraining:
    """Squares, or vertical strips, of boxes or of whole pictures without any."""
    return at_sea(
        one_of(trial, "views.small.local", "random", "strip_vertical"),
        one_of(trial, "data.boxes.empty_pictures", "none", "alone"),
    )


@logged(
    "X37",
    "2023-02-22",
    question="Which channels of a pretrained network tell boats apart?",
    stated=5,
    notes="Noted are 0.82, 0.773, 0.80 and 0.793 of 150 boxes, which cannot be told apart. "
    "stem1to3 begins as copy3, and differs where it is trained: training.steps=…",
)
def channel_modes(trial: Trial) -> Pretraining:
    """All three, red, green, blue; a stem that learns to make three of one."""
    modes = ("copy3", "red", "green", "blue", "stem1to3")
    return embedded(one_of(trial, "model.channel_mode", *modes))


PUBLISHED = (
    "convnextv2_base",
    "convnextv2_tiny",
    "convnextv2_atto",
    "convnextv2_huge",
    "mobilevitv2_200",
)
WEIGHTS: Mapping[str, Settings] = {
    name: {"model.name": name, "model.weights_file": f"data/weights/{name}.safetensors"}
    for name in PUBLISHED
}
"""Networks of timm whose weights come in no package; each in a file of its own."""


@logged(
    "X38",
    "2023-03-02",
    question="Which pretrained network tells boats apart without being trained further?",
    stated=5,
    notes="Noted are 0.807, 0.787, 0.80, 0.78 and 0.713 of 150 boxes: but for the last, they "
    "cannot be told apart. Put timm's weights into data/weights.",
    network=WEIGHTS,
)
def published(trial: Trial) -> Pretraining:
    """Four sizes of ConvNeXt V2, and a MobileViT V2."""
    return embedded(labelled(trial, "network", WEIGHTS))


CLEAN: Mapping[str, Settings] = {
    "clean": {"data.boxes.min_crop_size": 32},
    "less_clean": {"data.boxes.min_crop_size": 1},
}


@logged(
    "X39",
    "2023-03-15",
    question="Are boxes of any size harder to tell apart?",
    stated=4,
    notes="Four networks are noted on the less clean set, 0.51 to 0.82 of 536 boxes; their weights "
    "come in no package. Compare each with its majority.",
    cleanness=CLEAN,
)
def less_clean(trial: Trial) -> Pretraining:
    """Boxes of at least 32 pixels, or all."""
    return embedded(labelled(trial, "cleanness", CLEAN))


@evaluated(
    name="ssl.X40",
    question="What does a linear layer read off each channel mode?",
    tags={"date": "2023-02-22"},
)
def probed(trial: Trial) -> Pretraining:
    """A probe of the networks of X37."""
    return pretraining(one_of(trial, "evaluation.probe.steps", 1000))


@evaluated(
    name="ssl.X41",
    question="Do pictures of the networks show what their neighbours say?",
    tags={"date": "2023-02-22"},
)
def pictured(trial: Trial) -> Pretraining:
    """Grad-CAM and attention of more boxes, and of their whole pictures, of the networks of X37."""
    more: Settings = {"evaluation.figures.attention": 16, "evaluation.figures.boxes": 16}
    return pretraining(more, one_of(trial, "evaluation.figures.grad_cam", 32))


MODALITIES: Mapping[str, Settings] = {
    "thermal": {"data.channels": 1, "data.boxes.pictures": None},
    "colour": {"data.channels": 3, "data.boxes.pictures": "data/sea/colour"},
}


@logged(
    "X43",
    "2023-03-29",
    question="Do colours tell more than temperatures?",
    stated=2,
    notes="Not done. Pictures in colour have the names of the thermal ones, in data/sea/colour.",
    modality=MODALITIES,
)
def modality(trial: Trial) -> Pretraining:
    """The same boxes in thermal pictures, or in colour."""
    return at_sea(labelled(trial, "modality", MODALITIES))


@noted(
    name="ssl.X47",
    stated=1,
    question="Accuracy, precision and F1 of contrastive learning with labels?",
    tags={"date": "2023-04-26"},
    notes="Not done. Look at val/probe_precision, val/probe_f1 and those of neighbours.",
)
def with_labels(trial: Trial) -> Pretraining:
    """SupCon on boxes, and a probe."""
    own: dict[str, Any] = {**CONTRAST, "views.size": 32, "method.kind": "supcon"}
    length: Settings = {"training.epochs": 100, "training.batch_size": 128}
    return pretraining(CIFAR, BOXES, own, length, {"evaluation.probe.steps": 1000})


@noted(
    name="ssl.X52",
    stated=2,
    question="Does what was learned from other pictures of the sea help with these?",
    tags={"date": "2023-06-05"},
    notes="A wish. Say which network: model.weights_file=… of a run on boxes of MassMIND, with "
    "model.weights_part=teacher. Without one a drawn network is trained, or not.",
)
def transfer(trial: Trial) -> Pretraining:
    """As it comes, or trained further."""
    return at_sea(one_of(trial, "training.steps", 0, 2000))
