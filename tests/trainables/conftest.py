"""One thread for all tests of experiments: they compare bits, and small tensors gain nothing."""

import importlib

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)
    importlib.import_module("torch._dynamo")  # by the first step of an optimiser: takes a second
