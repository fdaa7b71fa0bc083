// The page in a real browser: CHROMIUM names it, /usr/bin/chromium by default. BUNDLE names a bundle
// of 64-bit codes of digits, the golden one by default. Pictures are left in the folder that PICTURES
// names, or in one that is thrown away.

import assert from "node:assert/strict";
import { cp, lstat, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { build } from "../build.mjs";
import { serve } from "../serve.mjs";
import { GOLDEN } from "./golden.mjs";

const GOLDEN_BUNDLE = fileURLToPath(new URL("bundle", GOLDEN));
const BUNDLE = process.env.BUNDLE ?? GOLDEN_BUNDLE;
let browser;
let folder;
let server;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "page-"));
  await build(BUNDLE, join(folder, "page"));
  server = await serve(join(folder, "page"));
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox"],
  });
});

after(async () => {
  await browser?.close();
  server?.closeAllConnections();
  server?.close();
  await rm(folder, { recursive: true });
});

const address = (of = server) => `http://127.0.0.1:${of.address().port}/`;

async function open(options = {}, url = address()) {
  const page = await browser.newPage(options);
  const errors = [];
  page.on("pageerror", (error) => errors.push(error));
  page.on("console", (message) => {
    // LiteRT logs what it does by the same way.
    if (message.type() === "error" && !/^(INFO|WARNING): /.test(message.text())) {
      errors.push(message.text());
    }
  });
  await page.goto(url);
  return { page, errors };
}

async function ready(page) {
  await page.getByRole("status").filter({ hasText: "codes of 64 bits" }).waitFor();
}

async function found(page) {
  await page.getByRole("status").filter({ hasText: "searched in" }).waitFor();
  return page.locator("#neighbours li span").allTextContents();
}

async function keep(page, name) {
  const path = join(process.env.PICTURES ?? folder, `web_${name}.png`);
  await page.screenshot({ path, fullPage: true });
}

async function draw(page, points) {
  const box = await page.locator("#canvas").boundingBox();
  const at = ([x, y]) => [box.x + x * box.width, box.y + y * box.height];
  await page.mouse.move(...at(points[0]));
  await page.mouse.down();
  for (const point of points.slice(1)) {
    await page.mouse.move(...at(point), { steps: 8 });
  }
  await page.mouse.up();
}

const SEVEN = [
  [0.25, 0.22],
  [0.72, 0.22],
  [0.42, 0.82],
];

test("samples have the codes and the neighbours that Python finds", async () => {
  const { page, errors } = await open();
  await ready(page);
  const result = await page.evaluate(async () => {
    const { Bundle } = await import("./bundle.js");
    const { Encoder } = await import("./encoder.js");
    const bundle = await Bundle.open(async (name) => {
      const response = await fetch(`bundle/${name}`);
      return new Uint8Array(await response.arrayBuffer());
    });
    const encoder = await Encoder.open(bundle);
    const wrong = [];
    for (let i = 0; i < bundle.samples; i++) {
      const { pixels, code, ids, distances } = bundle.sample(i);
      const actual = await encoder.encode(bundle.input(pixels));
      const { ids: near, distances: far } = bundle.index.search(actual, ids.length);
      const pairs = [
        [actual, code],
        [near, ids],
        [far, distances],
      ];
      if (!pairs.every(([a, b]) => a.length === b.length && a.every((x, j) => x === b[j]))) {
        wrong.push(i);
      }
    }
    return { samples: bundle.samples, wrong };
  });
  assert.deepEqual(result.wrong, []);
  assert.ok(result.samples >= (BUNDLE === GOLDEN_BUNDLE ? 500 : 1));
  assert.deepEqual(errors, []);
  await page.close();
});

test("a drawn stroke finds neighbours", async () => {
  const { page, errors } = await open();
  await ready(page);
  await draw(page, SEVEN);
  const texts = await found(page);
  assert.equal(texts.length, 12);
  texts.forEach((text) => assert.match(text, /^[0-9]: [0-9]+ bits?$/));
  assert.ok(texts.filter((text) => text.startsWith("7")).length > 6, texts);
  await keep(page, "drawn");
  await page.getByRole("button", { name: "Clear" }).click();
  assert.equal(await page.locator("#neighbours li").count(), 0);
  assert.deepEqual(errors, []);
  await page.close();
});

