"""Sign-in: who gets a session, the same work for everybody who does not, and how often somebody may try."""

import pytest

from shared_kernel.contracts import user as contract
from shared_kernel.contracts.model import Nothing
from shared_kernel.errors import Forbidden, Unauthenticated
from tests.unit.user.account_world import (
    ISSUER,
    LIMITS,
    PASSWORD,
    SESSION_SECONDS,
    TOKEN_SECONDS,
    CountingHasher,
    World,
    claims,
    email,
    run,
    verified,
)
from user.domain.errors import (
    InvalidCredentials,
    InvalidToken,
    PasswordNotAllowed,
    StaleVersion,
    TooManySignIns,
    UserNotFound,
    WrongPassword,
)


def signed_in() -> tuple[World, contract.User, contract.Tokens]:
    world = World()
    user = world.register("Ann")
    return world, user, world.sign_in("Ann")


def change_password(world: World, tokens: contract.Tokens, old: str, new: str) -> None:
    run(world.me(tokens).change_password(contract.ChangePassword(current_password=old, new_password=new)))


def test_access_token_says_who_calls_and_verifies_with_the_published_key() -> None:
    world, user, tokens = signed_in()
    told = verified(tokens, world.jwks(), world.now)
    assert set(told) == {"iss", "aud", "sub", "sid", "iat", "nbf", "exp", "jti", "role"}
    assert (told["iss"], told["aud"], told["sub"], told["role"]) == (ISSUER, "pasar-api", user.id, "customer")
    assert told["exp"] - told["iat"] == TOKEN_SECONDS == tokens.expires_in
    assert told["iat"] == told["nbf"]


def test_access_token_lasts_no_longer_than_its_session() -> None:
    world, _, tokens = signed_in()
    world.wait(SESSION_SECONDS - 100)
    refreshed = world.refresh(tokens)
    assert refreshed.expires_in == 99
    assert claims(refreshed)["exp"] - claims(refreshed)["iat"] == 99


def test_session_names_who_has_signed_in_until_it_expires() -> None:
    world, user, tokens = signed_in()
    assert world.standing(tokens) == contract.Standing(user_id=user.id, role="customer")
    world.wait(SESSION_SECONDS)
    with pytest.raises(InvalidToken):
        world.standing(tokens)
    with pytest.raises(InvalidToken):
        world.refresh(tokens)


def test_only_a_service_asks_for_a_standing() -> None:
    world, _, tokens = signed_in()
    session = contract.CheckSession(session_id=claims(tokens)["sid"])
    with pytest.raises(Forbidden):
        run(world.identities_for("admin").get_standing(session))


def test_unknown_address_wrong_password_and_disabled_account_are_answered_alike_with_the_same_work() -> None:
    world = World()
    user = world.register("Ann")
    disabled = world.register("Bob")
    world.change(disabled, disabled=True)
    answers = []
    for name, password in (("Nobody", PASSWORD), ("Ann", "wrong password"), ("Bob", PASSWORD), ("Bob", "wrong")):
        before = world.hasher.work
        with pytest.raises(InvalidCredentials) as refusal:
            world.sign_in(name, password)
        answers.append((refusal.value.code, refusal.value.message, world.hasher.work - before))
    assert set(answers) == {("invalid_credentials", InvalidCredentials().message, 1)}
    assert world.rows("SELECT id FROM sessions") == []
    assert user.disabled is False


def test_hash_is_renewed_at_sign_in_when_the_parameters_rise() -> None:
    world = World()
    world.register("Ann")
    world.hasher.strength = 2
    with pytest.raises(InvalidCredentials):
        world.sign_in("Ann", "wrong password")
    assert world.rows("SELECT password_hash FROM users") == [{"password_hash": f"$argon2id$1${PASSWORD}"}]
    world.sign_in("Ann")
    assert world.rows("SELECT password_hash FROM users") == [{"password_hash": f"$argon2id$2${PASSWORD}"}]
    before = world.hasher.work
    world.sign_in("Ann")
    assert world.hasher.work - before == 1


def test_two_sign_ins_at_once_that_both_renew_the_hash_both_succeed() -> None:
    world = World()
    world.register("Ann")

    class WhileVerifying(CountingHasher):
        def verify(self, password_hash: str, password: str) -> bool:
            if self.work == 0:
                world.execute_now(f"UPDATE users SET password_hash = '$argon2id$2${PASSWORD}'")
            return super().verify(password_hash, password)

    world.hasher = WhileVerifying()
    world.hasher.strength = 2
    world.guest = world.accounts("guest", "nobody")
    world.standing(world.sign_in("Ann"))
    assert world.rows("SELECT id FROM sign_in_attempts") == []


