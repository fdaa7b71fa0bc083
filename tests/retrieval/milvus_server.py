"""Start a Milvus server in a network of its own, and compare it with HammingIndex.

unshare -rn python tests/retrieval/milvus_server.py FOLDER
"""

import fcntl
import socket
import struct
import sys

import numpy as np
from milvus import MilvusServer

from keras_ae.retrieval import HammingIndex, MilvusIndex

PORT = 19530
SET_FLAGS, IS_UP_AND_RUNNING = 0x8914, 0x41


def loopback_up() -> None:
    """A new network has a loopback that is down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        request = struct.pack("16sh14s", b"lo", IS_UP_AND_RUNNING, b"")
        fcntl.ioctl(channel, SET_FLAGS, request)


def clustered(rng: np.random.Generator, n: int) -> np.ndarray:
    centres = rng.integers(0, 256, (40, 8), dtype=np.uint8)
    return centres[rng.integers(40, size=n)] ^ np.packbits(rng.random((n, 64)) < 0.1, axis=1)


def main() -> None:
    loopback_up()
    server = MilvusServer()
    server.set_base_dir(sys.argv[1])
    server.listen_port = PORT
    server.start()
    try:
        rng = np.random.default_rng(0)
        uri = f"http://127.0.0.1:{PORT}"
        codes = np.concatenate([clustered(rng, 3000), np.zeros((17_000, 8), np.uint8)])
        ids = rng.permutation(30_000)[: len(codes)]
        ours, theirs = HammingIndex(64), MilvusIndex(uri, "exact", 64)
        for index in (ours, theirs):
            index.add(codes, ids)
            index.remove(ids[5:50])
        queries = codes[[0, 1, 2, -1]]
        for a, b in (
            (ours.search(queries, 10), theirs.search(queries, 10)),
            (ours.radius_search(queries, 3), theirs.radius_search(queries, 3)),
        ):
            np.testing.assert_array_equal(a.ids, b.ids)
            np.testing.assert_array_equal(a.distances, b.distances)

        ours = HammingIndex(64)
        theirs = MilvusIndex(uri, "near", 64, index="BIN_IVF_FLAT", clusters=64, probes=8)
        for index in (ours, theirs):
            index.add(codes[:3000])
        a, b = (index.search(codes[:100], 10).ids for index in (ours, theirs))
        recall = np.mean([np.isin(x, y).mean() for x, y in zip(a, b, strict=True)])
        print("exact", recall)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
