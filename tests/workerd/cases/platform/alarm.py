"""The alarm of an object's storage."""

from pyodide.ffi import jsnull

from shared_kernel.clock import system_clock, to_milliseconds
from shared_kernel.cloudflare import ObjectStorage
from tests.workerd.cases.expecting import raises
from tests.workerd.cases.platform.waiting import until

FAR_MS = 3_600_000


def now_ms() -> int:
    return to_milliseconds(system_clock())


def alarms(storage: ObjectStorage) -> int:
    storage.execute("CREATE TABLE IF NOT EXISTS alarms (position INTEGER PRIMARY KEY) STRICT")
    return len(storage.execute("SELECT position FROM alarms"))


async def test_the_alarm_goes_off_and_the_last_one_set_counts(storage: ObjectStorage) -> None:
    storage.wake_at(now_ms() + FAR_MS)
    storage.wake_at(now_ms())

    async def went_off() -> bool:
        return alarms(storage) == 1

    await until(went_off)


async def test_an_alarm_set_in_a_transaction_that_raised_does_not_go_off(storage: ObjectStorage) -> None:
    def break_in_the_middle() -> None:
        storage.wake_at(now_ms())
        raise ZeroDivisionError

    with raises(ZeroDivisionError):
        storage.transaction(break_in_the_middle)
    assert await storage._storage.getAlarm() is jsnull
