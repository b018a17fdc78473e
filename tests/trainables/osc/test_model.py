"""Networks of representations as they are built."""

from __future__ import annotations

import pytest
import torch

from trainables.osc.config import Representation
from trainables.osc.model import RepresentationModel


def test_heads_that_do_not_share_a_width_that_no_name_says_are_refused_when_it_is_built() -> None:
    config = Representation().with_values(
        {
            "backbone.kind": "timm",
            "backbone.name": "test_resnet",
            "backbone.pretrained": False,
            "views.size": 64,
            "objects.kind": "cross_attention",
            "objects.heads": 7,
        }
    )
    said = r"objects.heads must divide the width of test_resnet \(\d+\), got 7; try 1, 2, 3, 4, 6"
    with pytest.raises(ValueError, match=said), torch.device("meta"):
        RepresentationModel(config)
