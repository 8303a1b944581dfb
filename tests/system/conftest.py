"""The one running system that the tests share.

It is the one that PASAR_CONNECTION names (the path of a running system's connection.json), or else one that
is started for the session on a state of its own, without the sample catalogue, and stopped after it.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.system.providers import Providers
from tests.system.shop import Shop
from tests.system.wedged import assert_never_wedged
from wrangler import running, sample


@pytest.fixture(scope="session")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[running.Connection]:
    """Where the system answers."""
    given = os.environ.get("PASAR_CONNECTION")
    if given:
        yield running.read_connection(Path(given))
        return
    folder = tmp_path_factory.mktemp("system")
    with running.started(folder / "state", ["--no-sample"], folder / "system.log") as system:
        yield system.connection
    assert_never_wedged(folder / "state")


@pytest.fixture(scope="session")
def shop(connection: running.Connection) -> Iterator[Shop]:
    """The shop's public API, for its customers and its staff."""
    with Shop(connection.url, connection.staff_token) as opened:
        yield opened


@pytest.fixture(scope="session")
def providers(connection: running.Connection) -> Iterator[Providers]:
    """The simulated payment providers of the same system, for their customers and their own side."""
    assert connection.providers_url is not None
    with Providers(connection.providers_url) as opened:
        yield opened


@pytest.fixture(scope="session")
def filled(shop: Shop) -> sample.Sample:
    """The sample catalogue, which the shop holds from here on."""
    whole = sample.read_sample()
    with httpx.Client(base_url=shop.url, headers=shop.as_staff, timeout=60) as client:
        sample.fill(client, whole)
    return whole
