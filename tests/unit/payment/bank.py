"""A provider of virtual accounts, by hand: what it was told stays payable, and what it took it cannot pay back."""

import json
from typing import Literal

from payment.application.ports import Notice, ProviderError, Webhook, WebhookRefused
from payment.domain.charge import (
    Captured,
    Charge,
    Chargeback,
    Disputes,
    Expired,
    Means,
    Outcome,
    RefundDone,
    RefundImpossible,
    RefundOutcome,
    RefundPending,
    Waiting,
)
from shared_kernel.contracts import payment as contract
from shared_kernel.contracts.payment import Instructions
from shared_kernel.errors import Invalid
from shared_kernel.money import Money
from tests.unit.payment.world import idr

PROOF = {"x-proof": "good"}
REQUEST = contract.RequestPayment(
    idempotency_key="order-1",
    order_id="ord_1",
    amount=idr(1000),
    provider="xendit",
    method="virtual_account",
    bank="bca",
    expires_at="2026-11-21T15:40:00+07:00",
)


class Bank:
    """The bank's book: `standing` by our reference; `is_down` fails every call, `loses_answers` only after its act."""

    def __init__(self) -> None:
        self.standing: dict[str, Literal["waiting", "paid", "expired"]] = {}
        self.refunds: Literal["impossible", "slow", "done", "by_reference"] = "impossible"
        self.given_back: dict[str, int] = {}
        self.failed_refunds: set[str] = set()
        self.dispute: Literal["none", "open", "won"] | int = "none"
        self.is_down = False
        self.loses_answers = False
        self.asked: list[str] = []

    async def create(self, charge: Charge, means: Means) -> Outcome:
        self._note("create")
        if means.bank is None:
            raise Invalid("a virtual account needs a bank", code="payment_details_invalid")
        self.standing.setdefault(charge.reference, "waiting")
        if self.loses_answers:
            raise ProviderError("no answer")
        return self._outcome(charge)

    async def look_up(self, charge: Charge) -> Outcome | None:
        self._note("look_up")
        return self._outcome(charge) if charge.reference in self.standing else None

    async def cancel(self, charge: Charge) -> Outcome | None:
        self._note("cancel")
        return self._outcome(charge) if charge.reference in self.standing else None

    async def refund(
        self, charge: Charge, refund_key: str, amount: Money, provider_reference: str | None
    ) -> RefundOutcome:
        self._note("refund")
        if self.refunds == "by_reference" and provider_reference is not None:
            done = provider_reference.startswith("done")
            return RefundDone(provider_reference) if done else RefundImpossible(provider_reference)
        if refund_key in self.failed_refunds:
            return RefundImpossible("the account is closed")
        if provider_reference is not None and refund_key in self.given_back:
            return RefundDone(provider_reference)
        if self.refunds == "impossible":
            return RefundImpossible("a virtual account has no way back")
        if self.dispute == "open" and provider_reference is None:
            raise ProviderError("the payment is disputed")
        lost = self.dispute if isinstance(self.dispute, int) else 0
        gone = sum(self.given_back.values()) + lost
        if refund_key not in self.given_back and gone + amount.amount > charge.amount.amount:
            return RefundImpossible("nothing is left of the payment")
        if self.refunds == "slow":
            return RefundPending(f"r_{refund_key}")
        self.given_back[refund_key] = amount.amount
        if self.loses_answers:
            raise ProviderError("no answer")
        return RefundDone(f"r_{refund_key}")

    async def find_refund(self, charge: Charge, refund_key: str, amount: Money) -> RefundOutcome | None:
        self._note("find_refund")
        return RefundDone(f"r_{refund_key}") if refund_key in self.given_back else None

    async def disputes(self, charge: Charge) -> Disputes | None:
        """As many minor units are lost as `dispute` says."""
        self._note("disputes")
        if self.dispute == "none":
            return None
        lost = (Chargeback("dp_1", idr(self.dispute)),) if isinstance(self.dispute, int) else ()
        return Disputes(self.dispute == "open", lost)

    def fail_refund(self, refund_key: str) -> None:
        """A refund that was made comes back."""
        del self.given_back[refund_key]
        self.failed_refunds.add(refund_key)

    async def read_webhook(self, webhook: Webhook) -> Notice:
        if webhook.headers.get("x-proof") != PROOF["x-proof"]:
            raise WebhookRefused("the proof is missing or wrong")
        return Notice(**json.loads(webhook.body))

    def _note(self, call: str) -> None:
        self.asked.append(call)
        if self.is_down:
            raise ProviderError("down")

    def _outcome(self, charge: Charge) -> Outcome:
        reference = f"va_{charge.reference}"
        match self.standing[charge.reference]:
            case "paid":
                return Captured(reference)
            case "expired":
                return Expired()
            case "waiting":
                account = Instructions(type="virtual_account", bank="bca", account_number="8808")
                return Waiting(reference, account)


def told(
    event_id: str = "evt_1", *, headers: dict[str, str] | None = None, **notice: str | bool | None
) -> contract.DeliverWebhook:
    """The bank's webhook."""
    body = json.dumps({"event_id": event_id, **notice})
    return contract.DeliverWebhook(provider="xendit", headers=PROOF if headers is None else headers, body=body)
