"""The local databases: decides when their migrations have to be applied, and applies them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from wrangler.checkout import Checkout
from wrangler.guarded import RunFailed, run_guarded
from wrangler.state import State, write_private
from wrangler.topology_model import Topology

_APPLIED = "migrations.json"
_SECONDS = 120


def migrate(topology: Topology, checkout: Checkout, state: State) -> bool:
    """Apply the migrations that the databases of this state lack; whether there was anything to look at.

    A state remembers which files it had when all was applied, so that a start with the same files needs no Node.
    Raises RunFailed when a migration does not work.
    """
    folders = {
        worker.database.local_id: checkout.root / "services" / worker.name / "migrations"
        for worker in topology.workers
        if worker.database is not None
    }
    wanted = json.dumps({identity: _digest(folder) for identity, folder in folders.items()})
    applied = state.folder / _APPLIED
    if applied.exists() and applied.read_text() == wanted:
        return False
    work = {
        "persist": str(state.folder),
        "databases": [{"id": identity, "folder": str(folder)} for identity, folder in folders.items()],
    }
    log = state.folder / "migrations.log"
    script = checkout.root / "wrangler" / "local_migrations.mjs"
    command = [*checkout.node_command(), str(script), json.dumps(work)]
    status = run_guarded(command, checkout.wrangler_environment(state.folder), log, state, seconds=_SECONDS)
    if status != 0:
        raise RunFailed(f"the databases could not be prepared: {log.read_text(errors='replace').strip()[-2000:]}")
    write_private(applied, wanted)
    return True


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.sql")):
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)} ".encode() + content)
    return digest.hexdigest()
