/**
 * A store in a folder, for one process at a time.
 *
 * Files are replaced by renaming; logs are appended to, each record with its length and checksums in front of it. Nothing waits for
 * the disk: what was written survives the end of the process, however sudden, but not always that of the machine.
 *
 * @module
 */

import { randomBytes } from "node:crypto";
import {
  closeSync,
  createReadStream,
  fstatSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { crc32 } from "node:zlib";

import { InputError, StorageError } from "../errors.ts";
import { MAX_STORE_RECORD_BYTES } from "../limits.ts";
import { encodeSegment } from "../tuf/cache.ts";
import { makeFolder } from "../tuf/make-folder.ts";
import { replaceFile } from "../storage/replace-file.ts";
import type { PendingFile, SandboxStore } from "./store.ts";

/** Is a store that holds a folder until it is closed. */
export interface FolderStore extends SandboxStore {
  /** Lets go of the folder. Nothing may be written after that. */
  close(): void;
}

/**
 * Opens the store in a folder, which is made if need be. Everything in it may hold private keys: only its owner can read it.
 *
 * @throws {@link InputError} `FOLDER_IN_USE` while another store has it open; {@link StorageError} `WRITE_FAILED`. What the store
 * does throws {@link StorageError} `STORE_UNREADABLE`, `WRITE_FAILED`.
 */
export function createFolderStore(folder: string): FolderStore {
  guardWrite(folder, () => makeFolder(folder, 0o700));
  const release = lock(folder);
  const partial = join(folder, PARTIAL_NAME);
  try {
    guardWrite(partial, () => rmSync(partial, { recursive: true, force: true }));
  } catch (error) {
    release();
    throw error;
  }
  const logs = new Map<string, Log>();
  const pending = new Set<PendingFile>();
  let isOpen = true;
  const logAt = (path: string, create: boolean): Log | undefined => {
    const known = logs.get(path);
    if (known !== undefined) return known;
    const log = Log.open(path, create);
    if (log !== undefined) logs.set(path, log);
    return log;
  };
  const at = (prefix: readonly string[]): SandboxStore => {
    const pathOf = (name: string): string => {
      if (!isOpen) throw new StorageError("WRITE_FAILED", `the store ${folder} is closed`);
      return join(folder, ...prefix, ...name.split("/").map(encodeSegment));
    };
    return {
      read: (name) => tryRead(pathOf(name)),
      write: (name, bytes) => storeFile(pathOf(name), bytes, 0o600),
      remove(name) {
        const path = pathOf(name);
        guardWrite(path, () => rmSync(path, { force: true }));
      },
      size: (name) => trySize(pathOf(name)),
      stream: (name, start, end) => streamFile(pathOf(name), start, end),
      create: () => createPending(partial, pathOf, pending),
      append: (name, record) => logAt(`${pathOf(name)}${LOG_SUFFIX}`, true)?.append(record),
      records: (name) => logAt(`${pathOf(name)}${LOG_SUFFIX}`, false)?.records() ?? [],
      under: (name) => at([...prefix, ...name.split("/").map(encodeSegment)]),
    };
  };
  return {
    ...at([]),
    close() {
      if (!isOpen) return;
      isOpen = false;
      for (const log of logs.values()) log.close();
      for (const file of pending) file.discard();
      release();
    },
  };
}

/** `~` stands in no name that `encodeSegment` makes, so a log is never taken for a file. */
const LOG_SUFFIX = "~log";
const LOCK_NAME = "~lock";
/** Holds files that have no name yet: whatever is there when the store is opened was never finished. */
const PARTIAL_NAME = "~partial";

/**
 * Stores a file whole or not at all. Its folder is made if need be.
 *
 * @throws {@link StorageError} `WRITE_FAILED`.
 */
export function storeFile(path: string, bytes: Uint8Array | string, mode: number): void {
  guardWrite(path, () => {
    try {
      replaceFile(path, bytes, mode);
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw error;
      mkdirSync(join(path, ".."), { recursive: true, mode: 0o700 });
      replaceFile(path, bytes, mode);
    }
  });
}

function tryRead(path: string): Uint8Array | undefined {
  try {
    return new Uint8Array(readFileSync(path));
  } catch (cause) {
    if (["ENOENT", "ENOTDIR"].includes(codeOf(cause))) return undefined;
    throw unreadable(path, codeOf(cause), cause);
  }
}

function trySize(path: string): number | undefined {
  try {
    return statSync(path).size;
  } catch (cause) {
    if (["ENOENT", "ENOTDIR"].includes(codeOf(cause))) return undefined;
    throw unreadable(path, codeOf(cause), cause);
  }
}

function streamFile(path: string, start: number, end: number): ReadableStream<Uint8Array> {
  if (start >= end) return new Blob([]).stream();
  let fd: number;
  try {
    fd = openSync(path, "r"); // what is removed from now on is still read to its end
  } catch (cause) {
    throw unreadable(path, codeOf(cause), cause);
  }
  return Readable.toWeb(createReadStream(path, { fd, start, end: end - 1 })) as ReadableStream<Uint8Array>;
}

function createPending(folder: string, pathOf: (name: string) => string, pending: Set<PendingFile>): PendingFile {
  const temporary = join(folder, randomBytes(8).toString("hex"));
  const fd = guardWrite(temporary, () => {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return openSync(temporary, "wx", 0o600);
  });
  const file: PendingFile = {
    write: (bytes) =>
      guardWrite(temporary, () => {
        for (let written = 0; written < bytes.length;) written += writeSync(fd, bytes, written);
      }),
    keep(name) {
      const path = pathOf(name);
      if (!pending.delete(file)) throw new StorageError("WRITE_FAILED", `the file for ${path} was given up`);
      guardWrite(path, () => {
        try {
          closeSync(fd);
          mkdirSync(join(path, ".."), { recursive: true, mode: 0o700 });
          renameSync(temporary, path);
        } catch (error) {
          rmSync(temporary, { force: true });
          throw error;
        }
      });
    },
    discard() {
      if (!pending.delete(file)) return;
      closeSync(fd);
      rmSync(temporary, { force: true });
    },
  };
  pending.add(file);
  return file;
}

// ---- logs

/** Length, checksum of the length, checksum of the record: 32 bits each, big-endian. */
const HEADER_BYTES = 12;

/** Is one log, open. */
class Log {
  readonly #path: string;
  readonly #fd: number;
  #size: number;

  private constructor(path: string, fd: number) {
    this.#path = path;
    this.#fd = fd;
    this.#size = 0;
    const { size } = fstatSync(fd);
    for (const record of this.#scan(size)) this.#size += HEADER_BYTES + record.length;
    if (this.#size < size) guardWrite(path, () => ftruncateSync(fd, this.#size));
  }

  /** @returns `undefined` where there is none, and none is to be made. */
  static open(path: string, create: boolean): Log | undefined {
    let fd: number;
    try {
      if (create) mkdirSync(join(path, ".."), { recursive: true, mode: 0o700 });
      fd = openSync(path, create ? "a+" : "r+", 0o600);
    } catch (cause) {
      if (!create && ["ENOENT", "ENOTDIR"].includes(codeOf(cause))) return undefined;
      throw unreadable(path, codeOf(cause), cause);
    }
    try {
      return new Log(path, fd);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  append(record: Uint8Array): void {
    if (record.length > MAX_STORE_RECORD_BYTES)
      throw new StorageError("WRITE_FAILED", `could not write ${this.#path}: the record is too large`, {
        expected: `at most ${MAX_STORE_RECORD_BYTES} bytes`,
        found: `${record.length} bytes`,
      });
    const bytes = Buffer.alloc(HEADER_BYTES + record.length);
    bytes.writeUInt32BE(record.length, 0);
    bytes.writeUInt32BE(crc32(bytes.subarray(0, 4)), 4);
    bytes.writeUInt32BE(crc32(record), 8);
    bytes.set(record, HEADER_BYTES);
    guardWrite(this.#path, () => {
      try {
        let written = 0;
        while (written < bytes.length)
          written += writeSync(this.#fd, bytes, written, bytes.length - written, this.#size + written);
      } catch (error) {
        ftruncateSync(this.#fd, this.#size); // a full disk leaves no half of a record for the next one to follow
        throw error;
      }
    });
    this.#size += bytes.length;
  }

  records(): Iterable<Uint8Array> {
    return this.#scan(this.#size);
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** Ends before a record that was cut off. One that is damaged, with others behind it, is an error: a log must not lose its middle. */
  *#scan(size: number): Generator<Uint8Array> {
    const header = Buffer.alloc(HEADER_BYTES);
    for (let offset = 0; offset + HEADER_BYTES <= size;) {
      this.#read(header, offset);
      const length = header.readUInt32BE(0);
      const end = offset + HEADER_BYTES + length;
      if (crc32(header.subarray(0, 4)) !== header.readUInt32BE(4) || length > MAX_STORE_RECORD_BYTES) {
        // A file system may have made the file longer before a crash kept it from writing there.
        if (this.#isZero(offset, size)) return;
        throw unreadable(this.#path, `the record at byte ${offset} is damaged`);
      }
      if (end > size) return;
      const record = new Uint8Array(length);
      this.#read(record, offset + HEADER_BYTES);
      if (crc32(record) !== header.readUInt32BE(8)) {
        if (end === size || this.#isZero(offset + HEADER_BYTES, size)) return;
        throw unreadable(this.#path, `the record at byte ${offset} is damaged`);
      }
      yield record;
      offset = end;
    }
  }

  #isZero(from: number, to: number): boolean {
    const chunk = new Uint8Array(65_536);
    for (let offset = from; offset < to; offset += chunk.length) {
      const part = chunk.subarray(0, Math.min(chunk.length, to - offset));
      this.#read(part, offset);
      if (part.some((byte) => byte !== 0)) return false;
    }
    return true;
  }

  #read(into: Uint8Array, position: number): void {
    let read = 0;
    while (read < into.length) {
      const count = readSync(this.#fd, into, read, into.length - read, position + read);
      if (count === 0) throw unreadable(this.#path, "it became shorter while it was read");
      read += count;
    }
  }
}

// ---- the lock

/** Folders that this process has open: where the system tells no start time, a lock with our own number may be an older process's. */
const held = new Set<string>();

/** Keeps other processes out. @returns what lets them in again. */
function lock(folder: string): () => void {
  const path = join(folder, LOCK_NAME);
  const own = identityOf(process.pid);
  const temporary = `${path}.${randomBytes(8).toString("hex")}`;
  guardWrite(path, () => writeFileSync(temporary, own, { mode: 0o600, flag: "wx" }));
  try {
    for (let attempt = 0; attempt < 10; attempt += 1) {
      try {
        createLock(path, temporary, own);
        held.add(path);
        return () => {
          held.delete(path);
          if (readText(path) === own) rmSync(path, { force: true });
        };
      } catch (cause) {
        if (codeOf(cause) !== "EEXIST") throw writeFailed(path, cause);
      }
      const holder = readText(path);
      if (holder === undefined) continue;
      if (held.has(path) || isRunning(holder, own)) throw inUse(folder, holder);
      takeAway(path, holder);
    }
    throw inUse(folder, readText(path) ?? "");
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** Fails with `EEXIST` where there is a lock. */
function createLock(path: string, temporary: string, own: string): void {
  try {
    linkSync(temporary, path); // never shows an empty file
  } catch (error) {
    if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"].includes(codeOf(error))) throw error;
    writeFileSync(path, own, { mode: 0o600, flag: "wx" }); // a file system without links
  }
}

/** Removes the lock of a process that ended, unless another has taken its place meanwhile. */
function takeAway(path: string, holder: string): void {
  const aside = `${path}.${randomBytes(8).toString("hex")}`;
  try {
    renameSync(path, aside);
  } catch {
    return; // another was faster
  }
  try {
    if (readText(aside) !== holder) linkSync(aside, path);
  } catch {
    // and has it now
  } finally {
    rmSync(aside, { force: true });
  }
}

/** Names a process: its number alone is given to another one later, and in a container is often 1. */
function identityOf(pid: number): string {
  const boot = readText("/proc/sys/kernel/random/boot_id")?.trim() ?? "";
  // proc(5): the command's name, in parentheses, may hold spaces; start time is field 22.
  const started =
    readText(`/proc/${pid}/stat`)
      ?.replace(/^.*\) /s, "")
      .split(" ")[19] ?? "";
  return `${pid} ${started} ${boot}`;
}

function isRunning(holder: string, own: string): boolean {
  const pid = Number(/^\d+/.exec(holder)?.[0] ?? 0);
  if (pid === 0) return false;
  if (pid === process.pid) return holder === own && /^\d+ \d+ /.test(own);
  try {
    process.kill(pid, 0);
  } catch (cause) {
    if (codeOf(cause) !== "EPERM") return false;
  }
  return identityOf(pid) === holder;
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function inUse(folder: string, holder: string): InputError {
  return new InputError("FOLDER_IN_USE", `another process works in ${JSON.stringify(folder)}`, {
    found: `process ${/^\d+/.exec(holder)?.[0] ?? "unknown"}`,
  });
}

// ---- errors

function codeOf(cause: unknown): string {
  return cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
}

function unreadable(path: string, reason: string, cause?: unknown): StorageError {
  return new StorageError("STORE_UNREADABLE", `could not read ${JSON.stringify(path)}: ${reason}`, { cause });
}

function writeFailed(path: string, cause: unknown): StorageError {
  return new StorageError("WRITE_FAILED", `could not write ${JSON.stringify(path)}: ${codeOf(cause)}`, { cause });
}

function guardWrite<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw cause instanceof StorageError ? cause : writeFailed(path, cause);
  }
}
