/**
 * Image layouts in tar files.
 *
 * @module
 */

import { FormatError, SigstoreError } from "../../errors.ts";
import { MAX_LAYOUT_FILES } from "../../limits.ts";
import { LayoutFolder } from "./layout-files.ts";

/** The only files that a layout has; others are not looked at. */
const NAME = /^(?:\.\/)?(oci-layout|index\.json|blobs\/[a-z0-9]{1,16}\/[0-9a-f]{32,128})$/;

/**
 * Unpacks a tar file with an image layout into a folder that is gone with the process. Links in it are refused, and so is a name that
 * occurs twice: two readers could see two files.
 *
 * @throws FormatError `IMAGE_LAYOUT_MALFORMED`, `LIMIT_EXCEEDED`; InputError, StorageError of the file system.
 */
export async function openLayoutTar(path: string): Promise<LayoutFolder> {
  const { createReadStream, mkdtempSync, rmSync } = process.getBuiltinModule("node:fs");
  const { tmpdir } = process.getBuiltinModule("node:os");
  const { join } = process.getBuiltinModule("node:path");
  const { Readable } = process.getBuiltinModule("node:stream");
  const { createTarDecoder } = await import("modern-tar");
  const folder = mkdtempSync(join(tmpdir(), "cosign-ts-layout-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const layout = new LayoutFolder(folder, path);
  const fail = (problem: string, cause?: unknown): FormatError =>
    new FormatError("IMAGE_LAYOUT_MALFORMED", `${path} is no tar file with an image layout: ${problem}`, { cause });
  const seen = new Set<string>();
  try {
    const bytes = Readable.toWeb(createReadStream(path)) as ReadableStream<Uint8Array>;
    for await (const { header, body } of bytes.pipeThrough(createTarDecoder({ strict: true }))) {
      const [, name] = NAME.exec(header.name) ?? [];
      if (name === undefined || header.type === "directory") {
        await body.cancel();
        continue;
      }
      if (header.type !== undefined && header.type !== "file") throw fail(`${name} is a ${header.type}`);
      if (seen.has(name)) throw fail(`${name} occurs twice`);
      seen.add(name);
      if (seen.size > MAX_LAYOUT_FILES)
        throw new FormatError("LIMIT_EXCEEDED", `${path} has too many files`, {
          expected: `at most ${MAX_LAYOUT_FILES}`,
        });
      await layout.write(name, body);
    }
  } catch (cause) {
    rmSync(folder, { recursive: true, force: true });
    if (cause instanceof SigstoreError) throw cause;
    throw fail("it cannot be unpacked", cause);
  }
  return layout;
}
