"""Settings with which each experiment of the family runs in no time, and data that it needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.trainables import small_scenes
from tests.trainables.data import files
from trainables.core import checkpoint
from trainables.core.training import ExperimentConfig
from trainables.ssl.config import Pretraining, Segmentation, Supervised
from trainables.ssl.pretraining import PretrainingExperiment
from trainables.synthetic.thermal import write_thermal

HEADS: dict[str, dict[str, Any]] = {
    "byol": {"width": 6, "hidden": 12},
    "moco": {"width": 6},
    "dino": {"prototypes": 24, "layers": 2, "hidden": 12, "bottleneck": 6},
    "simclr": {"width": 6},
    "supcon": {"width": 6},
    "paco": {"width": 6},
    "gpaco": {"width": 6, "layers": 2},
    "multi_task": {"width": 6},
    "cross_entropy": {},
    "focal": {},
}
"""Small heads, by the kind of the method."""


SEGMENTATION: dict[str, Any] = {
    "data.name": "clevr_with_masks",
    "data.classes": "shape",
    "data.made": True,
    "data.image_size": small_scenes.SIDE,
    "data.crop": "none",
    "data.interpolation": "nearest",
    "features.backbone": "test_vit",
    "features.pretrained": False,
    "features.image_size": 32,
    "features.layer": 1,
    "head.width": 6,
    "correspondence.places": 3,
    "correspondence.negatives": 2,
    "colours.size": 6,
    "colours.places": 20,
    "evaluation.scenes": 4,
}


def provide(root: Path) -> None:
    """Scenes, boxes of pictures of the sea, folders; digits are those of scikit-learn."""
    small_scenes.provide(root)
    for name in ("imagenette2-160", "imagewang-160"):
        files.write_images(root / name / "train", 2)
        files.write_images(root / name / "val", 1)
    (root / "imagenette2-160" / "noisy_imagenette.csv").touch()
    files.write_images(root / "imagewang-160" / "unsup", 1)
    write_thermal(root / "sea", share=0.025, size=(120, 180), empty=3)
    for name in ("convnextv2_base", "convnextv2_tiny", "convnextv2_atto", "convnextv2_huge"):
        _touch(root / "weights" / f"{name}.safetensors")
    _touch(root / "weights" / "mobilevitv2_200.safetensors")
    for name in ("resnet26", "vit_tiny_patch16_224", "convnext_atto"):
        _touch(root / "dino" / f"{name}.pt")
    _save_trial(root / "dino" / "cifar10.pt")


def _touch(path: Path) -> None:
    """A file whose weights nobody reads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def _save_trial(path: Path) -> None:
    """A checkpoint of DINO on digits, as it was drawn."""
    start = Pretraining()
    config = start.with_values(values(start))
    experiment = PretrainingExperiment.create(config.to_json())
    optimizer = experiment.optimizer(experiment.parameter_groups())
    checkpoint.save(path, checkpoint.Position(), experiment, optimizer, config)


def values(config: ExperimentConfig) -> dict[str, Any]:
    """Settings that make a configuration small."""
    if isinstance(config, Segmentation):
        has_classes = config.data.classes != "none"
        return SEGMENTATION if has_classes else {**SEGMENTATION, "data.classes": "none"}
    corrupted: dict[str, Any] = {}
    if isinstance(config, Supervised | Pretraining) and config.evaluation.corruption.images:
        corrupted["evaluation.corruption.images"] = 4
        corrupted["evaluation.corruption.corruptions"] = ["fog"]
        if isinstance(config, Supervised):
            return corrupted
    if isinstance(config, Supervised | Pretraining) and config.evaluation.natural.images:
        corrupted["evaluation.natural.images"] = 8
        if isinstance(config, Supervised):
            return corrupted
    looks = isinstance(config, Supervised) and config.evaluation.landscape.resolution
    if not isinstance(config, Pretraining):
        few = {"evaluation.landscape.resolution": 3, "evaluation.landscape.images": 10}
        return few if looks else {}
    found: dict[str, Any] = {"data.name": "digits", "data.limit": 60, "views.size": 8}
    found |= {"evaluation.health": 8, "evaluation.neighbours.bank": None, **corrupted}
    if config.evaluation.natural.frames:  # digits are of no sequences
        found |= {"data.name": "boxes", "data.limit": None, "data.image_size": 8}
    if config.evaluation.landscape.resolution:
        found |= {"evaluation.landscape.resolution": 3, "evaluation.landscape.images": 10}
    if config.data.labels_share < 1:
        found["data.labels_share"] = 0.5  # of six images of a class three
    if config.data.long_tail.factor < 1:
        found["data.long_tail.factor"] = 0.5  # of six images of a class three
    if config.views.kind == "multi_crop":
        found |= {"views.local_crop_input_factor": 2.0, "views.small.count": 2}
    if config.method.kind == "byol":
        found["method.predictor.hidden"] = 12
    if config.method.kind in ("moco", "paco", "gpaco", "multi_task"):
        found["method.queue"] = 10
    found |= {f"method.head.{k}": v for k, v in HEADS[config.method.kind].items()}
    if config.model.kind == "timm":
        found |= {"model.name": "test_resnet", "model.drop_path": 0.0, "views.size": 32}
        if config.model.weights_file is not None:
            found["model.pretrained"] = False
    else:
        found |= {"model.patch_size": 2, "model.width": 8}
        found |= {"model.layers": 2, "model.heads": 2, "model.mlp_ratio": 1.0}
    return found
