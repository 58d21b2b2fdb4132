"""Packages of requirements-eval.txt and requirements-eval-mandarin.txt, imported when a metric needs them."""

import importlib
from types import ModuleType

from src.errors import InputError


def needed(name: str, listed: str = "requirements-eval.txt") -> ModuleType:
    """Import a package of the file `listed`, or a module of one.

    Raises:
        InputError: it is not installed; says what to do.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(f"--metrics needs the package {name.partition('.')[0]}: pip install -r {listed}") from error
