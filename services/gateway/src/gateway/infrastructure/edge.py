"""The Rate Limiting bindings, the Cache API and WebCrypto, each looked up anew at every use."""

from collections.abc import Mapping

import js
from pyodide.ffi import JsException, jsnull, to_js

from shared_kernel.cloudflare import bindings, js_value, text_members


def limiter_of(limit: str) -> str:
    """The name of the binding that limits this class of requests."""
    return f"LIMIT_{limit.upper()}"


async def is_within_limit(limit: str, key: str) -> bool:
    """Count a request by the binding of its class; AttributeError or JsException when that cannot be asked."""
    outcome = await getattr(bindings(), limiter_of(limit)).limit(js_value({"key": key}))
    return bool(outcome.success)


class EdgeCache:
    """The cache of the Cloudflare location that serves the request; on `workers.dev` it keeps nothing."""

    async def find(self, url: str) -> tuple[str, Mapping[str, str]] | None:
        """The text and its headers; None where there is none."""
        found = await js.caches.default.match(url)
        if found is None or found is jsnull:
            return None
        headers = text_members(found.headers)
        return str(await found.text()), headers

    async def keep(self, url: str, text: str, headers: Mapping[str, str]) -> None:
        """Keep it as long as its `cache-control` says."""
        await js.caches.default.put(url, js.Response.new(text, js_value({"headers": dict(headers)})))

    async def forget(self, url: str) -> None:
        """Keep it no longer."""
        await js.caches.default.delete(url)


async def verify_ed25519(public_jwk: Mapping[str, str], signed: bytes, signature: bytes) -> bool:
    """Whether the signature is the key's (RFC 8032); JsException when the key is none."""
    algorithm = js_value({"name": "Ed25519"})
    key = await js.crypto.subtle.importKey("jwk", js_value(dict(public_jwk)), algorithm, False, to_js(["verify"]))
    try:
        return bool(await js.crypto.subtle.verify("Ed25519", key, to_js(signature), to_js(signed)))
    except JsException:
        # WebCrypto raises for one that is not 64 bytes long.
        return False
