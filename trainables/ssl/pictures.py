"""Pictures of a pretrained network at the end of its run: views, maps, attention, what it sees."""

# N points, R images, C channels, S side, D width of features.

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from trainables.core.experiment import Evaluated
from trainables.core.measuring import unless_it_fails
from trainables.data.choosing import stratified
from trainables.figures.embeddings import class_map
from trainables.figures.representations import (
    class_attention_sheet,
    correspondence_sheet,
    grad_cam_sheet,
    view_sheet,
)
from trainables.layers.last_maps import dense_features
from trainables.metrics.correspondence import ANCHORS, anchor_features, correspondence
from trainables.metrics.embedding_maps import (
    fitting_perplexity,
    principal_components,
    purity,
    tsne,
)
from trainables.settings.views import MultiCrop
from trainables.ssl.boxed_pictures import in_pictures
from trainables.ssl.explaining import attention, class_means, towards_means
from trainables.ssl.features import BANK, Features
from trainables.ssl.pretraining_task import PretrainingTask


class Pictures:
    """What is drawn of the network that one goes on with; one that fails ends no run."""

    def __init__(self, experiment: PretrainingTask, features: Features) -> None:
        self._experiment, self._features = experiment, features
        self._settings = experiment.config.evaluation.figures

    def draw(self, last: bool) -> Evaluated:
        """All that is asked for, at the last time; before it, if it is drawn during training, all
        but the views, with the step behind its name. `tsne_purity` and `pca_purity` are values.

        They are the shares of the 10 nearest points on a map that are of a point's class. Features
        are forgotten then: nothing is measured behind pictures.
        """
        asked, found = self._settings, Evaluated({})
        makers = {
            "views": (asked.views, self._views),
            "embedding": (asked.embedding.points, self._embedding),
            "attention": (asked.attention, self._attention),
            "grad_cam": (asked.grad_cam, self._grad_cam),
            "boxes": (asked.boxes, self._boxes),
            "correspondence": (asked.correspondence, self._correspondence),
        }
        if not last:
            makers = {k: one for k, one in makers.items() if asked.draw_every and k != "views"}
        ending = "" if last else f"-{self._experiment.step:08d}"
        with self._experiment.learner.evaluating():
            for name, (number, make) in makers.items():
                made = unless_it_fails(f"pictures: {name}", make) if number else None
                if made is not None:
                    found.values.update(made.values)
                    found.figures.update({f"{k}{ending}": v for k, v in made.figures.items()})
        self._features.forget()
        return found

    def _views(self) -> Evaluated:
        """Of training images; what their draws are is the same each time."""
        experiment, settings = self._experiment, self._experiment.config.views
        train = experiment.split("train")
        positions = one_of_each(train.labels, self._settings.views)
        made = experiment.views("train", positions, "pictures", 0, positions)
        kinds = [name for name in ("large_views", "small_views") if name in made]
        notes = [
            f"large: {settings.size} px, {settings.min_area:.2g} … {settings.max_area:.2g} of area"
        ]
        if isinstance(settings, MultiCrop) and settings.small.number:
            low, high = settings.small.area
            notes.append(f"small: {settings.small_size} px, {low:.2g} … {high:.2g} of area")
        draw = partial(
            view_sheet,
            sources=train.pixels(positions),
            views=[self._pixels(made[name]) for name in kinds],
            names=[name.removesuffix("_views") for name in kinds],
            notes=notes,
            title=f"Views as in training: {settings.kind}, {settings.values}",
        )
        return Evaluated({}, {"views": draw})

    def _embedding(self) -> Evaluated:
        """Of validation features, as many of each class as there are."""
        settings, names = self._settings.embedding, self._experiment.facts.classes
        labels = self._features.labels("val")
        chosen = torch.arange(len(labels))
        if settings.points < len(labels):
            seed = self._experiment.config.data.split_seed
            chosen = torch.from_numpy(stratified(labels.numpy(), settings.points, seed))
        own, vectors = labels[chosen], self._features.of(self._experiment.learner.kept, "val")
        vectors = vectors.cpu()[chosen].float()
        means = class_means(vectors, own)[own.unique()]
        seen = torch.cat([vectors, means]) if settings.class_means else vectors
        number = len(vectors)
        components, shares = principal_components(seen)
        flat = tsne(seen, perplexity=settings.perplexity, rate=settings.rate)
        values = {
            "tsne_purity": purity(flat[:number], own),
            "pca_purity": purity(components[:number], own),
        }
        perplexity = fitting_perplexity(settings.perplexity, len(seen))
        axes = [f"component {n} ({float(one):.0%} of the variance)"
                for n, one in enumerate(shares, 1)]  # fmt: skip
        words = {
            "tsne": (f"t-SNE, perplexity {perplexity:g}", flat, ("", "")),
            "pca": ("principal components", components, (axes[0], axes[1])),
        }
        return Evaluated(
            values,
            {
                name: partial(
                    class_map,
                    points=points[:number],
                    labels=own,
                    names=_short(names, own),
                    means=points[number:] if settings.class_means else None,
                    axes=said,
                    title=f"{called}: {number} images of val, purity "
                    f"{values[f'{name}_purity']:.2f}",
                )
                for name, (called, points, said) in words.items()
            },
        )

    def _attention(self) -> Evaluated:
        """Of the class token in the last block; of a network without one nothing."""
        split, share = self._experiment.split("val"), self._settings.attention_mass
        positions = one_of_each(split.labels, self._settings.attention)
        network = self._experiment.learner.kept
        maps = attention(network, self._features.placed(split.take(positions)))
        if maps is None:
            return Evaluated({})
        draw = partial(
            class_attention_sheet,
            images=split.pixels(positions),
            maps=maps.cpu(),
            share=share,
            title="Attention of the class token in the last block",
        )
        return Evaluated({}, {"attention": draw})

    def _grad_cam(self) -> Evaluated:
        """What makes features like the mean of the bank's features of the class."""
        experiment, split = self._experiment, self._experiment.split("val")
        positions, labels, goals = self._goals(self._settings.grad_cam)
        images = self._features.placed(split.take(positions))
        draw = partial(
            grad_cam_sheet,
            images=split.pixels(positions),
            maps=towards_means(experiment, experiment.learner.kept, images, goals),
            notes=[experiment.facts.classes[one] for one in labels.tolist()],
            title="Grad-CAM: what makes an image like the mean of its class (black: nothing does)",
        )
        return Evaluated({}, {"grad_cam": draw})

    def _boxes(self) -> Evaluated:
        """Of boxes: what a network looks at in them, beside what it looks at in whole pictures."""
        experiment = self._experiment
        if experiment.config.data.name != "boxes":
            return Evaluated({})
        positions, labels, goals = self._goals(self._settings.boxes)
        names = [experiment.facts.classes[one] for one in labels.tolist()]
        return in_pictures(experiment, self._features, positions, goals, names)

    def _goals(self, number: int) -> tuple[Tensor, Tensor, Tensor]:
        """Positions [R] of so many validation images, their labels, and the means [R, D] of the
        bank's features of their classes.
        """
        split, known = self._experiment.split("val"), self._features.labels(BANK)
        ours = torch.isin(split.labels, known).nonzero()[:, 0]
        positions = ours[one_of_each(split.labels[ours], number)]
        labels, bank = (
            split.labels[positions],
            self._features.of(self._experiment.learner.kept, BANK),
        )
        goals = class_means(bank, known.to(bank.device))
        return positions, labels, goals[labels.to(goals.device)]

    def _correspondence(self) -> Evaluated:
        """Of pairs of images of one class, the anchors in the first."""
        split, number = self._experiment.split("val"), self._settings.correspondence
        pairs = pairs_of_classes(split.labels, number)
        if not len(pairs[0]):
            return Evaluated({})
        network = self._experiment.learner.kept
        first, second = (
            dense_features(
                network.backbone, network.sized(self._features.placed(split.take(one)))
            ).float()
            for one in pairs
        )
        anchors = anchor_features(first, torch.tensor(ANCHORS))
        draw = partial(
            correspondence_sheet,
            first=split.pixels(pairs[0]),
            second=split.pixels(pairs[1]),
            within=correspondence(anchors, first).cpu(),
            between=correspondence(anchors, second).cpu(),
            title="Where features are like those at the anchors",
        )
        return Evaluated({}, {"correspondence": draw})

    def _pixels(self, views: Tensor) -> Tensor:
        """Standardised views as pixels in 0…1 again."""
        data = self._experiment.data
        return views * torch.as_tensor(data.deviation) + torch.as_tensor(data.mean)


