"""Identifiers: a prefix that names the kind, then 26 Crockford base 32 digits of 128 bits.

`new_id` follows the ULID layout (48 bits of milliseconds, 80 random bits), so ids sort by time of
creation. `derived_id` is made from the caller's own words, so that the same request always meets the
same thing; it does not sort by time.
"""

import hashlib
import re
import secrets
from datetime import datetime
from typing import Annotated

from pydantic import StringConstraints

from shared_kernel.clock import to_milliseconds

_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH = 26
_PATTERN = r"^[a-z]{2,5}_[0-9A-HJKMNP-TV-Z]{26}$"

Id = Annotated[str, StringConstraints(pattern=_PATTERN, max_length=32)]


def new_id(prefix: str, now: datetime) -> str:
    """A fresh id; 80 random bits within a millisecond. Not to be called while a Worker starts."""
    return f"{prefix}_{_base32(to_milliseconds(now) << 80 | secrets.randbits(80))}"


def derived_id(prefix: str, *parts: str) -> str:
    """The id that these parts always give: the first 128 bits of SHA-256 over the framed parts."""
    framed = "".join(f"{len(part.encode())}:{part}" for part in parts)
    return f"{prefix}_{_base32(int.from_bytes(hashlib.sha256(framed.encode()).digest()[:16], 'big'))}"


def is_id(prefix: str, text: str) -> bool:
    """Whether the text has the form of an id of this kind."""
    return text.startswith(prefix + "_") and re.fullmatch(_PATTERN, text) is not None


def _base32(number: int) -> str:
    return "".join(_DIGITS[number >> 5 * place & 31] for place in reversed(range(_LENGTH)))
