"""docs/access.md: every route times everybody who may call, from the routes' own declarations.

`PYTHONPATH=services/gateway/src .venv/bin/python -m tests.access_table` in the root of the checkout writes it.
"""

from pathlib import Path
from typing import Any, cast

from gateway.routes import ROUTES
from gateway.routing import Access, Admission, Route
from shared_kernel.permissions import PERMISSIONS, Kind

FILE = Path(__file__).resolve().parent.parent / "docs" / "access.md"

# The owner is the guest who holds an order's access token; to a permission he is any guest.
CALLERS = ("guest", "owner", "customer", "buyer", "staff", "admin")

_BEFORE = """# Who may call what

Written by `PYTHONPATH=services/gateway/src .venv/bin/python -m tests.access_table` from what each route declares
(`services/gateway/src/gateway/routes/`) and the table of rights (`shared_kernel/permissions.py`): change it there. A
unit test fails when this page differs, another holds every cell against the gateway, and the system tests hold them
against the running shop.

The owner is a guest who holds the access token of an order. **own**: let in, and shown what belongs to the caller, to
a buyer what belongs to his company; anything else does not exist (404). **401**: a token is missing or not good.
**403**: the caller lacks the permission. Where the table says yes the services still decide what the caller may see of
a thing and do to it, as with the members of a company. A `public` route does not look at tokens; on every other one an
access token that is not good is a 401 for whoever sends it, and so is every token of a session that has ended.
"""


def verdict(access: Admission, who: str) -> str:
    """What becomes of a caller at a route: `yes`, `own`, or the status that refuses him."""
    if access is Access.OWNER:
        return {"guest": "401", "staff": "yes", "admin": "yes"}.get(who, "own")
    if isinstance(access, Access):
        return "yes"
    if who in ("guest", "owner"):
        return "401"
    return "yes" if access in PERMISSIONS[cast(Kind, who)] else "403"


def row(route: Route[Any]) -> str:
    """The route's line of the table."""
    declared = route.access.value if isinstance(route.access, Access) else route.access
    cells = [f"`{route.method} {route.path}`", f"`{declared}`", *(verdict(route.access, who) for who in CALLERS)]
    return f"| {' | '.join(cells)} |"


def text() -> str:
    """The whole page."""
    head = f"| route | declares | {' | '.join(CALLERS)} |\n|{' --- |' * (len(CALLERS) + 2)}"
    return "\n".join((_BEFORE, head, *map(row, ROUTES))) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
