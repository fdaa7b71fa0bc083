import keras
import numpy as np
import pytest
import scipy.ndimage

from keras_ae import AffineCorruption


def fixed(layer, monkeypatch, **draws):
    """Make a layer draw given numbers: radians, factors less 1, and pixels."""
    order = ("turn", "x_scale", "y_scale", "slant", "x_shift", "y_shift")
    values = iter([draws.get(name, 0.0) for name in order])
    monkeypatch.setattr(
        layer, "_draw", lambda n, most: keras.ops.full((n, 1), next(values), "float32")
    )


@pytest.mark.parametrize(
    "draws",
    [
        {},
        {"x_shift": 2.0},
        {"y_shift": -1.5},
        {"turn": 0.3},
        {"x_scale": 0.2, "y_scale": -0.1},
        {"slant": 0.25},
        {"turn": -0.4, "x_scale": -0.2, "y_scale": 0.3, "slant": -0.3, "x_shift": 1.2},
    ],
)
def test_it_is_the_map_that_scipy_applies(draws, monkeypatch):
    images = np.random.default_rng(0).random((2, 9, 12, 2)).astype("float32")
    layer = AffineCorruption()
    fixed(layer, monkeypatch, **draws)
    moved = keras.ops.convert_to_numpy(layer(images, training=True))
    turn, slant = draws.get("turn", 0.0), draws.get("slant", 0.0)
    scales = np.diag([1 + draws.get("x_scale", 0.0), 1 + draws.get("y_scale", 0.0)])
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    # In x and y; SciPy takes rows and columns.
    matrix = (rotation @ np.array([[1, slant], [0, 1]]) @ scales)[::-1, ::-1]
    middle = np.array([4.0, 5.5])
    shift = np.array([draws.get("y_shift", 0.0), draws.get("x_shift", 0.0)])
    for image, result in zip(images, moved, strict=True):
        for channel in range(2):
            expected = scipy.ndimage.affine_transform(
                # With a border of zeros, which it else leaves out of the interpolation.
                np.pad(image[..., channel], 3), matrix, middle + 3 + shift - matrix @ (middle + 3),
                order=1,
            )[3:-3, 3:-3]  # fmt: skip
            np.testing.assert_allclose(result[..., channel], expected, atol=1e-5)


def test_every_image_moves_in_its_own_way_within_the_ranges():
    # One bright pixel in the middle shows the shift alone.
    images = np.zeros((400, 41, 41, 1), "float32")
    images[:, 20, 20] = 1.0
    moved = keras.ops.convert_to_numpy(
        AffineCorruption(0.25, 90, 0, 0, seed=0)(images, training=True)
    )
    weights = moved.sum(axis=(1, 2, 3))
    rows = (moved.sum(axis=(2, 3)) * np.arange(41)).sum(axis=1) / weights - 20
    columns = (moved.sum(axis=(1, 3)) * np.arange(41)).sum(axis=1) / weights - 20
    # It is the source that moves, before it is turned.
    radii = np.hypot(rows, columns)
    assert radii.max() <= np.hypot(10.25, 10.25) + 1
    assert radii.max() > 11
    assert len(np.unique(rows.round(3))) > 350
    assert abs(rows.mean()) < 0.8
    assert abs(columns.mean()) < 0.8


def test_flat_images_move_as_whole_ones_do():
    images = np.random.default_rng(0).random((3, 5, 4, 2)).astype("float32")
    whole = AffineCorruption(seed=1)(images, training=True)
    flat = AffineCorruption(image_shape=(5, 4, 2), seed=1)(images.reshape(3, -1), training=True)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(flat), keras.ops.convert_to_numpy(whole).reshape(3, -1)
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shift": -0.1}, "shift must be a finite number >= 0"),
        ({"rotation": None}, "rotation must be a finite number >= 0"),
        ({"scale": 1.0}, "scale must be less than 1. Received: scale=1.0"),
        ({"scale": -1}, "scale must be a finite number >= 0"),
        ({"shear": float("nan")}, "shear must be a finite number >= 0"),
        ({"image_shape": (28, 28)}, r"image_shape must be \(height, width, channels\) or None"),
        ({"image_shape": (28, 0, 1)}, "image_shape must be an integer >= 1"),
        ({"seed": -1}, "seed must be an integer >= 0"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        AffineCorruption(**arguments)


def test_refuses_inputs_of_another_shape():
    with pytest.raises(ValueError, match=r"must have shape \(n, height, width, channels\)"):
        AffineCorruption()(np.zeros((2, 16)))
    with pytest.raises(ValueError, match=r"must have shape \(n, 16\). Received: inputs of \(2, 4"):
        AffineCorruption(image_shape=(4, 4, 1))(np.zeros((2, 4, 4, 1)))
