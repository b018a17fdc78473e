"""Weights of a detector as the published code saves them."""

from __future__ import annotations

from torch import Tensor

from trainables.detr.networks import DETR

OFFICIAL = {
    "backbone.network.": "backbone.0.body.",
    "positions.rows": "backbone.1.row_embed.weight",
    "positions.columns": "backbone.1.col_embed.weight",
    "projection.": "input_proj.",
    "queries": "query_embed.weight",
    "class_head.": "class_embed.",
    "box_head.0.": "bbox_embed.layers.0.",
    "box_head.2.": "bbox_embed.layers.1.",
    "box_head.4.": "bbox_embed.layers.2.",
    "encoder.": "transformer.encoder.",
    "decoder.": "transformer.decoder.",
}
"""Ours, and the names in the published files."""


def published(network: DETR) -> dict[str, Tensor]:
    """Its weights as a published file would have them."""
    state: dict[str, Tensor] = {}
    for name, value in network.state_dict().items():
        for ours, theirs in OFFICIAL.items():
            if name.startswith(ours):
                name = theirs + name.removeprefix(ours)
                break
        name = name.replace("self_attention", "self_attn").replace("mlp.linear", "linear")
        name = name.replace("cross_attention", "multihead_attn")
        state[name] = value[..., None, None] if name == "input_proj.weight" else value
    return state
