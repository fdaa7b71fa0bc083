import { Bundle } from "./bundle.js";
import { Drawing } from "./drawing.js";
import { Encoder } from "./encoder.js";
import { fit } from "./pixels.js";

const NEIGHBOURS = 12;
const SAMPLES = 16;
// Enough for any model here, and little enough for any phone.
const LARGEST = 1024;
const CACHE = "keras_ae";

const element = (id) => document.getElementById(id);
const count = new Intl.NumberFormat("en");
let bundle;
let encoder;
// Of several asked for, only the last is answered.
let asked = 0;

function say(text) {
  element("status").textContent = text;
}

function fail(error) {
  console.error(error);
  const alert = element("error");
  alert.textContent = error?.message ?? String(error);
  alert.hidden = false;
}

/** Shows values from 0 to 255 on a canvas, pixel by pixel: what is seen is what is compared. */
function show(canvas, { pixels, width, height, channels }) {
  canvas.width = width;
  canvas.height = height;
  const data = new Uint8ClampedArray(4 * width * height);
  for (let i = 0; i < width * height; i++) {
    for (let channel = 0; channel < 3; channel++) {
      data[4 * i + channel] = pixels[channels * i + (channel % channels)];
    }
    data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(new ImageData(data, width, height), 0, 0);
  return canvas;
}

/**
 * Shows what is nearest to an image, unless something else is asked for meanwhile.
 *
 * @param {() => Promise<Uint8Array> | Uint8Array} makePixels
 */
async function find(makePixels) {
  const number = ++asked;
  element("error").hidden = true;
  try {
    const pixels = await makePixels();
    if (number === asked) {
      await answer(pixels, number);
    }
  } catch (error) {
    if (number === asked) {
      fail(error);
    }
  }
}

async function answer(pixels, number) {
  const { height, width, channels } = bundle;
  show(element("taken"), { pixels, width, height, channels });
  const start = performance.now();
  const code = await encoder.encode(bundle.input(pixels));
  const encoded = performance.now();
  const found = bundle.index.search(code, NEIGHBOURS);
  const end = performance.now();
  if (number !== asked) {
    return;
  }
  const [encoding, search] = [encoded - start, end - encoded].map((time) => time.toFixed(2));
  const size = count.format(bundle.index.size);
  say(`Encoded in ${encoding} ms; ${size} codes searched in ${search} ms`);
  element("neighbours").replaceChildren(
    ...Array.from(found.ids, (id, rank) => neighbour(rank, id, found.distances[rank])),
  );
}

function neighbour(rank, id, distance) {
  const label = bundle.label(id);
  const name = label ?? `image ${id}`;
  const canvas = show(document.createElement("canvas"), bundle.thumbnail(id));
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `Neighbour ${rank + 1}, ${name}`);
  const text = document.createElement("span");
  if (label !== null) {
    // A name in another direction must not turn the number around.
    const isolated = document.createElement("bdi");
    isolated.textContent = label;
    text.append(isolated, ": ");
  }
  text.append(`${distance} ${distance === 1 ? "bit" : "bits"}`);
  const item = document.createElement("li");
  item.append(canvas, text);
  return item;
}

async function picked(file) {
  let image;
  try {
    image = await createImageBitmap(file);
  } catch {
    throw new Error(`This image cannot be read: ${file.name}`);
  }
  const scale = Math.min(1, LARGEST / Math.max(image.width, image.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(image.width * scale));
  canvas.height = Math.max(1, Math.round(image.height * scale));
  const context = canvas.getContext("2d");
  // What is transparent is seen as white, as in most viewers.
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  image.close();
  const picture = context.getImageData(0, 0, canvas.width, canvas.height);
  const pixels = fit(picture, bundle.width, bundle.height, bundle.channels);
  return element("invert").checked ? pixels.map((value) => 255 - value) : pixels;
}

function clear(drawing) {
  asked++;
  element("error").hidden = true;
  drawing.clear();
  element("neighbours").replaceChildren();
  element("taken").width = 0;
  ready();
}

function ready() {
  const size = count.format(bundle.index.size);
  say(`${size} codes of ${bundle.index.bits} bits. Draw, pick or choose a sample.`);
}

function showSamples(drawing) {
  const { height, width, channels } = bundle;
  for (let i = 0; i < Math.min(bundle.samples, SAMPLES); i++) {
    const { pixels } = bundle.sample(i);
    const button = document.createElement("button");
    button.setAttribute("aria-label", `Sample ${i + 1}`);
    button.append(show(document.createElement("canvas"), { pixels, width, height, channels }));
    button.addEventListener("click", () => {
      drawing.clear();
      find(() => pixels);
    });
    element("samples").append(button);
  }
}

async function read(name) {
  const response = await fetch(new URL(`bundle/${name}`, document.baseURI));
  if (!response.ok) {
    throw new Error(`${name}: the server says ${response.status}`);
  }
  return new Uint8Array(await response.arrayBuffer());
}

/** Keeps all that has been loaded, so that the page works offline from now on. */
async function keep() {
  await navigator.serviceWorker.register("service_worker.js");
  const folder = new URL(".", document.baseURI).href;
  const loaded = performance.getEntriesByType("resource").map((entry) => entry.name);
  const here = loaded.filter((url) => url.startsWith(folder));
  const cache = await caches.open(CACHE);
  await cache.addAll(new Set([folder, document.baseURI.split("#")[0], ...here]));
  document.documentElement.dataset.offline = "ready";
}

async function start() {
  bundle = await Bundle.open(read, (done, total) => {
    element("progress").value = done / total;
  });
  encoder = await Encoder.open(bundle);
  // The first call takes longer than those after it.
  await encoder.encode(bundle.input(new Uint8Array(bundle.height * bundle.width * bundle.channels)));
  element("progress").hidden = true;
  const drawing = new Drawing(element("canvas"), element("pen"), bundle, () =>
    find(() => fit(drawing.picture(), bundle.width, bundle.height, bundle.channels)),
  );
  element("clear").addEventListener("click", () => clear(drawing));
  element("pick").addEventListener("change", (event) => {
    const [file] = event.target.files;
    // The same file may be picked again.
    event.target.value = "";
    if (file) {
      drawing.clear();
      find(() => picked(file));
    }
  });
  showSamples(drawing);
  element("controls").disabled = false;
  ready();
}

start().then(
  // Without a copy, or the right to keep one, the page still works.
  () => navigator.serviceWorker && keep().catch((error) => console.warn(error)),
  (error) => {
    say("This page cannot search.");
    element("progress").hidden = true;
    fail(error);
  },
);
