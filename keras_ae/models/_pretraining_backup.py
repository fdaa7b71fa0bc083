"""The state of a layerwise pretraining on disk."""

import hashlib
import json
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from keras import ops

from keras_ae._files import replacing
from keras_ae.models.autoencoder import Autoencoder

_FORMAT = "keras_ae.pretrain_layerwise 1"


class PretrainingBackup:
    """One file a stage, written whole, and one that says what call they belong to.

    Args:
        folder: Where the files are. If there is a backup, it has to be of the same call.
        signature: What tells one call from another, by argument: arrays, and configurations of
            which the names do not count, as Keras numbers them.
        models: The compiled autoencoder of each stage.
        order_seed: Seed of the order of the examples; that of the backup, if there is one, is used.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        signature: dict[str, Any],
        models: Sequence[Autoencoder],
        order_seed: int,
    ) -> None:
        self.folder = Path(folder)
        self.models = models
        self.order_seed = order_seed
        digests = {name: _digest(value) for name, value in signature.items()}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(
                f"backup_dir must be a folder. Received: backup_dir={str(folder)!r} ({error})"
            ) from error
        index = self.folder / "pretraining.json"
        if index.exists():
            self._check(index, digests)
            return
        for stage in range(len(models)):
            self.save(stage, 0)
        # Last: where this file is, the others are complete.
        with replacing(index) as temporary:
            content = {"format": _FORMAT, "order_seed": order_seed, "arguments": digests}
            temporary.write_text(json.dumps(content, indent=1))

    def _check(self, index: Path, digests: dict[str, str]) -> None:
        try:
            content = json.loads(index.read_text())
            if content["format"] != _FORMAT:
                raise ValueError(f"its format is {content['format']!r}, not {_FORMAT!r}")
            self.order_seed = int(content["order_seed"])
            stored = content["arguments"]
            others = [name for name, digest in digests.items() if stored.get(name) != digest]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._unreadable(index, error) from error
        if others:
            raise ValueError(
                "backup_dir must be empty or hold the backup of a call with the same arguments. "
                f"Received: backup_dir={str(self.folder)!r}, of a call with another "
                f"{', '.join(others)}"
            )

    def save(self, stage: int, epoch: int) -> None:
        """Write the state of a stage after so many epochs."""
        with replacing(self._path(stage)) as temporary:
            np.savez(temporary, *map(_array, _state(self.models[stage])), epoch=epoch)

    def restore(self, stage: int) -> int:
        """Give a stage the state of the backup, and return how many epochs it was trained for."""
        path, state = self._path(stage), _state(self.models[stage])
        try:
            # Opened here, because NumPy does not close a file that it cannot read.
            with open(path, "rb") as stream, np.load(stream) as file:
                epoch = int(file["epoch"])
                arrays = [file[f"arr_{i}"] for i in range(len(state))]
            for variable, array in zip(state, arrays, strict=True):
                if array.shape != tuple(variable.shape):
                    raise ValueError(f"shape {array.shape} for {variable.path}")
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise self._unreadable(path, error) from error
        for variable, array in zip(state, arrays, strict=True):
            variable.assign(array)
        return epoch

    def _path(self, stage: int) -> Path:
        return self.folder / f"stage_{stage + 1}.npz"

    def _unreadable(self, path: Path, error: Exception) -> ValueError:
        return ValueError(
            "backup_dir must hold a backup as pretrain_layerwise writes it; remove it to start "
            f"anew. Received: backup_dir={str(self.folder)!r} with {path.name} ({error})"
        )


def _state(model: Autoencoder) -> list[Any]:
    """Return all that changes in training: weights, states of random generators, the optimizer."""
    metrics = {id(variable) for variable in model.metrics_variables}
    own = [variable for variable in model.variables if id(variable) not in metrics]
    return [*own, *model.optimizer.variables]


def _array(variable: Any) -> np.ndarray[Any, Any]:
    array: np.ndarray[Any, Any] = ops.convert_to_numpy(variable)
    # NumPy has no bfloat16.
    return array.astype("float32") if array.dtype.kind == "V" else array


def _digest(value: Any) -> str:
    if isinstance(value, np.ndarray):
        digest = hashlib.sha256(f"{value.dtype.str} {value.shape}".encode())
        digest.update(np.ascontiguousarray(value).data)
    else:
        text = json.dumps(_without_names(value), sort_keys=True, default=str)
        digest = hashlib.sha256(text.encode())
    return digest.hexdigest()


def _without_names(value: Any) -> Any:
    """Leave out names of objects: where there is nothing but a name it is that of a precision."""
    if isinstance(value, dict):
        return {
            key: _without_names(item)
            for key, item in value.items()
            if key != "name" or len(value) == 1
        }
    return [_without_names(item) for item in value] if isinstance(value, list | tuple) else value
