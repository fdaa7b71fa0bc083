"""Samples of the distribution that a denoising autoencoder has learned."""

import math
from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from keras_ae._checks import check_choice, check_integer, check_number, check_seed
from keras_ae.analysis._arguments import JIT_COMPILE, at_inference, progress_bar
from keras_ae.analysis.denoising_score import check_points, check_same_shape
from keras_ae.ops import random
from keras_ae.types import FloatArray, Tensor, TensorFunction

Normal = Callable[[], Tensor]
"""Draws fresh standard normal noise of the shape of the chains."""

_MOST_DRAWS = 2  # In a step.

Step = Callable[[Tensor, Normal], Tensor]
"""One step of every chain."""


def sample(
    dae: TensorFunction,
    x: FloatArray,
    stddev: float,
    steps: int,
    method: str = "langevin",
    step_size: float | None = None,
    seed: int | None = None,
    verbose: int | str = "auto",
) -> FloatArray:
    """Run Markov chains whose distribution tends to that of the data, and return their ends.

    One step of each method, with `e, e' ~ N(0, I)` drawn anew and `r` the reconstruction:

    - `"langevin"`: `x <- x + step_size * score(x) + sqrt(2 step_size) e`, with
      `score(x) = (r(x) - x) / stddev^2`;
    - `"walkback"`: `x <- r(x + stddev e) + stddev e'`, the corruption that `r` was trained to undo
      and a draw from around the reconstruction: the chain that walk-back training follows.

    Either is exact in the limit of a small `stddev`, and a small `step_size`, that needs many
    steps: a chain moves about `stddev` a step, and seldom from one mode to another where there is
    little between them.

    Args:
        dae: The reconstruction, as for `score`.
        x: Array `(n, ...)` of finite numbers, where the `n` chains start.
        stddev: Standard deviation of the noise that `dae` was trained with, in units of `x`, a
            finite number > 0.
        steps: Steps of every chain, an integer >= 1.
        method: `"langevin"` or `"walkback"`.
        step_size: Step of `"langevin"`, in units of `x` squared, a finite number > 0; `None` for
            `stddev^2 / 2`, which adds noise of the standard deviation `stddev`.
        seed: Integer >= 0 that makes the chains reproducible, or `None`.
        verbose: `"auto"` or 1 for a progress bar, 2 for one line at the end, 0 for silence.

    Returns:
        NumPy array of the shape of `x`: the state of every chain after the last step.

    Raises:
        ValueError: An argument is not as above, `step_size` is given for `"walkback"`, or a chain
            does not stay finite.

    Example:

    >>> import numpy as np, keras_ae
    >>> def denoise(x):  # The best there is for data of a standard normal distribution.
    ...     return x / (1 + 0.3**2)
    >>> ends = keras_ae.analysis.sample(denoise, np.zeros((500, 1)), 0.3, 200, seed=0, verbose=0)
    >>> bool(0.9 < ends.std() < 1.2)
    True

    Reference:
        Bengio, Yao, Alain, Vincent: Generalized Denoising Auto-Encoders as Generative Models, 2013.
        Roberts and Tweedie: Exponential Convergence of Langevin Distributions and Their Discrete
        Approximations, 1996.
    """
    reconstruct = at_inference("dae", dae)
    x = check_points(x)
    stddev = check_number("stddev", stddev, minimum=0, exclusive=True)
    check_integer("steps", steps, minimum=1)
    check_choice("method", method, ("langevin", "walkback"))
    if method == "walkback" and step_size is not None:
        raise ValueError(
            f"step_size must be None for method='walkback'. Received: step_size={step_size!r}"
        )
    if step_size is None:
        step_size = stddev**2 / 2
    step_size = check_number("step_size", step_size, minimum=0, exclusive=True)
    bar = progress_bar(steps, verbose)
    # Once outside the compiled chain, where a layer may still make its weights.
    check_same_shape(x.shape, reconstruct(ops.convert_to_tensor(x)).shape)
    step = (
        _langevin(reconstruct, stddev, step_size)
        if method == "langevin"
        else _walkback(reconstruct, stddev)
    )
    chain = _Chain(step, check_seed(seed))
    stride = math.ceil(steps / 100)
    ends = x
    for done in range(0, steps, stride):
        count = min(stride, steps - done)
        ends = chain.predict_on_batch([ends, np.array(count, "int32")])
        bar.add(count)
    lost = np.count_nonzero(~np.isfinite(ends).all(axis=tuple(range(1, x.ndim))))
    if lost:
        raise ValueError(
            "dae must keep the chains finite, with a smaller step_size if need be. "
            f"Received: a dae that leads to NaN or infinite values in {lost} of {len(x)} chains"
        )
    return ends


class _Chain(keras.Model):
    """Several steps in one call, compiled by `predict_on_batch`."""

    def __init__(self, step: Step, seed: int | None) -> None:
        super().__init__(name="chain", autocast=False)
        self.jit_compile = JIT_COMPILE
        self.step = step
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs: tuple[Tensor, Tensor]) -> Tensor:
        start, count = inputs

        # On JAX no variable may change within the loop: its keys are those that follow this one.
        first = self.seed_generator.next()
        self.seed_generator.state.assign(first + _nth_key(_MOST_DRAWS * count, first.dtype))

        def step(turn: Tensor, x: Tensor) -> Tensor:
            places = iter(range(_MOST_DRAWS))

            def normal() -> Tensor:
                key = first + _nth_key(_MOST_DRAWS * turn + next(places), first.dtype)
                return ops.cast(random.normal(ops.shape(x), key), x.dtype)

            return self.step(x, normal)

        return ops.fori_loop(0, count, step, start)


def _nth_key(n: Tensor, dtype: str) -> Tensor:
    n = ops.cast(n, dtype)
    return ops.stack([ops.zeros_like(n), n])


def _langevin(reconstruct: TensorFunction, stddev: float, step_size: float) -> Step:
    def step(x: Tensor, normal: Normal) -> Tensor:
        drift = step_size / stddev**2 * (ops.cast(reconstruct(x), x.dtype) - x)
        return x + drift + math.sqrt(2 * step_size) * normal()

    return step


def _walkback(reconstruct: TensorFunction, stddev: float) -> Step:
    def step(x: Tensor, normal: Normal) -> Tensor:
        clean = ops.cast(reconstruct(x + stddev * normal()), x.dtype)
        return clean + stddev * normal()

    return step
