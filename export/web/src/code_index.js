import { FormatError, Safetensors } from "./safetensors.js";

const FORMAT = "keras_ae.HammingIndex";
const VERSION = 3n;

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, octet) => {
  for (let i = 0; i < 8; i++) {
    octet = octet & 1 ? (octet >>> 1) ^ 0xedb88320 : octet >>> 1;
  }
  return octet;
});

function crc32(bytes) {
  let crc = -1;
  for (let i = 0; i < bytes.length; i++) {
    crc = CRC_TABLE[(crc ^ bytes[i]) & 0xff] ^ (crc >>> 8);
  }
  return BigInt(~crc >>> 0);
}

function popcount(word) {
  word -= (word >>> 1) & 0x55555555;
  word = (word & 0x33333333) + ((word >>> 2) & 0x33333333);
  return Math.imul((word + (word >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** Exact search of binary codes by Hamming distance, in an index file of keras_ae. */
export class CodeIndex {
  /** Bits of a code, a multiple of 8. */
  bits;
  /** Number of codes. */
  size;
  /** What the codes were made by, or the empty text. */
  variant;
  #ids;
  // Rows of whole words, the rest of the last one 0.
  #words;
  #width;

  /**
   * Reads an index, and checks its numbers and checksums.
   *
   * @param {string} name of the file, for messages
   * @param {Uint8Array} file all of its bytes
   */
  constructor(name, file) {
    const tensors = new Safetensors(name, file);
    const text = ["bits", "count", "next_id", "variant"].map((key) => tensors.metadata[key]);
    const { format, bit_order: order, variant } = tensors.metadata;
    if (format !== FORMAT || tensors.number("version") !== VERSION) {
      throw new FormatError(name, "not an index, or of a version unknown here");
    }
    this.bits = Number(tensors.number("bits"));
    if (this.bits < 8 || this.bits % 8 || this.bits > 0x7fff || order !== "little") {
      throw new FormatError(name, `codes of ${this.bits} bits, or in another order`);
    }
    if (typeof variant !== "string") {
      throw new FormatError(name, "does not say what its codes were made by");
    }
    this.variant = variant;
    const octets = this.bits / 8;
    const { shape, values } = tensors.get("codes", "U8", [-1, octets]);
    this.size = shape[0];
    this.#ids = tensors.get("ids", "I64", [this.size]).values;
    if (
      tensors.number("count") !== BigInt(this.size) ||
      tensors.number("crc32_codes") !== crc32(values) ||
      tensors.number("crc32_ids") !== crc32(new Uint8Array(this.#ids.buffer)) ||
      tensors.number("crc32_text") !== crc32(new TextEncoder().encode(text.join(" ")))
    ) {
      throw new FormatError(name, "damaged: its checksums are those of other contents");
    }
    let last = -1n;
    for (const id of this.#ids) {
      if (id <= last) {
        throw new FormatError(name, "ids that do not ascend");
      }
      last = id;
    }
    if (tensors.number("next_id") <= last) {
      throw new FormatError(name, "a next id that is taken");
    }
    this.#width = Math.ceil(octets / 4);
    this.#words = this.#inWords(values);
  }

  /** The largest id, or -1. */
  get lastId() {
    return this.#ids.at(-1) ?? -1n;
  }

  #inWords(octets) {
    const length = this.bits / 8;
    const words = new Uint32Array((octets.length / length) * this.#width);
    if (length % 4 === 0) {
      new Uint8Array(words.buffer).set(octets);
    } else {
      const bytes = new Uint8Array(words.buffer);
      for (let from = 0, to = 0; from < octets.length; from += length, to += 4 * this.#width) {
        bytes.set(octets.subarray(from, from + length), to);
      }
    }
    return words;
  }

  /**
   * Returns the k nearest codes, all if there are fewer, by distance, and at equal distance by id.
   *
   * @param {Uint8Array} code bits / 8 bytes; bit j is bit j % 8, from the lowest, of byte j / 8
   * @param {number} k how many, >= 1
   * @returns {{ids: BigInt64Array, distances: Int32Array}}
   */
  search(code, k) {
    if (!Number.isSafeInteger(k) || k < 1) {
      throw new RangeError(`k must be an integer >= 1. Received: k=${k}`);
    }
    const { distances, counts } = this.#distances(code);
    const wanted = Math.min(k, this.size);
    let most = -1;
    for (let found = 0; found < wanted; found += counts[most]) {
      most++;
    }
    return this.#sorted(distances, counts, most, wanted);
  }

  /**
   * Returns all codes at a distance of at most `radius`, in the same order.
   *
   * @param {Uint8Array} code as in `search`
   * @param {number} radius in bits, >= 0
   * @returns {{ids: BigInt64Array, distances: Int32Array}}
   */
  within(code, radius) {
    if (!Number.isSafeInteger(radius) || radius < 0) {
      throw new RangeError(`radius must be an integer >= 0. Received: radius=${radius}`);
    }
    const { distances, counts } = this.#distances(code);
    const most = Math.min(radius, this.bits);
    const found = counts.subarray(0, most + 1).reduce((sum, count) => sum + count, 0);
    return this.#sorted(distances, counts, most, found);
  }

  #distances(code) {
    if (!(code instanceof Uint8Array) || code.length !== this.bits / 8) {
      throw new RangeError(
        `code must be a Uint8Array of ${this.bits / 8} bytes. Received: ${code?.length}`,
      );
    }
    const query = this.#inWords(code);
    const words = this.#words;
    const width = this.#width;
    const distances = new Uint16Array(this.size);
    const counts = new Uint32Array(this.bits + 1);
    for (let row = 0, i = 0; row < distances.length; row++) {
      let distance = 0;
      for (let j = 0; j < width; j++, i++) {
        distance += popcount(words[i] ^ query[j]);
      }
      distances[row] = distance;
      counts[distance]++;
    }
    return { distances, counts };
  }

  /** Sorts by counting: rows of one distance stay in the order of their ids. */
  #sorted(distances, counts, most, wanted) {
    const next = new Uint32Array(most + 1);
    for (let distance = 1; distance <= most; distance++) {
      next[distance] = next[distance - 1] + counts[distance - 1];
    }
    const ids = new BigInt64Array(wanted);
    const found = new Int32Array(wanted);
    for (let row = 0; row < distances.length; row++) {
      const distance = distances[row];
      // Of the largest distance there may be more than wanted.
      if (distance <= most && next[distance] < wanted) {
        found[next[distance]] = distance;
        ids[next[distance]++] = this.#ids[row];
      }
    }
    return { ids, distances: found };
  }
}
