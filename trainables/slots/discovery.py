"""Object discovery: slots that draw an image together, each its part."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.core.experiment import Batch, Evaluated, Loss
from trainables.core.schedules import piecewise
from trainables.data.scenes.choosing import Positions
from trainables.figures.segments import scene_table, slot_table
from trainables.metrics.label_maps import enlarged_label_map, label_map
from trainables.metrics.records import Records
from trainables.metrics.segments import mass_entropy, segment_scores
from trainables.slots.autoencoder import Autoencoder, Seen
from trainables.slots.config import Discovery
from trainables.slots.parts import Setting
from trainables.slots.scenes import Look, SceneExperiment, augmented
from trainables.slots.segments import means

AT_ONCE = 2**26
"""So many values of one layer of the decoder an evaluation has in memory: 256 MiB."""
MOST = 64
"""No more scenes at once than this."""


class DiscoveryExperiment(SceneExperiment):
    """The error of the image that slots draw together, measured by their segments."""

    config_class = Discovery
    config: Discovery  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, config: Discovery) -> None:
        super().__init__(config)
        self.autoencoder = Autoencoder(
            image_size=config.data.image_size,
            encoder=config.encoder,
            slots=config.slots,
            decoder=config.decoder,
        )

    def networks(self) -> Iterable[nn.Module]:
        """The autoencoder."""
        return (self.autoencoder,)

    def inputs(self, positions: Positions, step: int, places: Tensor) -> Batch:
        """Images [B, 3, H, W] of training scenes, turned and mirrored."""
        images = super().inputs(positions, step, places)["images"]
        settings = self.config.augmentation
        return {"images": augmented(images, settings, self.config.seed, step, places)}

    def forward(self, batch: Batch, step: int) -> Loss:
        """Weight × mean over images, colours and pixels of (x − x̂)², with x in −1…1; 0 at best.

        The weight is that behind `step` − 1 updates. A constant image has the variance of x.
        """
        images = batch["images"]
        error = functional.mse_loss(self._see(images, batch["noise"]).reconstruction, images)
        knots = self.config.weights.reconstruction
        if not isinstance(knots, list):
            return Loss(knots * error, {"mse": error})
        weight = piecewise(step - 1, knots)
        return Loss(weight * error, {"mse": error, "weight": error.new_tensor(weight)})

    def _see(self, images: Tensor, noise: Tensor, setting: Setting | None = None) -> Seen:
        """Images taken apart, in a setting or as in training."""
        start = None if self.config.slots.prior == "learned" else noise
        if setting is None:
            return self.autoencoder(images, start)
        iterations, rescale = setting.iterations, setting.rescale
        return self.autoencoder(images, start, iterations=iterations, rescale=rescale)

    def measure(self, split: str, setting: Setting, last: bool) -> Evaluated:
        """Errors and segments; at the last time also by the number of objects, and in pictures."""
        records = Records()
        for look, seen in self._seen(split, setting):
            records.add(self._scores(split, look, seen))
        values = means(records, by_objects=last)
        if not last:
            return Evaluated(values)
        return Evaluated(values, self._figures(split, setting, records), {"scenes": records.write})

    def _seen(self, split: str, setting: Setting) -> Iterator[tuple[Look, Seen]]:
        """The scenes of an evaluation taken apart, as many at once as memory allows."""
        slots = setting.num_slots or self.config.slots.num_slots
        values = slots * self.config.decoder.channels * self.config.data.image_size**2
        for look in self.looked_at(split, setting, min(max(AT_ONCE // values, 1), MOST)):
            yield look, self._see(look.images, look.noise, setting)

    def _scores(self, split: str, look: Look, seen: Seen) -> dict[str, Tensor]:
        """A value [B] of each kind; segments are those of the largest mask, and of attention."""
        true, slots = self._true(split, look.positions), seen.masks.shape[1]
        attended = segment_scores(self._attended(seen), slots, true)
        counts = self._measured.splits[split].counts[look.positions]
        return {
            "position": torch.from_numpy(look.positions),
            "objects": torch.from_numpy(counts),
            "mse": (seen.reconstruction - look.images).square().mean((1, 2, 3)),
            "entropy": mass_entropy(seen.attention),
            **segment_scores(label_map(seen.masks), slots, true),
            **{f"attention/{name}": one for name, one in attended.items()},
        }

    def _true(self, split: str, positions: Positions) -> Tensor | None:
        """Labels [B, H, W] on the device of the networks, if there are any."""
        scenes = self._measured.splits[split]
        if not scenes.has_labels:
            return None
        return torch.from_numpy(scenes.labels(positions)).to(next(self.parameters()).device)

    def _attended(self, seen: Seen) -> Tensor:
        """Which slot attends most to each pixel [B, H, W]."""
        grid = seen.attention.unflatten(2, self.autoencoder.encoder.grid)
        height, width = seen.masks.shape[2:]
        return enlarged_label_map(grid, (height, width), "nearest")

    def _figures(
        self, split: str, setting: Setting, records: Records
    ) -> dict[str, Callable[[Path], None]]:
        """The first scenes in a table, and what each slot makes of the very first."""
        number = min(self.config.evaluation.pictures, len(records))
        if not number:
            return {}
        parts = list(self._seen(split, setting.with_values({"scenes": number})))
        images = torch.cat([look.images for look, _ in parts]).cpu()
        seen = Seen(
            *(torch.cat(part).cpu() for part in zip(*(one for _, one in parts), strict=True))
        )
        true = self._true(split, self.positions(split, setting)[:number])
        true = None if true is None else true.cpu()
        score = "foreground_ari" if true is not None else "mse"
        name = {"foreground_ari": "F-ARI", "mse": "MSE"}[score]
        table = partial(
            scene_table,
            images=images,
            found=label_map(seen.masks),
            reconstructions=seen.reconstruction,
            true=true,
            attention=self._attended(seen),
            notes=[f"{name} {value:.3f}" for value in records.column(score)[:number].tolist()],
            title=f"{split}: {len(records)} scenes, {name} {records.means()[score]:.3f}",
        )
        slots = partial(
            slot_table,
            image=images[0],
            masks=seen.masks[0],
            reconstructions=seen.images[0],
            attention=seen.attention[0].unflatten(1, self.autoencoder.encoder.grid),
            true=None if true is None else true[0],
            title=f"{split}: the slots of a scene",
        )
        return {"scenes": table, "slots": slots}
