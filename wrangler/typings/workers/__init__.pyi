"""What the Workers use of the SDK: the classes that the platform starts, and the way to its JavaScript modules."""

from typing import Any

def import_from_javascript(module_name: str) -> Any: ...

class WorkerEntrypoint:
    ctx: Any
    env: Any
    def __init__(self, ctx: Any, env: Any) -> None: ...

class DurableObject:
    ctx: Any
    env: Any
    def __init__(self, ctx: Any, env: Any) -> None: ...

class WorkflowEntrypoint:
    ctx: Any
    env: Any
    def __init__(self, ctx: Any, env: Any) -> None: ...
