/**
 * What the sandbox keeps: small files that are replaced whole, and logs of records that only grow.
 *
 * @module
 */

/** Keeps named bytes. */
export interface SandboxStore {
  /** Reads a file; `undefined` where there is none. */
  read(name: string): Uint8Array | undefined;
  /** Replaces a file, whole or not at all. */
  write(name: string, bytes: Uint8Array): void;
  /** Adds a record at the end of a log. */
  append(name: string, record: Uint8Array): void;
  /** Gives the records of a log in order. A last record that was cut off, as by a crash, is not there. */
  records(name: string): Iterable<Uint8Array>;
  /** Gives a part of the store under a name of its own. */
  under(folder: string): SandboxStore;
}

/** Makes a store that lasts as long as the process. */
export function createMemoryStore(): SandboxStore {
  const files = new Map<string, Uint8Array>();
  const logs = new Map<string, Uint8Array[]>();
  const at = (prefix: string): SandboxStore => ({
    read: (name) => files.get(prefix + name),
    write: (name, bytes) => void files.set(prefix + name, bytes),
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
