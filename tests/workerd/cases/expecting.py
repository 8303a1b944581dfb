"""What a case expects to fail: pytest is not vendored into Workers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

Failure = TypeVar("Failure", bound=BaseException)


@contextmanager
def raises(kind: type[Failure]) -> Iterator[list[Failure]]:
    """AssertionError unless the block raises a `kind`, which then stands in the list."""
    caught: list[Failure] = []
    try:
        yield caught
    except kind as failure:
        caught.append(failure)
    else:
        raise AssertionError(f"{kind.__name__} was not raised")
