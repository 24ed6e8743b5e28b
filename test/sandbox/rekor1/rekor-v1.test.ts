import { sign, verify } from "node:crypto";
import { describe, expect, test } from "vitest";
import { defaultCryptoProvider } from "../../../src/crypto/provider.ts";
import { defaultAlgorithm } from "../../../src/crypto/registry.ts";
import { createRekorV1, type RekorV1 } from "../../../src/sandbox/rekor1/rekor-v1.ts";
import { verifyInclusionPromise } from "../../../src/tlog/inclusion-promise.ts";
import { verifyInclusionProof } from "../../../src/tlog/inclusion.ts";
import { verifyConsistency } from "../../../src/tlog/merkle.ts";
import type { TransparencyLogEntry } from "../../../src/tlog/transparency-log-entry.ts";
import type { TransparencyLog } from "../../../src/tlog/transparency-log.ts";
import { certificateFor, ISSUERS } from "../certificate.ts";
import { outcomeOf, sha256, treeHash, utf8 } from "../../support/logs.ts";
import { base64, hashOf, signatureOf, testSigner, type TestSigner } from "../rekor2/requests.ts";
import { START, testContext, type TestContext } from "../service-context.ts";

const URL_OF_LOG = "http://rekor1.test:8080/log";
const ENTRIES = `${URL_OF_LOG}/api/v1/log/entries`;
const IN_TOTO = "application/vnd.in-toto+json";
const crypto = defaultCryptoProvider();
const signer = testSigner();
const other = testSigner();

async function open(
  context: TestContext = testContext(URL_OF_LOG),
): Promise<{ readonly context: TestContext; readonly rekor: RekorV1 }> {
  return { context, rekor: await createRekorV1(context) };
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly json: unknown;
}