test("a sample and a picked file of it find the same", async () => {
  const { page, errors } = await open();
  await ready(page);
  await page.getByRole("button", { name: "Sample 4", exact: true }).click();
  const texts = await found(page);
  // Seven times as large, and its negative.
  const png = await page.evaluate(() => {
    const small = document.querySelectorAll("#samples canvas")[3];
    const large = document.createElement("canvas");
    large.width = large.height = 7 * small.width;
    const context = large.getContext("2d");
    context.imageSmoothingEnabled = false;
    context.drawImage(small, 0, 0, large.width, large.height);
    context.globalCompositeOperation = "difference";
    context.fillStyle = "white";
    context.fillRect(0, 0, large.width, large.height);
    return large.toDataURL().split(",")[1];
  });
  await page.getByRole("button", { name: "Clear" }).click();
  await page.getByLabel("Dark on light").check();
  const file = { name: "digit.png", mimeType: "image/png", buffer: Buffer.from(png, "base64") };
  await page.locator("#pick").setInputFiles(file);
  assert.deepEqual(await found(page), texts);
  assert.deepEqual(errors, []);

  const broken = { name: "broken.png", mimeType: "image/png", buffer: Buffer.from("nothing") };
  await page.locator("#pick").setInputFiles(broken);
  await page.getByRole("alert").filter({ hasText: "cannot be read: broken.png" }).waitFor();
  await page.close();
});

test("the keyboard alone is enough", async () => {
  const { page } = await open();
  await ready(page);
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.id), "canvas");
  for (const key of ["ArrowUp", "ArrowUp", " ", ...Array(9).fill("ArrowDown"), " "]) {
    await page.keyboard.press(key);
  }
  assert.equal((await found(page)).length, 12);
  const label = await page.locator("#canvas").getAttribute("aria-label");
  assert.equal(label, "Canvas. The pen is up, at 14, 21 of 28.");
  const reached = [];
  for (let i = 0; i < 4; i++) {
    await page.keyboard.press("Tab");
    reached.push(await page.evaluate(() => document.activeElement.id || "sample"));
  }
  assert.deepEqual(reached, ["clear", "pick", "invert", "sample"]);
  await page.keyboard.press("Enter");
  await found(page);
  await page.close();
});

test("a phone's screen holds it, dark and light", async () => {
  for (const colorScheme of ["dark", "light"]) {
    const { page } = await open({
      viewport: { width: 360, height: 740 },
      deviceScaleFactor: 2,
      hasTouch: true,
      colorScheme,
    });
    await ready(page);
    await page.getByRole("button", { name: "Sample 8", exact: true }).tap();
    await found(page);
    await keep(page, `phone_${colorScheme}`);
    const [width, background] = await page.evaluate(() => [
      document.documentElement.scrollWidth,
      getComputedStyle(document.body).color,
    ]);
    assert.equal(width, 360);
    assert.equal(background === "rgb(255, 255, 255)", colorScheme === "dark", background);
    await page.close();
  }
});

test("a broken bundle is said", async () => {
  for (const [name, message] of [
    ["index.safetensors", /^index.safetensors: damaged/],
    ["model.tflite", /^model.tflite: damaged/],
    ["bundle.json", /^bundle.json: has JSON that cannot be read/],
  ]) {
    const site = join(folder, `broken_${name}`);
    await cp(join(folder, "page"), site, { recursive: true });
    const path = join(site, "bundle", name);
    const bytes = await readFile(path);
    bytes[name.endsWith(".json") ? 0 : bytes.length >> 1] ^= 1;
    await writeFile(path, bytes);
    const other = await serve(site);
    const { page } = await open({}, address(other));
    await page.getByRole("alert").waitFor();
    assert.match(await page.getByRole("alert").textContent(), message);
    assert.equal(await page.getByRole("status").textContent(), "This page cannot search.");
    assert.ok(await page.locator("#clear").isDisabled());
    if (name === "index.safetensors") {
      await keep(page, "broken");
    }
    await rm(path);
    await page.reload();
    await page.getByRole("alert").filter({ hasText: `${name}: the server says 404` }).waitFor();
    await page.close();
    other.closeAllConnections();
    other.close();
  }
});

for (const path of ["", "index.html", "?from=somewhere#top"]) {
  test(`once loaded it works without its server, as /${path}`, async () => {
    const other = await serve(join(folder, "page"));
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(address(other) + path);
    await page.locator("html[data-offline=ready]").waitFor();
    const url = address(other);
    other.closeAllConnections();
    await new Promise((done) => other.close(done));
    await assert.rejects(fetch(url));
    await page.reload();
    await ready(page);
    await draw(page, SEVEN);
    assert.equal((await found(page)).length, 12);
    await context.close();
  });
}

test("it works where nothing can be kept", async () => {
  const site = join(folder, "no_worker");
  await build(BUNDLE, site);
  await rm(join(site, "service_worker.js"));
  const other = await serve(site);
  const { page } = await open({}, address(other));
  await page.getByRole("button", { name: "Sample 1", exact: true }).click();
  assert.equal((await found(page)).length, 12);
  assert.ok(await page.getByRole("alert").isHidden());
  await page.close();
  other.closeAllConnections();
  other.close();
});

