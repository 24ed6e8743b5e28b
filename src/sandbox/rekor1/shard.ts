/**
 * One tree of a log of Rekor v1, with the key that signs for it.
 *
 * @module
 */

import { hash } from "node:crypto";
import { encodeBase64 } from "../../encoding/base64.ts";
import { encodeHex } from "../../encoding/hex.ts";
import { encodeUtf8 } from "../../encoding/utf8.ts";
import { LeafLog, type Leaf } from "../leaf-log.ts";
import { createRekorV1Signer, encodeCheckpoint, encodeNote, impersonate, type NoteSigner } from "../note-signer.ts";
import type { SigningKey } from "../signing-key.ts";
import type { SandboxStore } from "../store.ts";

/** What the log keeps beside an entry's body. */
export interface EntryNote {
  /** Seconds since 1970. */
  readonly integratedTime: number;
  readonly indexKeys: readonly string[];
}

/** Is a tree that grows, or grew. */
export class Shard {
  /** A positive number of 63 bits, in decimal digits. */
  readonly treeId: string;
  readonly key: SigningKey;
  readonly log: LeafLog;
  readonly logId: Uint8Array;
  readonly #signer: NoteSigner;
  #latest: { readonly size: number; readonly checkpoint: string } | undefined;

  constructor(
    options: {
      readonly treeId: string;
      readonly key: SigningKey;
      readonly hostname: string;
      readonly store: SandboxStore;
    },
    visit: (note: EntryNote, index: number) => void,
  ) {
    this.treeId = options.treeId;
    this.key = options.key;
    this.#signer = createRekorV1Signer(options.hostname, options.key);
    this.logId = new Uint8Array(hash("sha256", options.key.publicKey.spki, "buffer"));
    this.log = new LeafLog(options.store, (leaf, index) => visit(noteOf(leaf), index));
  }

  /** The first line of its checkpoints. */
  get origin(): string {
    return `${this.#signer.name} - ${this.treeId}`;
  }

  /** Reads what is known of an entry. */
  note(index: number): EntryNote {
    return noteOf(this.log.leaf(index));
  }

  /** Makes the id of an entry: the tree's, 16 digits, and the leaf hash. */
  entryId(index: number): string {
    return `${BigInt(this.treeId).toString(16).padStart(16, "0")}${encodeHex(this.log.tree.node(0, index))}`;
  }

  /** Signs the tree as it is now. */
  checkpoint(): string {
    const { size } = this.log;
    if (this.#latest?.size !== size)
      this.#latest = { size, checkpoint: this.signCheckpoint(size, this.log.tree.root()) };
    return this.#latest.checkpoint;
  }

  /** Signs any tree head; with another's key where one is given. */
  signCheckpoint(size: number, rootHash: Uint8Array, impostor?: SigningKey): string {
    const signer = impostor === undefined ? this.#signer : impersonate(this.#signer, impostor);
    const text = encodeCheckpoint(this.origin, { size, rootHash });
    return encodeNote(text, signer.sign(text));
  }

  /** Signs what promises an entry: canonical JSON of its body, time, log and index. */
  signPromise(body: string, integratedTime: number, logIndex: number, key: SigningKey = this.key): string {
    const logID = encodeHex(this.logId);
    return encodeBase64(
      key.sign(
        encodeUtf8(`{"body":"${body}","integratedTime":${integratedTime},"logID":"${logID}","logIndex":${logIndex}}`),
      ),
    );
  }
}

/** Writes the note of a leaf. */
export function encodeEntryNote({ integratedTime, indexKeys }: EntryNote): string {
  return JSON.stringify([integratedTime, ...indexKeys]);
}

function noteOf({ note }: Leaf): EntryNote {
  const [integratedTime, ...indexKeys] = JSON.parse(note) as [number, ...string[]];
  return { integratedTime, indexKeys };
}
