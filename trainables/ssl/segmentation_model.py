"""Codes of places, what they learn from, and the probes that read classes off them."""

# B images, D width of features, E width of codes, h × w the map, H × W pixels, C classes,
# K clusters, N places of an image.

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.core.experiment import Loss
from trainables.layers.code_heads import ClusterProbe, CodeHead, LinearProbe
from trainables.losses.correspondence import (
    Kernel,
    Pair,
    Places,
    aligned,
    alike_by_colour,
    correspond,
    derangements,
    reconstructed,
    sampled,
)
from trainables.losses.pixels import cross_entropy
from trainables.ssl.segmentation_settings import SegmentationConfig

Gather = Callable[[Tensor], Tensor]
"""Makes what all workers have of what this one has."""


class Look(NamedTuple):
    """Images of a batch: maps [B, D, h, w], labels [B, H, W] (None: there are no classes), places
    [B, N, 2] in −1…1.
    """

    features: Tensor
    labels: Tensor | None
    coordinates: Tensor


class Changed(NamedTuple):
    """Maps of changed images [B, D, h, w], and where their places come from [B, h · w, 2]."""

    features: Tensor
    places: Tensor


class Compared(NamedTuple):
    """What a batch is compared by: the images, neighbours of them (None: nobody asks for them),
    draws [B, P] of which others stand for each, places [B, N, 2] of what an image is compared with,
    and, for the term of colours, standardised images [B, 3, H, W] and draws [M, 2] of places (None:
    there is no such term); and changed images of the same (None: nobody asks for them).
    """

    own: Look
    near: Look | None
    orders: Tensor
    there: Tensor
    images: Tensor | None = None
    colour_places: Tensor | None = None
    changed: Changed | None = None


