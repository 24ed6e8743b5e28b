import { describe, expect, test } from "vitest";
import { readTransparencyLogEntry } from "../../../src/bundle/transparency-log-entry-json.ts";
import { defaultCryptoProvider } from "../../../src/crypto/provider.ts";
import { defaultAlgorithm } from "../../../src/crypto/registry.ts";
import { JsonReader } from "../../../src/encoding/json-reader.ts";
import { createRekorV2, type RekorV2, type RekorV2Options } from "../../../src/sandbox/rekor2/rekor-v2.ts";
import { parseCheckpoint, verifyCheckpoint } from "../../../src/tlog/checkpoint.ts";
import { parseWitnessKey, verifyCosignatures } from "../../../src/tlog/cosignature.ts";
import { verifyInclusionProof } from "../../../src/tlog/inclusion.ts";
import { verifyConsistency } from "../../../src/tlog/merkle.ts";
import { parseSignedNote } from "../../../src/tlog/signed-note.ts";
import type { TransparencyLogEntry } from "../../../src/tlog/transparency-log-entry.ts";
import type { TransparencyLog } from "../../../src/tlog/transparency-log.ts";
import { consistencyProof, outcomeOf, sha256, treeHash, typedKeyId, unbase64, utf8 } from "../../support/logs.ts";
import { START, testContext, type TestContext } from "../service-context.ts";
import { base64, hashedRekordRequest, hashOf, signatureOf, testSigner, type RequestParts } from "./requests.ts";

const URL_OF_LOG = "http://rekor2.test:8080/log";
const crypto = defaultCryptoProvider();
const signer = testSigner();

interface Opened {
  readonly context: TestContext;
  readonly rekor: RekorV2;
}

async function open(
  options: RekorV2Options = { batchDelayMs: 0 },
  context: TestContext = testContext(URL_OF_LOG),
): Promise<Opened> {
  return { context, rekor: await createRekorV2(context, options) };
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly json: unknown;
}

