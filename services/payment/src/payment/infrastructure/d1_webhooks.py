"""Webhooks in D1: one row for each event id of a provider, with its body as it came until that is forgotten."""

import json
from datetime import datetime, timedelta

from pydantic import TypeAdapter

from payment.application.ports import KeptWebhook, Notice, Webhook
from shared_kernel.clock import rfc3339
from shared_kernel.contracts.payment import ListWebhooks
from shared_kernel.cursor import Cursor
from shared_kernel.sql import Database, SqlValue, Statement

LEFT_AFTER = timedelta(minutes=1)
"""A webhook that is neither done nor failed after this time was left by a crash, and is tried again."""

NEWEST = "newest webhooks"

_NOTICE: TypeAdapter[Notice] = TypeAdapter(Notice)
_KEPT: TypeAdapter[KeptWebhook] = TypeAdapter(KeptWebhook)
_ALL_KEPT: TypeAdapter[list[KeptWebhook]] = TypeAdapter(list[KeptWebhook])

_JSON = """json_object('id', id, 'provider', provider, 'event_id', event_id, 'notice', json(notice),
    'status', status, 'attempts', attempts, 'received_at', received_at)"""

_KEEP = """
    INSERT INTO webhooks (id, provider, event_id, body, notice, status, attempts, received_at, retry_at)
    VALUES (?, ?, ?, ?, ?, 'received', 0, ?, ?) ON CONFLICT (provider, event_id) DO NOTHING"""

_MARK = """
    UPDATE webhooks SET status = ?, failure = ?, retry_at = ?, attempts = attempts + 1
    WHERE id = ? AND status <> 'done'"""

_FORGET = """
    UPDATE webhooks SET body = '' WHERE id IN (
        SELECT id FROM webhooks WHERE status = 'done' AND body <> '' AND received_at < ?
        ORDER BY received_at LIMIT ?)"""

_ITEM = """json_object('id', id, 'provider', provider, 'event_id', event_id, 'status', status,
    'attempts', attempts, 'failure', failure, 'received_at', received_at)"""


class D1Webhooks:
    """The webhooks of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, webhook_id: str, webhook: Webhook, notice: Notice, now: datetime) -> KeptWebhook:
        """Insert it unless its event id is known; answers the one row of this event id."""
        values = (
            webhook_id, webhook.provider, notice.event_id, webhook.body, _NOTICE.dump_json(notice).decode(),
            rfc3339(now), rfc3339(now + LEFT_AFTER),
        )  # fmt: skip
        found = f"SELECT {_JSON} AS kept FROM webhooks WHERE provider = ? AND event_id = ?"
        _, answer = await self._database.batch(
            [Statement(_KEEP, values), Statement(found, (webhook.provider, notice.event_id))]
        )
        return _KEPT.validate_json(str(answer.rows[0]["kept"]))

    async def find(self, webhook_id: str) -> KeptWebhook | None:
        """The webhook by our id."""
        text = await self._database.text(f"SELECT {_JSON} FROM webhooks WHERE id = ?", webhook_id)
        return None if text is None else _KEPT.validate_json(text)

    async def mark(self, webhook: KeptWebhook, failure: str | None, retry_at: datetime | None) -> None:
        """Write the outcome of one more attempt; nothing undoes `done`."""
        status = "done" if failure is None else "failed"
        at = None if retry_at is None else rfc3339(retry_at)
        await self._database.batch([Statement(_MARK, (status, failure, at, webhook.id))])

    async def due(self, now: datetime, limit: int) -> list[KeptWebhook]:
        """What failed or was left, and is to be tried by now."""
        text = await self._database.text(
            f"""SELECT json_group_array(json(kept)) FROM (SELECT {_JSON} AS kept FROM webhooks
                WHERE retry_at <= ? ORDER BY retry_at LIMIT ?)""",
            rfc3339(now),
            limit,
        )
        return [] if text is None else _ALL_KEPT.validate_json(text)

    async def page(self, request: ListWebhooks) -> str:
        """A page, newest first: one more row than asked tells whether there is a next page."""
        conditions, parameters = ["1 = 1"], list[SqlValue]()
        if request.status is not None:
            conditions.append("status = ?")
            parameters.append(request.status)
        if request.cursor is not None:
            after = Cursor.decode(request.cursor, NEWEST, str)
            conditions.append("(received_at, id) < (?, ?)")
            parameters += [after.key, after.id]
        text = await self._database.text(
            f"""SELECT json_group_array(json(item)) FROM (SELECT {_ITEM} AS item FROM webhooks
                WHERE {" AND ".join(conditions)} ORDER BY received_at DESC, id DESC LIMIT ?)""",
            *parameters,
            request.limit + 1,
        )
        items = json.loads(text or "[]")
        shown = [{name: value for name, value in item.items() if value is not None} for item in items[: request.limit]]
        last = None
        if len(items) > len(shown):
            last = Cursor(order=NEWEST, key=shown[-1]["received_at"], id=shown[-1]["id"]).encode()
        return json.dumps({"items": shown, "next_cursor": last})

    async def forget(self, received_before: datetime, limit: int) -> int:
        """Empty the oldest bodies; what still has to act keeps its own."""
        (forgotten,) = await self._database.batch([Statement(_FORGET, (rfc3339(received_before), limit))])
        return forgotten.changes
