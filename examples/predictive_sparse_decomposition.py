"""Predictive sparse decomposition of photographs: a code by optimisation, and one predicted.

    python examples/predictive_sparse_decomposition.py

Learns atoms of patches of scikit-learn's two sample photographs, with a `tanh` predictor and with
`lista`. Writes a picture: the atoms, and the code of a patch found and predicted.
"""

import argparse
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from sklearn.datasets import load_sample_images
from sklearn.decomposition import PCA
from sklearn.feature_extraction.image import extract_patches_2d

import keras_ae

Array = npt.NDArray[np.float32]
SIDE, UNITS, SPARSITY, PREDICTION = 12, 256, 2.0, 1.0
COMPONENTS, ATOMS, SHOWN = 64, 144, 60
COLORS = {"tanh": "#c0392b", "lista": "#1f6fb4"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path("demo_out"), help="folder to write")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    train, test = patches(20_000, seed=0), patches(1000, seed=1)
    # Without the finest details, which are noise, and turned back, to be looked at.
    whiten = PCA(COMPONENTS, whiten=True).fit(train)
    train, test = (whiten.transform(x) @ whiten.components_ for x in (train, test))

    models = {}
    print(f"{'predictor':10}{'objective':>11}{'over optimum':>14}{'SNR dB':>8}{'units on':>10}")
    for kind in COLORS:
        keras.utils.set_random_seed(0)
        model = keras_ae.PredictiveSparseDecomposition(
            SIDE**2, UNITS, SPARSITY, PREDICTION, predictor=kind
        )
        steps = arguments.epochs * -(-len(train) // 256)
        rate = keras.optimizers.schedules.CosineDecay(1e-2, steps)
        model.compile(keras.optimizers.Adam(rate))
        history = model.fit(train, epochs=arguments.epochs, batch_size=256, verbose=0).history
        quality = model.prediction_quality(test)
        on = (model.infer(test, prediction=0) != 0).sum(axis=1).mean()
        print(
            f"{kind:10}{history['loss'][-1]:11.2f}{quality.objective_gap:14.1%}"
            f"{quality.snr:8.1f}{on:10.1f}",
            flush=True,
        )
        models[kind] = model

    figure = Figure(figsize=(13, 6), dpi=110, layout="constrained")
    ((left, right),) = figure.subfigures(1, 2, squeeze=False, width_ratios=(1, 1.1))
    draw_atoms(left, models["lista"], test)
    draw_codes(right, models, test)
    figure.savefig(arguments.out / "psd.png")
    print(f"\nSee {arguments.out / 'psd.png'}")


def patches(number: int, seed: int) -> Array:
    """Patches of grey photographs, each with its mean taken off and its contrast evened out."""
    grey = [photograph.mean(axis=2) / 255 for photograph in load_sample_images().images]
    found = np.concatenate(
        [
            extract_patches_2d(x, (SIDE, SIDE), max_patches=number // 2, random_state=seed)
            for x in grey
        ]
    )
    flat = found.reshape(number, -1).astype("float32")
    flat -= flat.mean(axis=1, keepdims=True)
    return flat / (flat.std(axis=1, keepdims=True) + 0.05)


def draw_atoms(figure: Any, model: keras_ae.PredictiveSparseDecomposition, x: Array) -> None:
    used = (model.infer(x, prediction=0) != 0).mean(axis=0)
    atoms = model.dictionary.numpy()[np.argsort(-used)[:ATOMS]]
    figure.suptitle(f"the {ATOMS} atoms of {UNITS} that most patches use")
    keras_ae.plotting.filters(atoms, columns=12, figure=figure)


def draw_codes(figure: Any, models: dict[str, Any], x: Array) -> None:
    """Draw the code of the patch with most in it, found and predicted."""
    x = x[np.argmax(np.square(x).sum(axis=1))][None]
    rows = figure.subplots(len(models), 1, sharex=True, sharey=True)
    for axes, (kind, model) in zip(rows, models.items(), strict=True):
        optimal, predicted = model.infer(x, prediction=0)[0], model.encode(x)[0]
        order = np.argsort(-np.abs(optimal))[:SHOWN]
        places = np.arange(SHOWN)
        axes.bar(places, optimal[order], color="#bbbbbb", label="found by FISTA")
        axes.plot(places, predicted[order], ".", color=COLORS[kind], label=f"predicted by {kind}")
        axes.axhline(0, color="black", linewidth=0.5)
        axes.set_ylabel("code")
        axes.legend()
    rows[0].set_title(f"code of one patch, its {SHOWN} largest units first")


if __name__ == "__main__":
    main()
