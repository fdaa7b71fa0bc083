"""Training a deep autoencoder one layer at a time, before all of it together."""

import math
import os
import random
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_ae._chain import flattened
from keras_ae._checks import check_finite, check_integer
from keras_ae.models._pretraining_backup import PretrainingBackup
from keras_ae.models._pretraining_stages import split_into_stages
from keras_ae.models.autoencoder import Autoencoder
from keras_ae.models.mirror import known_shape
from keras_ae.types import FloatArray


def pretrain_layerwise(
    stack: keras.Model,
    x: FloatArray,
    *,
    output_activation: Any = None,
    corruption: keras.layers.Layer | Sequence[keras.layers.Layer | None] | None = None,
    optimizer: str | keras.optimizers.Optimizer = "adam",
    loss: Any = "mse",
    epochs: int | Sequence[int] = 10,
    batch_size: int = 32,
    backup_dir: str | os.PathLike[str] | None = None,
    verbose: str | int = "auto",
) -> Autoencoder:
    """Train the layers of an encoder one after the other, each as a shallow autoencoder.

    `min_{f_l, g_l} L(h_{l-1}, g_l(f_l(h_{l-1})))`, with `h_0 = x`, `h_l = f_l(h_{l-1})`, for
    `l = 1, ..., L` in turn

    A stage `f_l` is a layer with a kernel (`Dense`, a convolution, or one in a `Contractive`) with
    all that follow it up to the next: normalization, activation, pooling, dropout. What stands
    before the first one belongs to it. Its decoder `g_l` is its `mirror`; it ends in the activation
    that `h_{l-1}` comes from, as far as that is elementwise, and for `x` in `output_activation`.
    While a stage trains the stages below are frozen: they only made its data, once, as at
    inference. The penalties of its layers, such as contraction, act on it as in any training.

    The result is one deep `Autoencoder`, with `stack` as its encoder and the trained decoders in
    reverse as its decoder: compile it and fit it to fine-tune all of it together. It has no
    corruption.

    With `backup_dir` the state is written there after every epoch. A call with the same arguments
    on a new `stack` of the same layers then goes on at the epoch where the last one was interrupted
    and ends with the same weights as without the interruption: the order of the examples, the
    noise and the initial weights are those of the backup. Functions are told apart by their names.
    Remove the folder to start anew.

    Args:
        stack: The encoder, a `keras.Sequential` or a functional chain, with an input of known
            shape. It is trained in place.
        x: Training examples `(n, ...)`, n >= 1, an array of finite numbers. The codes of one stage
            at a time are in memory besides.
        output_activation: Activation of the reconstruction of `x`, as in `keras.layers.Dense`:
            `"sigmoid"` for inputs in [0, 1].
        corruption: Layer that corrupts the input of a stage in training, such as
            `MaskingCorruption`; one for all stages, a list with one or `None` for each, or `None`.
            Each stage gets a copy.
        optimizer: Name or `keras.optimizers.Optimizer`; each stage gets a fresh copy.
        loss: Loss between the input of a stage and its reconstruction, as in
            `keras.Model.compile`; one for all stages or a list with one for each.
        epochs: Epochs of each stage, an integer >= 1, or a list with one for each.
        batch_size: Examples in a batch, an integer >= 1.
        backup_dir: Folder for the state of the training, made if need be, or `None`.
        verbose: As in `keras.Model.fit`, with a line above that names the stage.

    Returns:
        A `keras_ae.Autoencoder` that is built and not compiled.

    Raises:
        ValueError: An argument is not as above, `backup_dir` holds the backup of another call, or
            the training of a stage came to weights that are not finite.

    Example:

    >>> import keras, keras_ae
    >>> x = keras.ops.convert_to_numpy(keras.random.uniform((64, 16)))
    >>> stack = keras.Sequential([
    ...     keras.Input((16,)),
    ...     keras_ae.ContractiveDense(12, activation="sigmoid", contraction=1e-3),
    ...     keras.layers.Dense(4)])
    >>> autoencoder = keras_ae.pretrain_layerwise(
    ...     stack, x, corruption=[keras_ae.MaskingCorruption(0.2), None], epochs=[3, 2], verbose=0)
    >>> autoencoder.compile("adam", "mse")
    >>> history = autoencoder.fit(x, epochs=2, verbose=0)
    >>> autoencoder.encode(x).shape
    (64, 4)

    Reference:
        Hinton and Salakhutdinov: Reducing the Dimensionality of Data with Neural Networks, 2006.
        Bengio, Lamblin, Popovici, Larochelle: Greedy Layer-Wise Training of Deep Networks, 2007.
        Vincent, Larochelle, Lajoie, Bengio, Manzagol: Stacked Denoising Autoencoders, 2010.
    """
    shape = known_shape("stack", stack)
    x = check_finite("x", x)
    if len(x) == 0 or x.shape[1:] != shape[1:]:
        raise ValueError(
            f"x must have the shape {shape}, with at least one example. "
            f"Received: x with shape={x.shape}"
        )
    check_integer("batch_size", batch_size, minimum=1)
    stages = split_into_stages(stack, shape, output_activation)
    corruptions = [_copy_of_corruption(c) for c in _for_each("corruption", corruption, stages)]
    losses = [_check_loss(term) for term in _for_each("loss", loss, stages)]
    counts = [check_integer("epochs", e, minimum=1) for e in _for_each("epochs", epochs, stages)]
    optimizer = keras.optimizers.get(optimizer)
    models = []
    for (encoder, decoder), noise, term in zip(stages, corruptions, losses, strict=True):
        model = Autoencoder(encoder, decoder, noise)
        model.build(encoder.input_shape)
        model.compile(type(optimizer).from_config(optimizer.get_config()), term)
        model.optimizer.build(model.trainable_variables)
        models.append(model)

    order_seed = random.randrange(2**32)  # `keras.utils.set_random_seed` sets it.
    backup = None
    if backup_dir is not None:
        signature = {
            "stack": [keras.saving.serialize_keras_object(layer) for layer in flattened(stack)],
            "x": x,
            "output_activation": keras.saving.serialize_keras_object(output_activation),
            "corruption": [keras.saving.serialize_keras_object(noise) for noise in corruptions],
            "optimizer": keras.saving.serialize_keras_object(optimizer),
            "loss": [keras.saving.serialize_keras_object(term) for term in losses],
            "epochs": counts,
            "batch_size": batch_size,
        }
        backup = PretrainingBackup(backup_dir, signature, models, order_seed)
        order_seed = backup.order_seed

    codes = x.astype(keras.config.floatx(), copy=False)
    for stage, model in enumerate(models):
        done = 0 if backup is None else backup.restore(stage)
        if verbose:
            print(
                f"Stage {stage + 1} of {len(models)}: {_title(model.encoder)}"
                f"{f', {done} of {counts[stage]} epochs from the backup' if done else ''}"
            )
        if done < counts[stage]:
            batches = _Batches(codes, batch_size, [order_seed, stage])
            model.fit(
                batches,
                initial_epoch=done,
                epochs=counts[stage],
                shuffle=False,  # The batches shuffle on their own.
                callbacks=[_Epochs(batches, stage, backup)],
                verbose=verbose,
            )
            _check_trained(stage, model)
            if backup is not None:
                backup.save(stage, counts[stage])
        if stage + 1 < len(models):
            codes = model.encoder.predict(codes, batch_size=batch_size, verbose=0)
            codes = check_finite(f"codes of stage {stage + 1}", codes.astype(keras.config.floatx()))
    decoder = keras.Sequential(
        [
            keras.Input(stack.output_shape[1:]),
            *(layer for model in reversed(models) for layer in model.decoder.layers),
        ],
        name="decoder",
    )
    autoencoder = Autoencoder(stack, decoder)
    autoencoder.build(shape)
    return autoencoder


