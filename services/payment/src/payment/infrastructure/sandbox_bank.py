"""The sandbox's bank: another company's system, as it were, which keeps its own book and knows nothing of our payments.

It is idempotent by key. By card the token decides: `tok_ok` is charged; `tok_declined` is declined; `tok_error_once`
fails the first time for its key, then is charged; `tok_error` fails for ever; `tok_lost` is charged, but the answer
never arrives; any other is declined. By QRIS the charge waits until its customer pays or fails to, which the bank
tells by a signed webhook, or expires.
"""

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from shared_kernel.clock import Clock, rfc3339
from shared_kernel.contracts.model import Message
from shared_kernel.money import Money
from shared_kernel.sql import ConstraintViolated, Database, Row, SqlValue, Statement

LARGEST_LIST = 5000
SIGNATURE_HEADER = "sandbox-signature"


class BankFailed(Exception):
    """The bank did not answer, or answered with an error: it may or may not have acted."""


class NotWaiting(Exception):
    """The bank has no charge under this key that waits for its customer."""


@dataclass(frozen=True)
class Bill:
    """What the bank is asked for; it expires by itself (RFC 3339)."""

    key: str
    reference: str
    amount: Money
    method: str
    expires_at: str


class Line(NamedTuple):
    """How a charge stands in the book: charged, waiting, expired, voided, or declined for a reason."""

    status: str
    failure_code: str | None


class Told(Message):
    """The body of a webhook."""

    id: str
    outcome: Literal["paid", "failed"]
    reference: str


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


class SandboxBank:
    """The bank; each method is one atomic act, as seen from outside, and raises BankFailed."""

    def __init__(self, database: Database, webhook_secret: str, clock: Clock) -> None:
        self._database = database
        self._webhook_secret = webhook_secret
        self._clock = clock

    async def charge(self, bill: Bill, token: str | None) -> Line:
        """Take the money as method and token decide; a known key answers what was decided first."""
        fate = _fate(bill, token)
        line = await self._write(_CHARGE, bill, fate.first, fate.failure_code, fate.later)
        if line.status == "failed":
            raise BankFailed("the sandbox answered 500")
        if token == "tok_lost" and line.status == "charged":
            raise BankFailed("the sandbox did not answer in time")
        return line

    async def look_up(self, key: str) -> Line | None:
        """What the book says of the key; None when there is no charge, nor a decision against one."""
        _, found = await self._database.batch([self._expire(key), Statement(_LOOK_UP, (key,))])
        return _line(found.rows[0]) if found.rows else None

    async def void(self, bill: Bill) -> Line:
        """Refuse any later charge with the key, unless one was made or declined before."""
        return await self._write(_CANCEL, bill)

    async def refund(self, key: str, charge_key: str, amount: Money) -> None:
        """Give back, once for the refund's key, and no more than is left of the charge."""
        try:
            await self._database.batch([Statement(_REFUND, (key, charge_key, amount.amount))])
        except ConstraintViolated as refusal:
            if not await self.knows_refund(key, charge_key, amount):
                raise BankFailed("the sandbox refused the refund") from refusal

    async def knows_refund(self, key: str, charge_key: str, amount: Money) -> bool:
        """Whether this much of the charge was given back under the key."""
        return bool(await self._database.rows(_REFUND_KNOWN, key, charge_key, amount.amount))

    async def settle(self, bill: Bill, outcome: Literal["paid", "failed"]) -> tuple[Mapping[str, str], str]:
        """The customer pays a waiting charge, or fails to; the headers and the body of the webhook that tells it.
        NotWaiting."""
        line = Line("charged", None) if outcome == "paid" else Line("declined", "payment_failed")
        settle = Statement(_SETTLE, (bill.key, *line))
        _, _, found = await self._database.batch([self._expire(bill.key), settle, Statement(_LOOK_UP, (bill.key,))])
        if not found.rows or _line(found.rows[0]) != line:
            raise NotWaiting
        body = Told(id=f"{bill.reference}_{outcome}", outcome=outcome, reference=bill.reference).model_dump_json()
        return {"content-type": "application/json", SIGNATURE_HEADER: signature(self._webhook_secret, body)}, body

    async def charges(self) -> str:
        """The newest 5000 lines of the book."""
        return await self._database.text(_BOOK, LARGEST_LIST) or json.dumps({"items": []})

    def _expire(self, key: str) -> Statement:
        return Statement(_EXPIRE, (key, rfc3339(self._clock())))

    async def _write(self, sql: str, bill: Bill, *more: SqlValue) -> Line:
        values = (bill.key, bill.reference, bill.amount.amount, bill.amount.currency, bill.expires_at, *more)
        _, answer = await self._database.batch([self._expire(bill.key), Statement(sql, values)])
        if not answer.rows:
            raise BankFailed("the sandbox knows this key for another charge")
        return _line(answer.rows[0])


def signature(secret: str, body: str) -> str:
    """How the bank signs a webhook: HMAC-SHA-256 of its body, in hexadecimal digits."""
    return hmac.new(secret.encode(), body.encode(), "sha256").hexdigest()


def _fate(bill: Bill, token: str | None) -> _Fate:
    if bill.method == "qris":
        return _WAITING
    if bill.method != "card":
        return _UNKNOWN_METHOD
    return _FATES.get(token or "", _UNKNOWN_TOKEN)


def _line(row: Row) -> Line:
    code = row["failure_code"]
    return Line(str(row["status"]), None if code is None else str(code))
