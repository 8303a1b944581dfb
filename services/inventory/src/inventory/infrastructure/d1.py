"""Warehouses, stock and reservations in D1: every list goes in and comes out as one JSON text."""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from pydantic import TypeAdapter

from inventory.application.ports import Situation
from inventory.domain.reservation import Change, Reservation
from inventory.domain.stock import Level
from shared_kernel.clock import rfc3339
from shared_kernel.contracts.inventory import StockLevel, Warehouse
from shared_kernel.events import Event
from shared_kernel.outbox import append
from shared_kernel.rpc import Json
from shared_kernel.sql import Database, SqlValue, Statement

_LEVELS = TypeAdapter(list[StockLevel])
_RESERVATIONS = TypeAdapter(list[Reservation])

# The first parameter of every statement that starts with this is the time of asking.
_OVERDUE = """
WITH overdue AS (
  SELECT line.product_id, line.warehouse_id, SUM(line.quantity) AS quantity
  FROM reservations AS late JOIN reservation_lines AS line ON line.order_id = late.order_id
  WHERE late.status = 'held' AND late.expires_at <= ?1
  GROUP BY line.product_id, line.warehouse_id
)
"""
_LEVEL = """json_object(
  'product_id', stock.product_id, 'warehouse_id', warehouse.id, 'warehouse_code', warehouse.code,
  'latitude', warehouse.latitude, 'longitude', warehouse.longitude, 'on_hand', stock.on_hand,
  'reserved', stock.reserved, 'overdue', COALESCE(overdue.quantity, 0),
  'low_stock_threshold', stock.low_stock_threshold, 'version', stock.version
)"""
_RESERVATION = """json_object(
  'order_id', reservation.order_id, 'status', reservation.status, 'expires_at', reservation.expires_at,
  'version', reservation.version, 'allocations', json((
    SELECT json_group_array(json_object(
      'product_id', product_id, 'warehouse_id', warehouse_id, 'warehouse_code', code, 'quantity', quantity
    )) FROM (
      SELECT line.product_id, line.warehouse_id, warehouses.code, line.quantity
      FROM reservation_lines AS line JOIN warehouses ON warehouses.id = line.warehouse_id
      WHERE line.order_id = reservation.order_id ORDER BY line.product_id, line.warehouse_id
    )
  ))
)"""
_FROM_STOCK = """
FROM stock JOIN warehouses AS warehouse ON warehouse.id = stock.warehouse_id
LEFT JOIN overdue ON overdue.product_id = stock.product_id AND overdue.warehouse_id = stock.warehouse_id
"""
# What is shown of a level: pieces of overdue holds can be ordered, so they do not count as reserved.
_SHOWN = (
    """
SELECT json_group_array(json_object(
  'warehouse_id', id, 'warehouse_code', code, 'product_id', product_id, 'on_hand', on_hand, 'reserved', reserved,
  'available', on_hand - reserved, 'low_stock_threshold', low_stock_threshold
)) FROM (
  SELECT warehouse.id, warehouse.code, stock.product_id, stock.on_hand, stock.low_stock_threshold,
    stock.reserved - COALESCE(overdue.quantity, 0) AS reserved
"""
    + _FROM_STOCK
)


