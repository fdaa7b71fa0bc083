"""Register the package's classes with Keras, without making `import keras_ae` import Keras.

Keras can only load a file with our layers after their modules were imported. Importing them from
`keras_ae/__init__.py` would make a search service pay for TensorFlow. So they are imported when the
program itself imports Keras, whichever of the two comes first.
"""

import importlib
import importlib.abc
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

_MODULES = tuple(f"keras_ae.{part}" for part in ("regularizers", "layers", "metrics", "models"))


class _KerasWatcher(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "keras":
            return None
        finders = (finder for finder in sys.meta_path if finder is not self)
        found = (finder.find_spec(fullname, path, target) for finder in finders)
        spec = next((spec for spec in found if spec is not None), None)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            # Asking for the spec is not importing: only what runs here may end the watch.
            def execute_then_register(module: ModuleType) -> None:
                execute(module)
                sys.meta_path.remove(self)
                _import_modules()

            spec.loader.exec_module = execute_then_register  # type: ignore[method-assign]
        return spec


def _import_modules() -> None:
    for name in _MODULES:
        importlib.import_module(name)


def register_with_keras() -> None:
    """Import our Keras classes now if Keras is there, else as soon as it is imported."""
    if sys.modules.get("keras") is not None:
        _import_modules()
    else:
        sys.meta_path.insert(0, _KerasWatcher())
