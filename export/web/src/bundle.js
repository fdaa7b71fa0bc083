import { CodeIndex } from "./code_index.js";
import { FormatError, Safetensors, parseJson } from "./safetensors.js";

const FORMAT = "keras_ae.bundle";
const VERSION = 1;
const MOST_VALUES = 2 ** 24;
const LARGEST = 1e30;
const ABOUT = "bundle.json";
const MODEL = "model.tflite";
const INDEX = "index.safetensors";
const ITEMS = "items.safetensors";
const SAMPLES = "samples.safetensors";

/**
 * A model, the index of its codes of some images, and what to show of them.
 *
 * The format is that of `export/FORMAT.md`. Sizes and checksums of all files are checked when it is
 * opened, and that the model and the index belong together.
 */
export class Bundle {
  /** Of the images that the model takes. @type {number} */
  height;
  /** @type {number} */
  width;
  /** @type {number} */
  channels;
  /** Names of the function in the model's file, of its input and of its output. @type {string} */
  signature;
  /** @type {string} */
  inputName;
  /** @type {string} */
  outputName;
  /** Shape of the input. @type {number[]} */
  inputShape;
  /** The model's file. @type {Uint8Array} */
  model;
  /** @type {CodeIndex} */
  index;
  /** Number of samples. @type {number} */
  samples;
  #divisor;
  #offset;
  #thumbnails;
  #labels;
  #labelNames;
  #tried;

  /**
   * Opens a bundle.
   *
   * @param {(name: string) => Promise<Uint8Array>} read returns a whole file
   * @param {(done: number, total: number) => void} [progress] is told the bytes read so far
   * @returns {Promise<Bundle>}
   */
  static async open(read, progress = () => {}) {
    const about = parseJson(ABOUT, await read(ABOUT));
    if (about.format !== FORMAT || about.version !== VERSION) {
      throw new FormatError(ABOUT, "not a bundle, or of a version unknown here");
    }
    const names = [MODEL, `${MODEL}.json`, INDEX, ITEMS, SAMPLES];
    if (!names.every((name) => Number.isSafeInteger(about.files?.[name]?.bytes))) {
      throw new FormatError(ABOUT, "lacks what a bundle says of its files");
    }
    const total = names.reduce((sum, name) => sum + about.files[name].bytes, 0);
    let done = 0;
    progress(done, total);
    const files = {};
    await Promise.all(
      names.map(async (name) => {
        files[name] = await read(name);
        await check(name, files[name], about.files[name]);
        progress((done += files[name].length), total);
      }),
    );
    return new Bundle(about, files);
  }

