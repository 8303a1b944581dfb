"""The one running system that the tests share.

It is the one that PASAR_CONNECTION names (the path of a running system's connection.json), or else one that
is started for the session on a state of its own, without the sample catalogue, and stopped after it.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.system.forgery import Forgery
from tests.system.people import People
from tests.system.providers import Providers
from tests.system.shop import Shop
from tests.system.wedged import assert_never_wedged
from wrangler import running, sample
from wrangler.state import CONNECTION

# Files of one group must not meet: those of "providers" tell the simulated providers what to do next, and look at their
# books and at what the ledger says of them; those of "sample" load the whole catalogue.
_GROUPS = {
    "test_payments_table": "providers",
    "test_payments_refunds": "providers",
    "test_payments_disputes": "providers",
    "test_payments_reconciliation": "providers",
    "test_catalogues": "sample",
    "test_demo": "sample",
}
# The first needs a system that nobody has used; the others take longest, so that nothing waits for them at the end.
_FIRST = ("test_malformed", "test_payments_crowd", "test_payments_table", "test_crash", "test_schema")


class _ByGroup(LoadScopeScheduling):
    """A group's tests run in one process, and so do those of a file that is in no group: they share fixtures."""

    def _split_scope(self, nodeid: str) -> str:
        name = Path(nodeid.partition("::")[0]).stem
        return _GROUPS.get(name, name)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """How pytest-xdist shares the tests among processes."""
    return _ByGroup(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what must be first, then with the long files."""
    items.sort(key=lambda item: _FIRST.index(item.path.stem) if item.path.stem in _FIRST else len(_FIRST))


@pytest.fixture(scope="session")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The state directory of the running system."""
    given = os.environ.get("PASAR_CONNECTION")
    if given:
        yield Path(given).parent
        return
    folder = tmp_path_factory.mktemp("system")
    with running.started(folder / "state", ["--no-sample"], folder / "system.log"):
        yield folder / "state"
    assert_never_wedged(folder / "state")


@pytest.fixture(scope="session")
def connection(state: Path) -> running.Connection:
    """Where the system answers."""
    return running.read_connection(state / CONNECTION)


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


@pytest.fixture(scope="session")
def people(shop: Shop, connection: running.Connection) -> People:
    """The people of the shop."""
    return People(shop, connection)


@pytest.fixture(scope="session")
def forgery(state: Path) -> Forgery:
    """Whoever has the run's secrets."""
    return Forgery(state)
