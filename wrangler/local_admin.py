"""The admin of a local run: decides when one is made, and keeps the way in beside the other secrets of the state."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass

from wrangler import first_admin
from wrangler.checkout import Checkout
from wrangler.state import State, write_private
from wrangler.topology_model import Topology

FILE = "admin.json"
# RFC 2606: a name that nobody has.
EMAIL = "admin@pasar.example"
_PASSWORD_BYTES = 18


@dataclass(frozen=True)
class LocalAdmin:
    """How the admin signs in; `is_made` tells whether the account stands in the database."""

    email: str
    password: str
    is_made: bool


def ensure(topology: Topology, checkout: Checkout, state: State) -> LocalAdmin:
    """The admin of this state, made where it has none; raises AdminRefused or RunFailed.

    The database must have its migrations, and no Worker may use it yet.
    """
    known = _read(state)
    if known is not None and known.is_made:
        return known
    # The password is written down first: a crash between the two leaves an account that can be entered.
    draft = known or LocalAdmin(EMAIL, secrets.token_urlsafe(_PASSWORD_BYTES), is_made=False)
    _write(state, draft)
    wanted = first_admin.account(draft.email, "Admin", draft.password)
    try:
        first_admin.make(topology, checkout, "local", wanted, first_admin.local(checkout, state))
    except first_admin.AddressTaken:
        if known is None:
            (state.folder / FILE).unlink()
            raise first_admin.AdminRefused(
                f"{EMAIL} has an account, but its password in {state.folder / FILE} is gone: start with --fresh"
            ) from None
        # The start that was cut off had come as far as this.
    made = LocalAdmin(draft.email, draft.password, is_made=True)
    _write(state, made)
    return made


def _read(state: State) -> LocalAdmin | None:
    path = state.folder / FILE
    return LocalAdmin(**json.loads(path.read_text())) if path.exists() else None


def _write(state: State, known: LocalAdmin) -> None:
    write_private(state.folder / FILE, json.dumps(asdict(known)))
