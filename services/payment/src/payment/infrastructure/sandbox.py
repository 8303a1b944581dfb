"""The sandbox: the smallest adapter, and so the one to read first. It speaks with the bank that `sandbox_bank` plays.

It decides what the bank's words mean for us: each way in which a charge can stand there is one Outcome, and whatever is
unclear is a ProviderError, after which the same question is safe to ask again, for the bank knows it by its key.
"""

import hmac
from typing import Literal

from pydantic import ValidationError

from payment.application.ports import Notice, ProviderError, Webhook, WebhookRefused
from payment.domain.charge import (
    Captured,
    Charge,
    Declined,
    Expired,
    Means,
    Outcome,
    RefundDone,
    RefundOutcome,
    Voided,
    Waiting,
)
from payment.domain.errors import SandboxNotWaiting
from payment.infrastructure.sandbox_bank import (
    SIGNATURE_HEADER,
    BankFailed,
    Bill,
    Line,
    NotWaiting,
    SandboxBank,
    Told,
    signature,
)
from shared_kernel.clock import rfc3339
from shared_kernel.contracts.payment import Failure, Instructions
from shared_kernel.money import Money

_DETAILS = {
    "card_declined": "the card was declined by its issuer",
    "invalid_token": "the token does not stand for a card",
    "payment_failed": "the customer's payment failed",
    "unsupported_method": "the sandbox takes cards and QRIS only",
}


class SandboxProvider:
    """Cards and QRIS, in every currency."""

    def __init__(self, bank: SandboxBank, webhook_secret: str) -> None:
        self._bank = bank
        self._webhook_secret = webhook_secret

    async def create(self, charge: Charge, means: Means) -> Outcome:
        """Ask for the money; a charge that the bank knows is answered as it was decided first."""
        try:
            return _outcome(await self._bank.charge(_bill(charge), means.token), charge)
        except BankFailed as failure:
            raise ProviderError(str(failure)) from None

    async def look_up(self, charge: Charge) -> Outcome | None:
        """How the charge stands; None when the bank knows nothing of it."""
        line = await self._bank.look_up(charge.idempotency_key)
        return None if line is None else _outcome(line, charge)

    async def cancel(self, charge: Charge) -> Outcome:
        """See to it that the charge is never made, also by a request that is still on its way."""
        try:
            return _outcome(await self._bank.void(_bill(charge)), charge)
        except BankFailed as failure:
            raise ProviderError(str(failure)) from None

    async def refund(
        self, charge: Charge, refund_key: str, amount: Money, provider_reference: str | None
    ) -> RefundOutcome:
        """Give back, at once, and once for the refund's key."""
        try:
            await self._bank.refund(refund_key, charge.idempotency_key, amount)
        except BankFailed as failure:
            raise ProviderError(str(failure)) from None
        return RefundDone(f"sandbox_{refund_key}")

    async def find_refund(self, charge: Charge, refund_key: str, amount: Money) -> RefundOutcome | None:
        """The refund, if the bank has made it."""
        known = await self._bank.knows_refund(refund_key, charge.idempotency_key, amount)
        return RefundDone(f"sandbox_{refund_key}") if known else None

    async def read_webhook(self, webhook: Webhook) -> Notice:
        """Which charge the bank tells of; WebhookRefused when it was not signed with the secret that we share."""
        wanted = signature(self._webhook_secret, webhook.body)
        if not hmac.compare_digest(wanted.encode(), webhook.headers.get(SIGNATURE_HEADER, "").encode()):
            raise WebhookRefused("the signature of the webhook is missing or wrong")
        try:
            told = Told.model_validate_json(webhook.body)
        except ValidationError as failure:
            raise WebhookRefused("the webhook is signed but not one of the sandbox") from failure
        return Notice(event_id=told.id, reference=told.reference)

    async def settle(self, charge: Charge, outcome: Literal["paid", "failed"]) -> Webhook:
        """The customer pays a waiting charge, or fails to; what the bank tells us of it. No real adapter has this."""
        try:
            headers, body = await self._bank.settle(_bill(charge), outcome)
        except NotWaiting:
            raise SandboxNotWaiting("the sandbox has no charge that waits to be paid") from None
        return Webhook("sandbox", headers, body)

    async def charges(self) -> str:
        """The bank's own book, for staff. No real adapter has this."""
        return await self._bank.charges()


def _bill(charge: Charge) -> Bill:
    return Bill(charge.idempotency_key, charge.reference, charge.amount, charge.method, rfc3339(charge.expires_at))


def _outcome(line: Line, charge: Charge) -> Outcome:
    reference = f"sandbox_{charge.reference}"
    match line:
        case Line("charged", _):
            return Captured(reference)
        case Line("waiting", _):
            qr_string = f"00020101021226-sandbox-{charge.reference}-{charge.amount.currency}{charge.amount.amount}"
            expires_at = rfc3339(charge.expires_at)
            return Waiting(reference, Instructions(type="qr_code", qr_string=qr_string, expires_at=expires_at))
        case Line("expired", _):
            return Expired()
        case Line("voided", _):
            return Voided()
        case Line("declined", str(code)):
            return Declined(Failure(code=code, detail=_DETAILS[code]))
        case _:
            raise ProviderError(f"the sandbox tells a status that is not known: {line.status}")