def test_account_that_is_disabled_at_that_moment_gets_no_session() -> None:
    world = World()
    world.register("Ann")

    class WhileVerifying(CountingHasher):
        def verify(self, password_hash: str, password: str) -> bool:
            world.execute_now("UPDATE users SET disabled = 1")
            return super().verify(password_hash, password)

    world.hasher = WhileVerifying()
    world.guest = world.accounts("guest", "nobody")
    with pytest.raises(InvalidCredentials):
        world.sign_in("Ann")
    assert world.rows("SELECT id FROM sessions") == []


def test_too_many_failures_refuse_the_right_password_too_until_they_are_forgotten() -> None:
    world = World()
    world.register("Ann")
    for _ in range(LIMITS.together):
        with pytest.raises(InvalidCredentials):
            world.sign_in("Ann", "wrong password")
        world.wait(10)
    before = world.hasher.work
    with pytest.raises(TooManySignIns) as refusal:
        world.sign_in("Ann")
    assert world.hasher.work == before
    retry_after_seconds = refusal.value.details["retry_after_seconds"]
    assert isinstance(retry_after_seconds, int)
    world.wait(retry_after_seconds - 1)
    with pytest.raises(TooManySignIns):
        world.sign_in("Ann")
    world.wait(1)
    world.sign_in("Ann")


def test_owner_signs_in_from_elsewhere_while_his_account_is_under_attack_from_one_place() -> None:
    world = World()
    world.register("Ann")
    for _ in range(LIMITS.together):
        with pytest.raises(InvalidCredentials):
            world.sign_in("Ann", "wrong password", "198.51.100.7")
    with pytest.raises(TooManySignIns):
        world.sign_in("Ann", "wrong password", "198.51.100.7")
    world.sign_in("Ann", address="192.0.2.1")


def test_guesses_at_one_account_from_many_places_are_limited() -> None:
    world = World()
    world.register("Ann")
    for place in range(LIMITS.per_account):
        with pytest.raises(InvalidCredentials):
            world.sign_in("Ann", "wrong password", f"198.51.100.{place}")
    with pytest.raises(TooManySignIns):
        world.sign_in("Ann", address="192.0.2.1")


@pytest.mark.parametrize("address", ["198.51.100.{}", "2001:db8:1:{:x}::1", "2001:db8:1:2::{:x}"])
def test_guesses_at_many_accounts_from_one_place_are_limited(address: str) -> None:
    world = World()
    one_place = address.startswith("2001:db8:1:2")
    for number in range(LIMITS.per_address):
        with pytest.raises(InvalidCredentials):
            world.sign_in(f"Person{number}", address=address.format(number + 1))
    last = address.format(9999 if ":" in address else 250)
    with pytest.raises(TooManySignIns if one_place else InvalidCredentials):
        world.sign_in("Another", address=last)


def test_success_forgets_the_failures_from_the_same_place() -> None:
    world = World()
    world.register("Ann")
    for _ in range(3):
        for _ in range(LIMITS.together - 1):
            with pytest.raises(InvalidCredentials):
                world.sign_in("Ann", "wrong password")
        world.sign_in("Ann")
    assert world.rows("SELECT id FROM sign_in_attempts") == []


def test_guess_at_another_account_counts_whatever_ones_own_sign_ins_at_that_moment_forget() -> None:
    world = World()
    for name in ("Ann", "Eve"):
        world.register(name)

    async def meanwhile() -> None:
        own = contract.SignInFrom(email=email("Eve"), password=PASSWORD, address="192.0.2.1")
        await world.guest.sign_in(own)
        with pytest.raises(InvalidCredentials):
            await world.guest.sign_in(contract.SignInFrom(email=email("Ann"), password="a guess", address=own.address))

    class WhileVerifying(CountingHasher):
        def verify(self, password_hash: str, password: str) -> bool:
            if self.work == 0:
                world.database.meanwhile = meanwhile
            return super().verify(password_hash, password)

    world.hasher = WhileVerifying()
    world.guest = world.accounts("guest", "nobody")
    world.sign_in("Eve")
    assert len(world.rows("SELECT id FROM sign_in_attempts")) == 1


