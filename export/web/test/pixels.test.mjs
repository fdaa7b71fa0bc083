import assert from "node:assert/strict";
import { test } from "node:test";
import { fit } from "../src/pixels.js";
import { Safetensors } from "../src/safetensors.js";
import { golden } from "./golden.mjs";

const SHAPES = [
  [28, 28, 1],
  [8, 8, 1],
  [7, 30, 3],
  [80, 20, 3],
  [53, 38, 3],
  [1, 1, 1],
];

test("a picture becomes what sums over areas say", async () => {
  const file = new Safetensors("pixels", await golden("pixels.safetensors"));
  const { shape, values } = file.get("picture", "U8", [-1, -1, 3]);
  const [height, width] = shape;
  const data = new Uint8ClampedArray(4 * height * width);
  for (let i = 0; i < height * width; i++) {
    data.set([...values.subarray(3 * i, 3 * i + 3), i], 4 * i);
  }
  for (const [w, h, c] of SHAPES) {
    const expected = file.get(`${w}x${h}x${c}`, "U8", [h, w, c]).values;
    assert.deepEqual(fit({ data, width, height }, w, h, c), expected);
  }
});

test("refuses a picture of another size", () => {
  const picture = { data: new Uint8ClampedArray(20), width: 2, height: 3 };
  assert.throws(() => fit(picture, 1, 1, 1), /4 \* width \* height values. Received: 20 for 2 \* 3/);
});
