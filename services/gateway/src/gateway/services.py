"""The services behind the gateway: which binding serves which contract, and how one request reaches them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from shared_kernel.clock import Clock, to_milliseconds
from shared_kernel.contracts import company, inventory, order, payment, product, user
from shared_kernel.rpc import Call, CircuitBreaker, Principal

Contract = TypeVar("Contract")

BINDINGS: dict[type[object], str] = {
    product.Catalogue: "PRODUCT",
    product.Admin: "PRODUCT_ADMIN",
    inventory.Stock: "INVENTORY",
    inventory.Admin: "INVENTORY_ADMIN",
    payment.Payments: "PAYMENT",
    payment.Admin: "PAYMENT_ADMIN",
    payment.Webhooks: "PAYMENT_WEBHOOKS",
    order.Orders: "ORDER",
    order.Admin: "ORDER_ADMIN",
    user.Accounts: "USER",
    user.Admin: "USER_ADMIN",
    user.Identities: "USER_IDENTITY",
    company.Companies: "USER_COMPANIES",
}


# What a provider tells of money nobody may be able to ask for later, so no circuit holds it back.
_NEVER_HELD_BACK = frozenset({BINDINGS[payment.Webhooks]})


def circuits() -> dict[str, CircuitBreaker]:
    """A circuit breaker for each binding that has one."""
    return {binding: CircuitBreaker() for binding in BINDINGS.values() if binding not in _NEVER_HELD_BACK}


class Connect(Protocol):
    """Gives a contract as its service answers it; `observe` is told how many milliseconds each call took."""

    def __call__(self, contract: type[Contract], call: Call, observe: Callable[[int], None]) -> Contract:
        """The contract for this call; KeyError for one that no binding serves."""
        ...


@dataclass(frozen=True)
class Services:
    """The services as one request reaches them: its trace, its deadline, and the times that they took."""

    connect: Connect
    clock: Clock
    traceparent: str
    deadline_ms: int
    timings: list[tuple[str, int]]

    def ask(self, contract: type[Contract], principal: Principal, within_ms: int | None = None) -> Contract:
        """The contract, answering to this principal until the request's deadline, or `within_ms` before it."""
        deadline_ms = self.deadline_ms
        if within_ms is not None:
            deadline_ms = min(deadline_ms, to_milliseconds(self.clock()) + within_ms)
        call = Call(principal=principal, traceparent=self.traceparent, deadline_ms=deadline_ms)
        name = BINDINGS[contract].lower().replace("_", "-")
        return self.connect(contract, call, lambda took_ms: self.timings.append((name, took_ms)))
