"""Sweeps of methods that see labels: long tails, sharpness, the focal loss, a modern recipe.

    raysearch data get fashion_mnist cifar10
    raysearch search ssl.tail_small
    raysearch search ssl.X55 --gpus 1

What sees labels is not comparable by neighbours with what does not: look at `val/accuracy` too.
"""

from __future__ import annotations

from collections.abc import Mapping

from raysearch.sweeps.sweep import Metric, Trial, sweep
from search_spaces.settings import Settings, choices, labelled, merged, one_of
from search_spaces.ssl_diary import CIFAR, logged
from search_spaces.ssl_small import CONTRAST, DINO, SMALL, pretraining
from trainables.ssl.config import Pretraining, Supervised

ADJUSTED: Settings = {"method.adjustment": 1.0}
"""As published for long tails: the shares of classes are in the logits while these are learned."""
MILD: Settings = {**CONTRAST, "views.min_area": 0.5}
"""Two views that leave half of a garment at least: few steps learn little from less."""
TAIL: Mapping[str, Settings] = {
    "dino": DINO,
    "cross_entropy": {**MILD, "method.kind": "cross_entropy"},
    "paco": {**MILD, "method.kind": "paco", "method.momentum": 0.99, **ADJUSTED},
    "gpaco": {**MILD, "method.kind": "gpaco", **ADJUSTED},
}
"""Four methods; keys of PaCo follow in a hundred steps."""
STEPS: Settings = {"training.steps": 400, "training.save_every": 400}
FACTORS = (0.01, 0.02, 0.1)
"""What the last class has of the images of the first."""


@sweep(
    name="ssl.tail_small",
    metrics=[Metric("val/knn", "maximize")],
    sampler="grid",
    fidelity="evaluations",
    stated=12,
    question="Which method bears a long tail, and does DINO, which sees no label?",
    tags={"question": "X55", "size": "small"},
    choices=choices(method=TAIL),
    notes="Look at val/accuracy and val/recall_few too. All methods but DINO see the labels.",
)
def tail_small(trial: Trial) -> Pretraining:
    """DINO, cross-entropy, PaCo and GPaCo × how long the tail is, on 10,000 pictures before it."""
    return pretraining(
        SMALL,
        STEPS,
        labelled(trial, "method", TAIL),
        one_of(trial, "data.long_tail.factor", *FACTORS),
    )


LONG: Settings = {**CIFAR, "training.epochs": 400, "training.batch_size": 128}
"""CIFAR-10 as PaCo was trained on it; its keys follow as published."""
VIEWS: Settings = {"views.kind": "contrastive", "views.size": 32}
LONG_TAIL: Mapping[str, Settings] = {
    "dino": {"views.local_crop_input_factor": 2.0},
    "cross_entropy": {**VIEWS, "method.kind": "cross_entropy"},
    "paco": {**VIEWS, "method.kind": "paco", **ADJUSTED},
    "gpaco": {**VIEWS, "method.kind": "gpaco", **ADJUSTED},
}
"""Four methods with two views each, DINO with its own."""


@logged(
    "X55",
    "2022-09-28",
    question="Are PaCo and GPaCo better than DINO and cross-entropy on a long tail?",
    stated=12,
    notes="A wish. All methods but DINO see the labels: val/accuracy and val/recall_few too.",
    method=LONG_TAIL,
)
def long_tail(trial: Trial) -> Pretraining:
    """Four methods × three factors on CIFAR-10-LT."""
    return pretraining(
        LONG,
        labelled(trial, "method", LONG_TAIL),
        one_of(trial, "data.long_tail.factor", *FACTORS),
    )


BY_DINO: Settings = {
    "data.labels_from.weights_file": "data/dino/cifar10.pt",
    "data.labels_from.weights_part": "teacher",
}
"""A checkpoint of a finished trial."""
TAUGHT: Mapping[str, Settings] = {
    "supcon": {**VIEWS, "method.kind": "supcon"},
    "cross_entropy": {**VIEWS, "method.kind": "cross_entropy"},
}


