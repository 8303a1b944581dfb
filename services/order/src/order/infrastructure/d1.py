"""The list of orders in D1."""

import json

from order.application.ports import Owner
from shared_kernel.clock import Clock, rfc3339
from shared_kernel.contracts.order import ListOrders, OrderSummary
from shared_kernel.cursor import Cursor
from shared_kernel.events import Event
from shared_kernel.rpc import Json
from shared_kernel.sql import Database, Statement

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


def _parts_of(owner: Owner | None) -> list[Statement]:
    """The conditions of the parts of the list that are the owner's, none of which holds another's rows."""
    if owner is None:
        return [Statement("1 = 1", ())]
    own = Statement("customer_id = ?", (owner.customer_id,))
    if owner.company_id is None:
        return [own]
    return [own, Statement("company_id = ? AND customer_id IS NOT ?", (owner.company_id, owner.customer_id))]


class D1OrderList:
    """The read model, fed by the order.* events."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def page(self, request: ListOrders, owner: Owner | None = None) -> Json:
        """A page of the list, newest first: one more row than asked tells whether there is a next page."""
        filters = [
            Statement(f"{column} = ?", (wanted,))
            for column, wanted in (("status", request.status), ("email", request.customer))
            if wanted is not None
        ]
        if request.cursor is not None:
            after = Cursor.decode(request.cursor, NEWEST, str)
            filters.append(Statement("(placed_at, id) < (?, ?)", (after.key, after.id)))
        parts = [[part, *filters] for part in _parts_of(owner)]
        # Each part comes from an index in the order of the page, so no list is sorted.
        selects = (
            f"SELECT placed_at, id, {_ITEM} AS item FROM orders WHERE {' AND '.join(each.sql for each in part)}"
            for part in parts
        )
        text = await self._database.text(
            f"""SELECT json_group_array(json(item)) FROM (
                {" UNION ALL ".join(selects)} ORDER BY placed_at DESC, id DESC LIMIT ?)""",
            *(value for part in parts for each in part for value in each.parameters),
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
