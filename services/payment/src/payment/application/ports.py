"""What the use cases need of the world: somewhere to keep payments, and someone who takes the money."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, runtime_checkable

from payment.domain.charge import Charge, Disputes, Means, Outcome, RefundOutcome
from payment.domain.payment import Payment
from payment.domain.refund import Refund
from shared_kernel.contracts.payment import ListRefunds, ListWebhooks, WebhookStatus
from shared_kernel.errors import Unauthenticated, Unavailable
from shared_kernel.events import Event
from shared_kernel.money import Money


class LostRace(Exception):
    """Somebody else changed the payment since it was read; nothing was written."""


class ProviderError(Unavailable):
    """The provider gave no clear answer: it may or may not have done what it was asked."""

    code = "payment_provider_unavailable"


@dataclass(frozen=True)
class Webhook:
    """A provider's message as it arrived; header names are in lower case."""

    provider: str
    headers: Mapping[str, str]
    body: str
    path_secret: str = ""
    address: str = ""


@dataclass(frozen=True)
class Notice:
    """What a verified webhook is about: its own id, and the charge by our reference or the provider's.

    It is only a reason to look: what happened is always asked of the provider, so a duplicate, a late or an
    out-of-order webhook changes nothing. `refund_reference` is the provider's for the refund with our `refund_key`,
    to be kept and asked with. `disputed`: it tells of a dispute, begun or ended.
    """

    event_id: str
    reference: str | None = None
    provider_reference: str | None = None
    refund_reference: str | None = None
    disputed: bool = False
    refund_key: str | None = None

    def is_about(self, refund: Refund) -> bool:
        """Whether it names this refund, by our id or by the provider's."""
        named = {self.refund_key, self.refund_reference} - {None}
        return refund.id in named or refund.provider_reference in named

    def reference_of(self, refund: Refund) -> str | None:
        """The provider's reference that it tells for this refund."""
        return self.refund_reference if self.refund_key == refund.id else None


@dataclass(frozen=True)
class KeptWebhook:
    """A verified webhook as it is stored; `attempts` are those to let it have its effect, whoever made them."""

    id: str
    provider: str
    event_id: str
    notice: Notice
    status: WebhookStatus
    attempts: int
    received_at: datetime


class WebhookRefused(Unauthenticated):
    """The message is not proven to come from the provider."""

    code = "webhook_not_verified"


class Payments(Protocol):
    """The payments, each with its refunds.

    A change is written together with its cause, the transfers it makes in the ledger, the event that tells it, and
    the time at which reconciliation looks at it next.
    """

    async def find(self, payment_id: str) -> Payment | None:
        """The payment as it is stored now."""
        ...

    async def find_for(self, provider: str, notice: Notice) -> Payment | None:
        """The payment of this provider that a webhook is about."""
        ...

    async def add(self, payment: Payment, cause: str, event: Event | None) -> None:
        """Store a first version; LostRace when its idempotency key is known."""
        ...

    async def save(self, before: Payment, after: Payment, cause: str, event: Event | None) -> None:
        """Store the change from `before` to `after`; LostRace when `before` is not what is stored. A refund that is
        changed is free again to be claimed."""
        ...

    async def claim_refund(self, refund_id: str, now: datetime, until: datetime) -> bool:
        """Have the sole right, until then, to ask the provider for a pending refund of which it has told nothing; False
        when the refund is another one, or somebody else has the right."""
        ...


class Looks(Protocol):
    """Which payments in a passing state reconciliation looks at, and when."""

    async def due(self, now: datetime, limit: int) -> list[tuple[Payment, int]]:
        """The payments whose time has come, those that wait longest first, each with its looks in vain so far."""
        ...

    async def postpone(self, payment: Payment, looks: int, until: datetime | None) -> None:
        """Look again then as one that had this many looks in vain, or not any more; a payment that was changed
        meanwhile keeps the time that its change gave it."""
        ...


class Ledger(Protocol):
    """The double-entry book of all transfers."""

    async def balances(self) -> str:
        """JSON: `{"balanced", "items": [{"account", "balance": {"amount", "currency"}}]}`."""
        ...


class RefundList(Protocol):
    """All refunds, of whatever payment."""

    async def page(self, request: ListRefunds) -> str:
        """The contract's list, as JSON."""
        ...

    async def payment_of(self, refund_id: str) -> str | None:
        """The id of the payment that the refund is of."""
        ...


