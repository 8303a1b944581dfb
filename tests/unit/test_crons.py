"""A Worker's cron sends its outbox whatever became of its other work: each entry.py is read and held against that."""

import ast
from pathlib import Path

import pytest

SERVICES = Path(__file__).resolve().parents[2] / "services"
SENDING = "send_outbox"


def crons(source: str) -> list[ast.AsyncFunctionDef]:
    """The cron handlers of a Worker's main module."""
    found = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.AsyncFunctionDef))
    return [function for function in found if function.name == "scheduled"]


def awaited(node: ast.AST) -> list[str]:
    """What is awaited below a node, as it is written."""
    return [ast.unparse(one.value) for one in ast.walk(node) if isinstance(one, ast.Await)]


def sends_in_any_case(cron: ast.AsyncFunctionDef) -> bool:
    """Whether sending the outbox is all that it waits for, or stands in a `finally`."""
    if len(awaited(cron)) == 1:
        return True
    endings = [ending for node in ast.walk(cron) if isinstance(node, ast.Try) for ending in node.finalbody]
    return any(use.startswith(SENDING) for ending in endings for use in awaited(ending))


CRONS = [
    pytest.param(cron, id=path.parts[-3])
    for path in sorted(SERVICES.glob("*/src/entry.py"))
    for cron in crons(path.read_text())
]


@pytest.mark.parametrize("cron", CRONS)
def test_cron_sends_the_outbox_even_when_its_other_work_fails(cron: ast.AsyncFunctionDef) -> None:
    assert sends_in_any_case(cron)


@pytest.mark.parametrize(
    ("body", "sends"),
    [
        ("await send_outbox(database)", True),
        ("await sweep(); await send_outbox(database)", False),
        ("try:\n  await sweep()\n finally:\n  await send_outbox(database)", True),
        ("try:\n  await sweep()\n finally:\n  await close()\n await send_outbox(database)", False),
    ],
)
def test_check_of_crons_tells_good_from_bad(body: str, sends: bool) -> None:
    (cron,) = crons(f"async def scheduled():\n {body}")
    assert sends_in_any_case(cron) == sends
