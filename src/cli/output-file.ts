/**
 * Files that a command writes: whole or not at all.
 *
 * @module
 */

import { randomBytes } from "node:crypto";
import {
  accessSync,
  closeSync,
  constants,
  copyFileSync,
  fchmodSync,
  linkSync,
  lstatSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
  type Stats,
} from "node:fs";
import { basename, dirname, join } from "node:path";

import { StorageError } from "../errors.ts";
import { writeFailed, type Sink } from "./context.ts";

/** Is a file that is being written. What stood in its place stays until it is committed. */
export interface OutputFile extends Sink {
  /** @throws {@link StorageError} `WRITE_FAILED`. */
  write(content: string | Uint8Array): void;
  /** Whether anything was written. */
  readonly isEmpty: boolean;
  /** Puts the file in its place. @throws {@link StorageError} `WRITE_FAILED`. */
  commit(): void;
  /** Leaves what was there. Without effect after {@link commit}. */
  discard(): void;
}

/**
 * Opens a file for writing. The folder is tried at once, so that a wrong path is told before any work is done.
 *
 * @param mode - Permissions of a file that is new; one that exists keeps its own.
 * @param isNew - Whether nothing may be there, now and when it is committed: whatever comes into being meanwhile is left as it is.
 * @throws {@link StorageError} `WRITE_FAILED`, here and at each write.
 */
export function openOutputFile(path: string, mode: number, isNew = false): OutputFile {
  return guard(path, () => {
    if (isNew) return replace(path, realDirectory(path), mode, true);
    const existing = tryStat(path);
    if (existing?.isDirectory() === true) throw Object.assign(new Error("it is a directory"), { code: "EISDIR" });
    // A device, a pipe or a socket is written to, not replaced.
    if (existing?.isFile() === false) return writeThrough(path);
    if (existing === undefined) return replace(path, realDirectory(path), mode);
    accessSync(path, constants.W_OK); // who may write to the folder only is not to replace the file
    try {
      return replace(path, realpathSync(path), existing.mode);
    } catch (error) {
      // A file in a folder that cannot be written to, as when the file alone is mounted.
      if (["EACCES", "EPERM", "EROFS"].includes(codeOf(error))) return writeInPlace(path);
      throw error;
    }
  });
}

/**
 * Writes a result whole: to the file that the flags name, otherwise to standard output.
 *
 * @throws {@link StorageError} `WRITE_FAILED`.
 */
export function writeOutput(text: string, path: string | undefined, { stdout }: { readonly stdout: Sink }): void {
  if (path === undefined) {
    stdout.write(text);
    return;
  }
  const file = openOutputFile(path, 0o600);
  file.write(text);
  file.commit();
}

/** Writes beside the file, and renames over it in the end; where it is to be new, not over it. */
function replace(path: string, target: string, mode: number, isNew = false): OutputFile {
  if (isNew && lstatSync(target, { throwIfNoEntry: false }) !== undefined) throw Object.assign(new Error(), EEXIST);
  const temporary = join(dirname(target), `.${basename(target)}.${randomBytes(6).toString("hex")}.tmp`);
  const fd = openSync(temporary, "wx", mode & 0o777);
  let isEmpty = true;
  let settled = false;
  const discard = (): void => {
    if (settled) return;
    settled = true;
    closeSync(fd);
    rmSync(temporary, { force: true });
  };
  return {
    isTerminal: false,
    get isEmpty() {
      return isEmpty;
    },
    write(content) {
      if (settled) return;
      isEmpty = false;
      guard(path, () => writeAll(fd, content), discard);
    },
    commit() {
      if (settled) return;
      guard(
        path,
        () => {
          if (isNew) create(temporary, target);
          else {
            if (tryStat(target) !== undefined) fchmodSync(fd, mode & 0o777); // as it was, whatever the mask says
            try {
              renameSync(temporary, target);
            } catch (error) {
              if (codeOf(error) !== "EBUSY") throw error; // a file that is mounted cannot be replaced
              copyFileSync(temporary, target);
              rmSync(temporary);
            }
          }
          settled = true;
          closeSync(fd);
        },
        discard,
      );
    },
    discard,
  };
}

const EEXIST = { code: "EEXIST" } as const;

/** Unlike a rename, a link takes the place of nothing. */
function create(temporary: string, target: string): void {
  try {
    linkSync(temporary, target);
  } catch (error) {
    if (codeOf(error) === "EEXIST") throw error;
    copyFileSync(temporary, target, constants.COPYFILE_EXCL); // not every file system has links
  }
  rmSync(temporary);
}

function writeThrough(path: string): OutputFile {
  const fd = openSync(path, "w");
  let isEmpty = true;
  let settled = false;
  const close = (): void => {
    if (!settled) closeSync(fd);
    settled = true;
  };
  return {
    isTerminal: false,
    get isEmpty() {
      return isEmpty;
    },
    write(content) {
      if (settled) return;
      isEmpty = false;
      guard(path, () => writeAll(fd, content), close);
    },
    commit: close,
    discard: close,
  };
}

function writeInPlace(path: string): OutputFile {
  const texts: Buffer[] = [];
  return {
    isTerminal: false,
    get isEmpty() {
      return texts.length === 0;
    },
    write: (content) => void texts.push(Buffer.from(content)),
    commit: () => guard(path, () => writeFileSync(path, Buffer.concat(texts))),
    discard: () => undefined,
  };
}

function writeAll(fd: number, content: string | Uint8Array): void {
  let rest = Buffer.from(content);
  while (rest.length > 0) rest = rest.subarray(writeSync(fd, rest));
}

function tryStat(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false });
}

/** A path through which the new file's folder is reached, also where the file is a link to nowhere. */
function realDirectory(path: string): string {
  return join(realpathSync(dirname(path)), basename(path));
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

function guard<T>(path: string, work: () => T, clean?: () => void): T {
  try {
    return work();
  } catch (cause) {
    clean?.();
    throw cause instanceof StorageError ? cause : writeFailed(JSON.stringify(path), cause);
  }
}
