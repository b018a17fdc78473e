"""Sweeps of questions on representation learning: one for each, on sets that are small and free.

raysearch data get fashion_mnist cifar10
raysearch search ssl.strips
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from raysearch.sweeps.sweep import Metric, Trial, sweep
from search_spaces.settings import Settings, choices, labelled, merged, one_of, only
from search_spaces.ssl_diary import CIFAR, NOTES
from search_spaces.ssl_labelled import FACTORS, LONG, LONG_TAIL, SHARPNESS, supervised
from search_spaces.ssl_landscapes import CAUSES, RESIDUAL, looked_at
from search_spaces.ssl_landscapes import SMALL as SMALL_LANDSCAPE
from search_spaces.ssl_maritime import CLASSES, METHODS, SEA, at_sea
from search_spaces.ssl_robust import EACH
from search_spaces.ssl_segmentation import MASSMIND, segmentation
from search_spaces.ssl_small import CONTRAST, DINO, SMALL, pretraining
from trainables.ssl.config import Pretraining, Segmentation, Supervised

SEEDS = 3
KNN = [Metric("val/knn", "maximize")]
ROBUST = [Metric("corruption/accuracy", "maximize"), *KNN]
LONGER: Settings = {
    "training.steps": 2000,
    "training.evaluate_every": 200,
    "training.save_every": 2000,
}
"""Thirteen passes over 10,000 garments."""
CORRUPTED: Settings = {"evaluation.corruption.images": EACH}

asked = partial(sweep, sampler="grid", metrics=KNN, repeats=SEEDS)

# Robustness -----------------------------------------------------------------------------------

STARTS: Mapping[str, Settings] = {
    "dino": DINO,
    "simclr": {**CONTRAST, "method.kind": "simclr"},
    "cross_entropy": {**CONTRAST, "method.kind": "cross_entropy"},
}
"""Two that see no labels, and one that does."""


@asked(
    name="ssl.robust_starts",
    metrics=ROBUST,
    stated=3,
    question="Is what was learned without labels more robust than what was learned with them?",
    tags={"question": "Q1"},
    choices=choices(start=STARTS),
    notes="Neighbours of corrupted pictures. The drawn network and pixels are beside each.",
)
def robust_starts(trial: Trial) -> Pretraining:
    """DINO, SimCLR, cross-entropy."""
    return pretraining(SMALL, LONGER, CORRUPTED, labelled(trial, "start", STARTS))


UPHILL: Mapping[str, Settings] = {
    "adamw": {"optimizer.kind": "adamw"},
    "sam": {"optimizer.kind": "sam", "optimizer.rho": 0.05},
}
TWO_STARTS = only(STARTS, "dino", "cross_entropy")


@asked(
    name="ssl.sharp_starts",
    metrics=ROBUST,
    stated=4,
    question="Does pretraining with SAM make features more robust?",
    tags={"question": "Q2"},
    choices=choices(start=TWO_STARTS, optimiser=UPHILL),
)
def sharp_starts(trial: Trial) -> Pretraining:
    """DINO or cross-entropy × AdamW or SAM around it."""
    start = labelled(trial, "start", TWO_STARTS)
    rate: Settings = {"optimizer.lr": SMALL["optimizer.lr"], "optimizer.final_weight_decay": None}
    optimiser = labelled(trial, "optimiser", UPHILL)
    return pretraining(SMALL, LONGER, CORRUPTED, start, rate, optimiser)


BASES = only(SHARPNESS, "none", "sam")


@asked(
    name="ssl.sharp_networks",
    metrics=[Metric("corruption/accuracy", "maximize"), Metric("val/accuracy", "maximize")],
    stated=6,
    question="Does a ConvNeXt gain by SAM as a vision transformer does?",
    tags={"question": "Q3"},
    choices=choices(sharpness=BASES),
)
def sharp_networks(trial: Trial) -> Supervised:
    """AdamW or SAM × ConvNeXt, ViT, ResNet, on CIFAR-10 and corrupted pictures of it."""
    common: Settings = {
        "data.name": "cifar10",
        "augmentation.flips": True,
        "augmentation.shift": 4,
        "model.kind": "timm",
        "model.image_size": 64,
        "optimizer.lr": 1e-3,
        "training.epochs": 50,
        "training.batch_size": 128,
    }
    networks = ("convnext_atto", "vit_tiny_patch16_224", "resnet26")
    sharpness = labelled(trial, "sharpness", BASES)
    return supervised(CORRUPTED, sharpness, common, one_of(trial, "model.name", *networks))


CHANGES: Mapping[str, Settings] = {
    kind: {"evaluation.corruption.corruptions": [kind]}
    for kind in ("brightness", "saturate", "defocus_blur", "motion_blur")
}
"""What changes from frame to frame of a film, by itself."""


@sweep(
    name="ssl.stand_ins",
    evaluates="ssl.robust_starts",
    metrics=ROBUST[:1],
    stated=4,
    question="How steady are features in time, as far as single pictures tell?",
    tags={"question": "Q11"},
    choices=choices(change=CHANGES),
    notes="Each change by itself, at five severities; of real sequences this says nothing.",
)
def stand_ins(trial: Trial) -> Pretraining:
    """Light, colour, sharpness and motion."""
    return pretraining(CORRUPTED, labelled(trial, "change", CHANGES))


# Labels and classes ---------------------------------------------------------------------------

RIVALS = only(LONG_TAIL, "dino", "gpaco")


@asked(
    name="ssl.rivals",
    stated=6,
    question="Is GPaCo better than DINO on a long tail?",
    tags={"question": "Q4"},
    choices=choices(method=RIVALS),
    notes="GPaCo sees the labels. Look at val/knn_recall_few, of classes with few pictures.",
)
def rivals(trial: Trial) -> Pretraining:
    """Two methods × three factors, CIFAR-10-LT."""
    factor = one_of(trial, "data.long_tail.factor", *FACTORS)
    return pretraining(LONG, labelled(trial, "method", RIVALS), factor)


@asked(
    name="ssl.fewer_classes",
    stated=6,
    question="Are fewer classes better, with labels and without?",
    tags={"question": "Q8"},
    choices=choices(method=METHODS, classes=CLASSES),
    notes="Compare each with its majority, which rises with fewer classes.",
)
def fewer_classes(trial: Trial) -> Pretraining:
    """DINO or SupCon × 32 labels, 15 of them, 7 groups of them."""
    method, classes = labelled(trial, "method", METHODS), labelled(trial, "classes", CLASSES)
    if not method:
        return at_sea(classes)
    boxes = {name: value for name, value in SEA.items() if name.startswith("data.")}
    length: Settings = {"training.epochs": 100, "training.batch_size": 128}
    return pretraining(CIFAR, boxes, method, length, classes)


LITE0: Settings = {
    **CONTRAST,
    "data.name": "fashion_mnist",
    "data.limit": 10_000,
    "model.kind": "timm",
    "model.name": "tf_efficientnet_lite0",
    "model.pretrained": True,
    "views.size": 64,
    "method.kind": "simclr",
    "evaluation.health": 0,
}
"""A network that was trained on photographs."""


@asked(
    name="ssl.labellers",
    stated=5,
    repeats=1,
    question="Can a pretrained network label pictures, and from how many labels?",
    tags={"question": "Q12"},
    notes="val/knn is the share of pictures that neighbours among the labelled label rightly.",
)
def labellers(trial: Trial) -> Pretraining:
    """The share of 10,000 garments whose labels are known; nothing is trained."""
    share = one_of(trial, "data.labels_share", 0.01, 0.03, 0.1, 0.3, 1.0)
    return pretraining(LITE0, {"training.steps": 0}, share)


# Views and channels ---------------------------------------------------------------------------


@asked(
    name="ssl.strips",
    stated=4,
    question="Are strips better small views than squares?",
    tags={"question": "Q5"},
)
def strips(trial: Trial) -> Pretraining:
    """Squares at random or at five places, strips upright or level; five of each."""
    places = ("random", "five", "strip_vertical", "strip_horizontal")
    five: Settings = {"views.small.count": 5}
    return pretraining(SMALL, DINO, LONGER, five, one_of(trial, "views.small.local", *places))


@asked(
    name="ssl.channels",
    stated=7,
    question="How does a network of three channels learn from pictures of one?",
    tags={"question": "Q7"},
    notes="Without training: ssl.channels_small.",
)
def channels(trial: Trial) -> Pretraining:
    """All channel modes of a pretrained network that is trained on."""
    modes = ("copy3", "red", "green", "blue", "mean", "sum", "stem1to3")
    further: Settings = {"training.steps": 300, "training.evaluate_every": 300}
    return pretraining(LITE0, further, one_of(trial, "model.channel_mode", *modes))


@asked(
    name="ssl.standards",
    stated=6,
    question="Why standardise other pictures by the mean and the deviation of ImageNet?",
    tags={"question": "Q6"},
    choices=choices(start=TWO_STARTS),
    notes="For networks that begin as they are drawn; pretrained ones see pictures as they were "
    "trained, by whatever these are standardised.",
)
def standards(trial: Trial) -> Pretraining:
    """By their own training split, by ImageNet, by nothing × DINO, cross-entropy."""
    standard = one_of(trial, "data.standardise", "own", "imagenet", "none")
    return pretraining(SMALL, LONGER, labelled(trial, "start", TWO_STARTS), standard)


# Networks and length --------------------------------------------------------------------------


@asked(
    name="ssl.lengths",
    stated=3,
    repeats=1,
    question="Are 1000 epochs better than 500?",
    tags={"question": "Q9"},
    notes="Each ends its own schedule: what a longer run has half-way is not what a shorter has.",
)
def lengths(trial: Trial) -> Pretraining:
    """250, 500 and 1000 epochs of the last settings of the diary."""
    return pretraining(CIFAR, NOTES, one_of(trial, "training.epochs", 250, 500, 1000))


@sweep(
    name="ssl.segmented_features",
    metrics=[Metric("val/cluster_miou", "maximize", reduce="best")],
    sampler="grid",
    fidelity="evaluations",
    repeats=SEEDS,
    stated=2,
    question="Which frozen features are good for segmentation, when nobody has labelled pixels?",
    tags={"question": "Q10"},
    notes="Networks of one's own: features.backbone=… features.weights_file=….",
)
def segmented_features(trial: Trial) -> Segmentation:
    """EfficientNet-Lite0 from its third or its fourth stage, on MassMIND."""
    lite0: Settings = {"features.backbone": "tf_efficientnet_lite0", "features.image_size": 224}
    return segmentation(MASSMIND, lite0, one_of(trial, "features.layer", 3, 4))


@asked(
    name="ssl.transfer",
    stated=3,
    question="Does what was learned from MassMIND help on other pictures of the sea?",
    tags={"question": "Q13"},
    notes="Say which network: model.weights_file=… model.weights_part=teacher; and compare with "
    "the same sweep without one.",
)
def transfer(trial: Trial) -> Pretraining:
    """Not trained further, for a little, for longer."""
    return at_sea(one_of(trial, "training.steps", 0, 500, 5000))


SIZES: Mapping[str, Settings] = {
    "vit": {"model.kind": "vit", "model.layers": 12, "model.patch_size": 8},
    "convnext_atto": {"model.kind": "timm", "model.name": "convnext_atto"},
    "mobilenetv3_large": {"model.kind": "timm", "model.name": "mobilenetv3_large_100"},
    "resnet10": {"model.kind": "timm", "model.name": "resnet10t"},
}
"""Networks of 3.4 to 4.9 million parameters."""


@asked(
    name="ssl.equal_sizes",
    stated=4,
    question="Which network is best on infrared, of those that are equally large?",
    tags={"question": "Q14"},
    choices=choices(network=SIZES),
    notes="Parameters and multiply-adds stand with each trial, and cost/latency_ms in the results.",
)
def equal_sizes(trial: Trial) -> Pretraining:
    """A vision transformer, ConvNeXt, MobileNetV3, ResNet."""
    network = labelled(trial, "network", SIZES)
    notes = {**CIFAR, **NOTES, **SEA, "views.size": 64, "views.local_crop_input_factor": 2.0}
    if network["model.kind"] == "timm":
        notes = {name: value for name, value in notes.items() if not name.startswith("model.")}
    return pretraining(notes, network)


# Landscapes, and what went wrong --------------------------------------------------------------


@sweep(
    name="ssl.flat",
    metrics=[Metric("val/accuracy", "maximize")],
    sampler="grid",
    stated=10,
    question="Why do landscapes look smooth: the network, or the way it is looked at?",
    tags={"question": "Q15"},
    choices=choices(cause=CAUSES),
)
def flat(trial: Trial) -> Supervised:
    """56 layers with and without skips × the published way and four that differ in one thing."""
    deep: Settings = {**RESIDUAL, "model.depth": 56}
    skips = one_of(trial, "model.skips", True, False)
    return looked_at(SMALL_LANDSCAPE, deep, skips, labelled(trial, "cause", CAUSES))


@asked(
    name="ssl.five_percent",
    stated=8,
    repeats=1,
    question="Why did neighbours tell only 5 % of the boats?",
    tags={"question": "Q16"},
    notes="Noted were a factor of 2, the largest box of each picture, and a teacher at rest.",
)
def five_percent(trial: Trial) -> Pretraining:
    """Side of small views × which boxes × whether the teacher follows."""
    return at_sea(
        one_of(trial, "views.local_crop_input_factor", 2.0, 1.0),
        one_of(trial, "data.boxes.crop", "largest", "all"),
        one_of(trial, "method.teacher", "frozen", "moving"),
    )


@sweep(
    name="ssl.points",
    metrics=[Metric("val/accuracy", "maximize")],
    sampler="grid",
    stated=3,
    question="How long does a landscape of 51 × 51 points take?",
    tags={"question": "Q17"},
    notes="Look at the time of each trial. Noted are 40 s a point, which makes 28.9 hours, not 51.",
)
def points(trial: Trial) -> Supervised:
    """15, 31 and 51 points along each of two directions."""
    residual: Settings = {**RESIDUAL, "model.skips": True}
    points = one_of(trial, "evaluation.landscape.resolution", 15, 31, 51)
    return looked_at(merged(SMALL_LANDSCAPE, residual), points)
