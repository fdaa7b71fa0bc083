// Put the page, its runtime and a bundle into a folder that any web server can serve:
//
//   npm ci && node build.mjs BUNDLE OUT

import { realpathSync } from "node:fs";
import { access, cp, mkdir, readdir, realpath, rm } from "node:fs/promises";
import { join, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const packages = join(here, "node_modules", "@litertjs");
// Which of these a browser can run is found out there.
const RUNTIMES = ["litert_wasm_internal", "litert_wasm_compat_internal"];

/**
 * @param {string} bundle folder that `export/to_device_bundle.py` has written
 * @param {string} out folder to write: a free one, an empty one, or one with such a page alone,
 *   which is replaced
 */
export async function build(bundle, out) {
  await access(join(bundle, "bundle.json"));
  await access(packages);
  await mkdir(out, { recursive: true });
  const [from, to] = [await realpath(bundle), await realpath(out)];
  if (`${from}${sep}`.startsWith(`${to}${sep}`) || `${to}${sep}`.startsWith(`${from}${sep}`)) {
    throw new Error(`OUT and BUNDLE must not lie in one another. Received: ${to} and ${from}`);
  }
  const page = [...(await readdir(join(here, "src"))), "bundle", "vendor"];
  const foreign = (await readdir(to)).filter((name) => !page.includes(name));
  if (foreign.length) {
    throw new Error(`OUT must have nothing but a page in it. Received: ${to} with ${foreign}`);
  }
  await Promise.all(page.map((name) => rm(join(to, name), { recursive: true, force: true })));
  await cp(join(here, "src"), to, { recursive: true });
  await cp(from, join(to, "bundle"), { recursive: true, dereference: true });
  for (const name of ["core", "wasm-utils"]) {
    await cp(join(packages, name, "dist", "index.js"), join(to, "vendor", name, "index.js"));
  }
  for (const name of RUNTIMES.flatMap((runtime) => [`${runtime}.js`, `${runtime}.wasm`])) {
    await cp(join(packages, "core", "wasm", name), join(to, "vendor", "wasm", name));
  }
}

if (realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const [bundle, out] = process.argv.slice(2);
  if (!bundle || !out) {
    console.error("Usage: node build.mjs BUNDLE OUT");
    process.exit(2);
  }
  try {
    await build(resolve(bundle), resolve(out));
  } catch (error) {
    console.error(`No page was built: ${error.message}`);
    process.exit(1);
  }
  console.log(`The page is in ${resolve(out)}`);
}
