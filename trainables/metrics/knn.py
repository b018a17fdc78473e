"""Nearest neighbours by cosine: what features know without a layer being fitted."""

# n queries, m features in the bank, C width, K neighbours, Q classes or labels.

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

TEMPERATURE = 0.07
"""τ of the votes (Wu et al. 2018; Caron et al. 2021, DINO)."""

_CHUNK = 1024
"""So many queries are compared with the bank at a time."""


def class_votes(
    bank: Tensor,
    labels: Tensor,
    queries: Tensor,
    *,
    neighbors: int,
    num_classes: int,
    temperature: float | None = TEMPERATURE,
    leaves_out_itself: bool = False,
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

    Raises:
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
    )


def label_votes(
    bank: Tensor,
    answers: Tensor,
    queries: Tensor,
    *,
    neighbors: int,
    temperature: float | None = TEMPERATURE,
    leaves_out_itself: bool = False,
) -> Tensor:
    """The share of yeses [n, Q] in 0…1 that each question has among the K nearest features.

    More than one half is the answer of the majority; as a score it has an average precision. As
    `class_votes`, with `answers` [m, Q], bool, for the bank.

    Raises:
        ValueError: the bank is too small for so many neighbours, or not that of the queries.
    """
    others = len(bank) - leaves_out_itself
    if not 1 <= neighbors <= others:
        raise ValueError(f"neighbors must be 1 to {others}, got {neighbors}")
    if leaves_out_itself and len(queries) != len(bank):
        raise ValueError(
            f"queries must be the bank itself ({len(bank)}) to be left out, got {len(queries)}"
        )
    bank, answers = _directions(bank), answers.to(bank.dtype)
    votes = [
        _votes(bank, answers, part, neighbors, temperature, start if leaves_out_itself else None)
        for start, part in zip(
            range(0, len(queries), _CHUNK), _directions(queries).split(_CHUNK), strict=True
        )
    ]
    return torch.cat(votes)


def class_accuracy(votes: Tensor, labels: Tensor) -> Tensor:
    """The share of queries whose class [n] has the most votes [n, Q], of equals the first."""
    return (votes.argmax(1) == labels).double().mean()


def label_accuracy(votes: Tensor, answers: Tensor) -> Tensor:
    """The share of answers [n, Q] that the majority of votes [n, Q] gives; no, if it is a tie."""
    return ((votes > 0.5) == answers.bool()).double().mean()


def _votes(
    bank: Tensor,
    answers: Tensor,
    queries: Tensor,
    neighbors: int,
    temperature: float | None,
    start: int | None,
) -> Tensor:
    """Of queries [n, C] that are those of the bank from `start` on, if that is a number."""
    cosines = queries @ bank.T
    if start is not None:
        rows = torch.arange(len(queries), device=bank.device)
        cosines[rows, rows + start] = -torch.inf
    nearest = cosines.topk(neighbors, dim=1)
    weights = torch.ones_like(nearest.values)
    if temperature is not None:
        weights = (nearest.values / temperature).softmax(1)
    weights = weights / weights.sum(1, keepdim=True)
    return torch.einsum("nk,nkq->nq", weights, answers[nearest.indices])


def _directions(vectors: Tensor) -> Tensor:
    return functional.normalize(vectors.detach().float(), dim=-1)
