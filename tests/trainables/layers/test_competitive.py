"""Queries that compete: which stay, what they take, and what a slot's place does."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from trainables.layers.competitive import (
    CompetitiveAttention,
    CompetitiveDecoder,
    best_queries,
    competitive,
)
from trainables.layers.instances import InstanceBlock, InstanceDecoder, Placed
from trainables.layers.recording import recorded

QUERIES = torch.randn(3, 7, 16, generator=torch.Generator().manual_seed(0))
TOKENS = torch.randn(3, 9, 12, generator=torch.Generator().manual_seed(1))
WIDE = torch.randn(3, 9, 16, generator=torch.Generator().manual_seed(2))
POSITIONS = torch.randn(1, 9, 16, generator=torch.Generator().manual_seed(3))
DRAWS = torch.rand(3, 7, generator=torch.Generator().manual_seed(4))


def random(module: Any) -> Any:
    """The same with random numbers everywhere, and evaluated."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.4)
    return module.eval()


def decoder(kind: str, **changes: Any) -> tuple[Any, tuple[Tensor, ...]]:
    """One of each, and what it is given."""
    if kind == "competitive":
        return random(CompetitiveDecoder(16, 12, 2, 4, **changes)), (QUERIES, TOKENS)
    made = random(InstanceDecoder(16, 2, 4, **changes))
    return made, (QUERIES, WIDE, POSITIONS, DRAWS)


def by_loops(module: Any, asked: Tensor, tokens: Tensor) -> list[Tensor]:
    """Weights [H, Q, P] of all queries of each image, by the formulas."""
    found: list[Tensor] = []
    for image in range(len(asked)):
        queries, keys = module.queries(asked[image]), module.keys(tokens[image])
        weights = torch.zeros(4, len(queries), len(keys))
        for head in range(4):
            part = slice(head * 4, head * 4 + 4)
            for token in range(len(keys)):
                powers = torch.stack([q[part] @ keys[token, part] / 2 for q in queries]).exp()
                weights[head, :, token] = powers / powers.sum()
        found.append(weights)
    return found


@torch.no_grad()
def test_all_queries_compete_head_by_head_and_each_takes_a_mean() -> None:
    module = random(CompetitiveAttention(16, 12, 4))
    taken, chosen = module(QUERIES, TOKENS)
    assert chosen is None
    for image, shares in enumerate(by_loops(module.competition, QUERIES, TOKENS)):
        weights = shares / shares.sum(-1, keepdim=True)
        values = module.mixing.values(TOKENS[image])
        mixed = torch.cat([weights[h] @ values[:, h * 4 : h * 4 + 4] for h in range(4)], -1)
        torch.testing.assert_close(taken[image], module.mixing.out(mixed))


@torch.no_grad()
@pytest.mark.parametrize("keeps_first", [False, True])
@pytest.mark.parametrize("count", [1, 3, 6])
def test_those_stay_that_some_token_wants_most(count: int, keeps_first: bool) -> None:
    module = random(CompetitiveAttention(16, 12, 4, max_queries=count, keeps_first=keeps_first))
    weights, chosen = module.competition(QUERIES, TOKENS)
    assert chosen.shape == (3, count), "so many in all; the original kept one more"
    start = int(keeps_first)
    compared = by_loops(module.competition, QUERIES[:, start:], TOKENS)
    for image, shares in enumerate(compared):
        worth = [shares[:, query].max().item() for query in range(7 - start)]
        best = sorted(range(7 - start), key=lambda query: -worth[query])
        expected = ([0] if keeps_first else []) + [query + start for query in best]
        assert chosen[image].tolist() == expected[:count]
        asked = QUERIES[image, chosen[image]][None]
        [stayed] = by_loops(module.competition, asked, TOKENS[[image]])
        torch.testing.assert_close(weights[image], stayed / stayed.sum(-1, keepdim=True))


def test_all_stay_where_no_fewer_are_asked_for() -> None:
    scores = torch.randn(2, 1, 3, 4)
    assert best_queries(scores, None, keeps_first=True) is None
    assert best_queries(scores, 3, keeps_first=True) is None
    found = best_queries(scores, 2, keeps_first=True)
    assert found is not None and found[:, 0].tolist() == [0, 0]


def test_weights_add_up_to_1_over_tokens_even_for_a_query_that_nobody_wants() -> None:
    scores = torch.zeros(1, 2, 3)
    scores[:, 1] = -40.0
    found = competitive(scores)
    torch.testing.assert_close(found[0, 0], torch.full((3,), 1 / 3))
    assert found.isfinite().all() and found[0, 1].sum() <= 1


@torch.no_grad()
def test_a_competitive_block_has_its_norms_behind() -> None:
    module, given = decoder("competitive", max_queries=3)
    slots, seen = QUERIES, module.norm_tokens(TOKENS)
    for block in module.blocks:
        taken, chosen = block.attention(slots, seen)
        if chosen is not None:
            slots = torch.stack([one[places] for one, places in zip(slots, chosen, strict=True)])
        slots = slots + block.norm_attention(taken)
        slots = slots + block.norm_mlp(block.mlp(slots))
    assert slots.shape == (3, 3, 16)
    torch.testing.assert_close(module(*given), slots)


