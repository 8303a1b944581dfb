"""All refunds in D1, as staff look through them."""

import json

from shared_kernel.contracts.payment import ListRefunds
from shared_kernel.cursor import Cursor
from shared_kernel.sql import Database, SqlValue

# What somebody has still to see to is worked off from its oldest end.
_OLDEST_FIRST = frozenset({"due", "pending"})

_ITEM = """json_object('id', r.id, 'payment_id', p.id, 'order_id', p.order_id, 'provider', p.provider,
    'method', p.method, 'amount', json_object('amount', r.amount_minor, 'currency', p.currency), 'reason', r.reason,
    'kind', r.kind, 'status', r.status, 'detail', r.detail, 'paid_by_hand', r.settlement ->> 'reference',
    'created_at', r.created_at)"""


class D1Refunds:
    """The refunds of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, request: ListRefunds) -> str:
        """A page: one more row than asked tells whether there is a next one."""
        order = f"{request.status or 'all'} refunds"
        direction, comes_after = ("ASC", ">") if request.status in _OLDEST_FIRST else ("DESC", "<")
        conditions, parameters = ["1 = 1"], list[SqlValue]()
        if request.status is not None:
            conditions.append("status = ?")
            parameters.append(request.status)
        if request.cursor is not None:
            after = Cursor.decode(request.cursor, order, str)
            conditions.append(f"(created_at, id) {comes_after} (?, ?)")
            parameters += [after.key, after.id]
        text = await self._database.text(
            f"""SELECT json_group_array(json(item)) FROM (SELECT {_ITEM} AS item
                FROM (SELECT * FROM refunds WHERE {" AND ".join(conditions)}
                    ORDER BY created_at {direction}, id {direction} LIMIT ?) AS r
                JOIN payments AS p ON p.id = r.payment_id
                ORDER BY r.created_at {direction}, r.id {direction})""",
            *parameters,
            request.limit + 1,
        )
        items = json.loads(text or "[]")
        shown = [{name: value for name, value in item.items() if value is not None} for item in items[: request.limit]]
        last = None
        if len(items) > len(shown):
            last = Cursor(order=order, key=shown[-1]["created_at"], id=shown[-1]["id"]).encode()
        return json.dumps({"items": shown, "next_cursor": last})

    async def payment_of(self, refund_id: str) -> str | None:
        """The payment's id, by the refund's."""
        return await self._database.text("SELECT payment_id FROM refunds WHERE id = ?", refund_id)