class WebhookBook(Protocol):
    """The webhooks that were verified, each kept before it has its effect."""

    async def keep(self, webhook_id: str, webhook: Webhook, notice: Notice, now: datetime) -> KeptWebhook:
        """Store it as received, or answer the one that came with the same event id before."""
        ...

    async def find(self, webhook_id: str) -> KeptWebhook | None:
        """The webhook as it is stored now."""
        ...

    async def mark(self, webhook: KeptWebhook, failure: str | None, retry_at: datetime | None) -> None:
        """One more attempt was made: it is done, or failed with this code; one that is done stays so."""
        ...

    async def due(self, now: datetime, limit: int) -> list[KeptWebhook]:
        """Those whose next attempt is due."""
        ...

    async def page(self, request: ListWebhooks) -> str:
        """The contract's list, as JSON."""
        ...


class WebhookBodies(Protocol):
    """What the kept webhooks said, personal data included."""

    async def forget(self, received_before: datetime, limit: int) -> int:
        """Empty the bodies of so many webhooks at most that are done and older than that; answers how many."""
        ...


class PaymentProvider(Protocol):
    """A company that takes money.

    Every method may be repeated with the same charge and key, and acts once; each raises ProviderError when the
    provider gave no clear answer.
    """

    async def create(self, charge: Charge, means: Means) -> Outcome:
        """Ask for the money once; Voided when the charge was cancelled before. Invalid (a DomainError with the code
        `payment_details_invalid`) when `means` lacks what the method needs, before the provider is asked."""
        ...

    async def look_up(self, charge: Charge) -> Outcome | None:
        """How the charge stands; None when the provider knows nothing of it."""
        ...

    async def cancel(self, charge: Charge) -> Outcome | None:
        """See to it that the charge is not paid any more, where the provider can; answers how it stands after that,
        so Captured or Declined when that came first, and None when the provider knows nothing of it."""
        ...

    async def refund(
        self, charge: Charge, refund_key: str, amount: Money, provider_reference: str | None
    ) -> RefundOutcome:
        """Give back this amount of the captured charge, once for this refund key; `provider_reference` is that of an
        earlier answer to the same refund, which is then asked how it stands. Nobody else asks for the refund meanwhile,
        but one who did before may still have his effect: without a key of the provider's that lasts it is looked for
        first, and once more before a refusal is taken for RefundImpossible."""
        ...

    async def find_refund(self, charge: Charge, refund_key: str, amount: Money) -> RefundOutcome | None:
        """How the refund with this key stands; None where the provider shows none. Gives nothing back."""
        ...

    async def read_webhook(self, webhook: Webhook) -> Notice:
        """What the webhook is about; WebhookRefused when its proof is missing or wrong."""
        ...


@runtime_checkable
class TellsDisputes(Protocol):
    """A provider that can be asked how the disputes about a charge stand; not every one can."""

    async def disputes(self, charge: Charge) -> Disputes | None:
        """How the disputes stand that took or may take the money of this captured charge, None when there is none to
        be seen; ProviderError."""
        ...


@dataclass(frozen=True)
class HttpAnswer:
    """A response that arrived whole; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    text: str


class NoAnswer(Exception):
    """No whole response arrived in time: the other side may or may not have acted."""


class NotSent(NoAnswer):
    """Nothing was sent, so the other side has certainly not acted."""


class Http(Protocol):
    """Calls out of the Worker; adapters of providers speak through it and nothing else."""

    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: str | None = None, timeout_seconds: float = 10
    ) -> HttpAnswer:
        """One request, without a retry and without following redirects; NoAnswer."""
        ...


class Sandbox(Protocol):
    """The sandbox provider's own side: its book, and the customer who pays at it."""

    async def charges(self) -> str:
        """JSON: `{"items": [{"reference", "idempotency_key", "amount", "refunded", "status"}]}`, newest first."""
        ...

    async def settle(self, charge: Charge, outcome: Literal["paid", "failed"]) -> Webhook:
        """The customer pays a waiting charge, or fails to; answers the webhook that the sandbox sends of it.
        Conflict `sandbox_not_waiting`; the same again answers the same webhook."""
        ...
