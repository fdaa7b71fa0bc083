"""A deep autoencoder of sigmoid units, with and without layerwise pretraining.

    python examples/deep_pretraining.py                     # scikit-learn's digits, no download
    python examples/deep_pretraining.py --data mnist.npz    # x_train, y_train, x_test, y_test

Trains pixels-256-128-64-30-8 and back from the same initial weights: all of it together, and all of
it together after one layer at a time. Trains it with ReLUs as well, which do learn without.
Writes the pretrained model and one picture.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import numpy.typing as npt
from data import Images, command_line, start
from matplotlib.figure import Figure
from pictures import draw_rows

import keras_ae

HIDDEN, CODE = (256, 128, 64, 30), 8
COLORS = {"no pretraining": "#888888", "pretrained": "#1f5fa8", "ReLU, no pretraining": "#d08a2e"}
SHOWN = 12
Array = npt.NDArray[np.float32]


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--epochs", type=int, help="default: more for small data sets")
    arguments, images = start(parser)
    epochs = arguments.epochs or max(6, 60_000 // len(images.x_train))

    models = {"no pretraining": build(images, "sigmoid")}
    print(f"\n== Pretrain each layer for {(epochs + 1) // 2} epochs")
    models["pretrained"] = keras_ae.pretrain_layerwise(
        build(images, "sigmoid").encoder,
        images.x_train,
        output_activation="sigmoid",
        optimizer=keras.optimizers.Adam(5e-3),
        loss="binary_crossentropy",
        epochs=(epochs + 1) // 2,
        batch_size=64,
        verbose=2,
    )
    before = models["pretrained"].reconstruct(images.x_test)
    models["ReLU, no pretraining"] = build(images, "relu")

    curves = {}
    for name, model in models.items():
        print(f"\n== Train all layers together, {name}, {epochs} epochs")
        curves[name] = train(model, images, epochs)
    models["pretrained"].save(arguments.out / "deep_pretraining.keras")

    rows = {
        "input": images.x_test,
        "no pretraining": models["no pretraining"].reconstruct(images.x_test),
        "pretrained,\nnot yet tuned": before,
        "pretrained": models["pretrained"].reconstruct(images.x_test),
    }
    print(f"\n{'Mean squared error of test images':36}{'before':>8}{'after':>8}")
    for name, errors in curves.items():
        print(f"{name:36}{errors[0]:8.4f}{errors[-1]:8.4f}")
    path = arguments.out / "deep_pretraining.png"
    picture(curves, rows).savefig(path)
    print(f"\nSee {path}")


def build(images: Images, activation: str) -> keras_ae.Autoencoder:
    """Return the deep autoencoder, with the same weights at every call."""
    keras.utils.set_random_seed(0)
    return keras_ae.dense_autoencoder(
        images.x_train.shape[1], HIDDEN, CODE, activation=activation, output_activation="sigmoid"
    )


def train(model: keras_ae.Autoencoder, images: Images, epochs: int) -> list[float]:
    """Return the mean squared error of test images before the first epoch and after each."""
    keras.utils.set_random_seed(0)
    model.compile(keras.optimizers.Adam(1e-3), "binary_crossentropy", metrics=["mse"])
    first = model.evaluate(images.x_test, verbose=0, return_dict=True)["mse"]
    history = model.fit(
        images.x_train,
        validation_data=(images.x_test,),
        epochs=epochs,
        batch_size=64,
        verbose=2,
    ).history
    return [first, *history["val_mse"]]


def picture(curves: dict[str, list[float]], rows: dict[str, Array]) -> Figure:
    figure = Figure(figsize=(11, 6.5), dpi=120, layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=[1, 1], squeeze=False).flat
    axes = top.subplots()
    for name, errors in curves.items():
        label = f"{name}: {errors[-1]:.4f} at the end"
        axes.plot(range(len(errors)), errors, color=COLORS[name], label=label)
    axes.set(title="Error of test images while all layers train together", xlabel="epoch",
             ylabel="mean squared error", yscale="log")  # fmt: skip
    axes.set_yticks(ticks := [0.02, 0.03, 0.05, 0.1, 0.2], [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.legend()
    bottom.suptitle(f"Test images from {CODE} numbers")
    draw_rows(bottom, rows, SHOWN)
    return figure


if __name__ == "__main__":
    main()
