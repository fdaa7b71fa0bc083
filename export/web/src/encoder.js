import { Tensor, loadAndCompile, loadLiteRt } from "@litertjs/core";

// It can be loaded once a page.
let runtime;

/** Runs the model of a bundle, in WebAssembly. */
export class Encoder {
  #bundle;
  #model;

  /**
   * @param {import("./bundle.js").Bundle} bundle
   * @returns {Promise<Encoder>}
   */
  static async open(bundle) {
    const encoder = new Encoder();
    await (runtime ??= loadLiteRt(new URL("vendor/wasm/", document.baseURI).href));
    encoder.#model = await loadAndCompile(bundle.model, { accelerator: "wasm" });
    encoder.#bundle = bundle;
    return encoder;
  }

  /**
   * Returns the code of one image.
   *
   * @param {Float32Array} input what `Bundle.input` returns
   * @returns {Promise<Uint8Array>} bits / 8 bytes
   */
  async encode(input) {
    const { signature, inputName, outputName, inputShape } = this.#bundle;
    const given = new Tensor(input, inputShape);
    try {
      const outputs = await this.#model.run(signature, { [inputName]: given });
      const code = await outputs[outputName].data();
      const bytes = new Uint8Array(code.buffer, code.byteOffset, code.byteLength).slice();
      Object.values(outputs).forEach((output) => output.delete());
      return bytes;
    } finally {
      given.delete();
    }
  }
}