@torch.no_grad()
@pytest.mark.parametrize("has_background", [False, True])
def test_an_instance_block_moves_contents_and_places_by_one_attention(has_background: bool) -> None:
    block = random(InstanceBlock(16, 4, max_queries=4, keeps_first=has_background))
    slots, tokens = Placed(QUERIES, 0.5 * QUERIES), Placed(WIDE, POSITIONS.expand(3, -1, -1))
    found = block(slots, tokens)
    places = block.places.norm_slots(slots.places)
    if has_background:
        places[:, 0] = 0
    asked = block.contents.norm_slots(slots.contents) + places
    seen = [getattr(block, name).norm_tokens(getattr(tokens, name)) for name in Placed._fields]
    weights, chosen = block.competition(asked, seen[0] + seen[1])
    for name, of_tokens in zip(Placed._fields, seen, strict=True):
        stream = getattr(block, name)
        values = stream.mixing.values(of_tokens).unflatten(-1, (4, 4))
        mixed = torch.einsum("nhsp,nphd->nshd", weights, values).flatten(2)
        stayed = getattr(slots, name)[torch.arange(3)[:, None], chosen]
        moved = stayed + stream.mixing.out(mixed)
        moved = moved + stream.mlp(stream.norm_mlp(moved))
        if has_background and name == "places":
            moved[:, 0] = 0
        torch.testing.assert_close(getattr(found, name), moved)


@torch.no_grad()
def test_slots_begin_where_a_drawn_patch_is_and_the_background_nowhere() -> None:
    module, given = decoder("instance")
    places = POSITIONS[0, (DRAWS * 9).long()]
    places[:, 0] = 0
    slots = Placed(QUERIES, places)
    for block in module.blocks:
        slots = block(slots, Placed(WIDE, POSITIONS.expand(3, -1, -1)))
    torch.testing.assert_close(module(*given), slots.contents + slots.places)
    assert not slots.places[:, 0].any() and slots.places[:, 1:].all()


@torch.no_grad()
def test_slots_of_one_content_are_told_apart_by_their_places() -> None:
    module, given = decoder("instance", has_background=False)
    same = QUERIES[:, :1].expand(-1, 7, -1)
    apart = module(same, *given[1:])
    together = module(same, *given[1:3], torch.zeros(3, 7))
    torch.testing.assert_close(together, together[:, :1].expand_as(together))
    assert (apart[:, 0] - apart[:, 1]).abs().max() > 1e-3


@torch.no_grad()
@pytest.mark.parametrize("kind", ["competitive", "instance"])
def test_a_reused_block_is_gone_through_so_often(kind: str) -> None:
    reused, given = decoder(kind, reuses_layers=True, max_queries=4)
    copied, _ = decoder(kind, max_queries=4)
    for block in copied.blocks:
        block.load_state_dict(reused.blocks[0].state_dict())
    if kind == "competitive":
        copied.norm_tokens.load_state_dict(reused.norm_tokens.state_dict())
    torch.testing.assert_close(reused(*given), copied(*given))


@pytest.mark.parametrize("kind", ["competitive", "instance"])
def test_every_parameter_of_a_decoder_learns(kind: str) -> None:
    module, given = decoder(kind, max_queries=4)
    module(*given).sin().sum().backward()
    assert all(one.grad is not None and one.grad.any() for one in module.parameters())


@torch.no_grad()
@pytest.mark.parametrize("drops", ["weights", "logits"])
@pytest.mark.parametrize("kind", ["competitive", "instance"])
def test_outputs_are_the_same_while_attention_is_recorded(kind: str, drops: str) -> None:
    module, given = decoder(kind, max_queries=4, attention_dropout=0.3, drops=drops)
    module.train()
    torch.manual_seed(1)
    before = module(*given)
    torch.manual_seed(1)
    with recorded(module) as recording:
        assert torch.equal(module(*given), before)
        maps = recording.take()
    assert [one.shape for one in maps.values()] == [(1, 3, 4, 4, 9)] * 2
    for found in maps.values():
        torch.testing.assert_close(found.sum(-1), torch.ones(1, 3, 4, 4))


@pytest.mark.parametrize("rate", ["dropout", "attention_dropout", "drop_path"])
@pytest.mark.parametrize("kind", ["competitive", "instance"])
def test_each_rate_is_felt_in_training_only(kind: str, rate: str) -> None:
    plain, given = decoder(kind)
    module, _ = decoder(kind, **{rate: 0.5})
    assert torch.equal(module(*given), plain(*given))
    assert not torch.allclose(module.train()(*given), plain(*given))


@pytest.mark.parametrize("kind", ["competitive", "instance"])
def test_tokens_whose_queries_are_all_dropped_keep_them(kind: str) -> None:
    """−∞ for all queries of a token, as the original has it, is no number."""
    module, given = decoder(kind, attention_dropout=1 - 1e-9, drops="logits")
    torch.testing.assert_close(module.train()(*given), module.eval()(*given))
    often, _ = decoder(kind, attention_dropout=0.8, drops="logits")  # 0.2 of tokens lose all seven
    often.train()(*given).sum().backward()
    assert all(one.grad.isfinite().all() for one in often.parameters())
    assert competitive(torch.full((7, 9), -torch.inf)).isnan().all()


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        ({"max_queries": 0}, ValueError, "max_queries must be at least 1, got 0"),
        ({"drops": "tokens"}, LookupError, "drops must be one of weights, logits, got 'tokens'"),
    ],
)
@pytest.mark.parametrize("kind", ["competitive", "instance"])
def test_settings_that_do_not_fit_are_refused(
    kind: str, changes: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        decoder(kind, **changes)


def test_widths_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"width must be that of tokens \(12\), got 16"):
        InstanceDecoder(16, 1, 4, token_width=12)
    with pytest.raises(ValueError, match=r"heads must divide width \(16\), got 3"):
        CompetitiveDecoder(16, 12, 1, 3)
