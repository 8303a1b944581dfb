"""Reserving, confirming and releasing an order's stock, each of which may be repeated."""

from collections.abc import Callable
from datetime import datetime

from inventory.application import events
from inventory.application.expiry import expire
from inventory.application.ports import Reservations as AllReservations
from inventory.application.rounds import decided
from inventory.domain.allocation import allocate, demand
from inventory.domain.errors import InsufficientInventory, ReservationNotFound
from inventory.domain.reservation import Change, Reservation, hold, never_held
from shared_kernel.clock import Clock, rfc3339
from shared_kernel.contracts import inventory as contract
from shared_kernel.rpc import Call


class Reservations:
    """The order service's side of inventory; `publish` sends what was put into the outbox."""

    def __init__(
        self,
        reservations: AllReservations,
        call: Call,
        clock: Clock,
        hold_seconds: int,
        publish: Callable[[], None],
    ) -> None:
        self._reservations = reservations
        self._call = call
        self._clock = clock
        self._hold_seconds = hold_seconds
        self._publish = publish

    async def reserve(self, request: contract.ReserveStock) -> contract.Reservation:
        """Hold all lines, anew where the order's hold has run out; InsufficientInventory, ReservationEnded."""
        self._call.principal.require_service()
        wanted = demand(request.lines)

        async def attempt(now: datetime) -> contract.Reservation | None:
            situation = await self._reservations.situation(request.order_id, list(wanted), now)
            before = situation.reservation
            if before is not None and before.overdue(now):
                await self._changed(before, before.expire(now), now)
                return None
            if before is not None and before.status != "expired":
                before.require_alive(now)
                return _answer(before)
            try:
                pieces = allocate(wanted, situation.levels, request.destination)
            except InsufficientInventory:
                if not any(level.overdue for level in situation.levels):
                    raise
                await expire(self._reservations, now, self._call.traceparent, list(wanted))
                self._publish()
                return None
            if before is not None:
                return await self._held(before, before.hold_anew(pieces, now, self._hold_seconds), now)
            return await self._held(None, hold(request.order_id, pieces, now, self._hold_seconds), now)

        return await decided(attempt, self._clock)

    async def confirm(self, request: contract.OrderStock) -> contract.Reservation:
        """Take the held pieces off the shelf for good; ReservationEnded, ReservationNotFound."""
        self._call.principal.require_service()

        async def attempt(now: datetime) -> contract.Reservation:
            before = await self._reservations.find(request.order_id)
            if before is None:
                raise ReservationNotFound(f"nothing was reserved for {request.order_id}")
            return await self._changed(before, before.confirm(now), now)

        return await decided(attempt, self._clock)

    async def release(self, request: contract.OrderStock) -> contract.Reservation:
        """Give back what is held or was confirmed, or record that nothing ever will be."""
        self._call.principal.require_service()

        async def attempt(now: datetime) -> contract.Reservation:
            before = await self._reservations.find(request.order_id)
            if before is not None:
                return await self._changed(before, before.release(), now)
            tombstone = never_held(request.order_id)
            await self._reservations.add(tombstone, now, told=(), low=())
            return _answer(tombstone)

        return await decided(attempt, self._clock)

    async def _held(self, before: Reservation | None, new: Reservation, now: datetime) -> contract.Reservation:
        trace = self._call.traceparent
        low = [events.low(piece, now, trace) for piece in new.allocations]
        write = self._reservations.add if before is None else self._reservations.renew
        await write(new, now, told=[events.reserved(new, now, trace)], low=low)
        self._publish()
        return _answer(new)

    async def _changed(self, before: Reservation, after: Reservation, now: datetime) -> contract.Reservation:
        if after is not before:
            change = Change(before, after)
            await self._reservations.change([change], now, events.changed(change, now, self._call.traceparent))
            self._publish()
        return _answer(after)


def _answer(reservation: Reservation) -> contract.Reservation:
    return contract.Reservation(
        order_id=reservation.order_id,
        status=reservation.status,
        expires_at=rfc3339(reservation.expires_at) if reservation.expires_at else None,
        allocations=list(reservation.allocations),
    )
