// Serve a folder on this computer alone, until interrupted:
//
//   node serve.mjs FOLDER [PORT]

import { createHash } from "node:crypto";
import { realpathSync } from "node:fs";
import { access, readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css",
  ".js": "text/javascript",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};

/**
 * @param {string} folder
 * @param {number} port 0 for any that is free
 * @returns {Promise<import("node:http").Server>} which listens on 127.0.0.1
 */
export async function serve(folder, port = 0) {
  const root = resolve(folder);
  const server = createServer(async (request, response) => {
    try {
      const { pathname } = new URL(request.url, "http://127.0.0.1");
      const file = join(root, decodeURIComponent(pathname), pathname.endsWith("/") ? "index.html" : "");
      if (!file.startsWith(root + sep)) {
        throw new Error("outside");
      }
      const content = await readFile(file);
      const type = TYPES[extname(file)] ?? "application/octet-stream";
      // A browser that has it already need not load it again.
      const tag = `"${createHash("sha256").update(content).digest("hex")}"`;
      const headers = { "Content-Type": type, "Cache-Control": "no-cache", ETag: tag };
      const isKnown = request.headers["if-none-match"] === tag;
      response.writeHead(isKnown ? 304 : 200, headers).end(isKnown ? undefined : content);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((done, failed) => {
    server.on("error", failed);
    server.listen(port, "127.0.0.1", done);
  });
  return server;
}

if (realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const [folder, port = "8000"] = process.argv.slice(2);
  if (!folder) {
    console.error("Usage: node serve.mjs FOLDER [PORT]");
    process.exit(2);
  }
  try {
    await access(join(folder, "index.html"));
    const server = await serve(folder, Number(port));
    console.log(`http://127.0.0.1:${server.address().port}/ (Ctrl-C ends it)`);
  } catch (error) {
    console.error(`Nothing is served: ${error.message}`);
    process.exit(1);
  }
}
