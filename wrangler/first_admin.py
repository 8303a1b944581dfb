"""The first admin: decides how an account with every right gets into a database in which nobody has one.

Through the API only an admin makes another. So the first is written into the database, by the statements of
`services/user/first_admin.sql`, with an entry in the audit. Later ones may be made so too, when all are locked out.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path

from argon2 import PasswordHasher
from pydantic import ValidationError

from shared_kernel.clock import rfc3339, system_clock
from shared_kernel.contracts.user import Register
from shared_kernel.ids import new_id
from shared_kernel.tracing import next_traceparent
from wrangler.checkout import Checkout
from wrangler.guarded import run_guarded
from wrangler.state import State, write_private
from wrangler.topology_model import Environment, Topology, platform_name

LOG = "admin.log"
_SECONDS = 300
_PARAMETER = re.compile(r":([a-z_]+)")
# What SQLite says of an address that has an account; both D1 and its local double pass it on.
_TAKEN = "UNIQUE constraint failed: users.email"

Execute = Callable[[tuple[str, ...], Path], tuple[int, str]]
"""Runs `wrangler d1 execute` with these arguments and a file of SQL; its exit status and what it said."""


class AdminRefused(Exception):
    """There is no new admin; the message says why."""


class AddressTaken(AdminRefused):
    """The address has an account already."""


def account(email: str, name: str, password: str) -> Register:
    """The account as it is wanted; AdminRefused when the API would not take it either."""
    try:
        return Register(email=email.strip().lower(), name=name, password=password)
    except ValidationError as error:
        wrong = "; ".join(f"the {one['loc'][0]} is not accepted: {one['msg']}" for one in error.errors())
        raise AdminRefused(wrong) from None


def make(topology: Topology, checkout: Checkout, environment: Environment, wanted: Register, execute: Execute) -> None:
    """Write the account into the environment's database; AddressTaken, or AdminRefused with what wrangler said."""
    worker = topology.worker("user")
    assert worker.database is not None
    hasher = password_hasher({one.name: one.value(environment) for one in worker.settings})
    service = checkout.root / "services" / worker.name
    sql = filled((service / "first_admin.sql").read_text(), _values(wanted, hasher))
    selected = (platform_name(worker.database.name, environment), "-c", str(service / "wrangler.jsonc"))
    with tempfile.TemporaryDirectory(prefix="pasar-admin-") as folder:
        file = Path(folder) / "admin.sql"
        write_private(file, sql)
        status, said = execute(selected, file)
    if _TAKEN in said:
        raise AddressTaken(f"{wanted.email} has an account already, which stays as it is")
    if status != 0:
        raise AdminRefused(f"the account could not be written: {said.strip()[-2000:]}")


def password_hasher(settings: Mapping[str, str]) -> PasswordHasher:
    """argon2id with the parameters of the user service's settings."""
    return PasswordHasher(
        time_cost=int(settings["ARGON2_PASSES"]),
        memory_cost=int(settings["ARGON2_MEMORY_KIB"]),
        parallelism=int(settings["ARGON2_LANES"]),
    )


def _values(wanted: Register, hasher: PasswordHasher) -> dict[str, str]:
    now = system_clock()
    return {
        "id": new_id("usr", now),
        "email": wanted.email,
        "name": wanted.name,
        # NIST SP 800-63B, 3.1.1.2, asks for a normal form; the user service takes the same one.
        "password_hash": hasher.hash(unicodedata.normalize("NFKC", wanted.password)),
        "audit_id": new_id("aud", now),
        "event_id": new_id("evt", now),
        "traceparent": next_traceparent(None),
        "at": rfc3339(now),
    }


def filled(statements: str, values: Mapping[str, str]) -> str:
    """The statements with a literal for each named parameter; KeyError for one that has no value."""
    return _PARAMETER.sub(lambda found: _literal(values[found[1]]), statements)


def _literal(text: str) -> str:
    # wrangler cuts a file into statements by rules of its own; digits cannot be mistaken for the end of one.
    return f"CAST(X'{text.encode().hex()}' AS TEXT)"


def deployed(checkout: Checkout, environment: Environment) -> Execute:
    """Runs the statements in a deployed database, by the account that wrangler finds."""
    variables = {"CI": "1", "NO_COLOR": "1", "WRANGLER_SEND_METRICS": "false", "WRANGLER_WRITE_LOGS": "false"}

    def execute(selected: tuple[str, ...], file: Path) -> tuple[int, str]:
        ended = subprocess.run(
            [*_command(checkout, selected, file), "--env", environment, "--remote"],
            env={**checkout.node_environment(), **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        return ended.returncode, ended.stdout

    return execute


def local(checkout: Checkout, state: State) -> Execute:
    """Runs the statements in the database of a state that this process holds, while no Worker uses it."""

    def execute(selected: tuple[str, ...], file: Path) -> tuple[int, str]:
        log = state.folder / LOG
        command = [*_command(checkout, selected, file), "--local", "--persist-to", str(state.folder)]
        status = run_guarded(command, checkout.wrangler_environment(state.folder), log, state, seconds=_SECONDS)
        return status, log.read_text(errors="replace")

    return execute


def _command(checkout: Checkout, selected: tuple[str, ...], file: Path) -> list[str]:
    return [*checkout.wrangler_command(), "d1", "execute", *selected, "--file", str(file), "--yes"]