@logged(
    "X58",
    "2022-12-03",
    question="Can a network be trained with labels that another one, pretrained, has given?",
    stated=12,
    notes="An idea. Say which trial: data.labels_from.weights_file=…. How many pictures it labels "
    "rightly stands with each run, beside the majority: data.labels_from.",
    method=TAUGHT,
)
def labels(trial: Trial) -> Pretraining:
    """The known labels alone, or those of all pictures, by neighbours or a probe × how many labels
    are known × SupCon or cross-entropy.
    """
    return pretraining(
        LONG,
        BY_DINO,
        one_of(trial, "data.labels_from.by", "nobody", "neighbours", "probe"),
        labelled(trial, "method", TAUGHT),
        one_of(trial, "data.labels_share", 0.01, 0.1),
    )


FOCAL: Mapping[str, Settings] = {
    "none": {"views.local_crop_input_factor": 2.0},
    "focal": {**VIEWS, "method.kind": "focal", "method.gamma": 2.0},
    "dino_focal": {
        "views.local_crop_input_factor": 2.0,
        "method.focal.weight": 0.5,
        "method.focal.gamma": 2.0,
    },
}
"""DINO alone, the focal loss alone, and both."""


@logged(
    "X46",
    "2023-04-26",
    question="Does a focal loss help, alone or beside DINO?",
    stated=3,
    notes="Not done. The latter two see the labels; the weight beside DINO is not noted.",
    method=FOCAL,
)
def focal(trial: Trial) -> Pretraining:
    """DINO, the focal loss, DINO with a focal term."""
    lengths: Settings = {"training.epochs": 100, "training.batch_size": 128}
    return pretraining(CIFAR, lengths, labelled(trial, "method", FOCAL))


SUPERVISED: Settings = {
    "data.name": "cifar10",
    "model.kind": "timm",
    "augmentation.flips": True,
    "augmentation.shift": 4,
    "training.batch_size": 128,
}
"""Pictures of 32 × 32 pixels, mirrored and shifted by four."""
SHARPNESS: Mapping[str, Settings] = {
    "none": {"optimizer.kind": "adamw"},
    "sam": {"optimizer.kind": "sam", "optimizer.rho": 0.1},
    "esam": {
        "optimizer.kind": "sam",
        "optimizer.rho": 0.1,
        "optimizer.weight_share": 0.6,
        "optimizer.example_share": 0.5,
    },
}
"""AdamW alone, uphill by all weights and examples, and by shares of them as published."""
NETWORKS = ("resnet26", "vit_tiny_patch16_224", "convnext_atto")
DINO_TRIALS = "data/dino"
"""The folder with a checkpoint of a trial of DINO for each of these, NAME.pt."""
STARTED: Mapping[str, Settings] = {
    "drawn": {},
    "dino": {
        "model.pretrained": True,
        "model.weights_file": f"{DINO_TRIALS}/NAME.pt",
        "model.weights_part": "teacher",
    },
}
"""As it is drawn, or from the teacher of a finished trial."""


def supervised(*settings: Settings) -> Supervised:
    """The default with all of these settings, the later before the earlier."""
    return Supervised().with_values(merged(*settings))


@sweep(
    name="ssl.X15",
    metrics=[Metric("val/accuracy", "maximize")],
    sampler="grid",
    stated=18,
    question="Do SAM and ESAM help ResNet, ViT and ConvNeXt alike, pretrained or not?",
    tags={"date": "2022-11-13"},
    choices=choices(sharpness=SHARPNESS, start=STARTED),
    notes="Trials of DINO are of ssl.pretraining on CIFAR-10 with the same model.name, "
    "model.image_size=64 and views.size=32; copy their checkpoints to data/dino/NAME.pt, or leave "
    "them out: choice.start=drawn. ASAM: optimizer.adaptive=true.",
)
def sharpness(trial: Trial) -> Supervised:
    """{AdamW, SAM, ESAM} × three networks × as drawn or from a finished trial of DINO."""
    common: Settings = {"training.epochs": 100, "model.image_size": 64, "optimizer.lr": 1e-3}
    sharp = labelled(trial, "sharpness", SHARPNESS)
    name = one_of(trial, "model.name", *NETWORKS)
    start = labelled(trial, "start", STARTED)
    if start:
        start = {**start, "model.weights_file": f"{DINO_TRIALS}/{name['model.name']}.pt"}
    return supervised(SUPERVISED, sharp, common, name, start)


