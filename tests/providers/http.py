"""The `Http` port on the host, for tests of adapters against the simulators."""

from collections.abc import Mapping

import httpx

from payment.application.ports import HttpAnswer, NoAnswer


class HttpxHttp:
    """Calls out with httpx, a connection each; it remembers what it was asked, for tests to look at."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []

    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: str | None = None, timeout_seconds: float = 10
    ) -> HttpAnswer:
        """One request, without a retry and without following redirects; NoAnswer."""
        self.sent.append((method, url))
        try:
            # The simulators are on this machine and speak plain HTTP: no proxy of the environment is asked, and no
            # certificates are loaded, which would take longer than the call.
            async with httpx.AsyncClient(timeout=timeout_seconds, trust_env=False, verify=False) as client:
                answer = await client.request(method, url, headers=dict(headers), content=body)
        except httpx.TransportError as silence:
            raise NoAnswer(type(silence).__name__) from None
        return HttpAnswer(
            answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, answer.text
        )
