"""What the tables share: measures of a whole ranking, and rows in JSON and Markdown."""

import json
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from keras_ae.retrieval import HammingIndex, mean_average_precision, precision_at_k

Pair: TypeAlias = Sequence[npt.NDArray[Any]]
TOP = 1000
MEASURES = ("mAP", f"mAP@{TOP}", "P@100")
# Rankings of a whole gallery are large.
_QUERIES = 100


def hamming(codes: Pair, labels: Pair) -> list[float]:
    """Return the measures of the ranking by codes, ties by place in the gallery.

    Args:
        codes: Of the gallery and of the queries, uint8.
        labels: Likewise.
    """
    gallery, queries = codes
    index = HammingIndex(8 * gallery.shape[1])
    index.add(gallery)
    return _scores((index.search(part, len(gallery)).ids for part in _parts(queries)), labels)


def cosine(vectors: Pair, labels: Pair) -> list[float]:
    """Return the measures of the ranking by the cosine of vectors, as `hamming` does."""
    gallery, queries = map(unit, vectors)
    rankings = (np.argsort(-part @ gallery.T, axis=1, kind="stable") for part in _parts(queries))
    return _scores(rankings, labels)


def unit(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return rows of length 1, or of zeros."""
    result: npt.NDArray[Any] = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9)
    return result


def _scores(rankings: Iterable[npt.NDArray[Any]], labels: Pair) -> list[float]:
    there, wanted = labels
    found = []
    for ids, asked in zip(rankings, _parts(wanted), strict=True):
        ranked = there[ids]
        values = (
            mean_average_precision(ranked, asked),
            mean_average_precision(ranked, asked, cutoff=min(TOP, ranked.shape[1])),
            precision_at_k(ranked, asked, 100),
        )
        found.append(np.array(values) * len(asked))
    return [float(value) for value in np.sum(found, axis=0) / len(wanted)]


def _parts(x: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    return [x[i : i + _QUERIES] for i in range(0, len(x), _QUERIES)]


class Table:
    """Rows of figures, written to `<out>.json` and `<out>.md` after each of them.

    Args:
        out: Where to write, without a suffix.
        settings: What was asked for, to stand beside the figures.
    """

    def __init__(self, out: Path, settings: dict[str, Any]) -> None:
        self._rows: list[dict[str, Any]] = []
        self._out = out
        self._about = {
            "settings": {
                key: value.name if isinstance(value, Path) else str(value)
                for key, value in settings.items()
            },
            "versions": {name: version(name) for name in ("keras-ae", "keras", "tensorflow")},
        }

    def add(
        self, method: str, bits: int, seed: int, values: list[float], seconds: float = 0.0
    ) -> None:
        """Add a row: `bits` is 0 for vectors, `seconds` 0 for what is not trained."""
        row = {"method": method, "bits": bits, "seed": seed, "seconds": round(seconds, 1)}
        self._rows.append(row | dict(zip(MEASURES, values, strict=True)))
        print(method, bits, seed, [f"{value:.4f}" for value in values], flush=True)
        self._out.with_suffix(".json").write_text(
            json.dumps({**self._about, "rows": self._rows}, indent=1) + "\n"
        )
        self._out.with_suffix(".md").write_text(self._markdown())

    def _markdown(self) -> str:
        lines = [f"| method | bits | {' | '.join(MEASURES)} | seeds | training, s |"]
        lines.append("|---" * (4 + len(MEASURES)) + "|")
        for method, bits in dict.fromkeys((row["method"], row["bits"]) for row in self._rows):
            rows = [row for row in self._rows if (row["method"], row["bits"]) == (method, bits)]
            cells = []
            for name in MEASURES:
                values = [100 * row[name] for row in rows]
                spread = f" ± {np.std(values):.1f}" if len(values) > 1 else ""
                cells.append(f"{np.mean(values):.1f}{spread}")
            seconds = np.mean([row["seconds"] for row in rows])
            cells += [str(len(rows)), f"{seconds:.0f}" if seconds else ""]
            lines.append(f"| {method} | {bits or ''} | {' | '.join(cells)} |")
        return "\n".join(lines) + "\n"
