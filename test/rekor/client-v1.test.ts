import { generateKeyPairSync, sign } from "node:crypto";
import { describe, expect, test } from "vitest";
import { defaultCryptoProvider } from "../../src/crypto/provider.ts";
import { parsePublicKey } from "../../src/crypto/public-key.ts";
import { preAuthEncoding } from "../../src/dsse/pae.ts";
import { fetchEntryV1, retrieveEntriesV1, searchIndexV1, submitEntryV1 } from "../../src/rekor/client-v1.ts";
import type { ProposedEntry, RekorOptions } from "../../src/rekor/proposed-entry.ts";
import type { TransparencyLogEntry } from "../../src/tlog/transparency-log-entry.ts";
import { spkiOf } from "../support/certificates.ts";
import { answering, answeringBy, bytesAnswer, json, serve, type Answering } from "../support/http.ts";
import { flip, sha256, utf8 } from "../support/logs.ts";
import { answerV1, entryIdOf, entryJsonV1, hex, realEntry, type RealEntry } from "../support/rekor-answers.ts";
import { issueCertificate, makeCa, makeCtLog, signerKeys } from "../support/sandbox/authorities.ts";
import { makeEntry, makeRekor } from "../support/sandbox/rekor.ts";

const BASE = "https://rekor.test";
const crypto = defaultCryptoProvider();
const code = (value: string): unknown => expect.objectContaining({ code: value }) as unknown;
const ready = <T extends Answering>(options: T): T & RekorOptions => ({ ...options, crypto });
const real = realEntry("a/blob-v1-email");
const realDsse = realEntry("a/attestation-v1-email");
const other = realEntry("a/blob-v1-email-again");

/** Changes the answer to one entry. */
const changed = (
  entry: TransparencyLogEntry,
  change: (answer: Record<string, unknown>) => unknown,
  id = entryIdOf(entry),
  status = 201,
): Response => json({ [id]: change(entryJsonV1(entry)) }, status);

