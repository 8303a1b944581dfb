"""What the use cases need of the world: somewhere to keep payments, and someone who takes the money."""

from typing import Protocol

from payment.domain.charge import Charge, Outcome
from payment.domain.payment import Payment
from shared_kernel.errors import Unavailable
from shared_kernel.events import Event
from shared_kernel.money import Money


class LostRace(Exception):
    """Somebody else changed the payment since it was read; nothing was written."""


class ProviderError(Unavailable):
    """The provider gave no clear answer: it may or may not have done what it was asked."""

    code = "payment_provider_unavailable"


class Payments(Protocol):
    """The payments, each with its refunds; a change is written together with the event that tells it."""

    async def find(self, payment_id: str) -> Payment | None:
        """The payment as it is stored now."""
        ...

    async def add(self, payment: Payment, event: Event | None) -> None:
        """Store a first version; LostRace when its idempotency key is known."""
        ...

    async def save(self, before: Payment, after: Payment, event: Event | None) -> None:
        """Store the change from `before` to `after`; LostRace when `before` is not what is stored."""
        ...

    async def unfinished(self, unchanged_since: str, after: Payment | None, limit: int) -> list[Payment]:
        """Payments with a cancellation or a refund half done, that nobody touched since (RFC 3339).

        The longest untouched come first; `after` is the last one of the page before.
        """
        ...


class PaymentProvider(Protocol):
    """A company that takes money; every method may be repeated with the same keys, and raises ProviderError."""

    async def charge(self, charge: Charge, token: str) -> Outcome:
        """Take the money once for this key; Voided when the key was voided before."""
        ...

    async def look_up(self, charge: Charge) -> Outcome | None:
        """What became of the charge; None when the provider knows nothing of it."""
        ...

    async def void(self, charge: Charge) -> Outcome:
        """See to it that no charge with this key is made any more; answers what stands, so Captured or
        Declined when the charge came first."""
        ...

    async def refund(self, charge: Charge, refund_key: str, amount: Money) -> None:
        """Give back this amount of the charge, once for this refund key."""
        ...


class SandboxBook(Protocol):
    """What the sandbox provider wrote down, for tests and demonstrations to compare with."""

    async def charges(self) -> str:
        """JSON: `{"items": [{"reference", "idempotency_key", "amount", "refunded", "status"}]}`, newest first."""
        ...
