const PREFIX = 8;
const SIZES = { U8: 1, I32: 4, I64: 8 };

/** A file that is truncated, foreign, of a version not known here, or does not fit the others. */
export class FormatError extends Error {
  /**
   * @param {string} file its name
   * @param {string} message what is wrong with it
   */
  constructor(file, message) {
    super(`${file}: ${message}`);
    this.name = "FormatError";
  }
}

/**
 * Reads JSON that anyone may have written.
 *
 * @param {string} file its name, for messages
 * @param {Uint8Array} bytes
 * @returns {Record<string, any>}
 */
export function parseJson(file, bytes) {
  let value;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw new FormatError(file, `has JSON that cannot be read (${error.message})`);
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw new FormatError(file, "has JSON that is no object");
  }
  return value;
}

/** A file of tensors by name. The tensors are views of the bytes given, not copies. */
export class Safetensors {
  #name;
  #tensors;
  /** Texts by name. */
  metadata;

  /**
   * Reads the header, and checks that the tensors lie in the file.
   *
   * @param {string} name of the file, for messages
   * @param {Uint8Array} file all of its bytes
   */
  constructor(name, file) {
    this.#name = name;
    const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
    const rest = file.length - PREFIX;
    // The length has 64 bits; a file whose upper 32 are not 0 would not be here.
    if (rest < 2 || view.getUint32(4, true) !== 0 || view.getUint32(0, true) > rest) {
      throw new FormatError(name, "not a safetensors file, or truncated");
    }
    const start = PREFIX + view.getUint32(0, true);
    const { __metadata__: metadata, ...tensors } = parseJson(name, file.subarray(PREFIX, start));
    this.metadata = metadata ?? {};
    this.#tensors = new Map(
      Object.entries(tensors).map(([key, described]) => [
        key,
        this.#tensor(key, described, file.subarray(start)),
      ]),
    );
  }

  #tensor(key, described, data) {
    const { dtype, shape, data_offsets: offsets } = described ?? {};
    const isCount = (value) => Number.isSafeInteger(value) && value >= 0;
    if (
      !Array.isArray(shape) ||
      !Array.isArray(offsets) ||
      ![...shape, ...offsets].every(isCount) ||
      offsets[1] > data.length ||
      offsets[1] - offsets[0] !== shape.reduce((a, b) => a * b, SIZES[dtype])
    ) {
      throw new FormatError(
        this.#name,
        `truncated, or damaged: tensor '${key}' is not where it should be`,
      );
    }
    return { dtype, shape, data: data.subarray(offsets[0], offsets[1]) };
  }

  /**
   * Returns a tensor as an array of its own.
   *
   * @param {string} key
   * @param {"U8" | "I32" | "I64"} dtype
   * @param {number[]} shape its sizes; -1 for any
   * @returns {{shape: number[], values: any}}
   */
  get(key, dtype, shape) {
    const tensor = this.#tensors.get(key);
    if (
      tensor === undefined ||
      tensor.dtype !== dtype ||
      tensor.shape.length !== shape.length ||
      !shape.every((size, i) => size === -1 || size === tensor.shape[i])
    ) {
      throw new FormatError(
        this.#name,
        `must have a tensor '${key}' of ${dtype} in the right shape`,
      );
    }
    const arrays = { U8: Uint8Array, I32: Int32Array, I64: BigInt64Array };
    // Numbers of several bytes have to be aligned, which they are in a copy.
    const bytes = tensor.data.slice();
    return { shape: tensor.shape, values: new arrays[dtype](bytes.buffer) };
  }

  /**
   * Returns a number of the metadata.
   *
   * @param {string} key
   * @returns {bigint} which may be larger than a double holds
   */
  number(key) {
    const text = this.metadata[key];
    if (typeof text !== "string" || !/^[0-9]{1,19}$/.test(text)) {
      throw new FormatError(this.#name, `must have a number '${key}'`);
    }
    return BigInt(text);
  }
}
