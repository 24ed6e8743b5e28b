import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { defaultCryptoProvider } from "../../../src/crypto/provider.ts";
import {
  createTimestampAuthority,
  type TimestampAuthority,
} from "../../../src/sandbox/timestamp-authority/timestamp-authority.ts";
import { parseTimestampResponse } from "../../../src/tsa/timestamp-response.ts";
import { verifyTimestamp } from "../../../src/tsa/verify.ts";
import { parseCertificate } from "../../../src/x509/certificate.ts";
import { bytes, ctx, int, nul, octets, oid, seq } from "../../support/certificates.ts";
import { outcomeOf, utf8 } from "../../support/logs.ts";
import { TIMESTAMP_OIDS } from "../../support/timestamps.ts";
import { START, testContext, type TestContext } from "../service-context.ts";

const SIGNATURE = utf8("the bytes of a signature");
const URL_OF_TSA = "http://127.0.0.1:8080/tsa";
const crypto = defaultCryptoProvider();

type Parts = Partial<
  Record<"version" | "imprint" | "policy" | "nonce" | "certReq" | "extensions" | "rest", Uint8Array>
>;

const digest = (algorithm: string, data: Uint8Array = SIGNATURE): Uint8Array =>
  bytes(createHash(algorithm).update(data).digest());
const imprint = (algorithm: "sha1" | "sha256" | "sha384" | "sha512", value = digest(algorithm)): Uint8Array =>
  seq(seq(oid(TIMESTAMP_OIDS[algorithm]), nul()), octets(value));

/** A TimeStampReq with each part as asked. */
function queryOf(parts: Parts = {}): Uint8Array {
  const none = bytes();
  return seq(
    parts.version ?? int(1),
    parts.imprint ?? imprint("sha256"),
    parts.policy ?? none,
    parts.nonce ?? int(0x12, 0x34),
    parts.certReq ?? Uint8Array.of(1, 1, 0xff),
    parts.extensions ?? none,
    parts.rest ?? none,
  );
}

async function open(context: TestContext = testContext(URL_OF_TSA)): Promise<{
  readonly context: TestContext;
  readonly authority: TimestampAuthority;
}> {
  return { context, authority: await createTimestampAuthority(context) };
}

async function post(
  authority: TimestampAuthority,
  body: Uint8Array | string,
  type = "application/timestamp-query",
): Promise<{ readonly status: number; readonly type: string | null; readonly body: Uint8Array }> {
  const request = new Request(`${URL_OF_TSA}/api/v1/timestamp`, {
    method: "POST",
    body: typeof body === "string" ? body : new Uint8Array(body),
    headers: { "content-type": type },
  });
  const response = await authority.fetch(request);
  return {
    status: response.status,
    type: response.headers.get("content-type"),
    body: new Uint8Array(await response.arrayBuffer()),
  };
}

/** The authorities as a trusted root has them. */
function trusted(authority: TimestampAuthority): Parameters<typeof verifyTimestamp>[2] {
  return authority.listings().map(({ uri, certificates, start, end }) => ({
    uri,
    certificates: certificates.map(parseCertificate),
    validFor: { start, end },
  }));
}

/** What a verifier makes of an answer. */
async function verdict(authority: TimestampAuthority, answer: Uint8Array): Promise<string> {
  return await outcomeOf(
    (async () =>
      await verifyTimestamp(parseTimestampResponse(answer), SIGNATURE, trusted(authority), {
        crypto,
        nonce: 0x1234n,
        policy: "1.3.6.1.4.1.57264.2",
      }))(),
  );
}

