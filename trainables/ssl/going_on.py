"""Networks that go on from a checkpoint of an earlier run of this family."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from trainables.core import checkpoint
from trainables.layers.backbones import Backbone
from trainables.layers.vit import ViT
from trainables.layers.weights import Weights
from trainables.settings import backbones
from trainables.ssl import controls
from trainables.ssl.config import Model, Pretraining, Supervised

_FAMILY = {one.name: one for one in (Pretraining, Supervised)}
_PLACES = {
    (Supervised.name, "student"): "network.",
    (Pretraining.name, "student"): "learner.student.backbone.",
    (Pretraining.name, "teacher"): "learner.teacher.network.backbone.",
}
"""Where the tensors of the backbone are, by experiment and part."""
_OF_VIT = ("patch_size", "width", "layers", "heads", "mlp_ratio", "pool", "positions", "norm")
_OF_TIMM = ("name", "image_size")
_HEAD = "head."


def load(
    network: ViT | Backbone,
    file: Weights,
    model: Model | backbones.Backbone,
    *,
    image_size: int,
    channels: int,
) -> None:
    """Gives a network the tensors of the backbone in a checkpoint, all but those of its last layer.

    Heads, banks and queues are left behind. A network that normalises images itself, since it began
    from pretrained weights, does so further on.

    Raises:
        ValueError: the file is no checkpoint of this family, has no such part, or is of a network
            with other settings: names the first one that differs, with both values.
    """
    try:
        saved = checkpoint.read(file.path)
        config = configuration(saved)
    except ValueError as error:
        raise ValueError(
            f"model.weights_file must be a checkpoint to go on from: {error}"
        ) from None
    prefix = _place(config, file)
    _check_settings(config, model, file, channels)
    state = {
        name.removeprefix(prefix): value
        for name, value in saved.model.items()
        if name.startswith(prefix) and not name.startswith(prefix + _HEAD)
    }
    _check_shapes(network, state, config, file, image_size)
    network.load_state_dict(state, strict=False)
    if isinstance(network, Backbone):
        is_as_it_comes = bool((state["scale"] == 1).all() and (state["offset"] == 0).all())
        network.is_normalising = not is_as_it_comes


def model_of(config: Pretraining | Supervised, file: Weights) -> Model | backbones.Backbone:
    """The settings with which a network goes on as it was in a checkpoint of a configuration."""
    model, values = config.model, {"weights_file": str(file.path), "weights_part": file.part}
    assert not isinstance(model, controls.Control)
    if isinstance(model, Model):
        return model.with_values(values)
    as_drawn = {} if model.pretrained else {"channel_mode": "sum"}
    return model.with_values({**values, "pretrained": True, **as_drawn})


def configuration(saved: checkpoint.Saved) -> Pretraining | Supervised:
    """What was trained. Raises ValueError if it is no experiment of this family."""
    if saved.config is not None and saved.experiment not in _FAMILY:
        raise ValueError(
            f"{saved.path} must be one of {' or '.join(_FAMILY)}, got one of {saved.experiment}"
        )
    return saved.configuration(_FAMILY.get(saved.experiment, Pretraining))


def _place(config: Pretraining | Supervised, file: Weights) -> str:
    """What the names of tensors of the part begin with."""
    has_teacher = isinstance(config, Pretraining) and config.method.has_teacher
    if file.part == "teacher" and not has_teacher:
        kind = (
            f" with method.kind {config.method.kind!r}" if isinstance(config, Pretraining) else ""
        )
        raise ValueError(
            f"model.weights_part must be 'student' with a checkpoint of {config.name}{kind}, which "
            f"has no teacher, got 'teacher' ({file.path})"
        )
    return _PLACES[config.name, str(file.part)]


def _check_settings(
    config: Pretraining | Supervised,
    model: Model | backbones.Backbone,
    file: Weights,
    channels: int,
) -> None:
    there, here = _settings(config.model, config.data.num_channels), _settings(model, channels)
    for name, value in there.items():
        if here.get(name) != value:
            raise ValueError(
                f"{name} must be {value!r}, as in the checkpoint {file.path}, to go on from it, "
                f"got {here.get(name)!r}"
            )


def _settings(
    model: Model | backbones.Backbone | controls.Control, channels: int
) -> dict[str, Any]:
    """What makes a network what it is, by the paths of settings, the kind first."""
    names = _OF_VIT if isinstance(model, Model) else _OF_TIMM
    names = () if isinstance(model, controls.Control) else names
    found = {"model.kind": model.kind, **{f"model.{one}": getattr(model, one) for one in names}}
    if isinstance(model, backbones.Backbone):
        has_mode = model.pretrained and channels == 1
        found["model.channel_mode"] = model.channel_mode if has_mode else "sum"
    return {**found, "the number of channels of images of data.name": channels}


def _check_shapes(
    network: ViT | Backbone,
    state: Mapping[str, Tensor],
    config: Pretraining | Supervised,
    file: Weights,
    image_size: int,
) -> None:
    """What settings do not tell, such as the table of positions of images of another side."""
    side = next(iter(config.sides().values())) if isinstance(config, Pretraining) else None
    side = side or config.data.side
    own = {n: one for n, one in network.state_dict().items() if not n.startswith(_HEAD)}
    for name in dict.fromkeys([*own, *state]):
        shapes = [list(one[name].shape) if name in one else "none" for one in (state, own)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"model.weights_file must hold a network for images of {image_size} pixels a side "
                f"to go on from it, got one for {side}, whose {name} is {shapes[0]} instead of "
                f"{shapes[1]} ({file.path})"
            )
