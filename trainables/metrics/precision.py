"""Measuring in the precision of what is measured, whatever networks run in."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")
R = TypeVar("R")


def unreduced(
    function: Callable[Concatenate[Tensor, P], R],
) -> Callable[Concatenate[Tensor, P], R]:
    """A function of a tensor that automatic mixed precision leaves alone.

    Without it a product of matrices in its region would be in bfloat16: a Gini index of 1,000
    weights is off by 0.004 then.
    """

    @wraps(function)
    def exact(first: Tensor, *args: P.args, **kwargs: P.kwargs) -> R:
        with torch.autocast(first.device.type, enabled=False):
            return function(first, *args, **kwargs)

    return exact
