"""argon2id in the Worker: byte for byte the hashes that argon2-cffi makes on the host.

The unit tests hold these known hashes against argon2-cffi itself.
"""

from shared_kernel.errors import Fault
from tests.workerd.cases.expecting import raises
from user.infrastructure.argon2 import Argon2Hasher, Parameters, hashed

PASSWORD = "kata sandi é 密码 \U0001f511"
SALT = b"sixteen salt byt"
CHEAP = Parameters(memory_kib=64, passes=1, lanes=1)
_SALTED = "c2l4dGVlbiBzYWx0IGJ5dA"
KNOWN = {
    CHEAP: f"$argon2id$v=19$m=64,t=1,p=1${_SALTED}$LVjRdtFc5hlT+n4uqiuedzf0RXdpxv/e0urhocU+CEM",
    Parameters(memory_kib=128, passes=3, lanes=2): (
        f"$argon2id$v=19$m=128,t=3,p=2${_SALTED}$DhVfnnoEIMq1/aXDBSyCbJ7FadWwL6QHFQ1EAXUzuIo"
    ),
    Parameters(memory_kib=19456, passes=2, lanes=1): (
        f"$argon2id$v=19$m=19456,t=2,p=1${_SALTED}$Gjrm6Tzj1YINXgF+xVWmp8ZSunFhndRs3kACi+/QzYk"
    ),
}


async def test_hashes_are_those_of_argon2_cffi() -> None:
    for parameters, known in KNOWN.items():
        assert hashed(PASSWORD.encode(), SALT, parameters) == known


async def test_a_hash_of_the_host_verifies() -> None:
    hasher = Argon2Hasher(CHEAP)
    for known in KNOWN.values():
        assert hasher.verify(known, PASSWORD)
        assert not hasher.verify(known, PASSWORD + " ")


async def test_a_new_hash_verifies_and_is_not_outdated() -> None:
    for parameters in KNOWN:
        hasher = Argon2Hasher(parameters)
        password_hash = hasher.hash(PASSWORD)
        assert hasher.verify(password_hash, PASSWORD)
        assert not hasher.is_outdated(password_hash)
        assert not hasher.verify(hasher.decoy(), PASSWORD)


async def test_parameters_that_the_library_refuses_are_a_fault() -> None:
    with raises(Fault):
        hashed(PASSWORD.encode(), SALT, CHEAP._replace(passes=0))
    with raises(Fault):
        Argon2Hasher(CHEAP).verify("$argon2id$v=19$m=64,t=1,p=1$none", PASSWORD)
