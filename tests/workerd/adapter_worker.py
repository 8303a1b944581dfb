"""The test Worker on this machine: decides what it is made of, and runs it for the length of a block.

It holds the sources of all services, and binds to one database for each, with its own migrations. It is never deployed,
so it has a topology of its own.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wrangler.checkout import CHECKOUT
from wrangler.dev import HOST, free_port
from wrangler.guarded import guarded
from wrangler.local_databases import migrate
from wrangler.readiness import wait_until_ready
from wrangler.rendering import base_configuration, environment_configuration
from wrangler.snapshot import LOCAL_FLAGS
from wrangler.sources import mirror
from wrangler.state import LOG, State, held, write_private
from wrangler.topology import PASAR
from wrangler.topology_model import Binding, Consumer, DurableObject, Topology, Worker

# One retry shows what a retry does; each costs the inbox's delay of five seconds.
ADAPTERS = Worker(
    name="adapters",
    bindings=(Binding("OTHER", "adapters", "Other"),),
    publishes=("thing.made",),
    subscribes=("thing.made",),
    consumes=(
        Consumer("adapters-inbox", dead_letter_queue="adapters-dlq", max_retries=1),
        Consumer("adapters-dlq"),
    ),
    durable_objects=(DurableObject("OBJECTS", "StorageObject", migration_tag="v1"),),
)
HERE = Path(__file__).parent


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """The address of the Worker; RunFailed when it does not come up."""
    with held(folder) as state:
        configuration = _write(state)
        migrate(PASAR, CHECKOUT, state)
        port = free_port(0)
        url, log = f"http://{HOST}:{port}", state.folder / LOG
        command = [
            *(*CHECKOUT.wrangler_command(), "dev", "-c", str(configuration)),
            *("--ip", HOST, "--port", str(port), "--inspector-port", "0"),
            *("--persist-to", str(state.folder), "--show-interactive-dev-session=false"),
        ]
        with guarded(command, CHECKOUT.wrangler_environment(state.folder), log, state) as process:
            wait_until_ready(url, process, log)
            yield url


def _write(state: State) -> Path:
    folder = state.folder / "config"
    mirror(_sources(), folder / "src")
    (folder / "python_modules").symlink_to(CHECKOUT.python_modules)
    write_private(folder / ".dev.vars", "")
    topology = Topology(workers=(ADAPTERS,))
    configuration = {
        **base_configuration(LOCAL_FLAGS),
        **environment_configuration(topology, ADAPTERS, "local"),
        "d1_databases": [*_databases(), _database("SCRATCH_DB", "adapters-scratch", "adapters-scratch-local")],
    }
    path = folder / "wrangler.jsonc"
    path.write_text(json.dumps(configuration, indent=2))
    return path


def _sources() -> dict[str, Path]:
    packages = {package for worker in PASAR.workers for package in worker.packages}
    return {
        "": HERE / "worker",
        "tests/workerd/cases": HERE / "cases",
        **{Path(package).name: CHECKOUT.root / package for package in packages},
        **{one.name: CHECKOUT.root / "services" / one.name / "src" / one.name for one in PASAR.workers if one.database},
    }


def _databases() -> list[dict[str, Any]]:
    return [
        _database(f"{worker.name.upper()}_DB", worker.database.name, worker.database.local_id)
        for worker in PASAR.workers
        if worker.database is not None
    ]


def _database(binding: str, name: str, identity: str) -> dict[str, Any]:
    return {"binding": binding, "database_name": name, "database_id": identity}