describe("submitEntryV1", () => {
  test.for<[string, RealEntry]>([
    ["hashedrekord", real],
    ["dsse", realDsse],
    ["hashedrekord, first of its log", realEntry("a/blob-v1-email-first-entry")],
  ])("takes what a real log made of a %s", async ([, { proposed, logged }]) => {
    const options = ready(answering(answerV1(logged)));
    await expect(submitEntryV1(BASE, proposed, options)).resolves.toEqual(logged);
    expect([options.asked[0]?.method, options.asked[0]?.url]).toEqual(["POST", `${BASE}/api/v1/log/entries`]);
  });

  test("proposes a hashedrekord as Rekor's schema has it", async () => {
    const options = ready(answering(answerV1(real.logged)));
    await submitEntryV1(BASE, real.proposed, options);
    const asked = JSON.parse(Buffer.from(options.asked[0]?.body ?? []).toString()) as unknown;
    // The log canonicalizes what it was given, and nothing else: the same JSON.
    expect(asked).toEqual(JSON.parse(Buffer.from(real.logged.canonicalizedBody).toString()));
  });

  test("proposes an envelope whole, as text, with the verifier in PEM", async () => {
    const options = ready(answering(answerV1(realDsse.logged)));
    await submitEntryV1(BASE, realDsse.proposed, options);
    const asked = JSON.parse(Buffer.from(options.asked[0]?.body ?? []).toString()) as {
      kind: string;
      apiVersion: string;
      spec: { proposedContent: { envelope: string; verifiers: string[] } };
    };
    const body = JSON.parse(Buffer.from(realDsse.logged.canonicalizedBody).toString()) as {
      spec: { signatures: { signature: string; verifier: string }[] };
    };
    expect([asked.kind, asked.apiVersion]).toEqual(["dsse", "0.0.1"]);
    expect(asked.spec.proposedContent.verifiers).toEqual([body.spec.signatures[0]?.verifier]);
    const envelope = JSON.parse(asked.spec.proposedContent.envelope) as { signatures: unknown; payloadType: string };
    expect(envelope.signatures).toEqual([{ sig: body.spec.signatures[0]?.signature }]);
    expect(envelope.payloadType).toBe("application/vnd.in-toto+json");
  });

  test.for<[string, string, () => Response]>([
    ["somebody else's entry, whole and valid", "TLOG_ENTRY_MISMATCH", () => answerV1(other.logged)],
    ["an entry of another kind", "TLOG_ENTRY_MISMATCH", () => answerV1(realDsse.logged)],
    [
      "an id that is not that of the body",
      "TLOG_ENTRY_MISMATCH",
      () => json({ [entryIdOf(other.logged)]: entryJsonV1(real.logged) }, 201),
    ],
    [
      "a proof of another entry",
      "TLOG_INCLUSION_PROOF_INVALID",
      () => changed(real.logged, (answer) => ({ ...answer, verification: entryJsonV1(other.logged)["verification"] })),
    ],
    [
      "a proof for another root than its checkpoint's",
      "TLOG_INCLUSION_PROOF_INVALID",
      () =>
        answerV1({
          ...real.logged,
          inclusionProof: {
            ...(real.logged.inclusionProof as NonNullable<TransparencyLogEntry["inclusionProof"]>),
            rootHash: new Uint8Array(32),
          },
        }),
    ],
    [
      "two entries",
      "SERVICE_RESPONSE_INVALID",
      () =>
        json({
          [entryIdOf(real.logged)]: entryJsonV1(real.logged),
          [entryIdOf(other.logged)]: entryJsonV1(other.logged),
        }),
    ],
    ["no entry", "SERVICE_RESPONSE_INVALID", () => json({})],
    ["a list", "SERVICE_RESPONSE_INVALID", () => json([])],
    ["an id that is none", "SERVICE_RESPONSE_INVALID", () => changed(real.logged, (same) => same, "../entries")],
    ["a negative index", "SERVICE_RESPONSE_INVALID", () => changed(real.logged, (same) => ({ ...same, logIndex: -1 }))],
    [
      "an index that no number holds",
      "SERVICE_RESPONSE_INVALID",
      () => changed(real.logged, (same) => ({ ...same, logIndex: 2 ** 53 })),
    ],
    [
      "a log id that is none",
      "SERVICE_RESPONSE_INVALID",
      () => changed(real.logged, (same) => ({ ...same, logID: "00" })),
    ],
    [
      "a body that is no JSON",
      "SERVICE_RESPONSE_INVALID",
      () => changed(real.logged, (same) => ({ ...same, body: "AAAA" })),
    ],
    ["a page of HTML", "SERVICE_RESPONSE_INVALID", () => bytesAnswer("<html>", 200, "text/html")],
  ])("refuses %s", async ([, problem, answer]) => {
    await expect(submitEntryV1(BASE, real.proposed, ready(answering(answer())))).rejects.toThrow(code(problem));
  });

  test("refuses an entry that is about our envelope, and of another kind than was asked for", async () => {
    const keys = signerKeys();
    const payload = utf8("{}");
    const payloadType = "application/vnd.in-toto+json";
    const message = preAuthEncoding(payloadType, payload);
    const signature = new Uint8Array(sign("sha256", message, keys.privateKey));
    const keyDetails = "PKIX_ECDSA_P256_SHA_256";
    const proposed: ProposedEntry = {
      kind: "dsse",
      envelope: { payload, payloadType, signatures: [{ sig: signature, keyid: "" }] },
      verifier: { kind: "public-key", der: spkiOf(keys) },
      keyDetails,
    };
    const signed = {
      signature,
      verifier: { publicKey: keys.publicKey },
      message,
      hash: "sha256",
      keyDetails,
      envelope: { payload, payloadType },
    } as const;
    const log = makeRekor(1);
    const submit = (kind: "dsse" | "hashedrekord"): Promise<unknown> =>
      submitEntryV1(BASE, proposed, ready(answering(answerV1(makeEntry(signed, { log, kind })))));
    await expect(submit("dsse")).resolves.toBeDefined();
    await expect(submit("hashedrekord")).rejects.toThrow(
      expect.objectContaining({ code: "TLOG_ENTRY_MISMATCH", expected: "dsse 0.0.1", found: "hashedrekord 0.0.1" }),
    );
  });

  test("refuses an entry with our body but for one bit of the signature", async () => {
    const { proposed } = real;
    if (proposed.kind !== "hashedrekord") throw new Error("unreachable");
    await expect(
      submitEntryV1(
        BASE,
        { ...proposed, signature: flip(proposed.signature) },
        ready(answering(answerV1(real.logged))),
      ),
    ).rejects.toThrow(code("TLOG_ENTRY_MISMATCH"));
  });

  test("takes an entry without a proof, for whoever verifies its promise", async () => {
    const { inclusionProof: _, ...promised } = real.logged;
    await expect(submitEntryV1(BASE, real.proposed, ready(answering(answerV1(promised))))).resolves.toEqual(promised);
  });

  test("says what the log says where it refuses", async () => {
    const message =
      "error processing entry: verifying signature: invalid signature when validating ASN.1 encoded signature";
    await expect(
      submitEntryV1(BASE, real.proposed, ready(answering(json({ code: 400, message }, 400)))),
    ).rejects.toThrow(
      expect.objectContaining({
        code: "REKOR_REQUEST_REFUSED",
        status: 400,
        service: "Rekor",
        message: `Rekor (https://rekor.test/api/v1/log/entries) answered with status 400: "${message}"`,
      }),
    );
  });

  test("tells a log that takes no more entries", async () => {
    await expect(submitEntryV1(BASE, real.proposed, ready(answering(bytesAnswer("", 405))))).rejects.toThrow(
      expect.objectContaining({ code: "TLOG_FROZEN", status: 405, service: "Rekor" }),
    );
  });

  test("refuses an algorithm that nobody knows, and an envelope with two signatures, before it asks", async () => {
    const options = ready(answering());
    await expect(submitEntryV1(BASE, { ...real.proposed, keyDetails: "ROT13" }, options)).rejects.toThrow(
      code("ALGORITHM_UNSUPPORTED"),
    );
    if (realDsse.proposed.kind !== "dsse") throw new Error("unreachable");
    const { envelope } = realDsse.proposed;
    const twice = { ...envelope, signatures: [...envelope.signatures, ...envelope.signatures] };
    await expect(submitEntryV1(BASE, { ...realDsse.proposed, envelope: twice }, options)).rejects.toThrow(
      code("TLOG_ENTRY_MISMATCH"),
    );
    expect(options.asked).toEqual([]);
  });

  test("takes bare keys, in PEM of either kind, and digests of their own hash", async () => {
    const log = makeRekor(1);
    for (const kind of ["p384", "rsa"] as const) {
      const keys = signerKeys(kind);
      const hash = kind === "p384" ? "sha384" : "sha256";
      const message = utf8("a message");
      const signature = new Uint8Array(sign(hash, message, keys.privateKey));
      const keyDetails = kind === "p384" ? "PKIX_ECDSA_P384_SHA_384" : "PKIX_RSA_PKCS1V15_2048_SHA256";
      const signed = { signature, verifier: { publicKey: keys.publicKey }, message, hash, keyDetails } as const;
      const logged = makeEntry(signed, { log });
      const digest = { algorithm: hash, value: new Uint8Array(await crypto.digest(hash, message)) } as const;
      const proposed: ProposedEntry = {
        kind: "hashedrekord",
        digest,
        signature,
        verifier: { kind: "public-key", der: spkiOf(keys) },
        keyDetails,
      };
      await expect(submitEntryV1(BASE, proposed, ready(answering(answerV1(logged))))).resolves.toEqual(logged);
      if (kind !== "rsa") continue;
      const pkcs1 = new Uint8Array(keys.publicKey.export({ type: "pkcs1", format: "der" }));
      const options = ready(answering(answerV1(logged)));
      await submitEntryV1(BASE, { ...proposed, verifier: { kind: "rsa-public-key", der: pkcs1 } }, options);
      const body = Buffer.from(options.asked[0]?.body ?? []).toString();
      const content = /"publicKey":\{"content":"([^"]+)"/.exec(body)?.[1] ?? "";
      expect(Buffer.from(content, "base64").toString()).toBe(keys.publicKey.export({ type: "pkcs1", format: "pem" }));
    }
  });
});

