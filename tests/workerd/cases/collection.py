"""Which cases there are: each is a coroutine function `test_*`, and its parameters name what it needs.

The host reads the names from the text of the modules, because those below `platform` import what only a Worker has.
Those below `ports` run on the host too, over the adapters of the unit tests.
"""

import ast
import importlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_CASES = Path(__file__).parent
PORTS, PLATFORM = "ports", "platform"

CaseFunction = Callable[..., Awaitable[object]]
"""What it answers is of no interest but to the host's test that asks for it by name."""


@dataclass(frozen=True)
class Case:
    """One case, by its module below this folder (`ports.database`) and its function, and the names of its needs."""

    module: str
    function: str
    needs: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its name in a report and in a request."""
        return f"{self.module}.{self.function}"

    @property
    def runs_on_the_host(self) -> bool:
        """Whether it needs nothing of the platform itself."""
        return self.module.startswith(f"{PORTS}.")

    def load(self) -> CaseFunction:
        """The function, its module imported."""
        function: CaseFunction = getattr(importlib.import_module(f"{__package__}.{self.module}"), self.function)
        return function


def collect() -> list[Case]:
    """All cases, by module and in the order in which they stand there."""
    paths = [path for folder in (PORTS, PLATFORM) for path in sorted((_CASES / folder).glob("*.py"))]
    return [case for path in paths for case in _in(path)]


def _in(path: Path) -> Iterator[Case]:
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.AsyncFunctionDef) and node.name.startswith("test_"):
            needs = tuple(argument.arg for argument in node.args.args)
            yield Case(f"{path.parent.name}.{path.stem}", node.name, needs)
