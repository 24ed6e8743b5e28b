import { describe, expect, test } from "vitest";
import { parseBundle } from "../../src/bundle/bundle.ts";
import { defaultCryptoProvider } from "../../src/crypto/provider.ts";
import { createWebCryptoProvider } from "../../src/crypto/webcrypto-provider.ts";
import { verifyInclusionProof } from "../../src/tlog/inclusion.ts";
import type { InclusionProof, TransparencyLogEntry } from "../../src/tlog/transparency-log-entry.ts";
import { parseTrustedRoot } from "../../src/trust/trusted-root.ts";
import { textFile } from "../support/json-edits.ts";
import {
  checkpointText,
  flip,
  lineV1,
  lineV2,
  logEntry,
  makeLog,
  noteOf,
  outcomeOf,
  utf8,
  type TestLog,
} from "../support/logs.ts";

const crypto = defaultCryptoProvider();
const production = parseTrustedRoot(textFile("trusted-root/production.trusted_root.json"));
const staging = parseTrustedRoot(textFile("trusted-root/staging.trusted_root.json"));
const INVALID = { code: "TLOG_INCLUSION_PROOF_INVALID" };

function entryOf(bundle: string): TransparencyLogEntry {
  const [entry] = parseBundle(textFile(`bundle/${bundle}.sigstore.json`)).verificationMaterial.tlogEntries;
  if (entry === undefined) throw new Error("no entry");
  return entry;
}

function proofOf(entry: TransparencyLogEntry): InclusionProof {
  if (entry.inclusionProof === undefined) throw new Error("no proof");
  return entry.inclusionProof;
}

const withProof = (entry: TransparencyLogEntry, change: Partial<InclusionProof>): TransparencyLogEntry => ({
  ...entry,
  inclusionProof: { ...proofOf(entry), ...change },
});

