"""Feature maps of vision transformers that were trained here, from their checkpoints."""

# B images, T × U what the network sees, h × w the map, D width of features.

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from trainables.core import checkpoint
from trainables.core.experiment import Experiment
from trainables.layers.frozen_maps import RESIZE, MapShape
from trainables.layers.vit import ViT
from trainables.ssl.experiment import SupervisedExperiment
from trainables.ssl.pretraining import PretrainingExperiment

_KINDS: tuple[type[Experiment], ...] = (PretrainingExperiment, SupervisedExperiment)


class OwnMaps:
    """Images [B, 3, H, W] in 0…1 → maps [B, D, h, w] behind the last norm; nothing is trained.

    Of pretraining with a teacher that moves it is the teacher. Images are scaled to T × U
    (bicubic), made grey where the network takes one channel (the mean of three), and standardised
    by `mean` and `deviation` [C], those of the scenes: as in training by those of its set.

    Args:
        file: the checkpoint.
        image_size: T and U, which the patch must divide.
        mean, deviation: of the channels of images, [3].

    Raises:
        LookupError, ValueError: as `network_of`; or the patch does not divide the size.
    """

    def __init__(
        self, file: Path, *, image_size: tuple[int, int], mean: Tensor, deviation: Tensor
    ) -> None:
        self._file, self.image_size = file, image_size
        self._network: ViT | None = network_of(file)
        self._channels = self._network.patches.in_channels
        self._mean, self._deviation = mean[:, None, None], deviation[:, None, None]
        patch = self._network.patch_size
        if image_size[0] % patch or image_size[1] % patch:
            raise ValueError(
                f"image_size must be a multiple of the side of patches ({patch}), got "
                f"{image_size[0]} × {image_size[1]}"
            )
        rows, columns = (side // patch for side in image_size)
        self.shape = MapShape(rows, columns, self._network.width, len(self._network.blocks))

    def forget(self) -> None:
        """Lets go of the network, and of its memory."""
        self._network = None

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Maps [B, D, h, w], single precision."""
        self._network = self._network or network_of(self._file)
        network = self._network.to(images.device)
        with torch.autocast(images.device.type, enabled=False):
            seen = images.float()
            if seen.shape[2:] != self.image_size:
                seen = functional.interpolate(
                    seen, self.image_size, mode=RESIZE, align_corners=False, antialias=True
                )
            seen = (seen - self._mean.to(seen.device)) / self._deviation.to(seen.device)
            if self._channels == 1:
                seen = seen.mean(1, keepdim=True)
            return network.features(seen).patches.mT.unflatten(2, tuple(self.shape[:2]))

    def facts(self) -> dict[str, object]:
        """All that the maps of an image depend on, as plain JSON."""
        numbers = {"mean": self._mean.flatten(), "deviation": self._deviation.flatten()}
        return {
            "checkpoint": digest(self._file),
            "image_size": list(self.image_size),
            "resize": f"{RESIZE}, antialias",
            **{name: one.tolist() for name, one in numbers.items()},
        }


def network_of(file: Path) -> ViT:
    """The vision transformer in a checkpoint of pretraining or of supervised training.

    Raises:
        LookupError: there is no such file.
        ValueError: it is of another experiment, or of a network of timm.
    """
    if not file.is_file():
        raise LookupError(f"checkpoint must be a file, and there is none at {str(file)!r}")
    saved = checkpoint.read(file)
    kind = next((one for one in _KINDS if one.config_class.name == saved.experiment), None)
    if kind is None or saved.config is None:
        known = " or ".join(one.config_class.name for one in _KINDS)
        raise ValueError(f"checkpoint must be of {known}, got one of {saved.experiment or 'none'}")
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        experiment = kind.create(saved.config)
        saved.restore(experiment)
    if isinstance(experiment, PretrainingExperiment):
        found = experiment.learner.kept.backbone
    else:
        assert isinstance(experiment, SupervisedExperiment)
        found = experiment.network
    if not isinstance(found, ViT):
        raise ValueError(
            "checkpoint must be of a vision transformer (model.kind 'vit'), got one of 'timm'"
        )
    return found.requires_grad_(False).eval()


def digest(file: Path) -> str:
    """SHA-256 of a file."""
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