class Segmenter(nn.Module):
    """A head on feature maps, a linear probe and clusters; a decoder if features are to come back.
    Without classes there is no linear probe.

    Args:
        config: the settings.
        features: D.
        classes: C.
    """

    def __init__(self, config: SegmentationConfig, *, features: int, classes: int) -> None:
        super().__init__()
        self.settings, self.classes = config, classes
        head = config.head
        self.head = CodeHead(
            features=features, width=head.width, dropout=head.dropout, is_deep=head.layers == 2
        )
        self.linear = LinearProbe(width=head.width, classes=classes) if classes else None
        clusters = classes + config.probes.extra_clusters
        self.clusters = ClusterProbe(width=head.width, clusters=clusters)
        self.decoder = nn.Conv2d(head.width, features, 1) if config.reconstruction_weight else None

    def probes(self) -> list[nn.Parameter]:
        """The parameters that read and teach nothing."""
        linear = [] if self.linear is None else self.linear.parameters()
        return [*linear, *self.clusters.parameters()]

    def codes(self, features: Tensor) -> Tensor:
        """Maps [B, D, h, w] → codes [B, E, h, w]."""
        return self.head(features).to(features.dtype)

    def compare(self, batch: Compared, gather: Gather) -> Loss:
        """The loss of a micro-batch of all workers, and its terms.

        All is a mean over the images of all workers, and compared with one another are these.
        """
        settings, own = self.settings, batch.own
        codes = self.codes(own.features)
        total, terms = self._correspondence(batch, codes, gather)
        if self.decoder is not None:
            terms["reconstruction"] = reconstructed(self.decoder(codes), own.features)
            total = total + settings.reconstruction_weight * terms["reconstruction"]
        if batch.images is not None and batch.colour_places is not None:
            terms["colours"] = self._colours(batch.images, codes, batch.colour_places)
            total = total + settings.colours.weight * terms["colours"]
        if batch.changed is not None:
            other = self.codes(batch.changed.features)
            terms["alignment"] = aligned(codes, other, batch.changed.places)
            total = total + settings.alignment.weight * terms["alignment"]
        seen = codes.detach()
        if self.linear is not None and own.labels is not None:
            summed = cross_entropy(self.linear(seen).to(seen.dtype), own.labels)
            count = gather(summed.pixels[None].to(seen.dtype)).sum().clamp(min=1)
            terms["linear"] = gather(summed.total[None]).sum() / count
            total = total + terms["linear"]
        terms["clusters"] = self.clusters(seen)[0]
        return Loss(total + terms["clusters"], terms)

    def _correspondence(
        self, batch: Compared, codes: Tensor, gather: Gather
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum of the losses of pairs, and each with the mean cosine of its codes."""
        settings = self.settings.correspondence
        own = _Maps(gather(self._signal(batch.own)), gather(codes))
        here = gather(batch.own.coordinates)
        anchor = own.at(here)
        pairs: dict[str, tuple[float, Pair]] = {}
        if settings.self_weight:
            pairs["self"] = settings.self_weight, self._pair(anchor, anchor, settings.self_shift)
        there = gather(batch.there)
        if batch.near is not None:
            near = _Maps(gather(self._signal(batch.near)), gather(self.codes(batch.near.features)))
            pair = self._pair(anchor, near.at(there), settings.neighbour_shift)
            pairs["neighbours"] = settings.neighbour_weight, pair
        if settings.random_weight:
            others = [
                self._pair(anchor, own.of(order).at(there), settings.random_shift)
                for order in derangements(gather(batch.orders))
            ]
            mean = Pair(*(torch.stack(one).mean() for one in zip(*others, strict=True)))
            pairs["others"] = settings.random_weight, mean
        total = codes.new_zeros(())
        terms: dict[str, Tensor] = {}
        for name, (weight, pair) in pairs.items():
            total = total + weight * pair.loss
            terms |= {name: pair.loss, f"similarity/{name}": pair.similarity}
        return total, terms

    def _pair(self, one: Places, other: Places, shift: float) -> Pair:
        given = self.settings.correspondence
        return correspond(
            one,
            other,
            shift,
            centres=given.centres,
            clamps=given.clamps,
            stabilises=given.stabilises,
        )

    def _signal(self, look: Look) -> Tensor:
        """What is compared with codes: features, of which channels are dropped, or one-hot labels.

        Those have a channel more, of pixels whose class is not known.
        """
        if self.settings.signal == "features" or look.labels is None:
            return self.head.drop(look.features)
        labels = look.labels.long()
        labels = labels.where((labels >= 0) & (labels < self.classes), self.classes)
        one_hot = functional.one_hot(labels, self.classes + 1).movedim(-1, 1)
        return one_hot.to(look.features.dtype)

    def _colours(self, images: Tensor, codes: Tensor, draws: Tensor) -> Tensor:
        given = self.settings.colours
        images, codes = (
            functional.interpolate(one, (given.size, given.size), mode="bilinear")
            for one in (images, codes)
        )
        kernel = Kernel(given.alpha, given.beta, given.gamma, given.near, given.close, given.shift)
        places = (draws * given.size).long().T.to(images.device)
        return alike_by_colour(images, functional.normalize(codes, dim=1), places, kernel)

    def read(self, codes: Tensor, size: tuple[int, int]) -> tuple[Tensor | None, Tensor]:
        """Codes enlarged to H × W pixels (bilinear), and what probes make of them: logits
        [B, C, H, W] (None: there are no classes) and cosines [B, K, H, W].
        """
        large = functional.interpolate(codes, size, mode="bilinear", align_corners=False)
        logits = None if self.linear is None else self.linear(large)
        return logits, self.clusters(large)[1]


class _Maps(NamedTuple):
    """Signal and codes of all images."""

    signal: Tensor
    codes: Tensor

    def at(self, coordinates: Tensor) -> Places:
        return Places(sampled(self.signal, coordinates), sampled(self.codes, coordinates))

    def of(self, order: Tensor) -> _Maps:
        return _Maps(self.signal[order], self.codes[order])
