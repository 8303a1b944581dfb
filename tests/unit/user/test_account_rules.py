"""The rules of accounts that need no database: passwords, roles, how attempts are counted, and the token's form."""

import json
import unicodedata
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared_kernel.contracts import user as contract
from tests.unit.user.account_world import OVERLAP_SECONDS, TOKEN_SECONDS
from user.domain import access_token
from user.domain.account import Account
from user.domain.attempts import Limits, Origin
from user.domain.errors import LastAdmin, PasswordNotAllowed, StaleVersion
from user.domain.password import LONGEST, SHORTEST, allowed, normalised
from user.domain.signing_key import succession
from user.domain.tokens import digest, new_token
from user.infrastructure.common_passwords import COMMON_PASSWORDS

NOW = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
ANN = Account.create("usr_1", "Ann@Example.com", "Ann Lee", "$argon2id$", NOW)
NONE_COMMON: frozenset[str] = frozenset()


def refusal(password: str) -> str | None:
    try:
        allowed(password, ANN.email, ANN.name, COMMON_PASSWORDS)
    except PasswordNotAllowed as refused:
        return refused.code
    return None


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("correct horse battery", None),
        ("пароль из слов", None),
        ("12345678", "password_too_common"),
        ("PaSSWord1", "password_too_common"),
        ("password\uff11", "password_too_common"),
        ("zzzzzzzzz", "password_too_common"),
        ("ANN@example.com", "password_too_personal"),
        ("seven77", "password_length"),
        ("ﷺ" * 8, "password_length"),
        ("x1" * 64, None),
        ("x1" * 64 + "x", "password_length"),
    ],
)
def test_password_policy(password: str, code: str | None) -> None:
    assert refusal(password) == code


@pytest.mark.parametrize("password", ["Annabel Lee", "annabellee"])
def test_own_name_is_no_password(password: str) -> None:
    with pytest.raises(PasswordNotAllowed) as refused:
        allowed(password, "a@example.com", "Annabel Lee", NONE_COMMON)
    assert refused.value.code == "password_too_personal"


@given(st.text(max_size=LONGEST + 20))
def test_password_that_is_allowed_is_hashed_in_its_normal_form(password: str) -> None:
    assume(not any(unicodedata.category(character) == "Cs" for character in password))
    try:
        chosen = allowed(password, "a@example.com", "Ann", NONE_COMMON)
    except PasswordNotAllowed:
        return
    assert chosen == normalised(password) == normalised(chosen)
    assert SHORTEST <= len(chosen) <= LONGEST


def test_common_passwords_are_kept_in_the_case_in_which_they_are_compared() -> None:
    assert "password" in COMMON_PASSWORDS
    assert "Password" not in COMMON_PASSWORDS


@pytest.mark.parametrize(
    ("given_role", "company_id", "role", "buys_for"),
    [
        ("customer", None, "customer", None),
        ("customer", "cmp_1", "buyer", "cmp_1"),
        ("staff", "cmp_1", "staff", None),
        ("admin", "cmp_1", "admin", None),
    ],
)
def test_role_is_the_one_that_was_given_except_for_buyers(
    given_role: contract.GivenRole, company_id: str | None, role: str, buys_for: str | None
) -> None:
    account = ANN.model_copy(update={"given_role": given_role, "company_id": company_id})
    assert (account.role, account.buys_for, account.shown().role) == (role, buys_for, role)


@given(
    role=st.sampled_from(["customer", "staff", "admin"]),
    disabled=st.booleans(),
    new_role=st.sampled_from([None, "customer", "staff", "admin"]),
    new_disabled=st.one_of(st.none(), st.booleans()),
    other_admins=st.integers(0, 2),
)
def test_some_admin_can_always_give_rights_who_could_before(
    role: contract.GivenRole,
    disabled: bool,
    new_role: contract.GivenRole | None,
    new_disabled: bool | None,
    other_admins: int,
) -> None:
    assume(new_role is not None or new_disabled is not None)
    before = ANN.model_copy(update={"given_role": role, "disabled": disabled})
    changes = contract.UserChanges(role=new_role, disabled=new_disabled)
    try:
        after = before.change_rights(1, changes, NOW, other_admins=other_admins)
    except LastAdmin:
        assert before.is_active_admin
        assert other_admins == 0
        return
    assert not before.is_active_admin or after.is_active_admin or other_admins > 0
    assert (after is before) == (after.rights_since(before) == [])
    assert after.version == before.version + (after is not before)


def test_change_of_an_older_version_is_stale() -> None:
    with pytest.raises(StaleVersion):
        ANN.change_rights(2, contract.UserChanges(role="staff"), NOW, other_admins=1)


@given(window_seconds=st.integers(1, 1000), gone_ms=st.integers(0, 2_000_000))
def test_wait_ends_just_when_the_attempt_that_blocks_is_forgotten(window_seconds: int, gone_ms: int) -> None:
    limits = Limits(together=1, per_account=1, per_address=1, window_seconds=window_seconds)
    blocking_ms = 1_800_000_000_000
    now_ms = blocking_ms + gone_ms
    assume(blocking_ms > limits.window_starts_ms(now_ms))
    wait_seconds = limits.retry_after_seconds(blocking_ms, now_ms)
    assert wait_seconds >= 1
    assert limits.window_starts_ms(now_ms + wait_seconds * 1000) >= blocking_ms
    assert limits.window_starts_ms(now_ms + (wait_seconds - 1) * 1000) < blocking_ms


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("2001:db8::1%eth0", "2001:db8::1", True),
        ("", "unknown", False),
    ],
)
def test_place_of_an_attempt_is_an_address_or_an_ipv6_network(one: str, other: str, same: bool) -> None:
    assert (Origin.of("a@example.com", one) == Origin.of("A@EXAMPLE.com", other)) == same


def test_opaque_tokens_are_never_the_same_and_their_digests_fit_them() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == len({digest(token) for token in tokens}) == 100
    assert digest("token") == "3c469e9d6c5875d37a43f353d4f88e61fcf812c66eee3457465a40b0da4153e0"


def test_old_key_verifies_until_its_last_token_has_expired() -> None:
    following = succession(NOW, OVERLAP_SECONDS, TOKEN_SECONDS)
    assert following.signs_from == NOW + timedelta(seconds=OVERLAP_SECONDS)
    assert following.old_verify_until > following.signs_from + timedelta(seconds=TOKEN_SECONDS)


def test_token_is_two_json_texts_and_a_signature() -> None:
    told = access_token.claims(
        "jti_1",
        issuer="pasar",
        user_id="usr_1",
        session_id="ses_1",
        role="buyer",
        company_id="cmp_1",
        now=NOW,
        lasts_seconds=600,
    )
    unsigned = access_token.signing_input("key_1", told)
    assert access_token.signed(unsigned, b"\xff\xfe") == f"{unsigned}.__4"
    assert json.loads(json.dumps(told))["company_id"] == "cmp_1"
    assert "=" not in unsigned
