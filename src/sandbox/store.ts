/**
 * What the sandbox keeps: small files that are replaced whole, and logs of records that only grow.
 *
 * @module
 */

import { concatBytes } from "../encoding/bytes.ts";

/** Keeps named bytes. */
export interface SandboxStore {
  /** Reads a file; `undefined` where there is none. */
  read(name: string): Uint8Array | undefined;
  /** Replaces a file, whole or not at all. */
  write(name: string, bytes: Uint8Array): void;
  /** Removes a file, if there is one. */
  remove(name: string): void;
  /** Gives how many bytes a file has; `undefined` where there is none. */
  size(name: string): number | undefined;
  /** Reads the bytes of a file from one position up to another, piece by piece. */
  stream(name: string, start: number, end: number): ReadableStream<Uint8Array>;
  /** Begins a file that is written piece by piece. */
  create(): PendingFile;
  /** Adds a record at the end of a log. */
  append(name: string, record: Uint8Array): void;
  /** Gives the records of a log in order. A last record that was cut off, as by a crash, is not there. */
  records(name: string): Iterable<Uint8Array>;
  /** Gives a part of the store under a name of its own. */
  under(folder: string): SandboxStore;
}

/** Is a file that has no name yet. It goes with the process, unless it is kept. */
export interface PendingFile {
  write(bytes: Uint8Array): void;
  /** Ends it, under a name, in place of what has it. */
  keep(name: string): void;
  /** Ends it without a trace. */
  discard(): void;
}

/** Makes a store that lasts as long as the process. */
export function createMemoryStore(): SandboxStore {
  const files = new Map<string, Uint8Array>();
  const logs = new Map<string, Uint8Array[]>();
  const at = (prefix: string): SandboxStore => ({
    read: (name) => files.get(prefix + name),
    write: (name, bytes) => void files.set(prefix + name, bytes),
    remove: (name) => void files.delete(prefix + name),
    size: (name) => files.get(prefix + name)?.length,
    stream: (name, start, end) => new Blob([(files.get(prefix + name) ?? new Uint8Array()).slice(start, end)]).stream(),
    create() {
      let pieces: Uint8Array[] = [];
      return {
        write: (bytes) => void pieces.push(Uint8Array.from(bytes)),
        keep: (name) => void files.set(prefix + name, concatBytes(...pieces)),
        discard: () => void (pieces = []),
      };
    },
    append(name, record) {
      const log = logs.get(prefix + name);
      if (log === undefined) logs.set(prefix + name, [record]);
      else log.push(record);
    },
    records: (name) => logs.get(prefix + name) ?? [],
    under: (folder) => at(`${prefix}${folder}/`),
  });
  return at("");
}
