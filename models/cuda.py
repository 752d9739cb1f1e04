"""Makes the cuBLAS that pip installed visible to CTranslate2."""

import ctypes
import importlib.util
from pathlib import Path

_LIBRARY = "libcublas.so.12"


def load_cublas() -> bool:
    """Loads cuBLAS 12 from the system or from the package ``nvidia-cublas-cu12``; says whether there is one.

    CTranslate2 asks the loader for ``libcublas.so.12``, and the loader does not look into Python packages; but
    a library that is already loaded answers to its name. Call this before the first model goes to a GPU.
    """
    return any(_loads(candidate) for candidate in (_LIBRARY, *_packaged()))


def _packaged() -> tuple[str, ...]:
    try:
        package = importlib.util.find_spec("nvidia.cublas")
    except ModuleNotFoundError:
        return ()
    folders = package.submodule_search_locations if package else None
    return tuple(str(Path(folder) / "lib" / _LIBRARY) for folder in folders or ())


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
