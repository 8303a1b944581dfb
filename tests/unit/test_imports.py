"""Imports point inward (architecture.md): each source file is read and what it imports is held against its place."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from wrangler.topology import PASAR

ROOT = Path(__file__).resolve().parents[2]
SERVICES = {worker.name for worker in PASAR.workers}
JAVASCRIPT = {"js", "pyodide", "workers"}
LIBRARIES = {*sys.stdlib_module_names, "pydantic", "pydantic_core", "shared_kernel"}
# A library that one part of one service uses, by the folder of that part.
LIBRARIES_OF_A_PART = {
    "jwt": "services/gateway/src/gateway",
    "zxcvbn": "services/user/src/user/infrastructure",
}
LAYERS = ("domain", "application", "infrastructure")
BOUNDARY = "shared_kernel.cloudflare"
SAGA = "order_saga"


def source_files() -> list[PurePosixPath]:
    """Every module of the Workers, below the checkout."""
    folders = [*(ROOT / "services" / name / "src" for name in SERVICES), ROOT / "shared_kernel", ROOT / "workflows"]
    # A copy of a shared package, which wrangler's build makes in a service's folder, is not that service's code.
    copies = {ROOT / "services" / name / "src" / package for name in SERVICES for package in ("shared_kernel", SAGA)}
    return sorted(
        PurePosixPath(path.relative_to(ROOT))
        for folder in folders
        for path in folder.rglob("*.py")
        if copies.isdisjoint(path.parents)
    )


def imported_modules(source: str) -> Iterator[str]:
    """The full name of everything that a source imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            assert node.module is not None
            yield from (f"{node.module}.{name.name}" for name in node.names)


def may_import(path: PurePosixPath, module: str) -> bool:
    """Whether the file at `path` may import `module`."""
    top = module.split(".")[0]
    at_boundary = (
        path.name == "entry.py"
        or "infrastructure" in path.parts
        or path.as_posix() in ("shared_kernel/cloudflare.py", f"workflows/{SAGA}/workflow.py")
    )
    if top in JAVASCRIPT or module.startswith(BOUNDARY):
        return at_boundary
    if top in LIBRARIES:
        return True
    if top in LIBRARIES_OF_A_PART:
        return path.is_relative_to(LIBRARIES_OF_A_PART[top])
    if path.parts[0] == "workflows":
        return top == SAGA or module.startswith(("order.domain", "order.application"))
    if path.parts[0] != "services":
        return False
    service = path.parts[1]
    if path.name == "entry.py":
        return top == service or (top == SAGA and service == "order")
    layers = [layer for layer in LAYERS if layer in path.parts]
    if top != service or not layers:
        return top == service
    return module.split(".")[1] in LAYERS[: LAYERS.index(layers[0]) + 1]


@pytest.mark.parametrize("path", source_files(), ids=str)
def test_every_import_points_inward(path: PurePosixPath) -> None:
    forbidden = [module for module in imported_modules((ROOT / path).read_text()) if not may_import(path, module)]
    assert not forbidden


def test_every_worker_is_looked_at() -> None:
    paths = source_files()
    for name in SERVICES:
        assert PurePosixPath(f"services/{name}/src/entry.py") in paths
    assert PurePosixPath(f"workflows/{SAGA}/workflow.py") in paths
    assert PurePosixPath("shared_kernel/cloudflare.py") in paths


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("services/order/src/order/domain/order.py", "import js"),
        ("services/order/src/order/domain/order.py", "from order.application.ports import Orders"),
        ("services/order/src/order/domain/order.py", "def later():\n    from order.infrastructure import d1"),
        ("services/order/src/order/domain/order.py", "import httpx"),
        ("services/order/src/order/application/orders.py", "from order import infrastructure"),
        ("services/order/src/order/application/orders.py", "from shared_kernel.cloudflare import D1"),
        ("services/order/src/order/application/orders.py", "from shared_kernel import cloudflare"),
        ("services/order/src/order/infrastructure/d1.py", "from product.domain.product import Product"),
        ("services/order/src/order/application/orders.py", "from order_saga import saga"),
        ("services/gateway/src/gateway/app.py", "from workers import Response"),
        ("services/gateway/src/entry.py", "from order.domain.order import Order"),
        ("services/user/src/user/domain/password.py", "import zxcvbn"),
        ("services/order/src/order/infrastructure/d1.py", "import jwt"),
        ("services/payment/src/entry.py", "from order_saga import saga"),
        ("shared_kernel/money.py", "from pyodide.ffi import to_js"),
        ("shared_kernel/contracts/order.py", "from order.domain.order import Order"),
        ("workflows/order_saga/saga.py", "from workers import WorkflowEntrypoint"),
        ("workflows/order_saga/saga.py", "from payment.domain.payment import Payment"),
    ],
)
def test_an_outward_import_is_found(path: str, source: str) -> None:
    assert [module for module in imported_modules(source) if not may_import(PurePosixPath(path), module)]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("services/order/src/order/domain/order.py", "from dataclasses import dataclass"),
        ("services/order/src/order/application/orders.py", "from order.domain.order import Order"),
        ("services/order/src/order/infrastructure/d1.py", "import js\nfrom order.application.ports import Orders"),
        ("services/order/src/entry.py", "from order_saga import saga\nfrom workers import WorkerEntrypoint"),
        ("workflows/order_saga/workflow.py", "from workers import WorkflowEntrypoint\nfrom order_saga import saga"),
    ],
)
def test_an_inward_import_is_allowed(path: str, source: str) -> None:
    assert all(may_import(PurePosixPath(path), module) for module in imported_modules(source))
