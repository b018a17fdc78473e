"""Backbone, slots and vectors of images, put together as one of three architectures."""

# N images, P patches, S slots, C width, D width of projections.

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from trainables.layers import queries
from trainables.layers.context_positions import ContextPositions
from trainables.layers.feature_backbones import TimmFeatures
from trainables.layers.normalizations import NORMALIZATIONS
from trainables.layers.pooling import AttentionPool
from trainables.osc import agreement, networks, parts
from trainables.osc.config import Representation

HALVES = (torch.bfloat16, torch.float16)


class Outputs(NamedTuple):
    """What is found of N images; slots and their projections are None without objects."""

    patches: Tensor
    """[N, P, C], of the backbone."""
    features: Tensor
    """[N, C], of the image."""
    projections: Tensor
    """[N, D] of `features`."""
    slots: Tensor | None
    """[N, S, C]."""
    slot_projections: Tensor | None
    """[N, S, D]."""

    def by_image(self, views: int) -> Outputs:
        """Of B · V views of B images, those of an image in a row: [B, V, …]."""
        found: list[Any] = [None if one is None else one.unflatten(0, (-1, views)) for one in self]
        return Outputs(*found)

    def exact(self) -> Outputs:
        """In single precision what is in half."""
        found: list[Any] = [
            one.float() if one is not None and one.dtype in HALVES else one for one in self
        ]
        return Outputs(*found)


class Draws(NamedTuple):
    """What queries are made of, if they are drawn."""

    noise: Tensor | None = None
    """Standard normal, [N, S, C]."""
    choices: Tensor | None = None
    """In [0, 1), [N, K], K as `num_choices` says."""


