import { createHash, randomBytes } from "node:crypto";
import { compareAnswers, type Difference, type SharedRequest } from "./differential.ts";

const QUERY = "application/timestamp-query";
const SHA256 = "2.16.840.1.101.3.4.2.1";

// ---- DER, no more than requests need

const der = (tag: number, ...parts: readonly Uint8Array[]): Buffer => {
  const content = Buffer.concat(parts);
  const length = content.length < 0x80 ? [content.length] : [0x82, content.length >> 8, content.length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...length), content]);
};
const integer = (...bytes: readonly number[]): Buffer => der(0x02, Buffer.from(bytes));
const oid = (dotted: string): Buffer => {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const octets = [first * 40 + second, ...rest].flatMap((arc) => {
    const digits = [arc & 0x7f];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128))
      digits.unshift((left & 0x7f) | 0x80);
    return digits;
  });
  return der(0x06, Buffer.from(octets));
};

interface Query {
  readonly version?: Buffer;
  readonly hash?: string;
  readonly digest?: Uint8Array;
  readonly policy?: string;
  readonly nonce?: Buffer;
  readonly certReq?: Buffer;
  readonly extensions?: Buffer;
}

function query(parts: Query = {}): Buffer {
  const none = Buffer.alloc(0);
  const digest = parts.digest ?? createHash("sha256").update("signature").digest();
  return der(
    0x30,
    parts.version ?? integer(1),
    der(0x30, der(0x30, oid(parts.hash ?? SHA256), der(0x05)), der(0x04, digest)),
    parts.policy === undefined ? none : oid(parts.policy),
    parts.nonce ?? integer(0x12, 0x34),
    parts.certReq ?? Buffer.of(1, 1, 0xff),
    parts.extensions ?? none,
  );
}

const sha = (algorithm: string): Buffer => createHash(algorithm).update("signature").digest();

/**
 * Compares a real timestamp authority with ours.
 *
 * @param realUrl - Without `/api/v1/timestamp`.
 */
export async function compareTsa(realUrl: string, oursUrl: string): Promise<readonly Difference[]> {
  const artifactHash = sha("sha256").toString("base64");
  const binary = (name: string, body: Uint8Array, type = QUERY): SharedRequest => ({
    name: `in DER ${name}`,
    method: "POST",
    path: "/api/v1/timestamp",
    type,
    body,
  });
  const json = (name: string, value: unknown): SharedRequest => ({
    name: `in JSON ${name}`,
    method: "POST",
    path: "/api/v1/timestamp",
    type: "application/json",
    body: typeof value === "string" ? value : JSON.stringify(value),
  });
  const good = { artifactHash, hashAlgorithm: "sha256", certificates: true, nonce: 123 };
  const extension = der(0xa0, der(0x30, oid("1.2.3.4"), der(0x04, der(0x05))));
  return await compareAnswers(realUrl, oursUrl, [
    binary("that is good", query()),
    binary("with SHA-384", query({ hash: "2.16.840.1.101.3.4.2.2", digest: sha("sha384") })),
    binary("with SHA-512", query({ hash: "2.16.840.1.101.3.4.2.3", digest: sha("sha512") })),
    binary("without nonce and certificate", query({ nonce: Buffer.alloc(0), certReq: Buffer.alloc(0) })),
    binary("with the policy", query({ policy: "1.3.6.1.4.1.57264.2" })),
    binary("with a negative nonce", query({ nonce: integer(0x80) })),
    binary("with version 2", query({ version: integer(2) })),
    binary("that is empty", Buffer.alloc(0)),
    binary("that is text", Buffer.from("no request")),
    binary("with a byte behind it", Buffer.concat([query(), Buffer.of(0)])),
    binary("that is cut off", query().subarray(0, -1)),
    binary("with SHA-1", query({ hash: "1.3.14.3.2.26", digest: sha("sha1") })),
    binary("with MD5", query({ hash: "1.2.840.113549.2.5", digest: sha("md5") })),
    binary("with a digest that is too long", query({ digest: sha("sha384") })),
    binary("with a digest that is too short", query({ digest: randomBytes(31) })),
    binary("without digest", query({ digest: Buffer.alloc(0) })),
    binary("for another policy", query({ policy: "1.2.3.4" })),
    binary("with an extension", query({ extensions: extension })),
    binary("with FALSE spelt out", query({ certReq: Buffer.of(1, 1, 0) })),
    binary("with TRUE in BER", query({ certReq: Buffer.of(1, 1, 1) })),
    binary("with a nonce that is not minimal", query({ nonce: integer(0, 1) })),
    binary("as text", query(), "text/plain"),
    binary("as JSON", query(), "application/json"),
    json("that is good", good),
    json("with names in another case", { ArtifactHash: artifactHash, HASHALGORITHM: "SHA256" }),
    json("with an unknown field", { ...good, other: 1 }),
    json("with null", { ...good, nonce: null, certificates: null }),
    json("that is empty", ""),
    json("that is no JSON", "{"),
    json("that is null", "null"),
    json("that is a list", "[]"),
    json("without hash", {}),
    json("with SHA-1", { ...good, hashAlgorithm: "sha1" }),
    json("with MD5", { ...good, hashAlgorithm: "md5" }),
    json("with a digest that is no base64", { ...good, artifactHash: "?" }),
    json("with a digest that is too short", { ...good, artifactHash: "AAAA" }),
    json("with a nonce that is a string", { ...good, nonce: "1" }),
    json("with a nonce that is a fraction", { ...good, nonce: 1.5 }),
    json("with a policy that is none", { ...good, tsaPolicyOID: "one" }),
    json("for another policy", { ...good, tsaPolicyOID: "1.2.3.4" }),
    { name: "for the chain", path: "/api/v1/timestamp/certchain" },
    { name: "for the chain, posted", method: "POST", path: "/api/v1/timestamp/certchain", body: "", type: QUERY },
    { name: "to get a timestamp", path: "/api/v1/timestamp" },
    { name: "for what is not there", path: "/api/v1/other" },
    { name: "without type", method: "POST", path: "/api/v1/timestamp", body: new Uint8Array(query()) },
  ]);
}
