"""Adds, removes, merges, saves and loads in any order, against a dictionary."""

import copy
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from keras_ae.retrieval import HammingIndex

few = st.lists(st.integers(0, 40), max_size=8, unique=True)


class Changes(RuleBasedStateMachine):
    """The index under test, and what it should hold: a code by each id."""

    @initialize(bits=st.sampled_from([8, 64, 128]), seed=st.integers(0, 99))
    def start(self, bits, seed):
        self.rng = np.random.default_rng(seed)
        self.index, self.held, self.next_id = HammingIndex(bits, "v"), {}, 0
        self.folder = tempfile.TemporaryDirectory()

    def codes(self, count):
        return self.rng.integers(0, 4, (count, self.index.bits // 8), dtype=np.uint8)

    @rule(ids=few)
    def add(self, ids):
        codes, free = self.codes(len(ids)), not set(ids) & set(self.held)
        try:
            self.index.add(codes, np.array(ids, int))
        except ValueError:
            assert not free
        else:
            assert free
            self.held |= dict(zip(ids, codes, strict=True))
            self.next_id = max([self.next_id, *(i + 1 for i in ids)])

    @rule(count=st.integers(0, 4))
    def add_on(self, count):
        codes = self.codes(count)
        self.index.add(codes)
        self.held |= {self.next_id + i: code for i, code in enumerate(codes)}
        self.next_id += count

    @rule(ids=few)
    def remove(self, ids):
        there = set(ids) <= set(self.held)
        try:
            self.index.remove(np.array(ids, int))
        except ValueError:
            assert not there
        else:
            assert there
            self.held = {i: code for i, code in self.held.items() if i not in ids}

    @rule(count=st.integers(0, 4), shift=st.integers(0, 50))
    def merge(self, count, shift):
        other, codes = HammingIndex(self.index.bits, "v"), self.codes(count)
        ids = shift + 3 * np.arange(count)
        other.add(codes, ids)
        free = not set(ids.tolist()) & set(self.held)
        try:
            self.index.merge(other)
        except ValueError:
            assert not free
        else:
            assert free
            self.held |= dict(zip(ids.tolist(), codes, strict=True))
            self.next_id = max([self.next_id, *(i + 1 for i in ids.tolist())])

    @rule(mmap=st.booleans())
    def save_and_load(self, mmap):
        path = Path(self.folder.name, "index")
        self.index.save(path)
        self.index = HammingIndex.load(path, mmap=mmap)

    @rule()
    def duplicate(self):
        self.index = copy.deepcopy(self.index)

    @invariant()
    def it_holds_what_it_should(self):
        ids = sorted(self.held)
        assert self.index.ids.tolist() == ids
        assert len(self.index) == len(ids)
        assert self.index.variant == "v"
        np.testing.assert_array_equal(
            self.index.reconstruct(ids), [self.held[i] for i in ids] or self.codes(0)
        )
        query = self.codes(1)
        result = self.index.search(query, 5)
        pairs = sorted(
            (int(np.bitwise_count(code ^ query[0]).sum()), i) for i, code in self.held.items()
        )[:5]
        found = zip(result.distances[0].tolist(), result.ids[0].tolist(), strict=True)
        assert list(found) == pairs
        # Every code finds itself, or an equal one with a lower id.
        if ids:
            nearest = self.index.search(self.index.reconstruct(ids), 1)
            assert not nearest.distances.any()
            assert (nearest.ids[:, 0] <= ids).all()

    def teardown(self):
        self.folder.cleanup()


TestChanges = Changes.TestCase
TestChanges.settings = settings(
    max_examples=60, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)


def test_what_is_mapped_is_not_changed_by_removing(tmp_path):
    index = HammingIndex(8)
    index.add(np.arange(5, dtype=np.uint8)[:, None])
    index.save(tmp_path / "x")
    before = (tmp_path / "x").read_bytes()
    loaded = HammingIndex.load(tmp_path / "x")
    result = loaded.search(np.array([[3]], np.uint8), 2)
    loaded.remove([3])
    assert (tmp_path / "x").read_bytes() == before
    assert result.ids.tolist() == [[3, 1]]
    assert loaded.search(np.array([[3]], np.uint8), 2).ids.tolist() == [[1, 2]]


def test_an_id_is_not_given_again(tmp_path):
    index = HammingIndex(8)
    index.add(np.zeros((3, 1), np.uint8))
    index.remove([2])
    index.save(tmp_path / "x")
    for each in (index, HammingIndex.load(tmp_path / "x"), copy.copy(index)):
        each.add(np.zeros((1, 1), np.uint8))
        assert each.ids.tolist() == [0, 1, 3]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ("index", "other must be a HammingIndex"),
        (HammingIndex(16, "v"), "must have bits=8 and variant='v'. Received: other with bits=16"),
        (HammingIndex(8, "w"), "must have bits=8 and variant='v'.*variant='w'"),
        (HammingIndex(8), "variant=None"),
    ],
    ids=["type", "bits", "variant", "no variant"],
)
def test_merge_refuses(other, message):
    with pytest.raises(ValueError, match=message):
        HammingIndex(8, "v").merge(other)


def test_merge_with_itself_is_refused_or_empty():
    index = HammingIndex(8)
    index.merge(index)
    index.add(np.zeros((2, 1), np.uint8))
    with pytest.raises(ValueError, match="ids must not be in the index yet"):
        index.merge(index)
    assert index.ids.tolist() == [0, 1]


KILLED = """
import os, random, signal, sys, time
import numpy as np
from pathlib import Path
from keras_ae.retrieval import HammingIndex

folder = Path(sys.argv[1])
path = folder / "index"
rng = np.random.default_rng(0)
both = []
for n in (20_000, 30_000):
    index = HammingIndex(64, str(n))
    index.add(rng.integers(0, 256, (n, 8), dtype=np.uint8))
    both.append(index)
both[0].save(path)
seen, cut = set(), 0
for round in range(50):
    child = os.fork()
    if child == 0:
        while True:
            for index in both:
                index.save(path)
    time.sleep(random.Random(round).uniform(0, 0.02))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    loaded = HammingIndex.load(path, mmap=False)
    assert len(loaded) == int(loaded.variant)
    same = both[len(loaded) == 30_000]
    assert np.array_equal(loaded.reconstruct(loaded.ids), same.reconstruct(same.ids))
    seen.add(len(loaded))
    cut += len(list(folder.iterdir())) > 1
    for rest in folder.glob(".keras_ae-*"):
        for file in rest.iterdir():
            file.unlink()
        rest.rmdir()
print(sorted(seen), cut > 10)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a process forks on Unix alone")
def test_a_process_killed_while_it_saves_leaves_the_old_index_or_the_new(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    # Both were found, and many were killed on the way.
    assert done.stdout.strip() == "[20000, 30000] True"