def one_of_each(labels: Tensor, number: int) -> Tensor:
    """Positions [R] of at most so many images, R ≤ `number`: the first of each class, then the
    second of each, and so on."""
    seen: dict[int, int] = {}
    ranked: list[tuple[int, int, int]] = []
    for position, label in enumerate(labels.tolist()):
        seen[label] = seen.get(label, 0) + 1
        ranked.append((seen[label], label, position))
    return torch.tensor([position for *_, position in sorted(ranked)[:number]], dtype=torch.int64)


def pairs_of_classes(labels: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """Positions [R] and [R] of at most so many pairs of images of one class, R ≤ `number`.

    The first two images of each class, then the next two; a class without two has no pair.
    """
    waiting: dict[int, int] = {}
    counts: dict[int, int] = {}
    ranked: list[tuple[int, int, int, int]] = []
    for position, label in enumerate(labels.tolist()):
        if label not in waiting:
            waiting[label] = position
            continue
        counts[label] = counts.get(label, 0) + 1
        ranked.append((counts[label], label, waiting.pop(label), position))
    chosen = torch.tensor([one[2:] for one in sorted(ranked)[:number]], dtype=torch.int64)
    first, second = chosen.view(-1, 2).unbind(1)
    return first, second


def _short(names: tuple[str, ...], labels: Tensor) -> list[str]:
    """Names of classes up to the last that occurs."""
    return list(names)[: int(labels.max()) + 1]
