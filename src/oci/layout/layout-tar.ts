/**
 * Image layouts in tar files, which are read where they are: nothing is unpacked.
 *
 * @module
 */

import { FormatError, SigstoreError, StorageError } from "../../errors.ts";
import { MAX_LAYOUT_FILES } from "../../limits.ts";
import { isContentDigest } from "../content-digest.ts";
import { unreadable, type LayoutBlob, type LayoutFiles } from "./layout-files.ts";

/** The only files that a layout has; others are not looked at. */
const NAME = /^(?:\.\/)?(oci-layout|index\.json|blobs\/[a-z0-9]{1,16}\/[0-9a-f]{32,128})$/;
const BLOCK = 512;
/** Where a header block has the size of what follows, in octal digits, and the type of the entry. @see POSIX.1-2017, pax, ustar */
const SIZE_FIELD = { start: 124, end: 136 };
const TYPE_FIELD = 156;
/** Types of entries that say something of the next one: pax's two, and GNU's long names. */
const DESCRIBES_NEXT = new Set(["x", "g", "L", "K"]);

/** Is where a file is within the tar file. */
interface Extent {
  readonly offset: number;
  readonly size: number;
}

/** Is a layout in a tar file, which is only read. */
export class LayoutTar implements LayoutFiles {
  readonly path: string;
  readonly #extents: ReadonlyMap<string, Extent>;

  constructor(path: string, extents: ReadonlyMap<string, Extent>) {
    this.path = path;
    this.#extents = extents;
  }

  read(name: string, maxBytes: number): Promise<Uint8Array | undefined> {
    const extent = this.#extents.get(name);
    if (extent === undefined) return Promise.resolve(undefined);
    if (extent.size > maxBytes)
      return Promise.reject(
        new FormatError("LIMIT_EXCEEDED", `${name} in ${this.path} is too large`, {
          expected: `at most ${maxBytes} bytes`,
          found: `${extent.size} bytes`,
        }),
      );
    try {
      return Promise.resolve(readExtent(this.path, extent));
    } catch (error) {
      return Promise.reject(unreadable(name, this.path, error));
    }
  }

  open(name: string): AsyncIterable<Uint8Array> | undefined {
    const extent = this.#extents.get(name);
    if (extent === undefined) return undefined;
    const { offset, size } = extent;
    // A stream cannot be told to read nothing.
    if (size === 0) return (async function* () {})();
    const { createReadStream } = process.getBuiltinModule("node:fs");
    const range = { start: offset, end: offset + size - 1, highWaterMark: 1024 * 1024 };
    return createReadStream(this.path, range) as AsyncIterable<Uint8Array>;
  }

  beginsWith(name: string, byte: number): boolean {
    const extent = this.#extents.get(name);
    if (extent === undefined) return false;
    try {
      return readExtent(this.path, { offset: extent.offset, size: Math.min(1, extent.size) })[0] === byte;
    } catch (error) {
      throw unreadable(name, this.path, error);
    }
  }

  has(name: string): boolean {
    return this.#extents.has(name);
  }

  blobs(): readonly LayoutBlob[] {
    return [...this.#extents].flatMap(([name, { size }]) => {
      const [, algorithm = "", hex = ""] = name.split("/");
      const digest = `${algorithm}:${hex}`;
      return isContentDigest(digest) ? [{ digest, size }] : [];
    });
  }

  write(name: string): Promise<void> {
    return Promise.reject(this.#readOnly(name));
  }

  delete(name: string): void {
    throw this.#readOnly(name);
  }

  #readOnly(name: string): StorageError {
    return new StorageError("WRITE_FAILED", `${name} in ${this.path} cannot be changed: a tar file is only read`, {
      remedy: "unpack it, and name the folder",
    });
  }
}

/**
 * Finds the files of an image layout in a tar file. Links in the place of them are refused, and so is a name that occurs twice: two
 * readers could see two files.
 *
 * What a header says is read by a library, from the file as a stream. Where a file begins is counted here: it follows its header, which
 * follows what describes it and, rounded up to blocks, the file before. A blob from a wrong place would not be what its digest names.
 *
 * @throws FormatError `IMAGE_LAYOUT_MALFORMED`, `LIMIT_EXCEEDED`; InputError `FILE_UNREADABLE`.
 */
export async function openLayoutTar(path: string): Promise<LayoutTar> {
  const { createReadStream } = process.getBuiltinModule("node:fs");
  const { Readable } = process.getBuiltinModule("node:stream");
  const { createTarDecoder } = await import("modern-tar");
  const fail = (problem: string, cause?: unknown): FormatError =>
    new FormatError("IMAGE_LAYOUT_MALFORMED", `${path} is no tar file with an image layout: ${problem}`, { cause });
  const extents = new Map<string, Extent>();
  let position = 0;
  try {
    const bytes = Readable.toWeb(createReadStream(path)) as ReadableStream<Uint8Array>;
    for await (const { header, body } of bytes.pipeThrough(createTarDecoder({ strict: true }))) {
      const offset = findContent(path, position);
      let size = 0;
      for await (const chunk of body) size += chunk.length;
      position = offset + roundUp(size);
      const [, name] = NAME.exec(header.name) ?? [];
      if (name === undefined || header.type === "directory") continue;
      if (header.type !== undefined && header.type !== "file") throw fail(`${name} is a ${header.type}`);
      if (extents.has(name)) throw fail(`${name} occurs twice`);
      extents.set(name, { offset, size });
      if (extents.size > MAX_LAYOUT_FILES)
        throw new FormatError("LIMIT_EXCEEDED", `${path} has too many files`, {
          expected: `at most ${MAX_LAYOUT_FILES}`,
        });
    }
  } catch (cause) {
    if (cause instanceof SigstoreError) throw cause;
    if (typeof (cause as NodeJS.ErrnoException).syscall === "string") throw unreadable("an entry", path, cause);
    throw fail("it cannot be read", cause);
  }
  return new LayoutTar(path, extents);
}

/** @returns where the content of the next file begins. */
function findContent(path: string, position: number): number {
  for (let at = position; ;) {
    const header = readExtent(path, { offset: at, size: BLOCK });
    at += BLOCK;
    if (!DESCRIBES_NEXT.has(String.fromCharCode(header[TYPE_FIELD] ?? 0))) return at;
    const digits = String.fromCharCode(...header.subarray(SIZE_FIELD.start, SIZE_FIELD.end));
    at += roundUp(Number.parseInt(digits, 8));
  }
}

function roundUp(size: number): number {
  return Math.ceil(size / BLOCK) * BLOCK;
}

/** @returns what is there: less, where the file ends before. */
function readExtent(path: string, { offset, size }: Extent): Uint8Array {
  const { closeSync, openSync, readSync } = process.getBuiltinModule("node:fs");
  const fd = openSync(path, "r");
  try {
    const bytes = new Uint8Array(size);
    let read = 0;
    for (let count = 1; count > 0 && read < size; read += count)
      count = readSync(fd, bytes, read, size - read, offset + read);
    return bytes.subarray(0, read);
  } finally {
    closeSync(fd);
  }
}
