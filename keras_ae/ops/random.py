"""Random numbers, drawn as fast with XLA as without.

With `shape` a tuple of integers or scalar tensors, and `seed` an integer or a key that a
`keras.random.SeedGenerator` has given, which give the same numbers each time, such a generator, or
`None` for that of Keras:

- `uniform(shape, seed)` returns float32 numbers from [0, 1).
- `normal(shape, seed)` returns float32 numbers from N(0, 1).
- `integers(shape, end, seed)` returns int32 numbers from 0 to `end - 1`.
"""

from keras_ae.ops._backend import backend

integers = backend.integers
normal = backend.normal
uniform = backend.uniform
