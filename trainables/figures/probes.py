"""Pictures of probes: their losses while they are fitted, and how well they answer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainables.figures.canvas import canvas
from trainables.figures.palette import CURVES
from trainables.metrics.binary import Curves, area_under_roc, average_precision, thinned
from trainables.metrics.probe_fitting import Readout


def probe_losses(path: Path, probes: Mapping[str, Readout], *, title: str = "") -> None:
    """The loss against the step, of images that are learned from and of those that are held out.

    All of it at the left, the second half of the longest at the right; a circle is the step whose
    weights the probe has.
    """
    with canvas(path, 9.6, 3.8) as figure:
        whole, half = figure.subplots(1, 2)
        longest = max(len(one.fit_losses) for one in probes.values())
        for place, (name, probe) in enumerate(probes.items()):
            for axes, start in ((whole, 0), (half, longest // 2)):
                _losses(axes, name, probe, start, CURVES[place % len(CURVES)])
        for axes, words in ((whole, "all steps"), (half, "second half")):
            axes.set_xlabel("step")
            axes.set_title(f"{title}, {words}" if title else words, fontsize=10)
            _plain(axes)
        whole.set_ylabel("loss")
        handles = whole.get_legend_handles_labels()
        figure.legend(*handles, loc="outside right upper", fontsize=8, frameon=False)


def answer_curves(path: Path, answers: Mapping[str, Curves], *, title: str = "") -> None:
    """Precision against recall at the left, the ROC curve at the right, a curve for each name.

    In the legends are average precision and area under the curve, of all points; grey is what
    random scores have.
    """
    with canvas(path, 9.6, 4.4) as figure:
        left, right = figure.subplots(1, 2)
        for place, (name, points) in enumerate(answers.items()):
            shade, few = CURVES[place % len(CURVES)], thinned(points)
            precision, area = float(average_precision(points)), float(area_under_roc(points))
            left.plot(few.recall, few.precision, color=shade, label=f"{name}  {precision:.3f}")
            left.axhline(float(points.precision[-1]), color="0.7", linestyle=":", linewidth=1)
            right.plot(
                [0, *few.false_alarms], [0, *few.recall], color=shade, label=f"{name}  {area:.3f}"
            )
        right.plot([0, 1], [0, 1], color="0.7", linestyle=":", linewidth=1)
        words = (("recall", "precision", "average precision"), ("false alarms", "recall", "area"))
        for axes, (across, up, score) in zip((left, right), words, strict=True):
            axes.set(xlabel=across, ylabel=up, xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
            axes.legend(title=score, fontsize=8, title_fontsize=8, loc="best")
            axes.set_title(title, fontsize=10)
            _plain(axes)


def _losses(axes: Any, name: str, probe: Readout, start: int, shade: str) -> None:
    """Both losses of a probe from a step on."""
    steps = range(start + 1, len(probe.fit_losses) + 1)
    axes.plot(steps, probe.fit_losses[start:], color=shade, linewidth=1.2, label=f"{name}, fitted")
    later = probe.checked > start
    if not len(probe.checked):
        return
    axes.plot(
        probe.checked[later], probe.held_losses[later], color=shade, linestyle="--",
        linewidth=1.2, label=f"{name}, held out",
    )  # fmt: skip
    best = probe.checked == probe.best_step
    if probe.best_step > start:
        axes.plot(probe.checked[best], probe.held_losses[best], "o", color=shade, fillstyle="none")


def _plain(axes: Any) -> None:
    axes.grid(color="0.92")
    axes.spines[["top", "right"]].set_visible(False)
