import { createHash, randomUUID, type Hash } from "node:crypto";

import { MAX_REGISTRY_BLOB_BYTES, MAX_REGISTRY_UPLOADS } from "../../limits.ts";
import type { PendingFile, SandboxStore } from "../store.ts";
import { RegistryError } from "./api-error.ts";
import type { ContentAlgorithm } from "./references.ts";

/** How long an upload may rest before it is given up. */
const MAX_REST_MS = 3_600_000;

/** Is a blob on its way. */
export interface Upload {
  readonly id: string;
  readonly repository: string;
  /** What its address has to bring along, where that is wanted. */
  readonly secret: string | undefined;
  readonly file: PendingFile;
  readonly hashes: Readonly<Record<ContentAlgorithm, Hash>>;
  size: number;
  /** Whether a request is adding to it. */
  isBusy: boolean;
  /** When a request last had to do with it. */
  touched: number;
}

/** Holds the uploads that are not finished. They do not outlast the process. */
export class Uploads {
  readonly #store: SandboxStore;
  readonly #now: () => Date;
  /** Those that rested longest come first. */
  readonly #open = new Map<string, Upload>();

  constructor(store: SandboxStore, now: () => Date) {
    this.#store = store;
    this.#now = now;
  }

  begin(repository: string, withSecret: boolean): Upload {
    const touched = this.#now().getTime();
    for (const other of this.#open.values()) {
      const isOld = other.touched < touched - MAX_REST_MS;
      if (!other.isBusy && (isOld || this.#open.size >= MAX_REGISTRY_UPLOADS)) this.discard(other);
    }
    if (this.#open.size >= MAX_REGISTRY_UPLOADS)
      throw new RegistryError("TOOMANYREQUESTS", "too many uploads at once", { headers: { "retry-after": "1" } });
    const upload: Upload = {
      id: randomUUID(),
      repository,
      secret: withSecret ? randomUUID() : undefined,
      file: this.#store.create(),
      hashes: { sha256: createHash("sha256"), sha512: createHash("sha512") },
      size: 0,
      isBusy: false,
      touched,
    };
    this.#open.set(upload.id, upload);
    return upload;
  }

  /** @throws {@link RegistryError} `BLOB_UPLOAD_UNKNOWN`. */
  find(repository: string, id: string, secret: string | undefined): Upload {
    const upload = this.#open.get(id);
    if (upload?.repository !== repository || (upload.secret !== undefined && upload.secret !== secret))
      throw new RegistryError("BLOB_UPLOAD_UNKNOWN", "there is no such upload: it was finished, cancelled or given up");
    upload.touched = this.#now().getTime();
    this.#open.delete(id);
    this.#open.set(id, upload);
    return upload;
  }

  /**
   * Adds the body of a request, piece by piece. What has arrived of one that breaks off stays, to be continued.
   *
   * @throws {@link RegistryError} `SIZE_INVALID`, `BLOB_UPLOAD_INVALID`.
   */
  async receive(upload: Upload, body: ReadableStream<Uint8Array> | null): Promise<void> {
    if (upload.isBusy) throw new RegistryError("BLOB_UPLOAD_INVALID", "another request is adding to this upload");
    if (body === null) return;
    upload.isBusy = true;
    const reader = body.getReader();
    try {
      for (let piece = await readPiece(reader); piece !== undefined; piece = await readPiece(reader))
        this.#add(upload, piece);
    } catch (error) {
      await reader.cancel().catch(() => undefined);
      throw error;
    } finally {
      upload.isBusy = false;
    }
  }

  #add(upload: Upload, piece: Uint8Array): void {
    if (upload.size + piece.length > MAX_REGISTRY_BLOB_BYTES) {
      this.discard(upload);
      throw new RegistryError("SIZE_INVALID", `a blob has at most ${MAX_REGISTRY_BLOB_BYTES} bytes`, { status: 413 });
    }
    try {
      upload.file.write(piece);
    } catch (error) {
      this.discard(upload);
      throw error;
    }
    upload.size += piece.length;
    for (const hash of Object.values(upload.hashes)) hash.update(piece);
  }

  /** Takes an upload out, so that its file can be kept. */
  finish(upload: Upload): void {
    this.#open.delete(upload.id);
  }

  discard(upload: Upload): void {
    this.#open.delete(upload.id);
    upload.file.discard();
  }
}

async function readPiece(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<Uint8Array | undefined> {
  try {
    return (await reader.read()).value;
  } catch {
    throw new RegistryError("SIZE_INVALID", "the body broke off");
  }
}
