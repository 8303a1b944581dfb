"""The adapters of accounts: accounts with what is told of them, sessions, attempts, signing keys, lists, the sweep."""

import json
from datetime import datetime, timedelta

from shared_kernel.clock import rfc3339
from shared_kernel.contracts.user import ListAudit, ListUsers, ProfileChanges, UserChanges
from shared_kernel.ids import derived_id
from shared_kernel.sql import Database
from tests.workerd.cases.at_once import at_once
from tests.workerd.cases.expecting import raises
from tests.workerd.cases.scratch import NOW, thing_made
from user.application.ports import Told
from user.domain.account import Account
from user.domain.attempts import Limits, Origin
from user.domain.audit import entry
from user.domain.errors import EmailTaken, LastAdmin, StaleVersion, TooManySignIns, UserNotFound
from user.domain.session import Session
from user.domain.signing_key import SigningKey, shown, signing, succession
from user.infrastructure.d1_accounts import D1Accounts
from user.infrastructure.d1_attempts import D1Attempts
from user.infrastructure.d1_directory import D1Directory
from user.infrastructure.d1_sessions import D1Sessions
from user.infrastructure.d1_signing_keys import D1SigningKeys
from user.infrastructure.d1_sweep import sweep

HASH, NEW_HASH = "$argon2id$one", "$argon2id$two"
LIMITS = Limits(together=2, per_account=4, per_address=6, window_seconds=60)
LASTS_SECONDS = 1000
FIRST, SECOND = "1" * 64, "2" * 64


def account(name: str) -> Account:
    return Account.create(derived_id("usr", name), f"{name}@example.com", f"Naïve {name}", HASH, NOW)


def told(account: Account, action: str = "user.registered") -> Told:
    return Told([entry(action, account.id, account.id, NOW, {"é": "\U0001f511"})], [thing_made(account.id)])


async def kept(database: Database, *accounts: Account) -> D1Accounts:
    stored = D1Accounts(database)
    for one in accounts:
        await stored.add(one, None, NOW, told(one))
    return stored


async def count(database: Database, table: str) -> int:
    (row,) = await database.rows(f"SELECT count(*) AS n FROM {table}")
    return int(row["n"] or 0)


def admin(before: Account, now: datetime = NOW) -> Account:
    return before.change_rights(before.version, UserChanges(role="admin"), now, other_admins=0)


def session_of(one: Account, number: int = 1, at: datetime = NOW) -> Session:
    return Session.start(derived_id("ses", one.id, str(number)), one.id, at, LASTS_SECONDS)


async def test_an_account_is_read_as_it_was_written_and_told(user_db: Database) -> None:
    ann = account("ann")
    stored = await kept(user_db, ann)
    assert await stored.get(ann.id) == await stored.find("ANN@example.com") == ann
    assert (await stored.get("none"), await stored.find("none")) == (None, None)
    assert (await count(user_db, "audit"), await count(user_db, "outbox")) == (1, 1)
    with raises(EmailTaken):
        await stored.add(ann.model_copy(update={"id": "usr_other"}), None, NOW, told(ann))
    assert (await count(user_db, "audit"), await count(user_db, "outbox")) == (1, 1)


async def test_an_account_is_changed_only_from_the_version_before(user_db: Database) -> None:
    ann = account("ann")
    stored = await kept(user_db, ann)
    changed = ann.change_profile(1, ProfileChanges(name="Anna"), NOW)
    await stored.replace(changed, Told())
    with raises(StaleVersion) as refusals:
        await stored.replace(changed, told(ann))
    assert refusals[0].details == {"version": 2}
    nobody = account("nobody").change_profile(1, ProfileChanges(name="N"), NOW)
    with raises(UserNotFound):
        await stored.replace(nobody, told(ann))
    assert (await stored.get(ann.id), await count(user_db, "outbox")) == (changed, 1)


