"""The sandbox: a payment provider for local runs and staging that behaves as an outside one would.

It keeps its own book, knows nothing of our payments, and is idempotent by key. By card the token decides: `tok_ok`
is charged; `tok_declined` is declined; `tok_error_once` fails the first time for its key, then is charged;
`tok_error` fails for ever; `tok_lost` is charged, but the answer never arrives; any other is declined. By QRIS the
charge waits until its customer pays or fails to (`settle`), which the sandbox tells by a signed webhook, or expires.
"""

import hmac
import json
from collections.abc import Mapping
from typing import Literal, NamedTuple

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
from shared_kernel.clock import Clock, rfc3339
from shared_kernel.contracts.model import Message
from shared_kernel.contracts.payment import Failure, Instructions
from shared_kernel.money import Money
from shared_kernel.sql import ConstraintViolated, Database, Row, SqlValue, Statement

LARGEST_LIST = 5000
SIGNATURE_HEADER = "sandbox-signature"


class _Fate(NamedTuple):
    """What the book says after the first attempt with a key, and after a later one if the first failed."""

    first: str
    later: str
    failure_code: str | None = None


_FATES = {
    "tok_ok": _Fate("charged", "charged"),
    "tok_declined": _Fate("declined", "declined", "card_declined"),
    "tok_error_once": _Fate("failed", "charged"),
    "tok_error": _Fate("failed", "failed"),
    "tok_lost": _Fate("charged", "charged"),
}
_UNKNOWN_TOKEN = _Fate("declined", "declined", "invalid_token")
_WAITING = _Fate("waiting", "waiting")
_UNKNOWN_METHOD = _Fate("declined", "declined", "unsupported_method")
_DETAILS = {
    "card_declined": "the card was declined by its issuer",
    "invalid_token": "the token does not stand for a card",
    "payment_failed": "the customer's payment failed",
    "unsupported_method": "the sandbox takes cards and QRIS only",
}

# In the update, the bare names are the row as it was: only a failed attempt can still become something else.
# A key that comes with another charge matches no row, so that nothing is returned.
_CHARGE = """
    INSERT INTO sandbox_charges (idempotency_key, reference, amount_minor, currency, expires_at, status, failure_code,
        attempts)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1)
    ON CONFLICT (idempotency_key) DO UPDATE SET
        attempts = attempts + 1,
        status = CASE status WHEN 'failed' THEN ?8 ELSE status END,
        failure_code = CASE status WHEN 'failed' THEN ?7 ELSE failure_code END
    WHERE (reference, amount_minor, currency) = (?2, ?3, ?4)
    RETURNING status, failure_code"""

_CANCEL = """
    INSERT INTO sandbox_charges (idempotency_key, reference, amount_minor, currency, expires_at, status, attempts)
    VALUES (?1, ?2, ?3, ?4, ?5, 'voided', 0)
    ON CONFLICT (idempotency_key) DO UPDATE SET
        status = CASE WHEN status IN ('failed', 'waiting') THEN 'voided' ELSE status END
    WHERE (reference, amount_minor, currency) = (?2, ?3, ?4)
    RETURNING status, failure_code"""

_EXPIRE = """
    UPDATE sandbox_charges SET status = 'expired'
    WHERE idempotency_key = ?1 AND status = 'waiting' AND expires_at <= ?2"""

_LOOK_UP = "SELECT status, failure_code FROM sandbox_charges WHERE idempotency_key = ? AND status <> 'failed'"

_SETTLE = """
    UPDATE sandbox_charges SET status = ?2, failure_code = ?3 WHERE idempotency_key = ?1 AND status = 'waiting'"""

_REFUND = """
    INSERT INTO sandbox_refunds (idempotency_key, charge_key, amount_minor) VALUES (?, ?, ?)"""

_REFUND_KNOWN = """
    SELECT 1 FROM sandbox_refunds WHERE idempotency_key = ? AND charge_key = ? AND amount_minor = ?"""

_BOOK = """
    SELECT json_object('items', json(coalesce(json_group_array(json_object(
        'reference', reference, 'idempotency_key', idempotency_key, 'status', status,
        'amount', json_object('amount', amount_minor, 'currency', currency),
        'refunded', json_object('amount', refunded_minor, 'currency', currency))), '[]')))
    FROM (SELECT *, (SELECT coalesce(sum(r.amount_minor), 0) FROM sandbox_refunds AS r
            WHERE r.charge_key = c.idempotency_key) AS refunded_minor
        FROM sandbox_charges AS c ORDER BY position DESC LIMIT ?)"""


class _Told(Message):
    """The body of a webhook."""

    id: str
    outcome: Literal["paid", "failed"]
    reference: str


