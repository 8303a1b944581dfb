"""Signing keys in D1; a private key stands there only sealed."""

from datetime import datetime

from pydantic import TypeAdapter

from shared_kernel.clock import rfc3339
from shared_kernel.sql import ConstraintViolated, Database, Statement
from user.application.ports import Told
from user.domain.signing_key import SigningKey
from user.infrastructure.d1_audit import written

_KEYS = TypeAdapter(list[SigningKey])


class D1SigningKeys:
    """The signing keys."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[SigningKey]:
        """Every key that is kept."""
        text = await self._database.text(
            "SELECT json_group_array(json_object('id', id, 'public_key', public_key,"
            " 'sealed_private_key', sealed_private_key, 'signs_from', signs_from, 'verifies_until', verifies_until))"
            " FROM signing_keys"
        )
        return _KEYS.validate_json(text or "[]")

    async def add_first(self, key: SigningKey) -> bool:
        """Insert the first key; the schema has one newest key only."""
        try:
            await self._database.batch([_insert(key)])
        except ConstraintViolated:
            return False
        return True

    async def add_next(self, key: SigningKey, old_verify_until: datetime, told: Told) -> None:
        """Insert the newest key after the end of the one before is set."""
        until = rfc3339(old_verify_until)
        retire = Statement("UPDATE signing_keys SET verifies_until = ? WHERE verifies_until IS NULL", (until,))
        await self._database.batch([retire, _insert(key), *written(told)])


def _insert(key: SigningKey) -> Statement:
    return Statement(
        "INSERT INTO signing_keys (id, public_key, sealed_private_key, signs_from) VALUES (?, ?, ?, ?)",
        (key.id, key.public_key, key.sealed_private_key, key.signs_from),
    )