describe("createTimestampAuthority (RFC 3161)", () => {
  test("grants what a verifier accepts, at the time of its clock", async () => {
    const { authority } = await open();
    const answer = await post(authority, queryOf());
    expect(answer).toMatchObject({ status: 200, type: "application/timestamp-reply" });
    const token = parseTimestampResponse(answer.body);
    const proven = await verifyTimestamp(token, SIGNATURE, trusted(authority), { crypto, nonce: 0x1234n });
    expect(proven?.time).toEqual(START);
    expect(token.accuracy).toMatchObject({ seconds: 1 });
  });

  test.for(["sha256", "sha384", "sha512"] as const)("stamps imprints of %s", async (algorithm) => {
    const { authority } = await open();
    const { body } = await post(authority, queryOf({ imprint: imprint(algorithm) }));
    expect(await verdict(authority, body)).toBe("accepted");
    expect(parseTimestampResponse(body).imprint.digest).toEqual(digest(algorithm));
  });

  test("brings the certificate only where it is asked for", async () => {
    const { authority } = await open();
    const without = await post(authority, queryOf({ certReq: bytes() }));
    expect(parseTimestampResponse(without.body).signedData.certificates).toHaveLength(0);
    expect(await verdict(authority, without.body)).toBe("accepted");
    const withIt = await post(authority, queryOf());
    expect(parseTimestampResponse(withIt.body).signedData.certificates).toHaveLength(1);
  });

  test("echoes the nonce, and has none where there was none", async () => {
    const { authority } = await open();
    const large = await post(authority, queryOf({ nonce: int(0x00, 0xff, 0xee, 0xdd, 0xcc, 0xbb, 0xaa, 0x99, 0x88) }));
    expect(parseTimestampResponse(large.body).nonce).toBe(0xffeeddccbbaa9988n);
    const without = await post(authority, queryOf({ nonce: bytes() }));
    expect(parseTimestampResponse(without.body).nonce).toBeUndefined();
  });

  test("gives no number twice", async () => {
    const { authority } = await open();
    const one = parseTimestampResponse((await post(authority, queryOf())).body);
    const other = parseTimestampResponse((await post(authority, queryOf())).body);
    expect(one.serialNumber).not.toEqual(other.serialNumber);
  });

  test("grants requests in JSON, with integers of any size", async () => {
    const { authority } = await open();
    const hashed = Buffer.from(digest("sha256")).toString("base64");
    const request = `{"artifactHash":"${hashed}","hashAlgorithm":"sha256","certificates":true,"nonce":18441921395520346504,"tsaPolicyOID":"1.3.6.1.4.1.57264.2"}`;
    const { status, body } = await post(authority, request, "application/json");
    expect(status).toBe(200);
    const token = parseTimestampResponse(body);
    expect(token.nonce).toBe(18441921395520346504n);
    expect(token.signedData.certificates).toHaveLength(1);
  });

  // Statuses and texts of sigstore/timestamp-authority 2.1.
  test.for([
    ["is no DER", utf8("no request"), "Error generating timestamp response"],
    ["has bytes behind it", bytes(queryOf(), 0), "Error generating timestamp response"],
    ["has a weak hash", queryOf({ imprint: imprint("sha1") }), "Weak hash algorithm in timestamp request"],
    [
      "has an unknown hash",
      queryOf({ imprint: seq(seq(oid("1.2.840.113549.2.5"), nul()), octets(digest("md5"))) }),
      "Error generating timestamp response",
    ],
    [
      "has a digest of another length",
      queryOf({ imprint: imprint("sha256", digest("sha384")) }),
      "Message digest has incorrect length for specified algorithm",
    ],
    ["has an empty digest", queryOf({ imprint: imprint("sha256", bytes()) }), "Error generating timestamp response"],
    [
      "asks for another policy",
      queryOf({ policy: oid("1.2.3.4") }),
      "unaccepted policy: requested TSA policy is not supported by the TSA",
    ],
    [
      "has an extension",
      queryOf({ extensions: ctx(0, seq(oid("1.2.3.4"), octets(bytes(5, 0)))) }),
      "unaccepted extension: requested extensions are not supported by the TSA",
    ],
  ] as const)("refuses a request that %s", async ([, query, message]) => {
    const { authority } = await open();
    const answer = await post(authority, query);
    expect(answer).toMatchObject({ status: 400, type: "application/timestamp-reply" });
    expect(JSON.parse(Buffer.from(answer.body).toString())).toEqual({ code: 400, message });
    expect(authority.recentTimestamps).toHaveLength(0);
  });

  test.for([
    ["is no JSON", "{", "Error generating timestamp response"],
    ["is a list", "[]", "Error generating timestamp response"],
    ["has a weak hash", '{"artifactHash":"AAAA","hashAlgorithm":"sha1"}', "Weak hash algorithm in timestamp request"],
    ["names no hash", '{"artifactHash":"AAAA"}', "Error generating timestamp response"],
    [
      "has a digest that is not base64",
      '{"artifactHash":"?","hashAlgorithm":"sha256"}',
      "Error generating timestamp response",
    ],
    [
      "has a digest of another length",
      '{"artifactHash":"AAAA","hashAlgorithm":"sha256"}',
      "Message digest has incorrect length for specified algorithm",
    ],
    [
      "has a policy that is none",
      '{"artifactHash":"AAAA","hashAlgorithm":"sha256","tsaPolicyOID":"one"}',
      "OID should be comprised of at most 128 components",
    ],
    [
      "has a nonce that is no integer",
      '{"artifactHash":"AAAA","hashAlgorithm":"sha256","nonce":"1"}',
      "Error generating timestamp response",
    ],
  ] as const)("refuses a request in JSON that %s", async ([, query, message]) => {
    const { authority } = await open();
    const answer = await post(authority, query, "application/json");
    expect(answer.status).toBe(400);
    expect(JSON.parse(Buffer.from(answer.body).toString())).toEqual({ code: 400, message });
  });

  test("refuses other media types", async () => {
    const { authority } = await open();
    expect((await post(authority, queryOf(), "text/plain")).status).toBe(415);
  });

  // What each forgery is for: the verifier has to find exactly this.
  test.for([
    ["wrong-key", "TIMESTAMP_SIGNATURE_INVALID"],
    ["other-signature", "TIMESTAMP_IMPRINT_MISMATCH"],
    ["wrong-nonce", "TIMESTAMP_NONCE_MISMATCH"],
    ["rejection", "TIMESTAMP_NOT_GRANTED"],
  ] as const)("forges %s, which a verifier calls %s", async ([forgery, code]) => {
    const { authority, context } = await open();
    context.forged = forgery;
    const { status, body } = await post(authority, queryOf());
    expect(status).toBe(200);
    expect(await verdict(authority, body)).toBe(code);
  });

  test("serves its chain from the leaf to the root", async () => {
    const { authority } = await open();
    const response = await authority.fetch(new Request(`${URL_OF_TSA}/api/v1/timestamp/certchain`));
    expect(response.headers.get("content-type")).toBe("application/pem-certificate-chain");
    const pem = await response.text();
    const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/g) ?? [];
    const served = blocks.map((block) => Buffer.from(block.split("-----")[2] ?? "", "base64"));
    expect(served.map((der) => new Uint8Array(der))).toEqual(authority.listings()[0]?.certificates);
  });

  test("goes on after a restart, with the same key", async () => {
    const { authority, context } = await open();
    const { body } = await post(authority, queryOf());
    const again = await createTimestampAuthority(context);
    expect(again.listings()).toEqual(authority.listings());
    expect(await verdict(again, body)).toBe("accepted");
    expect(await verdict(authority, (await post(again, queryOf())).body)).toBe("accepted");
  });

  test("rotates to another chain, and still lists the one before with its end", async () => {
    const { authority, context } = await open();
    const old = await post(authority, queryOf());
    context.time = new Date("2026-02-01T00:00:00Z");
    await authority.rotate();
    const listings = (await createTimestampAuthority(context)).listings();
    expect(listings.map(({ start, end }) => [start, end])).toEqual([
      [START, context.time],
      [context.time, undefined],
    ]);
    const fresh = await post(authority, queryOf());
    expect(await verdict(authority, old.body)).toBe("accepted");
    expect(await verdict(authority, fresh.body)).toBe("accepted");
    const onlyBefore = { ...authority, listings: () => authority.listings().slice(0, 1) };
    // Of no authority that is trusted: neither accepted as proof nor a failure.
    expect(
      await verifyTimestamp(parseTimestampResponse(fresh.body), SIGNATURE, trusted(onlyBefore), { crypto }),
    ).toBeUndefined();
  });

  test("lists what it gave, the latest first", async () => {
    const { authority } = await open();
    await post(authority, queryOf());
    await post(authority, queryOf({ imprint: imprint("sha512") }));
    expect(authority.recentTimestamps.map(({ imprint: { algorithm } }) => algorithm)).toEqual(["sha512", "sha256"]);
  });
});

