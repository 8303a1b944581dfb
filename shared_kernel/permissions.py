"""Who may do what: the kinds of principals, and the permissions that each has. This is the one table of rights.

The gateway's routes and the services' use cases both ask it, each by a permission's name. What belongs to somebody
(an order, a company) is further a matter of whose it is, which the service that holds it decides.
"""

from collections.abc import Mapping
from typing import Literal

Role = Literal["customer", "buyer", "staff", "admin"]
Kind = Literal["guest", "customer", "buyer", "staff", "admin", "service"]

Permission = Literal[
    "account:use",
    "company:use",
    "catalogue:manage",
    "stock:manage",
    "orders:manage",
    "payments:manage",
    "companies:review",
    "users:manage",
    "keys:rotate",
]

_PERSON: frozenset[Permission] = frozenset({"account:use"})
_SHOPPER: frozenset[Permission] = _PERSON | {"company:use"}
_STAFF: frozenset[Permission] = _PERSON | {
    "catalogue:manage",
    "stock:manage",
    "orders:manage",
    "payments:manage",
    "companies:review",
}

PERMISSIONS: Mapping[Kind, frozenset[Permission]] = {
    "guest": frozenset(),
    "customer": _SHOPPER,
    "buyer": _SHOPPER,
    "staff": _STAFF,
    "admin": _STAFF | {"users:manage", "keys:rotate"},
    "service": frozenset(),
}