class D1Reservations:
    """The port Reservations."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def situation(self, order_id: str, product_ids: Sequence[str], now: datetime) -> Situation:
        """Both parts in one statement, so that they are of one moment."""
        text = await self._database.text(
            f"""{_OVERDUE} SELECT json_object(
              'reservation', json((SELECT {_RESERVATION} FROM reservations AS reservation WHERE order_id = ?2)),
              'levels', json((
                SELECT json_group_array({_LEVEL}) {_FROM_STOCK}
                WHERE stock.product_id IN (SELECT value FROM json_each(?3))
              ))
            )""",
            rfc3339(now),
            order_id,
            json.dumps(product_ids),
        )
        return Situation.model_validate_json(text or "")

    async def find(self, order_id: str) -> Reservation | None:
        """The order's reservation with its lines."""
        text = await self._database.text(
            f"SELECT {_RESERVATION} FROM reservations AS reservation WHERE order_id = ?", order_id
        )
        return None if text is None else Reservation.model_validate_json(text)

    async def overdue(self, now: datetime, limit: int, product_ids: Sequence[str] | None) -> list[Reservation]:
        """Found by the partial index on what is held."""
        text = await self._database.text(
            f"""SELECT json_group_array(json(hold)) FROM (
              SELECT {_RESERVATION} AS hold FROM reservations AS reservation
              WHERE status = 'held' AND expires_at <= ?1 AND (?3 IS NULL OR EXISTS (
                SELECT 1 FROM reservation_lines AS line WHERE line.order_id = reservation.order_id
                AND line.product_id IN (SELECT value FROM json_each(?3))
              ))
              ORDER BY expires_at, order_id LIMIT ?2
            )""",
            rfc3339(now),
            limit,
            None if product_ids is None else json.dumps(product_ids),
        )
        return _RESERVATIONS.validate_json(text or "")

    async def add(self, reservation: Reservation, now: datetime, told: Sequence[Event], low: Sequence[Event]) -> None:
        """The order's id is the key: a second reservation, or one after a tombstone, fails."""
        at = rfc3339(now)
        insert = Statement(
            """INSERT INTO reservations (order_id, status, expires_at, created_at, updated_at)
            VALUES (?, ?, ?, ?, ?)""",
            (reservation.order_id, reservation.status, _expires_at(reservation), at, at),
        )
        await self._database.batch([insert, *_reserve(reservation, at, low), *map(append, told)])

    async def renew(self, reservation: Reservation, now: datetime, told: Sequence[Event], low: Sequence[Event]) -> None:
        """A trigger refuses a version that is not the next, and any status but expired before it."""
        at = rfc3339(now)
        statements = [
            Statement(
                "UPDATE reservations SET status = ?, expires_at = ?, version = ?, updated_at = ? WHERE order_id = ?",
                (reservation.status, _expires_at(reservation), reservation.version, at, reservation.order_id),
            ),
            Statement("DELETE FROM reservation_lines WHERE order_id = ?", (reservation.order_id,)),
        ]
        await self._database.batch([*statements, *_reserve(reservation, at, low), *map(append, told)])

    async def change(self, changes: Sequence[Change], now: datetime, told: Sequence[Event]) -> None:
        """Statuses and counters; a trigger refuses a version that is not the next, and an illegal status."""
        statuses = [
            {"order_id": one.after.order_id, "status": one.after.status, "version": one.after.version}
            for one in changes
        ]
        at = rfc3339(now)
        statements = [
            Statement(
                """UPDATE reservations SET status = value ->> 'status', version = value ->> 'version', updated_at = ?2
                FROM json_each(?1) WHERE reservations.order_id = value ->> 'order_id'""",
                (json.dumps(statuses), at),
            ),
            _count(json.dumps(_movements(changes)), at),
        ]
        await self._database.batch([*statements, *map(append, told)])


class D1Stock:
    """The port Stock."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def level(self, warehouse_id: str, product_id: str, now: datetime) -> Level | None:
        """The row as it is, or zeros where the warehouse exists and the row does not."""
        text = await self._database.text(
            f"""{_OVERDUE}, stock_or_none AS (
              SELECT ?3 AS product_id, id AS warehouse_id, COALESCE(on_hand, 0) AS on_hand,
                COALESCE(reserved, 0) AS reserved, COALESCE(low_stock_threshold, 0) AS low_stock_threshold,
                COALESCE(version, 0) AS version
              FROM warehouses LEFT JOIN stock ON stock.warehouse_id = id AND stock.product_id = ?3 WHERE id = ?2
            )
            SELECT {_LEVEL} {_FROM_STOCK.replace("FROM stock", "FROM stock_or_none AS stock")}""",
            rfc3339(now),
            warehouse_id,
            product_id,
        )
        return None if text is None else Level.model_validate_json(text)

    async def save(self, level: Level, now: datetime, told: Sequence[Event]) -> None:
        """Written whether or not the row exists; the trigger refuses a version that is not the next."""
        statement = Statement(
            """INSERT INTO stock (product_id, warehouse_id, on_hand, low_stock_threshold, version, updated_at)
            VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET on_hand = excluded.on_hand,
            low_stock_threshold = excluded.low_stock_threshold, version = excluded.version,
            updated_at = excluded.updated_at""",
            (
                level.product_id,
                level.warehouse_id,
                level.on_hand,
                level.low_stock_threshold,
                level.version,
                rfc3339(now),
            ),
        )
        await self._database.batch([statement, *map(append, told)])

    async def of_product(self, product_id: str, now: datetime) -> list[StockLevel]:
        """By warehouse code."""
        text = await self._database.text(
            f"{_OVERDUE} {_SHOWN} WHERE stock.product_id = ?2 ORDER BY warehouse.code)", rfc3339(now), product_id
        )
        return _LEVELS.validate_json(text or "")

    async def listed(self, low: bool, now: datetime) -> Json:
        """By product and warehouse code."""
        text = await self._database.text(
            f"""{_OVERDUE} SELECT json_object('items', json(({_SHOWN}
            WHERE ?2 = 0
            OR stock.on_hand - stock.reserved + COALESCE(overdue.quantity, 0) <= stock.low_stock_threshold
            ORDER BY stock.product_id, warehouse.code))))""",
            rfc3339(now),
            int(low),
        )
        return Json(text or "")

    async def answers(self) -> bool:
        """A look at a table of ours, so that a missing migration shows."""
        return await self._database.text("SELECT COUNT(*) FROM (SELECT 1 FROM stock LIMIT 1)") is not None


class D1Warehouses:
    """The port Warehouses."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, warehouse: Warehouse, now: datetime) -> None:
        """The code is unique by the schema."""
        row = (warehouse.id, warehouse.code, warehouse.name, warehouse.latitude, warehouse.longitude, rfc3339(now))
        sql = "INSERT INTO warehouses (id, code, name, latitude, longitude, created_at) VALUES (?, ?, ?, ?, ?, ?)"
        await self._database.batch([Statement(sql, row)])

    async def listed(self) -> Json:
        """By code."""
        text = await self._database.text(
            """SELECT json_object('items', json_group_array(json_object(
              'id', id, 'code', code, 'name', name, 'latitude', latitude, 'longitude', longitude
            ))) FROM (SELECT * FROM warehouses ORDER BY code)"""
        )
        return Json(text or "")


