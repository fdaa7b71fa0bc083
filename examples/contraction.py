"""What a contractive autoencoder learns: to move along the data and not across it.

    python examples/contraction.py                     # scikit-learn's digits, no download
    python examples/contraction.py --data mnist.npz    # x_train, y_train, x_test, y_test

Trains the same tied autoencoder with and without the penalty. Then asks of each encoder how much
the code moves when an image takes a small step: towards a similar image, which is along the data,
or in a random direction, which is across it. Writes one picture, contraction.png.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import numpy.typing as npt
from data import Images, command_line, start
from matplotlib.figure import Figure, SubFigure

import keras_ae
from keras_ae.ops.differentiation import value_and_jacobian

UNITS = 300
PENALTIES = {"no penalty": 0.0, "contractive": 1e-2}
COLORS = {"no penalty": "#888888", "contractive": "#1f5fa8"}
SHOWN, DIRECTIONS, MEASURED = 3, 5, 100
Array = npt.NDArray[np.float32]


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--epochs", type=int, help="default: more for small data sets")
    arguments, images = start(parser)
    epochs = arguments.epochs or max(10, 150_000 // len(images.x_train))
    models = {name: train(images, strength, epochs) for name, strength in PENALTIES.items()}
    figure = draw(models, images)
    path = arguments.out / "contraction.png"
    figure.savefig(path)
    print(f"Picture: {path}")


def train(images: Images, strength: float, epochs: int) -> keras_ae.Autoencoder:
    keras.utils.set_random_seed(0)
    pixels = images.x_train.shape[1]
    hidden = keras_ae.ContractiveDense(UNITS, "sigmoid", contraction=strength)
    encoder = keras.Sequential([keras.Input((pixels,)), hidden])
    decoder = keras.Sequential([keras.Input((UNITS,)), keras_ae.TiedDense(hidden, "sigmoid")])
    model = keras_ae.Autoencoder(encoder, decoder)
    norm = keras_ae.metrics.JacobianNorm(encoder)
    model.compile(keras.optimizers.Adam(2e-3), "binary_crossentropy", metrics=["mse", norm])
    print(f"\n== Contraction {strength}, {epochs} epochs")
    model.fit(images.x_train, epochs=epochs, batch_size=100, verbose=2)
    return model


def jacobians(model: keras_ae.Autoencoder, x: Array) -> Array:
    """The Jacobian of the encoder at each image, `(n, units, pixels)`."""
    return np.asarray(value_and_jacobian(model.encoder, keras.ops.convert_to_tensor(x))[1])


def towards_neighbours(x: Array, gallery: Array, count: int = 5) -> Array:
    """Unit steps from each image to its nearest ones, `(n, count, pixels)`."""
    squares = (x**2).sum(1)[:, None] - 2 * x @ gallery.T + (gallery**2).sum(1)
    nearest = gallery[np.argsort(squares, axis=1)[:, :count]]
    return unit(nearest - x[:, None])


def unit(steps: Array) -> Array:
    return steps / np.linalg.norm(steps, axis=-1, keepdims=True)


def response(matrices: Array, steps: Array) -> Array:
    """How far the code moves for each unit step, `|J u|`."""
    return np.linalg.norm(np.einsum("nup,nsp->nsu", matrices, steps), axis=-1).ravel()


def draw(models: dict[str, keras_ae.Autoencoder], images: Images) -> Figure:
    x = images.x_test[:MEASURED]
    along = towards_neighbours(x, images.x_train)
    across = unit(np.random.default_rng(0).normal(size=along.shape).astype("float32"))
    figure = Figure(figsize=(11, 6.5), dpi=120, layout="constrained")
    (top,), (bottom,) = figure.subfigures(2, 1, squeeze=False, height_ratios=[3, 1])
    spectrum, steps = top.subplots(1, 2)
    print(f"\n{'':14}{'|J u| along':>13}{'across':>10}{'ratio':>8}")
    for position, (name, model) in enumerate(models.items()):
        matrices = jacobians(model, x)
        values = np.linalg.svd(matrices, compute_uv=False).mean(axis=0)
        spectrum.plot(np.arange(1, len(values) + 1), values, color=COLORS[name], label=name)
        pair = [response(matrices, along), response(matrices, across)]
        means = [part.mean() for part in pair]
        print(f"{name:14}{means[0]:13.3f}{means[1]:10.3f}{means[0] / means[1]:8.1f}")
        boxes = steps.boxplot(
            pair, positions=[3 * position, 3 * position + 1], widths=0.7, showfliers=False,
            patch_artist=True, tick_labels=["along", "across"],
        )  # fmt: skip
        for box, median in zip(boxes["boxes"], boxes["medians"], strict=True):
            median.set(color="black")
            box.set(facecolor=COLORS[name], alpha=0.6)
        steps.text(3 * position + 0.5, 1.02, f"{name}: ratio {means[0] / means[1]:.1f}",
                   ha="center", transform=steps.get_xaxis_transform())  # fmt: skip
    spectrum.set(title="Mean singular values of the Jacobian", xlabel="rank", ylabel="value",
                 yscale="log")  # fmt: skip
    spectrum.set_ylim(bottom=1e-3)
    spectrum.legend()
    steps.set(ylabel="step of the code for a unit step of the image")
    draw_directions(bottom, models["contractive"], images.x_test[:SHOWN])
    return figure


def draw_directions(panel: SubFigure, model: keras_ae.Autoencoder, x: Array) -> None:
    """Each image and the steps of it that the code follows most: its tangents of the data."""
    panel.suptitle("Images, and the steps that move the contractive code most")
    axes = panel.subplots(1, len(x) * (DIRECTIONS + 1))
    side = round(x.shape[1] ** 0.5)
    _, _, directions = np.linalg.svd(jacobians(model, x), full_matrices=False)
    pictures = np.concatenate([x[:, None], directions[:, :DIRECTIONS]], axis=1)
    for position, picture in enumerate(pictures.reshape(-1, side, side)):
        is_image = position % (DIRECTIONS + 1) == 0
        limit = np.abs(picture).max()
        low, colors = (0, "gray_r") if is_image else (-limit, "RdBu")
        axes[position].imshow(picture, cmap=colors, vmin=low, vmax=limit)
        axes[position].set_axis_off()


if __name__ == "__main__":
    main()
