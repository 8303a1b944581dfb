"""The life of a reservation, over every status and command."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from inventory.domain.errors import IllegalTransition, ReservationEnded
from inventory.domain.reservation import EFFECTS, Change, Reservation, Status, hold, never_held
from shared_kernel.contracts.inventory import Allocation

START = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
IN_TIME = START + timedelta(seconds=599)
TOO_LATE = START + timedelta(seconds=600)
PIECES = (Allocation(product_id="prd_a", warehouse_id="whs_1", warehouse_code="W1", quantity=2),)
OTHER_PIECES = (Allocation(product_id="prd_a", warehouse_id="whs_2", warehouse_code="W2", quantity=2),)
HELD = hold("ord_1", PIECES, START, 600)

Command = Callable[[Reservation], Reservation]
COMMANDS: dict[str, Command] = {
    "confirm in time": lambda reservation: reservation.confirm(IN_TIME),
    "confirm too late": lambda reservation: reservation.confirm(TOO_LATE),
    "release": lambda reservation: reservation.release(),
    "expire in time": lambda reservation: reservation.expire(IN_TIME),
    "expire when due": lambda reservation: reservation.expire(TOO_LATE),
    "hold anew": lambda reservation: reservation.hold_anew(OTHER_PIECES, TOO_LATE, 600),
}
OUTCOMES: dict[tuple[str, Status], Status | type[Exception]] = {
    ("confirm in time", "held"): "confirmed",
    ("confirm in time", "confirmed"): "confirmed",
    ("confirm in time", "released"): ReservationEnded,
    ("confirm in time", "expired"): ReservationEnded,
    ("confirm too late", "held"): ReservationEnded,
    ("confirm too late", "confirmed"): "confirmed",
    ("confirm too late", "released"): ReservationEnded,
    ("confirm too late", "expired"): ReservationEnded,
    ("release", "held"): "released",
    ("release", "confirmed"): "released",
    ("release", "released"): "released",
    ("release", "expired"): "released",
    ("expire in time", "held"): IllegalTransition,
    ("expire in time", "confirmed"): IllegalTransition,
    ("expire in time", "released"): IllegalTransition,
    ("expire in time", "expired"): "expired",
    ("expire when due", "held"): "expired",
    ("expire when due", "confirmed"): IllegalTransition,
    ("expire when due", "released"): IllegalTransition,
    ("expire when due", "expired"): "expired",
    ("hold anew", "held"): ReservationEnded,
    ("hold anew", "confirmed"): ReservationEnded,
    ("hold anew", "released"): ReservationEnded,
    ("hold anew", "expired"): "held",
}


def in_status(status: Status) -> Reservation:
    return HELD.model_copy(update={"status": status})


@pytest.mark.parametrize(("case", "outcome"), OUTCOMES.items())
def test_each_command_in_each_status_changes_repeats_or_refuses(
    case: tuple[str, Status], outcome: Status | type[Exception]
) -> None:
    command, status = case
    before = in_status(status)
    if not isinstance(outcome, str):
        with pytest.raises(outcome):
            COMMANDS[command](before)
        return
    after = COMMANDS[command](before)
    assert after.status == outcome
    if outcome == status:
        assert after is before
        return
    assert after.version == before.version + 1
    if command == "hold anew":
        assert (after.allocations, after.expires_at) == (OTHER_PIECES, TOO_LATE + timedelta(seconds=600))
    else:
        assert after.allocations == PIECES
        assert Change(before, after).effect == EFFECTS[status, outcome]


def test_the_table_of_outcomes_leaves_nothing_out() -> None:
    statuses: tuple[Status, ...] = ("held", "confirmed", "released", "expired")
    assert set(OUTCOMES) == {(command, status) for command in COMMANDS for status in statuses}


def test_whatever_happens_no_piece_is_lost_or_made() -> None:
    """A piece counts on hand until it is confirmed, and reserved only while it is held."""
    counters: dict[Status, tuple[int, int]] = {
        "held": (1, 1),
        "confirmed": (0, 0),
        "released": (1, 0),
        "expired": (1, 0),
    }
    for (before, after), effect in EFFECTS.items():
        assert counters[after] == (counters[before][0] + effect.on_hand, counters[before][1] + effect.reserved)


def test_a_hold_is_alive_until_the_moment_it_ends() -> None:
    assert not HELD.overdue(IN_TIME)
    assert HELD.overdue(TOO_LATE)
    HELD.require_alive(IN_TIME)
    with pytest.raises(ReservationEnded) as refusal:
        HELD.require_alive(TOO_LATE)
    assert refusal.value.details == {"status": "expired"}


def test_an_order_that_never_held_anything_is_recorded_as_released() -> None:
    tombstone = never_held("ord_1")
    assert tombstone.release() is tombstone
    with pytest.raises(ReservationEnded):
        tombstone.require_alive(START)
