"""Asking a provider: what every adapter does with a call and its answer.

A call without a whole answer and an answer that cannot be read both decide nothing: each is a ProviderError, which says
nothing of what was sent or answered.
"""

import base64
import hashlib
from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from payment.application.ports import Http, HttpAnswer, NoAnswer, NotSent, ProviderError

_Answer = TypeVar("_Answer", bound=BaseModel)


class NotAsked(ProviderError):
    """The provider was certainly not asked."""


async def ask(
    http: Http, provider: str, method: str, url: str, headers: Mapping[str, str], body: str | None = None
) -> HttpAnswer:
    """The provider's answer, whatever its status; NotAsked, ProviderError."""
    try:
        return await http.send(method, url, headers=headers, body=body)
    except NotSent:
        raise NotAsked(f"{provider} is not asked: it has not been answering") from None
    except NoAnswer:
        raise ProviderError(f"{provider} gave no whole answer in time") from None


def read(provider: str, wanted: type[_Answer], answer: HttpAnswer) -> _Answer:
    """The answer's body; ProviderError."""
    try:
        return wanted.model_validate_json(answer.text)
    except ValidationError:
        raise ProviderError(f"{provider} answered {answer.status} with something unreadable") from None


def basic(user: str, password: str = "") -> str:
    """The value of `authorization` for HTTP Basic."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def digest(text: str) -> str:
    """64 hexadecimal digits for a text that may be longer, or of other letters, than a provider takes."""
    return hashlib.sha256(text.encode()).hexdigest()
