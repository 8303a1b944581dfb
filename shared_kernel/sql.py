"""What an adapter needs of a SQLite database, be it D1 or a Durable Object's own storage."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

SqlValue = str | int | float | None
Row = dict[str, SqlValue]


class Statement(NamedTuple):
    """One SQL statement with its parameters, in the order of its question marks."""

    sql: str
    parameters: Sequence[SqlValue] = ()


class Outcome(NamedTuple):
    """What a statement gave: its rows, and how many rows it changed."""

    rows: list[Row]
    changes: int


class ConstraintViolated(Exception):
    """A constraint of the schema refused the change; nothing of the batch was written."""


class Database(Protocol):
    """D1, as the adapters use it. Every method raises ConstraintViolated when the schema refuses."""

    async def rows(self, sql: str, *parameters: SqlValue) -> list[Row]:
        """All rows of a query, small results only: a list for a response is better made by `text`."""
        ...

    async def text(self, sql: str, *parameters: SqlValue) -> str | None:
        """The first column of the first row, JSON text that SQLite made; None where there is no row."""
        ...

    async def batch(self, statements: Sequence[Statement]) -> list[Outcome]:
        """All statements in one transaction: every one of them, or none."""
        ...
