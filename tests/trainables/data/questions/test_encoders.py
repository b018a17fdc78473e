"""Encoders: a word has one vector, BERT is what its layers are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from trainables.data.questions.bert import Bert
from trainables.data.questions.encoders import Encoded, WordVectors

TEXTS = ["How many red cubes are there?", "Is it?", "café cubes"]


def test_a_word_has_the_same_vector_wherever_it_is() -> None:
    vectors, splits = WordVectors(16)(TEXTS)
    assert splits.tolist() == [0, 7, 10, 12] and vectors.shape == (12, 16)
    assert torch.equal(vectors[6], vectors[9]) and torch.equal(vectors[3], vectors[11])  # ?, cubes
    again, _ = WordVectors(16)(["CUBES"])
    assert torch.equal(again[0], vectors[3])


def test_vectors_of_words_are_of_length_one_and_at_right_angles() -> None:
    found, _ = WordVectors(512)([" ".join(map(str, range(200)))])
    products = found @ found.T
    assert abs(float(products.diagonal().mean()) - 1) < 0.01
    rest = products[~torch.eye(200, dtype=torch.bool)]
    assert float(rest.square().mean()) == pytest.approx(1 / 512, rel=0.05)  # of independent ones


def test_what_is_padded_and_averaged_is_what_a_loop_finds() -> None:
    encoded = WordVectors(8)([*TEXTS, ""])
    padded, is_word = encoded.padded()
    for question in range(4):
        start, end = encoded.splits[question : question + 2].tolist()
        own = encoded.vectors[start:end]
        assert torch.equal(padded[question, : end - start], own)
        assert not padded[question, end - start :].any()
        assert is_word[question].tolist() == [place < end - start for place in range(7)]
        expected = own.mean(0) if end > start else torch.zeros(8)
        torch.testing.assert_close(encoded.means()[question], expected)


def test_nothing_is_encoded_as_nothing() -> None:
    found = WordVectors(4)([])
    assert found.vectors.shape == (0, 4) and found.means().shape == (0, 4)
    assert found.padded()[0].shape == (0, 0, 4)
    with pytest.raises(ValueError, match="width must be at least 1, got 0"):
        WordVectors(0)
    assert WordVectors(1).width == 1


PIECES = "[PAD] [UNK] [CLS] [SEP] how many red cub ##e ##s are there ? is it cafe".split()
CONFIG: dict[str, Any] = {
    "hidden_size": 12,
    "num_hidden_layers": 5,
    "num_attention_heads": 3,
    "intermediate_size": 20,
    "max_position_embeddings": 16,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
}


def layers() -> list[nn.TransformerEncoderLayer]:
    """The same as five of BERT's, as torch has them, with random weights."""
    torch.manual_seed(0)
    found = [
        nn.TransformerEncoderLayer(12, 3, 20, 0.0, "gelu", 1e-12, batch_first=True)
        for _ in range(5)
    ]
    for layer in found:
        for weight in layer.parameters():
            nn.init.normal_(weight, std=0.4)
    return found


def weights() -> dict[str, torch.Tensor]:
    """Those of a BERT, under the names of its authors."""
    draw = torch.Generator().manual_seed(1)
    found = {
        f"embeddings.{name}_embeddings.weight": torch.randn(size, 12, generator=draw)
        for name, size in (("word", len(PIECES)), ("position", 16), ("token_type", 2))
    }
    found["embeddings.LayerNorm.gamma"] = torch.randn(12, generator=draw)
    found["embeddings.LayerNorm.beta"] = torch.randn(12, generator=draw)
    for number, layer in enumerate(layers()):
        own = f"encoder.layer.{number}"
        for kind in ("weight", "bias"):
            parts = getattr(layer.self_attn, f"in_proj_{kind}").chunk(3)
            for part, value in zip(("query", "key", "value"), parts, strict=True):
                found[f"{own}.attention.self.{part}.{kind}"] = value
            for name, module in {
                "attention.output.dense": layer.self_attn.out_proj,
                "attention.output.LayerNorm": layer.norm1,
                "intermediate.dense": layer.linear1,
                "output.dense": layer.linear2,
                "output.LayerNorm": layer.norm2,
            }.items():
                found[f"{own}.{name}.{kind}"] = getattr(module, kind)
    return {f"bert.{name}": value.detach().clone() for name, value in found.items()}


def folder(path: Path, **config: Any) -> Path:
    path.mkdir(exist_ok=True)
    (path / "config.json").write_text(json.dumps({**CONFIG, **config}))
    (path / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    save_file(weights(), path / "model.safetensors")
    return path


def test_words_are_cut_into_the_longest_pieces_that_are_known(tmp_path: Path) -> None:
    bert = Bert(folder(tmp_path))
    pieces = [PIECES[number] for number in bert.numbers("How many red Cubes, Café?")]
    assert pieces == "[CLS] how many red cub ##e ##s [UNK] cafe ? [SEP]".split()
    assert [PIECES[n] for n in bert.numbers("cubex")] == ["[CLS]", "[UNK]", "[SEP]"]


def test_bert_is_the_sum_of_its_last_four_layers(tmp_path: Path) -> None:
    bert = Bert(folder(tmp_path))
    found = bert(TEXTS)
    given = weights()
    for text, start, end in zip(TEXTS, found.splits[:-1], found.splits[1:], strict=True):
        numbers = torch.tensor(bert.numbers(text))
        state = (
            given["bert.embeddings.word_embeddings.weight"][numbers]
            + given["bert.embeddings.position_embeddings.weight"][: len(numbers)]
            + given["bert.embeddings.token_type_embeddings.weight"][0]
        )
        gamma, beta = (given[f"bert.embeddings.LayerNorm.{one}"] for one in ("gamma", "beta"))
        state = nn.functional.layer_norm(state, (12,), gamma, beta, 1e-12)[None]
        states = []
        for layer in layers():
            state = layer(state)
            states.append(state[0])
        torch.testing.assert_close(found.vectors[start:end], sum(states[-4:]), rtol=1e-4, atol=1e-4)


def test_questions_do_not_depend_on_those_beside_them(tmp_path: Path) -> None:
    bert = Bert(folder(tmp_path))
    both: Encoded = bert(TEXTS)
    alone = bert(TEXTS[1:2])
    start, end = both.splits[1:3].tolist()
    torch.testing.assert_close(both.vectors[start:end], alone.vectors, rtol=1e-4, atol=1e-5)
    assert bert([]).vectors.shape == (0, 12) and bert.width == 12


def test_what_is_no_bert_is_refused(tmp_path: Path) -> None:
    said = "must have config.json, vocab.txt, model.safetensors, and .* has no config.json, vocab"
    with pytest.raises(LookupError, match=said):
        Bert(tmp_path)
    with pytest.raises(ValueError, match="hidden_act of .* must be gelu, got relu"):
        Bert(folder(tmp_path, hidden_act="relu"))
    bert = Bert(folder(tmp_path))
    assert len(bert.numbers(" ".join(["red"] * 14))) == 16
    with pytest.raises(ValueError, match="a question must have at most 16 pieces, got 17"):
        bert.numbers(" ".join(["red"] * 15))
    (tmp_path / "vocab.txt").write_text("red\n")
    with pytest.raises(ValueError, match=r"for each of the 1 pieces of vocab.txt, got \(16, 12\)"):
        Bert(tmp_path)


def test_the_mean_says_which_words_there_are_and_not_their_order() -> None:
    one, other = WordVectors(32)(["is it red", "red it is"]).means()
    torch.testing.assert_close(one, other)
    assert np.isfinite(one.numpy()).all()
