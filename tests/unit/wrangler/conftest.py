"""A checkout, and runs of the local system on it, with a program of the tests in wrangler's place."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.wrangler.fake_checkout import fake_checkout
from tests.unit.wrangler.local_run import Run, runs
from wrangler.checkout import Checkout


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A checkout without tools, whose wrangler only keeps what it was given."""
    return fake_checkout(tmp_path / "checkout")


@pytest.fixture
def start(checkout: Checkout, tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """Starts runs, on one state."""
    with runs(checkout, tmp_path / "state") as started:
        yield started