async function ask(rekor: RekorV1, path: string, body?: unknown, type = "application/json"): Promise<Answer> {
  const response = await rekor.fetch(
    new Request(`${URL_OF_LOG}${path}`, {
      ...(body !== undefined && {
        method: "POST",
        body: typeof body === "string" ? body : JSON.stringify(body),
        headers: { "content-type": type },
      }),
    }),
  );
  const text = await response.text();
  const json = /^[{[]/.test(text) ? (JSON.parse(text) as unknown) : undefined;
  return { status: response.status, headers: response.headers, text, json };
}

interface Logged {
  readonly id: string;
  readonly entry: TransparencyLogEntry;
  readonly body: unknown;
}

/** Reads `{<id>: {...}}`. */
function readEntry(json: unknown): Logged {
  const [[id, value] = ["", undefined]] = Object.entries(
    json as Readonly<
      Record<
        string,
        {
          readonly body: string;
          readonly integratedTime: number;
          readonly logID: string;
          readonly logIndex: number;
          readonly verification: {
            readonly signedEntryTimestamp: string;
            readonly inclusionProof: {
              readonly checkpoint: string;
              readonly hashes: readonly string[];
              readonly logIndex: number;
              readonly rootHash: string;
              readonly treeSize: number;
            };
          };
        }
      >
    >,
  );
  if (value === undefined) throw new Error("no entry");
  const bytes = (text: string, encoding: "hex" | "base64"): Uint8Array => new Uint8Array(Buffer.from(text, encoding));
  const { inclusionProof: proof, signedEntryTimestamp } = value.verification;
  const canonicalizedBody = bytes(value.body, "base64");
  const body = JSON.parse(Buffer.from(canonicalizedBody).toString()) as { kind: string; apiVersion: string };
  return {
    id,
    body,
    entry: {
      logIndex: BigInt(value.logIndex),
      logId: bytes(value.logID, "hex"),
      kindVersion: { kind: body.kind, version: body.apiVersion },
      integratedTime: BigInt(value.integratedTime),
      inclusionPromise: bytes(signedEntryTimestamp, "base64"),
      inclusionProof: {
        logIndex: BigInt(proof.logIndex),
        rootHash: bytes(proof.rootHash, "hex"),
        treeSize: BigInt(proof.treeSize),
        hashes: proof.hashes.map((hash) => bytes(hash, "hex")),
        checkpoint: proof.checkpoint,
      },
      canonicalizedBody,
    },
  };
}

interface Parts {
  readonly hash?: unknown;
  readonly content?: string;
  readonly key?: string;
}

const hashedRekord = (artifact: string, parts: Parts = {}, by: TestSigner = signer): Record<string, unknown> => ({
  apiVersion: "0.0.1",
  kind: "hashedrekord",
  spec: {
    data: { hash: parts.hash ?? { algorithm: "sha256", value: hashOf(artifact).toString("hex") } },
    signature: {
      content: parts.content ?? base64(signatureOf(by, artifact)),
      publicKey: { content: base64(parts.key ?? by.pem) },
    },
  },
});

const statementOf = (artifact: string): string =>
  JSON.stringify({ subject: [{ name: "a", digest: { sha256: hashOf(artifact).toString("hex") } }], predicate: {} });

function envelopeOf(payload: string, signers: readonly TestSigner[]): string {
  const pae = `DSSEv1 ${IN_TOTO.length} ${IN_TOTO} ${Buffer.byteLength(payload)} ${payload}`;
  const signatures = signers.map(({ privateKey }) => ({ sig: base64(sign("sha256", Buffer.from(pae), privateKey)) }));
  return JSON.stringify({ payload: base64(payload), payloadType: IN_TOTO, signatures });
}

const dsse = (envelope: string, verifiers: readonly string[]): unknown => ({
  apiVersion: "0.0.1",
  kind: "dsse",
  spec: { proposedContent: { envelope, verifiers: verifiers.map(base64) } },
});

async function submit(rekor: RekorV1, proposed: unknown): Promise<Logged> {
  const answer = await ask(rekor, "/api/v1/log/entries", proposed);
  expect(answer.status).toBe(201);
  return readEntry(answer.json);
}

function trusted(rekor: RekorV1, shard = -1): TransparencyLog {
  const listing = rekor.listings().at(shard);
  if (listing === undefined) throw new Error("no such shard");
  const { baseUrl, publicKey, logId, start } = listing;
  return { baseUrl, publicKey, logId, algorithm: defaultAlgorithm(publicKey), validFor: { start } };
}

async function proves({ entry }: Logged, log: TransparencyLog): Promise<readonly string[]> {
  return [
    await outcomeOf(verifyInclusionProof(entry, log, 1, crypto)),
    await outcomeOf(verifyInclusionPromise(entry, log, crypto)),
  ];
}

const BOTH = ["accepted", "accepted"];

describe("createRekorV1 (rekor-spec)", () => {
  test("answers with an entry that is proven and promised, for every size of a growing log", async () => {
    const { rekor } = await open();
    for (let index = 0; index < 9; index++) {
      const logged = await submit(rekor, hashedRekord(`artifact ${index}`));
      expect(await proves(logged, trusted(rekor))).toEqual(BOTH);
      expect(logged.entry).toMatchObject({
        logIndex: BigInt(index),
        integratedTime: BigInt(START.getTime() / 1000),
        inclusionProof: { treeSize: BigInt(index + 1) },
      });
    }
  });

  test("names entries by tree and leaf hash, itself by host and tree", async () => {
    const { rekor } = await open();
    const answer = await ask(rekor, "/api/v1/log/entries", hashedRekord("an artifact"));
    const { id, entry } = readEntry(answer.json);
    const leaf = Buffer.from(sha256(Uint8Array.of(0), entry.canonicalizedBody)).toString("hex");
    expect(id.slice(16)).toBe(leaf);
    expect(answer.headers.get("etag")).toBe(id);
    expect(answer.headers.get("location")).toBe(`/log/api/v1/log/entries/${id}`);
    const treeId = BigInt(`0x${id.slice(0, 16)}`);
    expect(entry.inclusionProof?.checkpoint).toMatch(new RegExp(`^rekor1.test:8080 - ${treeId}\n1\n`));
    expect(rekor.listings()).toMatchObject([
      { origin: `rekor1.test:8080 - ${treeId}`, baseUrl: URL_OF_LOG, keyDetails: "PKIX_ECDSA_P256_SHA_256" },
    ]);
    expect(entry.logId).toEqual(sha256(trusted(rekor).publicKey.spki));
  });

  test("integrates what arrives together, and each entry once", async () => {
    const { rekor } = await open();
    const proposals = Array.from({ length: 20 }, (_, index) => hashedRekord(`artifact ${index % 10}`));
    const same = [...proposals.slice(0, 10), ...proposals.slice(0, 10)];
    const answers = await Promise.all(same.map((proposed) => ask(rekor, "/api/v1/log/entries", proposed)));
    const created = answers.filter(({ status }) => status === 201).map(({ json }) => readEntry(json));
    expect(created).toHaveLength(10);
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(10);
    for (const logged of created) expect(await proves(logged, trusted(rekor))).toEqual(BOTH);
    expect(rekor.size).toBe(10);
  });

  test("leads to an entry that it has", async () => {
    const { rekor } = await open();
    const proposed = hashedRekord("an artifact");
    const { id } = await submit(rekor, proposed);
    const again = await ask(rekor, "/api/v1/log/entries", proposed);
    expect(again.status).toBe(409);
    expect(again.json).toEqual({
      code: 409,
      message: `an equivalent entry already exists in the transparency log with UUID ${id}`,
    });
    expect(again.headers.get("location")).toBe(`/log/api/v1/log/entries/${id}`);
    const found = await ask(rekor, `/api/v1/log/entries/${id}`);
    expect(await proves(readEntry(found.json), trusted(rekor))).toEqual(BOTH);
  });

  test("finds entries by id, by leaf hash and by index, with a proof for the tree of now", async () => {
    const { rekor } = await open();
    const { id } = await submit(rekor, hashedRekord("one"));
    await submit(rekor, hashedRekord("two"));
    for (const path of [`/${id}`, `/${id.slice(16)}`, `/${id.toUpperCase()}`, "?logIndex=0"]) {
      const found = readEntry((await ask(rekor, `/api/v1/log/entries${path}`)).json);
      expect(found.id).toBe(id);
      expect(found.entry.inclusionProof?.treeSize).toBe(2n);
      expect(await proves(found, trusted(rekor))).toEqual(BOTH);
    }
  });

  test.for(["?logIndex=1", `/${"0".repeat(64)}`, `/${"0".repeat(80)}`, `/0000000000000001${"0".repeat(64)}`])(
    "answers nothing for %s",
    async (path) => {
      const { rekor } = await open();
      await submit(rekor, hashedRekord("one"));
      const { status, text } = await ask(rekor, `/api/v1/log/entries${path}`);
      expect([status, text]).toEqual([404, ""]);
    },
  );

  test.for([
    ["/api/v1/log/entries", 602],
    ["/api/v1/log/entries?logIndex=-1", 609],
    ["/api/v1/log/entries?logIndex=one", 601],
    ["/api/v1/log/entries/one", 605],
    ["/api/v1/log/publicKey?treeID=one", 605],
    ["/api/v1/log/proof", 602],
    ["/api/v1/log/proof?firstSize=0&lastSize=1", 609],
  ] as const)("finds %s malformed: %d", async ([path, code]) => {
    const { rekor } = await open();
    const { status, json } = await ask(rekor, path);
    expect([status, json]).toMatchObject([422, { code }]);
  });

  test("retrieves several entries, by id, by index and by themselves", async () => {
    const { rekor } = await open();
    const proposed = hashedRekord("three");
    const one = await submit(rekor, hashedRekord("one"));
    const two = await submit(rekor, hashedRekord("two"));
    const three = await submit(rekor, proposed);
    const query = { entryUUIDs: [two.id, "0".repeat(64)], logIndexes: [0, 99], entries: [proposed] };
    const { status, json } = await ask(rekor, "/api/v1/log/entries/retrieve", query);
    expect(status).toBe(200);
    const found = (json as readonly unknown[]).map(readEntry);
    expect(found.map(({ id }) => id)).toEqual([two.id, three.id, one.id]);
    for (const logged of found) expect(await proves(logged, trusted(rekor))).toEqual(BOTH);
  });

  test.for<readonly [string, unknown, number, number]>([
    ["more than ten", { logIndexes: Array.from({ length: 11 }, (_, index) => index) }, 422, 611],
    [
      "more than ten in all",
      { logIndexes: [0, 1, 2, 3, 4, 5], entryUUIDs: [1, 2, 3, 4, 5].map(() => "0".repeat(64)) },
      422,
      422,
    ],
    ["none", { logIndexes: [] }, 422, 612],
    ["an id that is none", { entryUUIDs: ["one"] }, 422, 605],
    ["a negative index", { logIndexes: [-1] }, 422, 609],
    ["an entry that is none", { entries: [hashedRekord("a", { content: "" })] }, 400, 400],
  ])("does not retrieve %s", async ([, query, status, code]) => {
    const { rekor } = await open();
    expect(await ask(rekor, "/api/v1/log/entries/retrieve", query)).toMatchObject({ status, json: { code } });
  });

  test("proves that it only grew", async () => {
    const { rekor } = await open();
    const roots = [];
    for (let size = 1; size <= 7; size++) {
      await submit(rekor, hashedRekord(`artifact ${size}`));
      const { json } = await ask(rekor, "/api/v1/log");
      const { rootHash, treeSize } = json as { rootHash: string; treeSize: number };
      expect(treeSize).toBe(size);
      roots.push(new Uint8Array(Buffer.from(rootHash, "hex")));
    }
    expect(roots.at(-1)).toEqual(
      treeHash(
        rekor
          .recentEntries()
          .map(({ body }) => body)
          .toReversed(),
      ),
    );
    for (const [at, root1] of roots.entries()) {
      const { json } = await ask(rekor, `/api/v1/log/proof?firstSize=${at + 1}&lastSize=7`);
      const { hashes, rootHash } = json as { hashes: readonly string[]; rootHash: string };
      const root2 = new Uint8Array(Buffer.from(rootHash, "hex"));
      const proof = {
        size1: BigInt(at + 1),
        root1,
        size2: 7n,
        root2,
        hashes: hashes.map((hash) => new Uint8Array(Buffer.from(hash, "hex"))),
      };
      expect(await outcomeOf(verifyConsistency(proof, crypto))).toBe("accepted");
    }
    expect(await ask(rekor, "/api/v1/log/proof?firstSize=3&lastSize=2")).toMatchObject({ status: 400 });
    expect((await ask(rekor, "/api/v1/log/proof?firstSize=3&lastSize=8")).json).toEqual({
      code: 400,
      message: "the tree size requested(8) was greater than what is currently observable(7)",
    });
  });

  test("gives its key, with which its checkpoint verifies", async () => {
    const { rekor } = await open();
    await submit(rekor, hashedRekord("one"));
    const { text, headers } = await ask(rekor, "/api/v1/log/publicKey");
    expect(headers.get("content-type")).toContain("application/x-pem-file");
    const { json } = await ask(rekor, "/api/v1/log");
    const [note = "", line = ""] = (json as { signedTreeHead: string }).signedTreeHead.split("\n\n");
    const signature = Buffer.from(line.trim().split(" ").at(-1) ?? "", "base64").subarray(4);
    expect(verify("sha256", Buffer.from(`${note}\n`), text, signature)).toBe(true);
    expect((await ask(rekor, "/api/v1/log/publicKey?treeID=1")).status).toBe(400);
  });

  test("goes on after a restart where it was", async () => {
    const { rekor, context } = await open();
    const proposed = hashedRekord("one");
    const { id } = await submit(rekor, proposed);
    const { rekor: again } = await open(context);
    expect(again.listings()).toEqual(rekor.listings());
    expect((await ask(again, "/api/v1/log/entries", proposed)).status).toBe(409);
    const found = readEntry((await ask(again, `/api/v1/log/entries/${id}`)).json);
    expect(await proves(found, trusted(rekor))).toEqual(BOTH);
    const hash = hashOf("one").toString("hex");
    expect((await ask(again, "/api/v1/index/retrieve", { hash })).json).toEqual([id]);
  });

  test("rotates to another tree and key, and counts over both", async () => {
    const { rekor, context } = await open();
    const old = await submit(rekor, hashedRekord("one"));
    await submit(rekor, hashedRekord("two"));
    context.time = new Date("2026-02-01T00:00:00Z");
    await rekor.rotate();
    const fresh = await submit(rekor, hashedRekord("three"));
    expect(fresh.entry).toMatchObject({ logIndex: 2n, inclusionProof: { logIndex: 0n, treeSize: 1n } });
    expect(fresh.id.slice(0, 16)).not.toBe(old.id.slice(0, 16));
    for (const log of [rekor, (await open(context)).rekor]) {
      expect(log.listings().map(({ start, end }) => [start, end])).toEqual([
        [START, context.time],
        [context.time, undefined],
      ]);
      const byIndex = async (index: number): Promise<Logged> =>
        readEntry((await ask(log, `/api/v1/log/entries?logIndex=${index}`)).json);
      expect((await byIndex(0)).id).toBe(old.id);
      expect((await byIndex(2)).id).toBe(fresh.id);
      expect(await proves(await byIndex(0), trusted(log, 0))).toEqual(BOTH);
      expect(await proves(await byIndex(2), trusted(log, 1))).toEqual(BOTH);
      expect(await proves(await byIndex(2), trusted(log, 0))).not.toEqual(BOTH);
      const found = readEntry((await ask(log, `/api/v1/log/entries/${old.id.slice(16)}`)).json);
      expect(found.id).toBe(old.id);
      const { json } = await ask(log, "/api/v1/log");
      expect(json).toMatchObject({ treeSize: 1, inactiveShards: [{ treeSize: 2 }] });
      const hash = hashOf("three").toString("hex");
      expect((await ask(log, "/api/v1/index/retrieve", { hash })).json).toEqual([fresh.id]);
      expect(log.recentEntries().map(({ index }) => index)).toEqual([2, 1, 0]);
    }
  });

  test("finds entries in its index by digest, key and name, in one or in all", async () => {
    const { rekor } = await open();
    const certificate = certificateFor(signer, "Alice@Example.com");
    const one = await submit(rekor, hashedRekord("one"));
    const two = await submit(rekor, hashedRekord("two", { key: certificate }));
    const payload = statementOf("subject");
    const three = await submit(rekor, dsse(envelopeOf(payload, [signer]), [signer.pem]));
    const find = async (query: unknown): Promise<unknown> => (await ask(rekor, "/api/v1/index/retrieve", query)).json;
    const hash = hashOf("two").toString("hex");
    expect(await find({ hash: `sha256:${hash.toUpperCase()}` })).toEqual([two.id]);
    expect(await find({ email: "alice@example.com" })).toEqual([two.id]);
    expect(await find({ publicKey: { format: "x509", content: base64(signer.pem) } })).toEqual([one.id]);
    expect(await find({ hash: hashOf("subject").toString("hex") })).toEqual([three.id]);
    expect(await find({ hash: hashOf(payload).toString("hex") })).toEqual([three.id]);
    expect(await find({ hash, email: "bob@example.com" })).toEqual([two.id]);
    expect(await find({ hash, email: "bob@example.com", operator: "and" })).toEqual([]);
    expect(await find({ hash, email: "alice@example.com", operator: "and" })).toEqual([two.id]);
    expect(await find({})).toEqual([]);
  });

  test.for<readonly [unknown, number, number]>([
    [{ hash: "one" }, 422, 605],
    [{ email: "alice" }, 422, 601],
    [{ operator: "xor" }, 422, 606],
    [{ publicKey: { content: "AAAA" } }, 422, 602],
    [{ publicKey: { format: "other", content: "AAAA" } }, 422, 606],
    [{ publicKey: { format: "x509", content: "AAAA" } }, 400, 400],
    ["{", 400, 400],
  ])("does not search for %j", async ([query, status, code]) => {
    const { rekor } = await open();
    expect(await ask(rekor, "/api/v1/index/retrieve", query)).toMatchObject({ status, json: { code } });
  });

  test("knows other paths, methods and media types as the framework of the real one does", async () => {
    const { rekor } = await open();
    const put = await rekor.fetch(new Request(ENTRIES, { method: "PUT", body: "{}" }));
    expect([put.status, put.headers.get("allow")]).toEqual([405, "GET,POST"]);
    expect(await put.json()).toEqual({ code: 405, message: "method PUT is not allowed, but [GET,POST] are" });
    expect((await ask(rekor, "/api/v1/other")).status).toBe(404);
    expect((await ask(rekor, "/api/v1/log/entries", hashedRekord("a"), "text/plain")).status).toBe(415);
    expect((await ask(rekor, "/api/v1/log/entries", "")).json).toMatchObject({ code: 602 });
  });
});

describe("entries of Rekor v1", () => {
  const refused = async (proposed: unknown): Promise<unknown> => {
    const { rekor } = await open();
    const { status, json } = await ask(rekor, "/api/v1/log/entries", proposed);
    expect(rekor.size).toBe(0);
    const { code, message } = json as { code: number; message: string };
    return [status, code, message.split("\n")[0]];
  };

  test.for<readonly [string, Parts]>([
    ["another artifact's hash", { hash: { algorithm: "sha256", value: hashOf("other").toString("hex") } }],
    ["another signature", { content: base64(signatureOf(signer, "other")) }],
    ["a signature of another key", { content: base64(signatureOf(other, "an artifact")) }],
    ["no signature", { content: "" }],
    ["another key", { key: other.pem }],
  ])("hashedrekord with %s is not verified", async ([, parts]) => {
    expect(await refused(hashedRekord("an artifact", parts))).toEqual([
      400,
      400,
      "error processing entry: verifying signature: invalid signature",
    ]);
  });

  test.for<readonly [string, unknown, string]>([
    ["an unknown hash", hashedRekord("a", { hash: { algorithm: "md5", value: "" } }), "validation failure list:"],
    ["a short hash", hashedRekord("a", { hash: { algorithm: "sha256", value: "00" } }), "invalid value for hash"],
    ["a key that is no PEM", hashedRekord("a", { key: "no key" }), "invalid public key: failure decoding PEM"],
    ["nothing in it", { apiVersion: "0.0.1", kind: "hashedrekord", spec: {} }, "validation failure list:"],
    ["an unknown version", { ...hashedRekord("a"), apiVersion: "0.0.9" }, "hashedrekord implementation for version"],
    ["a kind that is switched off", { ...hashedRekord("a"), kind: "rpm" }, "entry kind 'rpm' is not enabled"],
  ])("an entry with %s is refused", async ([, proposed, reason]) => {
    const [status, code, message] = (await refused(proposed)) as [number, number, string];
    expect([status, code]).toEqual([400, 400]);
    expect(message).toContain(`error processing entry: ${reason}`);
  });

  test.for<readonly [string, unknown, number, number]>([
    ["kind", { ...hashedRekord("a"), kind: undefined }, 422, 602],
    ["a known kind", { ...hashedRekord("a"), kind: "something" }, 422, 422],
    ["version", { ...hashedRekord("a"), apiVersion: undefined }, 422, 602],
    ["a version that is one", { ...hashedRekord("a"), apiVersion: "one" }, 422, 605],
    ["spec", { ...hashedRekord("a"), spec: undefined }, 422, 602],
  ])("an entry without %s is malformed", async ([, proposed, status, code]) => {
    expect(((await refused(proposed)) as readonly unknown[]).slice(0, 2)).toEqual([status, code]);
  });

  test("a chain of certificates is kept whole, and each has to be of the next", async () => {
    const { rekor } = await open();
    const chain = [certificateFor(signer, "alice@example.com"), ...ISSUERS];
    const logged = await submit(rekor, hashedRekord("a", { key: chain.join("") }));
    expect(logged.body).toMatchObject({ spec: { signature: { publicKey: { content: base64(chain.join("")) } } } });
    for (const wrong of [[chain[0], chain[2]], [chain[0], certificateFor(other, "bob@example.com")], chain.slice(1)])
      expect(await refused(hashedRekord("a", { key: wrong.join("") }))).toEqual([
        400,
        400,
        "error processing entry: verifying signature: invalid signature",
      ]);
    expect(await refused(hashedRekord("a", { key: (chain[0] ?? "") + signer.pem }))).toEqual([
      400,
      400,
      "error processing entry: invalid certificate chain",
    ]);
  });

  test("P-384 goes with SHA-384 alone, though others verify", async () => {
    const { generateKeyPairSync } = await import("node:crypto");
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-384" });
    const p384 = { privateKey, pem: publicKey.export({ format: "pem", type: "spki" }), spki: new Uint8Array() };
    expect(await refused(hashedRekord("a", {}, p384))).toEqual([
      400,
      400,
      "error processing entry: entry algorithms are not allowed",
    ]);
  });

  test("dsse has the hashes of envelope and payload, and its signatures in order", async () => {
    const { rekor } = await open();
    const payload = statementOf("a");
    const envelope = envelopeOf(payload, [signer, other]);
    const logged = await submit(rekor, dsse(envelope, [signer.pem, other.pem]));
    const { signatures } = JSON.parse(envelope) as { signatures: { sig: string }[] };
    const expected = signatures
      .map(({ sig }, at) => ({ signature: sig, verifier: base64([signer, other][at]?.pem ?? "") }))
      .sort((a, b) => (a.signature < b.signature ? -1 : 1));
    expect(logged.body).toEqual({
      apiVersion: "0.0.1",
      kind: "dsse",
      spec: {
        envelopeHash: { algorithm: "sha256", value: hashOf(envelope).toString("hex") },
        payloadHash: { algorithm: "sha256", value: hashOf(payload).toString("hex") },
        signatures: expected,
      },
    });
    expect(await proves(logged, trusted(rekor))).toEqual(BOTH);
  });

  test.for<readonly [string, unknown, string]>([
    ["another key", dsse(envelopeOf("{}", [signer]), [other.pem]), "could not verify envelope"],
    ["a key too few", dsse(envelopeOf("{}", [signer, other]), [signer.pem]), "all signatures must have a key"],
    ["no key", dsse(envelopeOf("{}", [signer]), []), "validation failure list:"],
    ["no signature", dsse(envelopeOf("{}", []), [signer.pem]), "DSSE envelope must contain 1 or more signatures"],
    ["no envelope", dsse("{", [signer.pem]), "envelope"],
    [
      "a changed payload",
      dsse(envelopeOf("{}", [signer]).replace(base64("{}"), base64("[]")), [signer.pem]),
      "could not verify envelope",
    ],
    ["what the log itself writes", { apiVersion: "0.0.1", kind: "dsse", spec: {} }, "either proposedContent or"],
  ])("dsse with %s is refused", async ([, proposed, reason]) => {
    expect(((await refused(proposed)) as readonly [number, number, string])[2]).toContain(
      `error processing entry: ${reason}`,
    );
  });

  function intoto(payload: string, parts: { readonly sig?: string; readonly hash?: unknown } = {}): unknown {
    const { signatures } = JSON.parse(envelopeOf(payload, [signer])) as { signatures: readonly { sig: string }[] };
    const hash = "hash" in parts ? parts.hash : { algorithm: "sha256", value: hashOf("envelope").toString("hex") };
    return {
      apiVersion: "0.0.2",
      kind: "intoto",
      spec: {
        content: {
          envelope: {
            payloadType: IN_TOTO,
            payload: base64(base64(payload)),
            signatures: [{ sig: parts.sig ?? base64(signatures[0]?.sig ?? ""), publicKey: base64(signer.pem) }],
          },
          hash,
        },
      },
    };
  }

  test("intoto keeps everything but the payload", async () => {
    const { rekor } = await open();
    const payload = statementOf("a");
    const logged = await submit(rekor, intoto(payload));
    expect(logged.body).toMatchObject({
      spec: {
        content: {
          envelope: { payloadType: IN_TOTO, signatures: [{ publicKey: base64(signer.pem) }] },
          hash: { algorithm: "sha256", value: hashOf("envelope").toString("hex") },
          payloadHash: { algorithm: "sha256", value: hashOf(payload).toString("hex") },
        },
      },
    });
    expect(JSON.stringify(logged.body)).not.toContain(base64(base64(payload)));
    expect(await proves(logged, trusted(rekor))).toEqual(BOTH);
  });

  test("intoto with another signature, or without hash, is refused", async () => {
    const otherSignature = base64(base64(signatureOf(signer, "other")));
    expect(await refused(intoto("{}", { sig: otherSignature }))).toEqual([
      400,
      400,
      "error processing entry: could not verify envelope: accepted signatures do not match threshold, Found: 0, Expected 1",
    ]);
    expect(await refused(intoto("{}", { hash: undefined }))).toEqual([
      500,
      500,
      "error generating canonicalized entry",
    ]);
  });
});

describe("forgeries of a log, each of which a verifier calls by its name", () => {
  test.for([
    ["wrong-key", "CHECKPOINT_SIGNATURE_INVALID", "TLOG_INCLUSION_PROMISE_INVALID"],
    ["wrong-promise", "accepted", "TLOG_INCLUSION_PROMISE_INVALID"],
    ["wrong-proof", "TLOG_INCLUSION_PROOF_INVALID", "accepted"],
    ["stale-checkpoint", "TLOG_INCLUSION_PROOF_INVALID", "accepted"],
    ["split-view", "accepted", "accepted"],
    ["other-entry", "accepted", "accepted"],
  ] as const)("%s: proof %s, promise %s", async ([forgery, ...codes]) => {
    const { rekor, context } = await open();
    for (const artifact of ["one", "two"]) await submit(rekor, hashedRekord(artifact));
    const honest = treeHash(
      rekor
        .recentEntries()
        .map(({ body }) => body)
        .toReversed(),
    );
    context.forged = forgery;
    const logged = await submit(rekor, hashedRekord("three"));
    expect(await proves(logged, trusted(rekor))).toEqual(codes);
    const isAboutOther = !Buffer.from(logged.entry.canonicalizedBody).includes(hashOf("three").toString("hex"));
    expect(isAboutOther).toBe(forgery === "other-entry");
    const { json } = await ask(rekor, "/api/v1/log/proof?firstSize=2&lastSize=3");
    const { hashes, rootHash } = json as { hashes: readonly string[]; rootHash: string };
    const grew = await outcomeOf(
      verifyConsistency(
        {
          size1: 2n,
          root1: honest,
          size2: 3n,
          root2: new Uint8Array(Buffer.from(rootHash, "hex")),
          hashes: hashes.map((hash) => new Uint8Array(Buffer.from(hash, "hex"))),
        },
        crypto,
      ),
    );
    if (forgery !== "other-entry")
      // which logs one more
      expect(grew).toBe(forgery === "split-view" ? "TLOG_CONSISTENCY_PROOF_INVALID" : "accepted");
    context.forged = undefined;
    expect(await proves(await submit(rekor, hashedRekord("four")), trusted(rekor))).toEqual(BOTH);
  });

  test("wrong-key shows in the tree head, too", async () => {
    const { rekor, context } = await open();
    await submit(rekor, hashedRekord("one"));
    const head = async (): Promise<string> =>
      ((await ask(rekor, "/api/v1/log")).json as { signedTreeHead: string }).signedTreeHead;
    const valid = (note: string): boolean => {
      const [text = "", line = ""] = note.split("\n\n");
      const key = { key: Buffer.from(trusted(rekor).publicKey.spki), format: "der", type: "spki" } as const;
      const signature = Buffer.from(line.trim().split(" ").at(-1) ?? "", "base64").subarray(4);
      return verify("sha256", utf8(`${text}\n`), key, signature);
    };
    expect(valid(await head())).toBe(true);
    context.forged = "wrong-key";
    expect(valid(await head())).toBe(false);
  });
});
