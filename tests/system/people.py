"""The people of the running shop: accounts, sessions and companies, as the tests make them over HTTP."""

import itertools
import time
import uuid
from dataclasses import dataclass, field

from pydantic import JsonValue

from shared_kernel.contracts.company import Company, Member
from shared_kernel.contracts.user import Tokens, User
from shared_kernel.money import Money
from tests.system.shop import Shop
from wrangler.running import Connection

PASSWORD = "kuda laut menari di pasar"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Person:
    """Somebody with an account and a session, who signed in at this time of the monotonic clock."""

    user: User
    password: str
    tokens: Tokens
    signed_in_at: float = field(default_factory=time.monotonic)

    @property
    def headers(self) -> dict[str, str]:
        """The header that makes a request this person's."""
        return bearer(self.tokens.access_token)


def bearer(token: str) -> dict[str, str]:
    """The header that sends this token."""
    return {"authorization": f"Bearer {token}"}


class People:
    """Makes people; each test makes its own, so that none meets another's."""

    def __init__(self, shop: Shop, connection: Connection) -> None:
        self.shop = shop
        self._connection = connection
        self._admin: Person | None = None

    @property
    def admin(self) -> Person:
        """The first admin of a local run, whose token is good for a while yet."""
        if self._admin is None:
            email, password = self._connection.admin_email, self._connection.admin_password
            tokens = self.sign_in(email, password)
            self._admin = Person(self.me(tokens), password, tokens)
        self._admin = self.awake(self._admin)
        return self._admin

    def awake(self, person: Person) -> Person:
        """The same person, in a new session when his token has lived through half of its time: tests take longer."""
        is_fresh = time.monotonic() < person.signed_in_at + person.tokens.expires_in / 2
        return person if is_fresh else self.again(person)

    def customer(self, invitation_token: str | None = None, email: str | None = None) -> Person:
        """Somebody who has just registered and signed in."""
        email = email or f"orang-{next(_numbers)}-{uuid.uuid4().hex[:12]}@example.com"
        body: dict[str, JsonValue] = {"email": email, "password": PASSWORD, "name": "Siti Rahma"}
        if invitation_token is not None:
            body["invitation_token"] = invitation_token
        made = self.shop.ask("POST", "/api/auth/register", body)
        assert made.status_code == 201, made.text
        return Person(User.model_validate_json(made.text), PASSWORD, self.sign_in(email, PASSWORD))

    def staff(self) -> Person:
        """An employee: an admin gave the role to somebody who had registered."""
        return self.again(self.given_role(self.customer(), "staff"))

    def given_role(self, person: Person, role: str) -> Person:
        """The same person after an admin gave him this role."""
        self.change(person, {"role": role})
        return person

    def disabled(self) -> Person:
        """Somebody whose account was disabled after he had signed in."""
        person = self.customer()
        self.change(person, {"disabled": True})
        return person

    def change(self, person: Person, changes: dict[str, JsonValue]) -> User:
        """The account after an admin changed it."""
        path = f"/api/users/{person.user.id}"
        seen = self.shop.ask("GET", path, headers=self.admin.headers)
        assert seen.status_code == 200, seen.text
        headers = {**self.admin.headers, "if-match": seen.headers["etag"]}
        changed = self.shop.ask("PATCH", path, changes, headers=headers)
        assert changed.status_code == 200, changed.text
        return User.model_validate_json(changed.text)

    def again(self, person: Person) -> Person:
        """The same person in a new session, as he is now."""
        tokens = self.sign_in(person.user.email, person.password)
        return Person(self.me(tokens), person.password, tokens)

    def sign_in(self, email: str, password: str) -> Tokens:
        """The tokens of a sign-in that must succeed."""
        answer = self.shop.ask("POST", "/api/auth/login", {"email": email, "password": password})
        assert answer.status_code == 200, answer.text
        return Tokens.model_validate_json(answer.text)

    def me(self, tokens: Tokens) -> User:
        """Whose tokens these are, as he is now."""
        answer = self.shop.ask("GET", "/api/users/me", headers=bearer(tokens.access_token))
        assert answer.status_code == 200, answer.text
        return User.model_validate_json(answer.text)

    def found_company(self, founder: Person) -> Company:
        """A company that waits for its approval."""
        number = uuid.uuid4().hex[:12]
        address = {"line1": "Jalan Gudang 1", "city": "Surabaya", "postal_code": "60111", "country": "ID"}
        body = {"name": f"PT Uji {number}", "tax_id": f"NPWP-{number}", "address": address}
        made = self.shop.ask("POST", "/api/companies", body, headers=founder.headers)
        assert made.status_code == 201, made.text
        return Company.model_validate_json(made.text)

    def approve(self, company: Company) -> Company:
        """The company after staff approved it."""
        path = f"/api/companies/{company.id}/approve"
        answer = self.shop.ask("POST", path, headers=self.shop.as_staff)
        assert answer.status_code == 200, answer.text
        return Company.model_validate_json(answer.text)

    def company_with_admin(self) -> tuple[Company, Person]:
        """An approved company and its founder, in a session in which he is a buyer."""
        founder = self.customer()
        company = self.approve(self.found_company(founder))
        return company, self.again(founder)

    def member(self, company: Company, admin: Person, role: str = "buyer", limit: Money | None = None) -> Person:
        """A member of the company, in a session in which he is a buyer."""
        person = self.customer()
        self.invite(company, admin, person.user.email, role, limit)
        return self.again(person)

    def invite(
        self, company: Company, admin: Person, email: str, role: str = "buyer", limit: Money | None = None
    ) -> Member:
        """The membership of whoever has this address."""
        body: dict[str, JsonValue] = {"email": email, "role": role}
        if limit is not None:
            body["spending_limit"] = {"amount": limit.amount, "currency": limit.currency}
        made = self.shop.ask("POST", f"/api/companies/{company.id}/members", body, headers=admin.headers)
        assert made.status_code == 201, made.text
        return Member.model_validate_json(made.text)
