"""A checkout whose workerd is a script of the test's."""

from pathlib import Path

from wrangler.checkout import Checkout


def checkout_with(folder: Path, script: str) -> Checkout:
    """A checkout in `folder` with the vendored package `pydantic` and a workerd that is `script`."""
    checkout = Checkout(folder)
    program = checkout.node_modules / "@cloudflare" / "workerd-test-64" / "bin" / "workerd"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\n{script}")
    program.chmod(0o755)
    package = checkout.python_modules / "pydantic"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    return checkout
