"""Payments in D1: one JSON text a payment, each change one batch that the schema refuses when it is stale."""

from pydantic import TypeAdapter

from payment.application.ports import LostRace
from payment.domain.payment import Payment, Refund
from shared_kernel.events import Event
from shared_kernel.outbox import append
from shared_kernel.sql import ConstraintViolated, Database, SqlValue, Statement

_PAYMENT: TypeAdapter[Payment] = TypeAdapter(Payment)
_PAYMENTS: TypeAdapter[list[Payment]] = TypeAdapter(list[Payment])

_JSON = """json_object(
    'id', p.id, 'idempotency_key', p.idempotency_key,
    'terms', json_object('order_id', p.order_id, 'provider', p.provider, 'method', p.method,
        'amount', json_object('amount', p.amount_minor, 'currency', p.currency)),
    'status', p.status,
    'failure', json(CASE WHEN p.failure_code IS NOT NULL
        THEN json_object('code', p.failure_code, 'detail', p.failure_detail) END),
    'cancellation', p.cancellation,
    'refunds', json((SELECT json_group_array(json_object('id', r.id, 'reason', r.reason, 'status', r.status,
            'created_at', r.created_at, 'amount', json_object('amount', r.amount_minor, 'currency', p.currency)))
        FROM (SELECT * FROM refunds WHERE payment_id = p.id ORDER BY rowid) AS r)),
    'created_at', p.created_at, 'updated_at', p.updated_at, 'version', p.version)"""

_FIND = f"SELECT {_JSON} FROM payments AS p WHERE p.id = ?"

# Each half reads its own partial index, which holds only what is under way.
_UNFINISHED = f"""
    SELECT json_group_array(json(found.item)) FROM (
        SELECT {_JSON} AS item FROM payments AS p WHERE p.id IN (
            SELECT id FROM payments WHERE updated_at < ?1 AND cancellation IS NOT NULL
                AND status IN ('created', 'captured', 'partially_refunded')
            UNION
            SELECT payment_id FROM refunds JOIN payments ON payments.id = payment_id
            WHERE refunds.status = 'pending' AND refunds.created_at < ?1 AND payments.updated_at < ?1)
        AND (p.updated_at, p.id) > (?2, ?3)
        ORDER BY p.updated_at, p.id LIMIT ?4) AS found"""

_ADD = """
    INSERT INTO payments (id, idempotency_key, order_id, provider, method, currency, amount_minor, status,
        captured_minor, refunded_minor, cancellation, created_at, updated_at, version)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?, ?, ?, ?)"""

_SAVE = """
    UPDATE payments SET status = ?, captured_minor = ?, refunded_minor = ?, failure_code = ?, failure_detail = ?,
        cancellation = ?, updated_at = ?, version = ?
    WHERE id = ?"""

_ADD_REFUND = """
    INSERT INTO refunds (id, payment_id, amount_minor, reason, status, created_at) VALUES (?, ?, ?, ?, ?, ?)"""


class D1Payments:
    """The payments of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, payment_id: str) -> Payment | None:
        """The payment with its refunds, in one read."""
        text = await self._database.text(_FIND, payment_id)
        return None if text is None else _PAYMENT.validate_json(text)

    async def add(self, payment: Payment, event: Event | None) -> None:
        """Insert the payment and its event; LostRace when it is there already."""
        terms = payment.terms
        values: tuple[SqlValue, ...] = (
            payment.id, payment.idempotency_key, terms.order_id, terms.provider, terms.method,
            terms.amount.currency, terms.amount.amount, payment.status, payment.cancellation,
            payment.created_at, payment.updated_at, payment.version,
        )  # fmt: skip
        try:
            await self._database.batch([Statement(_ADD, values), *_told(event)])
        except ConstraintViolated as refusal:
            if await self._version(payment.id) is None:
                raise
            raise LostRace from refusal

    async def save(self, before: Payment, after: Payment, event: Event | None) -> None:
        """Write the difference and its event in one batch; LostRace when `before` is not the stored version.

        A refusal of the schema while the version did not move is no race but a mistake, and is raised as it is.
        """
        failure = after.failure
        values: tuple[SqlValue, ...] = (
            after.status, after.captured.amount, after.refunded.amount,
            None if failure is None else failure.code, None if failure is None else failure.detail,
            after.cancellation, after.updated_at, after.version, after.id,
        )  # fmt: skip
        # The refunds go first: the payment's sum is checked against them.
        changes = [*_refund_changes(before, after), Statement(_SAVE, values), *_told(event)]
        try:
            await self._database.batch(changes)
        except ConstraintViolated as refusal:
            if await self._version(before.id) == str(before.version):
                raise
            raise LostRace from refusal

    async def unfinished(self, unchanged_since: str, after: Payment | None, limit: int) -> list[Payment]:
        """What is under way and was not touched since, the longest untouched first."""
        place = ("", "") if after is None else (after.updated_at, after.id)
        text = await self._database.text(_UNFINISHED, unchanged_since, *place, limit)
        return [] if text is None else _PAYMENTS.validate_json(text)

    async def _version(self, payment_id: str) -> str | None:
        return await self._database.text("SELECT version FROM payments WHERE id = ?", payment_id)


def _refund_changes(before: Payment, after: Payment) -> list[Statement]:
    known = {refund.id for refund in before.refunds}
    return [
        _set_status(refund) if refund.id in known else _insert(after, refund)
        for refund in after.refunds
        if refund not in before.refunds
    ]


def _insert(payment: Payment, refund: Refund) -> Statement:
    values = (refund.id, payment.id, refund.amount.amount, refund.reason, refund.status, refund.created_at)
    return Statement(_ADD_REFUND, values)


def _set_status(refund: Refund) -> Statement:
    return Statement("UPDATE refunds SET status = ? WHERE id = ?", (refund.status, refund.id))


def _told(event: Event | None) -> list[Statement]:
    return [] if event is None else [append(event)]
