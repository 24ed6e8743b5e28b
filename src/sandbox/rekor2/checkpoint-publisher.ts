/**
 * Publishes the checkpoints of a log: signed by the log, cosigned by its witnesses.
 *
 * @module
 */

import type { MerkleTree } from "../merkle-tree.ts";
import { encodeCheckpoint, encodeNote, type NoteSigner } from "../note-signer.ts";
import type { Witness } from "../witness.ts";

/** Is a tree head with the signed note that says it. */
export interface PublishedCheckpoint {
  readonly size: number;
  readonly rootHash: Uint8Array;
  readonly note: string;
}

/** Signs checkpoints of one log. */
export class CheckpointPublisher {
  readonly #signer: NoteSigner;
  readonly #witnesses: readonly { readonly witness: Witness; seen: number }[];

  /** @param signer - Its name is the origin. */
  constructor(signer: NoteSigner, witnesses: readonly Witness[]) {
    this.#signer = signer;
    this.#witnesses = witnesses.map((witness) => ({ witness, seen: 0 }));
  }

  /**
   * Signs the head of a tree. A witness that refuses keeps nothing from being published: whoever needs it will notice.
   *
   * @param extensions - Further lines of the checkpoint.
   */
  async publish(tree: MerkleTree, extensions: readonly string[] = []): Promise<PublishedCheckpoint> {
    const head = { size: tree.size, rootHash: tree.root() };
    const text = encodeCheckpoint(this.#signer.name, head, extensions);
    const own = encodeNote(text, this.#signer.sign(text));
    const lines = await Promise.all(
      this.#witnesses.map(async (state) => {
        let answer = await ask(state.seen);
        if (answer.status === 409 && answer.size <= BigInt(head.size)) answer = await ask(Number(answer.size));
        if (answer.status === 200) state.seen = head.size;
        return answer.status === 200 ? answer.line : "";

        async function ask(seen: number): ReturnType<Witness["addCheckpoint"]> {
          const proof = tree.consistencyProof(Math.min(seen, head.size), head.size);
          return await state.witness.addCheckpoint({ oldSize: BigInt(seen), proof, checkpoint: own });
        }
      }),
    );
    return { ...head, note: own + lines.join("") };
  }
}
