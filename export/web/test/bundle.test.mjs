import assert from "node:assert/strict";
import { test } from "node:test";
import { Bundle } from "../src/bundle.js";
import { FormatError } from "../src/safetensors.js";
import { golden } from "./golden.mjs";

const FILES = [
  "bundle.json",
  "model.tflite",
  "model.tflite.json",
  "index.safetensors",
  "items.safetensors",
  "samples.safetensors",
];

/** The golden bundle with one file of other content. */
function open(name, content) {
  return Bundle.open(async (asked) => (asked === name ? content : golden(`bundle/${asked}`)));
}

test("opens, and finds the neighbours of its samples' codes", async () => {
  const told = [];
  const bundle = await Bundle.open(
    (name) => golden(`bundle/${name}`),
    (done, total) => told.push([done, total]),
  );
  assert.equal(bundle.samples, 500);
  for (let i = 0; i < bundle.samples; i++) {
    const { code, ids, distances } = bundle.sample(i);
    const found = bundle.index.search(code, ids.length);
    assert.deepEqual(found, { ids: ids.slice(), distances: distances.slice() });
  }
  assert.match(bundle.label(0n), /^[0-9]$/);
  assert.equal(bundle.thumbnail(1296).pixels.length, 64);
  assert.deepEqual(told[0], [0, told[0][1]]);
  assert.deepEqual(told.at(-1), [told[0][1], told[0][1]]);
  assert.equal(bundle.input(new Uint8Array(64).fill(51))[0], Math.fround(0.2));
  assert.throws(() => bundle.input(new Uint8Array(63)), /pixels must have 64 values/);
});

test("refuses damaged files by name", async () => {
  for (const name of FILES) {
    const whole = await golden(`bundle/${name}`);
    const damaged = whole.slice();
    damaged[name.endsWith(".json") ? 0 : damaged.length >> 1] ^= 1;
    // The last byte of one is a line's end, which says nothing.
    for (const content of [whole.subarray(0, -2), damaged, new Uint8Array()]) {
      await assert.rejects(open(name, content), (error) => {
        assert.ok(error instanceof FormatError, error);
        return error.message.startsWith(`${name}: `);
      });
    }
  }
});

test("refuses what does not belong together", async () => {
  const text = new TextDecoder().decode(await golden("bundle/bundle.json"));
  const cases = [
    ["bundle.json: the index was made by another model", '"variant": "', '"variant": "x'],
    ["bundle.json: not a bundle", '"version": ', '"version": 4'],
    ["bundle.json: counts other codes", '"count": ', '"count": 9'],
    ["bundle.json: images of an impossible size", '"height": ', '"height": -'],
    ["bundle.json: images of an impossible size", '"channels": ', '"channels": 2'],
    ["bundle.json: lacks what a bundle says of its input", '"divisor"', '"d"'],
    ["bundle.json: lacks what a bundle says of its files", '"files"', '"f"'],
    ["bundle.json: images of an impossible size", '"height": ', '"height": 65536000'],
    ["bundle.json: images of an impossible size", '"height": ', '"height": 4294967304, "h": '],
    ["bundle.json: counts other codes", '"count": ', '"count": 1297.5, "c": '],
    ["bundle.json: lacks what a bundle says of its input", '"signature": ', '"signature": null, "s": '],
    ["bundle.json: labels that are no list", '"labels": ', '"labels": "0123456789", "l": '],
    ["bundle.json: lacks what a bundle says of its input", '"divisor": ', '"divisor": "NaN", "d": '],
    ...["0", "1e31", "1e-31", "-255"].map((divisor) => [
      "bundle.json: an input that the images cannot become",
      '"divisor": ',
      `"divisor": ${divisor}, "d": `,
    ]),
    ["bundle.json: an input that the images cannot become", '"offset": ', '"offset": 1e31, "o": '],
    ["bundle.json: an input that the images cannot become", '"shape": [', '"shape": [2, '],
    ["items.safetensors: a class without a name: 9", /,\s*"9"/, ""],
  ];
  for (const [message, before, after] of cases) {
    const changed = text.replace(before, after);
    assert.notEqual(changed, text);
    await assert.rejects(open("bundle.json", new TextEncoder().encode(changed)), (error) => {
      assert.ok(error.message.startsWith(message), error);
      return true;
    });
  }
});
