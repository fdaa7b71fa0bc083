"""What codes look like: their ranking, and how they lie."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from matplotlib import color_sequences
from matplotlib.figure import Figure
from ranking import Pair, precision_and_recall
from sklearn.manifold import TSNE

POINTS = 2000


def draw_codes(codes: Mapping[str, Pair], labels: Pair) -> Figure:
    """Draw the precision against the recall of codes, and a map of the last ones.

    Args:
        codes: Of the gallery and of the queries, uint8, by the name of the method.
        labels: Likewise.
    """
    figure = Figure(figsize=(12, 5), dpi=120, layout="constrained")
    left, right = figure.subplots(1, 2)
    styles = ["-", "--", "-.", ":"]
    for number, (name, pair) in enumerate(codes.items()):
        precision, recall = precision_and_recall(pair, labels)
        left.plot(recall, precision, styles[number % len(styles)], label=name)
    left.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1))
    left.grid(alpha=0.3)
    left.legend(loc="lower left")

    name, (gallery, _) = list(codes.items())[-1]
    chosen = np.random.default_rng(0).permutation(len(gallery))[: min(POINTS, len(gallery) // 4)]
    places = places_of(gallery[chosen])
    classes = labels[0][chosen]
    colors = color_sequences["tab20" if len(np.unique(classes)) > 10 else "tab10"]
    for number, label in enumerate(np.unique(classes)):
        inside = classes == label
        right.scatter(*places[inside].T, s=5, color=colors[number % len(colors)])
        middle = np.median(places[inside], axis=0)
        right.annotate(str(label), middle, weight="bold", ha="center", va="center")
    right.set(title=f"{len(chosen):,} codes of {name}, by t-SNE", xticks=[], yticks=[])
    return figure


def places_of(codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return places in the plane, by t-SNE of Hamming distances."""
    bits = np.unpackbits(codes, axis=1)
    places: npt.NDArray[np.float32] = TSNE(
        metric="hamming", init="random", random_state=0, n_jobs=2
    ).fit_transform(bits)
    return places
