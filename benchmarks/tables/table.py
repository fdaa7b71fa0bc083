"""Rows of figures that say what they were made from, in JSON and Markdown."""

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

PACKAGES = ("keras-ae", "keras", "tensorflow")


class Table:
    """Rows of figures, written to `<out>.json` and `<out>.md` after each of them.

    Rows that are there already, made with the same settings and versions, are kept, so that a long
    run can be taken up where it was stopped.

    Args:
        out: Where to write, without a suffix.
        settings: What was asked for, to stand beside the figures.
        keys: What tells rows apart beside the seed: they are averaged over seeds.
        measures: The names of the figures, with the format of each.

    Attributes:
        rows: What there is so far: the keys, the seed, the seconds and the figures of each.
    """

    def __init__(
        self,
        out: Path,
        settings: Mapping[str, Any],
        keys: Sequence[str],
        measures: Mapping[str, str],
    ) -> None:
        self._out, self._keys, self._measures = out, tuple(keys), dict(measures)
        self._about = {
            "settings": {
                key: value.name if isinstance(value, Path) else value
                for key, value in settings.items()
                if key != "out"
            },
            "versions": {name: version(name) for name in PACKAGES},
        }
        self.rows: list[dict[str, Any]] = []
        path = out.with_suffix(".json")
        if path.exists():
            there = json.loads(path.read_text())
            rows = there.pop("rows")
            self.rows = rows if there == json.loads(json.dumps(self._about)) else []

    def has(self, *key: Any, seed: int = 0) -> bool:
        """Return whether there is a row."""
        wanted = dict(zip(self._keys, key, strict=True)) | {"seed": seed}
        return any(wanted.items() <= row.items() for row in self.rows)

    def add(
        self, *key: Any, values: Sequence[float | None], seed: int = 0, seconds: float = 0.0
    ) -> None:
        """Add a row; a value is `None` where there is none, `seconds` 0 for what is not trained."""
        row = dict(zip(self._keys, key, strict=True)) | {"seed": seed, "seconds": round(seconds, 1)}
        figures = [value if value is None else float(value) for value in values]
        self.rows.append(row | dict(zip(self._measures, figures, strict=True)))
        print(" | ".join(map(str, self.rows[-1].values())), flush=True)
        self._out.with_suffix(".json").write_text(
            json.dumps({**self._about, "rows": self.rows}, indent=1) + "\n"
        )
        self._out.with_suffix(".md").write_text(self._markdown())

    def groups(self) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
        """Return the rows of all seeds, by their keys."""
        groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
        for row in self.rows:
            groups.setdefault(tuple(row[key] for key in self._keys), []).append(row)
        return groups

    def _markdown(self) -> str:
        lines = [f"| {' | '.join([*self._keys, *self._measures, 'seeds', 'training, s'])} |"]
        lines.append("|---" * (2 + len(self._keys) + len(self._measures)) + "|")
        for key, rows in self.groups().items():
            cells = ["" if part == 0 else str(part) for part in key]
            for name, form in self._measures.items():
                values = [row[name] for row in rows if row[name] is not None]
                if not values:
                    cells.append("")
                    continue
                spread = f" ± {np.std(values):{form}}" if len(values) > 1 else ""
                cells.append(f"{np.mean(values):{form}}{spread}")
            seconds = np.mean([row["seconds"] for row in rows])
            cells += [str(len(rows)), f"{seconds:.0f}" if seconds else ""]
            lines.append(f"| {' | '.join(cells)} |")
        return "\n".join(lines) + "\n"
