"""What the tests of the network share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from oracles import SMALL, Pair, make_pair


@pytest.fixture(scope="session")
def small() -> Pair:
    """A small network, ours and the reference's."""
    return make_pair(SMALL)


@pytest.fixture
def inference() -> Iterator[None]:
    """No gradients."""
    with torch.inference_mode():
        yield


@pytest.fixture
def noise() -> torch.Generator:
    """Seeded noise."""
    return torch.Generator().manual_seed(7)
