"""A cursor: the last item of a list that a reader has seen, in the order in which he reads.

It travels as base64url of JSON; to the reader it is opaque. It names its list's order, so that the cursor
of another order is refused instead of giving a wrong page.
"""

import base64
import json
from collections.abc import Sequence
from typing import Annotated, NamedTuple

from pydantic import Field, ValidationError

from shared_kernel.contracts.model import Message
from shared_kernel.errors import Invalid
from shared_kernel.ids import Id
from shared_kernel.money import LARGEST_AMOUNT_MINOR
from shared_kernel.rpc import Json

Key = Annotated[int, Field(strict=True, ge=0, le=LARGEST_AMOUNT_MINOR)] | str


class InvalidCursor(Invalid):
    """The cursor was not given out for this list in this order."""

    code = "invalid_cursor"

    def __init__(self) -> None:
        super().__init__("the cursor was not given out for this list in this order")


class Cursor(Message):
    """A place in a list: the sort key's value, and the id where two have the same."""

    order: str
    key: Key
    id: Id

    def encode(self) -> str:
        """The cursor as it is given out."""
        return base64.urlsafe_b64encode(self.model_dump_json().encode()).decode().rstrip("=")

    @staticmethod
    def decode(text: str, order: str, key: type[int] | type[str]) -> "Cursor":
        """The cursor that was given out for a list in this order with such keys; InvalidCursor for anything else."""
        try:
            padded = text + "=" * (-len(text) % 4)
            cursor = Cursor.model_validate_json(base64.b64decode(padded, altchars=b"-_", validate=True))
        except (ValueError, ValidationError) as failure:
            raise InvalidCursor from failure
        if cursor.order != order or not isinstance(cursor.key, key):
            raise InvalidCursor
        return cursor


class Listed(NamedTuple):
    """One item of a list: its JSON as the reader sees it, and its place in the list."""

    json: str
    place: Cursor


def place_of(text: str | None, order: str, key: type[int] | type[str] = str) -> Cursor | None:
    """As `Cursor.decode`; None where the list is read from its beginning."""
    return None if text is None else Cursor.decode(text, order, key)


def page_of(listed: Sequence[Listed], limit: int) -> Json:
    """`{"items", "next_cursor"}` of these items, of which one beyond the limit tells that there are more."""
    page = listed[:limit]
    following = page[-1].place.encode() if len(listed) > limit else None
    return Json(f'{{"items":[{",".join(one.json for one in page)}],"next_cursor":{json.dumps(following)}}}')
