"""Names of the published weights of DETR (github.com/facebookresearch/detr), and ours for them."""

from __future__ import annotations

import re
from collections.abc import Mapping

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
