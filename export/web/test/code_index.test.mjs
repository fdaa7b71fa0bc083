import assert from "node:assert/strict";
import { test } from "node:test";
import { CodeIndex } from "../src/code_index.js";
import { FormatError, Safetensors } from "../src/safetensors.js";
import { golden } from "./golden.mjs";

const WIDTHS = [24, 64, 136];

function random(seed) {
  return () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
}

async function expectations(bits) {
  const found = new Safetensors("found", await golden(`found_${bits}.safetensors`));
  const queries = found.get("queries", "U8", [-1, bits / 8]);
  const [count] = queries.shape;
  const ids = found.get("ids", "I64", [count, -1]);
  return {
    count,
    size: ids.shape[1],
    queries: queries.values,
    ids: ids.values,
    distances: found.get("distances", "I32", ids.shape).values,
    radii: found.get("radii", "I32", [count]).values,
    within: found.get("within", "I32", [count]).values,
  };
}

function assertFinds(index, expected) {
  const { count, size, queries } = expected;
  const octets = index.bits / 8;
  for (let i = 0; i < count; i++) {
    const query = queries.subarray(i * octets, (i + 1) * octets);
    const ids = expected.ids.subarray(i * size, (i + 1) * size);
    const distances = expected.distances.subarray(i * size, (i + 1) * size);
    const same = (found, length) => {
      assert.deepEqual(found.ids, ids.slice(0, length));
      assert.deepEqual(found.distances, distances.slice(0, length));
    };
    for (const k of [1, 2, 9, size - 1, size, size + 1, Number.MAX_SAFE_INTEGER]) {
      same(index.search(query, k), Math.min(k, size));
    }
    same(index.within(query, expected.radii[i]), expected.within[i]);
    same(index.within(query, index.bits), size);
    same(index.within(query, 10 ** 9), size);
    if (distances[0] > 0) {
      same(index.within(query, distances[0] - 1), 0);
    }
  }
}

for (const bits of WIDTHS) {
  test(`finds what brute force finds in ${bits} bits`, async () => {
    const index = new CodeIndex("index", await golden(`index_${bits}.safetensors`));
    assert.equal(index.bits, bits);
    assert.equal(index.size, 300);
    assert.equal(index.variant, `golden-${bits}`);
    assertFinds(index, await expectations(bits));
  });
}

test("reads a file wherever in memory it begins", async () => {
  const bytes = await golden("index_64.safetensors");
  const moved = new Uint8Array(bytes.length + 3);
  moved.set(bytes, 3);
  assertFinds(new CodeIndex("index", moved.subarray(3)), await expectations(64));
});

test("refuses arguments that make no sense", async () => {
  const index = new CodeIndex("index", await golden("index_64.safetensors"));
  const code = new Uint8Array(8);
  assert.throws(() => index.search(code, 0), /k must be an integer >= 1. Received: k=0/);
  assert.throws(() => index.search(code, 1.5), /k must be an integer >= 1. Received: k=1.5/);
  assert.throws(() => index.within(code, -1), /radius must be an integer >= 0/);
  assert.throws(() => index.search(new Uint8Array(7), 1), /of 8 bytes. Received: 7/);
  assert.throws(() => index.search([1, 2], 1), /code must be a Uint8Array/);
});

test("refuses every truncated file", async () => {
  const bytes = await golden("index_24.safetensors");
  for (let length = 0; length < bytes.length; length++) {
    assert.throws(() => new CodeIndex("a.file", bytes.subarray(0, length)), {
      name: "FormatError",
      message: /^a.file: /,
    });
  }
});

test("finds the same in a damaged file, or refuses it", async () => {
  const next = random(1);
  const bytes = await golden("index_24.safetensors");
  const expected = await expectations(24);
  const header = 8 + new DataView(bytes.buffer).getUint32(0, true);
  let opened = 0;
  for (let round = 0; round < 20_000; round++) {
    const damaged = bytes.slice();
    const first = round < 15 * header ? round % header : Math.floor(next() * bytes.length);
    damaged[first] ^= 1 + Math.floor(next() * 255);
    for (let more = Math.floor(next() * 3); more > 0; more--) {
      damaged[Math.floor(next() * bytes.length)] = Math.floor(next() * 256);
    }
    let index;
    try {
      index = new CodeIndex("a.file", damaged);
    } catch (error) {
      assert.ok(error instanceof FormatError, error);
      continue;
    }
    opened++;
    assert.equal(index.bits, 24);
    assert.equal(index.variant, "golden-24");
    assertFinds(index, expected);
  }
  // A space, the name of the next id: what changes nothing.
  assert.ok(opened < 500, `${opened} were opened`);
});

test("refuses foreign files", async () => {
  const texts = ["", "PK", '{"a": 1}', "not an index at all, but long enough for a header"];
  for (const text of texts) {
    assert.throws(() => new CodeIndex("a.file", new TextEncoder().encode(text)), FormatError);
  }
  for (const name of ["found_64.safetensors", "bundle/model.tflite"]) {
    const bytes = await golden(name);
    assert.throws(() => new CodeIndex("a.file", bytes), FormatError);
  }
});
