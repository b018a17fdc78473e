"""Sweeps of networks that see no labels of CIFAR-10, by the numbers of a diary of 2022 and 2023.

    raysearch data get cifar10
    raysearch search ssl.X22 --gpus 1

How fast a network is, and how large, stands beside each trial: `cost/…`, and `parameters`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from raysearch.sweeps.sweep import Metric, Trial, sweep
from search_spaces.settings import Settings, choices, labelled, one_of
from search_spaces.ssl_diary import CIFAR, NOTES, logged
from search_spaces.ssl_robust import EACH
from search_spaces.ssl_small import pretraining
from trainables.ssl.config import Pretraining

DOUBLED: Settings = {
    **{name: value for name, value in CIFAR.items() if not name.startswith("model.")},
    **{name: value for name, value in NOTES.items() if not name.startswith("optimizer.")},
    "model.kind": "timm",
    "views.size": 64,
}
"""The last settings of the diary; views of 64 and 32 pixels, as networks of timm halve them."""
ADAMW: Settings = {"optimizer.kind": "adamw", "optimizer.lr": 5e-4}
LARS: Settings = {"optimizer.kind": "lars", "optimizer.lr": 0.48, "optimizer.weight_decay": 1e-6}
"""The rate and the weight decay that the diary found good."""
EITHER: Mapping[str, Settings] = {"lars": LARS, "adamw": ADAMW}
SMALL_VIT: Settings = {name: value for name, value in CIFAR.items() if name.startswith("model.")}
LINE_UP: Mapping[str, Settings] = {
    "vit_tiny": {**SMALL_VIT, "model.kind": "vit", "views.size": 32},
    "convnext_pico": {"model.name": "convnext_pico"},
    "mobilenetv3_small": {"model.name": "mobilenetv3_small_100"},
}
PROBED: Settings = {"evaluation.probe.steps": 1000}
adamw, lars = partial(pretraining, DOUBLED, ADAMW), partial(pretraining, DOUBLED, LARS)


def named(name: str, epochs: int = 500) -> Settings:
    """A network of timm, for so many epochs."""
    return {"model.name": name, "training.epochs": epochs}


@logged(
    "X19",
    "2022-11-23",
    question="What does DINO teach a ConvNeXt?",
    notes="Which one is not noted; in the pictures its attention is Grad-CAM's.",
)
def convnext(trial: Trial) -> Pretraining:
    """ConvNeXt-T, 100 epochs."""
    return adamw(named("convnext_tiny", 100))


@logged(
    "X20",
    "2022-11-23",
    question="Can DINO learn a handful of pictures by heart?",
    stated=2,
    notes="Look at train/loss; scores on so few pictures say nothing.",
)
def overfitting(trial: Trial) -> Pretraining:
    """34 pictures, and one batch of 32."""
    few: Settings = {"training.batch_size": 32, "training.epochs": 500}
    return pretraining(CIFAR, NOTES, one_of(trial, "data.limit", 34, 32), few)


@logged(
    "X21",
    "2022-11-24",
    question="Which configuration is worth a longer run?",
    stated=9,
    notes="Which networks is not noted.",
    network=LINE_UP,
)
def scan(trial: Trial) -> Pretraining:
    """Three sets × three networks, ten epochs."""
    return adamw(
        labelled(trial, "network", LINE_UP),
        one_of(trial, "data.name", "cifar10", "fashion_mnist", "mnist"),
        {"training.epochs": 10},
    )


@logged("X22", "2022-12-04", question="How small may a ConvNeXt be?", stated=4)
def convnexts(trial: Trial) -> Pretraining:
    """Atto, femto, pico and tiny."""
    sizes = [f"convnext_{size}" for size in ("atto", "femto", "pico", "tiny")]
    return adamw(named("", 100), one_of(trial, "model.name", *sizes))


@logged(
    "X23",
    "2022-12-10",
    question="What does a linear layer read off the good networks?",
    stated=3,
    notes="Look at val/probe.",
    network=LINE_UP,
)
def probed(trial: Trial) -> Pretraining:
    """Three networks, trained again, and a probe."""
    return adamw(labelled(trial, "network", LINE_UP), PROBED)


@logged(
    "X24",
    "2023-01-12",
    question="LARS or AdamW for a MobileNetV3?",
    stated=2,
    notes="Noted is that LARS was better.",
    optimiser=EITHER,
)
def mobilenet(trial: Trial) -> Pretraining:
    """Two optimisers, 500 epochs."""
    optimiser = labelled(trial, "optimiser", EITHER)
    return pretraining(DOUBLED, optimiser, named("mobilenetv3_small_100"))


@logged(
    "X25",
    "2023-01-12",
    question="Does a ConvNeXt still learn after 500 epochs?",
    stated=2,
    notes="Noted is that neighbours still rose at 500.",
)
def pico(trial: Trial) -> Pretraining:
    """500 and 1000 epochs, LARS."""
    return lars(named("convnext_pico"), one_of(trial, "training.epochs", 500, 1000))


@logged("X26", "2023-01-12", question="Is a larger MobileNetV3 better?", stated=2)
def mobilenets(trial: Trial) -> Pretraining:
    """Small and large, LARS."""
    sizes = ("mobilenetv3_small_100", "mobilenetv3_large_100")
    return lars(named(""), one_of(trial, "model.name", *sizes))


@logged("X27", "2023-01-12", question="Does DINO work with the second ConvNeXt?")
def second_pico(trial: Trial) -> Pretraining:
    """ConvNeXt V2, pico, LARS."""
    return lars(named("convnextv2_pico"))


@logged(
    "X28",
    "2023-01-12",
    question="Does DINO work with a MobileViT?",
    notes="Planned, not done. Views are twice as large: it halves them five times, and needs more "
    "than a place.",
)
def mobilevit(trial: Trial) -> Pretraining:
    """The rates that were planned, and a smaller batch."""
    planned: Settings = {
        "optimizer.weight_decay": 0.05,
        "optimizer.lr": 0.02,
        "schedule.floor": 1e-6 / 0.02,
        "training.batch_size": 64,
        "views.size": 128,
    }
    return lars(named("mobilevitv2_100"), planned)


@sweep(
    name="ssl.X29",
    metrics=[Metric("val/probe", "maximize"), Metric("corruption/accuracy", "maximize")],
    sampler="grid",
    stated=3,
    question="Which of the final networks is good, and which is robust?",
    tags={"date": "2023-01-13"},
    choices=choices(network=LINE_UP),
    notes="Six are stated, two evaluations of three networks; here a run makes both.",
)
def final(trial: Trial) -> Pretraining:
    """Three networks; a probe, and neighbours of corrupted validation images."""
    robust: Settings = {"evaluation.corruption.images": EACH, "training.epochs": 500}
    return adamw(labelled(trial, "network", LINE_UP), PROBED, robust)


@logged("X48", "2023-06-02", question="What is the landscape of a small network of DINO like?")
def mobilenet_landscape(trial: Trial) -> Pretraining:
    """MobileNetV3, and the loss of its views around it."""
    landscape: Settings = {"evaluation.landscape.resolution": 15}
    return lars(named("mobilenetv3_small_100", 100), landscape)


@logged(
    "X49",
    "2023-06-05",
    question="What does a ConvNeXt-T reach in 1000 epochs?",
    notes="Noted is that it died after 500, when pictures had filled the memory.",
)
def tiny(trial: Trial) -> Pretraining:
    """1000 epochs."""
    return adamw(named("convnext_tiny", 1000))


PICO: Mapping[str, Settings] = {
    "convnext_atto": {"model.name": "convnext_atto"},
    "vit_pico": {**SMALL_VIT, "model.kind": "vit", "model.width": 96, "views.size": 32},
}


@logged(
    "X50",
    "2023-06-05",
    question="What do the smallest networks reach in 1000 epochs?",
    stated=2,
    notes="How small a ViT of that name was is not noted.",
    network=PICO,
)
def smallest(trial: Trial) -> Pretraining:
    """A ConvNeXt and a vision transformer."""
    return adamw(labelled(trial, "network", PICO), {"training.epochs": 1000})


evaluation = partial(sweep, evaluates="ssl.X50", metrics=[Metric("val/knn", "maximize")])


@evaluation(
    name="ssl.X53",
    stated=16,
    question="Which settings of neighbours and of maps tell most?",
    tags={"date": "2023-06-06"},
)
def settings(trial: Trial) -> Pretraining:
    """Neighbours × how they vote × the rate of t-SNE × its perplexity."""
    return pretraining(
        one_of(trial, "evaluation.neighbours.number", 5, 20),
        one_of(trial, "evaluation.neighbours.weights", "uniform", "distance"),
        one_of(trial, "evaluation.figures.embedding.rate", None, 250.0),
        one_of(trial, "evaluation.figures.embedding.perplexity", 30.0, 20.0),
    )


@evaluation(
    name="ssl.X54",
    stated=1,
    question="Accuracy, precision, recall and F1 of the smallest networks?",
    tags={"date": "2023-06-07"},
    notes="Noted of convnext_atto are 0.5229, 0.5283, 0.5229 and 0.5136.",
)
def measured(trial: Trial) -> Pretraining:
    """20 neighbours that vote by their distance."""
    return pretraining(
        {"evaluation.neighbours.weights": "distance"},
        one_of(trial, "evaluation.neighbours.number", 20),
    )


START: Mapping[str, Settings] = {
    "dino": {},
    "supervised": {
        "views.kind": "contrastive",
        "views.size": 64,
        "method.kind": "cross_entropy",
    },
}
NETWORKS: Mapping[str, Settings] = {
    "resnet": {"model.name": "resnet26"},
    "vit": {"model.name": "vit_tiny_patch16_224"},
    "convnext": {"model.name": "convnext_atto"},
}


@sweep(
    name="ssl.X56",
    metrics=[Metric("corruption/accuracy", "maximize"), Metric("val/knn", "maximize")],
    sampler="grid",
    stated=9,
    question="Are features of DINO more robust than those of supervised training?",
    tags={"date": "2022-10-03"},
    choices=choices(start=START, network=NETWORKS),
    notes="A hypothesis. Nine are stated; drawn networks are the reference `untrained`.",
)
def robust_starts(trial: Trial) -> Pretraining:
    """DINO or cross-entropy × ResNet, ViT, ConvNeXt: neighbours of corrupted images."""
    labels = labelled(trial, "start", START)
    common = DOUBLED
    if labels:
        common = {name: value for name, value in DOUBLED.items() if _is_common(name)}
    robust: Settings = {"evaluation.corruption.images": EACH, **ADAMW}
    return pretraining(common, labels, robust, labelled(trial, "network", NETWORKS))


def _is_common(name: str) -> bool:
    """Whether a setting is no matter of DINO or its views."""
    return not name.startswith(("views.", "method."))


OPEN: Mapping[str, Settings] = {
    "convnext_atto": named("convnext_atto"),
    "convnext_femto": named("convnext_femto"),
    "convnext_pico": named("convnext_pico"),
    "convnext_tiny": named("convnext_tiny"),
    "convnext_tiny_longer": {**named("convnext_tiny", 1000), "training.batch_size": 256},
    "mobilevitv2_longer": {**named("mobilevitv2_100", 1000), "views.size": 128},
}


@logged(
    "X59",
    "2023-06-07",
    question="Which networks gain by longer training?",
    stated=6,
    notes="Open when the diary ended. ConvNeXt-T beside ViT-T by a linear layer: ssl.X23. LeViT "
    "takes pictures of 224 pixels alone, and is left out.",
    network=OPEN,
)
def open_ones(trial: Trial) -> Pretraining:
    """Four sizes of ConvNeXt, the largest with larger batches for longer, a MobileViT."""
    return adamw(labelled(trial, "network", OPEN))
