"""Named groups of parameters: what each is given at a step, and how that is logged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch

MAIN = "main"
"""The name of a group that has no other."""
OURS = ("name", "decays")
"""What no optimiser reads of a group: it is in no checkpoint, since the experiment says it."""


class GroupSettings(NamedTuple):
    """The learning rate of a group at a step, and its weight decay (None: as it was made with)."""

    learning_rate: float
    weight_decay: float | None = None


def set_groups(
    optimizer: torch.optim.Optimizer, settings: Mapping[str, GroupSettings]
) -> dict[str, float]:
    """Gives each group of an optimiser what its name stands for; returns what is logged.

    That is `train/learning_rate` of the main group, `train/learning_rate/<name>` of each other one,
    and `train/weight_decay` likewise where a decay is given. Groups may share a name; those with
    `decays` False keep the decay that they were made with.

    Raises:
        LookupError: there is nothing for a group.
        ValueError: a group has a `scale`, of which nothing would come.
    """
    found: dict[str, float] = {}
    for group in optimizer.param_groups:
        name = name_of(group)
        if "scale" in group:
            raise ValueError(
                f"a group of parameters must not have `scale`, as {name!r} has: give it a name of "
                f"its own, and its learning rate in group_settings"
            )
        if name not in settings:
            raise LookupError(
                f"group_settings must have each group of parameters, and {name!r} is not among "
                f"{', '.join(settings)}"
            )
        rate, decay = settings[name]
        logged = "" if name == MAIN or len(settings) == 1 else f"/{name}"
        group["lr"] = rate
        found[f"train/learning_rate{logged}"] = rate
        if decay is not None and group.get("decays", True):
            group["weight_decay"] = decay
            found[f"train/weight_decay{logged}"] = decay
    return found


def name_of(group: Mapping[str, Any]) -> str:
    """The name of a group of parameters."""
    return str(group.get("name", MAIN))


def without_ours(state: Mapping[str, Any]) -> dict[str, Any]:
    """The state of an optimiser as it is saved."""
    groups = [
        {name: value for name, value in group.items() if name not in OURS}
        for group in state["param_groups"]
    ]
    return {**state, "param_groups": groups}


def load_state(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Restores an optimiser; its groups keep the names that they have."""
    own = [
        {name: group[name] for name in OURS if name in group} for group in optimizer.param_groups
    ]
    optimizer.load_state_dict(dict(state))
    for group, names in zip(optimizer.param_groups, own, strict=True):
        group.update(names)
