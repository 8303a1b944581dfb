"""What the tests of the Worker share: the Worker itself, and that assertions of a case on the host tell what they
compared."""

from collections.abc import Iterator

import httpx
import pytest

pytest.register_assert_rewrite("tests.workerd.cases")

CASE_SECONDS = 60


@pytest.fixture(scope="session")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of the running Worker."""
    # Imported late, so that what it imports of the cases is rewritten too.
    from tests.workerd import adapter_worker

    with (
        adapter_worker.running(tmp_path_factory.mktemp("workerd") / "state") as url,
        httpx.Client(base_url=url, timeout=CASE_SECONDS) as client,
    ):
        yield client