test("what was asked last is what is shown", async () => {
  const { page } = await open();
  await ready(page);
  await page.getByRole("button", { name: "Sample 4", exact: true }).click();
  const texts = await found(page);
  await page.getByRole("button", { name: "Clear" }).click();
  // A picture that takes a while, and something else meanwhile.
  await page.evaluate(() => {
    const decode = window.createImageBitmap;
    window.createImageBitmap = async (file) => {
      await new Promise((done) => setTimeout(done, 300));
      window.isDecoded = true;
      return decode(file);
    };
  });
  const png =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
  const file = { name: "dot.png", mimeType: "image/png", buffer: Buffer.from(png, "base64") };
  await page.locator("#pick").setInputFiles(file);
  await page.getByRole("button", { name: "Sample 4", exact: true }).click();
  assert.deepEqual(await found(page), texts);
  await page.waitForFunction(() => window.isDecoded);
  await page.waitForTimeout(100);
  assert.deepEqual(await found(page), texts);
  await page.close();
});

test("one pointer draws at a time, and none without its button", async () => {
  const { page } = await open({ hasTouch: true });
  await ready(page);
  const white = () =>
    page.evaluate(() => {
      const { width, height } = document.getElementById("canvas");
      const context = document.getElementById("canvas").getContext("2d");
      const { data } = context.getImageData(0, 0, width, height);
      // By columns: left, middle and right.
      const counts = [0, 0, 0];
      for (let i = 0; i < data.length; i += 4) {
        counts[Math.floor((3 * ((i / 4) % width)) / width)] += data[i] > 128;
      }
      return counts;
    });
  const box = await page.locator("#canvas").boundingBox();
  const point = (x, y, id) => ({ x: box.x + x * box.width, y: box.y + y * box.height, id });
  await page.locator("#canvas").focus();
  await page.keyboard.press(" ");
  await page.mouse.move(box.x + 5, box.y + 5);
  await page.mouse.move(box.x + box.width - 5, box.y + 5, { steps: 5 });
  await page.getByRole("button", { name: "Clear" }).click();
  await page.mouse.move(box.x + 5, box.y + 5);
  await page.mouse.down({ button: "right" });
  await page.mouse.move(box.x + box.width - 5, box.y + 5, { steps: 5 });
  await page.mouse.up({ button: "right" });
  assert.deepEqual(await white(), [0, 0, 0]);
  const session = await page.context().newCDPSession(page);
  for (const [type, touchPoints] of [
    ["touchStart", [point(0.1, 0.2, 0)]],
    ["touchStart", [point(0.1, 0.2, 0), point(0.9, 0.2, 1)]],
    ["touchMove", [point(0.1, 0.8, 0), point(0.9, 0.8, 1)]],
    ["touchEnd", [point(0.9, 0.8, 1)]],
    ["touchEnd", []],
  ]) {
    await session.send("Input.dispatchTouchEvent", { type, touchPoints });
  }
  await found(page);
  const [left, middle, right] = await white();
  assert.ok(left > 500 && middle === 0 && right === 0, [left, middle, right]);
  await page.close();
});

test("long names break, and names are no markup", async () => {
  const site = join(folder, "names");
  await build(BUNDLE, site);
  const path = join(site, "bundle", "bundle.json");
  const said = JSON.parse(await readFile(path, "utf8"));
  const name = `<img src=x onerror="window.isHacked=1">${"aquarium_fish".repeat(30)}`;
  said.labels = said.labels.map((label) => label + name);
  await writeFile(path, JSON.stringify(said));
  const other = await serve(site);
  const { page } = await open({ viewport: { width: 360, height: 740 } }, address(other));
  await page.getByRole("button", { name: "Sample 1", exact: true }).click();
  assert.equal((await found(page)).length, 12);
  const [width, isHacked] = await page.evaluate(() => [
    document.documentElement.scrollWidth,
    window.isHacked,
  ]);
  assert.deepEqual([width, isHacked], [360, undefined]);
  await page.close();
  other.closeAllConnections();
  other.close();
});

test("a page is built beside nothing, and over nothing else", async () => {
  const bundle = join(folder, "a_bundle");
  await cp(BUNDLE, bundle, { recursive: true });
  await assert.rejects(build(bundle, folder), /must not lie in one another/);
  await assert.rejects(build(bundle, join(bundle, "page")), /must not lie in one another/);
  const mine = join(folder, "mine");
  await cp(bundle, mine, { recursive: true });
  await assert.rejects(build(bundle, mine), /must have nothing but a page in it/);
  assert.ok(await readFile(join(mine, "bundle.json")));
  const link = join(folder, "link");
  await symlink(bundle, link);
  await build(link, join(folder, "page_of_link"));
  const copied = await lstat(join(folder, "page_of_link", "bundle"));
  assert.ok(copied.isDirectory() && !copied.isSymbolicLink());
});

test("a server of the page serves nothing else", async () => {
  for (const path of ["../build.mjs", "%2e%2e/%2e%2e/etc/passwd", "missing", "%"]) {
    assert.equal((await fetch(address() + path)).status, 404, path);
  }
});
