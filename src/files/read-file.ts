/**
 * Files of the user's, read with a limit and with errors that name the cause and the remedy.
 *
 * @module
 */

import type { Stats } from "node:fs";
import type { FileHandle } from "node:fs/promises";

import { InputError } from "../errors.ts";
import { MAX_BUFFERED_ARTIFACT_BYTES } from "../limits.ts";
import { formatBytes } from "./format-bytes.ts";

// Not imported: that would load every lazy part of the module, streams first. See `cli/process.ts`.
const {
  promises: { lstat, open, stat },
} = process.getBuiltinModule("node:fs");

const CHUNK_BYTES = 512 * 1024;
const SMALL_BYTES = 64 * 1024;

/**
 * Reads a whole file.
 *
 * @param what - What the file is to the reader of a message, for instance `bundle`.
 * @throws {@link InputError} `FILE_NOT_FOUND`, `FILE_IS_DIRECTORY`, `FILE_UNREADABLE`, `FILE_TOO_LARGE`.
 */
export async function readInputFile(path: string, maxBytes: number, what: string): Promise<Uint8Array> {
  const { size, isFile } = await inspect(path, what);
  if (isFile && size > maxBytes) throw tooLarge(path, what, maxBytes, size);
  const bytes = await readAtMost(path, size, maxBytes, what);
  if (bytes === undefined) throw tooLarge(path, what, maxBytes);
  return bytes;
}

/**
 * Opens an artifact: in memory where it is small, otherwise as a stream.
 *
 * @param onProgress - Called with the bytes read so far and the size of the file, for a large file.
 * @throws as {@link readInputFile}.
 */
export async function openArtifactFile(
  path: string,
  onProgress?: (read: number, size: number) => void,
): Promise<Uint8Array | AsyncIterable<Uint8Array>> {
  const what = "artifact";
  const { size, isFile } = await inspect(path, what);
  const isSmall = isFile && size <= MAX_BUFFERED_ARTIFACT_BYTES;
  const bytes = isSmall ? await readAtMost(path, size, MAX_BUFFERED_ARTIFACT_BYTES, what) : undefined;
  return bytes ?? streamFile(path, what, { size, isFile }, onProgress);
}

/**
 * Reads a file in pieces. Two buffers take turns: a piece is good until the next one is asked for, while the other is being filled.
 * Of a pipe nothing is read ahead: who stops reading would have to wait for somebody to write.
 */
async function* streamFile(
  path: string,
  what: string,
  { size, isFile }: Inspected,
  onProgress?: (read: number, size: number) => void,
): AsyncGenerator<Uint8Array> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, "r");
    let filling = Buffer.allocUnsafeSlow(CHUNK_BYTES);
    let spare = Buffer.allocUnsafeSlow(CHUNK_BYTES);
    let total = 0;
    let pending: ReturnType<typeof handle.read<Buffer>> | undefined;
    for (;;) {
      const { bytesRead } = await (pending ?? handle.read(filling, 0, CHUNK_BYTES, null));
      if (bytesRead === 0) return;
      const piece = filling.subarray(0, bytesRead);
      [filling, spare] = [spare, filling];
      pending = isFile ? handle.read(filling, 0, CHUNK_BYTES, null) : undefined;
      pending?.catch(() => undefined); // told when it is waited for, if it ever is
      yield piece;
      total += bytesRead;
      onProgress?.(total, size);
    }
  } catch (cause) {
    throw unreadable(path, what, cause);
  } finally {
    await handle?.close();
  }
}

/**
 * Reads a file to its end, wherever its size said that was: a pipe announces none, and a file may grow.
 *
 * @returns `undefined` where there is more than may be.
 */
async function readAtMost(path: string, size: number, maxBytes: number, what: string): Promise<Uint8Array | undefined> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, "r");
    // One byte more than is expected shows whether that was the end.
    let buffer = Buffer.allocUnsafeSlow(Math.min(Math.max(size, SMALL_BYTES), maxBytes) + 1);
    for (let length = 0; ;) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length, null);
      if (bytesRead === 0) return buffer.subarray(0, length);
      length += bytesRead;
      if (length > maxBytes) return undefined;
      if (length === buffer.length) buffer = Buffer.concat([buffer], Math.min(2 * length, maxBytes + 1));
    }
  } catch (cause) {
    throw unreadable(path, what, cause);
  } finally {
    await handle?.close();
  }
}

interface Inspected {
  readonly size: number;
  readonly isFile: boolean;
}

async function inspect(path: string, what: string): Promise<Inspected> {
  let stats: Stats;
  try {
    stats = await stat(path);
  } catch (cause) {
    throw unreadable(path, what, cause);
  }
  if (stats.isDirectory()) {
    throw new InputError("FILE_IS_DIRECTORY", `${what} ${quote(path)} is a directory`, { remedy: "name a file in it" });
  }
  return { size: stats.size, isFile: stats.isFile() };
}

/** Says whether a path names something that exists, without opening it: a pipe would wait. */
export async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (cause) {
    return codeOf(cause) !== "ENOENT" && codeOf(cause) !== "ENOTDIR";
  }
}

/** Finds out whose a path is, without following a link; `undefined` where there is nothing, or nobody can tell. */
export async function ownerOf(path: string): Promise<number | undefined> {
  return await lstat(path).then(
    ({ uid }) => uid,
    () => undefined,
  );
}

function unreadable(path: string, what: string, cause: unknown): InputError {
  const code = codeOf(cause);
  if (code === "ENOENT" || code === "ENOTDIR") {
    return new InputError("FILE_NOT_FOUND", `${what} ${quote(path)} does not exist`, {
      remedy: "check the path",
      cause,
    });
  }
  const permission = code === "EACCES" || code === "EPERM";
  return new InputError(
    "FILE_UNREADABLE",
    `could not read ${what} ${quote(path)}: ${permission ? "permission denied" : code}`,
    {
      remedy: permission ? "make it readable for the current user" : undefined,
      cause,
    },
  );
}

function tooLarge(path: string, what: string, maxBytes: number, size?: number): InputError {
  return new InputError("FILE_TOO_LARGE", `${what} ${quote(path)} is too large`, {
    expected: `at most ${formatBytes(maxBytes)}`,
    found: size === undefined ? "more" : formatBytes(size),
    remedy: `check that it is a ${what}`,
  });
}

function quote(path: string): string {
  return JSON.stringify(path);
}

function codeOf(cause: unknown): string {
  return cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
}
