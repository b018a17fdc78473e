"""Recorded attention is softmax(q·k/√d) by hand; the network computes the same, and is left so."""

from __future__ import annotations

import math
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from trainables.layers.attention import SelfAttention
from trainables.layers.patch_transformers import AutoregressivePatchDecoder, SlotMixerPatchDecoder
from trainables.layers.recording import attending, recorded
from trainables.layers.slot_attention import SlotAttention
from trainables.layers.vit import ViT

IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
TOKENS = torch.randn(2, 9, 16, generator=torch.Generator().manual_seed(1))
SLOTS = torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(2))
TARGETS = torch.randn(2, 9, 12, generator=torch.Generator().manual_seed(3))
TIMMS: dict[str, dict[str, Any]] = {
    "vit_tiny_patch16_224": {"patch_size": 8, "depth": 2, "embed_dim": 24},
    "swin_tiny_patch4_window7_224": {
        "patch_size": 2,
        "window_size": 4,
        "embed_dim": 12,
        "depths": (2, 2),
        "num_heads": (2, 3),
    },
    "beit_base_patch16_224": {"patch_size": 8, "depth": 2, "embed_dim": 24, "num_heads": 3},
    "eva02_tiny_patch14_224": {"patch_size": 8, "depth": 2, "embed_dim": 24, "num_heads": 3},
}


def vit(**changes: Any) -> ViT:
    sizes: dict[str, Any] = {"image_size": 32, "channels": 3, "patch_size": 8, "classes": 5}
    sizes |= {"width": 16, "layers": 3, "heads": 4} | changes
    return random(ViT(**sizes))


def timms(name: str) -> nn.Module:
    return random(timm.create_model(name, img_size=32, num_classes=5, **TIMMS[name]))


def random(network: Any) -> Any:
    """The same with random numbers everywhere, and evaluated."""
    torch.manual_seed(0)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3)
    return network.eval()


def softmax(queries: Tensor, keys: Tensor) -> Tensor:
    """softmax(q·k/√d) of each image and head by itself, [B, H, Q, D] and [B, H, K, D]."""
    found = queries.new_zeros(*queries.shape[:3], keys.shape[2])
    for image in range(queries.shape[0]):
        for head in range(queries.shape[1]):
            for place, query in enumerate(queries[image, head]):
                scores = torch.stack([query @ key for key in keys[image, head]])
                powers = (scores / math.sqrt(len(query))).exp()
                found[image, head, place] = powers / powers.sum()
    return found


def heads_of(attention: Any, tokens: Tensor, heads: int) -> tuple[Tensor, Tensor]:
    """Queries and keys [B, H, N, D] of a module with `qkv`."""
    queries, keys, _ = attention.qkv(tokens).chunk(3, -1)
    return tuple(one.unflatten(-1, (heads, -1)).transpose(1, 2) for one in (queries, keys))  # pyright: ignore[reportReturnType]


@torch.no_grad()
def test_each_layer_and_head_of_our_vit_is_the_softmax_by_hand() -> None:
    network = vit()
    with recorded(network) as recording:
        network(IMAGES)
        maps = recording.take()
    assert list(maps) == [f"blocks.{number}.attention" for number in range(3)]
    tokens = network.patches(IMAGES).flatten(2).transpose(1, 2)
    tokens = torch.cat([network.class_token.expand(2, -1, -1), tokens], 1) + network.positions  # pyright: ignore[reportOptionalMemberAccess]
    for block, (name, found) in zip(network.blocks, maps.items(), strict=True):
        wanted = softmax(*heads_of(block.attention, block.norm1(tokens), 4))  # pyright: ignore[reportCallIssue]
        assert found.shape == (1, 2, 4, 17, 17), name
        torch.testing.assert_close(found[0], wanted, rtol=1e-5, atol=1e-6)
        tokens = block(tokens)


@torch.no_grad()
def test_each_layer_of_timms_vit_is_the_softmax_by_hand() -> None:
    network: Any = timms("vit_tiny_patch16_224")
    with recorded(network) as recording:
        network(IMAGES)
        maps = recording.take()
    assert list(maps) == ["blocks.0.attn", "blocks.1.attn"]
    tokens = network.norm_pre(network._pos_embed(network.patch_embed(IMAGES)))
    for block, found in zip(network.blocks, maps.values(), strict=True):
        wanted = softmax(*heads_of(block.attn, block.norm1(tokens), 3))
        torch.testing.assert_close(found[0], wanted, rtol=1e-5, atol=1e-6)
        tokens = block(tokens)