describe("verifyInclusionProof (rekor-v2-spec §7.2)", () => {
  test.for([
    "v0.1-chain-promise-and-proof",
    "v0.3-certificate-rekor-v1",
    "v0.3-dsse-certificate",
    "v0.3-public-key",
    "v0.2-npm-publish-key-hint",
  ])("accepts the real Rekor v1 entry of %s", async (bundle) => {
    const entry = entryOf(bundle);
    const [rekor] = production.tlogs;
    if (rekor === undefined) throw new Error("no log");
    const { checkpoint, note } = await verifyInclusionProof(entry, rekor, 1, crypto);
    expect(checkpoint).toMatchObject({ treeSize: proofOf(entry).treeSize, rootHash: proofOf(entry).rootHash });
    expect(note.signatures).toHaveLength(1);
  });

  test("accepts a real Rekor v2 entry, by the log that made it and no other of the root", async () => {
    const entry = entryOf("v0.3-rekor-v2-timestamp");
    const outcomes = await Promise.all(
      staging.tlogs.map(async (log) => [log.baseUrl, await outcomeOf(verifyInclusionProof(entry, log, 2, crypto))]),
    );
    expect(outcomes).toEqual([
      ["https://rekor.sigstage.dev", "CHECKPOINT_NOT_SIGNED_BY_LOG"],
      ["https://log2025-alpha1.rekor.sigstage.dev", "accepted"],
      ["https://log2025-alpha2.rekor.sigstage.dev", "CHECKPOINT_NOT_SIGNED_BY_LOG"],
      ["https://log2025-alpha3.rekor.sigstage.dev", "CHECKPOINT_NOT_SIGNED_BY_LOG"],
    ]);
  });

  test("holds with WebCrypto, where every hash is a promise", async () => {
    const webCrypto = createWebCryptoProvider(globalThis.crypto.subtle);
    const [rekor] = production.tlogs;
    if (rekor === undefined) throw new Error("no log");
    const entry = entryOf("v0.3-public-key");
    expect(await outcomeOf(verifyInclusionProof(entry, rekor, 1, webCrypto))).toBe("accepted");
    const changed = { ...entry, canonicalizedBody: flip(entry.canonicalizedBody) };
    expect(await outcomeOf(verifyInclusionProof(changed, rekor, 1, webCrypto))).toBe(INVALID.code);
  });

  test("takes a leaf that was rebuilt from the bundle", async () => {
    const log = makeLog("ed25519");
    const entry = { ...logEntry(log, 2, utf8("rebuilt")), canonicalizedBody: utf8("claimed") };
    await verifyInclusionProof(entry, log, 2, crypto, utf8("rebuilt"));
    await expect(verifyInclusionProof(entry, log, 2, crypto)).rejects.toMatchObject(INVALID);
  });

  test("accepts a log of one leaf, without a tree id, without a time or a promise", async () => {
    const log = makeLog("p256");
    const entry = logEntry(log, 1, utf8("body"), { before: 0, after: 0, origin: (name) => name });
    expect(entry).toMatchObject({ integratedTime: 0n, inclusionProof: { hashes: [], treeSize: 1n } });
    await verifyInclusionProof(entry, log, 1, crypto);
  });

  const generations: readonly (readonly [1 | 2, TestLog])[] = [
    [1, makeLog("p256")],
    [2, makeLog("ed25519")],
  ];
  for (const [generation, log] of generations) {
    describe(`for generation ${generation}`, () => {
      const valid = logEntry(log, generation, utf8("body"));
      const sign = generation === 1 ? lineV1 : lineV2;
      const verify = (entry: TransparencyLogEntry) => verifyInclusionProof(entry, log, generation, crypto);

      test("accepts the valid entry", async () => {
        await expect(verify(valid)).resolves.toMatchObject({ checkpoint: { treeSize: 8n } });
      });

      test("rejects an entry without proof", async () => {
        const { inclusionProof: _, ...without } = valid;
        await expect(verify(without)).rejects.toMatchObject({ code: "TLOG_INCLUSION_PROOF_MISSING" });
      });

      const { hashes, rootHash, checkpoint } = proofOf(valid);
      const [name, size] = [log.baseUrl.slice("https://".length), 8];
      const resigned = (text: string): string => noteOf(text, sign(log, name, text));
      test.for<readonly [string, TransparencyLogEntry, string]>([
        ["no checkpoint", withProof(valid, { checkpoint: "" }), "TLOG_INCLUSION_PROOF_INVALID"],
        [
          "another root hash than the checkpoint",
          withProof(valid, { rootHash: flip(rootHash) }),
          "TLOG_INCLUSION_PROOF_INVALID",
        ],
        ["another tree size than the checkpoint", withProof(valid, { treeSize: 9n }), "TLOG_INCLUSION_PROOF_INVALID"],
        [
          "an index one higher",
          { ...withProof(valid, { logIndex: 4n }), logIndex: valid.logIndex + 1n },
          "TLOG_INCLUSION_PROOF_INVALID",
        ],
        ["one hash more", withProof(valid, { hashes: [...hashes, rootHash] }), "TLOG_INCLUSION_PROOF_INVALID"],
        ["one hash less", withProof(valid, { hashes: hashes.slice(1) }), "TLOG_INCLUSION_PROOF_INVALID"],
        [
          "one bit of a hash changed",
          withProof(valid, { hashes: hashes.with(1, flip(rootHash)) }),
          "TLOG_INCLUSION_PROOF_INVALID",
        ],
        ["another body", { ...valid, canonicalizedBody: utf8("Body") }, "TLOG_INCLUSION_PROOF_INVALID"],
        [
          "a checkpoint whose good signature is on another root hash",
          withProof(valid, {
            checkpoint: resigned(checkpointText(generation === 1 ? `${name} - 1` : name, size, flip(rootHash))),
          }),
          "TLOG_INCLUSION_PROOF_INVALID",
        ],
        [
          "root hash and checkpoint of another tree",
          withProof(valid, {
            rootHash: flip(rootHash),
            checkpoint: resigned(checkpointText(generation === 1 ? `${name} - 1` : name, size, flip(rootHash))),
          }),
          "TLOG_INCLUSION_PROOF_INVALID",
        ],
        [
          "a checkpoint that was changed",
          withProof(valid, { checkpoint: checkpoint.replace("\n8\n", "\n9\n") }),
          "CHECKPOINT_SIGNATURE_INVALID",
        ],
        ["a checkpoint that is no signed note", withProof(valid, { checkpoint: "x" }), "SIGNED_NOTE_MALFORMED"],
        [
          "a signed note that is no checkpoint",
          withProof(valid, { checkpoint: resigned("x\n") }),
          "CHECKPOINT_MALFORMED",
        ],
      ])("rejects %s", async ([, entry, code]) => {
        await expect(verify(entry)).rejects.toMatchObject({ code });
      });

      test("rejects the checkpoint of another log", async () => {
        const other = makeLog(generation === 1 ? "p256" : "ed25519");
        await expect(verifyInclusionProof(valid, other, generation, crypto)).rejects.toMatchObject({
          code: "CHECKPOINT_NOT_SIGNED_BY_LOG",
        });
      });

      test("tells an unknown log first, whatever else is wrong with the proof", async () => {
        const other = makeLog(generation === 1 ? "p256" : "ed25519");
        const wrong = withProof(valid, { logIndex: 7n, treeSize: 9n, rootHash: flip(rootHash), hashes: [] });
        await expect(verifyInclusionProof(wrong, other, generation, crypto)).rejects.toMatchObject({
          code: "CHECKPOINT_NOT_SIGNED_BY_LOG",
        });
      });

      // A v1 entry has an index of its own, counted over all shards of the log.
      const allowed = generation === 1 ? "accepted" : INVALID.code;
      test(`compares the entry's index with that of its proof: ${allowed}`, async () => {
        expect(await outcomeOf(verify({ ...valid, logIndex: valid.logIndex + 1n }))).toBe(allowed);
      });
    });
  }
});
