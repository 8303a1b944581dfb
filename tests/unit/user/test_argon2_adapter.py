"""argon2id by ctypes: its hashes are those of argon2-cffi, which calls the same library by cffi."""

import os
import subprocess
import sys

import argon2
import pytest

from shared_kernel.errors import Fault
from tests.workerd.cases.ports.password_hashes import CHEAP, KNOWN, PASSWORD, SALT
from user.infrastructure.argon2 import Argon2Hasher, Parameters, hashed

OWASP = Parameters(memory_kib=19456, passes=2, lanes=1)


# `import ctypes` itself opens the interpreter, which has no name.
LOOKS_ON = """
import sys
opened = []
sys.addaudithook(lambda event, given: opened.append(given[0]) if event == "ctypes.dlopen" and given[0] else None)
import user.infrastructure.argon2 as adapter
assert opened == [], opened
adapter.Argon2Hasher(adapter.Parameters(64, 1, 1)).hash("password")
assert len(opened) == 1, opened
"""


def native(parameters: Parameters) -> argon2.PasswordHasher:
    return argon2.PasswordHasher(
        time_cost=parameters.passes, memory_cost=parameters.memory_kib, parallelism=parameters.lanes
    )


@pytest.mark.parametrize("parameters", [OWASP, CHEAP])
def test_each_verifies_what_the_other_has_hashed(parameters: Parameters) -> None:
    ours = Argon2Hasher(parameters)
    assert native(parameters).verify(ours.hash(PASSWORD), PASSWORD)
    theirs = native(parameters).hash(PASSWORD)
    assert ours.verify(theirs, PASSWORD)
    assert not ours.verify(theirs, PASSWORD + "x")
    assert not native(parameters).check_needs_rehash(ours.hash(PASSWORD))


@pytest.mark.parametrize("parameters", list(KNOWN))
def test_hash_that_the_worker_must_make_is_the_one_of_argon2_cffi(parameters: Parameters) -> None:
    theirs = argon2.low_level.hash_secret(
        PASSWORD.encode(),
        SALT,
        time_cost=parameters.passes,
        memory_cost=parameters.memory_kib,
        parallelism=parameters.lanes,
        hash_len=32,
        type=argon2.low_level.Type.ID,
    ).decode()
    assert KNOWN[parameters] == theirs == hashed(PASSWORD.encode(), SALT, parameters)


def test_two_hashes_of_one_password_differ() -> None:
    hasher = Argon2Hasher(CHEAP)
    assert hasher.hash(PASSWORD) != hasher.hash(PASSWORD)


def test_decoy_costs_what_a_hash_costs_and_nobody_knows_its_password() -> None:
    hasher = Argon2Hasher(OWASP)
    decoy = hasher.decoy()
    assert argon2.extract_parameters(decoy) == argon2.extract_parameters(hasher.hash(PASSWORD))
    assert not hasher.is_outdated(decoy)
    assert not hasher.verify(decoy, PASSWORD)
    assert decoy != hasher.decoy()


@pytest.mark.parametrize(
    ("made_with", "asked_for", "outdated"),
    [
        (CHEAP, CHEAP, False),
        (CHEAP, CHEAP._replace(memory_kib=CHEAP.memory_kib * 2), True),
        (CHEAP, CHEAP._replace(passes=CHEAP.passes + 1), True),
        (CHEAP._replace(memory_kib=CHEAP.memory_kib * 2), CHEAP, False),
    ],
)
def test_hash_is_outdated_when_the_parameters_have_risen(
    made_with: Parameters, asked_for: Parameters, outdated: bool
) -> None:
    assert Argon2Hasher(asked_for).is_outdated(Argon2Hasher(made_with).hash(PASSWORD)) == outdated


@pytest.mark.parametrize("password_hash", ["", "$argon2id$", "$argon2i$v=19$m=8,t=1,p=1$c29tZXNhbHQ$AAAA", "plain"])
def test_what_is_no_hash_is_a_fault_and_no_refusal(password_hash: str) -> None:
    hasher = Argon2Hasher(CHEAP)
    with pytest.raises(Fault):
        hasher.verify(password_hash, PASSWORD)
    assert hasher.is_outdated(password_hash)


def test_parameters_that_the_library_refuses_are_a_fault() -> None:
    with pytest.raises(Fault):
        Argon2Hasher(Parameters(memory_kib=1, passes=0, lanes=1)).hash(PASSWORD)


def test_library_is_loaded_by_the_first_hash_and_not_while_a_worker_starts() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    looking = subprocess.run([sys.executable, "-c", LOOKS_ON], env=environment, capture_output=True, text=True)
    assert looking.returncode == 0, looking.stderr
