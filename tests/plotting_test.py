import sys

import numpy as np
import pytest

import keras_ae
from keras_ae import plotting

X = np.random.default_rng(0).random((30, 16))


@pytest.fixture
def result():
    codes = np.packbits(X > 0.5, axis=1, bitorder="little")
    index = keras_ae.HammingIndex(16)
    index.add(codes)
    return index.search(codes[:3], k=4)


def titles(figure):
    return [axes.get_title() for axes in figure.axes]


@pytest.mark.parametrize("shape", [(30, 16), (30, 4, 4), (30, 4, 4, 1), (10, 4, 4, 3)])
def test_reconstructions_are_drawn_with_their_errors(shape):
    x = np.resize(X, shape)
    figure = plotting.reconstructions(x[:5], x[:5] + 0.5)
    assert titles(figure) == [""] * 5 + ["0.250"] * 5
    np.testing.assert_array_equal(
        figure.axes[2].images[0].get_array(), x[2].reshape(shape[1:] if shape[-1] == 3 else (4, 4))
    )


def test_neighbours_are_the_images_of_the_ids_with_distances(result):
    figure = plotting.neighbour_grid(X[:3], X, result)
    assert len(figure.axes) == 3 * 5
    assert titles(figure)[1:5] == [str(distance) for distance in result.distances[0]]
    for column, identity in enumerate(result.ids[2]):
        picture = figure.axes[2 * 5 + 1 + column].images[0].get_array()
        np.testing.assert_array_equal(picture, X[identity].reshape(4, 4))


def test_wrong_labels_are_marked(result):
    labels = np.arange(30)
    figure = plotting.neighbour_grid(X[:3], X, result, labels[:3], labels)
    marked = ["✗" in title for title in titles(figure)]
    # Every label is different, so that only the query itself, at distance 0, is right.
    assert marked == [False, False, True, True, True] * 3


def test_a_figure_can_be_saved_and_shows_something(result, tmp_path):
    plotting.neighbour_grid(X[:3], X, result).savefig(tmp_path / "grid.png")
    from matplotlib.image import imread

    pixels = imread(tmp_path / "grid.png")
    assert pixels[..., :3].std() > 0.1


def test_refuses_what_are_not_images(result):
    with pytest.raises(ValueError, match=r"originals must be images .* shape=\(30, 15\)"):
        plotting.reconstructions(X[:, :15], X)
    with pytest.raises(ValueError, match="n >= 1"):
        plotting.reconstructions(X[:0], X[:0])
    with pytest.raises(ValueError, match=r"reconstructed must have the shape of originals"):
        plotting.reconstructions(X[:3], X[:4])
    with pytest.raises(ValueError, match="result must hold neighbours of the 2 queries"):
        plotting.neighbour_grid(X[:2], X, result)
    with pytest.raises(ValueError, match="gallery must hold every id of result"):
        plotting.neighbour_grid(X[:3], X[:3], result)


def test_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'matplotlib is needed .* "keras-ae\[plot\]"'):
        plotting.reconstructions(X, X)


def test_integers_are_pixels_of_0_to_255():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 4), dtype=np.uint8)
    other = pixels[::-1]
    figure = plotting.reconstructions(pixels, other)
    errors = ((pixels / 255 - other / 255) ** 2).mean(axis=(1, 2))
    assert titles(figure)[3:] == [f"{error:.3f}" for error in errors]


def test_refuses_labels_and_results_of_another_shape(result):
    with pytest.raises(ValueError, match=r"query_labels must have shape \(3,\)"):
        plotting.neighbour_grid(X[:3], X, result, np.arange(4), np.arange(30))
    with pytest.raises(ValueError, match=r"gallery_labels must have shape \(30,\)"):
        plotting.neighbour_grid(X[:3], X, result, np.arange(3), np.arange(29))
    one = keras_ae.retrieval.SearchResult(result.ids[0], result.distances[0])
    with pytest.raises(ValueError, match="result must hold neighbours of the 4 queries"):
        plotting.neighbour_grid(X[:4], X, one)


def test_filters_are_drawn_on_a_scale_of_their_own_about_zero():
    weights = np.random.default_rng(0).normal(size=(7, 16)) * np.arange(7)[:, None]
    figure = plotting.filters(weights, columns=3)
    assert len(figure.axes) == 9
    for axes, image in zip(figure.axes, weights, strict=False):
        (drawn,) = axes.images
        np.testing.assert_array_equal(drawn.get_array(), image.reshape(4, 4))
        # The first unit has no weights: any range that is symmetric shows them as 0.
        limit = np.abs(image).max() or 1.0
        assert drawn.get_clim() == (-limit, limit)
    assert not any(axes.images for axes in figure.axes[7:])
    low, middle, high = (np.array(drawn.cmap(x)[:3]) for x in (0.0, 0.5, 1.0))
    assert low[2] > low[0]
    assert middle.min() > 0.95
    assert high[0] > high[2]


def test_filters_may_share_a_figure():
    from matplotlib.figure import Figure

    whole = Figure()
    for part in whole.subfigures(1, 2):
        assert plotting.filters(X[:4].reshape(4, 4, 4), columns=2, figure=part) is part
    assert len(whole.axes) == 8


def test_refuses_what_are_not_filters():
    with pytest.raises(ValueError, match=r"weights must be images .* shape=\(30, 15\)"):
        plotting.filters(X[:, :15])
    with pytest.raises(ValueError, match="weights must be images of one channel"):
        plotting.filters(np.ones((2, 4, 4, 3)))
    with pytest.raises(ValueError, match=r"weights must be finite\. .* 1 NaN"):
        plotting.filters(np.where(np.arange(16) == 3, np.nan, X[:1]))
    with pytest.raises(ValueError, match=r"columns must be an integer >= 1\. .*columns=0"):
        plotting.filters(X, columns=0)