OLD: Settings = {
    "training.epochs": 90,
    "optimizer.kind": "sgd",
    "optimizer.lr": 0.1,
    "augmentation.mixup": 0.0,
    "augmentation.cutmix": 0.0,
    "model.drop_path": 0.0,
    "label_smoothing": 0.0,
}
LONGER: Settings = {**OLD, "training.epochs": 300}
ADAMW: Settings = {**LONGER, "optimizer.kind": "adamw", "optimizer.lr": 1e-3}
MIXED: Settings = {**ADAMW, "augmentation.mixup": 0.8, "augmentation.cutmix": 1.0}
DEEP: Settings = {**MIXED, "model.drop_path": 0.1}
SMOOTH: Settings = {**DEEP, "label_smoothing": 0.1}
STRONG: Settings = {**SMOOTH, "augmentation.strong.kind": "rand_augment"}
RECIPE: Settings = {**STRONG, "augmentation.erasing.rate": 0.25}
RECIPES: Mapping[str, Settings] = {
    "90_epochs": OLD,
    "300_epochs": LONGER,
    "adamw": ADAMW,
    "mixed": MIXED,
    "drop_path": DEEP,
    "label_smoothing": SMOOTH,
    "rand_augment": STRONG,
    "erasing": RECIPE,
}
"""What ConvNeXt's authors did to the training of a ResNet-50, one thing after another."""


@sweep(
    name="ssl.X57",
    metrics=[Metric("val/accuracy", "maximize")],
    sampler="grid",
    stated=8,
    question="What does each part of a modern recipe give a ResNet-50?",
    tags={"date": "2022-09-28"},
    choices=choices(recipe=RECIPES),
    notes="Published on ImageNet: 76.1 to 78.8 %.",
)
def recipe(trial: Trial) -> Supervised:
    """Length, AdamW, mixing, drop path, smoothing, RandAugment and random erasing, each on top of
    those before.
    """
    return supervised(SUPERVISED, {"model.name": "resnet50"}, labelled(trial, "recipe", RECIPES))


RESNET: Settings = {"model.kind": "modern_resnet"}
RATIO: Settings = {**RESNET, "model.blocks": (3, 3, 9, 3)}
PATCHES: Settings = {**RATIO, "model.stem": "patches"}
DEPTHWISE: Settings = {**PATCHES, "model.depthwise": True}
WIDER: Settings = {**DEPTHWISE, "model.width": 96}
INVERTED: Settings = {**WIDER, "model.inverted": True}
FIRST: Settings = {**INVERTED, "model.depthwise_first": True}
KERNEL: Settings = {**FIRST, "model.kernel_size": 7}
GELU: Settings = {**KERNEL, "model.activation": "gelu"}
ACTIVATIONS: Settings = {**GELU, "model.fewer_activations": True}
NORMS: Settings = {**ACTIVATIONS, "model.fewer_norms": True}
LAYER_NORM: Settings = {**NORMS, "model.norm": "layer"}
CONVNEXT: Settings = {
    **LAYER_NORM,
    "model.separate_downsampling": True,
    "model.layer_scale": 1e-6,
}
MODERN: Mapping[str, Settings] = {
    "resnet50": RESNET,
    "blocks": RATIO,
    "patches": PATCHES,
    "depthwise": DEPTHWISE,
    "width": WIDER,
    "inverted": INVERTED,
    "depthwise_first": FIRST,
    "kernel": KERNEL,
    "gelu": GELU,
    "fewer_activations": ACTIVATIONS,
    "fewer_norms": NORMS,
    "layer_norm": LAYER_NORM,
    "convnext_tiny": CONVNEXT,
}
"""What ConvNeXt's authors did to a ResNet-50 that they trained so, one thing after another."""


@sweep(
    name="ssl.modern_steps",
    metrics=[Metric("val/accuracy", "maximize")],
    sampler="grid",
    stated=13,
    question="What does each step from a ResNet-50 to ConvNeXt-T give?",
    tags={"date": "2022-09-28"},
    choices=choices(step=MODERN),
    notes="Published on ImageNet: 78.8 to 82.0 %. The recipe is the last one of ssl.X57.",
)
def modern_steps(trial: Trial) -> Supervised:
    """Stages, stem, depthwise convolutions, width, shape of blocks, kernel, activations, norms and
    downsampling, each on top of those before.
    """
    return supervised(SUPERVISED, RECIPE, RESNET, labelled(trial, "step", MODERN))
