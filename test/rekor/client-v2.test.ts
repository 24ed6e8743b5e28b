import { createHash, sign } from "node:crypto";
import { describe, expect, test } from "vitest";
import { defaultCryptoProvider } from "../../src/crypto/provider.ts";
import { submitEntryV2, type RekorV2Options } from "../../src/rekor/client-v2.ts";
import type { ProposedEntry } from "../../src/rekor/proposed-entry.ts";
import { verifyInclusionProof } from "../../src/tlog/inclusion.ts";
import { serializeTransparencyLogEntry } from "../../src/bundle/transparency-log-entry-json.ts";
import type { TransparencyLogEntry } from "../../src/tlog/transparency-log-entry.ts";
import { spkiOf } from "../support/certificates.ts";
import { answering, answeringBy, bytesAnswer, json, serve, type Answering, type Asked } from "../support/http.ts";
import { checkpointText, flip, lineV2, noteLine, noteOf, sha256, utf8 } from "../support/logs.ts";
import { hashOfHashes, leafHashOf, realEntry, tileAnswer, type RealEntry } from "../support/rekor-answers.ts";
import { realBytes } from "../support/real.ts";
import { signerKeys } from "../support/sandbox/authorities.ts";
import { makeRekor, type Rekor } from "../support/sandbox/rekor.ts";
import { parseTrustedRoot } from "../../src/trust/trusted-root.ts";

const BASE = "https://rekor.test";
const crypto = defaultCryptoProvider();
const code = (value: string): unknown => expect.objectContaining({ code: value }) as unknown;
const ready = <T extends Answering>(options: T): T & RekorV2Options => ({ ...options, crypto });
const first = realEntry("a/blob-v2-email-first-entry");
const second = realEntry("a/blob-v2-email-second-entry");
const attestation = realEntry("a/attestation-v2-email");
const proofOf = ({ logged }: RealEntry): NonNullable<TransparencyLogEntry["inclusionProof"]> =>
  logged.inclusionProof as NonNullable<TransparencyLogEntry["inclusionProof"]>;

