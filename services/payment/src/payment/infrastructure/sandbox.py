"""The sandbox: a payment provider for local runs and staging that behaves as an outside one would.

It keeps its own book, knows nothing of our payments, and is idempotent by key. The token decides: `tok_ok`
is charged; `tok_declined` is declined; `tok_error_once` fails the first time for its key, then is charged;
`tok_error` fails for ever; `tok_lost` is charged, but the answer never arrives; any other is declined.
"""

import json
from typing import NamedTuple

from payment.application.ports import ProviderError
from payment.domain.charge import Captured, Charge, Declined, Outcome, Voided
from shared_kernel.contracts.payment import Failure
from shared_kernel.money import Money
from shared_kernel.sql import ConstraintViolated, Database, Row, SqlValue, Statement

LARGEST_LIST = 5000


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
_DETAILS = {
    "card_declined": "the card was declined by its issuer",
    "invalid_token": "the token does not stand for a card",
}

# In the update, the bare names are the row as it was: only a failed attempt can still become something else.
# A key that comes with another charge matches no row, so that nothing is returned.
_CHARGE = """
    INSERT INTO sandbox_charges (idempotency_key, reference, amount_minor, currency, status, failure_code, attempts)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1)
    ON CONFLICT (idempotency_key) DO UPDATE SET
        attempts = attempts + 1,
        status = CASE status WHEN 'failed' THEN ?7 ELSE status END,
        failure_code = CASE status WHEN 'failed' THEN ?6 ELSE failure_code END
    WHERE (reference, amount_minor, currency) = (?2, ?3, ?4)
    RETURNING status, failure_code"""

_VOID = """
    INSERT INTO sandbox_charges (idempotency_key, reference, amount_minor, currency, status, attempts)
    VALUES (?1, ?2, ?3, ?4, 'voided', 0)
    ON CONFLICT (idempotency_key) DO UPDATE SET status = CASE status WHEN 'failed' THEN 'voided' ELSE status END
    WHERE (reference, amount_minor, currency) = (?2, ?3, ?4)
    RETURNING status, failure_code"""

_LOOK_UP = "SELECT status, failure_code FROM sandbox_charges WHERE idempotency_key = ? AND status <> 'failed'"

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


class SandboxProvider:
    """The provider and its book; each method is one atomic act, as seen from outside."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def charge(self, charge: Charge, token: str) -> Outcome:
        """Take the money as the token decides; a known key answers what was decided first."""
        fate = _FATES.get(token, _UNKNOWN_TOKEN)
        outcome = await self._write(_CHARGE, charge, fate.first, fate.failure_code, fate.later)
        if outcome is None:
            raise ProviderError("the sandbox answered 500")
        if token == "tok_lost" and isinstance(outcome, Captured):
            raise ProviderError("the sandbox did not answer in time")
        return outcome

    async def look_up(self, charge: Charge) -> Outcome | None:
        """What the book says of the key; None when there is no charge, nor a decision against one."""
        rows = await self._database.rows(_LOOK_UP, charge.idempotency_key)
        return _outcome(rows[0]) if rows else None

    async def void(self, charge: Charge) -> Outcome:
        """Refuse any later charge with the key, unless one was made or declined before."""
        outcome = await self._write(_VOID, charge)
        if outcome is None:
            raise ProviderError("the sandbox answered 500")
        return outcome

    async def refund(self, charge: Charge, refund_key: str, amount: Money) -> None:
        """Give back, once for the refund's key; ProviderError when it is more than is left of the charge."""
        values = (refund_key, charge.idempotency_key, amount.amount)
        try:
            await self._database.batch([Statement(_REFUND, values)])
        except ConstraintViolated as refusal:
            if not await self._database.rows(_REFUND_KNOWN, *values):
                raise ProviderError("the sandbox refused the refund") from refusal

    async def charges(self) -> str:
        """The newest 5000 lines of the book."""
        return await self._database.text(_BOOK, LARGEST_LIST) or json.dumps({"items": []})

    async def _write(self, sql: str, charge: Charge, *more: SqlValue) -> Outcome | None:
        values = (charge.idempotency_key, charge.reference, charge.amount.amount, charge.amount.currency, *more)
        (answer,) = await self._database.batch([Statement(sql, values)])
        if not answer.rows:
            raise ProviderError("the sandbox knows this key for another charge")
        return _outcome(answer.rows[0])


def _outcome(row: Row) -> Outcome | None:
    match row["status"]:
        case "charged":
            return Captured()
        case "voided":
            return Voided()
        case "declined":
            code = str(row["failure_code"])
            return Declined(Failure(code=code, detail=_DETAILS[code]))
        case _:
            return None