def _expires_at(reservation: Reservation) -> str | None:
    return rfc3339(reservation.expires_at) if reservation.expires_at else None


def _reserve(reservation: Reservation, at: str, low: Sequence[Event]) -> list[Statement]:
    if not reservation.allocations:
        return []
    pieces: list[dict[str, SqlValue]] = [
        {
            "product_id": piece.product_id,
            "warehouse_id": piece.warehouse_id,
            "on_hand": 0,
            "reserved": piece.quantity,
            "low": event.model_dump_json(),
        }
        for piece, event in zip(reservation.allocations, low, strict=True)
    ]
    lines = json.dumps(pieces)
    return [_add_lines(reservation.order_id, lines), _count(lines, at), _tell_of_low(lines)]


def _add_lines(order_id: str, pieces: str) -> Statement:
    return Statement(
        """INSERT INTO reservation_lines (order_id, product_id, warehouse_id, quantity)
        SELECT ?1, value ->> 'product_id', value ->> 'warehouse_id', value ->> 'reserved' FROM json_each(?2)""",
        (order_id, pieces),
    )


def _count(movements: str, at: str) -> Statement:
    return Statement(
        """UPDATE stock SET on_hand = on_hand + (value ->> 'on_hand'), reserved = reserved + (value ->> 'reserved'),
        version = version + 1, updated_at = ?2 FROM json_each(?1)
        WHERE stock.product_id = value ->> 'product_id' AND stock.warehouse_id = value ->> 'warehouse_id'""",
        (movements, at),
    )


def _tell_of_low(pieces: str) -> Statement:
    """Put out the events of the levels that cross their threshold by these pieces, after the counters moved.

    It is judged by what the transaction itself sees, not by an older reading, so that of many orders at once
    exactly one tells of the crossing.
    """
    return Statement(
        """INSERT INTO outbox (event)
        SELECT json_set(value ->> 'low', '$.data.available', on_hand - stock.reserved,
          '$.data.low_stock_threshold', low_stock_threshold)
        FROM json_each(?1) JOIN stock
        ON stock.product_id = value ->> 'product_id' AND stock.warehouse_id = value ->> 'warehouse_id'
        WHERE on_hand - stock.reserved <= low_stock_threshold
        AND on_hand - stock.reserved + (value ->> 'reserved') > low_stock_threshold""",
        (pieces,),
    )


def _movements(changes: Sequence[Change]) -> list[dict[str, SqlValue]]:
    """What the changes add to each level's counters, one entry for each level."""
    on_hand: Counter[tuple[str, str]] = Counter()
    reserved: Counter[tuple[str, str]] = Counter()
    for change in changes:
        for piece in change.before.allocations:
            level = (piece.product_id, piece.warehouse_id)
            on_hand[level] += change.effect.on_hand * piece.quantity
            reserved[level] += change.effect.reserved * piece.quantity
    return [
        {"product_id": level[0], "warehouse_id": level[1], "on_hand": on_hand[level], "reserved": reserved[level]}
        for level in on_hand
        if on_hand[level] or reserved[level]
    ]
