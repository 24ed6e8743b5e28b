/**
 * Verifies real bundles with the built `cosign-ts/verify` inside headless Chromium, under a content security policy that allows the
 * page's own scripts and nothing else. Exit status 2 when there is no Chromium.
 */

import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { extname, join, normalize } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

import { launchChromium, requireChromium } from "../support/chromium.ts";

const PROJECT = fileURLToPath(new URL("../../", import.meta.url));
const TYPES: Readonly<Record<string, string>> = {
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".html": "text/html",
};
const PAGE = `<!doctype html><title>cosign-ts</title><script type="importmap">
{ "imports": { "@noble/curves/": "/node_modules/@noble/curves/", "@noble/hashes/": "/node_modules/@noble/hashes/" } }
</script>`;

interface Result {
  readonly passed: number;
  readonly failures: readonly string[];
  readonly unsupported: readonly string[];
}

requireChromium();
const server = await serve();
const browser = await launchChromium();
try {
  const page = await browser.newPage();
  const problems: string[] = [];
  page.on("pageerror", (error) => problems.push(error.message));
  await page.goto(server.url);
  const result = await page.evaluate<Result>(`(async () => {
    const [library, { verifyInRuntime }] = await Promise.all([
      import("/dist/verify/index.js"),
      import("/test/runtimes/verify-in-runtime.mjs"),
    ]);
    const read = async (path) => new Uint8Array(await (await fetch("/testdata/real/" + path)).arrayBuffer());
    return verifyInRuntime(library, read);
  })()`);
  for (const algorithm of result.unsupported) console.log(`  says that it lacks ${algorithm}`);
  for (const failure of [...problems, ...result.failures].slice(0, 20)) console.log(`  ${failure}`);
  const failed = result.failures.length + problems.length;
  console.log(`Chromium ${browser.version()}`);
  console.log(`${result.passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 && result.passed > 0 ? 0 : 1;
} finally {
  await browser.close();
  server.close();
}

async function serve(): Promise<{ readonly url: string; close(): void }> {
  const http: Server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url ?? "/", "http://localhost").pathname));
    response.setHeader("content-security-policy", "default-src 'self'; script-src 'self' 'unsafe-inline'");
    if (path === "/") {
      response.setHeader("content-type", "text/html");
      response.end(PAGE);
      return;
    }
    readFile(join(PROJECT, path)).then(
      (bytes) => {
        response.setHeader("content-type", TYPES[extname(path)] ?? "application/octet-stream");
        response.end(bytes);
      },
      () => {
        response.statusCode = 404;
        response.end();
      },
    );
  });
  await new Promise<void>((resolve) => {
    http.listen(0, "127.0.0.1", resolve);
  });
  const address = http.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return { url: `http://127.0.0.1:${address.port}/`, close: () => void http.close() };
}
