"""How long the JWKS is kept, when it is asked for anew, and what counts while nobody answers."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from gateway.signing_keys import SigningKeys
from gateway.tokens import PublicKey
from shared_kernel.errors import Fault, Unavailable
from tests.unit.gateway.signing import OTHER_KEY, jwks, public_jwk

START = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
NEW = public_jwk(OTHER_KEY, "key-2")


@dataclass
class World:
    """The user service, which publishes one key at first, and a clock that moves when it is told to."""

    published: str = field(default_factory=jwks)
    failure: Fault | None = None
    asked: int = 0
    now: datetime = START

    def __post_init__(self) -> None:
        self.keys = SigningKeys(lambda: self.now)

    async def ask(self) -> str:
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        return self.published

    def find(self, kid: str, after_seconds: float = 0) -> PublicKey | None:
        """The key, so much later."""
        self.now += timedelta(seconds=after_seconds)
        return asyncio.run(self.keys.find(kid, self.ask))

    def knows(self, kid: str, after_seconds: float = 0) -> bool:
        found = self.find(kid, after_seconds)
        return found is not None and found.kid == kid


def test_keys_are_asked_for_once_a_minute() -> None:
    world = World()
    for _ in range(6):
        assert world.knows("key-1", 10)
    assert world.asked == 1
    assert world.knows("key-1", 10)
    assert world.asked == 2


def test_new_key_is_heard_of_at_once() -> None:
    world = World()
    world.find("key-1")
    world.published = jwks(public_jwk(), NEW)
    assert world.knows("key-2", 6)
    assert world.knows("key-1")
    assert world.asked == 2


def test_unknown_keys_are_asked_for_every_five_seconds_at_most() -> None:
    world = World()
    for number in range(1_000):
        assert world.find(f"unknown-{number}", 0.01) is None
    assert world.asked <= 1 + 10 / 5


def test_unknown_keys_do_not_keep_a_known_one_from_being_found() -> None:
    world = World()
    assert world.find("unknown") is None
    assert world.knows("key-1")


def test_key_that_is_published_no_more_is_forgotten() -> None:
    world = World(jwks(public_jwk(), NEW))
    assert world.knows("key-1")
    world.published = jwks(NEW)
    assert not world.knows("key-1", 60)
    assert world.knows("key-2")


@pytest.mark.parametrize("failure", [Unavailable("down"), Fault("broken"), Unavailable("open", code="circuit_open")])
def test_old_keys_go_on_while_the_user_service_is_down(failure: Fault) -> None:
    world = World()
    world.find("key-1")
    world.failure = failure
    assert world.knows("key-1", 3_600)
    assert world.find("key-2", 6) is None
    world.failure, world.published = None, jwks(NEW)
    assert world.knows("key-2", 6)
    assert not world.knows("key-1")


def test_user_service_that_is_down_is_asked_every_five_seconds_at_most() -> None:
    world = World()
    world.find("key-1")
    world.failure = Unavailable("down")
    world.now += timedelta(seconds=60)
    for _ in range(100):
        assert world.knows("key-1", 0.1)
    assert world.asked <= 1 + 1 + 10 / 5


def test_it_cannot_be_told_which_tokens_are_good_before_the_first_keys_were_heard() -> None:
    world = World(failure=Fault("broken"))
    with pytest.raises(Unavailable):
        world.find("key-1")
    world.failure = None
    assert world.knows("key-1")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"keys": 1}', '{"keys": ["key"]}'])
def test_answer_that_is_no_jwks_changes_nothing(text: str) -> None:
    world = World()
    world.find("key-1")
    world.published = text
    assert world.knows("key-1", 60)


@pytest.mark.parametrize(
    "other",
    [
        {"kty": "RSA", "kid": "key-2", "n": "AQAB", "e": "AQAB"},
        {"kty": "oct", "kid": "key-2", "k": "c2VjcmV0"},
        {**NEW, "crv": "X25519"},
        {**NEW, "x": NEW["x"][:-1]},
        {**NEW, "x": "=" * 43},
        {**NEW, "kid": ""},
        {"kid": "key-2"},
    ],
)
def test_key_of_another_kind_is_passed_over(other: dict[str, str]) -> None:
    world = World(jwks(other, public_jwk()))
    assert world.knows("key-1")
    assert world.find("key-2") is None


def test_no_more_than_twenty_keys_are_kept() -> None:
    world = World(jwks(*[public_jwk(kid=f"key-{number}") for number in range(1_000)]))
    assert world.knows("key-19")
    assert world.find("key-20") is None
