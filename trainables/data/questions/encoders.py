"""Encoders of questions as vectors of words; one of them needs no file and learns nothing."""

# Q questions, T words of all of them, L of the longest, D numbers of a word.

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from trainables.data.questions.words import words_of


class Encoded(NamedTuple):
    """Vectors [T, D] of words, one question behind the other; `splits` [Q + 1] where each begins.

    The last split is where the last question ends.
    """

    vectors: Tensor
    splits: Tensor

    def padded(self) -> tuple[Tensor, Tensor]:
        """The same as [Q, L, D], zeros behind shorter questions, and which are words [Q, L]."""
        lengths = self.splits.diff()
        longest = int(lengths.max()) if len(lengths) else 0
        is_word = torch.arange(longest) < lengths[:, None]
        found = self.vectors.new_zeros(len(lengths), longest, self.vectors.shape[1])
        found[is_word] = self.vectors
        return found, is_word

    def means(self) -> Tensor:
        """The mean [Q, D] of each question's words; zeros where there is none."""
        lengths = self.splits.diff()
        question = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
        sums = self.vectors.new_zeros(len(lengths), self.vectors.shape[1])
        return sums.index_add_(0, question, self.vectors) / lengths.clamp(min=1)[:, None]


class WordVectors:
    """A vector for each word by itself: independent normal numbers, of length 1 on average.

    They are a function of the word alone, drawn from a generator that its SHA-256 seeds: all words
    have one, the same everywhere, and those of two words are almost at a right angle. So the mean
    of a question's vectors says which words it has, and not their order.
    """

    def __init__(self, width: int = 128) -> None:
        if width < 1:
            raise ValueError(f"width must be at least 1, got {width}")
        self.width = width
        self._known: dict[str, Tensor] = {}

    def __call__(self, texts: Sequence[str]) -> Encoded:
        """Vectors of the words and marks of some questions."""
        words = [words_of(text) for text in texts]
        vectors = [self._vector(word) for of_text in words for word in of_text]
        splits = torch.tensor([0, *map(len, words)]).cumsum(0)
        found = torch.stack(vectors) if vectors else torch.zeros(0, self.width)
        return Encoded(found, splits)

    def _vector(self, word: str) -> Tensor:
        if word not in self._known:
            seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
            drawn = np.random.default_rng(seed).standard_normal(self.width) / self.width**0.5
            self._known[word] = torch.from_numpy(drawn).float()
        return self._known[word]
