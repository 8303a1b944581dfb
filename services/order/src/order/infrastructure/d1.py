"""The list of orders in D1."""

import json

from order.application.ports import Owner
from shared_kernel.clock import Clock, rfc3339
from shared_kernel.contracts.order import ListOrders, OrderSummary
from shared_kernel.cursor import Cursor
from shared_kernel.events import Event
from shared_kernel.rpc import Json
from shared_kernel.sql import Database, SqlValue, Statement

NEWEST = "newest orders"

# An event that comes late changes nothing: the row is at a later version.
_APPLY = """INSERT INTO orders (id, status, market, email, total_minor, currency, version, placed_at, updated_at,
        customer_id, company_id)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET status = excluded.status, version = excluded.version,
        updated_at = excluded.updated_at
    WHERE excluded.version > orders.version"""
_ITEM = """json_object('id', id, 'status', status, 'market', market, 'email', email,
    'total', json_object('amount', total_minor, 'currency', currency), 'version', version, 'placed_at', placed_at)"""


_OWNER_COLUMNS = {"customer": "customer_id", "company": "company_id"}


class D1OrderList:
    """The read model, fed by the order.* events."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def page(self, request: ListOrders, owner: Owner | None = None) -> Json:
        """A page of the list, newest first: one more row than asked tells whether there is a next page."""
        conditions, parameters = ["1 = 1"], list[SqlValue]()
        for column, wanted in (("status", request.status), ("email", request.customer)):
            if wanted is not None:
                conditions.append(f"{column} = ?")
                parameters.append(wanted)
        if owner is not None:
            conditions.append(f"{_OWNER_COLUMNS[owner.kind]} = ?")
            parameters.append(owner.id)
        if request.cursor is not None:
            conditions.append("(placed_at, id) < (?, ?)")
            after = Cursor.decode(request.cursor, NEWEST, str)
            parameters += [after.key, after.id]
        text = await self._database.text(
            f"""SELECT json_group_array(json(item)) FROM (SELECT {_ITEM} AS item FROM orders
                WHERE {" AND ".join(conditions)} ORDER BY placed_at DESC, id DESC LIMIT ?)""",
            *parameters,
            request.limit + 1,
        )
        items = json.loads(text or "[]")
        shown = items[: request.limit]
        last = Cursor(order=NEWEST, key=shown[-1]["placed_at"], id=shown[-1]["id"]) if len(items) > len(shown) else None
        return Json(json.dumps({"items": shown, "next_cursor": last.encode() if last else None}))

    async def version_of(self, order_id: str) -> int:
        """The version that the list shows; 0 for none."""
        return int(await self._database.text("SELECT version FROM orders WHERE id = ?", order_id) or 0)

    def applied(self, event: Event) -> Statement:
        """Brings the row to the event's version; an event that is late changes nothing."""
        summary = OrderSummary.model_validate(event.data)
        row = (
            event.subject,
            summary.status,
            summary.market,
            summary.email,
            summary.total.amount,
            summary.total.currency,
            summary.version,
            summary.placed_at,
            rfc3339(self._clock()),
            summary.customer_id,
            summary.company_id,
        )
        return Statement(_APPLY, row)

    async def bury(self, body: str) -> None:
        """Keep a message that could not be handled."""
        statement = "INSERT INTO dead_letters (body, received_at) VALUES (?, ?)"
        await self._database.batch([Statement(statement, (body, rfc3339(self._clock())))])
