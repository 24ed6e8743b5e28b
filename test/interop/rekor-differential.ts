import { constants, createHash, generateKeyPairSync, sign, type KeyObject } from "node:crypto";
import { compareAnswers, type Difference, type SharedRequest } from "./differential.ts";

const base64 = (bytes: Uint8Array | string): string => Buffer.from(bytes).toString("base64");

/** Is who signs, with the signature that its kind of key makes over an artifact with SHA-256. */
interface Signer {
  readonly privateKey: KeyObject;
  readonly spki: Uint8Array;
  readonly pem: string;
}

function makeSigner(kind: "p256" | "p384" | "ed25519" | "rsa"): Signer {
  const { publicKey, privateKey } =
    kind === "ed25519"
      ? generateKeyPairSync("ed25519")
      : kind === "rsa"
        ? generateKeyPairSync("rsa", { modulusLength: 2048 })
        : generateKeyPairSync("ec", { namedCurve: kind === "p256" ? "P-256" : "P-384" });
  return {
    privateKey,
    spki: publicKey.export({ format: "der", type: "spki" }),
    pem: publicKey.export({ format: "pem", type: "spki" }),
  };
}

const digestOf = (algorithm: string, artifact: string): Buffer => createHash(algorithm).update(artifact).digest();
const signed = ({ privateKey }: Signer, artifact: string, hash: string | null = "sha256"): Buffer =>
  sign(hash, Buffer.from(artifact), privateKey);

let count = 0;
const artifact = (): string => `artifact ${process.pid} ${Date.now()} ${++count}`;

/**
 * Compares a real log of Rekor v2 with ours. Both get entries.
 *
 * Not asked about is pure Ed25519, at which the real service panics (500), where ours says that the entry is not valid (400).
 *
 * @param realUrl - Without `/api/v2`.
 */
