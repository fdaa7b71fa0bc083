"""Hamming search in Milvus: the same calls on a file, a server or a cluster."""

import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_ae._checks import check_bits, check_choice, check_integer
from keras_ae._optional import optional_import
from keras_ae.retrieval._arguments import check_codes, check_ids
from keras_ae.retrieval.radius_result import RadiusResult
from keras_ae.retrieval.search_result import SearchResult
from keras_ae.types import Codes

INDEXES = ("BIN_FLAT", "BIN_IVF_FLAT")
# Milvus returns no more hits for a query, and takes no larger message.
_MOST_HITS = 16_384
_ROWS = 10_000
_MOST_BITS = 32_768
_MOST_ID = np.iinfo(np.int64).max


class MilvusIndex:
    """Binary codes in a Milvus collection, with the calls of `HammingIndex`.

    The distance of two codes is the number of bits in which they differ:

        d(a, b) = sum_j (a_j XOR b_j)

    With `"BIN_FLAT"` the neighbours are the true ones, by distance and then id: ties, which Milvus
    leaves open, are asked for until they are settled. With `"BIN_IVF_FLAT"` a search looks at the
    codes near `probes` of `clusters` centres, and misses what is elsewhere.

    A process that adds to a collection without giving ids must be the only one that adds.

    Args:
        uri: A file name ending in `.db`, which Milvus Lite keeps, or the address of a server or
            cluster, such as `"http://localhost:19530"`.
        collection: Name of the collection, made if it is not there.
        bits: Bits in a code, a positive multiple of 8 up to 32,768; those of a collection that is
            there.
        index: `"BIN_FLAT"` or, on a server, `"BIN_IVF_FLAT"`, for a new collection.
        clusters: Centres of `"BIN_IVF_FLAT"`, from 1 to 65,536.
        probes: Centres whose codes a search looks at, from 1 to `clusters`.
        token: What the server asks for, `"user:password"` or a key, or `""`.

    Raises:
        ValueError: An argument is not as above, nothing answers at `uri`, or the collection is of
            another kind.
        ImportError: The packages of `keras-ae[milvus]` are not installed.

    Example:
        >>> import numpy as np, tempfile
        >>> from keras_ae.retrieval import MilvusIndex
        >>> index = MilvusIndex(tempfile.mkdtemp() + "/codes.db", "images", bits=64)
        >>> index.add(np.arange(32, dtype="uint8").reshape(4, 8))
        >>> index.search(np.arange(8, dtype="uint8")[None], k=2).ids
        array([[0, 1]])

    Reference:
        Wang, Yi, Guo, Jin, Xu and others: Milvus: A Purpose-Built Vector Data Management System,
        2021.
    """

    def __init__(
        self,
        uri: str,
        collection: str,
        bits: int,
        *,
        index: str = "BIN_FLAT",
        clusters: int = 1024,
        probes: int = 16,
        token: str = "",
    ) -> None:
        self._bits = check_bits(bits)
        if bits > _MOST_BITS:
            raise ValueError(f"bits must be at most {_MOST_BITS} in Milvus. Received: bits={bits}")
        check_choice("index", index, INDEXES)
        check_integer("clusters", clusters, minimum=1)
        check_integer("probes", probes, minimum=1)
        if probes > clusters or clusters > 65_536:
            raise ValueError(
                "probes must be at most clusters, and clusters at most 65536. "
                f"Received: probes={probes}, clusters={clusters}"
            )
        if not isinstance(uri, str) or not isinstance(collection, str) or not collection:
            raise ValueError(
                "uri and collection must be texts. "
                f"Received: uri={uri!r}, collection={collection!r}"
            )
        if index != "BIN_FLAT" and uri.endswith(".db"):
            raise ValueError(
                f"index must be 'BIN_FLAT' in a file; a server has the other. "
                f"Received: index={index!r} with uri={uri!r}"
            )
        pymilvus = optional_import("pymilvus", "milvus")
        self._name = collection
        try:
            self._client = pymilvus.MilvusClient(uri, token=token)
            if self._client.has_collection(collection):
                self._check_collection(pymilvus)
                self._client.load_collection(collection)
            else:
                self._make_collection(pymilvus, index, clusters)
        except pymilvus.MilvusException as error:
            raise ValueError(
                "uri must be that of a file or a server that can be reached, and collection a name "
                f"that Milvus takes. Received: uri={uri!r}, collection={collection!r}: {error}"
            ) from error
        self._probes = probes
        # Of the ids that this object has seen; those that were there before are read if need be.
        self._next_id = 0
        self._has_read = False
        self._is_indexed = False

    @property
    def bits(self) -> int:
        """Bits in a code."""
        return self._bits

    @property
    def ids(self) -> npt.NDArray[np.int64]:
        """All ids, int64 `(n,)`, ascending. They are read from Milvus each time."""
        rows = self._client.query_iterator(
            self._name, batch_size=_ROWS, output_fields=["id"], consistency_level="Strong"
        )
        found: list[int] = []
        while batch := rows.next():
            found += [row["id"] for row in batch]
        rows.close()
        return np.sort(np.array(found, np.int64))

    def __len__(self) -> int:
        (answer,) = self._query("", "count(*)")
        return int(answer["count(*)"])

    def close(self) -> None:
        """Close the connection; the codes stay."""
        self._client.close()

    def add(self, codes: Codes, ids: npt.ArrayLike | None = None) -> None:
        """Add codes, ten thousand at a time.

        Args:
            codes: uint8 `(n, bits / 8)`, bit 0 of a code in the lowest bit of its first byte.
            ids: Integers `(n,)`, >= 0, all different and not in the index yet. By default they go
                on after the largest that this object has seen; to know the first, it reads all.

        Raises:
            ValueError: If `codes` or `ids` is not of this form; then nothing is added.
        """
        codes = check_codes("codes", codes, self._bits)
        if ids is None:
            if not self._has_read:
                self._next_id = max(self._next_id, int(self.ids.max(initial=-1)) + 1)
                self._has_read = True
            if self._next_id + len(codes) - 1 > _MOST_ID:
                raise ValueError(
                    "ids must be given: none are left after the largest. Received: ids=None, with "
                    f"{self._next_id - 1} in the index"
                )
            new_ids = np.arange(len(codes), dtype=np.int64) + min(self._next_id, _MOST_ID)
        else:
            new_ids = check_ids(ids, len(codes))
            if len(np.unique(new_ids)) < len(new_ids):
                raise ValueError("ids must be all different. Received: one of them twice")
            for part in _parts(len(new_ids)):
                known = self._query(f"id in {new_ids[part].tolist()}", "id")
                if known:
                    raise ValueError(
                        "ids must not be in the index yet. "
                        f"Received: id {min(row['id'] for row in known)}, which is"
                    )
        for part in _parts(len(codes)):
            rows = zip(new_ids[part].tolist(), codes[part], strict=True)
            self._client.insert(self._name, [{"id": i, "code": code.tobytes()} for i, code in rows])
        if len(new_ids):
            self._next_id = max(self._next_id, int(new_ids.max()) + 1)
        self._is_indexed = False

    def remove(self, ids: npt.ArrayLike) -> None:
        """Remove codes. The others keep their ids.

        Args:
            ids: Integers `(n,)`, all of them in the index.

        Raises:
            ValueError: If `ids` is not of this form; then nothing is removed.
        """
        gone = check_ids(ids)
        self.reconstruct(gone)
        for part in _parts(len(gone)):
            self._client.delete(self._name, ids=gone[part].tolist())

    def reconstruct(self, ids: npt.ArrayLike) -> Codes:
        """Return the codes of some ids, uint8 `(n, bits / 8)`; see `HammingIndex.reconstruct`."""
        wanted = check_ids(ids)
        found: dict[int, bytes] = {}
        for part in _parts(len(wanted)):
            for row in self._query(f"id in {wanted[part].tolist()}", "id", "code"):
                found[row["id"]] = row["code"][0]
        missing = [i for i in wanted.tolist() if i not in found]
        if missing:
            raise ValueError(f"ids must be in the index. Received: id {missing[0]}, which is not")
        content = b"".join(found[i] for i in wanted.tolist())
        return np.frombuffer(content, np.uint8).reshape(-1, self._bits // 8)

    def search(self, queries: Codes, k: int = 10) -> SearchResult:
        """Find the `k` nearest codes of each query.

        Args:
            queries: uint8 `(q, bits / 8)`. One query `code` is passed as `code[None]`.
            k: Neighbours to return, from 1 to 16,384. An index with fewer codes returns all it has.

        Returns:
            `SearchResult` of ids and distances, `(q, min(k, n))`, by distance, then id. Where
            `"BIN_IVF_FLAT"` finds fewer in its clusters, the rest is id -1 and distance `bits + 1`.

        Raises:
            ValueError: If `queries` or `k` is not of this form.
        """
        queries = check_codes("queries", queries, self._bits)
        if check_integer("k", k, minimum=1) > _MOST_HITS:
            raise ValueError(f"k must be at most {_MOST_HITS}. Received: k={k}")
        self._wait()
        count = len(self)
        ids = np.full((len(queries), min(k, count)), -1, np.int64)
        distances = np.full(ids.shape, self._bits + 1, np.int32)
        # One more than asked for shows whether there are ties beyond the last.
        limit = min(k + 1, count, _MOST_HITS)
        for start in range(0, len(queries) if limit else 0, 100):
            part = queries[start : start + 100]
            for q, hits in enumerate(self._hits(part, limit), start=start):
                if limit < count and len(hits) == limit and hits[-1][0] == hits[k - 1][0]:
                    nearer = [hit for hit in hits if hit[0] < hits[-1][0]]
                    distance = hits[-1][0]
                    ties = self._within(queries[q], distance, 0, _MOST_ID, nearest=distance)
                    hits = [*nearer, *islice(ties, k - len(nearer))]  # noqa: PLW2901
                for j, (distance, i) in enumerate(hits[:k]):
                    ids[q, j], distances[q, j] = i, distance
        return SearchResult(ids, distances)

    def radius_search(self, queries: Codes, radius: int) -> RadiusResult:
        """Find every code at most `radius` bits away from each query: `distance <= radius`.

        Args:
            queries: uint8 `(q, bits / 8)`. One query `code` is passed as `code[None]`.
            radius: Largest distance to report, >= 0, in bits. At 0 only equal codes are found.

        Returns:
            `RadiusResult`; `result[i]` holds the hits of query `i` by distance, then id.

        Raises:
            ValueError: If `queries` or `radius` is not of this form.
        """
        queries = check_codes("queries", queries, self._bits)
        radius = min(check_integer("radius", radius, minimum=0), self._bits)
        self._wait()
        found = [sorted(self._within(query, radius, 0, _MOST_ID)) for query in queries]
        hits = np.array([hit for each in found for hit in each], np.int64).reshape(-1, 2)
        offsets = np.cumsum([0, *map(len, found)])
        return RadiusResult(hits[:, 1].copy(), hits[:, 0].astype(np.int32), offsets)

    def _within(
        self, query: Codes, radius: int, first: int, last: int, nearest: int = 0
    ) -> Iterator[tuple[int, int]]:
        """Yield what is from `nearest` to `radius` and has an id in a range, as distance and id.

        Of one distance, the ids ascend.
        """
        condition = f"id >= {first} and id <= {last}"
        (hits,) = self._hits(query[None], _MOST_HITS, radius, condition, nearest)
        if len(hits) < _MOST_HITS:
            yield from hits
        else:
            middle = sorted(i for _, i in hits)[len(hits) // 2]
            yield from self._within(query, radius, first, middle - 1, nearest)
            yield from self._within(query, radius, middle, last, nearest)

    def _hits(
        self,
        queries: Codes,
        limit: int,
        radius: int | None = None,
        condition: str = "",
        nearest: int = 0,
    ) -> list[list[tuple[int, int]]]:
        params = {"nprobe": self._probes}
        if radius is not None:
            params["radius"] = radius + 1  # Which is exclusive.
        if nearest:
            params["range_filter"] = nearest
        answers = self._client.search(
            self._name,
            data=[query.tobytes() for query in queries],
            limit=limit,
            filter=condition,
            search_params={"metric_type": "HAMMING", "params": params},
            consistency_level="Strong",
        )
        return [sorted((round(hit["distance"]), hit["id"]) for hit in hits) for hits in answers]

    def _query(self, condition: str, *fields: str) -> list[dict[str, Any]]:
        return list(
            self._client.query(
                self._name, condition, output_fields=list(fields), consistency_level="Strong"
            )
        )

    def _wait(self) -> None:
        """Wait until what was added is in the index: Milvus builds it on the side."""
        if self._is_indexed:
            return
        self._client.flush(self._name)
        while True:
            state = self._client.describe_index(self._name, "code")
            if not int(state.get("pending_index_rows") or 0):
                break
            time.sleep(0.1)
        self._is_indexed = True

    def _make_collection(self, pymilvus: Any, index: str, clusters: int) -> None:
        schema = self._client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", pymilvus.DataType.INT64, is_primary=True)
        schema.add_field("code", pymilvus.DataType.BINARY_VECTOR, dim=self._bits)
        params = self._client.prepare_index_params()
        params.add_index(
            "code",
            index_name="code",
            index_type=index,
            metric_type="HAMMING",
            params={"nlist": clusters} if index == "BIN_IVF_FLAT" else {},
        )
        self._client.create_collection(
            self._name, schema=schema, index_params=params, consistency_level="Strong"
        )

    def _check_collection(self, pymilvus: Any) -> None:
        fields = {
            field["name"]: field for field in self._client.describe_collection(self._name)["fields"]
        }
        code, key = fields.get("code", {}), fields.get("id", {})
        if (
            set(fields) != {"id", "code"}
            or code["type"] != pymilvus.DataType.BINARY_VECTOR
            or int(code["params"]["dim"]) != self._bits
            or key["type"] != pymilvus.DataType.INT64
            or key.get("auto_id", False)
            or self._client.describe_index(self._name, "code").get("metric_type") != "HAMMING"
        ):
            raise ValueError(
                f"collection must have the fields id and code, of bits={self._bits}, and an index "
                f"of Hamming distances, as this class makes it. Received: "
                f"collection={self._name!r} with the fields {fields}"
            )


def _parts(count: int) -> list[slice]:
    return [slice(start, start + _ROWS) for start in range(0, count, _ROWS)]
