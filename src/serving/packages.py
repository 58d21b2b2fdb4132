"""Packages of requirements-serve.txt; only `src.serving` and scripts/serve.py need them."""

from importlib.util import find_spec

from src.errors import InputError

PACKAGES = ("anyio", "prometheus_client", "soxr", "starlette", "uvicorn")


def check_packages() -> None:
    """Make sure that the packages of the server are installed.

    Raises:
        InputError: one is not; says what to do.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise InputError(f"the server needs {', '.join(missing)}: pip install -r requirements-serve.txt")
