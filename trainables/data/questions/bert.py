"""BERT (Devlin et al. 2019) as an encoder of questions: its last four layers, summed."""

# B questions, L pieces of the longest with those at both ends, h heads, D numbers of a piece.

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from trainables.data.questions.encoders import Encoded
from trainables.data.questions.words import words_of

FILES = ("config.json", "vocab.txt", "model.safetensors")
"""What a folder of a BERT has, as the models of its authors are passed on."""
SUMMED = 4
"""Layers, from the last."""
_START, _END, _UNKNOWN = "[CLS]", "[SEP]", "[UNK]"
_LONGEST_WORD = 100  # letters: a longer one is unknown
_TOGETHER = 64  # questions
_PREFIX = "bert."


class Bert:
    """The pieces of a question's words, with one at either end, as sums of the last four layers.

    For models without cases, such as `bert-base-uncased`. Nothing is fetched: `folder` has `FILES`.

    Raises:
        LookupError: a file is not there. ValueError: it is of another model.
    """

    def __init__(self, folder: Path) -> None:
        missing = [name for name in FILES if not (folder / name).is_file()]
        if missing:
            raise LookupError(
                f"the folder of a BERT must have {', '.join(FILES)}, and {folder} has no "
                f"{', '.join(missing)}"
            )
        self._config: Mapping[str, Any] = json.loads((folder / FILES[0]).read_text())
        lines = (folder / FILES[1]).read_text(encoding="utf-8").splitlines()
        self._pieces = {piece: number for number, piece in enumerate(lines)}
        self._weights = dict(_named(load_file(folder / FILES[2])))
        self.width: int = self._config["hidden_size"]
        self._check(folder)

    def _check(self, folder: Path) -> None:
        words = self._weights.get("embeddings.word_embeddings.weight")
        if words is None or words.shape != (len(self._pieces), self.width):
            raise ValueError(
                f"{folder / FILES[2]} must have a vector of {self.width} numbers for each of the "
                f"{len(self._pieces)} pieces of {FILES[1]}, got "
                f"{'none' if words is None else tuple(words.shape)}"
            )
        if self._config.get("hidden_act", "gelu") != "gelu":
            raise ValueError(
                f"hidden_act of {folder / FILES[0]} must be gelu, got {self._config['hidden_act']}"
            )

    def __call__(self, texts: Sequence[str]) -> Encoded:
        """Vectors of the pieces of some questions. Raises ValueError for one that is too long."""
        numbers = [self.numbers(text) for text in texts]
        vectors = [torch.zeros(0, self.width)]
        with torch.no_grad():
            for start in range(0, len(numbers), _TOGETHER):
                vectors.append(self._encoded(numbers[start : start + _TOGETHER]))
        splits = torch.tensor([0, *map(len, numbers)]).cumsum(0)
        return Encoded(torch.cat(vectors), splits)

    def numbers(self, text: str) -> list[int]:
        """The pieces of a question, by number."""
        plain = unicodedata.normalize("NFD", text.lower())
        plain = "".join(letter for letter in plain if unicodedata.category(letter) != "Mn")
        pieces = [piece for word in words_of(plain) for piece in self._pieces_of(word)]
        found = [self._pieces[piece] for piece in (_START, *pieces, _END)]
        most: int = self._config["max_position_embeddings"]
        if len(found) > most:
            raise ValueError(f"a question must have at most {most} pieces, got {len(found)}")
        return found

    def _pieces_of(self, word: str) -> list[str]:
        """The longest piece that a word begins with, that of the rest …; or the unknown one."""
        found: list[str] = []
        start = 0
        while start < len(word):
            ends = range(len(word), start, -1)
            pieces = (f"{'##' if start else ''}{word[start:end]}" for end in ends)
            piece = next((each for each in pieces if each in self._pieces), None)
            if piece is None or len(word) > _LONGEST_WORD:
                return [_UNKNOWN]
            found.append(piece)
            start += len(piece.removeprefix("##")) if start else len(piece)
        return found

    def _encoded(self, numbers: Sequence[Sequence[int]]) -> Tensor:
        """The vectors of some questions, one behind the other."""
        lengths = torch.tensor([len(each) for each in numbers])
        is_piece = torch.arange(int(lengths.max())) < lengths[:, None]
        padded = torch.zeros(is_piece.shape, dtype=torch.int64)
        padded[is_piece] = torch.tensor([number for each in numbers for number in each])
        state = self._embedded(padded)
        count: int = self._config["num_hidden_layers"]
        total = torch.zeros_like(state)
        for layer in range(count):
            state = self._layer(f"encoder.layer.{layer}", state, is_piece)
            if layer >= count - SUMMED:
                total += state
        return total[is_piece]

    def _embedded(self, numbers: Tensor) -> Tensor:
        tables = "embeddings.{}_embeddings.weight"
        places = self._weights[tables.format("position")][: numbers.shape[1]]
        kind = self._weights[tables.format("token_type")][0]
        words = self._weights[tables.format("word")][numbers]
        return self._normalized("embeddings.LayerNorm", words + places + kind)

    def _layer(self, name: str, state: Tensor, is_piece: Tensor) -> Tensor:
        """One layer on [B, L, D]; each part is normalised after it is added."""
        heads: int = self._config["num_attention_heads"]
        own = f"{name}.attention.self"
        query, key, value = (
            self._linear(f"{own}.{part}", state).unflatten(2, (heads, -1)).transpose(1, 2)
            for part in ("query", "key", "value")
        )
        seen = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=is_piece[:, None, None]
        )
        seen = self._linear(f"{name}.attention.output.dense", seen.transpose(1, 2).flatten(2))
        state = self._normalized(f"{name}.attention.output.LayerNorm", state + seen)
        inner = functional.gelu(self._linear(f"{name}.intermediate.dense", state))
        added = self._linear(f"{name}.output.dense", inner)
        return self._normalized(f"{name}.output.LayerNorm", state + added)

    def _linear(self, name: str, state: Tensor) -> Tensor:
        return functional.linear(
            state, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        )

    def _normalized(self, name: str, state: Tensor) -> Tensor:
        weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        epsilon: float = self._config.get("layer_norm_eps", 1e-12)
        return functional.layer_norm(state, (self.width,), weight, bias, epsilon)


def _named(weights: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """The same under the names of today: those of the first models differ, and have a prefix."""
    for name, weight in weights.items():
        plain = name.removeprefix(_PREFIX)
        plain = plain.replace("LayerNorm.gamma", "LayerNorm.weight")
        yield plain.replace("LayerNorm.beta", "LayerNorm.bias"), weight.float()
