import { readFile } from "node:fs/promises";

/** The vectors that Python and Java read as well. */
export const GOLDEN = new URL("../../../tests/golden/", import.meta.url);

export async function golden(name) {
  return new Uint8Array(await readFile(new URL(name, GOLDEN)));
}