def test_fault_of_ours_after_the_right_password_locks_nobody_out() -> None:
    world = World()
    world.register("Ann")
    world.vault.opens = False
    for _ in range(LIMITS.together + 1):
        with pytest.raises(RuntimeError):
            world.sign_in("Ann")
    world.vault.opens = True
    world.sign_in("Ann")


def test_attempts_are_kept_without_address_and_forgotten_by_the_cron() -> None:
    world = World()
    with pytest.raises(InvalidCredentials):
        world.sign_in("Ann", address="198.51.100.7")
    (row,) = world.rows("SELECT * FROM sign_in_attempts")
    assert "ann" not in str(row)
    assert "198.51" not in str(row)
    world.sweep()
    assert len(world.rows("SELECT id FROM sign_in_attempts")) == 1
    world.wait(LIMITS.window_seconds)
    world.sweep()
    assert world.rows("SELECT id FROM sign_in_attempts") == []


def test_new_password_ends_every_other_session() -> None:
    world, user, tokens = signed_in()
    others = [world.sign_in("Ann"), world.sign_in("Ann")]
    change_password(world, tokens, PASSWORD, "something else")
    for other in others:
        with pytest.raises(InvalidToken):
            world.standing(other)
        with pytest.raises(InvalidToken):
            world.refresh(other)
    assert world.standing(world.refresh(tokens)).user_id == user.id
    with pytest.raises(InvalidCredentials):
        world.sign_in("Ann")
    world.sign_in("Ann", "something else")
    assert world.audited("user.password_changed") == [("user.password_changed", user.id, user.id)]


def test_refused_change_of_a_password_changes_nothing() -> None:
    world, _, tokens = signed_in()
    other = world.sign_in("Ann")
    with pytest.raises(WrongPassword):
        change_password(world, tokens, "wrong password", "something else")
    with pytest.raises(PasswordNotAllowed):
        change_password(world, tokens, PASSWORD, "Password1")
    assert world.standing(other)
    assert world.audited("user.password_changed") == []
    world.sign_in("Ann")


def test_password_cannot_be_guessed_through_its_change() -> None:
    world, _, tokens = signed_in()
    for _ in range(LIMITS.together):
        with pytest.raises(WrongPassword):
            change_password(world, tokens, "wrong password", "something else")
    with pytest.raises(TooManySignIns):
        change_password(world, tokens, PASSWORD, "something else")


def test_password_that_was_changed_at_that_moment_is_not_overwritten() -> None:
    world, _, tokens = signed_in()

    class WhileHashing(CountingHasher):
        def hash(self, password: str) -> str:
            world.execute_now("UPDATE users SET password_hash = '$argon2id$1$theirs'")
            return super().hash(password)

    world.hasher = WhileHashing()
    with pytest.raises(WrongPassword):
        change_password(world, tokens, PASSWORD, "something else")
    assert world.rows("SELECT password_hash FROM users") == [{"password_hash": "$argon2id$1$theirs"}]
    assert world.audited("user.password_changed") == []


def test_profile_changes_only_from_the_version_that_was_seen() -> None:
    world, user, tokens = signed_in()
    me = world.me(tokens)
    changes = contract.ProfileChanges(name="Anna")
    changed = run(me.change_me(contract.ChangeProfile(expected_version=1, changes=changes)))
    assert (changed.name, changed.version) == ("Anna", 2)
    again = run(me.change_me(contract.ChangeProfile(expected_version=2, changes=changes)))
    assert again.version == 2
    with pytest.raises(StaleVersion):
        run(me.change_me(contract.ChangeProfile(expected_version=1, changes=contract.ProfileChanges(name="An"))))
    assert run(me.get_me(Nothing())).name == "Anna"
    assert user.name == "Ann"


def test_guest_and_one_without_an_account_have_no_profile() -> None:
    world = World()
    with pytest.raises(Unauthenticated):
        run(world.guest.get_me(Nothing()))
    with pytest.raises(UserNotFound):
        run(world.accounts("staff", "staff").get_me(Nothing()))


def test_health_tells_of_the_database_and_of_the_secret() -> None:
    world = World()
    assert run(world.guest.health(Nothing())).model_dump(exclude_none=True) == {
        "status": "ok",
        "database": "ok",
        "database_ms": 1,
        "secrets": "ok",
    }
    world.vault.opens = False
    assert run(world.guest.health(Nothing())).secrets == "unusable"
    world.database.close()
    assert run(world.guest.health(Nothing())).database == "unavailable"
