"""How long a session's standing counts, and what counts while nobody tells it."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from gateway.standings import Standings
from gateway.tokens import InvalidToken
from shared_kernel.clock import to_milliseconds
from shared_kernel.contracts.user import Standing
from shared_kernel.errors import DomainError, Fault, NotFound, Unauthenticated, Unavailable
from shared_kernel.permissions import Role
from tests.unit.gateway.signing import SESSION_IDS

START = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
SESSION = SESSION_IDS["customer"]


def standing(role: Role) -> Standing:
    return Standing(user_id="usr_1", role=role)


@dataclass
class World:
    """The user service, to which everybody is a customer at first, and a clock that moves when it is told to."""

    role: Role = "customer"
    refusal: DomainError | None = None
    most_sessions: int = 100
    asked: int = 0
    now: datetime = field(default=START)

    def __post_init__(self) -> None:
        self.standings = Standings(lambda: self.now, self.most_sessions)

    async def ask(self) -> Standing:
        self.asked += 1
        if self.refusal is not None:
            raise self.refusal
        return standing(self.role)

    def find(
        self, after_seconds: float = 0, *, claimed: Role = "staff", session: str = SESSION, issued: datetime = START
    ) -> Role:
        """The role of a session, so much later, whose token claims one."""
        self.now += timedelta(seconds=after_seconds)
        issued_ms = to_milliseconds(issued)
        return asyncio.run(self.standings.find(standing(claimed), session, issued_ms, self.ask)).role


ENDED = Unauthenticated("the session has ended", code="invalid_token")
DOWN = Unavailable("down")


def test_user_service_counts_against_the_token() -> None:
    assert World().find(claimed="admin") == "customer"


def test_standing_is_asked_for_every_five_seconds() -> None:
    world = World()
    for _ in range(5):
        world.find(1)
    assert world.asked == 1
    world.role = "staff"
    assert world.find(1) == "staff"
    assert world.asked == 2


def test_ended_session_is_refused() -> None:
    with pytest.raises(InvalidToken):
        World(refusal=ENDED).find()


def test_session_that_ends_is_refused_within_five_seconds() -> None:
    world = World()
    world.find()
    world.refusal = ENDED
    with pytest.raises(InvalidToken):
        world.find(5)


@pytest.mark.parametrize("refusal", [DOWN, Fault("broken"), None])
def test_ended_session_stays_ended_whatever_is_said_later(refusal: DomainError | None) -> None:
    world = World(refusal=ENDED)
    with pytest.raises(InvalidToken):
        world.find()
    world.refusal = refusal
    with pytest.raises(InvalidToken):
        world.find(600)
    assert world.asked == 1


@pytest.mark.parametrize("refusal", [DOWN, Fault("broken"), Unavailable("open", code="circuit_open")])
def test_claims_count_while_the_user_service_is_down(refusal: DomainError) -> None:
    assert World(refusal=refusal).find(claimed="staff") == "staff"


def test_what_was_said_since_the_token_was_made_counts_while_the_user_service_is_down() -> None:
    world = World()
    world.find(claimed="admin")
    world.refusal = DOWN
    assert world.find(60, claimed="admin") == "customer"


def test_token_that_was_made_after_what_was_said_counts_while_the_user_service_is_down() -> None:
    world = World()
    world.find()
    world.refusal = DOWN
    assert world.find(60, claimed="buyer", issued=START + timedelta(seconds=30)) == "buyer"


def test_answer_of_now_counts_though_the_users_clock_is_ahead() -> None:
    assert World().find(claimed="staff", issued=START + timedelta(seconds=4)) == "customer"


def test_answer_that_comes_late_does_not_bring_back_an_ended_session() -> None:
    world = World()

    async def slow() -> Standing:
        with pytest.raises(InvalidToken):
            await world.standings.find(standing("customer"), SESSION, 0, ended)
        return standing("customer")

    async def ended() -> Standing:
        raise ENDED

    with pytest.raises(InvalidToken):
        asyncio.run(world.standings.find(standing("customer"), SESSION, 0, slow))
    with pytest.raises(InvalidToken):
        world.find(600)


def test_standing_is_heard_again_when_the_user_service_is_back() -> None:
    world = World(refusal=DOWN)
    world.find()
    world.refusal = None
    assert world.find() == "customer"


def test_refusal_that_the_contract_does_not_know_is_not_taken_for_an_answer() -> None:
    with pytest.raises(NotFound):
        World(refusal=NotFound("no such method")).find()


def test_only_the_sessions_that_called_last_are_remembered() -> None:
    world = World(most_sessions=3)
    for number in range(3):
        world.find(session=f"ses_{number}")
    world.find(session="ses_0")
    world.find(session="ses_3")
    assert world.asked == 4
    world.find(session="ses_0")
    assert world.asked == 4
    world.find(session="ses_1")
    assert world.asked == 5