async function post(rekor: RekorV2, body: unknown): Promise<Answer> {
  const request = new Request(`${URL_OF_LOG}/api/v2/log/entries`, {
    method: "POST",
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  const response = await rekor.fetch(request);
  const text = await response.text();
  return { status: response.status, headers: response.headers, json: text.startsWith("{") ? JSON.parse(text) : text };
}

async function get(rekor: RekorV2, path: string): Promise<Uint8Array | undefined> {
  const response = await rekor.fetch(new Request(`${URL_OF_LOG}/api/v2/${path}`));
  return response.status === 200 ? new Uint8Array(await response.arrayBuffer()) : undefined;
}

const readEntry = (json: unknown): TransparencyLogEntry =>
  readTransparencyLogEntry(new JsonReader(json as never, "entry", "BUNDLE_MALFORMED"));

async function submit(rekor: RekorV2, artifact: string): Promise<TransparencyLogEntry> {
  const { status, json } = await post(rekor, hashedRekordRequest(signer, artifact));
  expect(status).toBe(201);
  return readEntry(json);
}

/** The log as a trusted root has it. */
function trusted(rekor: RekorV2): TransparencyLog {
  const { baseUrl, publicKey, logId, start } = rekor.listing();
  return { baseUrl, publicKey, logId, algorithm: defaultAlgorithm(publicKey), validFor: { start } };
}

describe("createRekorV2 (rekor-v2-spec)", () => {
  test("answers with an entry that is proven, for every size of a growing log", async () => {
    const { rekor } = await open();
    for (let index = 0; index < 9; index++) {
      const entry = await submit(rekor, `artifact ${index}`);
      await expect(verifyInclusionProof(entry, trusted(rekor), 2, crypto)).resolves.toBeDefined();
      expect(entry).toMatchObject({ logIndex: BigInt(index), kindVersion: { kind: "hashedrekord", version: "0.0.2" } });
      expect(entry.inclusionProof).toMatchObject({ logIndex: BigInt(index), treeSize: BigInt(index + 1) });
    }
  });

  test("names itself by host, and its key by the hash that begins with the key id", async () => {
    const { rekor } = await open();
    const { origin, baseUrl, logId, publicKey, keyDetails, start } = rekor.listing();
    expect({ origin, baseUrl, keyDetails, start }).toEqual({
      origin: "rekor2.test",
      baseUrl: URL_OF_LOG,
      keyDetails: "PKIX_ED25519",
      start: START,
    });
    expect(logId).toEqual(sha256("rekor2.test\n", Uint8Array.of(1), publicKey.keyBytes));
    expect(logId.subarray(0, 4)).toEqual(typedKeyId("rekor2.test", 1, publicKey.keyBytes));
    expect((await submit(rekor, "an artifact")).logId).toEqual(logId);
  });

  test("puts what arrives together under one checkpoint", async () => {
    const { rekor } = await open({ batchDelayMs: 5 });
    await submit(rekor, "first"); // what follows a checkpoint closely waits for the next
    const entries = await Promise.all(Array.from({ length: 20 }, (_, index) => submit(rekor, `artifact ${index}`)));
    for (const entry of entries)
      await expect(verifyInclusionProof(entry, trusted(rekor), 2, crypto)).resolves.toBeDefined();
    const indexes = entries.map(({ logIndex }) => Number(logIndex)).sort((a, b) => a - b);
    expect(indexes).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
    expect(new Set(entries.map(({ inclusionProof }) => inclusionProof?.treeSize)).size).toBeLessThan(10);
  });

  test("tells an entry that it has by its index, also one that is on its way", async () => {
    const { rekor } = await open();
    await submit(rekor, "before");
    const request = hashedRekordRequest(signer, "an artifact");
    const [one, other] = await Promise.all([post(rekor, request), post(rekor, request)]);
    expect(new Set([one.status, other.status])).toEqual(new Set([201, 409]));
    const again = await post(rekor, request);
    expect(again.status).toBe(409);
    expect(again.headers.get("x-log-index")).toBe("1");
    expect(again.json).toEqual({
      code: 6,
      message: "an equivalent entry already exists in the transparency log with index 1",
      details: [],
    });
    expect(rekor.size).toBe(2);
  });

  test("serves checkpoint, tiles and bundles, from which anyone can compute the root", async () => {
    const { rekor } = await open();
    await Promise.all(Array.from({ length: 260 }, (_, index) => submit(rekor, `artifact ${index}`)));
    const note = parseSignedNote(Buffer.from((await get(rekor, "checkpoint")) ?? []).toString());
    const head = await verifyCheckpoint(note, trusted(rekor), 2, crypto);
    expect(head.treeSize).toBe(260n);

    const leaves: Uint8Array[] = [];
    for (const path of ["tile/entries/000", "tile/entries/001.p/4"]) {
      const bundle = Buffer.from((await get(rekor, path)) ?? []);
      for (let at = 0; at < bundle.length;) {
        const length = bundle.readUInt16BE(at);
        leaves.push(new Uint8Array(bundle.subarray(at + 2, at + 2 + length)));
        at += 2 + length;
      }
    }
    expect(treeHash(leaves)).toEqual(head.rootHash);
    const hashes = Buffer.concat([
      (await get(rekor, "tile/0/000")) ?? utf8(""),
      (await get(rekor, "tile/0/001.p/4")) ?? utf8(""),
    ]);
    expect(hashes).toEqual(Buffer.concat(leaves.map((leaf) => sha256(Uint8Array.of(0), leaf))));
    expect(await get(rekor, "tile/1/000.p/1")).toEqual(treeHash(leaves.slice(0, 256)));
    // A tile of an earlier size stays.
    expect(await get(rekor, "tile/0/001.p/2")).toEqual(new Uint8Array(hashes.subarray(256 * 32, 258 * 32)));
  }, 30_000);

  test.for([
    "tile/0/000",
    "tile/0/000.p/4",
    "tile/0/001.p/1",
    "tile/1/000.p/1",
    "tile/64/000.p/1",
    "tile/00/000.p/1",
    "tile/0/0.p/1",
    "tile/0/x000/000.p/1",
    "tile/0/000.p/0",
    "tile/0/000.p/256",
    "tile/entries/000",
    "tile/entries/000.p/4",
    "tile/other/000.p/1",
    "other",
  ])("has no %s in a log of three entries", async (path) => {
    const { rekor } = await open();
    for (const artifact of ["a", "b", "c"]) await submit(rekor, artifact);
    expect(await get(rekor, path)).toBeUndefined();
  });

  const invalid = { code: 3, message: "invalid hashedrekord request", details: [] };
  test.for<readonly [string, RequestParts]>([
    ["another artifact's digest", { digest: base64(hashOf("other")) }],
    ["a digest that does not fit the key details", { digest: base64(Buffer.alloc(48)) }],
    ["no digest", { digest: "" }],
    ["no signature", { content: "" }],
    ["another signature", { content: base64(signatureOf(signer, "other")) }],
    ["a signature of another key", { content: base64(signatureOf(testSigner(), "an artifact")) }],
    ["key details without a hash", { keyDetails: "PKIX_ED25519" }],
    ["key details of another curve", { keyDetails: "PKIX_ECDSA_P384_SHA_384" }],
    ["unspecified key details", { keyDetails: 0 }],
    ["no verifier", { verifier: {} }],
    ["a key that is no key", { verifier: { publicKey: { rawBytes: "AAAA" }, keyDetails: 5 } }],
    ["a key as certificate", { verifier: { x509Certificate: { rawBytes: base64(signer.spki) }, keyDetails: 5 } }],
  ])("refuses a request with %s, and does not say why", async ([, parts]) => {
    const { rekor } = await open();
    const { status, json } = await post(rekor, hashedRekordRequest(signer, "an artifact", parts));
    expect([status, json]).toEqual([400, invalid]);
    expect(rekor.size).toBe(0);
  });

  test.for<readonly [string, unknown]>([
    ["is no JSON", "{"],
    ["is a list", "[]"],
    ["has an unknown field", { ...hashedRekordRequest(signer, "a"), other: 1 }],
    ["has a digest that is no base64", hashedRekordRequest(signer, "a", { digest: "?" })],
    ["has unknown key details", hashedRekordRequest(signer, "a", { keyDetails: "SOMETHING" })],
    [
      "has both verifiers",
      hashedRekordRequest(signer, "a", {
        verifier: { publicKey: { rawBytes: "AAAA" }, x509Certificate: { rawBytes: "AAAA" }, keyDetails: 5 },
      }),
    ],
    ["has a field twice", '{"hashedRekordRequestV002":{},"hashed_rekord_request_v002":{}}'],
  ])("refuses a request that %s", async ([, body]) => {
    const { rekor } = await open();
    const { status, json } = await post(rekor, body);
    expect(status).toBe(400);
    expect(json).toMatchObject({ code: 3, details: [] });
  });

  test.for<readonly [string, unknown]>([
    ["", ""],
    [" with nothing in it", {}],
    [" of a type that was given up", { dsseRequestV002: { envelope: {} } }],
  ])("says what it takes to a request%s", async ([, body]) => {
    const { rekor } = await open();
    expect(await post(rekor, body)).toMatchObject({
      status: 400,
      json: { code: 3, message: "invalid type, must be hashedrekord", details: [] },
    });
  });

  test("takes the other names, numbers and alphabet of proto-JSON, and writes its own", async () => {
    const { rekor } = await open();
    const { status, json } = await post(rekor, {
      hashed_rekord_request_v002: {
        digest: hashOf("an artifact").toString("base64url"),
        signature: {
          content: signatureOf(signer, "an artifact").toString("base64url"),
          verifier: { public_key: { raw_bytes: base64(signer.spki) }, x509Certificate: null, key_details: 5 },
        },
      },
    });
    expect(status).toBe(201);
    const body = JSON.parse(Buffer.from(readEntry(json).canonicalizedBody).toString()) as unknown;
    expect(body).toMatchObject({
      spec: {
        hashedRekordV002: {
          data: { digest: base64(hashOf("an artifact")) },
          signature: { verifier: { keyDetails: "PKIX_ECDSA_P256_SHA_256" } },
        },
      },
    });
  });

  test("goes on after a restart where it was", async () => {
    const { rekor, context } = await open();
    const request = hashedRekordRequest(signer, "one");
    await post(rekor, request);
    await submit(rekor, "two");
    const { rekor: again } = await open({ batchDelayMs: 0 }, context);
    expect(again.listing()).toEqual(rekor.listing());
    expect(parseSignedNote(again.checkpoint).text).toBe(parseSignedNote(rekor.checkpoint).text);
    expect((await post(again, request)).headers.get("x-log-index")).toBe("0");
    expect((await submit(again, "three")).logIndex).toBe(2n);
  });

  test("is frozen for good, and says so in its checkpoint", async () => {
    const { rekor, context } = await open();
    const entry = await submit(rekor, "one");
    context.time = new Date("2026-02-03T04:05:06Z");
    await rekor.freeze();
    for (const log of [rekor, (await open({}, context)).rekor]) {
      const { status, json } = await post(log, hashedRekordRequest(signer, "two"));
      expect([status, json]).toEqual([405, "This log has been frozen, please switch to the latest log.\n"]);
      expect(log.listing()).toMatchObject({ start: START, end: context.time });
      const note = parseSignedNote(log.checkpoint);
      expect(note.text).toContain("\nLog frozen — Tue Feb  3 04:05:06 UTC 2026\n");
      expect(await verifyCheckpoint(note, trusted(log), 2, crypto)).toMatchObject({ treeSize: 1n });
      await expect(verifyInclusionProof(entry, trusted(log), 2, crypto)).resolves.toBeDefined();
    }
  });

  test("takes in what was on its way when it was frozen", async () => {
    const { rekor } = await open({ batchDelayMs: 20 });
    await submit(rekor, "one");
    const entry = submit(rekor, "two");
    await expect.poll(() => rekor.size).toBe(2);
    await rekor.freeze();
    await expect(verifyInclusionProof(await entry, trusted(rekor), 2, crypto)).resolves.toBeDefined();
  });

  test("lists entries and tree heads, the latest first", async () => {
    const { rekor, context } = await open();
    await submit(rekor, "one");
    context.time = new Date("2026-01-03T00:00:00Z");
    await submit(rekor, "two");
    const entries = rekor.recentEntries(5);
    expect(entries.map(({ index, time }) => [index, time])).toEqual([
      [1, context.time],
      [0, START],
    ]);
    expect(entries[0]?.leafHash).toEqual(sha256(Uint8Array.of(0), entries[0]?.body ?? utf8("")));
    expect(rekor.treeHeads.map(({ size }) => size)).toEqual([2, 1, 0]);
    expect(rekor.treeHeads[0]?.rootHash).toEqual(treeHash(entries.toReversed().map(({ body }) => body)));
  });

  test("knows other paths and methods as its gateway does", async () => {
    const { rekor } = await open();
    const status = async (method: string, path: string): Promise<unknown> => {
      const response = await rekor.fetch(new Request(`${URL_OF_LOG}${path}`, { method }));
      return [response.status, await response.json()];
    };
    expect(await status("PUT", "/api/v2/log/entries")).toEqual([
      501,
      { code: 12, message: "Method Not Allowed", details: [] },
    ]);
    expect(await status("GET", "/api/v2/other")).toEqual([404, { code: 5, message: "Not Found", details: [] }]);
    expect(await status("GET", "/healthz")).toEqual([200, { status: "SERVING" }]);
  });
});

describe("witnesses of a log (C2SP tlog-witness, tlog-cosignature)", () => {
  async function cosigners(rekor: RekorV2, note: string): Promise<readonly string[]> {
    const keys = await Promise.all(rekor.witnessKeys.map((vkey) => parseWitnessKey(vkey, crypto)));
    const verified = await verifyCosignatures(parseSignedNote(note), keys, crypto);
    return verified.map(({ witness }) => witness);
  }

  test("cosign every checkpoint", async () => {
    const { rekor, context } = await open({ batchDelayMs: 0, witnesses: 2 });
    for (const artifact of ["one", "two", "three"]) {
      const { inclusionProof } = await submit(rekor, artifact);
      expect(await cosigners(rekor, inclusionProof?.checkpoint ?? "")).toEqual([
        "rekor2.test/witness-1",
        "rekor2.test/witness-2",
      ]);
    }
    const { rekor: again } = await open({ batchDelayMs: 0, witnesses: 2 }, context);
    expect(again.witnessKeys).toEqual(rekor.witnessKeys);
    const entry = await submit(again, "four");
    expect(await cosigners(again, entry.inclusionProof?.checkpoint ?? "")).toHaveLength(2);
  });

  test("do not cosign another history", async () => {
    const { rekor, context } = await open({ batchDelayMs: 0, witnesses: 2 });
    await submit(rekor, "one");
    context.forged = "split-view";
    const { inclusionProof } = await submit(rekor, "two");
    expect(await cosigners(rekor, inclusionProof?.checkpoint ?? "")).toEqual([]);
    context.forged = undefined;
    expect(await cosigners(rekor, (await submit(rekor, "three")).inclusionProof?.checkpoint ?? "")).toHaveLength(2);
  });
});

describe("forgeries of a log, each of which a verifier calls by its name", () => {
  test.for([
    ["wrong-key", "CHECKPOINT_SIGNATURE_INVALID"],
    ["wrong-proof", "TLOG_INCLUSION_PROOF_INVALID"],
    ["stale-checkpoint", "TLOG_INCLUSION_PROOF_INVALID"],
  ] as const)("%s: %s", async ([forgery, code]) => {
    const { rekor, context } = await open();
    for (const artifact of ["one", "two"]) await submit(rekor, artifact);
    context.forged = forgery;
    const entry = await submit(rekor, "three");
    expect(await outcomeOf(verifyInclusionProof(entry, trusted(rekor), 2, crypto))).toBe(code);
    context.forged = undefined;
    expect(await outcomeOf(verifyInclusionProof(await submit(rekor, "four"), trusted(rekor), 2, crypto))).toBe(
      "accepted",
    );
  });

  test("wrong-proof holds for the first entry, too, whose proof has no hashes", async () => {
    const { rekor, context } = await open();
    context.forged = "wrong-proof";
    const entry = await submit(rekor, "one");
    expect(await outcomeOf(verifyInclusionProof(entry, trusted(rekor), 2, crypto))).toBe(
      "TLOG_INCLUSION_PROOF_INVALID",
    );
  });

  test("other-entry is proven, and about something else", async () => {
    const { rekor, context } = await open();
    context.forged = "other-entry";
    const entry = await submit(rekor, "one");
    expect(await outcomeOf(verifyInclusionProof(entry, trusted(rekor), 2, crypto))).toBe("accepted");
    const body = Buffer.from(entry.canonicalizedBody).toString();
    expect(body).not.toContain(base64(hashOf("one")));
    expect(body).toContain(base64(hashOf("another artifact")));
  });

  test("split-view is proven by itself, and consistent with nothing that was seen before", async () => {
    const { rekor, context } = await open();
    await submit(rekor, "one");
    await submit(rekor, "two");
    const before = parseCheckpoint(parseSignedNote(rekor.checkpoint).text);
    context.forged = "split-view";
    const entry = await submit(rekor, "three");
    expect(await outcomeOf(verifyInclusionProof(entry, trusted(rekor), 2, crypto))).toBe("accepted");
    const served = parseSignedNote(Buffer.from((await get(rekor, "checkpoint")) ?? []).toString());
    const after = await verifyCheckpoint(served, trusted(rekor), 2, crypto);
    const bodies = rekor.recentEntries().map(({ body }) => body);
    const proof = {
      size1: before.treeSize,
      root1: before.rootHash,
      size2: after.treeSize,
      root2: after.rootHash,
      hashes: consistencyProof(2, bodies.toReversed()),
    };
    expect(await outcomeOf(verifyConsistency(proof, crypto))).toBe("TLOG_CONSISTENCY_PROOF_INVALID");
    expect(unbase64(base64(after.rootHash))).not.toEqual(treeHash(bodies.toReversed()));
  });
});