class _Batches(keras.utils.PyDataset):
    """Batches in an order that depends on the epoch alone, wherever the training began."""

    def __init__(self, x: FloatArray, batch_size: int, seed: list[int]) -> None:
        super().__init__()
        self.x = x
        self.size = batch_size
        self.seed = seed
        self.begin(0)

    def begin(self, epoch: int) -> None:
        self.order = np.random.default_rng([*self.seed, epoch]).permutation(len(self.x))

    def __len__(self) -> int:
        return math.ceil(len(self.x) / self.size)

    def __getitem__(self, index: int) -> tuple[FloatArray]:
        return (self.x[self.order[index * self.size : (index + 1) * self.size]],)


class _Epochs(keras.callbacks.Callback):
    """Start each epoch with its own order, and end it with a backup."""

    def __init__(self, batches: _Batches, stage: int, backup: PretrainingBackup | None) -> None:
        super().__init__()
        self.batches = batches
        self.stage = stage
        self.backup = backup

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.batches.begin(epoch)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        # The last epoch is not complete here: `fit` has yet to put averaged weights in place.
        if self.backup is not None and epoch + 1 < self.params["epochs"]:
            self.backup.save(self.stage, epoch + 1)


def _for_each(name: str, value: Any, stages: Sequence[Any]) -> list[Any]:
    if not isinstance(value, list | tuple):
        return [value] * len(stages)
    if len(value) != len(stages):
        raise ValueError(
            f"{name} must be one for all stages or a list of {len(stages)}, one for each. "
            f"Received: {name}={value!r}"
        )
    return list(value)


def _copy_of_corruption(corruption: Any) -> keras.layers.Layer | None:
    if corruption is None:
        return None
    if not isinstance(corruption, keras.layers.Layer):
        raise ValueError(
            "corruption must be a Keras layer, None or a list of those. "
            f"Received: corruption={corruption!r}"
        )
    return type(corruption).from_config(corruption.get_config())


def _check_loss(loss: Any) -> Any:
    if keras.losses.get(loss) is None:
        raise ValueError(f"loss must be a Keras loss or a list of those. Received: loss={loss!r}")
    return loss


def _check_trained(stage: int, model: Autoencoder) -> None:
    weights = [keras.ops.convert_to_numpy(keras.ops.isfinite(w)) for w in model.weights]
    if not all(finite.all() for finite in weights):
        raise ValueError(
            "optimizer must train every stage to finite weights; try a smaller learning rate. "
            f"Received: NaN or infinite weights after stage {stage + 1}, {_title(model.encoder)}"
        )


def _title(encoder: keras.Sequential) -> str:
    names = ", ".join(layer.name for layer in encoder.layers)
    return f"{names}: {encoder.input_shape[1:]} to {encoder.output_shape[1:]}"