describe("submitEntryV2", () => {
  test.for<[string, RealEntry]>([
    ["the first entry, whose zeros proto-JSON leaves out", first],
    ["a later entry", second],
    ["an envelope", attestation],
  ])("takes what a real log made of %s", async ([, { proposed, logged, loggedJson }]) => {
    const options = ready(answering(json(loggedJson, 201)));
    await expect(submitEntryV2(`${BASE}/`, proposed, options)).resolves.toEqual(logged);
    expect([options.asked[0]?.method, options.asked[0]?.url]).toEqual(["POST", `${BASE}/api/v2/log/entries`]);
  });

  test.for<[string, RealEntry]>([
    ["an artifact", first],
    ["an envelope, by the digest of its pre-authentication encoding", attestation],
  ])("asks for %s as rekor-tiles' HashedRekordRequestV002 has it", async ([, { proposed, logged, loggedJson }]) => {
    const options = ready(answering(json(loggedJson, 201)));
    await submitEntryV2(BASE, proposed, options);
    const body = JSON.parse(Buffer.from(logged.canonicalizedBody).toString()) as {
      spec: { hashedRekordV002: { data: { digest: string }; signature: unknown } };
    };
    const { data, signature } = body.spec.hashedRekordV002;
    expect(JSON.parse(Buffer.from(options.asked[0]?.body ?? []).toString())).toEqual({
      hashedRekordRequestV002: { digest: data.digest, signature },
    });
  });

  const withProof = (change: object): unknown => {
    const entry = first.loggedJson as { inclusionProof: object };
    return { ...entry, inclusionProof: { ...entry.inclusionProof, ...change } };
  };
  test.for<[string, string, unknown]>([
    ["somebody else's entry, whole and valid", "TLOG_ENTRY_MISMATCH", second.loggedJson],
    ["an entry of Rekor v1", "TLOG_ENTRY_MISMATCH", realEntry("a/blob-v1-email").loggedJson],
    [
      "our entry with the proof of another",
      "TLOG_INCLUSION_PROOF_INVALID",
      {
        ...(second.loggedJson as object),
        canonicalizedBody: (first.loggedJson as { canonicalizedBody: string }).canonicalizedBody,
      },
    ],
    [
      "an entry without a proof",
      "TLOG_INCLUSION_PROOF_MISSING",
      { ...(first.loggedJson as object), inclusionProof: null },
    ],
    ["a proof without a checkpoint", "TLOG_INCLUSION_PROOF_INVALID", withProof({ checkpoint: null })],
    ["a proof about another index", "TLOG_INCLUSION_PROOF_INVALID", withProof({ logIndex: "1" })],
    ["a proof for another size", "TLOG_INCLUSION_PROOF_INVALID", withProof({ treeSize: "2" })],
    [
      "a proof for another root",
      "TLOG_INCLUSION_PROOF_INVALID",
      withProof({ rootHash: Buffer.alloc(32).toString("base64") }),
    ],
    ["a field that is not known", "SERVICE_RESPONSE_INVALID", { ...(first.loggedJson as object), more: 1 }],
    ["nothing", "SERVICE_RESPONSE_INVALID", {}],
  ])("refuses %s", async ([, problem, answer]) => {
    const options = ready(answering(json(answer, 201)));
    await expect(submitEntryV2(BASE, first.proposed, options)).rejects.toThrow(code(problem));
  });

  test("refuses our entry in other JSON than the canonical", async () => {
    const { logged, proposed, loggedJson } = first;
    const text = Buffer.from(logged.canonicalizedBody).toString();
    const canonicalizedBody = Buffer.from(` ${text}`).toString("base64");
    const options = ready(answering(json({ ...(loggedJson as object), canonicalizedBody }, 201)));
    await expect(submitEntryV2(BASE, proposed, options)).rejects.toThrow(code("TLOG_ENTRY_MISMATCH"));
  });

  test("says what the log says where it refuses", async () => {
    const answer = json({ code: 3, message: "invalid hashedrekord request", details: [] }, 400);
    await expect(submitEntryV2(BASE, first.proposed, ready(answering(answer)))).rejects.toThrow(
      expect.objectContaining({
        code: "REKOR_REQUEST_REFUSED",
        status: 400,
        message:
          'Rekor (https://rekor.test/api/v2/log/entries) answered with status 400: "invalid hashedrekord request"',
      }),
    );
  });

  test("tells a log that takes no more entries, and asks it once", async () => {
    const options = ready(answering(json({ code: 12, message: "frozen" }, 405)));
    await expect(submitEntryV2(BASE, first.proposed, options)).rejects.toThrow(code("TLOG_FROZEN"));
    expect(options.asked).toHaveLength(1);
  });

  test("refuses algorithms without a digest, and digests of another hash, before it asks", async () => {
    const options = ready(answering());
    await expect(submitEntryV2(BASE, { ...first.proposed, keyDetails: "PKIX_ED25519" }, options)).rejects.toThrow(
      code("ALGORITHM_UNSUPPORTED"),
    );
    await expect(
      submitEntryV2(BASE, { ...first.proposed, keyDetails: "PKIX_ECDSA_P384_SHA_384" }, options),
    ).rejects.toThrow(code("DIGEST_ALGORITHM_MISMATCH"));
    expect(options.asked).toEqual([]);
  });

  test("waits for the log longer than for any other service", async () => {
    const { url } = await serve((_request, response) => {
      setTimeout(() => response.writeHead(201).end(JSON.stringify(first.loggedJson)), 150);
    });
    const options = { fetch, timeoutMs: 20_000, attemptTimeoutMs: 20, crypto };
    await expect(submitEntryV2(url, first.proposed, options)).resolves.toEqual(first.logged);
  });
});

// ---- conflicts, with a log whose tree is served in tiles

