"""Accounts and sessions over HTTP: registering, signing in, refreshing, signing out, and what ends a session."""

import uuid

from tests.system.people import PASSWORD, People, Person, bearer
from tests.system.shop import Shop, at_once, problem

WRONG = "bukan kata sandi ini"


def refresh(shop: Shop, token: str) -> int:
    """The status with which a refresh token is answered."""
    return shop.ask("POST", "/api/auth/refresh", {"refresh_token": token}).status_code


def audited(people: People, person: Person) -> list[str]:
    """What the audit says of an account, newest first."""
    answer = people.shop.ask("GET", f"/api/audit?subject={person.user.id}", headers=people.admin.headers)
    assert answer.status_code == 200, answer.text
    return [item["action"] for item in answer.json()["items"]]


def test_address_has_one_account_however_it_is_written(shop: Shop, people: People) -> None:
    person = people.customer()
    body = {"email": person.user.email.upper(), "password": PASSWORD, "name": "Orang Lain"}
    problem(shop.ask("POST", "/api/auth/register", body), 409, "email_taken")
    assert people.sign_in(person.user.email.upper(), PASSWORD).access_token


def test_common_password_is_refused(shop: Shop) -> None:
    body = {"email": f"{uuid.uuid4().hex}@example.com", "password": "password123", "name": "Budi"}
    problem(shop.ask("POST", "/api/auth/register", body), 422, "password_too_common")


def test_unknown_address_and_wrong_password_are_told_alike(shop: Shop, people: People) -> None:
    person = people.customer()
    answers = [
        shop.ask("POST", "/api/auth/login", {"email": email, "password": WRONG})
        for email in (person.user.email, f"{uuid.uuid4().hex}@example.com")
    ]
    told = [problem(answer, 401, "invalid_credentials") for answer in answers]
    assert told[0].detail == told[1].detail


def test_refresh_token_is_good_once_and_its_reuse_ends_the_session(shop: Shop, people: People) -> None:
    person = people.customer()
    first = person.tokens.refresh_token
    answer = shop.ask("POST", "/api/auth/refresh", {"refresh_token": first})
    assert answer.status_code == 200, answer.text
    second = answer.json()["refresh_token"]
    assert second != first
    problem(shop.ask("POST", "/api/auth/refresh", {"refresh_token": first}), 401, "invalid_token")
    assert refresh(shop, second) == 401
    assert "session.reuse_detected" in audited(people, person)


def test_of_many_refreshes_at_once_at_most_one_succeeds(shop: Shop, people: People) -> None:
    person = people.customer()
    statuses = at_once([person.tokens.refresh_token] * 10, lambda token: refresh(shop, token))
    assert sorted(statuses)[0] == 200
    assert statuses.count(200) == 1
    assert statuses.count(401) == 9


def test_signing_out_ends_one_session_or_all(shop: Shop, people: People) -> None:
    person = people.customer()
    second, third = people.again(person), people.again(person)
    body = {"refresh_token": person.tokens.refresh_token}
    assert shop.ask("POST", "/api/auth/logout", body).status_code == 204
    assert refresh(shop, person.tokens.refresh_token) == 401
    tokens = shop.ask("POST", "/api/auth/refresh", {"refresh_token": second.tokens.refresh_token}).json()
    everywhere = {"refresh_token": tokens["refresh_token"], "everywhere": True}
    assert shop.ask("POST", "/api/auth/logout", everywhere).status_code == 204
    assert refresh(shop, third.tokens.refresh_token) == 401


def test_access_token_dies_with_its_session(shop: Shop, people: People) -> None:
    person = people.customer()
    assert shop.ask("POST", "/api/auth/logout", {"refresh_token": person.tokens.refresh_token}).status_code == 204
    problem(shop.ask("GET", "/api/users/me", headers=person.headers), 401, "invalid_token")


def test_changed_password_ends_the_other_sessions(shop: Shop, people: People) -> None:
    person = people.customer()
    elsewhere = people.again(person)
    path, new = "/api/users/me/password", "sandi baru yang panjang"
    wrong = {"current_password": WRONG, "new_password": new}
    problem(shop.ask("POST", path, wrong, headers=person.headers), 403, "wrong_password")
    right = {"current_password": PASSWORD, "new_password": new}
    assert shop.ask("POST", path, right, headers=person.headers).status_code == 204
    assert refresh(shop, elsewhere.tokens.refresh_token) == 401
    assert refresh(shop, person.tokens.refresh_token) == 200
    assert people.sign_in(person.user.email, new).access_token
    signed_in = shop.ask("POST", "/api/auth/login", {"email": person.user.email, "password": PASSWORD})
    problem(signed_in, 401, "invalid_credentials")


def test_disabled_account_cannot_sign_in_refresh_or_call(shop: Shop, people: People) -> None:
    person = people.disabled()
    body = {"email": person.user.email, "password": PASSWORD}
    problem(shop.ask("POST", "/api/auth/login", body), 401, "invalid_credentials")
    assert refresh(shop, person.tokens.refresh_token) == 401
    problem(shop.ask("GET", "/api/users/me", headers=person.headers), 401, "invalid_token")
    people.change(person, {"disabled": False})
    assert people.again(person).user.id == person.user.id
    assert {"user.disabled", "user.enabled"} <= set(audited(people, person))


def test_role_that_an_admin_gives_holds_and_is_audited(shop: Shop, people: People) -> None:
    person = people.customer()
    problem(shop.ask("GET", "/api/warehouses", headers=person.headers), 403, "forbidden")
    employee = people.again(people.given_role(person, "staff"))
    assert shop.ask("GET", "/api/warehouses", headers=employee.headers).status_code == 200
    assert "user.role_changed" in audited(people, person)


def test_profile_is_changed_only_by_who_has_seen_its_latest_version(shop: Shop, people: People) -> None:
    person = people.customer()
    seen = shop.ask("GET", "/api/users/me", headers=person.headers)
    renamed = {"name": "Siti Aminah"}
    problem(shop.ask("PATCH", "/api/users/me", renamed, headers=person.headers), 428, "precondition_required")
    headers = {**person.headers, "if-match": seen.headers["etag"]}
    changed = shop.ask("PATCH", "/api/users/me", renamed, headers=headers)
    assert (changed.status_code, changed.json()["name"]) == (200, "Siti Aminah")
    problem(shop.ask("PATCH", "/api/users/me", renamed, headers=headers), 412, "stale_version")


def test_too_many_sign_ins_are_refused_even_with_the_right_password(shop: Shop, people: People) -> None:
    person = people.customer()
    body = {"email": person.user.email, "password": WRONG}
    statuses = [shop.ask("POST", "/api/auth/login", body).status_code for _ in range(12)]
    assert statuses[0] == 401
    assert statuses[-1] == 429
    refused = shop.ask("POST", "/api/auth/login", {"email": person.user.email, "password": PASSWORD})
    problem(refused, 429, "too_many_sign_ins")
    assert int(refused.headers["retry-after"]) > 0
    assert shop.ask("GET", "/api/users/me", headers=bearer(person.tokens.access_token)).status_code == 200
