"""Packages of requirements-mandarin.txt, imported when a Mandarin text needs them."""

import importlib
import warnings
from types import ModuleType

from src.errors import InputError


def needed(name: str) -> ModuleType:
    """Import a package of requirements-mandarin.txt.

    Raises:
        InputError: it is not installed; says what to do.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old escapes in jieba's source are of no use to the reader
            return importlib.import_module(name)
    except ImportError as error:
        package = {"opencc": "opencc-python-reimplemented"}.get(name, name).partition(".")[0]
        raise InputError(f"Mandarin needs the package {package}: pip install -r requirements-mandarin.txt") from error
