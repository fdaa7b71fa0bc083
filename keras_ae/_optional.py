"""Imports of packages that only some users need."""

import importlib
from typing import Any


def optional_import(module: str, extra: str) -> Any:
    """Import a module of an optional dependency, or say how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f'{module.partition(".")[0]} is needed for this: pip install "keras-ae[{extra}]"'
        ) from error
