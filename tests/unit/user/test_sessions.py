"""Sessions: a refresh token is good once, and whatever ends a session ends it for good."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from shared_kernel.contracts import user as contract
from shared_kernel.errors import Unauthenticated
from tests.unit.user.account_world import SESSION_SECONDS, World, claims, run
from user.domain.errors import InvalidCredentials, InvalidToken, TooManySignIns
from user.infrastructure.d1_sweep import MOST_FORGOTTEN


def sign_out(world: World, tokens: contract.Tokens, *, everywhere: bool = False) -> None:
    run(world.guest.sign_out(contract.SignOut(refresh_token=tokens.refresh_token, everywhere=everywhere)))


def is_live(world: World, tokens: contract.Tokens) -> bool:
    try:
        world.standing(tokens)
    except InvalidToken:
        return False
    return True


def test_reused_refresh_token_ends_its_session_and_is_audited_once() -> None:
    world = World()
    user = world.register("Ann")
    stolen, other = world.sign_in("Ann"), world.sign_in("Ann")
    following = world.refresh(stolen)
    for _ in range(2):
        with pytest.raises(InvalidToken):
            world.refresh(stolen)
    with pytest.raises(InvalidToken):
        world.refresh(following)
    assert not is_live(world, following)
    assert is_live(world, other)
    assert world.audited("session.reuse_detected") == [("session.reuse_detected", user.id, user.id)]


def test_token_that_is_refreshed_twice_at_once_ends_its_session() -> None:
    world = World()
    world.register("Ann")
    tokens = world.sign_in("Ann")

    async def meanwhile() -> None:
        await world.guest.refresh(contract.RefreshSession(refresh_token=tokens.refresh_token))

    world.database.meanwhile = meanwhile
    with pytest.raises(InvalidToken):
        world.refresh(tokens)
    assert not is_live(world, tokens)
    assert len(world.audited("session.reuse_detected")) == 1


def test_refresh_that_cannot_be_signed_uses_no_token_up() -> None:
    world = World()
    world.register("Ann")
    tokens = world.sign_in("Ann")
    world.vault.opens = False
    with pytest.raises(RuntimeError):
        world.refresh(tokens)
    world.vault.opens = True
    assert is_live(world, world.refresh(tokens))


def test_session_that_ends_while_it_is_refreshed_gives_no_token() -> None:
    world = World()
    world.register("Ann")
    tokens = world.sign_in("Ann")

    async def meanwhile() -> None:
        world.execute_now("UPDATE sessions SET ended_at = '2026-11-21T08:30:01.000Z'")

    world.database.meanwhile = meanwhile
    with pytest.raises(InvalidToken):
        world.refresh(tokens)
    assert len(world.rows("SELECT digest FROM refresh_tokens")) == 1
    assert world.audited("session.reuse_detected") == []


def test_only_the_digest_of_a_refresh_token_is_kept() -> None:
    world = World()
    world.register("Ann")
    tokens = world.sign_in("Ann")
    kept = "".join(str(world.rows(f"SELECT * FROM {table}")) for table in ("refresh_tokens", "sessions", "audit"))
    assert tokens.refresh_token not in kept
    assert len(tokens.refresh_token) >= 43


def test_access_token_is_no_refresh_token() -> None:
    world = World()
    world.register("Ann")
    tokens = world.sign_in("Ann")
    with pytest.raises(InvalidToken):
        run(world.guest.refresh(contract.RefreshSession(refresh_token=tokens.access_token)))
    assert is_live(world, tokens)


def test_sign_out_ends_one_session_or_all_and_is_audited() -> None:
    world = World()
    user = world.register("Ann")
    first, second, third = (world.sign_in("Ann") for _ in range(3))
    run(world.me(first).sign_out(contract.SignOut()))
    assert [is_live(world, one) for one in (first, second, third)] == [False, True, True]
    sign_out(world, second, everywhere=True)
    assert not is_live(world, third)
    assert world.audited()[1:] == [("session.ended", user.id, user.id), ("session.all_ended", user.id, user.id)]


def test_sign_out_of_what_has_ended_or_never_was_is_no_error() -> None:
    world = World()
    world.register("Ann")
    tokens = world.sign_in("Ann")
    for _ in range(2):
        sign_out(world, tokens)
        run(world.me(tokens).sign_out(contract.SignOut(everywhere=True)))
    run(world.guest.sign_out(contract.SignOut(refresh_token="nothing")))
    assert len(world.audited()) == 2


def test_sign_out_of_nobody_is_refused() -> None:
    world = World()
    with pytest.raises(Unauthenticated):
        run(world.guest.sign_out(contract.SignOut(everywhere=True)))


def test_used_refresh_token_signs_nobody_out_everywhere() -> None:
    world = World()
    world.register("Ann")
    stolen, other = world.sign_in("Ann"), world.sign_in("Ann")
    world.refresh(stolen)
    sign_out(world, stolen, everywhere=True)
    assert [is_live(world, one) for one in (stolen, other)] == [False, True]
    assert len(world.audited("session.reuse_detected")) == 1


def test_somebody_elses_session_cannot_be_ended_by_its_id() -> None:
    world = World()
    world.register("Ann")
    eve = world.register("Eve")
    tokens = world.sign_in("Ann")
    run(world.accounts("customer", eve.id, claims(tokens)["sid"]).sign_out(contract.SignOut()))
    assert is_live(world, tokens)


def test_cron_forgets_what_is_over_and_nothing_else() -> None:
    world = World()
    world.register("Ann")
    expired, ended = world.sign_in("Ann"), world.sign_in("Ann")
    world.refresh(expired)
    world.wait(SESSION_SECONDS)
    live = world.refresh(world.sign_in("Ann"))
    assert not is_live(world, ended)
    world.sweep()
    assert [row["id"] for row in world.rows("SELECT id FROM sessions")] == [claims(live)["sid"]]
    assert len(world.rows("SELECT digest FROM refresh_tokens")) == 2
    assert is_live(world, world.refresh(live))


def test_sweep_is_bounded_and_the_next_one_goes_on() -> None:
    world = World()
    world.register("Ann")
    tokens = world.sign_in("Ann")
    session_id = claims(tokens)["sid"]
    world.execute(
        f"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MOST_FORGOTTEN})"
        f" INSERT INTO refresh_tokens SELECT printf('%064d', i), '{session_id}', 'then', 'then' FROM n"
    )
    sign_out(world, tokens)
    world.sweep()
    assert len(world.rows("SELECT digest FROM refresh_tokens")) == 1
    world.sweep()
    assert world.rows("SELECT id FROM sessions") == []


class SessionsOverTime(RuleBasedStateMachine):
    """Two people with sessions that are refreshed, stolen, ended and outlived, held against a plain model."""

    tokens = Bundle("tokens")

    @initialize()
    def begin(self) -> None:
        self.world = World()
        self.users = {name: self.world.register(name) for name in ("Ann", "Bob")}
        # For each session its newest token, whose it is, and when it expires; None when it ended.
        self.live: dict[str, tuple[str, str, float] | None] = {}
        self.elapsed = 0.0
        self.was_disabled: set[str] = set()

    @rule(target=tokens, name=st.sampled_from(["Ann", "Bob"]))
    def sign_in(self, name: str) -> object:
        try:
            tokens = self.world.sign_in(name)
        except InvalidCredentials:
            assert self.users[name].disabled
            return multiple()
        except TooManySignIns:
            # The attempts at a disabled account count on when it is enabled again.
            assert name in self.was_disabled
            return multiple()
        assert not self.users[name].disabled
        self.live[claims(tokens)["sid"]] = (tokens.refresh_token, name, self.elapsed + SESSION_SECONDS)
        return tokens

    @rule(target=tokens, tokens=tokens)
    def refresh(self, tokens: contract.Tokens) -> object:
        session_id = claims(tokens)["sid"]
        is_good = self.is_live(session_id) and self.newest(session_id) == tokens.refresh_token
        try:
            following = self.world.refresh(tokens)
        except InvalidToken:
            assert not is_good
            if self.is_live(session_id):
                self.live[session_id] = None
            return multiple()
        assert is_good
        session = self.live[session_id]
        assert session is not None
        self.live[session_id] = (following.refresh_token, *session[1:])
        return following

    @rule(tokens=tokens, everywhere=st.booleans())
    def sign_out(self, tokens: contract.Tokens, everywhere: bool) -> None:
        session_id = claims(tokens)["sid"]
        was_live, newest = self.is_live(session_id), self.newest(session_id)
        name = next(name for name, user in self.users.items() if user.id == claims(tokens)["sub"])
        sign_out(self.world, tokens, everywhere=everywhere)
        if was_live and everywhere and newest == tokens.refresh_token:
            self.end_all(name)
        elif was_live:
            self.live[session_id] = None

    @rule(name=st.sampled_from(["Ann", "Bob"]), disabled=st.booleans())
    def disable_or_enable(self, name: str, disabled: bool) -> None:
        self.users[name] = self.world.change(self.users[name], disabled=disabled)
        if disabled:
            self.was_disabled.add(name)
            self.end_all(name)

    @rule(seconds=st.sampled_from([1, SESSION_SECONDS // 2, SESSION_SECONDS]))
    def time_passes(self, seconds: int) -> None:
        self.world.wait(seconds)
        self.elapsed += seconds

    @rule()
    def sweep(self) -> None:
        self.world.sweep()

    @invariant()
    def sessions_are_as_the_model_says(self) -> None:
        expected = {
            session_id: self.users[session[1]].id
            for session_id, session in getattr(self, "live", {}).items()
            if session is not None and self.is_live(session_id)
        }
        assert run(self.standings()) == expected

    async def standings(self) -> dict[str, str]:
        """Who each session's person is, by the sessions that live."""
        found = {}
        for session_id in getattr(self, "live", {}):
            try:
                check = contract.CheckSession(session_id=session_id)
                found[session_id] = (await self.world.identities.get_standing(check)).user_id
            except InvalidToken:
                continue
        return found

    def is_live(self, session_id: str) -> bool:
        session = self.live[session_id]
        # The world's clock has moved on a little by itself, the model's has not.
        return session is not None and self.elapsed < session[2] - 1

    def newest(self, session_id: str) -> str | None:
        session = self.live[session_id]
        return None if session is None else session[0]

    def end_all(self, name: str) -> None:
        for session_id, session in self.live.items():
            if session is not None and session[1] == name:
                self.live[session_id] = None


SessionsOverTime.TestCase.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
TestSessionsOverTime = SessionsOverTime.TestCase
