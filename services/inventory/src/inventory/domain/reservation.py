"""An order's reservation: held, then confirmed, released or expired, and what each change does to the stock."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal, NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict

from inventory.domain.errors import IllegalTransition, ReservationEnded
from shared_kernel.contracts.inventory import Allocation

Status = Literal["held", "confirmed", "released", "expired"]


class Effect(NamedTuple):
    """What one allocated piece adds to its level's counters, and the event that tells of it."""

    on_hand: int
    reserved: int
    event: str | None


EFFECTS: Mapping[tuple[Status, Status], Effect] = MappingProxyType(
    {
        ("held", "confirmed"): Effect(on_hand=-1, reserved=-1, event="stock.confirmed"),
        ("held", "released"): Effect(on_hand=0, reserved=-1, event="stock.released"),
        ("held", "expired"): Effect(on_hand=0, reserved=-1, event="stock.released"),
        ("confirmed", "released"): Effect(on_hand=1, reserved=0, event="stock.released"),
        ("expired", "released"): Effect(on_hand=0, reserved=0, event=None),
    }
)
"""Every change of status that there is, but for the one by which an order whose hold has run out holds anew. What is
released stays so: it is the order's own word that it wants nothing any more."""


class Reservation(BaseModel):
    """What is kept for an order; one that was released before it held anything has no allocations."""

    model_config = ConfigDict(frozen=True)

    order_id: str
    status: Status
    expires_at: AwareDatetime | None = None
    allocations: tuple[Allocation, ...] = ()
    version: int = 1

    def overdue(self, now: datetime) -> bool:
        """Whether this is a hold that has run out, be it swept or not."""
        return self.status == "held" and self.expires_at is not None and self.expires_at <= now

    def require_alive(self, now: datetime) -> None:
        """ReservationEnded unless the pieces are still kept for the order."""
        if self.status in ("released", "expired") or self.overdue(now):
            raise ReservationEnded(
                f"the reservation of {self.order_id} was released or has expired",
                details={"status": "expired" if self.status == "held" else self.status},
            )

    def confirm(self, now: datetime) -> "Reservation":
        """The pieces leave the shelf for good; itself when they have. ReservationEnded when they are not kept."""
        self.require_alive(now)
        return self if self.status == "confirmed" else self._become("confirmed")

    def release(self) -> "Reservation":
        """The pieces can be had by others again, and the order can hold none any more; itself when that is so."""
        return self if self.status == "released" else self._become("released")

    def expire(self, now: datetime) -> "Reservation":
        """The hold ends by itself; itself when it has. IllegalTransition when it is not due."""
        if self.status == "expired":
            return self
        if self.status == "held" and not self.overdue(now):
            raise IllegalTransition(f"the hold of {self.order_id} has not run out")
        return self._become("expired")

    def hold_anew(self, allocations: tuple[Allocation, ...], now: datetime, hold_seconds: int) -> "Reservation":
        """A new hold after one that has run out; ReservationEnded where the order was given up."""
        if self.status != "expired":
            raise ReservationEnded(f"the reservation of {self.order_id} is {self.status}")
        anew = hold(self.order_id, allocations, now, hold_seconds)
        return anew.model_copy(update={"version": self.version + 1})

    def _become(self, status: Status) -> "Reservation":
        if (self.status, status) not in EFFECTS:
            raise IllegalTransition(f"the reservation of {self.order_id} is {self.status}, it cannot be {status}")
        return self.model_copy(update={"status": status, "version": self.version + 1})


class Change(NamedTuple):
    """A reservation before and after one change of status."""

    before: Reservation
    after: Reservation

    @property
    def effect(self) -> Effect:
        """What the change does to the stock."""
        return EFFECTS[self.before.status, self.after.status]


def hold(order_id: str, allocations: tuple[Allocation, ...], now: datetime, hold_seconds: int) -> Reservation:
    """A new hold on these pieces, for so many seconds from now."""
    expires_at = now + timedelta(seconds=hold_seconds)
    return Reservation(order_id=order_id, status="held", expires_at=expires_at, allocations=allocations)


def never_held(order_id: str) -> Reservation:
    """The record that an order was given up before it held anything: a hold that arrives late is refused."""
    return Reservation(order_id=order_id, status="released")
