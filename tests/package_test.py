"""The public surface, how it loads, and which part may import which."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import keras
import pytest

import keras_ae

ROOT = Path(keras_ae.__file__).parent
PUBLIC = {
    "AffineCorruption",
    "Autoencoder",
    "BatchTopK",
    "BinaryCode",
    "BitRegularizer",
    "Contractive",
    "ContractiveDense",
    "ContractiveRegularizer",
    "DenoisingAutoencoder",
    "GatedReLU",
    "GaussianCorruption",
    "HammingIndex",
    "JumpReLU",
    "KLSparsityRegularizer",
    "LabelConsistency",
    "LaplaceActivityRegularizer",
    "MaskingCorruption",
    "PSDPredictor",
    "PackBits",
    "PredictiveSparseDecomposition",
    "PriorActivityRegularizer",
    "RangeCorruption",
    "SaltAndPepperCorruption",
    "SemanticHasher",
    "SparseAutoencoder",
    "TangentPropagated",
    "TangentPropagation",
    "TanhCode",
    "TiedDense",
    "TopK",
    "ViewConsistency",
    "analysis",
    "callbacks",
    "convolutional_autoencoder",
    "dense_autoencoder",
    "export",
    "layers",
    "metrics",
    "models",
    "ops",
    "plotting",
    "pretrain_layerwise",
    "regularizers",
    "retrieval",
}
# Each may import itself and what stands before it.
ORDER = ["ops", "regularizers", "layers", "metrics", "callbacks", "models"]
KERAS = ["layers", "regularizers", "metrics", "callbacks", "models"]
ENDS = ["analysis", "retrieval", "export"]


def imports(path: Path) -> set[str]:
    """Top-level names and parts of keras_ae that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module))
    return found


def files(part: str) -> list[Path]:
    return [*(ROOT / part).rglob("*.py"), *ROOT.glob(f"{part}.py")]


def test_public_surface():
    assert set(keras_ae.__all__) == PUBLIC
    for name in keras_ae.__all__:
        assert name in dir(keras_ae)
        assert getattr(keras_ae, name).__doc__
    with pytest.raises(AttributeError, match="has no attribute 'ContractveDense'"):
        _ = keras_ae.ContractveDense


def test_type_checkers_see_the_same_names():
    tree = ast.parse((ROOT / "__init__.py").read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    assert {alias.asname for node in block.body for alias in node.names} >= PUBLIC - {
        "callbacks",
        "layers",
        "metrics",
        "models",
        "ops",
        "regularizers",
        "retrieval",
    }


def test_imports_flow_one_way():
    for position, part in enumerate(ORDER):
        allowed = {*ORDER[: position + 1]}
        for path in files(part):
            used = {name.split(".")[1] for name in imports(path) if name.startswith("keras_ae.")}
            assert {name for name in used if not name.startswith("_")} - {"types"} <= allowed, path
    for part in ENDS:
        for path in files(part):
            used = {name.split(".")[1] for name in imports(path) if name.startswith("keras_ae.")}
            assert not used & ({*ENDS, "plotting"} - {part}), path


def test_only_one_module_each_and_export_know_the_backend():
    for path in ROOT.rglob("*.py"):
        if path.parent.name == "export" or path.name.endswith("_backend.py"):
            continue
        assert not {name.split(".")[0] for name in imports(path)} & {"tensorflow", "jax"}, path


def test_every_keras_class_is_registered():
    for module in KERAS:
        for name, value in vars(getattr(keras_ae, module)).items():
            if isinstance(value, type) and module != "callbacks":  # Keras never saves those.
                assert keras.saving.get_registered_name(value) == f"keras_ae>{name}"


@pytest.mark.parametrize(
    "lines",
    [
        "import keras, keras_ae",
        "import keras_ae, keras",
        "import keras_ae.layers.binary_code, keras",
        "import keras_ae, importlib.util; importlib.util.find_spec('keras'); import keras",
    ],
)
def test_a_file_opens_whatever_was_imported_first(lines, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "hasher.keras"
    if not path.exists():
        keras_ae.SemanticHasher.dense(8, hidden=(4,), bits=8).save(path)
    script = f"{lines}\nprint(keras.models.load_model({str(path)!r}).bits)"
    process = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert process.stdout.strip() == "8", process.stderr


def test_importing_the_package_or_searching_does_not_import_keras():
    script = (
        "import sys, keras_ae, numpy as np\n"
        "keras_ae.HammingIndex(8).add(np.zeros((1, 1), 'uint8'))\n"
        "print({'keras', 'tensorflow'} & set(sys.modules))"
    )
    process = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert process.stdout.strip() == "set()", process.stderr


def test_every_public_docstring_has_an_example_and_a_keras_class_a_reference():
    for module in (*KERAS, "analysis", "export", "retrieval", "plotting"):
        for name, value in vars(getattr(keras_ae, module)).items():
            home = getattr(value, "__module__", "")
            if name.startswith("_") or not home.startswith(f"keras_ae.{module}"):
                continue
            if isinstance(value, type) and issubclass(value, Exception):
                continue
            if name in {"ExportResult", "Parity"}:  # Made by the library, shown with its makers.
                continue
            assert re.search(r"Example:\s+>>> ", value.__doc__), name
            if module in KERAS and name != "PackBits":
                assert re.search(r"Reference:\s+\w.*\d{4}", value.__doc__, re.S), name
