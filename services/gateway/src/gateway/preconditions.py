"""Headers that decide whether a request is carried out: `If-Match`, `If-None-Match`, `Idempotency-Key`.

The entity tag of a thing is its version in quotes (`"3"`), followed by a digest of its text where the same version is
not shown alike to everyone, or holds what changes by itself (`"3-1f0e..."`): a price that depends on who asks, a role
that comes with a company. `If-None-Match` compares all of it, `If-Match` the version alone.

Whatever compresses an answer on its way makes its tag weak (`W/"3"`), as Cloudflare does for every client that takes
gzip (Cache, "ETag headers"). So the mark is no reason to refuse a change: it says nothing of the version.
"""

import re
from hashlib import sha256

from gateway.problems import Malformed, PreconditionRequired
from shared_kernel.errors import PreconditionFailed

_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
VERSION_TAG_PATTERN = r'^(W/)?"[1-9][0-9]{0,14}(-[0-9a-f]{16})?"$'
_VERSION_TAG = re.compile(r'(?:W/)?"([1-9][0-9]{0,14})(?:-[0-9a-f]{16})?"')
IDEMPOTENCY_KEY_PATTERN = r"^[\x21-\x7e]{1,255}$"
_KEY = re.compile(IDEMPOTENCY_KEY_PATTERN)


def entity_tag(version: int, text: str = "") -> str:
    """The strong entity tag of a version, or of this text of it (RFC 9110, 8.8.3)."""
    return f'"{version}-{sha256(text.encode()).hexdigest()[:16]}"' if text else f'"{version}"'


def is_unchanged(if_none_match: str | None, tag: str | None) -> bool:
    """Whether the client has what it would be sent (RFC 9110, 13.1.2: compared weakly)."""
    if if_none_match is None or tag is None:
        return False
    held = [each.removeprefix("W/") for each in _TAG.findall(if_none_match)]
    return if_none_match.strip() == "*" or tag in held


def expected_version(if_match: str | None) -> int:
    """The version that the change is for.

    PreconditionRequired without the header; Malformed unless it is one entity tag; PreconditionFailed for
    a tag that no version ever had.
    """
    if if_match is None:
        raise PreconditionRequired("say with If-Match which version you have seen, as its ETag")
    tag = if_match.strip()
    if not _TAG.fullmatch(tag):
        raise Malformed("If-Match must be the ETag of the one version you have seen", code="malformed_if_match")
    version = _VERSION_TAG.fullmatch(tag)
    if version is None:
        raise PreconditionFailed("no version has this ETag")
    return int(version[1])


def idempotency_key(header: str | None) -> str:
    """The key under which the request may be repeated; Malformed without one or with a strange one."""
    if header is None:
        raise Malformed("send an Idempotency-Key, a new one for each new request", code="idempotency_key_missing")
    if not _KEY.fullmatch(header):
        raise Malformed("Idempotency-Key must be 1 to 255 visible ASCII characters", code="idempotency_key_malformed")
    return header