class RepresentationModel(nn.Module):
    """Features and projections of images, and of the objects in them."""

    def __init__(self, config: Representation) -> None:
        super().__init__()
        self.config = config
        small = config.small_crops
        sides = [config.views.size] + ([] if small is None else [small.size])
        self.backbone = networks.backbone(config.backbone, sides)
        width = self.width = int(self.backbone.width)  # pyright: ignore[reportArgumentType]
        self._check_heads()
        self.global_function = networks.global_function(config.global_function, width)
        self.global_projection = networks.projection(config.global_projection, width)
        if config.loss.images == "sim":
            self.global_predictor = networks.predictor(config.global_projection, width)
        if config.has_slots:
            self.queries = networks.start(config.queries, width)
            self.positions = self._positions()
            self.objects = networks.objects(config.objects, width, config.queries.num_slots)
            self.object_projection = networks.projection(config.object_projection, width)
            if config.loss.objects == "sim_img" or small is not None:
                self.object_predictor = networks.predictor(config.object_projection, width)

    def _check_heads(self) -> None:
        """Of networks whose names do not say how wide they are."""
        if isinstance(self.config.backbone, parts.TimmBackbone):
            whose = f"the width of {self.config.backbone.name}"
            if problem := agreement.of_heads(self.config.heads, self.width, whose):
                raise ValueError(problem)

    def _positions(self) -> ContextPositions | None:
        """What is added to the patches that slots see."""
        kind = self.config.objects.positions
        if kind == "none":
            return None
        grid, table = self.grid(self.config.views.size), None
        if kind in ("tied", "copied"):
            table = self.backbone.patch_positions(grid)  # pyright: ignore[reportCallIssue]
        return ContextPositions(kind=kind, width=self.width, grid=grid, table=table)

    def grid(self, size: int) -> tuple[int, int]:
        """Rows and columns of patches of images of a side."""
        if isinstance(self.config.backbone, parts.VisionTransformer):
            side = size // self.config.backbone.patch_size
            return side, side
        assert isinstance(self.backbone, TimmFeatures)
        return self.backbone.grids[size]

    def num_choices(self, size: int, num_slots: int) -> int:
        """How many uniform draws an image of a side takes, for so many slots."""
        kind, slots = self.config.queries.kind, num_slots
        if not self.config.has_slots:
            return 0
        rows, columns = self.grid(size)
        drawn = {"sampled": slots, "patch": slots, "kmeans": rows * columns}.get(kind, 0)
        return drawn + (slots if self.config.objects.kind == "instance_attention" else 0)

    @property
    def takes_noise(self) -> bool:
        """Whether queries are made of normal draws."""
        return self.config.has_slots and self.config.queries.kind in ("sampled", "normal")

    def forward(self, images: Tensor, draws: Draws, num_slots: int | None = None) -> Outputs:
        """Of images [N, 3, S, S], 0…1, with the draws that they take.

        `num_slots`: another number of slots than that of the configuration, where queries have it.
        """
        seen = self.backbone(images)
        slots = projected = None
        if self.config.has_slots:
            slots = self._slots(seen.patches, seen.grid, draws, num_slots)
            projected = self.object_projection(slots)
        features = self._features(seen.pooled, seen.patches, slots)
        return Outputs(seen.patches, features, self.global_projection(features), slots, projected)

    def _slots(
        self, patches: Tensor, grid: tuple[int, int], draws: Draws, num_slots: int | None
    ) -> Tensor:
        """[N, S, C]."""
        start = self._start(patches, grid, draws, num_slots or self.config.queries.num_slots)
        positions = self._positions_of(grid)
        settings = self.config.objects
        if isinstance(settings, parts.InstanceAttention):
            assert draws.choices is not None
            places = draws.choices[:, -start.shape[1] :]
            return self.normalize(self.objects(start, patches, positions, places))
        if isinstance(settings, parts.SlotAttention):
            found = self.objects(patches, slots=start, positions=positions)
            return self.normalize(found.slots)
        tokens = patches if positions is None else patches + positions
        return self.normalize(self.objects(start, tokens))

    def _positions_of(self, grid: tuple[int, int]) -> Tensor | None:
        """Of the patches of a grid, [1, P, C], as they are now."""
        if self.positions is None:
            return None
        table = None
        if self.positions.kind == "tied":
            table = self.backbone.patch_positions(self.positions.grid)  # pyright: ignore[reportCallIssue]
        return self.positions.positions(grid, table)

    def normalize(self, vectors: Tensor) -> Tensor:
        """Features as the configuration wants them, [..., C]."""
        kind = self.config.feature_norm
        return vectors if kind == "none" else NORMALIZATIONS[kind](vectors)

    def _start(self, patches: Tensor, grid: tuple[int, int], draws: Draws, slots: int) -> Tensor:
        """Queries [N, S, C]."""
        settings, noise, choices = self.config.queries, draws.noise, draws.choices
        start: Any = self.queries
        if isinstance(settings, parts.LearnedQueries):
            return start(len(patches))
        if isinstance(settings, parts.TemplateQueries):
            return start(patches)
        if isinstance(settings, parts.NormalQueries):
            assert noise is not None
            return queries.normal_queries(noise)
        assert choices is not None
        if isinstance(settings, parts.SampledQueries):
            assert noise is not None
            return start(noise, choices[:, :slots])
        if isinstance(settings, parts.PatchQueries):
            return queries.patch_queries(patches, choices[:, :slots])
        assert isinstance(settings, parts.KMeansQueries)
        if settings.sees_positions:
            patches = patches + self.backbone.patch_positions(grid)  # pyright: ignore[reportCallIssue]
        return queries.kmeans_queries(
            patches,
            choices[:, : patches.shape[1]],
            slots,
            spherical=settings.spherical,
            iterations=settings.iterations,
        )

    def _features(self, pooled: Tensor, patches: Tensor, slots: Tensor | None) -> Tensor:
        """Of the image, [N, C]."""
        serial = self.config.architecture == "obj_global"
        if isinstance(self.global_function, AttentionPool):
            seen = slots if serial and slots is not None else patches
            return self.normalize(self.global_function(seen))
        seen = slots.mean(1) if serial and slots is not None else pooled
        return self.normalize(self.global_function(seen))
