"""Packages of requirements-eval.txt, imported when a metric needs them."""

import importlib
from types import ModuleType

from src.errors import InputError


def needed(name: str) -> ModuleType:
    """Import a package of requirements-eval.txt.

    Raises:
        InputError: it is not installed; says what to do.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(f"--metrics needs the package {name}: pip install -r requirements-eval.txt") from error