async def test_one_admin_is_left_of_two_who_disable_each_other_at_once(user_db: Database) -> None:
    ann, bob = account("ann"), account("bob")
    stored = await kept(user_db, ann, bob)
    admins = [admin(ann), admin(bob)]
    for one in admins:
        await stored.replace(one, Told())
    off = [one.change_rights(2, UserChanges(disabled=True), NOW, other_admins=1) for one in admins]
    outcomes = await at_once([stored.replace(one, told(one), ending_sessions=True) for one in off])
    assert sorted(type(outcome).__name__ for outcome in outcomes) == [LastAdmin.__name__, type(None).__name__]
    assert await D1Directory(user_db).other_admins("none") == 1
    assert await count(user_db, "outbox") == 3


async def test_a_session_opens_only_for_the_password_that_was_verified(user_db: Database) -> None:
    ann = account("ann")
    stored = await kept(user_db, ann)
    sessions = D1Sessions(user_db)
    session = session_of(ann)
    assert not await sessions.open(session, FIRST, "$argon2id$another", None)
    assert await sessions.open(session, FIRST, HASH, NEW_HASH)
    renewed = await stored.get(ann.id)
    assert renewed is not None
    assert renewed.password_hash == NEW_HASH
    found = await sessions.shown(FIRST)
    assert found is not None
    assert (found.session, found.used_at, await sessions.shown(SECOND)) == (session, None, None)
    standing = await sessions.standing(session.id, NOW)
    assert standing is not None
    assert (standing.user_id, standing.role, standing.company_id) == (ann.id, "customer", None)
    assert await sessions.standing(session.id, NOW + timedelta(seconds=LASTS_SECONDS)) is None


async def test_a_refresh_token_is_used_once_even_by_two_at_once(user_db: Database) -> None:
    ann = account("ann")
    await kept(user_db, ann)
    sessions = D1Sessions(user_db)
    await sessions.open(session_of(ann), FIRST, HASH, None)
    outcomes = await at_once([sessions.rotate(FIRST, digit * 64, NOW) for digit in "ab"])
    assert sorted(map(str, outcomes)) == ["False", "True"]
    assert await count(user_db, "refresh_tokens") == 2
    found = await sessions.shown(FIRST)
    assert found is not None
    assert found.verdict(NOW) == "reused"
    assert not await sessions.rotate(SECOND, "c" * 64, NOW)


async def test_what_ends_sessions_ends_them_once_and_is_recorded_once(user_db: Database) -> None:
    ann = account("ann")
    stored = await kept(user_db, ann)
    sessions = D1Sessions(user_db)
    for number in (1, 2, 3):
        await sessions.open(session_of(ann, number), str(number) * 64, HASH, None)
    one = session_of(ann, 1).id
    ended = entry("session.ended", ann.id, ann.id, NOW)
    assert await sessions.end(ann.id, one, NOW, ended)
    assert not await sessions.end(ann.id, one, NOW, entry("session.ended", ann.id, ann.id, NOW))
    assert not await sessions.end("another", session_of(ann, 2).id, NOW, entry("session.ended", "x", "x", NOW))
    assert await count(user_db, "audit") == 2
    assert await stored.set_password(ann, NEW_HASH, session_of(ann, 2).id, NOW, told(ann, "user.password_changed"))
    assert not await stored.set_password(ann, NEW_HASH, None, NOW, told(ann, "user.password_changed"))
    live = [number for number in (1, 2, 3) if await sessions.standing(session_of(ann, number).id, NOW)]
    assert live == [2]
    assert await count(user_db, "audit") == 3


async def test_attempts_at_once_are_not_more_than_the_limit_allows(user_db: Database) -> None:
    attempts = D1Attempts(user_db)
    origin = Origin.of("ann@example.com", "192.0.2.1")
    outcomes = await at_once([attempts.begin(origin, LIMITS, NOW) for _ in range(5)])
    refused = [outcome for outcome in outcomes if isinstance(outcome, TooManySignIns)]
    assert (outcomes.count(None), len(refused)) == (2, 3)
    assert refused[0].details == {"retry_after_seconds": 60}
    later = NOW + timedelta(seconds=60)
    await attempts.begin(origin, LIMITS, later)
    await attempts.succeeded(origin)
    assert await count(user_db, "sign_in_attempts") == 0