function hasOpenssl(): boolean {
  try {
    execFileSync("openssl", ["version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

describe.skipIf(!hasOpenssl())("openssl ts, as requester and as verifier", () => {
  const folder = mkdtempSync(join(tmpdir(), "tsa-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const at = (name: string): string => join(folder, name);
  const openssl = (...args: readonly string[]): string =>
    execFileSync("openssl", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

  test.for([
    ["sha256", ["-cert"]],
    ["sha384", []],
    ["sha512", ["-cert", "-no_nonce"]],
  ] as const)("%s %s", async ([algorithm, options]) => {
    const { authority } = await open({ ...testContext(URL_OF_TSA), now: () => new Date() });
    writeFileSync(at("data"), SIGNATURE);
    openssl("ts", "-query", "-data", at("data"), `-${algorithm}`, ...options, "-out", at("query"));
    const { status, body } = await post(authority, new Uint8Array(readFileSync(at("query"))));
    expect(status).toBe(200);
    writeFileSync(at("reply"), body);
    const pem = await (await authority.fetch(new Request(`${URL_OF_TSA}/api/v1/timestamp/certchain`))).text();
    const root = pem.slice(pem.lastIndexOf("-----BEGIN"));
    writeFileSync(at("root.pem"), root);
    writeFileSync(at("chain.pem"), pem);
    const trust = ["-CAfile", at("root.pem"), "-untrusted", at("chain.pem")];
    expect(openssl("ts", "-verify", "-queryfile", at("query"), "-in", at("reply"), ...trust)).toContain("OK");
    writeFileSync(at("other"), "something else");
    expect(() => openssl("ts", "-verify", "-data", at("other"), "-in", at("reply"), ...trust)).toThrow("mismatch");
  });
});
