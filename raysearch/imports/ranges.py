"""First ranges of settings by their names, with the default of the script inside."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from raysearch.imports.programs import SEEDS
from raysearch.imports.setting import Setting
from raysearch.sweeps.distributions import Choice, Distribution, Float, Int

_MOST_CHOICES = 8
"""Of more choices a first sweep would see each too rarely."""
_PARTS = re.compile(r"[^a-z0-9]+")
_FIXED = frozenset(
    "epochs epoch num_epochs n_epochs max_epochs max_epoch total_epochs steps max_steps num_steps "
    "total_steps train_steps max_iters iterations num_iterations n_iters niter".split()
)
_RESUME = frozenset("resume resume_from restore load load_from checkpoint ckpt ckpt_path".split())
_PLACES = frozenset(
    "data dataset dir root path folder output out save log logs logdir datadir workdir outdir "
    "savedir file cache".split()
)
_MACHINE = frozenset(
    "device gpu gpus cuda cpu no_cuda no_mps no_accel mps workers num_workers n_jobs threads "
    "backend rank local_rank world_size dist_url dist_backend port amp fp16 bf16 precision "
    "nodes num_nodes node_rank accelerator strategy devices compile pin_memory".split()
)
_NOT_SWEPT = frozenset(
    "mode split task dataset data datamodule loglevel log_level verbose debug callbacks trainer "
    "logger paths extras experiment sync_batchnorm sync_bn".split()
)
_TOGGLES = frozenset(
    "nesterov amsgrad augment augmentation aug bias bn batchnorm layernorm norm normalize residual "
    "skip bidirectional mixup cutmix ema tied prenorm cosine amsbound".split()
)


def reason_to_leave(setting: Setting) -> str | None:
    """Why a setting is not searched over, of those whose names say so; None of all others."""
    last, words = setting.last, set(_PARTS.split(setting.last))
    if setting.problem is not None:
        return setting.problem
    for what, found in (
        ("the seed of a trial", last in SEEDS),
        ("how long it trains", last in _FIXED),
        ("from where it goes on", last in _RESUME or "resume" in words),
        ("of the machine", last in _MACHINE or bool(words & {"cuda", "gpu", "gpus", "dist"})),
        ("a file or folder", setting.kind in (str, None) and bool(words & _PLACES)),
    ):
        if found:
            return what
    return None


def is_length(setting: Setting) -> bool:
    """Whether it says how long the script trains."""
    is_free = setting.problem is None
    return is_free and setting.last in _FIXED and type(setting.default) is int


def first_range(setting: Setting) -> Distribution | None:
    """A sensible range; None where the name is not known, or says that it is not searched over."""
    if setting.several or reason_to_leave(setting) or setting.last in _NOT_SWEPT:
        return None
    default = default_of(setting)
    if default is None and not setting.required:
        return None  # without a value the script does something else, which no range holds
    if setting.choices:
        return _of_choices(setting.choices, default)
    if setting.kind is bool or isinstance(default, bool):
        is_known = bool(set(_PARTS.split(setting.last)) & _TOGGLES)
        return Choice((False, True)) if is_known else None
    if setting.kind is str or isinstance(default, str):
        return None
    for names, make in _RANGES.items():
        if re.fullmatch(names, setting.last):
            return make(default)
    return None


def default_of(setting: Setting) -> Any:
    """Its default as its type has it: argparse reads a text as well."""
    if isinstance(setting.default, str) and setting.kind in (int, float):
        try:
            return setting.kind(setting.default)
        except ValueError:
            return None
    if setting.kind is float and type(setting.default) is int:
        return float(setting.default)
    return setting.default


def _of_choices(choices: tuple[Any, ...], default: Any) -> Distribution | None:
    values = list(choices)
    if default is not None and default not in values:
        return None  # a script does not take it where it is given
    if not 2 <= len(values) <= _MOST_CHOICES or len(set(map(str, values))) < len(values):
        return None
    return Choice(tuple(values))


def _nice(number: float) -> float:
    """One digit of it."""
    return float(f"{number:.0e}")


def _around(below: float, above: float, usual: tuple[float, float]) -> Callable[[Any], Any]:
    """A logarithmic range from so much less than the default to so much more."""

    def make(default: Any) -> Distribution | None:
        if default is None:
            return Float(*usual, log=True)
        if default == 0:  # it lies in no logarithmic range
            return Float(0.0, usual[1])
        if not 0 < default < math.inf:  # it stands for something else
            return None
        low, high = _nice(default / below), _nice(default * above)
        return Float(min(low, float(default)), max(high, float(default)), log=True)

    return make


def _between(low: float, high: float) -> Callable[[Any], Any]:
    """A range of fractions that is widened to the default."""

    def make(default: Any) -> Distribution | None:
        if default is None:
            return Float(low, high)
        if not 0 <= default < math.inf:  # it stands for something else
            return None
        return Float(min(low, float(default)), max(high, float(default)))

    return make


def _powers(*factors: float, least: int = 1, usual: tuple[int, ...]) -> Callable[[Any], Any]:
    """The default, and multiples of it."""

    def make(default: Any) -> Distribution | None:
        if default is None:
            return Choice(usual)
        if type(default) is not int or default < least:
            return None
        values = {max(least, int(default * factor)) for factor in factors} | {default}
        return Choice(tuple(sorted(values))) if len(values) > 1 else None

    return make


def _counts(usual: tuple[int, int]) -> Callable[[Any], Any]:
    """Whole numbers from half the default to twice."""

    def make(default: Any) -> Distribution | None:
        if default is None:
            return Int(*usual)
        if type(default) is not int or default < 1:
            return None
        return Int(max(1, default // 2), 2 * default)

    return make


_RANGES: Mapping[str, Callable[[Any], Any]] = {
    r"(base_|init_|initial_|max_|peak_)?(lr|learning_rate|learningrate)0?": _around(
        100, 10, (1e-5, 1e-1)
    ),
    r"weight_decay|wd|weightdecay|l2|l2_reg": _around(100, 10, (1e-6, 1e-1)),
    r"(\w+_)?(dropout|drop_rate|drop_path|drop_path_rate|drop_prob|dropout_\w+|pdrop)": _between(
        0.0, 0.5
    ),
    r"momentum": _between(0.8, 0.99),
    r"(adam_)?beta_?1": _between(0.8, 0.95),
    r"(adam_)?beta_?2": _between(0.9, 0.999),
    r"gamma|lr_decay|lr_gamma": _between(0.5, 1.0),
    r"(label_)?smoothing": _between(0.0, 0.2),
    r"temperature|temp|tau": _around(5, 5, (0.05, 1.0)),
    r"(grad_clip|clip|clip_grad|clip_norm|max_grad_norm|max_norm)(_norm)?": _around(
        10, 10, (0.1, 10.0)
    ),
    r"(num_|n_)?(layers?|blocks?|depth)|(num_|n_)?(hidden|encoder|decoder)_layers|layers?": _counts(
        (1, 6)
    ),
    r"(num_|n_)?(attention_)?heads?|nhead": _powers(0.5, 2, usual=(2, 4, 8)),
    r"hidden|(hidden|embed|embedding|model|ffn|mlp)_(dim|size|channels|units)|width|d_model|units"
    r"|channels|dim|n_embd|num_hidden": _powers(0.5, 2, least=2, usual=(64, 128, 256)),
    r"(train_|per_device_train_)?(batch_size|batchsize|bs|batch)": _powers(
        0.5, 2, 4, usual=(16, 32, 64, 128)
    ),
    r"warmup(_epochs|_steps|_iters)?": lambda default: (
        Int(0, 2 * default) if type(default) is int and default > 0 else None
    ),
}
"""By the last part of a name, in small letters with underscores."""
