// Put the page, its runtime and a bundle into a folder that any web server can serve:
//
//   npm ci && node build.mjs BUNDLE OUT

import { access, cp, mkdir, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const packages = join(here, "node_modules", "@litertjs");
// Which of these a browser can run is found out there.
const RUNTIMES = ["litert_wasm_internal", "litert_wasm_compat_internal"];

/**
 * @param {string} bundle folder that `export/to_device_bundle.py` has written
 * @param {string} out folder to write; a page that was built there is replaced
 */
export async function build(bundle, out) {
  await access(join(bundle, "bundle.json"));
  await access(packages);
  const parts = ["bundle", "vendor"];
  await mkdir(out, { recursive: true });
  await Promise.all(parts.map((part) => rm(join(out, part), { recursive: true, force: true })));
  await cp(join(here, "src"), out, { recursive: true });
  await cp(bundle, join(out, "bundle"), { recursive: true });
  await cp(join(packages, "core", "dist", "index.js"), join(out, "vendor/core/index.js"));
  const utils = join("vendor", "wasm-utils", "index.js");
  await cp(join(packages, "wasm-utils", "dist", "index.js"), join(out, utils));
  for (const name of RUNTIMES.flatMap((runtime) => [`${runtime}.js`, `${runtime}.wasm`])) {
    await cp(join(packages, "core", "wasm", name), join(out, "vendor", "wasm", name));
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [bundle, out] = process.argv.slice(2);
  if (!bundle || !out) {
    console.error("Usage: node build.mjs BUNDLE OUT");
    process.exit(2);
  }
  await build(resolve(bundle), resolve(out));
  console.log(`The page is in ${resolve(out)}`);
}
