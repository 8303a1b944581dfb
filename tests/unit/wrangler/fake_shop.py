"""A shop over HTTP that takes what staff make and forgets it at the end; it can break off after some requests."""

import contextlib
import json
import threading
from collections.abc import Iterator
from urllib.parse import parse_qs
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.types import StartResponse, WSGIEnvironment

from shared_kernel.ids import derived_id

Item = dict[str, object]
STAFF_TOKEN = "staff-token-of-the-fake"
_PAGE_ITEMS = 30
_NOW = "2026-11-21T08:00:00.000Z"


class FakeShop:
    """What the shop holds, and how many requests it still answers (None: any number)."""

    def __init__(self) -> None:
        self.categories: list[Item] = []
        self.products: list[Item] = []
        self.warehouses: list[Item] = []
        self.levels: list[Item] = []
        self.requests_left: int | None = None
        self.writes = 0

    @contextlib.contextmanager
    def open(self) -> Iterator[str]:
        """The address of the shop, as long as the block lasts."""
        server = make_server("127.0.0.1", 0, self._serve, handler_class=_Quiet)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def _serve(self, environment: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        status, told = self._answer(environment)
        start_response(f"{status} As Told", [("content-type", "application/json")])
        return [json.dumps(told).encode()]

    def _answer(self, environment: WSGIEnvironment) -> tuple[int, Item]:
        if self.requests_left is not None:
            self.requests_left -= 1
            if self.requests_left < 0:
                return 503, {"code": "unavailable"}
        if environment.get("HTTP_AUTHORIZATION") != f"Bearer {STAFF_TOKEN}":
            return 401, {"code": "unauthenticated"}
        body = json.loads(environment["wsgi.input"].read(int(environment["CONTENT_LENGTH"] or 0)) or b"{}")
        match environment["REQUEST_METHOD"], environment["PATH_INFO"].split("/")[2:]:
            case "GET", ["products"]:
                start = int(parse_qs(environment["QUERY_STRING"]).get("cursor", ["0"])[0])
                told = 200, self._page(start)
            case "GET", ["inventory"]:
                told = 200, {"items": self.levels}
            case "GET", [kind]:
                told = 200, {"items": getattr(self, kind)}
            case "POST", [kind]:
                told = 201, self._make(kind, body)
            case "PUT", ["warehouses", warehouse_id, "stock", product_id]:
                told = 200, self._count(warehouse_id, product_id, body)
            case _:
                told = 404, {"code": "not_found"}
        return told

    def _page(self, start: int) -> Item:
        more = start + _PAGE_ITEMS < len(self.products)
        items = self.products[start : start + _PAGE_ITEMS]
        return {"items": items, "next_cursor": str(start + _PAGE_ITEMS) if more else None}

    def _make(self, kind: str, body: Item) -> Item:
        self.writes += 1
        there: list[Item] = getattr(self, kind)
        made: Item = {"id": derived_id(kind[:3], str(len(there))), **body}
        if kind == "categories":
            made |= {"version": 1}
        if kind == "products":
            made |= {"price": body["retail_price"], "version": 1, "created_at": _NOW, "updated_at": _NOW}
        there.append(made)
        return made

    def _count(self, warehouse_id: str, product_id: str, body: Item) -> Item:
        self.writes += 1
        code = next(warehouse["code"] for warehouse in self.warehouses if warehouse["id"] == warehouse_id)
        level = {
            "warehouse_id": warehouse_id,
            "warehouse_code": code,
            "product_id": product_id,
            "reserved": 0,
            "available": body["on_hand"],
            **body,
        }
        self.levels.append(level)
        return level


class _Quiet(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""