const rekor = makeRekor(2, BASE);
const keys = signerKeys();
const MESSAGE = utf8("what is signed");
const signature = new Uint8Array(sign("sha256", MESSAGE, keys.privateKey));
const ours: ProposedEntry = {
  kind: "hashedrekord",
  digest: { algorithm: "sha256", value: sha256(MESSAGE) },
  signature,
  verifier: { kind: "public-key", der: spkiOf(keys) },
  keyDetails: "PKIX_ECDSA_P256_SHA_256",
};
/** RFC 8785 by hand. */
const bodyOf = (sig: Uint8Array): Uint8Array =>
  utf8(
    `{"apiVersion":"0.0.2","kind":"hashedrekord","spec":{"hashedRekordV002":{"data":{"algorithm":"SHA2_256","digest":"${createHash("sha256").update(MESSAGE).digest("base64")}"},"signature":{"content":"${Buffer.from(sig).toString("base64")}","verifier":{"keyDetails":"PKIX_ECDSA_P256_SHA_256","publicKey":{"rawBytes":"${Buffer.from(spkiOf(keys)).toString("base64")}"}}}}}}`,
  );
const OUR_BODY = bodyOf(signature);
const filler = (count: number, name: string): Uint8Array[] =>
  Array.from({ length: count }, (_, index) => sha256(`${name} ${index}`));

interface TiledLog {
  readonly leaves: readonly Uint8Array[];
  readonly checkpoint: (leaves: readonly Uint8Array[]) => string;
}

const checkpointBy =
  (log: Rekor, origin = "rekor.test") =>
  (leaves: readonly Uint8Array[]): string => {
    const text = checkpointText(origin, leaves.length, hashOfHashes(leaves));
    return noteOf(text, lineV2(log, origin, text));
  };
const conflictAt = (index: number | string): Response =>
  json({ code: 6, message: `an equivalent entry already exists in the transparency log with index ${index}` }, 409, {
    "x-log-index": `${index}`,
  });

/** Answers as a log that has our entry at an index, and says so. */
function conflicting(
  { leaves, checkpoint }: TiledLog,
  conflict: () => Response,
  answer: (asked: Asked) => Response | undefined = () => undefined,
): Answering & RekorV2Options {
  return ready(
    answeringBy((asked) => {
      if (asked.method === "POST") return conflict();
      const special = answer(asked);
      if (special !== undefined) return special;
      if (asked.url === `${BASE}/api/v2/checkpoint`) return bytesAnswer(checkpoint(leaves));
      return tileAnswer(asked, leaves) ?? bytesAnswer("no such resource", 404);
    }),
  );
}

