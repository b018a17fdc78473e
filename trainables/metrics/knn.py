"""Nearest neighbours by cosine: what features know without a layer being fitted."""

# n queries, m features in the bank, C width, K neighbours, Q classes or labels.

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from trainables.layers.checks import check_choice

Weights = Literal["exponential", "distance", "uniform"]
TEMPERATURE = 0.07
"""τ of the votes (Wu et al. 2018; Caron et al. 2021, DINO)."""

CLOSEST = 0.01
"""A neighbour at a smaller distance, such as a duplicate, votes as one at this distance."""

_CHUNK = 1024
"""So many queries are compared with the bank at a time."""
_NUMBERS = 1 << 26
"""So many answers of neighbours are held at a time."""


def class_votes(
    bank: Tensor,
    labels: Tensor,
    queries: Tensor,
    *,
    neighbors: int,
    num_classes: int,
    temperature: float | None = TEMPERATURE,
    leaves_out_itself: bool = False,
    weights: Weights = "exponential",
) -> Tensor:
    """The share of votes [n, Q] that each class has among the K nearest features of the bank.

    A neighbour votes for its class with e^(cos / τ) (Wu et al. 2018, section 3.4); rows add up
    to 1.

    Args:
        bank: [m, C].
        labels: of the bank, int64 [m], below `num_classes`.
        queries: [n, C].
        neighbors: K.
        num_classes: Q.
        temperature: τ; None: all neighbours weigh the same.
        leaves_out_itself: whether query i is feature i of the bank, and no neighbour of its own.
        weights: of votes. `exponential`: as above; `distance`: 1 / max(d, 0.01), d the distance of
            directions, √(2 − 2·cos), so that a duplicate has not all the say; `uniform`: all the
            same.

    Raises:
        LookupError: there are no such weights.
        ValueError: the bank is too small for so many neighbours, or not that of the queries.
    """
    answers = functional.one_hot(labels, num_classes)
    return label_votes(
        bank,
        answers,
        queries,
        neighbors=neighbors,
        temperature=temperature,
        leaves_out_itself=leaves_out_itself,
        weights=weights,
    )


def label_votes(
    bank: Tensor,
    answers: Tensor,
    queries: Tensor,
    *,
    neighbors: int,
    temperature: float | None = TEMPERATURE,
    leaves_out_itself: bool = False,
    weights: Weights = "exponential",
) -> Tensor:
    """The share of yeses [n, Q] in 0…1 that each question has among the K nearest features.

    More than one half is the answer of the majority; as a score it has an average precision. As
    `class_votes`, with `answers` [m, Q], bool, for the bank.

    Raises:
        LookupError: there are no such weights.
        ValueError: the bank is too small for so many neighbours, or not that of the queries.
    """
    check_choice("weights", weights, ("exponential", "distance", "uniform"))
    temperature = None if weights == "uniform" else temperature
    others = len(bank) - leaves_out_itself
    if not 1 <= neighbors <= others:
        raise ValueError(f"neighbors must be 1 to {others}, got {neighbors}")
    if leaves_out_itself and len(queries) != len(bank):
        raise ValueError(
            f"queries must be the bank itself ({len(bank)}) to be left out, got {len(queries)}"
        )
    bank, answers = _directions(bank), answers.to(bank.dtype)
    sharpness = "distance" if weights == "distance" else temperature
    votes = [
        _votes(bank, answers, part, neighbors, sharpness, start if leaves_out_itself else None)
        for start, part in zip(
            range(0, len(queries), _CHUNK), _directions(queries).split(_CHUNK), strict=True
        )
    ]
    return torch.cat(votes)


def class_accuracy(votes: Tensor, labels: Tensor) -> Tensor:
    """The share of queries whose class [n] has the most votes [n, Q], of equals the first."""
    return (votes.argmax(1) == labels).double().mean()


def top_accuracy(votes: Tensor, labels: Tensor, number: int = 5) -> float:
    """The share of queries whose class [n] is among the `number` with the most votes [n, Q].

    Of classes with as many votes the first come first; one without a vote is not among them.
    """
    own = votes.gather(1, labels[:, None])
    before = torch.arange(votes.shape[1], device=votes.device) < labels[:, None]
    ahead = ((votes > own) | (votes == own) & before).sum(1)
    return float(((ahead < number) & (own[:, 0] > 0)).double().mean())


def _votes(
    bank: Tensor,
    answers: Tensor,
    queries: Tensor,
    neighbors: int,
    sharpness: float | Literal["distance"] | None,
    start: int | None,
) -> Tensor:
    """Of queries [n, C] that are those of the bank from `start` on, if that is a number.

    Votes are e^(cos / `sharpness`), all the same (None), or 1 / distance.
    """
    cosines = queries @ bank.T
    if start is not None:
        rows = torch.arange(len(queries), device=bank.device)
        cosines[rows, rows + start] = -torch.inf
    nearest = cosines.topk(neighbors, dim=1)
    weights = torch.ones_like(nearest.values)
    if sharpness == "distance":
        weights = (2 - 2 * nearest.values).clamp(min=0).sqrt().clamp(min=CLOSEST).reciprocal()
    elif sharpness is not None:
        weights = (nearest.values / sharpness).softmax(1)
    weights = weights / weights.sum(1, keepdim=True)
    rows = max(1, _NUMBERS // (neighbors * answers.shape[1]))
    parts = zip(weights.split(rows), nearest.indices.split(rows), strict=True)
    return torch.cat([torch.einsum("nk,nkq->nq", w, answers[places]) for w, places in parts])


def _directions(vectors: Tensor) -> Tensor:
    return functional.normalize(vectors.detach().float(), dim=-1)
