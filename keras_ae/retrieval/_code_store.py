"""Codes by id, ascending: what an index keeps, apart from how it is searched."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from keras_ae.types import Codes

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Contents:
    """What an index is, in memory and on disk.

    Attributes:
        bits: Bits in a code.
        codes: uint8 `(n, bits / 8)`.
        ids: `(n,)`, ascending.
        next_id: The id that comes next by default, larger than any that was there.
        variant: Name of what encodes the codes, or `None`.
    """

    bits: int
    codes: Codes
    ids: Ids
    next_id: int
    variant: str | None


class CodeStore:
    """Codes and their ids, with new ones on the way in. A call that raises changes nothing."""

    def __init__(self, codes: Codes, ids: Ids, next_id: int) -> None:
        self._codes, self._ids = codes, ids
        self.next_id = next_id
        # Adds wait here until something reads them, so that many small ones cost no more than one.
        self._pending: list[tuple[Codes, Ids]] = []

    def __len__(self) -> int:
        return len(self._ids) + sum(len(ids) for _, ids in self._pending)

    @property
    def codes(self) -> Codes:
        self._settle()
        return self._codes

    @property
    def ids(self) -> Ids:
        self._settle()
        return self._ids

    def add(self, codes: Codes, ids: Ids) -> None:
        order = np.argsort(ids, kind="stable")
        codes, ids = codes[order], ids[order]
        if np.any(ids[1:] == ids[:-1]):
            repeated = ids[1:][ids[1:] == ids[:-1]][0]
            raise ValueError(f"ids must be all different. Received: id {repeated} twice")
        if not len(ids):
            return
        if ids[0] >= self.next_id:
            self._pending.append((codes, ids))
        else:
            places, known = self._places(ids)
            if known.any():
                raise ValueError(
                    f"ids must not be in the index yet. Received: id {ids[known][0]}, which is"
                )
            self._codes = np.insert(self._codes, places, codes, axis=0)
            self._ids = np.insert(self._ids, places, ids)
        self.next_id = max(self.next_id, int(ids[-1]) + 1)

    def remove(self, ids: Ids) -> None:
        rows = self.rows(ids)
        self._codes, self._ids = np.delete(self._codes, rows, axis=0), np.delete(self._ids, rows)

    def rows(self, ids: Ids) -> npt.NDArray[np.int64]:
        """Return where the ids are, or raise if one is not there."""
        places, known = self._places(ids)
        if not known.all():
            raise ValueError(
                f"ids must be in the index. Received: id {ids[~known][0]}, which is not"
            )
        return places

    def _places(self, ids: Ids) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        places = np.searchsorted(self.ids, ids)
        known = np.zeros(len(ids), bool)
        inside = places < len(self._ids)
        known[inside] = self._ids[places[inside]] == ids[inside]
        return places, known

    def _settle(self) -> None:
        if self._pending:
            codes, ids = zip((self._codes, self._ids), *self._pending, strict=True)
            self._codes, self._ids = np.concatenate(codes), np.concatenate(ids)
            self._pending = []
