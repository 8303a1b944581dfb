"""The system under load: 64 connections of mixed reads and writes, with no 5xx, no wedged isolate and bounded memory.

`PASAR_LOAD_SECONDS` says how long; two minutes by hand, shorter in the suite. What it saw is printed (`-s` shows it).
"""

import os
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.system.people import People, Person
from tests.system.shop import Shop, order_of
from wrangler.running import Connection

pytestmark = pytest.mark.alone

CONNECTIONS = 64
SECONDS = float(os.environ.get("PASAR_LOAD_SECONDS", "20"))
SAMPLE_SECONDS = 2.0
LEVELLED_OFF = 1.35

Request = Callable[[httpx.Client, random.Random], httpx.Response]


def resident_bytes(group_leader: int) -> int:
    """What all processes below this one, itself included, hold in memory."""
    children: dict[int, list[int]] = {}
    sizes: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            status = (folder / "stat").read_text().rpartition(")")[2].split()
            sizes[int(folder.name)] = int((folder / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError):
            continue
        children.setdefault(int(status[1]), []).append(int(folder.name))
    total, waiting = 0, [group_leader]
    while waiting:
        pid = waiting.pop()
        total += sizes.get(pid, 0)
        waiting += children.get(pid, [])
    return total


def requests(person: Person, product_ids: list[str]) -> list[Request]:
    """What one of the 64 does, in the proportions of a shop: many reads, some writes."""

    def order(client: httpx.Client, chance: random.Random) -> httpx.Response:
        headers = {"idempotency-key": str(uuid.uuid4()), **(person.headers if chance.random() < 0.5 else {})}
        return client.post("/api/orders", json=order_of({chance.choice(product_ids): 1}), headers=headers)

    def profile(client: httpx.Client, _chance: random.Random) -> httpx.Response:
        return client.get("/api/users/me", headers=person.headers)

    def product(client: httpx.Client, chance: random.Random) -> httpx.Response:
        return client.get(f"/api/products/{chance.choice(product_ids)}")

    def availability(client: httpx.Client, chance: random.Random) -> httpx.Response:
        return client.get(f"/api/products/{chance.choice(product_ids)}/availability")

    def search(client: httpx.Client, _chance: random.Random) -> httpx.Response:
        return client.get("/api/products?limit=20")

    def own_orders(client: httpx.Client, _chance: random.Random) -> httpx.Response:
        return client.get("/api/orders?limit=20", headers=person.headers)

    def refused(client: httpx.Client, _chance: random.Random) -> httpx.Response:
        return client.post("/api/categories", json={"name": "x"}, headers=person.headers)

    return [*[product] * 6, *[search] * 3, *[availability] * 3, *[profile] * 3, *[own_orders] * 2, order, refused]


def keep_busy(url: str, mix: list[Request], until: float, seed: int) -> Counter[int]:
    """One connection's requests until then, by the status of their answers."""
    chance = random.Random(seed)
    seen: Counter[int] = Counter()
    with httpx.Client(base_url=url, timeout=60) as client:
        while time.monotonic() < until:
            seen[chance.choice(mix)(client, chance).status_code] += 1
    return seen


def test_load_brings_no_fault_and_memory_levels_off(shop: Shop, people: People, connection: Connection) -> None:
    products = [shop.make_product(on_hand=100_000).id for _ in range(10)]
    mix = requests(people.customer(), products)
    until = time.monotonic() + SECONDS
    sizes: list[int] = []
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        busy = [pool.submit(keep_busy, shop.url, mix, until, seed) for seed in range(CONNECTIONS)]
        while time.monotonic() < until:
            time.sleep(SAMPLE_SECONDS)
            sizes.append(resident_bytes(connection.pid))
        seen = sum((done.result() for done in busy), Counter[int]())
    told = f"{seen.total()} answers in {SECONDS} s: {dict(seen)}; resident MB {[size // 10**6 for size in sizes]}"
    print(told)
    assert set(seen) <= {200, 202, 403}, told
    last, before = max(sizes[-len(sizes) // 4 :]), max(sizes[len(sizes) // 4 : len(sizes) // 2])
    assert last < before * LEVELLED_OFF, told
    assert shop.ask("GET", "/health").status_code == 200
