"""The running system against its own OpenAPI document, by Schemathesis with every check on.

`PASAR_SCHEMA_EXAMPLES` says how many examples each operation gets, and `PASAR_SCHEMA_PHASES` what those get who may do
little: few in the suite, more by hand. The system is one of its own, because Schemathesis orders whatever products it
finds, and pays for them at the providers that other tests keep an eye on.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.people import People
from tests.system.shop import Shop
from tests.system.wedged import assert_never_wedged
from wrangler import running

EXAMPLES = os.environ.get("PASAR_SCHEMA_EXAMPLES", "5")
PHASES = os.environ.get("PASAR_SCHEMA_PHASES", "fuzzing")
SEED = "20261121"
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
WITHIN_SECONDS = 3_600
# Schemathesis is given one token for the whole of a run, and a run may take longer than ten minutes.
OPTIONS = ("--no-sample", "--set", f"user.ACCESS_TOKEN_SECONDS={WITHIN_SECONDS}")
# They end the session that all the others need.
LEFT_OUT = ("/api/auth/logout", "/api/users/me/password")


@pytest.fixture(scope="module")
def own_people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    """The people of a shop that no other test sees."""
    folder = tmp_path_factory.mktemp("described")
    with (
        running.started(folder / "state", [*OPTIONS], folder / "system.log") as system,
        Shop(system.connection.url, system.connection.staff_token) as shop,
    ):
        shop.make_product(on_hand=1_000)
        yield People(shop, system.connection)
    assert_never_wedged(folder / "state")


def run(shop: Shop, headers: dict[str, str], folder: Path, *options: str) -> None:
    """Run Schemathesis as whoever sends these headers, from an address of its own; AssertionError with what it says."""
    # By this spelling Schemathesis knows which header to leave out where it calls as nobody.
    sent = {name.title(): value for name, value in headers.items()} | {"cf-connecting-ip": "203.0.113.9"}
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION), "run"]
    command += [f"{shop.url}/openapi.json", "--checks", "all", "--seed", SEED, "--max-examples", EXAMPLES]
    command += ["--generation-database", "none", *options]
    command += [word for name, value in sent.items() for word in ("-H", f"{name}:{value}")]
    command += [word for path in LEFT_OUT for word in ("--exclude-path", path)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=WITHIN_SECONDS, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-20_000:]


def test_every_answer_to_an_admin_is_as_the_description_says(own_people: People, tmp_path: Path) -> None:
    run(own_people.shop, own_people.admin.headers, tmp_path, "--phases", "examples,coverage,fuzzing")


def test_every_answer_to_a_customer_is_as_the_description_says(own_people: People, tmp_path: Path) -> None:
    run(own_people.shop, own_people.customer().headers, tmp_path, "--phases", PHASES)


def test_every_answer_to_nobody_is_as_the_description_says(own_people: People, tmp_path: Path) -> None:
    run(own_people.shop, {}, tmp_path, "--phases", PHASES)


def test_chains_of_calls_answer_as_the_description_says(own_people: People, tmp_path: Path) -> None:
    run(own_people.shop, own_people.admin.headers, tmp_path, "--phases", "stateful")
