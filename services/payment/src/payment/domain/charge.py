"""A charge at a payment provider: what it is asked for, and the ways in which it can end."""

from dataclasses import dataclass

from shared_kernel.contracts.payment import Failure
from shared_kernel.money import Money


@dataclass(frozen=True)
class Charge:
    """What the provider knows the charge by: our key, our reference (the payment's id) and the amount."""

    idempotency_key: str
    reference: str
    amount: Money


@dataclass(frozen=True)
class Captured:
    """The money was taken."""


@dataclass(frozen=True)
class Declined:
    """The provider said no, for good."""

    failure: Failure


@dataclass(frozen=True)
class Voided:
    """No money was taken, and none will be under this key."""


Outcome = Captured | Declined | Voided