describe("submitEntryV1: conflicts", () => {
  const id = entryIdOf(real.logged);
  const conflict = (headers: Readonly<Record<string, string>> = { location: `/api/v1/log/entries/${id}` }): Response =>
    json(
      { code: 409, message: `an equivalent entry already exists in the transparency log with UUID ${id}` },
      409,
      headers,
    );

  test.for([
    ["a path", `/api/v1/log/entries/${id}`],
    ["a whole address", `${BASE}/api/v1/log/entries/${id}`],
    ["the address of another server, which is not asked", `https://other.test/x/api/v1/log/entries/${id}`],
    ["a short id", `/api/v1/log/entries/${id.slice(-64)}`],
  ] as const)("fetches the entry that is there, where the answer names it by %s", async ([, location]) => {
    const options = ready(answering(conflict({ location }), answerV1(real.logged, 200)));
    await expect(submitEntryV1(BASE, real.proposed, options)).resolves.toEqual(real.logged);
    const [, second] = options.asked;
    expect(second?.method).toBe("GET");
    expect(second?.url).toMatch(/^https:\/\/rekor\.test\/api\/v1\/log\/entries\/[0-9a-f]+$/);
  });

  test.for([
    ["no address", {}],
    ["an address that names nothing", { location: "/api/v1/log/entries/../../secrets" }],
  ] as const)("looks for what it proposed, where the answer has %s", async ([, headers]) => {
    const found = json([{ [id]: entryJsonV1(real.logged) }]);
    const options = ready(answering(conflict(headers), found));
    await expect(submitEntryV1(BASE, real.proposed, options)).resolves.toEqual(real.logged);
    expect(options.asked[1]?.url).toBe(`${BASE}/api/v1/log/entries/retrieve`);
  });

  test("waits for an entry that the log does not have to hand yet", async () => {
    const missing = (): Response => bytesAnswer("", 404);
    const options = ready(answering(conflict(), missing(), missing(), answerV1(real.logged, 200)));
    await expect(submitEntryV1(BASE, real.proposed, options)).resolves.toEqual(real.logged);
    expect(options.waited).toEqual([500, 500]);
  });

  test("gives up on an entry that is said to be there, and is not", async () => {
    const options = ready(answeringBy((_asked, count) => (count === 1 ? conflict() : bytesAnswer("", 404))));
    await expect(submitEntryV1(BASE, real.proposed, options)).rejects.toThrow(
      expect.objectContaining({
        code: "TLOG_ENTRY_CONFLICT",
        status: 409,
        message: expect.stringContaining("cannot be found") as unknown,
      }),
    );
    expect(options.asked.length).toBeLessThan(10);
  });

  test.for<[string, () => Response]>([
    ["is somebody else's, with the id that was named", () => json({ [id]: entryJsonV1(other.logged) })],
    ["is somebody else's, with its own id", () => answerV1(other.logged, 200)],
    ["has our signature and another signer", () => answerV1(impostor(), 200)],
    [
      "has no valid proof",
      () =>
        changed(real.logged, (same) => ({ ...same, verification: entryJsonV1(other.logged)["verification"] }), id, 200),
    ],
  ])("takes no entry for ours that %s", async ([, answer]) => {
    const impostorId = entryIdOf(impostor());
    for (const location of [id, impostorId]) {
      const options = ready(answering(conflict({ location: `/api/v1/log/entries/${location}` }), answer()));
      await expect(submitEntryV1(BASE, real.proposed, options)).rejects.toThrow(code("TLOG_ENTRY_CONFLICT"));
    }
  });

  /** An entry with the signature and the digest of the real one, by somebody else's certificate. */
  function impostor(): TransparencyLogEntry {
    const { proposed } = real;
    if (proposed.kind !== "hashedrekord") throw new Error("unreachable");
    const { der } = issueCertificate(makeCa(), {}, makeCtLog());
    const signed = {
      signature: proposed.signature,
      verifier: { certificate: der },
      message: new Uint8Array(0),
      hash: "sha256",
      keyDetails: proposed.keyDetails,
    } as const;
    const digestHex = hex(proposed.digest.value);
    const text = (body: string): string => body.replace(hex(sha256("")), digestHex);
    return (impostorEntry ??= makeEntry(signed, { log: makeRekor(1), text }));
  }
  let impostorEntry: TransparencyLogEntry | undefined;

  test("finds its own first attempt, whose answer was lost", async () => {
    let posts = 0;
    const { url } = await serve((request, response) => {
      if (request.method === "POST") {
        posts += 1;
        if (posts === 1) {
          request.socket.destroy(); // logged, and the connection broke
          return;
        }
        response.writeHead(409, { location: `/api/v1/log/entries/${id}` }).end("{}");
      } else response.end(JSON.stringify({ [id]: entryJsonV1(real.logged) }));
    });
    const options = { fetch, timeoutMs: 10_000, sleep: () => Promise.resolve(), crypto };
    await expect(submitEntryV1(url, real.proposed, options)).resolves.toEqual(real.logged);
    expect(posts).toBe(2);
  });
});