export async function compareRekor2(realUrl: string, oursUrl: string): Promise<readonly Difference[]> {
  const p256 = makeSigner("p256");
  const p384 = makeSigner("p384");
  const ed25519 = makeSigner("ed25519");
  const rsa = makeSigner("rsa");
  const post = (name: string, body: unknown): SharedRequest => ({
    name,
    method: "POST",
    path: "/api/v2/log/entries",
    type: "application/json",
    body: typeof body === "string" ? body : JSON.stringify(body),
  });

  interface Parts {
    readonly digest?: string;
    readonly content?: string;
    readonly keyDetails?: string | number;
    readonly verifier?: unknown;
  }
  const hashed = (signer: Signer, parts: Parts = {}, text = artifact()): { hashedRekordRequestV002: unknown } => ({
    hashedRekordRequestV002: {
      digest: parts.digest ?? base64(digestOf("sha256", text)),
      signature: {
        content: parts.content ?? base64(signed(signer, text)),
        verifier: parts.verifier ?? {
          publicKey: { rawBytes: base64(signer.spki) },
          keyDetails: parts.keyDetails ?? "PKIX_ECDSA_P256_SHA_256",
        },
      },
    },
  });
  const twice = hashed(p256);
  const text = artifact();
  const snake = {
    hashed_rekord_request_v002: {
      digest: digestOf("sha256", text).toString("base64url"),
      signature: {
        content: signed(p256, text).toString("base64url"),
        verifier: { public_key: { raw_bytes: base64(p256.spki) }, key_details: 5 },
      },
    },
  };
  const pss = sign("sha256", Buffer.from(text), { key: rsa.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING });
  const withEd25519 = (details: string): unknown =>
    hashed(ed25519, {
      digest: base64(digestOf("sha512", text)),
      content: base64(signed(ed25519, text, null)),
      keyDetails: details,
    });

  return await compareAnswers(realUrl, oursUrl, [
    post("that is good", hashed(p256)),
    post("with another key", hashed(p256)),
    post("that is sent for the first time", twice),
    post("that is sent for the second time", twice),
    post("with the names and numbers of protobuf", snake),
    post(
      "with P-384",
      hashed(p384, {
        digest: base64(digestOf("sha384", text)),
        content: base64(signed(p384, text, "sha384")),
        keyDetails: "PKIX_ECDSA_P384_SHA_384",
      }),
    ),
    post("with RSA", hashed(rsa, { keyDetails: "PKIX_RSA_PKCS1V15_2048_SHA256" })),
    post("with RSA and the details of ECDSA", hashed(rsa)),
    post("with ECDSA and the details of RSA", hashed(p256, { keyDetails: "PKIX_RSA_PKCS1V15_2048_SHA256" })),
    post("with P-384 and SHA-256", hashed(p384, { keyDetails: "PKIX_ECDSA_P384_SHA_256" })),
    post(
      "with RSASSA-PSS",
      hashed(
        rsa,
        {
          digest: base64(digestOf("sha256", text)),
          content: base64(pss),
          keyDetails: "PKIX_RSA_PSS_2048_SHA256",
        },
        text,
      ),
    ),
    post("with pure Ed25519 called prehashed", withEd25519("PKIX_ED25519_PH")),
    post("with unspecified key details", hashed(p256, { keyDetails: "PUBLIC_KEY_DETAILS_UNSPECIFIED" })),
    post("with key details of no known number", hashed(p256, { keyDetails: 999 })),
    post("with unknown key details", hashed(p256, { keyDetails: "SOMETHING" })),
    post("with another artifact's digest", hashed(p256, { digest: base64(digestOf("sha256", "other")) })),
    post("with a digest that is too short", hashed(p256, { digest: base64(Buffer.alloc(31)) })),
    post("without digest", hashed(p256, { digest: "" })),
    post("without signature", hashed(p256, { content: "" })),
    post("with a signature of another key", hashed(p256, { content: base64(signed(p384, text)) })),
    post("with a digest that is no base64", hashed(p256, { digest: "?" })),
    post("without verifier", hashed(p256, { verifier: {} })),
    post(
      "with a key that is no key",
      hashed(p256, {
        verifier: { publicKey: { rawBytes: base64("no key") }, keyDetails: "PKIX_ECDSA_P256_SHA_256" },
      }),
    ),
    post(
      "with a certificate that is a key",
      hashed(p256, {
        verifier: { x509Certificate: { rawBytes: base64(p256.spki) }, keyDetails: "PKIX_ECDSA_P256_SHA_256" },
      }),
    ),
    post(
      "with both verifiers",
      hashed(p256, {
        verifier: {
          x509Certificate: { rawBytes: base64(p256.spki) },
          publicKey: { rawBytes: base64(p256.spki) },
          keyDetails: "PKIX_ECDSA_P256_SHA_256",
        },
      }),
    ),
    post("with an unknown field", { ...hashed(p256), other: 1 }),
    post("with a null beside", { ...hashed(p256), dsseRequestV002: null }),
    post("with both types", { ...hashed(p256), dsseRequestV002: {} }),
    post("of the type that was given up", { dsseRequestV002: {} }),
    post("that is empty", ""),
    post("that is an empty object", {}),
    post("that is a list", "[]"),
    post("that is no JSON", "{"),
    { ...post("with another media type", hashed(p256)), type: "text/plain" },
    { name: "for the checkpoint", path: "/api/v2/checkpoint" },
    { name: "for a tile", path: "/api/v2/tile/0/000.p/1" },
    { name: "for a bundle", path: "/api/v2/tile/entries/000.p/1" },
    { name: "to put entries", method: "PUT", path: "/api/v2/log/entries", body: "{}" },
    { name: "for what is not there", method: "POST", path: "/api/v2/other", body: "{}" },
  ]);
}

/**
 * Compares a real log of Rekor v1 with ours. Both get entries.
 *
 * @param realUrl - Without `/api/v1`.
 */