  /** Use `open`, which checks the files. */
  constructor(about, files) {
    const said = parseJson(`${MODEL}.json`, files[`${MODEL}.json`]);
    this.model = files[MODEL];
    this.index = new CodeIndex(INDEX, files[INDEX]);
    if (about.variant !== said.variant || about.variant !== this.index.variant) {
      throw new FormatError(ABOUT, "the index was made by another model than the one beside it");
    }
    const count = this.index.size;
    if (about.bits !== this.index.bits || about.count !== count) {
      throw new FormatError(ABOUT, "counts other codes than the index has");
    }
    if (this.index.lastId !== BigInt(count - 1)) {
      throw new FormatError(INDEX, "ids that are not the rows of the items");
    }
    const { image, input } = about;
    ({ height: this.height, width: this.width, channels: this.channels } = image ?? {});
    const isSize = (size) => Number.isSafeInteger(size) && size > 0;
    const values = this.height * this.width * this.channels;
    if (
      ![this.height, this.width].every(isSize) ||
      ![1, 3].includes(this.channels) ||
      values > MOST_VALUES
    ) {
      throw new FormatError(ABOUT, "images of an impossible size");
    }
    ({ signature: this.signature, name: this.inputName, output: this.outputName } = input ?? {});
    const texts = [this.signature, this.inputName, this.outputName];
    if (
      !texts.every((text) => typeof text === "string") ||
      ![input.divisor, input.offset].every(Number.isFinite) ||
      !Array.isArray(input.shape)
    ) {
      throw new FormatError(ABOUT, "lacks what a bundle says of its input");
    }
    if (
      !input.shape.every(isSize) ||
      input.shape.reduce((a, b) => a * b, 1) !== values ||
      input.divisor < 1 / LARGEST ||
      input.divisor > LARGEST ||
      Math.abs(input.offset) > LARGEST
    ) {
      throw new FormatError(ABOUT, "an input that the images cannot become");
    }
    this.inputShape = input.shape;
    this.#divisor = Math.fround(input.divisor);
    this.#offset = Math.fround(input.offset);

    const items = new Safetensors(ITEMS, files[ITEMS]);
    this.#thumbnails = items.get("thumbnails", "U8", [count, -1, -1, this.channels]);
    if (!this.#thumbnails.shape.slice(1, 3).every(isSize)) {
      throw new FormatError(ITEMS, "thumbnails of an impossible size");
    }
    this.#labelNames = about.labels ?? null;
    if (this.#labelNames !== null && !Array.isArray(this.#labelNames)) {
      throw new FormatError(ABOUT, "labels that are no list");
    }
    if (this.#labelNames !== null) {
      this.#labels = items.get("labels", "I32", [count]).values;
      const unnamed = this.#labels.find((label) => typeof this.#labelNames[label] !== "string");
      if (unnamed !== undefined) {
        throw new FormatError(ITEMS, `a class without a name: ${unnamed}`);
      }
    }
    const tried = new Safetensors(SAMPLES, files[SAMPLES]);
    const images = tried.get("images", "U8", [-1, this.height, this.width, this.channels]);
    this.samples = images.shape[0];
    const ids = tried.get("ids", "I64", [this.samples, -1]);
    this.#tried = {
      images: images.values,
      codes: tried.get("codes", "U8", [this.samples, this.index.bits / 8]).values,
      ids: ids.values,
      distances: tried.get("distances", "I32", ids.shape).values,
    };
  }

  /**
   * Returns what the model takes.
   *
   * @param {Uint8Array} pixels height * width * channels values, the channel varying fastest
   * @returns {Float32Array}
   */
  input(pixels) {
    const wanted = this.height * this.width * this.channels;
    if (pixels.length !== wanted) {
      throw new RangeError(`pixels must have ${wanted} values. Received: ${pixels.length}`);
    }
    // In single precision, each step rounded.
    return Float32Array.from(
      pixels,
      (value) => Math.fround(value / this.#divisor) + this.#offset,
    );
  }

  /**
   * Returns the name of the class of an image, or `null` without classes.
   *
   * @param {number | bigint} id
   */
  label(id) {
    return this.#labelNames && this.#labelNames[this.#labels[Number(id)]];
  }

  /**
   * Returns the thumbnail of an image, its channel varying fastest.
   *
   * @param {number | bigint} id
   */
  thumbnail(id) {
    const [, height, width, channels] = this.#thumbnails.shape;
    const pixels = part(this.#thumbnails.values, Number(id), this.index.size);
    return { pixels, height, width, channels };
  }

  /**
   * Returns an image to try the bundle with, and what must be found for it.
   *
   * @param {number} i
   */
  sample(i) {
    const { images, codes, ids, distances } = this.#tried;
    return {
      pixels: part(images, i, this.samples),
      code: part(codes, i, this.samples),
      ids: part(ids, i, this.samples),
      distances: part(distances, i, this.samples),
    };
  }
}

/** Returns one of `count` equal parts. */
function part(values, i, count) {
  const length = values.length / count;
  return values.subarray(i * length, (i + 1) * length);
}

async function check(name, bytes, described) {
  if (bytes.length !== described.bytes) {
    throw new FormatError(name, `truncated, or another: it has ${bytes.length} bytes`);
  }
  if (!globalThis.crypto?.subtle) {
    throw new Error("browsers check files only for pages from https or from this computer");
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const hexadecimal = Array.from(digest, (octet) => octet.toString(16).padStart(2, "0")).join("");
  if (hexadecimal !== described.sha256) {
    throw new FormatError(name, "damaged: its checksum is that of another file");
  }
}
