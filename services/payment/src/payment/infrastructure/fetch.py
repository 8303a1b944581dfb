"""The platform's fetch as the `Http` that the adapters of providers speak through."""

from collections.abc import Mapping

from payment.application.ports import HttpAnswer, NoAnswer
from shared_kernel.cloudflare import fetch
from shared_kernel.rpc import CallFailed


class FetchHttp:
    """One request each; nothing of it is kept."""

    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: str | None = None, timeout_seconds: float = 10
    ) -> HttpAnswer:
        """The whole response; NoAnswer, which says nothing of the request."""
        try:
            status, answered, text = await fetch(method, url, headers, body, timeout_seconds)
        except CallFailed as failure:
            raise NoAnswer(str(failure)) from None
        return HttpAnswer(status, answered, text)
