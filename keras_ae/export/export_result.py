"""What an export gives back."""

from dataclasses import dataclass
from pathlib import Path

from keras_ae.export.parity import Parity


@dataclass(frozen=True)
class ExportResult:
    """An artefact that was written, and the proof that it computes what Keras does.

    Attributes:
        path: The file, or the folder of a SavedModel.
        size: Bytes on disk, a folder's files added up.
        signatures: Names of the functions in it; the first is the one for queries.
        operators: Names of the operators in it, sorted, each once.
        parity: Agreement with Keras, measured in the target's own runtime.
    """

    path: Path
    size: int
    signatures: tuple[str, ...]
    operators: tuple[str, ...]
    parity: Parity