describe("fetchEntryV1", () => {
  const id = entryIdOf(real.logged);

  test("fetches by id, long or short, and by index", async () => {
    const options = ready(answeringBy(() => answerV1(real.logged, 200)));
    const found = { entryId: id, entry: real.logged };
    await expect(fetchEntryV1(BASE, { entryId: id.toUpperCase() }, options)).resolves.toEqual(found);
    await expect(fetchEntryV1(BASE, { entryId: id.slice(-64) }, options)).resolves.toEqual(found);
    await expect(fetchEntryV1(BASE, { logIndex: real.logged.logIndex }, options)).resolves.toEqual(found);
    expect(options.asked.map(({ url }) => url.slice(BASE.length))).toEqual([
      `/api/v1/log/entries/${id}`,
      `/api/v1/log/entries/${id.slice(-64)}`,
      `/api/v1/log/entries?logIndex=${real.logged.logIndex}`,
    ]);
  });

  test("refuses another entry than was asked for", async () => {
    const options = ready(answeringBy(() => answerV1(other.logged, 200)));
    await expect(fetchEntryV1(BASE, { entryId: id }, options)).rejects.toThrow(code("TLOG_ENTRY_MISMATCH"));
    await expect(fetchEntryV1(BASE, { logIndex: other.logged.logIndex + 1n }, options)).rejects.toThrow(
      code("TLOG_ENTRY_MISMATCH"),
    );
  });

  test("refuses an entry whose proof is of another one", async () => {
    const answer = changed(
      real.logged,
      (same) => ({ ...same, verification: entryJsonV1(other.logged)["verification"] }),
      id,
      200,
    );
    await expect(fetchEntryV1(BASE, { entryId: id }, ready(answering(answer)))).rejects.toThrow(
      code("TLOG_INCLUSION_PROOF_INVALID"),
    );
  });

  test.for(["", "a/b", "0".repeat(63), "0".repeat(81), `${"0".repeat(64)}?x`])("refuses the id %j", async (entryId) => {
    await expect(fetchEntryV1(BASE, { entryId }, ready(answering()))).rejects.toThrow(code("USAGE_INVALID"));
  });

  test("refuses an index that is out of range", async () => {
    for (const logIndex of [-1n, 1n << 63n]) {
      await expect(fetchEntryV1(BASE, { logIndex }, ready(answering()))).rejects.toThrow(code("USAGE_INVALID"));
    }
  });

  test("tells that there is none by the status", async () => {
    await expect(fetchEntryV1(BASE, { logIndex: 9n }, ready(answering(bytesAnswer("", 404))))).rejects.toThrow(
      expect.objectContaining({ code: "REKOR_REQUEST_REFUSED", status: 404 }),
    );
  });
});