class SandboxProvider:
    """The provider and its book; each method is one atomic act, as seen from outside."""

    def __init__(self, database: Database, webhook_secret: str, clock: Clock) -> None:
        self._database = database
        self._webhook_secret = webhook_secret
        self._clock = clock

    async def create(self, charge: Charge, means: Means) -> Outcome:
        """Take the money as method and token decide; a known key answers what was decided first."""
        fate = _fate(charge, means)
        outcome = await self._write(_CHARGE, charge, fate.first, fate.failure_code, fate.later)
        if outcome is None:
            raise ProviderError("the sandbox answered 500")
        if means.token == "tok_lost" and isinstance(outcome, Captured):
            raise ProviderError("the sandbox did not answer in time")
        return outcome

    async def look_up(self, charge: Charge) -> Outcome | None:
        """What the book says of the key; None when there is no charge, nor a decision against one."""
        expire = Statement(_EXPIRE, (charge.idempotency_key, rfc3339(self._clock())))
        _, found = await self._database.batch([expire, Statement(_LOOK_UP, (charge.idempotency_key,))])
        return _outcome(found.rows[0], charge) if found.rows else None

    async def cancel(self, charge: Charge) -> Outcome:
        """Refuse any later charge with the key, unless one was made or declined before."""
        outcome = await self._write(_CANCEL, charge)
        if outcome is None:
            raise ProviderError("the sandbox answered 500")
        return outcome

    async def refund(
        self, charge: Charge, refund_key: str, amount: Money, provider_reference: str | None
    ) -> RefundOutcome:
        """Give back, once for the refund's key; ProviderError when it is more than is left of the charge."""
        values = (refund_key, charge.idempotency_key, amount.amount)
        try:
            await self._database.batch([Statement(_REFUND, values)])
        except ConstraintViolated as refusal:
            if not await self._database.rows(_REFUND_KNOWN, *values):
                raise ProviderError("the sandbox refused the refund") from refusal
        return RefundDone(f"sandbox_{refund_key}")

    async def read_webhook(self, webhook: Webhook) -> Notice:
        """What `settle` wrote; WebhookRefused when it was not signed with the secret that we share."""
        if not hmac.compare_digest(self._signature(webhook.body), webhook.headers.get(SIGNATURE_HEADER, "").encode()):
            raise WebhookRefused("the signature of the webhook is missing or wrong")
        try:
            told = _Told.model_validate_json(webhook.body)
        except ValidationError as failure:
            raise WebhookRefused("the webhook is signed but not one of the sandbox") from failure
        return Notice(event_id=told.id, reference=told.reference)

    async def settle(self, charge: Charge, outcome: Literal["paid", "failed"]) -> Webhook:
        """The customer pays a waiting charge, or fails to; the webhook that tells it."""
        status, failure_code = ("charged", None) if outcome == "paid" else ("declined", "payment_failed")
        key = charge.idempotency_key
        expire = Statement(_EXPIRE, (key, rfc3339(self._clock())))
        settle = Statement(_SETTLE, (key, status, failure_code))
        _, _, found = await self._database.batch([expire, settle, Statement(_LOOK_UP, (key,))])
        if not found.rows or (found.rows[0]["status"], found.rows[0]["failure_code"]) != (status, failure_code):
            raise SandboxNotWaiting("the sandbox has no charge that waits to be paid")
        told = _Told(id=f"{charge.reference}_{outcome}", outcome=outcome, reference=charge.reference)
        body = told.model_dump_json()
        return Webhook("sandbox", self._headers(body), body)

    async def charges(self) -> str:
        """The newest 5000 lines of the book."""
        return await self._database.text(_BOOK, LARGEST_LIST) or json.dumps({"items": []})

    def _headers(self, body: str) -> Mapping[str, str]:
        return {"content-type": "application/json", SIGNATURE_HEADER: self._signature(body).decode()}

    def _signature(self, body: str) -> bytes:
        return hmac.new(self._webhook_secret.encode(), body.encode(), "sha256").hexdigest().encode()

    async def _write(self, sql: str, charge: Charge, *more: SqlValue) -> Outcome | None:
        values = (
            charge.idempotency_key, charge.reference, charge.amount.amount, charge.amount.currency,
            rfc3339(charge.expires_at), *more,
        )  # fmt: skip
        expire = Statement(_EXPIRE, (charge.idempotency_key, rfc3339(self._clock())))
        _, answer = await self._database.batch([expire, Statement(sql, values)])
        if not answer.rows:
            raise ProviderError("the sandbox knows this key for another charge")
        return _outcome(answer.rows[0], charge)


def _fate(charge: Charge, means: Means) -> _Fate:
    if charge.method == "qris":
        return _WAITING
    if charge.method != "card":
        return _UNKNOWN_METHOD
    return _FATES.get(means.token or "", _UNKNOWN_TOKEN)


def _outcome(row: Row, charge: Charge) -> Outcome | None:
    reference = f"sandbox_{charge.reference}"
    match row["status"]:
        case "charged":
            return Captured(reference)
        case "waiting":
            qr_string = f"00020101021226-sandbox-{charge.reference}-{charge.amount.currency}{charge.amount.amount}"
            expires_at = rfc3339(charge.expires_at)
            return Waiting(reference, Instructions(type="qr_code", qr_string=qr_string, expires_at=expires_at))
        case "expired":
            return Expired()
        case "voided":
            return Voided()
        case "declined":
            code = str(row["failure_code"])
            return Declined(Failure(code=code, detail=_DETAILS[code]))
        case _:
            return None
