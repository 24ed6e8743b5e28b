/**
 * The cache of a TUF client: a folder laid out as cosign's, or memory. Writes are atomic; a disk that cannot be written to, or
 * does not exist, costs the cache and nothing else.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { accessSync, constants, readFileSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

import { StorageError } from "../errors.ts";
import { makeFolder } from "./make-folder.ts";
import { replaceFile } from "../storage/replace-file.ts";

/** Keeps files by name: segments that are safe as file names, with `/` between them. */
export interface Cache {
  /** Where the files are, for messages. */
  readonly description: string;
  read(name: string): Uint8Array | undefined;
  /** Writes a whole file or nothing. @throws StorageError `WRITE_FAILED`. */
  write(name: string, bytes: Uint8Array): void;
  /** Removes a file, or a folder with everything in it. @throws StorageError `WRITE_FAILED`. */
  remove(name: string): void;
}

/**
 * Makes a cache that ends with the process.
 *
 * @param files - Where it keeps them.
 */
export function createMemoryCache(files: Map<string, Uint8Array> = new Map<string, Uint8Array>()): Cache {
  return {
    description: "memory",
    read: (name) => files.get(name),
    write: (name, bytes) => void files.set(name, bytes),
    remove(name) {
      for (const key of files.keys()) if (key === name || key.startsWith(`${name}/`)) files.delete(key);
    },
  };
}

/** Makes a cache in a folder, which is created when something is first written. */
export function createFolderCache(folder: string): Cache {
  const pathOf = (name: string): string => join(folder, ...name.split("/"));
  return {
    description: folder,
    read(name) {
      try {
        return readFileSync(pathOf(name));
      } catch (cause) {
        const code = codeOf(cause);
        if (code === "ENOENT" || code === "ENOTDIR") return undefined;
        throw new StorageError("CACHE_UNREADABLE", `could not read the TUF cache ${pathOf(name)}: ${code}`, {
          remedy: "make it readable, or name another folder with TUF_ROOT",
          cause,
        });
      }
    },
    write(name, bytes) {
      const path = pathOf(name);
      try {
        makeFolder(join(path, ".."), 0o700);
        replaceFile(path, bytes, 0o600);
      } catch (cause) {
        throw new StorageError("WRITE_FAILED", `could not write the TUF cache ${path}: ${codeOf(cause)}`, {
          remedy: "make it writable, or name another folder with TUF_ROOT",
          cause,
        });
      }
    },
    remove(name) {
      try {
        rmSync(pathOf(name), { recursive: true, force: true });
      } catch (cause) {
        throw new StorageError(
          "WRITE_FAILED",
          `could not remove ${pathOf(name)} from the TUF cache: ${codeOf(cause)}`,
          { cause },
        );
      }
    },
  };
}

/**
 * Names the folder of all TUF caches: `TUF_ROOT`, otherwise `.sigstore/root` in the home folder.
 *
 * @returns `undefined` where there is no home, or one that this user may not enter.
 */
export function defaultCacheFolder(environment: Readonly<Record<string, string | undefined>>): string | undefined {
  const named = environment["TUF_ROOT"] ?? "";
  if (named !== "") return named;
  const home = environment["HOME"] ?? environment["USERPROFILE"] ?? tryHomeFolder() ?? "";
  return home !== "" && mayEnter(home) ? join(home, ".sigstore", "root") : undefined;
}

/** Names the folder of one mirror as cosign does: its URL without scheme, in lower case, `/` and `:` as `-`. */
export function mirrorFolderName(mirror: string): string {
  const name = mirror
    .replace(/^[a-z]+:\/\//i, "")
    .replace(/\/+$/, "")
    .toLowerCase()
    .replace(/[/:]/g, "-");
  return name === "" ? "-" : encodeSegment(name);
}

function tryHomeFolder(): string | undefined {
  try {
    return homedir();
  } catch {
    return undefined;
  }
}

function mayEnter(folder: string): boolean {
  try {
    accessSync(folder, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const MAX_SEGMENT_LENGTH = 200;

/**
 * Makes one file name of a name that comes from a repository. It stays inside its folder, and is a usable name, on every platform,
 * and two names never become one, also where file names do not tell capitals apart.
 */
export function encodeSegment(name: string): string {
  const encoded = encodeURIComponent(name).replace(/[A-Z*'()!~]|%[0-9A-F]{2}|^\.|\.$/g, (found) =>
    found.length === 1 ? percent(found) : found,
  );
  // Windows keeps the names of its devices for itself, with any extension.
  const usable = encoded.replace(
    /^(?:con|prn|aux|nul|com\d|lpt\d)(?=\.|$)/,
    (device) => percent(device.slice(0, 1)) + device.slice(1),
  );
  if (usable.length > MAX_SEGMENT_LENGTH) return `%${createHash("sha256").update(name).digest("hex")}`;
  return usable === "" ? "%" : usable;
}

function percent(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}

function codeOf(cause: unknown): string {
  return cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
}