describe("other reads of Rekor v1", () => {
  test("retrieves several entries, each checked", async () => {
    const list = [real, other].map(({ logged }) => ({ [entryIdOf(logged)]: entryJsonV1(logged) }));
    const options = ready(answeringBy(() => json(list)));
    const query = { entryIds: [entryIdOf(real.logged)], logIndexes: [7n], entries: [real.proposed] };
    const found = await retrieveEntriesV1(BASE, query, options);
    expect(found.map(({ entry }) => entry)).toEqual([real.logged, other.logged]);
    const body = JSON.parse(Buffer.from(options.asked[0]?.body ?? []).toString()) as { logIndexes: unknown };
    expect(Object.keys(body)).toEqual(["entryUUIDs", "logIndexes", "entries"]);
    expect(body.logIndexes).toEqual([7]);
    const forged = ready(answering(json([{ [entryIdOf(real.logged)]: entryJsonV1(other.logged) }])));
    await expect(retrieveEntriesV1(BASE, query, forged)).rejects.toThrow(code("TLOG_ENTRY_MISMATCH"));
  });

  test("refuses to ask for nothing, or for more than Rekor takes", async () => {
    for (const logIndexes of [[], Array.from({ length: 11 }, (_, index) => BigInt(index))]) {
      await expect(retrieveEntriesV1(BASE, { logIndexes }, ready(answering()))).rejects.toThrow(code("USAGE_INVALID"));
    }
  });

  test("searches the index", async () => {
    const ids = [entryIdOf(real.logged), entryIdOf(other.logged).slice(-64)];
    const keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const publicKey = parsePublicKey(new Uint8Array(keys.publicKey.export({ type: "spki", format: "der" })));
    const options = ready(answeringBy(() => json(ids)));
    await expect(
      searchIndexV1(BASE, { hash: "sha256:00", email: "alice@example.com", publicKey }, options),
    ).resolves.toEqual(ids);
    expect(JSON.parse(Buffer.from(options.asked[0]?.body ?? []).toString())).toEqual({
      hash: "sha256:00",
      email: "alice@example.com",
      publicKey: {
        format: "x509",
        content: Buffer.from(keys.publicKey.export({ type: "spki", format: "pem" })).toString("base64"),
      },
    });
    await expect(searchIndexV1(BASE, { hash: "x" }, answering(json(["../x"])))).rejects.toThrow(
      code("SERVICE_RESPONSE_INVALID"),
    );
  });
});
