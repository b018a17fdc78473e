"""Published weights of DETR (github.com/facebookresearch/detr): their names, and what fits them."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

_RENAMED = (
    (r"^backbone\.0\.body\.", "backbone.network."),
    (r"^backbone\.1\.row_embed\.weight$", "positions.rows"),
    (r"^backbone\.1\.col_embed\.weight$", "positions.columns"),
    (r"^input_proj\.", "projection."),
    (r"^query_embed\.weight$", "queries"),
    (r"^class_embed\.", "class_head."),
    (r"^bbox_embed\.layers\.0\.", "box_head.0."),
    (r"^bbox_embed\.layers\.1\.", "box_head.2."),
    (r"^bbox_embed\.layers\.2\.", "box_head.4."),
    (r"^transformer\.", ""),
    (r"\.self_attn\.", ".self_attention."),
    (r"\.multihead_attn\.", ".cross_attention."),
    (r"\.(linear[12])\.", r".mlp.\1."),
)
_ALWAYS = (
    "query_embed.weight",
    "class_embed.weight",
    "transformer.encoder.layers.0.linear1.weight",
)
"""Those by which the settings of a network are told."""


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under our names; a 1 × 1 convolution becomes a linear layer.

    Names that are not known stay. How many batches a norm has seen is left out.
    """
    found: dict[str, Tensor] = {}
    for name, value in state.items():
        if name.endswith(".num_batches_tracked"):
            continue
        for pattern, ours in _RENAMED:
            name = re.sub(pattern, ours, name)
        found[name] = value.flatten(1) if name == "projection.weight" else value
    return found


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file that the published code has saved, under its names. Loads no code.

    Raises:
        ValueError: it holds no tensors by name.
    """
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):  # arguments of the training
            found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception:  # a file of another kind raises whatever the reader meets first
        found = None
    state: Any = found.get("model", found) if isinstance(found, Mapping) else None
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ValueError(f"weights_file must hold tensors by name, got {path}")
    return dict(state)


def fitting(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a published state under our names, all that a network with `own` has.

    What maps of attention learn is not published: it is as in `own`.

    Raises:
        ValueError: it is of no detector, or of one with another setting, which is named with both
            values; or a tensor is missing, left over, or of another shape.
    """
    for name in _ALWAYS:
        if name not in state:
            raise ValueError(
                f"weights must be of a detector as the published code saves it, got none for {name}"
            )
    found = renamed(state)
    found |= {name: value for name, value in own.items() if ".simplex." in name}
    there, here = _settings(found), _settings(own)
    for name, value in there.items():
        if value != here[name]:
            raise ValueError(
                f"{name} must be that of the weights, {value}, to load them, got {here[name]}"
            )
    for wrong, rule in (
        ([name for name in own if name not in found], "all weights of this network, got none for"),
        ([name for name in found if name not in own], "no weights but this network's, got"),
    ):
        if wrong:
            more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
            hint = "; is the backbone that of the weights?" if "backbone" in wrong[0] else ""
            raise ValueError(f"weights must have {rule} {wrong[0]}{more}{hint}")
    for name, value in own.items():
        if found[name].shape != value.shape:
            hint = "; is the backbone that of the weights?" if "backbone" in name else ""
            raise ValueError(
                f"{name} must be of shape {list(value.shape)} to be loaded, got "
                f"{list(found[name].shape)}{hint}"
            )
    return found


def _settings(state: Mapping[str, Tensor]) -> dict[str, object]:
    """What a state under our names tells of its network; of heads and dilation it tells nothing."""
    num_queries, width = state["queries"].shape
    layers = {
        f"{part}_layers": len({name.split(".")[2] for name in state if name.startswith(start)})
        for part, start in (("encoder", "encoder.layers."), ("decoder", "decoder.layers."))
    }
    return {
        "num_queries": num_queries,
        "width": width,
        **layers,
        "norm": "pre" if "encoder.norm.weight" in state else "post",
        "positions": "learned" if "positions.rows" in state else "sine",
        "mlp_ratio": len(state["encoder.layers.0.mlp.linear1.weight"]) / width,
        "num_classes": len(state["class_head.weight"]) - 1,
    }