@torch.no_grad()
def test_each_window_of_swin_is_the_softmax_by_hand() -> None:
    network: Any = timms("swin_tiny_patch4_window7_224")
    with recorded(network, ["layers.0.blocks.0.attn"]) as recording:
        network(IMAGES)
        [found] = recording.take().values()
    block = network.layers[0].blocks[0]
    tokens = block.norm1(network.patch_embed(IMAGES))  # [B, 16, 16, C], 4 × 4 windows of 4 × 4
    windows = tokens.unflatten(1, (4, 4)).unflatten(3, (4, 4)).transpose(2, 3)
    queries, keys = heads_of(block.attn, windows.reshape(32, 16, -1), 2)
    scores = queries @ keys.mT / math.sqrt(queries.shape[-1]) + block.attn._get_rel_pos_bias()
    assert found.shape == (1, 32, 2, 16, 16)  # windows, heads, places of a window
    torch.testing.assert_close(found[0], scores.softmax(-1), rtol=1e-5, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("heads", [1, 2])
def test_each_iteration_of_slot_attention_is_the_softmax_by_hand(heads: int) -> None:
    module = random(SlotAttention(token_width=16, slot_width=8, iterations=3, heads=heads))
    with recorded(module) as recording:
        attended = module(TOKENS, SLOTS)
        [found] = recording.take().values()
    keys = module.to_keys(module.norm_tokens(TOKENS)).unflatten(-1, (heads, -1))
    slots = module.mean + module.log_deviation.exp() * SLOTS
    assert found.shape == (3, 2, heads, 4, 9)
    for iteration in range(3):
        queries = module.to_queries(module.norm_slots(slots)).unflatten(-1, (heads, -1))
        scores = torch.einsum("bkhd,bnhd->bhkn", queries, keys) / math.sqrt(8 // heads)
        powers = scores.exp()
        wanted = powers / powers.sum((1, 2), keepdim=True)
        torch.testing.assert_close(found[iteration], wanted, rtol=1e-4, atol=1e-6)
        slots = module(TOKENS, SLOTS, iterations=iteration + 1).slots
    torch.testing.assert_close(found[2].sum(1), attended.attention)


@torch.no_grad()
def test_a_causal_attention_looks_at_nothing_behind() -> None:
    module = random(SelfAttention(16, 2, is_causal=True))
    found = module.attention_weights(TOKENS)
    queries, keys = heads_of(module, TOKENS, 2)
    for place in range(9):
        wanted = softmax(queries[:, :, place : place + 1], keys[:, :, : place + 1])
        torch.testing.assert_close(found[:, :, place : place + 1, : place + 1], wanted)
    assert found.triu(1).count_nonzero() == 0


@torch.no_grad()
def test_decoders_that_look_at_slots_show_by_which_shares() -> None:
    mixer = random(SlotMixerPatchDecoder(slot_width=8, features=12, patches=9, layers=1, width=8))
    with recorded(mixer) as recording:
        decoded = mixer(SLOTS)
        maps = recording.take()
    assert list(maps) == ["blocks.0.look", "mixing"]
    assert torch.equal(maps["mixing"][0, :, 0], decoded.masks.transpose(1, 2))
    look, seen = mixer.blocks[0].look, mixer.norm_slots(SLOTS)
    queries = look.queries(mixer.blocks[0].norm_look(mixer.codes.expand(2, -1, -1)))
    keys = look.keys_values(seen).chunk(2, -1)[0]
    by_head = [one.unflatten(-1, (4, -1)).transpose(1, 2) for one in (queries, keys)]
    torch.testing.assert_close(maps["blocks.0.look"][0], softmax(by_head[0], by_head[1]))


def networks() -> dict[str, tuple[Any, tuple[Tensor, ...]]]:
    """Every kind that attends, with what it is given."""
    autoregressive = AutoregressivePatchDecoder(
        slot_width=8, features=12, width=16, layers=2, masks="decoder"
    )
    mixer = SlotMixerPatchDecoder(slot_width=8, features=12, patches=9, layers=2, width=8)
    return {
        "vit": (vit(), (IMAGES,)),
        "slots": (random(SlotAttention(token_width=16, slot_width=8)), (TOKENS, SLOTS)),
        "autoregressive": (random(autoregressive), (SLOTS, TARGETS)),
        "mixer": (random(mixer), (SLOTS,)),
        **{name: (timms(name), (IMAGES,)) for name in TIMMS},
    }


KINDS = ["vit", "slots", "autoregressive", "mixer", *TIMMS]


class Counted(TorchDispatchMode):
    """Which operations were carried out, in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


def flat(found: Any) -> list[Tensor]:
    return [found] if isinstance(found, Tensor) else [one for one in found if one is not None]


def state(network: nn.Module) -> list[dict[str, Any]]:
    """All attributes of all modules, hooks among them, as far as they can be compared."""
    return [
        {name: len(value) if "hooks" in name else repr(value) for name, value in vars(one).items()}
        for one in network.modules()
    ]


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_outputs_are_the_same_while_it_records(kind: str) -> None:
    network, given = networks()[kind]
    before = network(*given)
    with recorded(network) as recording:
        during = network(*given)
        maps = recording.take()
    assert set(maps) == set(attending(network)) and not recording.take()
    is_ours = kind not in TIMMS
    for one, other in zip(flat(before), flat(during), strict=True):
        assert torch.equal(one, other) if is_ours else (one - other).abs().max() <= 1e-6


@torch.no_grad()
@pytest.mark.parametrize("raises", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_afterwards_it_costs_nothing(kind: str, raises: bool) -> None:
    network, given = networks()[kind]
    was = state(network)
    with Counted() as before:
        wanted = network(*given)
    try:
        with recorded(network):
            network(*given)
            if raises:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    with Counted() as after:
        found = network(*given)
    assert state(network) == was and after.names == before.names
    assert all(torch.equal(*pair) for pair in zip(flat(found), flat(wanted), strict=True))


def test_training_draws_and_learns_the_same_while_it_records() -> None:
    def trained(*, records: bool) -> list[Tensor]:
        network = vit(dropout=0.2, attention_dropout=0.2, drop_path=0.2).train()
        torch.manual_seed(1)
        if not records:
            network(IMAGES).square().sum().backward()
        else:
            with recorded(network) as recording:
                network(IMAGES).square().sum().backward()
            assert not any(one.requires_grad for one in recording.take().values())
        gradients = [one.grad for one in network.parameters() if one.grad is not None]
        return [*gradients, torch.rand(3)]

    assert all(map(torch.equal, trained(records=True), trained(records=False)))


@pytest.mark.slow
def test_a_compiled_network_is_recorded_and_compiled_again_afterwards() -> None:
    network, calls = vit(layers=1), list[int]()

    def backend(graph: Any, inputs: Any) -> Any:
        def run(*given: Any) -> Any:
            calls.append(1)
            return graph.forward(*given)

        return run

    network.compile(backend=backend)
    with torch.no_grad():
        network(IMAGES)
        used = len(calls)
        with recorded(network) as recording:
            network(IMAGES)
            assert len(calls) == used and list(recording.take()) == ["blocks.0.attention"]
        network(IMAGES)
    assert len(calls) == 2 * used


@torch.no_grad()
def test_several_calls_of_a_shared_layer_are_stacked_in_their_order() -> None:
    layer = random(SelfAttention(16, 2))
    network = nn.Sequential(layer, layer)
    with recorded(network) as recording:
        network(TOKENS)
        [found] = recording.take().values()
    assert torch.equal(found[0], layer.attention_weights(TOKENS))
    assert torch.equal(found[1], layer.attention_weights(layer(TOKENS)))


def test_batches_of_two_sizes_are_to_be_taken_apart() -> None:
    network = vit(layers=1)
    with recorded(network) as recording:
        network(IMAGES)
        network(IMAGES[:1])
        with pytest.raises(ValueError, match=r"of blocks.0.attention must be of one shape .* take"):
            recording.take()


def test_only_named_layers_are_recorded() -> None:
    network = vit()
    with recorded(network, ["blocks.2.attention"]) as recording:
        network(IMAGES)
        assert recording.names == list(recording.take()) == ["blocks.2.attention"]
        assert not network.blocks[0].attention._forward_pre_hooks  # pyright: ignore
    with pytest.raises(LookupError, match=r"got 'blocks.2.attn'; did you mean 'blocks.2.attention"):
        recorded(network, ["blocks.2.attn"]).__enter__()


def test_a_part_that_is_called_so_is_no_attention() -> None:
    network = nn.Linear(2, 2)
    network.attention_weights = nn.Linear(2, 2)
    assert attending(network) == {}


def test_a_network_that_attends_to_nothing_is_refused() -> None:
    with pytest.raises(LookupError, match="must have a module that attends, got Linear"):
        recorded(nn.Linear(2, 2)).__enter__()
