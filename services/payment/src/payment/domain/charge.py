"""A charge at a payment provider: what it is asked for, and how it can stand."""

from dataclasses import dataclass
from datetime import datetime

from shared_kernel.contracts.payment import Bank, Failure, Instructions, Method
from shared_kernel.money import Money


@dataclass(frozen=True)
class Charge:
    """What the provider knows the charge by, with the same values for ever.

    `reference` is the payment's id and unique at the provider; `provider_reference` is the provider's own id, None
    until an answer told it. The first that is told stays, but for one that begins with it: it may grow
    (`order`, then `order.capture`).
    """

    idempotency_key: str
    reference: str
    amount: Money
    method: Method
    expires_at: datetime
    provider_reference: str | None = None


@dataclass(frozen=True)
class Means:
    """What the customer pays with; never stored, logged or part of an error."""

    token: str | None = None
    phone: str | None = None
    bank: Bank | None = None
    email: str | None = None


@dataclass(frozen=True)
class Waiting:
    """The customer has to do something, until the charge expires."""

    provider_reference: str
    instructions: Instructions


@dataclass(frozen=True)
class Authorised:
    """The money is set aside and not taken yet; a later look tells what became of it."""

    provider_reference: str


@dataclass(frozen=True)
class Captured:
    """The money was taken."""

    provider_reference: str


@dataclass(frozen=True)
class Declined:
    """The provider said no, for good."""

    failure: Failure


@dataclass(frozen=True)
class Expired:
    """The customer did not pay in time, and cannot any more."""


@dataclass(frozen=True)
class Voided:
    """No money was taken, and none will be for this charge."""


Outcome = Waiting | Authorised | Captured | Declined | Expired | Voided


@dataclass(frozen=True)
class RefundDone:
    """The money went back."""

    provider_reference: str


@dataclass(frozen=True)
class RefundPending:
    """The provider has taken the refund on, and will tell; asking again for the same refund tells how it stands."""

    provider_reference: str


@dataclass(frozen=True)
class RefundImpossible:
    """This payment cannot be given back through the provider: somebody has to do it by hand."""

    reason: str


RefundOutcome = RefundDone | RefundPending | RefundImpossible


@dataclass(frozen=True)
class Chargeback:
    """A dispute that was lost: so much was taken back from us. `provider_reference` is the dispute's own."""

    provider_reference: str
    amount: Money


@dataclass(frozen=True)
class Disputes:
    """How the disputes about a charge stand; `is_open`: the money may yet be taken back, or stay."""

    is_open: bool
    lost: tuple[Chargeback, ...] = ()
