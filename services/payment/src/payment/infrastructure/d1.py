"""Payments in D1: one JSON text a payment, each change one batch that the schema refuses when it is stale."""

from datetime import datetime

from pydantic import TypeAdapter

from payment.application.ports import LostRace, Notice
from payment.domain.ledger import transfers
from payment.domain.looks import next_look
from payment.domain.payment import Payment
from payment.domain.refund import Refund, Settlement
from shared_kernel.clock import rfc3339
from shared_kernel.events import Event
from shared_kernel.outbox import append
from shared_kernel.sql import ConstraintViolated, Database, SqlValue, Statement

_PAYMENT: TypeAdapter[Payment] = TypeAdapter(Payment)
_SETTLEMENT: TypeAdapter[Settlement] = TypeAdapter(Settlement)
_DUE: TypeAdapter[list[tuple[Payment, int]]] = TypeAdapter(list[tuple[Payment, int]])

_JSON = """json_object(
    'id', p.id, 'idempotency_key', p.idempotency_key,
    'terms', json_object('order_id', p.order_id, 'provider', p.provider, 'method', p.method,
        'amount', json_object('amount', p.amount_minor, 'currency', p.currency)),
    'status', p.status, 'is_open', json(iif(p.is_open, 'true', 'false')),
    'provider_reference', p.provider_reference, 'instructions', json(p.instructions),
    'failure', json(CASE WHEN p.failure_code IS NOT NULL
        THEN json_object('code', p.failure_code, 'detail', p.failure_detail) END),
    'cancellation', p.cancellation,
    'refunds', json((SELECT json_group_array(json_object('id', r.id, 'reason', r.reason, 'status', r.status,
            'provider_reference', r.provider_reference, 'detail', r.detail, 'kind', r.kind,
            'settlement', json(r.settlement), 'created_at', r.created_at,
            'amount', json_object('amount', r.amount_minor, 'currency', p.currency)))
        FROM (SELECT * FROM refunds WHERE payment_id = p.id ORDER BY rowid) AS r)),
    'expires_at', p.expires_at, 'created_at', p.created_at, 'updated_at', p.updated_at, 'version', p.version)"""

_FIND = f"SELECT {_JSON} FROM payments AS p WHERE p.id = ?"

# Our own reference is the surest; each of the others has an index.
_FIND_FOR = f"""
    SELECT {_JSON} FROM payments AS p WHERE p.provider = ?1 AND p.id = coalesce(
        (SELECT id FROM payments WHERE id = ?2),
        (SELECT id FROM payments WHERE provider = ?1 AND provider_reference = ?3),
        (SELECT payment_id FROM refunds WHERE id IN (?4, ?5)),
        (SELECT refunds.payment_id FROM refunds JOIN payments ON payments.id = refunds.payment_id
            WHERE refunds.provider_reference = ?5 AND payments.provider = ?1))"""

_DUE_NOW = f"""
    SELECT json_group_array(json_array(json({_JSON}), l.looks))
    FROM (SELECT * FROM looks WHERE look_at <= ? ORDER BY look_at LIMIT ?) AS l
    JOIN payments AS p ON p.id = l.payment_id"""

_ADD = """
    INSERT INTO payments (id, idempotency_key, order_id, provider, method, currency, amount_minor, status, is_open,
        captured_minor, refunded_minor, cancellation, cause, expires_at, created_at, updated_at, version)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?, ?, ?, ?, ?, ?)"""

_SAVE = """
    UPDATE payments SET status = ?, is_open = ?, captured_minor = ?, refunded_minor = ?, provider_reference = ?,
        instructions = ?, failure_code = ?, failure_detail = ?, cancellation = ?, cause = ?, updated_at = ?, version = ?
    WHERE id = ?"""

_ADD_REFUND = """
    INSERT INTO refunds (id, payment_id, amount_minor, reason, kind, status, provider_reference, created_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""

_SET_REFUND = """
    UPDATE refunds SET status = ?, provider_reference = ?, detail = ?, settlement = ?, asking_until = NULL
    WHERE id = ?"""

# One statement, so that of several who claim at once one wins.
_CLAIM_REFUND = """
    UPDATE refunds SET asking_until = ?3
    WHERE id = ?1 AND status = 'pending' AND provider_reference IS NULL
        AND (asking_until IS NULL OR asking_until <= ?2)
    RETURNING id"""

# Before that nobody could ask again for what a crash left unanswered.
_LOOK_WHEN_FREE = """
    UPDATE looks SET look_at = ?2
    WHERE payment_id = (SELECT payment_id FROM refunds WHERE id = ?1 AND asking_until = ?2) AND look_at < ?2"""

_TRANSFER = """
    INSERT INTO transfers (id, payment_id, from_account, to_account, amount_minor, currency, at)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""

_LOOK = """
    INSERT INTO looks (payment_id, look_at, looks) VALUES (?, ?, 0)
    ON CONFLICT (payment_id) DO UPDATE SET look_at = excluded.look_at, looks = 0"""

_UNCHANGED = "payment_id = ? AND (SELECT version FROM payments WHERE id = payment_id) = ?"


