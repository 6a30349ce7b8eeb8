"""Threads of the linear-algebra library: on small matrices they wait for one another longer than they work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController

WORTHWHILE = 3000  # rows of a dense matrix from which two threads are worth what they lose on a busy machine


@contextmanager
def blas_threads(size: int) -> Iterator[None]:
    """One thread where the matrices have fewer than ``WORTHWHILE`` rows; else as many as there were.

    >>> with blas_threads(50):
    ...     pass
    """
    if size >= WORTHWHILE:
        yield
        return
    with _controller().limit(limits=1, user_api="blas"):
        yield


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()
