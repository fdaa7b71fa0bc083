"""What a linear autoencoder shares with principal component analysis."""

from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keras_ae._checks import check_finite, check_integer
from keras_ae.models.autoencoder import Autoencoder
from keras_ae.types import FloatArray

# Rounding of a GPU that multiplies in less than float32; a bend of a decoder is far above.
_TOLERANCE = 1e-2


class PCAAgreement(NamedTuple):
    """How near a linear autoencoder is to PCA.

    Attributes:
        angles: Principal angles in degrees, 0 to 90, between the span of the decoder and the
            leading principal subspace of the data of the same dimension, largest first.
        excess_error: Mean squared error of the reconstructions relative to that of PCA, minus 1:
            0 for a perfect one, 0.02 for an error 2 % above.

    Example:

    >>> import numpy as np, keras_ae
    >>> agreement = keras_ae.analysis.PCAAgreement(np.array([0.5, 0.1]), 0.02)
    >>> float(agreement.angles.max())
    0.5
    """

    angles: FloatArray
    excess_error: float


def pca_agreement(autoencoder: Autoencoder, x: FloatArray, batch_size: int = 1024) -> PCAAgreement:
    """Compare a linear autoencoder with the principal component analysis of the same data.

    With a decoder `W h + c` and squared error, the best autoencoder of `k` units spans the same
    subspace as the `k` leading principal components and has their error, whatever its encoder. Its
    units need not be the components: any basis of the subspace is as good.

    The angles are those between the span of `W`, whose dimension is the rank of `W`, and as many
    components, with the mean of `x` taken away.

    Args:
        autoencoder: A trained `Autoencoder` whose decoder is affine, found by trying it.
        x: Array `(n, ...)` of finite numbers: the data it was trained on. They must vary in more
            directions than the decoder spans, or PCA has no error to compare with.
        batch_size: Examples at a time, an integer >= 1.

    Returns:
        The angles `(rank,)` and the excess error.

    Raises:
        ValueError: An argument is not as above.

    Example:

    >>> import keras, numpy as np, keras_ae
    >>> x = np.random.default_rng(0).normal(size=(500, 3)).astype("float32") * [5, 1, 0.5]
    >>> model = keras_ae.Autoencoder(keras.layers.Dense(1), keras.layers.Dense(3))
    >>> model.compile(keras.optimizers.Adam(0.1), "mse")
    >>> history = model.fit(x, epochs=20, verbose=0)
    >>> agreement = keras_ae.analysis.pca_agreement(model, x)
    >>> agreement.angles.shape, bool(agreement.excess_error < 0.2)
    ((1,), True)

    Reference:
        Bourlard and Kamp: Auto-Association by Multilayer Perceptrons and Singular Value
        Decomposition, 1988. Baldi and Hornik: Neural Networks and Principal Component Analysis:
        Learning from Examples Without Local Minima, 1989.
    """
    if not isinstance(autoencoder, Autoencoder):
        raise ValueError(
            f"autoencoder must be a keras_ae.Autoencoder. Received: autoencoder={autoencoder!r}"
        )
    check_integer("batch_size", batch_size, minimum=1)
    x = check_finite("x", x)
    reconstructed = autoencoder.reconstruct(x, batch_size)
    if reconstructed.shape != x.shape or x.ndim < 2 or len(x) == 0:
        raise ValueError(
            "x must have the shape (n, ...), n >= 1, in which autoencoder reconstructs it. "
            f"Received: x with shape={x.shape}, reconstructed with shape={reconstructed.shape}"
        )
    span = _span(autoencoder, x[:batch_size].astype(keras.config.floatx()))
    rank = span.shape[1]

    flat = x.reshape(len(x), -1).astype("float64")
    error = np.sum((flat - reconstructed.reshape(len(x), -1)) ** 2)
    flat -= flat.mean(axis=0)
    eigenvalues, eigenvectors = np.linalg.eigh(flat.T @ flat)
    left = eigenvalues[: len(eigenvalues) - rank]
    if not left.size or left[-1] <= 1e-12 * eigenvalues[-1]:
        raise ValueError(
            f"x must vary in more than the {rank} directions that the decoder spans. "
            f"Received: x with shape={x.shape}"
        )
    components = eigenvectors[:, -rank:]
    shared = components.T @ span
    # From sine and cosine both: the arc cosine alone rounds small angles away.
    cosines = np.linalg.svd(shared, compute_uv=False)
    sines = np.linalg.svd(span - components @ shared, compute_uv=False)
    angles = np.degrees(np.arctan2(sines, cosines[::-1]))
    return PCAAgreement(angles, float(error / left.sum() - 1))


def _span(autoencoder: Autoencoder, x: FloatArray) -> FloatArray:
    """Return an orthonormal basis of the directions in which the decoder moves, or raise.

    An affine function is known from its values at 0 and at one point along each axis. They have to
    foretell its values at other points, some of the size of the codes and some far out.
    """
    encoder = autoencoder.encoder
    codes = autoencoder.decoder_input(encoder(ops.convert_to_tensor(x), training=False))
    codes = ops.convert_to_numpy(codes)
    shape, units = codes.shape[1:], codes[0].size
    size = float(np.abs(codes).max()) or 1.0
    axes = size * np.eye(units)
    near = size * np.random.default_rng(0).normal(size=(32, units))
    points = np.concatenate([np.zeros((1, units)), axes, near, 30 * near])
    inputs = ops.convert_to_tensor(points.reshape(-1, *shape).astype(keras.config.floatx()))
    outputs = ops.convert_to_numpy(autoencoder.decoder(inputs, training=False))
    outputs = outputs.astype("float64").reshape(len(points), -1)
    offset, moves = outputs[0], outputs - outputs[0]
    weights = moves[1 : units + 1] / size
    foretold = points @ weights
    wrong = np.abs(moves - foretold).max(axis=1)
    allowed = _TOLERANCE * np.abs(foretold).max(axis=1) + 1e-5 * np.abs(offset).max()
    if not (wrong <= allowed).all():  # Written so that NaN fails.
        raise ValueError(
            "autoencoder must have an affine decoder, W h + c. Received: one whose output is off "
            f"by {wrong.max():.3g} from that of an affine function"
        )
    basis, values, _ = np.linalg.svd(weights.T, full_matrices=False)
    rank = int((values > 1e-5 * values[0]).sum())
    if rank == 0:
        raise ValueError(
            "autoencoder must have a decoder that depends on the code. Received: one whose output "
            "is constant"
        )
    return basis[:, :rank]
