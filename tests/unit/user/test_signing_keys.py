"""Signing keys: whoever reads the JWKS within the overlap knows every key that a good token can be signed with."""

import json
from datetime import UTC, datetime

import jwt
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from shared_kernel.contracts import user as contract
from shared_kernel.contracts.model import Nothing
from tests.unit.user.account_world import NO_USER, OVERLAP_SECONDS, TOKEN_SECONDS, World, claims, run, verified
from user.domain.errors import TooManyRotations
from user.domain.signing_key import LEEWAY_SECONDS, MOST_KEYS, SigningKey, shown, signing

STAYS_SECONDS = OVERLAP_SECONDS + TOKEN_SECONDS + LEEWAY_SECONDS


def rotate(world: World) -> list[str]:
    """The ids of the keys that are shown after it."""
    return [key["kid"] for key in json.loads(run(world.admin().rotate_keys(Nothing())))["keys"]]


def ids(world: World) -> list[str]:
    return [key["kid"] for key in world.jwks()]


def signed_by(tokens: contract.Tokens, world: World) -> str:
    """The id of the key that verifies it."""
    verified(tokens, world.jwks(), world.now)
    return str(jwt.get_unverified_header(tokens.access_token)["kid"])


def test_first_key_is_made_once_when_somebody_asks_for_it() -> None:
    world = World()
    first = world.jwks()
    assert world.jwks() == first
    assert world.vault.made == len(first) == 1
    assert set(first[0]) == {"kty", "crv", "x", "kid", "use", "alg"}
    world.register("Ann")
    assert signed_by(world.sign_in("Ann"), world) == first[0]["kid"]


def test_of_two_first_keys_that_are_made_at_once_one_is_kept() -> None:
    world = World()
    seen: list[list[str]] = []

    async def meanwhile() -> None:
        keys = json.loads(await world.identities.get_keys(Nothing()))["keys"]
        seen.append([key["kid"] for key in keys])

    world.database.meanwhile = meanwhile
    assert ids(world) == seen[0]
    assert world.vault.made == 2
    assert len(world.rows("SELECT id FROM signing_keys")) == 1


def test_sign_in_that_began_before_the_first_key_was_made_is_signed_by_it() -> None:
    world = World()
    world.register("Ann")

    async def meanwhile() -> None:
        world.wait(5)
        await world.identities.get_keys(Nothing())

    world.database.meanwhile = meanwhile
    tokens = world.sign_in("Ann")
    assert [signed_by(tokens, world)] == ids(world)


def test_new_key_is_shown_for_the_overlap_before_it_signs_and_the_old_one_as_long_as_its_last_token() -> None:
    world = World()
    world.register("Ann")
    (old,) = ids(world)
    both = rotate(world)
    new = both[-1]
    assert both == [old, new] == ids(world)
    world.wait(OVERLAP_SECONDS - 1)
    last = world.sign_in("Ann")
    assert signed_by(last, world) == old
    world.wait(1)
    assert signed_by(world.sign_in("Ann"), world) == new
    world.wait(TOKEN_SECONDS - 3)
    verified(last, world.jwks(), world.now)
    world.wait(LEEWAY_SECONDS + 3)
    assert ids(world) == [new]


def test_rotation_is_audited() -> None:
    world = World()
    new = rotate(world)[-1]
    assert world.audited("keys.rotated") == [("keys.rotated", NO_USER, new)]


def test_so_many_keys_verify_at_a_time_and_no_more() -> None:
    world = World()
    for _ in range(MOST_KEYS - 1):
        rotate(world)
    full = ids(world)
    assert len(full) == MOST_KEYS
    with pytest.raises(TooManyRotations) as refusal:
        rotate(world)
    assert ids(world) == full
    assert len(world.audited("keys.rotated")) == MOST_KEYS - 1
    retry_after_seconds = refusal.value.details["retry_after_seconds"]
    assert isinstance(retry_after_seconds, int)
    world.wait(retry_after_seconds - 1)
    with pytest.raises(TooManyRotations):
        rotate(world)
    world.wait(1)
    rotate(world)


