"""A SQLite database in memory as the adapters see D1: the schema is a service's own migrations.

What it cannot show (D1's own limits and the boundary to JavaScript) the system tests show.
"""

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from shared_kernel.sql import ConstraintViolated, Outcome, Row, SqlValue, Statement

REPOSITORY = Path(__file__).parents[2]


def migrations(service: str) -> str:
    """All migrations of a service, in their order."""
    folder = REPOSITORY / "services" / service / "migrations"
    return "\n".join(path.read_text() for path in sorted(folder.glob("*.sql")))


class SqliteDatabase:
    """`meanwhile`, when set, runs once before the next batch: what somebody else does at that moment."""

    def __init__(self, schema: str) -> None:
        self._connection = sqlite3.connect(":memory:", isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA foreign_keys = ON")
        self._connection.executescript(schema)
        self.meanwhile: Callable[[], Awaitable[object]] | None = None

    async def rows(self, sql: str, *parameters: SqlValue) -> list[Row]:
        return self._run(Statement(sql, parameters)).rows

    async def text(self, sql: str, *parameters: SqlValue) -> str | None:
        rows = await self.rows(sql, *parameters)
        first = next(iter(rows[0].values())) if rows else None
        return None if first is None else str(first)

    async def batch(self, statements: Sequence[Statement]) -> list[Outcome]:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        self._connection.execute("BEGIN")
        try:
            outcomes = [self._run(statement) for statement in statements]
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")
        return outcomes

    def extend(self, schema: str) -> None:
        """One more migration, in a transaction of its own."""
        self._connection.executescript(f"BEGIN; {schema}; COMMIT;")

    def close(self) -> None:
        """From now on every use fails, as a database does that cannot be reached."""
        self._connection.close()

    def _run(self, statement: Statement) -> Outcome:
        try:
            cursor = self._connection.execute(statement.sql, tuple(statement.parameters))
        except sqlite3.IntegrityError as refusal:
            raise ConstraintViolated(str(refusal)) from refusal
        return Outcome([dict(row) for row in cursor.fetchall()], max(cursor.rowcount, 0))
