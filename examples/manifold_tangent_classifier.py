"""The manifold tangent classifier: directions learned without labels make few labels go further.

    python examples/manifold_tangent_classifier.py                     # scikit-learn's digits
    python examples/manifold_tangent_classifier.py --data mnist.npz    # x_train, y_train, ...

A contractive autoencoder sees images without labels. The steps that its code follows most at an
image are those to similar images, along which the class should not change. Trains a classifier on
few labels, from the weights of the encoder, with and without a penalty on its change along these
steps, and counts the errors of both. Writes one picture, manifold_tangent_classifier.png.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import numpy.typing as npt
from data import Images, command_line, start
from matplotlib.figure import Figure

import keras_ae

UNITS, SEEDS, SHOWN = 300, 3, 4
UNLABELLED = 20_000  # Images at most for the autoencoder.
STRENGTHS = {"labels alone": 0.0, "with tangents": 1.0}
COLORS = {"labels alone": "#888888", "with tangents": "#1f5fa8"}
Array = npt.NDArray[np.float32]


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--labels", type=int, help="default: 100 of a small data set, 1,000 else")
    parser.add_argument("--tangents", type=int, help="at each image; default: 5 or 10")
    arguments, images = start(parser)
    small = len(images.x_train) < 10_000
    labels = arguments.labels or (100 if small else 1000)
    count = arguments.tangents or (5 if small else 10)

    x = images.x_train[:UNLABELLED]
    print(f"\n== Train a contractive autoencoder on {len(x)} images without labels")
    encoder = pretrain(x, epochs=60 if small else 6)
    errors: dict[str, list[float]] = {name: [] for name in STRENGTHS}
    for seed in range(SEEDS):
        chosen = np.random.default_rng(seed).permutation(len(x))[:labels]
        print(f"\n== Seed {seed}: {count} tangents at each of {len(chosen)} labelled images")
        steps = keras_ae.analysis.tangents(encoder, x[chosen], count)
        for name, strength in STRENGTHS.items():
            keras.utils.set_random_seed(seed)
            model = train(encoder, strength, x[chosen], steps, images.y_train[chosen])
            errors[name].append(test_error(model, images))
            print(f"{name:16}{errors[name][-1]:6.2f} % of the test images wrong")
    print(f"\nTest error over {SEEDS} seeds, mean and standard deviation")
    for name, values in errors.items():
        print(f"{name:16}{np.mean(values):6.2f} % ± {np.std(values, ddof=1):.2f}")
    path = arguments.out / "manifold_tangent_classifier.png"
    draw(x[chosen], steps, errors, labels).savefig(path)
    print(f"\nSee {path}")


def pretrain(x: Array, epochs: int) -> keras.Sequential:
    keras.utils.set_random_seed(0)
    hidden = keras_ae.ContractiveDense(UNITS, "sigmoid", contraction=1e-2)
    encoder = keras.Sequential([keras.Input(x.shape[1:]), hidden])
    decoder = keras.Sequential([keras.Input((UNITS,)), keras_ae.TiedDense(hidden, "sigmoid")])
    model = keras_ae.Autoencoder(encoder, decoder)
    model.compile(keras.optimizers.Adam(2e-3), "binary_crossentropy")
    model.fit(x, epochs=epochs, batch_size=100, verbose=2)
    return encoder


def train(
    encoder: keras.Sequential, strength: float, x: Array, steps: Array, y: npt.NDArray[np.int64]
) -> keras.Sequential:
    hidden = keras.layers.Dense(UNITS, "sigmoid")
    classifier = keras.Sequential(
        [keras.Input(x.shape[1:]), hidden, keras.layers.Dense(int(y.max()) + 1, "softmax")]
    )
    hidden.set_weights(encoder.get_weights())
    inputs = [keras.Input(x.shape[1:]), keras.Input(steps.shape[1:])]
    model = keras.Model(inputs, keras_ae.TangentPropagated(classifier, strength)(inputs))
    model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", jit_compile=False)
    model.fit([x, steps], y, epochs=max(20, 10_000 // len(x)), batch_size=50, verbose=0)
    return classifier


def test_error(classifier: keras.Sequential, images: Images) -> float:
    guesses = classifier.predict(images.x_test, batch_size=1000, verbose=0).argmax(axis=1)
    return float(100 * np.mean(guesses != images.y_test))


def draw(x: Array, steps: Array, errors: dict[str, list[float]], labels: int) -> Figure:
    """Draw labelled images with their tangents, beside the errors of every seed."""
    figure = Figure(figsize=(11, 4), dpi=120, layout="constrained")
    ((left, right),) = figure.subfigures(1, 2, squeeze=False, width_ratios=[2, 1])
    left.suptitle("Images, and the steps that move the code most")
    cells = left.subplots(SHOWN, 1 + steps.shape[1], squeeze=False)
    side = round(x.shape[1] ** 0.5)
    for row, image, directions in zip(cells, x, steps, strict=False):
        row[0].imshow(image.reshape(side, side), cmap="gray_r", vmin=0, vmax=1)
        for cell, direction in zip(row[1:], directions, strict=True):
            limit = np.abs(direction).max()
            cell.imshow(direction.reshape(side, side), cmap="RdBu_r", vmin=-limit, vmax=limit)
    for cell in cells.flat:
        cell.set_axis_off()
    axes = right.subplots()
    for place, (name, values) in enumerate(errors.items()):
        axes.bar(place, np.mean(values), 0.6, yerr=np.std(values, ddof=1), color=COLORS[name],
                 alpha=0.7, capsize=5)  # fmt: skip
        axes.scatter(np.linspace(-0.1, 0.1, len(values)) + place, values, color="black", zorder=3)
    axes.set(title=f"Test error, {labels} labels", ylabel="percent", xticks=range(len(errors)))
    axes.set_xticklabels(errors)
    return figure


if __name__ == "__main__":
    main()
