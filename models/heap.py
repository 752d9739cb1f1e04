"""Memory that libraries keep for themselves, given back.

A record window of 28 s takes ten times the memory of a live one. Freed, it stays with the process, once for each thread
that heard one: with 8 people talking the process grew by 100 MB within eight minutes, while nothing more was in use.
"""

import ctypes

_M_ARENA_MAX = -8
"""``malloc.h``: the most arenas that threads share. Two callers are as fast with one."""


def share_one_arena() -> None:
    """Threads that begin from now on share one heap; does nothing where the C library is not glibc."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)


def cache_no_primitives() -> None:
    """oneDNN, which CTranslate2 computes with, keeps nothing of one shape of input for the next, unless the environment
    says how much (``ONEDNN_PRIMITIVE_CACHE_CAPACITY``). It costs no time, and windows of all lengths took 17 MB each
    thread. To be called before the first model computes; does nothing where the C library has no ``setenv``."""
    setenv = getattr(ctypes.CDLL(None), "setenv", None)
    if setenv is not None:
        setenv(b"ONEDNN_PRIMITIVE_CACHE_CAPACITY", b"0", 0)


def give_back() -> None:
    """Free memory goes back to the system (3 to 15 ms); does nothing where the C library is not glibc."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(ctypes.c_size_t(0))
