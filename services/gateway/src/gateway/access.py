"""Whether a caller may call a route at all: the check of what the route declares."""

from gateway.identity import Caller
from gateway.routing import Access, Admission
from shared_kernel.errors import Forbidden, Unauthenticated
from shared_kernel.permissions import PERMISSIONS, Kind, Permission

PEOPLE: tuple[Kind, ...] = ("customer", "buyer", "staff", "admin")
"""The kinds of those who are signed in."""


def admit(access: Admission, caller: Caller) -> None:
    """Unauthenticated for a guest where guests may not call, Forbidden for somebody who lacks the permission."""
    who, code = caller.principal, caller.refusal_code
    if access is Access.OWNER:
        if who.kind == "guest" and who.credential is None:
            raise Unauthenticated("this needs somebody who is signed in, or the order's access token", code=code)
    elif not isinstance(access, Access) and not who.may(access):
        if who.kind == "guest":
            raise Unauthenticated("this needs somebody who is signed in", code=code)
        raise Forbidden(f"this needs the permission {access}")


def kinds_admitted(permission: Permission) -> list[Kind]:
    """The kinds of people who have the permission."""
    return [kind for kind in PEOPLE if permission in PERMISSIONS[kind]]
