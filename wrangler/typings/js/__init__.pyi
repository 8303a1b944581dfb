"""The global scope of JavaScript, as far as it is known to mypy: anything."""

from typing import Any

def __getattr__(name: str) -> Any: ...
