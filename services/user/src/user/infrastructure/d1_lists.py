"""Lists in D1 that begin with the newest: SQLite writes the JSON, which is passed on as it is."""

from collections.abc import Sequence

from shared_kernel.cursor import Cursor, Listed
from shared_kernel.sql import Database, Row, SqlValue

Filters = dict[str, SqlValue]
"""The value that a column must have; None where any will do."""


async def newest(
    database: Database, select: str, filters: Filters, after: Cursor | None, limit: int, order: str
) -> list[Listed]:
    """One row more than the page holds, where there are more; each has an `id` and its `json`.

    Ids are made in the order of time, so they are the key. Only the conditions that are wanted, so that each finds its
    index.
    """
    given = {f"{column} = ?": value for column, value in filters.items() if value is not None}
    if after is not None:
        given["id < ?"] = after.id
    where = " AND ".join(given) or "true"
    rows = await database.rows(f"{select} WHERE {where} ORDER BY id DESC LIMIT ?", *given.values(), limit + 1)
    return listed(rows, order)


def listed(rows: Sequence[Row], order: str) -> list[Listed]:
    """The rows as items of the list in this order."""
    return [Listed(str(row["json"]), Cursor(order=order, key=str(row["id"]), id=str(row["id"]))) for row in rows]
