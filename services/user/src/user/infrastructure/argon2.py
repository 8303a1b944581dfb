"""argon2id (RFC 9106) by the reference C library: the shared object in the wheel of argon2-cffi-bindings.

Its own way in needs cffi, which has no wheel for a Worker; ctypes calls the same functions. The library is loaded at
the first hash, never while a Worker starts: a memory snapshot would hold it, and Workers without it could not start
from that.
"""

import base64
import ctypes
import importlib.util
import re
import secrets
from functools import cache
from pathlib import Path
from typing import NamedTuple

from shared_kernel.errors import Fault

_PACKAGE, _LIBRARY = "_argon2_cffi_bindings", "_ffi*.so"
_TYPE_ID = 2
_VERSION = 19
_SALT_BYTES, _HASH_BYTES = 16, 32
_OK, _MISMATCH = 0, -35
_ENCODED = re.compile(r"\$argon2id\$v=(\d+)\$m=(\d+),t=(\d+),p=(\d+)\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]{43}")


class Parameters(NamedTuple):
    """The cost of a hash: memory in KiB, passes over it, and lanes that could be computed side by side."""

    memory_kib: int
    passes: int
    lanes: int


class Argon2Hasher:
    """Hashes with the given parameters, and verifies hashes with any."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters

    def hash(self, password: str) -> str:
        """A new hash, as `$argon2id$...`; raises Fault when the library cannot make it."""
        return hashed(password.encode(), secrets.token_bytes(_SALT_BYTES), self._parameters)

    def verify(self, password_hash: str, password: str) -> bool:
        """Whether the password is the one that was hashed; raises Fault for what is no such hash."""
        secret = password.encode()
        code = _library().argon2id_verify(password_hash.encode(), secret, len(secret))
        if code not in (_OK, _MISMATCH):
            raise Fault(f"argon2 cannot verify a password: error {code}")
        return bool(code == _OK)

    def decoy(self) -> str:
        """A hash with the present parameters that no password has, made without the work of hashing one."""
        memory_kib, passes, lanes = self._parameters
        salt, tag = (_base64(secrets.token_bytes(size)) for size in (_SALT_BYTES, _HASH_BYTES))
        return f"$argon2id$v={_VERSION}$m={memory_kib},t={passes},p={lanes}${salt}${tag}"

    def is_outdated(self, password_hash: str) -> bool:
        """Whether the hash was made with less of anything than the present parameters ask for."""
        encoded = _ENCODED.fullmatch(password_hash)
        if encoded is None:
            return True
        version, *made_with = map(int, encoded.groups())
        return version < _VERSION or any(had < asked for had, asked in zip(made_with, self._parameters, strict=True))


def hashed(secret: bytes, salt: bytes, parameters: Parameters) -> str:
    """The hash of the secret with this salt; raises Fault when the library cannot make it."""
    library = _library()
    cost = (parameters.passes, parameters.memory_kib, parameters.lanes)
    length = library.argon2_encodedlen(*cost, len(salt), _HASH_BYTES, _TYPE_ID)
    encoded = ctypes.create_string_buffer(length)
    code = library.argon2id_hash_encoded(*cost, secret, len(secret), salt, len(salt), _HASH_BYTES, encoded, length)
    if code != _OK:
        raise Fault(f"argon2 cannot hash a password: error {code}")
    return encoded.value.decode()


@cache
def _library() -> ctypes.CDLL:
    package = importlib.util.find_spec(_PACKAGE)
    folders = package.submodule_search_locations if package is not None else None
    found = [path for folder in folders or () for path in Path(folder).glob(_LIBRARY)]
    if len(found) != 1:
        raise Fault(f"the shared library of {_PACKAGE} is not there")
    library = ctypes.CDLL(str(found[0]))
    number, size = ctypes.c_uint32, ctypes.c_size_t
    library.argon2_encodedlen.argtypes = [number, number, number, number, number, ctypes.c_int]
    library.argon2_encodedlen.restype = size
    text, given = ctypes.c_char_p, (ctypes.c_char_p, size)
    library.argon2id_hash_encoded.argtypes = [number, number, number, *given, *given, size, text, size]
    library.argon2id_verify.argtypes = [text, *given]
    return library


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")