def test_key_that_verifies_nothing_is_forgotten_with_its_private_half() -> None:
    world = World()
    rotate(world)
    world.wait(STAYS_SECONDS - 1)
    world.sweep()
    assert len(world.rows("SELECT id FROM signing_keys")) == 2
    world.wait(1)
    world.sweep()
    assert len(world.rows("SELECT id FROM signing_keys")) == 1
    assert len(ids(world)) == 1


def test_overlap_that_is_made_shorter_does_not_keep_a_key_from_being_replaced() -> None:
    world = World()
    world.register("Ann")
    (old,) = ids(world)
    world.overlap_seconds = 86_400
    overtaken = rotate(world)[-1]
    world.overlap_seconds = OVERLAP_SECONDS
    (new,) = set(rotate(world)) - {old, overtaken}
    world.wait(OVERLAP_SECONDS - 1)
    assert signed_by(world.sign_in("Ann"), world) == old
    world.wait(1)
    assert signed_by(world.sign_in("Ann"), world) == new
    world.wait(86_400 + STAYS_SECONDS)
    assert signed_by(world.sign_in("Ann"), world) == new
    assert ids(world) == [new]


def key(id: str, signs_from_minute: int, verifies_until_minute: int | None) -> SigningKey:
    return SigningKey(
        id=id,
        public_key="{}",
        sealed_private_key="",
        signs_from=f"2026-11-21T08:{signs_from_minute:02}:00.000Z",
        verifies_until=None if verifies_until_minute is None else f"2026-11-21T08:{verifies_until_minute:02}:00.000Z",
    )


def test_predecessor_whose_time_comes_after_its_successors_never_signs() -> None:
    # The overlap was made shorter between two rotations.
    keys = [key("a", 0, 45), key("b", 30, 21), key("c", 10, None)]
    at_5, at_15, at_35 = (datetime(2026, 11, 21, 8, minute, tzinfo=UTC) for minute in (5, 15, 35))
    assert [one.id if (one := signing(keys, at)) else None for at in (at_5, at_15, at_35)] == ["a", "c", "c"]
    assert [one.id for one in shown(keys, at_35)] == ["a", "c"]


def test_nothing_signs_before_the_first_key() -> None:
    assert signing([], datetime(2026, 11, 21, tzinfo=UTC)) is None
    assert signing([key("a", 30, None)], datetime(2026, 11, 21, 8, 0, tzinfo=UTC)) is None


class KeysOverTime(RuleBasedStateMachine):
    """Tokens are signed while keys are rotated; a verifier reads the JWKS at most once in each overlap."""

    @initialize()
    def begin(self) -> None:
        self.world = World()
        self.world.register("Ann")
        self.tokens: list[contract.Tokens] = []
        self.known = self.world.jwks()
        self.read_at = self.world.now

    @rule()
    def rotate(self) -> None:
        try:
            rotate(self.world)
        except TooManyRotations:
            assert len(self.world.jwks()) == MOST_KEYS

    @rule(seconds=st.integers(1, OVERLAP_SECONDS - 2))
    def time_passes(self, seconds: int) -> None:
        """The verifier looks again just before what it has read is as old as the overlap."""
        age_seconds = (self.world.now - self.read_at).total_seconds()
        if age_seconds + seconds >= OVERLAP_SECONDS - 1:
            self.known, self.read_at = self.world.jwks(), self.world.now
        self.world.wait(seconds)

    @rule()
    def sign(self) -> None:
        self.tokens.append(self.world.sign_in("Ann"))

    @rule()
    def sweep(self) -> None:
        self.world.sweep()

    @invariant()
    def every_good_token_verifies_with_the_keys_that_were_read(self) -> None:
        for tokens in getattr(self, "tokens", []):
            if claims(tokens)["exp"] > self.world.now.timestamp():
                verified(tokens, self.known, self.world.now)


KeysOverTime.TestCase.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
TestKeysOverTime = KeysOverTime.TestCase