class D1Payments:
    """The payments of one database, and when each is looked at."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, payment_id: str) -> Payment | None:
        """The payment with its refunds, in one read."""
        return _read(await self._database.text(_FIND, payment_id))

    async def find_for(self, provider: str, notice: Notice) -> Payment | None:
        """The provider's payment by our reference, else by its own, else by a refund's, ours or its own."""
        return _read(
            await self._database.text(
                _FIND_FOR,
                provider,
                notice.reference,
                notice.provider_reference,
                notice.refund_key,
                notice.refund_reference,
            )
        )

    async def add(self, payment: Payment, cause: str, event: Event | None) -> None:
        """Insert the payment and its event; LostRace when it is there already."""
        terms = payment.terms
        values: tuple[SqlValue, ...] = (
            payment.id, payment.idempotency_key, terms.order_id, terms.provider, terms.method,
            terms.amount.currency, terms.amount.amount, payment.status, int(payment.is_open), payment.cancellation,
            cause, payment.expires_at, payment.created_at, payment.updated_at, payment.version,
        )  # fmt: skip
        try:
            await self._database.batch([Statement(_ADD, values), *_looks(None, payment), *_told(event)])
        except ConstraintViolated as refusal:
            if await self._version(payment.id) is None:
                raise
            raise LostRace from refusal

    async def save(self, before: Payment, after: Payment, cause: str, event: Event | None) -> None:
        """Write the difference and its event in one batch; LostRace when `before` is not the stored version.

        A refusal of the schema while the version did not move is no race but a mistake, and is raised as it is.
        """
        failure = after.failure
        values: tuple[SqlValue, ...] = (
            after.status, int(after.is_open), after.captured.amount, after.refunded.amount, after.provider_reference,
            None if after.instructions is None else after.instructions.model_dump_json(exclude_none=True),
            None if failure is None else failure.code, None if failure is None else failure.detail,
            after.cancellation, cause, after.updated_at, after.version, after.id,
        )  # fmt: skip
        # The refunds and transfers go first: the payment's sums are checked against them.
        changes = [
            *_refund_changes(before, after),
            *_transfers(before, after),
            Statement(_SAVE, values),
            *_looks(before, after),
            *_told(event),
        ]
        try:
            await self._database.batch(changes)
        except ConstraintViolated as refusal:
            if await self._version(before.id) == str(before.version):
                raise
            raise LostRace from refusal

    async def claim_refund(self, refund_id: str, now: datetime, until: datetime) -> bool:
        """Whether the caller is the one who may ask for the refund until then; see `Payments`."""
        claim = Statement(_CLAIM_REFUND, (refund_id, rfc3339(now), rfc3339(until)))
        claimed, _ = await self._database.batch([claim, Statement(_LOOK_WHEN_FREE, (refund_id, rfc3339(until)))])
        return bool(claimed.rows)

    async def due(self, now: datetime, limit: int) -> list[tuple[Payment, int]]:
        """The payments whose look is due, with how many they had."""
        text = await self._database.text(_DUE_NOW, rfc3339(now), limit)
        return [] if text is None else _DUE.validate_json(text)

    async def postpone(self, payment: Payment, looks: int, until: datetime | None) -> None:
        """Set the next look, or forget it, where the payment is still in this version."""
        which = (payment.id, payment.version)
        change = Statement(f"DELETE FROM looks WHERE {_UNCHANGED}", which)
        if until is not None:
            sql = f"UPDATE looks SET look_at = ?, looks = ? WHERE {_UNCHANGED}"
            change = Statement(sql, (rfc3339(until), looks, *which))
        await self._database.batch([change])

    async def _version(self, payment_id: str) -> str | None:
        return await self._database.text("SELECT version FROM payments WHERE id = ?", payment_id)


def _read(text: str | None) -> Payment | None:
    return None if text is None else _PAYMENT.validate_json(text)


def _looks(before: Payment | None, after: Payment) -> list[Statement]:
    if before is not None and _stands(before) == _stands(after):
        # Only a reference is new: the pauses go on growing.
        return []
    at = next_look(after, 0, datetime.fromisoformat(after.updated_at))
    if at is not None:
        return [Statement(_LOOK, (after.id, rfc3339(at)))]
    return [] if before is None else [Statement("DELETE FROM looks WHERE payment_id = ?", (after.id,))]


def _stands(payment: Payment) -> tuple[object, ...]:
    return payment.status, payment.is_open, payment.cancellation, [refund.status for refund in payment.refunds]


def _transfers(before: Payment, after: Payment) -> list[Statement]:
    return [
        Statement(
            _TRANSFER,
            (each.id, each.payment_id, each.from_account, each.to_account, each.amount.amount, each.amount.currency,
             after.updated_at),
        )
        for each in transfers(before, after)
    ]  # fmt: skip


def _refund_changes(before: Payment, after: Payment) -> list[Statement]:
    known = {refund.id for refund in before.refunds}
    return [
        _set_refund(refund) if refund.id in known else _insert(after, refund)
        for refund in after.refunds
        if refund not in before.refunds
    ]


def _insert(payment: Payment, refund: Refund) -> Statement:
    values = (
        refund.id, payment.id, refund.amount.amount, refund.reason, refund.kind, refund.status,
        refund.provider_reference, refund.created_at,
    )  # fmt: skip
    return Statement(_ADD_REFUND, values)


def _set_refund(refund: Refund) -> Statement:
    settlement = None if refund.settlement is None else _SETTLEMENT.dump_json(refund.settlement).decode()
    values = (refund.status, refund.provider_reference, refund.detail, settlement, refund.id)
    return Statement(_SET_REFUND, values)


def _told(event: Event | None) -> list[Statement]:
    return [] if event is None else [append(event)]