describe("submitEntryV2: conflicts", () => {
  const logOf = (before: number, after: number): TiledLog => ({
    leaves: [...filler(before, "before"), leafHashOf(OUR_BODY), ...filler(after, "after")],
    checkpoint: checkpointBy(rekor),
  });

  test.for([
    [0, 0],
    [0, 1],
    [3, 4],
    [255, 0],
    [255, 1],
    [256, 0],
    [300, 300],
    [5, 600],
  ] as const)("proves that its entry is there, after %i others and before %i", async ([before, after]) => {
    const log = logOf(before, after);
    const options = conflicting(log, () => conflictAt(before));
    const entry = await submitEntryV2(BASE, ours, { ...options, logs: [makeRekor(1), makeRekor(2), rekor] });
    expect(entry.logIndex).toBe(BigInt(before));
    expect(entry.logId).toEqual(rekor.logId);
    expect(entry.canonicalizedBody).toEqual(OUR_BODY);
    // As in a bundle, and as a verifier takes it.
    const verified = await verifyInclusionProof(entry, rekor, 2, crypto);
    expect(verified.checkpoint.treeSize).toBe(BigInt(log.leaves.length));
    expect(serializeTransparencyLogEntry(entry)).toHaveProperty("inclusionProof.checkpoint.envelope");
    const urls = options.asked.map(({ url }) => url);
    expect(urls).toHaveLength(new Set(urls).size);
  });

  test("rebuilds what a real log made, byte for byte, from its checkpoint and tiles", async () => {
    const root = parseTrustedRoot(realBytes("a/trusted_root.json"));
    const leaves = [leafHashOf(first.logged.canonicalizedBody), leafHashOf(second.logged.canonicalizedBody)];
    for (const [index, real] of [first, second].entries()) {
      const seen = leaves.slice(0, Number(proofOf(real).treeSize));
      const log = { leaves: seen, checkpoint: () => proofOf(real).checkpoint };
      const options = { ...conflicting(log, () => conflictAt(index)), logs: root.tlogs };
      await expect(submitEntryV2(BASE, real.proposed, options)).resolves.toEqual(real.logged);
    }
  });

  test("finds an envelope by the digest of its pre-authentication encoding", async () => {
    const leaf = leafHashOf(attestation.logged.canonicalizedBody);
    const log = { leaves: [...filler(3, "before"), leaf], checkpoint: checkpointBy(rekor) };
    const entry = await submitEntryV2(
      BASE,
      attestation.proposed,
      conflicting(log, () => conflictAt(3)),
    );
    expect(entry.canonicalizedBody).toEqual(attestation.logged.canonicalizedBody);
  });

  test("reads the index from the words where no header has it", async () => {
    const words = json(
      { code: 6, message: "an equivalent entry already exists in the transparency log with index 3" },
      409,
    );
    const entry = await submitEntryV2(
      BASE,
      ours,
      conflicting(logOf(3, 0), () => words),
    );
    expect(entry.logIndex).toBe(3n);
  });

  test("names the log by the key id of its checkpoint where it knows no logs", async () => {
    const log = logOf(1, 0);
    const witnessed = (leaves: readonly Uint8Array[]): string =>
      noteOf(
        checkpointText("rekor.test", leaves.length, hashOfHashes(leaves)),
        noteLine("witness.test", Uint8Array.of(1, 2, 3, 4), new Uint8Array(72)),
        checkpointBy(rekor)(leaves).split("\n\n")[1] ?? "",
      );
    const entry = await submitEntryV2(
      BASE,
      ours,
      conflicting({ ...log, checkpoint: witnessed }, () => conflictAt(1)),
    );
    expect(entry.logId).toEqual(rekor.logId.subarray(0, 4));
  });

  test("waits until the tree that is published holds the entry", async () => {
    const log = logOf(3, 0);
    let looks = 0;
    const options = conflicting(
      log,
      () => conflictAt(3),
      ({ url }) => {
        if (!url.endsWith("/checkpoint") || ++looks > 2) return undefined;
        return bytesAnswer(checkpointBy(rekor)(log.leaves.slice(0, 3)));
      },
    );
    await expect(submitEntryV2(BASE, ours, options)).resolves.toMatchObject({ logIndex: 3n });
    expect(options.waited).toEqual([1000, 2000]);
  });

  test("gives up at the deadline, and says what it waited for", async () => {
    const log = logOf(3, 0);
    const stale = { ...log, leaves: log.leaves.slice(0, 3) };
    const options = { ...conflicting(stale, () => conflictAt(3)), timeoutMs: 900 };
    await expect(submitEntryV2(BASE, ours, options)).rejects.toThrow(
      expect.objectContaining({
        code: "TLOG_ENTRY_CONFLICT",
        message: expect.stringContaining("at index 3 is not in its tree of 3 entries yet") as unknown,
      }),
    );
  });

  test("takes the full tile where a partial one is gone", async () => {
    const grown = [...logOf(3, 0).leaves, ...filler(252, "later")];
    const log = { leaves: grown, checkpoint: () => checkpointBy(rekor)(grown.slice(0, 4)) };
    const options = conflicting(
      log,
      () => conflictAt(3),
      ({ url }) => (url.includes(".p/") ? bytesAnswer("gone", 404) : undefined),
    );
    const entry = await submitEntryV2(BASE, ours, { ...options, logs: [rekor] });
    expect(entry.inclusionProof?.treeSize).toBe(4n);
  });

  test.for<[string, number, (log: TiledLog) => TiledLog]>([
    ["is somebody else's", 2, (log) => log],
    [
      "has our signature but for one bit",
      3,
      ({ leaves, checkpoint }) => ({ leaves: leaves.with(3, leafHashOf(bodyOf(flip(signature)))), checkpoint }),
    ],
  ])("takes no entry for ours that %s", async ([, index, change]) => {
    const options = conflicting(change(logOf(3, 4)), () => conflictAt(index));
    await expect(submitEntryV2(BASE, ours, options)).rejects.toThrow(
      expect.objectContaining({ code: "TLOG_ENTRY_CONFLICT", found: `entry ${index} is another one` }),
    );
  });

  test.for<[string, string, (log: TiledLog) => Answering & RekorV2Options]>([
    [
      "whose tiles hold our entry, but whose root does not",
      "TLOG_INCLUSION_PROOF_INVALID",
      ({ leaves }) => {
        const published = leaves.with(3, sha256("another"));
        return conflicting({ leaves, checkpoint: () => checkpointBy(rekor)(published) }, () => conflictAt(3));
      },
    ],
    [
      "whose tiles are not those of its tree",
      "TLOG_INCLUSION_PROOF_INVALID",
      ({ leaves }) => {
        const other = leaves.with(6, sha256("another"));
        return conflicting({ leaves: other, checkpoint: () => checkpointBy(rekor)(leaves) }, () => conflictAt(3));
      },
    ],
    [
      "whose checkpoint none of the logs signed that are known",
      "CHECKPOINT_NOT_SIGNED_BY_LOG",
      (log) => ({ ...conflicting(log, () => conflictAt(3)), logs: [makeRekor(2, BASE)] }),
    ],
    [
      "whose checkpoint has a wrong signature",
      "CHECKPOINT_SIGNATURE_INVALID",
      (log) => {
        const forged = (leaves: readonly Uint8Array[]): string =>
          checkpointBy(rekor)(leaves).replace(/^\d+$/m, (size) => `${Number(size) + 1}`);
        return { ...conflicting({ ...log, checkpoint: forged }, () => conflictAt(3)), logs: [rekor] };
      },
    ],
    [
      "whose tile is too short",
      "SERVICE_RESPONSE_INVALID",
      (log) =>
        conflicting(
          log,
          () => conflictAt(3),
          ({ url }) => (url.includes("/tile/") ? bytesAnswer(new Uint8Array(32)) : undefined),
        ),
    ],
    [
      "whose checkpoint is none",
      "SERVICE_RESPONSE_INVALID",
      (log) => conflicting({ ...log, checkpoint: () => "no note" }, () => conflictAt(3)),
    ],
    [
      "that has no tile",
      "REKOR_REQUEST_REFUSED",
      (log) =>
        conflicting(
          log,
          () => conflictAt(3),
          ({ url }) => (url.includes("/tile/") ? bytesAnswer("", 404) : undefined),
        ),
    ],
    [
      "that names no index",
      "TLOG_ENTRY_CONFLICT",
      (log) => conflicting(log, () => json({ code: 6, message: "exists" }, 409)),
    ],
    ["that names an index that is none", "TLOG_ENTRY_CONFLICT", (log) => conflicting(log, () => conflictAt("-3"))],
    [
      "that names an index beyond all",
      "TLOG_ENTRY_CONFLICT",
      (log) => conflicting(log, () => conflictAt("9999999999999999999")),
    ],
  ])("believes no log %s", async ([, problem, optionsOf]) => {
    await expect(submitEntryV2(BASE, ours, { ...optionsOf(logOf(3, 4)), timeoutMs: 900 })).rejects.toThrow(
      code(problem),
    );
  });

  test("finds its own first attempt, whose answer was lost", async () => {
    const log = logOf(3, 1);
    let posts = 0;
    const { url } = await serve((request, response) => {
      const answer = async (): Promise<void> => {
        if (request.method === "POST") {
          posts += 1;
          if (posts === 1) {
            request.socket.destroy(); // logged, and the connection broke
            return;
          }
          response.writeHead(409, { "x-log-index": "3" }).end("{}");
          return;
        }
        const asked = { url: request.url ?? "" };
        if (asked.url === "/api/v2/checkpoint") response.end(log.checkpoint(log.leaves));
        else response.end(Buffer.from((await tileAnswer(asked, log.leaves)?.arrayBuffer()) ?? new ArrayBuffer(0)));
      };
      void answer();
    });
    const options = { fetch, timeoutMs: 10_000, sleep: () => Promise.resolve(), crypto, logs: [rekor] };
    await expect(submitEntryV2(url, ours, options)).resolves.toMatchObject({
      logIndex: 3n,
      canonicalizedBody: OUR_BODY,
    });
    expect(posts).toBe(2);
  });
});
