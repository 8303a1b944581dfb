"""What the Workers use of Pyodide's foreign function interface."""

from collections.abc import Callable
from typing import Any

jsnull: Any

class JsException(Exception):
    name: str
    message: str
    stack: str

def create_proxy(obj: object, /) -> Any: ...
def to_js(
    obj: object,
    /,
    *,
    depth: int = -1,
    create_pyproxies: bool = True,
    dict_converter: Callable[[Any], Any] | None = None,
) -> Any: ...