async def test_there_is_one_first_key_and_one_newest_after_each_rotation(user_db: Database) -> None:
    keys = D1SigningKeys(user_db)
    first, other, following = (
        SigningKey(id=name, public_key="{}", sealed_private_key="é", signs_from=rfc3339(at))
        for name, at in (("key_1", NOW), ("key_2", NOW), ("key_3", NOW + timedelta(seconds=300)))
    )
    assert await keys.all() == []
    outcomes = await at_once([keys.add_first(first), keys.add_first(other)])
    assert sorted(map(str, outcomes)) == ["False", "True"]
    (kept_first,) = await keys.all()
    handover = succession(NOW, 300, 600)
    rotated = Told([entry("keys.rotated", "usr_1", following.id, NOW)])
    await keys.add_next(following, handover.old_verify_until, rotated)
    both = await keys.all()
    assert [one.id for one in shown(both, NOW)] == [kept_first.id, following.id]
    now_signs, then_signs = signing(both, NOW), signing(both, handover.signs_from)
    assert now_signs is not None
    assert then_signs is not None
    assert (now_signs.id, then_signs.id) == (kept_first.id, following.id)


async def test_lists_page_from_the_newest_and_leave_out_secrets(user_db: Database) -> None:
    people = [account(name) for name in ("ann", "bob", "cid")]
    stored = await kept(user_db, *people)
    await stored.replace(admin(people[0]), Told())
    directory = D1Directory(user_db)
    wanted = ListUsers(limit=1)
    listed = await directory.users(wanted, None)
    assert len(listed) == 2
    rest = await directory.users(ListUsers(limit=5), listed[0].place)
    seen = [json.loads(one.json) for one in (listed[0], *rest)]
    assert [one["id"] for one in seen] == sorted((one.id for one in people), reverse=True)
    assert all("password_hash" not in one for one in seen)
    shown_admins = await directory.users(ListUsers(role="admin", email="ANN@example.com"), None)
    assert [json.loads(one.json)["name"] for one in shown_admins] == ["Naïve ann"]
    (audited,) = await directory.audit(ListAudit(subject=people[1].id), None)
    assert json.loads(audited.json)["details"] == {"é": "\U0001f511"}
    assert len(await directory.audit(ListAudit(limit=2), None)) == 3
    await directory.check()


async def test_the_audit_of_a_company_holds_what_concerns_its_members(user_db: Database) -> None:
    ann, company_id = account("ann"), derived_id("cmp", "one")
    actions = ("company.founded", "company.member_added", "company.approved")
    subjects = (ann.id, "usr_bob", company_id)
    entries = [
        entry(action, ann.id, subject, NOW + timedelta(seconds=number), {"company_id": company_id})
        for number, (action, subject) in enumerate(zip(actions, subjects, strict=True))
    ]
    await D1Accounts(user_db).add(ann, None, NOW, Told([*entries, entry("user.registered", ann.id, ann.id, NOW)]))
    directory = D1Directory(user_db)
    first = await directory.audit(ListAudit(subject=company_id, limit=1), None)
    rest = await directory.audit(ListAudit(subject=company_id), first[0].place)
    seen = [json.loads(one.json)["action"] for one in (first[0], *rest)]
    assert seen == list(reversed(actions))
    assert len(first) == len(rest) == 2


async def test_the_sweep_forgets_what_is_over(user_db: Database) -> None:
    ann = account("ann")
    await kept(user_db, ann)
    sessions = D1Sessions(user_db)
    for number in (1, 2):
        await sessions.open(session_of(ann, number), str(number) * 64, HASH, None)
    await sessions.end(ann.id, session_of(ann, 1).id, NOW, entry("session.ended", ann.id, ann.id, NOW))
    await D1Attempts(user_db).begin(Origin.of("a@example.com", "192.0.2.1"), LIMITS, NOW)
    await sweep(user_db, LIMITS, NOW)
    assert (await count(user_db, "sessions"), await count(user_db, "sign_in_attempts")) == (1, 1)
    await sweep(user_db, LIMITS, NOW + timedelta(seconds=LASTS_SECONDS))
    assert [await count(user_db, table) for table in ("sessions", "refresh_tokens", "sign_in_attempts")] == [0, 0, 0]