export async function compareRekor1(realUrl: string, oursUrl: string): Promise<readonly Difference[]> {
  const p256 = makeSigner("p256");
  const p384 = makeSigner("p384");
  const ed25519 = makeSigner("ed25519");
  const rsa = makeSigner("rsa");
  const post = (path: string, name: string, body: unknown): SharedRequest => ({
    name,
    method: "POST",
    path,
    type: "application/json",
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  const propose = (name: string, body: unknown): SharedRequest => post("/api/v1/log/entries", name, body);
  const find = (name: string, body: unknown): SharedRequest => post("/api/v1/index/retrieve", name, body);
  const retrieve = (name: string, body: unknown): SharedRequest => post("/api/v1/log/entries/retrieve", name, body);

  interface Hashed {
    readonly hash?: unknown;
    readonly content?: string;
    readonly key?: string;
  }
  const hashed = (signer: Signer, parts: Hashed = {}, text = artifact()) => ({
    apiVersion: "0.0.1",
    kind: "hashedrekord",
    spec: {
      data: { hash: parts.hash ?? { algorithm: "sha256", value: digestOf("sha256", text).toString("hex") } },
      signature: {
        content: parts.content ?? base64(signed(signer, text)),
        publicKey: { content: base64(parts.key ?? signer.pem) },
      },
    },
  });

  const statement = (): string =>
    JSON.stringify({
      _type: "https://in-toto.io/Statement/v1",
      subject: [{ name: "a", digest: { sha256: digestOf("sha256", artifact()).toString("hex") } }],
      predicateType: "https://example.com/p",
      predicate: {},
    });
  const type = "application/vnd.in-toto+json";
  const pae = (payload: string): string => `DSSEv1 ${type.length} ${type} ${Buffer.byteLength(payload)} ${payload}`;
  const envelope = (signers: readonly Signer[], payload = statement(), hash: string | null = "sha256"): string =>
    JSON.stringify({
      payload: base64(payload),
      payloadType: type,
      signatures: signers.map((signer) => ({ keyid: "", sig: base64(signed(signer, pae(payload), hash)) })),
    });
  const dsse = (text: string, signers: readonly Signer[]) => ({
    apiVersion: "0.0.1",
    kind: "dsse",
    spec: { proposedContent: { envelope: text, verifiers: signers.map(({ pem }) => base64(pem)) } },
  });
  const intoto = (signer: Signer, parts: { readonly hash?: unknown; readonly sig?: string } = {}) => {
    const payload = statement();
    return {
      apiVersion: "0.0.2",
      kind: "intoto",
      spec: {
        content: {
          envelope: {
            payloadType: type,
            payload: base64(base64(payload)),
            signatures: [
              {
                publicKey: base64(signer.pem),
                sig: parts.sig ?? base64(base64(signed(signer, pae(payload)))),
              },
            ],
          },
          ...("hash" in parts
            ? { hash: parts.hash }
            : { hash: { algorithm: "sha256", value: digestOf("sha256", payload).toString("hex") } }),
        },
      },
    };
  };

  const twice = hashed(p256);
  const twiceEnveloped = dsse(envelope([p256]), [p256]);
  const good = hashed(p256);
  // JSON leaves out what is undefined.
  const without = (name: "spec" | "kind" | "apiVersion"): unknown => ({ ...good, [name]: undefined });
  const text = artifact();
  const hex = digestOf("sha256", text).toString("hex");
  const zeros = "0".repeat(64);
  const known = twice.spec.data.hash;

  return await compareAnswers(realUrl, oursUrl, [
    propose("that is good", hashed(p256)),
    propose("that is good, too", hashed(p256)),
    propose("that is sent for the first time", twice),
    propose("that is sent for the second time", twice),
    propose("with RSA", hashed(rsa)),
    propose("with P-384 and SHA-256", hashed(p384)),
    propose(
      "with P-384 and SHA-384",
      hashed(p384, {
        hash: { algorithm: "sha384", value: digestOf("sha384", text).toString("hex") },
        content: base64(signed(p384, text, "sha384")),
      }),
    ),
    propose("with Ed25519", hashed(ed25519, { content: base64(signed(ed25519, text, null)) }, text)),
    propose(
      "with a hash in upper case",
      hashed(p256, { hash: { algorithm: "sha256", value: hex.toUpperCase() } }, text),
    ),
    propose("with another artifact's hash", hashed(p256, { hash: { algorithm: "sha256", value: hex } })),
    propose("with a hash that is too short", hashed(p256, { hash: { algorithm: "sha256", value: "00" } })),
    propose(
      "with a hash that is no hexadecimal",
      hashed(p256, { hash: { algorithm: "sha256", value: "g".repeat(64) } }),
    ),
    propose("with an unknown hash", hashed(p256, { hash: { algorithm: "md5", value: "00".repeat(16) } })),
    propose("with half a hash", hashed(p256, { hash: { algorithm: "sha256" } })),
    propose("without signature", hashed(p256, { content: "" })),
    propose("with a signature that is no base64", hashed(p256, { content: "?" })),
    propose("with a key that is no PEM", hashed(p256, { key: "no key" })),
    propose("with a key of another type", hashed(p256, { key: p256.pem.replaceAll("PUBLIC KEY", "OTHER KEY") })),
    propose("with two keys", hashed(p256, { key: p256.pem + p384.pem })),
    propose("without content", { ...good, spec: {} }),
    propose("with a list for content", { ...good, spec: [] }),
    propose("without spec", without("spec")),
    propose("without kind", without("kind")),
    propose("without version", without("apiVersion")),
    propose("of an unknown kind", { ...good, kind: "something" }),
    propose("of an unknown version", { ...good, apiVersion: "0.0.9" }),
    propose("of a version that is none", { ...good, apiVersion: "one" }),
    propose("with an unknown field", { ...good, other: 1 }),
    propose("that is empty", ""),
    propose("that is an empty object", {}),
    propose("that is a list", "[]"),
    propose("that is no JSON", "{"),
    { ...propose("with another media type", good), type: "text/plain" },

    propose("with an envelope", dsse(envelope([p256]), [p256])),
    propose("with an envelope that is sent for the first time", twiceEnveloped),
    propose("with an envelope that is sent for the second time", twiceEnveloped),
    propose("with an envelope of two signers", dsse(envelope([p256, p384]), [p256, p384])),
    propose("with an envelope of two signers and one key", dsse(envelope([p256, p384]), [p256])),
    propose("with an envelope of one signer and two keys", dsse(envelope([p256]), [p256, p384])),
    propose("with an envelope of Ed25519", dsse(envelope([ed25519], statement(), null), [ed25519])),
    propose("with an envelope and another key", dsse(envelope([p256]), [p384])),
    propose("with an envelope and no key", dsse(envelope([p256]), [])),
    propose("with an envelope without signatures", dsse(envelope([]), [p256])),
    propose("with an envelope that is no JSON", dsse("{", [p256])),
    propose("with an envelope that is empty", dsse("{}", [p256])),
    propose("with an entry of dsse as it is logged", {
      apiVersion: "0.0.1",
      kind: "dsse",
      spec: {
        envelopeHash: { algorithm: "sha256", value: zeros },
        payloadHash: { algorithm: "sha256", value: zeros },
        signatures: [{ signature: base64("signature"), verifier: base64(p256.pem) }],
      },
    }),
    propose("with nothing for dsse", { apiVersion: "0.0.1", kind: "dsse", spec: {} }),

    propose("of kind intoto", intoto(p256)),
    propose("of kind intoto without hash", intoto(p256, { hash: undefined })),
    propose("of kind intoto with another signature", intoto(p256, { sig: base64(base64(signed(p256, "other"))) })),
    propose("with nothing for intoto", { apiVersion: "0.0.2", kind: "intoto", spec: {} }),

    { name: "for an entry by index", path: "/api/v1/log/entries?logIndex=0" },
    { name: "for an entry that is not there", path: "/api/v1/log/entries?logIndex=1000000" },
    { name: "for an entry by a negative index", path: "/api/v1/log/entries?logIndex=-1" },
    { name: "for an entry by what is no index", path: "/api/v1/log/entries?logIndex=one" },
    { name: "for an entry by nothing", path: "/api/v1/log/entries" },
    { name: "for an entry by an unknown hash", path: `/api/v1/log/entries/${zeros}` },
    { name: "for an entry of an unknown tree", path: `/api/v1/log/entries/000000000000000a${zeros}` },
    { name: "for an entry by what is no id", path: "/api/v1/log/entries/one" },
    { name: "for the log", path: "/api/v1/log" },
    { name: "for the key", path: "/api/v1/log/publicKey" },
    { name: "for the key of an unknown tree", path: "/api/v1/log/publicKey?treeID=1" },
    { name: "for the key of what is no tree", path: "/api/v1/log/publicKey?treeID=one" },
    { name: "for a proof", path: "/api/v1/log/proof?firstSize=1&lastSize=2" },
    { name: "for a proof of itself", path: "/api/v1/log/proof?firstSize=2&lastSize=2" },
    { name: "for a proof from the beginning", path: "/api/v1/log/proof?lastSize=2" },
    { name: "for a proof to nowhere", path: "/api/v1/log/proof" },
    { name: "for a proof back", path: "/api/v1/log/proof?firstSize=2&lastSize=1" },
    { name: "for a proof from nothing", path: "/api/v1/log/proof?firstSize=0&lastSize=1" },
    { name: "for a proof of what is not there", path: "/api/v1/log/proof?firstSize=1&lastSize=1000000" },
    { name: "for a proof of an unknown tree", path: "/api/v1/log/proof?firstSize=1&lastSize=2&treeID=1" },

    retrieve("for entries by index", { logIndexes: [0, 1] }),
    retrieve("for entries by index that are not there", { logIndexes: [1000000] }),
    retrieve("for entries by themselves", { entries: [twice] }),
    retrieve("for entries by themselves that are not there", { entries: [hashed(p256)] }),
    retrieve("for entries by themselves that are wrong", { entries: [hashed(p256, { content: "" })] }),
    retrieve("for entries by unknown hash", { entryUUIDs: [zeros] }),
    retrieve("for entries by what is no id", { entryUUIDs: ["one"] }),
    retrieve("for entries by a negative index", { logIndexes: [-1] }),
    retrieve("for no entries", { logIndexes: [] }),
    retrieve("for eleven entries", { logIndexes: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10] }),
    retrieve("for eleven entries in two ways", {
      logIndexes: [0, 1, 2, 3, 4, 5],
      entryUUIDs: [1, 2, 3, 4, 5].map(() => zeros),
    }),
    retrieve("for nothing", {}),
    retrieve("for entries in text", "entries"),

    find("for what has a digest", { hash: `sha256:${(known as { value: string }).value}` }),
    find("for what has a digest, without its algorithm", { hash: (known as { value: string }).value }),
    find("for what has an unknown digest", { hash: zeros }),
    find("for what has no digest", { hash: "one" }),
    find("for what has a name", { email: "alice@example.com" }),
    find("for what has no name", { email: "alice" }),
    find("for what has a key", { publicKey: { format: "x509", content: base64(p256.pem) } }),
    find("for what has no key", { publicKey: { format: "x509", content: base64("no key") } }),
    find("for what has a key of no format", { publicKey: { content: base64(p256.pem) } }),
    find("for what has a key of an unknown format", { publicKey: { format: "other", content: base64(p256.pem) } }),
    find("for what has both", { hash: zeros, email: "alice@example.com", operator: "and" }),
    find("for what has neither", { operator: "xor" }),
    find("for anything", {}),
    find("for what is no query", "[]"),
    find("for what is no JSON", "{"),

    { name: "to put entries", method: "PUT", path: "/api/v1/log/entries", body: "{}", type: "application/json" },
    { name: "for what is not there", path: "/api/v1/other" },
  ]);
}
