/**
 * The files of an image layout, and those in a folder.
 *
 * @module
 */

import { FormatError, InputError, StorageError } from "../../errors.ts";
import { MAX_LAYOUT_FILES } from "../../limits.ts";
import { isContentDigest, type ContentDigest } from "../content-digest.ts";

/** Is a blob of a layout. */
export interface LayoutBlob {
  readonly digest: ContentDigest;
  readonly size: number;
}

/** Is where the files of a layout are. Paths are relative, with slashes. */
export interface LayoutFiles {
  readonly path: string;
  /** @returns `undefined` where there is no such file. @throws FormatError `LIMIT_EXCEEDED`; InputError `FILE_UNREADABLE`. */
  read(name: string, maxBytes: number): Promise<Uint8Array | undefined>;
  open(name: string): AsyncIterable<Uint8Array> | undefined;
  /** Says whether there is such a file, and the first byte in it is this. */
  beginsWith(name: string, byte: number): boolean;
  has(name: string): boolean;
  /** Lists the blobs. */
  blobs(): readonly LayoutBlob[];
  /** Writes a file whole or not at all. @throws StorageError `WRITE_FAILED`, and what the content throws. */
  write(name: string, content: readonly Uint8Array[] | AsyncIterable<Uint8Array>): Promise<void>;
  delete(name: string): void;
}

/** Is a layout in a folder. A link in it that leads out of it is not followed. */
export class LayoutFolder implements LayoutFiles {
  readonly path: string;

  constructor(folder: string) {
    this.path = folder;
  }

  read(name: string, maxBytes: number): Promise<Uint8Array | undefined> {
    const { readFileSync, statSync } = process.getBuiltinModule("node:fs");
    const file = this.#resolve(name);
    if (file === undefined) return Promise.resolve(undefined);
    try {
      const { size } = statSync(file);
      if (size > maxBytes)
        throw new FormatError("LIMIT_EXCEEDED", `${name} in ${this.path} is too large`, {
          expected: `at most ${maxBytes} bytes`,
          found: `${size} bytes`,
        });
      return Promise.resolve(readFileSync(file));
    } catch (error) {
      if (error instanceof FormatError) return Promise.reject(error);
      return Promise.reject(unreadable(name, this.path, error));
    }
  }

  open(name: string): AsyncIterable<Uint8Array> | undefined {
    const file = this.#resolve(name);
    if (file === undefined) return undefined;
    const { createReadStream } = process.getBuiltinModule("node:fs");
    return createReadStream(file, { highWaterMark: 1024 * 1024 }) as AsyncIterable<Uint8Array>;
  }

  beginsWith(name: string, byte: number): boolean {
    const { closeSync, openSync, readSync } = process.getBuiltinModule("node:fs");
    const file = this.#resolve(name);
    if (file === undefined) return false;
    let fd: number | undefined;
    try {
      fd = openSync(file, "r");
      const first = new Uint8Array(1);
      return readSync(fd, first) === 1 && first[0] === byte;
    } catch (error) {
      throw unreadable(name, this.path, error);
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
  }

  has(name: string): boolean {
    return this.#resolve(name) !== undefined;
  }

  blobs(): readonly LayoutBlob[] {
    const { readdirSync, statSync } = process.getBuiltinModule("node:fs");
    const { join } = process.getBuiltinModule("node:path");
    const found: LayoutBlob[] = [];
    for (const algorithm of ["sha256", "sha512"]) {
      const folder = join(this.path, "blobs", algorithm);
      let names: readonly string[];
      try {
        names = readdirSync(folder);
      } catch {
        continue; // there are none by that algorithm
      }
      for (const name of names) {
        const digest = `${algorithm}:${name}`;
        const file = isContentDigest(digest) ? this.#resolve(`blobs/${algorithm}/${name}`) : undefined;
        if (file === undefined || !isContentDigest(digest)) continue;
        found.push({ digest, size: statSync(file).size });
        if (found.length > MAX_LAYOUT_FILES)
          throw new FormatError("LIMIT_EXCEEDED", `image layout ${this.path} has too many files`, {
            expected: `at most ${MAX_LAYOUT_FILES}`,
          });
      }
    }
    return found;
  }

  async write(name: string, content: readonly Uint8Array[] | AsyncIterable<Uint8Array>): Promise<void> {
    const fs = process.getBuiltinModule("node:fs");
    const { dirname, join } = process.getBuiltinModule("node:path");
    const { randomBytes } = process.getBuiltinModule("node:crypto");
    const file = join(this.path, name);
    const temporary = join(this.path, `.${randomBytes(8).toString("hex")}.tmp`);
    let fd: number | undefined;
    const failed = (cause: unknown): StorageError =>
      new StorageError(
        "WRITE_FAILED",
        `${name} in ${this.path} cannot be written (${(cause as NodeJS.ErrnoException).code ?? ""})`,
        {
          cause,
        },
      );
    try {
      try {
        fs.mkdirSync(dirname(file), { recursive: true });
        fd = fs.openSync(temporary, "wx", 0o644);
      } catch (cause) {
        throw failed(cause);
      }
      for await (const chunk of content) {
        try {
          for (let rest = chunk; rest.length > 0;) rest = rest.subarray(fs.writeSync(fd, rest));
        } catch (cause) {
          throw failed(cause);
        }
      }
      try {
        fs.closeSync(fd);
        fd = undefined;
        fs.renameSync(temporary, file);
      } catch (cause) {
        throw failed(cause);
      }
    } finally {
      if (fd !== undefined) fs.closeSync(fd);
      fs.rmSync(temporary, { force: true });
    }
  }

  /** Writes a small file while a layout is begun. */
  writeNow(name: string, text: string): void {
    const { writeFileSync } = process.getBuiltinModule("node:fs");
    const { join } = process.getBuiltinModule("node:path");
    writeFileSync(join(this.path, name), text, { flag: "wx" });
  }

  delete(name: string): void {
    const { rmSync } = process.getBuiltinModule("node:fs");
    const { join } = process.getBuiltinModule("node:path");
    rmSync(join(this.path, name), { force: true });
  }

  /** @returns the file, if it is one and lies within the folder, wherever links lead. */
  #resolve(name: string): string | undefined {
    const { realpathSync, statSync } = process.getBuiltinModule("node:fs");
    const { join, sep } = process.getBuiltinModule("node:path");
    try {
      const root = realpathSync(this.path);
      const file = realpathSync(join(root, name));
      return file.startsWith(root + sep) && statSync(file).isFile() ? file : undefined;
    } catch {
      return undefined;
    }
  }
}

/** Says that a file of a layout cannot be read. */
export function unreadable(name: string, path: string, cause: unknown): InputError {
  return new InputError(
    "FILE_UNREADABLE",
    `${name} in ${path} cannot be read (${(cause as NodeJS.ErrnoException).code ?? ""})`,
    {
      cause,
    },
  );
}
