/**
 * Turns proposed entries of Rekor v1 into the bodies that are logged: `hashedrekord` 0.0.1, `dsse` 0.0.1, `intoto` 0.0.2.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { DIGEST_LENGTH, type HashAlgorithm } from "../../crypto/digest.ts";
import type { CryptoProvider } from "../../crypto/provider.ts";
import type { PublicKey } from "../../crypto/public-key.ts";
import { algorithmOf, type SignatureAlgorithm } from "../../crypto/registry.ts";
import { preAuthEncoding } from "../../dsse/pae.ts";
import { encodeBase64, tryDecodeBase64, tryDecodeBase64Either } from "../../encoding/base64.ts";
import { encodeCanonicalJson } from "../../encoding/canonical-json.ts";
import { encodeHex, tryDecodeHex } from "../../encoding/hex.ts";
import { parseJson, type JsonObject, type JsonValue } from "../../encoding/json.ts";
import { encodeUtf8, tryDecodeUtf8 } from "../../encoding/utf8.ts";
import { SigstoreError } from "../../errors.ts";
import { MAX_ENVELOPE_SIGNATURES, MAX_SANDBOX_REQUEST_BYTES } from "../../limits.ts";
import { ApiError, entryRefused, RULE } from "./api-error.ts";
import { pemHash, readEntrySigner, type EntrySigner } from "./verifier.ts";

/** Is an entry whose signatures verified. */
export interface AcceptedEntry {
  /** Canonical JSON: the leaf of the tree. */
  readonly body: Uint8Array;
  /** By what it is found in the index. */
  readonly indexKeys: readonly string[];
}

/** Kinds of the real service that the sandbox does not take. */
const OTHER_KINDS: ReadonlySet<string> = new Set(["alpine", "cose", "helm", "jar", "rekord", "rfc3161", "rpm", "tuf"]);
const KINDS: ReadonlySet<string> = new Set([...OTHER_KINDS, "hashedrekord", "dsse", "intoto"]);
const VERSION = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)/;
const IN_TOTO = "application/vnd.in-toto+json";

/**
 * Verifies a proposed entry, and writes its body.
 *
 * @throws {@link ApiError} 400 or 422, as the real service.
 * @see rekor, types.md; *_schema.json of each kind
 */
export async function acceptEntry(proposed: JsonValue, crypto: CryptoProvider): Promise<AcceptedEntry> {
  // Go's own errors come through here: the framework reads the kind before it looks for faults of the client.
  if (!isObject(proposed) && proposed !== null) throw new ApiError(500, "json: cannot unmarshal into Go value");
  const entry = objectOf(proposed);
  const kind = entry["kind"];
  if (typeof kind !== "string" || kind === "") throw new ApiError(RULE.required, "kind in body is required");
  if (!KINDS.has(kind)) throw new ApiError(422, `invalid kind value: ${JSON.stringify(kind)}`);
  const apiVersion = entry["apiVersion"];
  const spec = entry["spec"];
  if (typeof apiVersion !== "string" || apiVersion === "")
    throw new ApiError(RULE.required, "proposedEntry.apiVersion in body is required");
  if (!VERSION.test(apiVersion))
    throw new ApiError(RULE.pattern, "proposedEntry.apiVersion in body should match a semantic version");
  if (spec === undefined || spec === null) throw new ApiError(RULE.required, "proposedEntry.spec in body is required");
  switch (`${kind} ${apiVersion}`) {
    case "hashedrekord 0.0.1":
      return await acceptHashedRekord(objectOf(spec), crypto);
    case "dsse 0.0.1":
      return await acceptDsse(objectOf(spec), crypto);
    case "intoto 0.0.2":
      return await acceptIntoto(objectOf(spec), crypto);
  }
  if (OTHER_KINDS.has(kind)) throw entryRefused(`entry kind '${kind}' is not enabled for submission on this server`);
  throw entryRefused(
    `${kind} implementation for version '${apiVersion}' not found: unable to locate entry for version ${apiVersion}`,
  );
}

// ---- hashedrekord 0.0.1

async function acceptHashedRekord(spec: JsonObject, crypto: CryptoProvider): Promise<AcceptedEntry> {
  if (!isObject(spec["signature"])) throw invalidFields("signature in body is required");
  if (!isObject(spec["data"])) throw invalidFields("data in body is required");
  const signature = readBase64(spec["signature"]["content"], "signature content");
  const publicKey = spec["signature"]["publicKey"];
  const pem = isObject(publicKey) ? readBase64(publicKey["content"], "public key content") : undefined;
  const hash = spec["data"]["hash"];
  if (isObject(hash)) {
    if (typeof hash["algorithm"] !== "string") throw invalidFields("data.hash.algorithm in body is required");
    if (typeof hash["value"] !== "string") throw invalidFields("data.hash.value in body is required");
    if (!isHash(hash["algorithm"]))
      throw invalidFields("data.hash.algorithm in body should be one of [sha256 sha384 sha512]");
  }
  if (pem === undefined) throw entryRefused("missing public key");
  const signer = readEntrySigner(pem);
  if (!isObject(hash)) throw entryRefused("missing hash");
  const algorithm = hash["algorithm"] as HashAlgorithm;
  const value = hash["value"] as string;
  if (value.length !== 2 * DIGEST_LENGTH[algorithm]) throw entryRefused("invalid value for hash");
  const digest = tryDecodeHex(value);
  if (digest === undefined) throw entryRefused("encoding/hex: invalid byte");

  const scheme = hashedRekordScheme(signer.publicKey, algorithm);
  const verifies =
    signer.isChain &&
    scheme !== undefined &&
    (await verifiesQuietly(() => crypto.verifyDigest(scheme, signer.publicKey, signature, digest)));
  if (!verifies) throw entryRefused("verifying signature: invalid signature");
  if (!isAllowed(signer.publicKey, algorithm)) throw entryRefused("entry algorithms are not allowed");
  const content = { content: encodeBase64(encodeUtf8(signer.pem)) };
  return {
    body: encodeBody("hashedrekord", "0.0.1", {
      data: { hash: { algorithm, value } },
      signature: { content: encodeBase64(signature), publicKey: content },
    }),
    indexKeys: [pemHash(pem), ...signer.subjects, `${algorithm}:${value}`],
  };
}

/** Any hash goes with ECDSA and RSA, and SHA-512 alone with Ed25519ph, which is what Ed25519 keys are taken to sign with. */
function hashedRekordScheme(key: PublicKey, hash: HashAlgorithm): SignatureAlgorithm | undefined {
  if (key.type === "rsa") return algorithmOf("rsa-pkcs1", hash, key);
  if (key.type === "ed25519") return hash === "sha512" ? algorithmOf("ed25519ph", hash, key) : undefined;
  return algorithmOf("ecdsa", hash, key);
}

/** The pairs of key and hash that the real service takes by default. */
function isAllowed(key: PublicKey, hash: HashAlgorithm): boolean {
  const paired: Partial<Record<PublicKey["type"], HashAlgorithm>> = {
    "ecdsa-p256": "sha256",
    "ecdsa-p384": "sha384",
    "ecdsa-p521": "sha512",
    ed25519: "sha512",
    rsa: "sha256",
  };
  return paired[key.type] === hash && (key.type !== "rsa" || [2048, 3072, 4096].includes(key.modulusBits ?? 0));
}

// ---- dsse 0.0.1

async function acceptDsse(spec: JsonObject, crypto: CryptoProvider): Promise<AcceptedEntry> {
  const proposed = spec["proposedContent"];
  const logged = ["envelopeHash", "payloadHash", "signatures"].filter((name) => (spec[name] ?? null) !== null); // Go clients send null for what they leave out
  if (!isObject(proposed)) {
    if (logged.length < 3)
      throw entryRefused("either proposedContent or envelopeHash, payloadHash, and signatures must be present");
    throw entryRefused("entry not insertable into log: missing proposed content");
  }
  if (typeof proposed["envelope"] !== "string") throw invalidFields("proposedContent.envelope in body is required");
  if (!Array.isArray(proposed["verifiers"])) throw invalidFields("proposedContent.verifiers in body is required");
  const verifiers = (proposed["verifiers"] as readonly JsonValue[])
    .filter((verifier) => typeof verifier === "string" && verifier !== "")
    .map((verifier) => readBase64(verifier, "verifier"));
  if (verifiers.length === 0) throw invalidFields("proposedContent.verifiers in body should have at least 1 items");
  if (logged.length > 0) {
    throw entryRefused(
      "either proposedContent or envelopeHash, payloadHash, and signatures must be present but not both",
    );
  }
  const envelope = readEnvelope(proposed["envelope"]);
  if (envelope.signatures.length === 0) throw entryRefused("DSSE envelope must contain 1 or more signatures");
  const { payload, signers } = await verifyEnvelope(envelope, verifiers, crypto);
  const signatures = [...signers].sort(([a], [b]) => (a < b ? -1 : 1));
  const payloadHash = sha256(payload);
  const envelopeHash = sha256(encodeUtf8(proposed["envelope"]));
  return {
    body: encodeBody("dsse", "0.0.1", {
      envelopeHash: { algorithm: "sha256", value: encodeHex(envelopeHash) },
      payloadHash: { algorithm: "sha256", value: encodeHex(payloadHash) },
      signatures: signatures.map(([signature, { pem }]) => ({ signature, verifier: encodeBase64(encodeUtf8(pem)) })),
    }),
    indexKeys: [
      ...signatures.flatMap(([, { pem, subjects }]) => [`sha256:${pemHash(pem)}`, ...subjects]),
      `sha256:${encodeHex(payloadHash)}`,
      `sha256:${encodeHex(envelopeHash)}`,
      ...(envelope.payloadType === IN_TOTO ? statementDigests(payload) : []),
    ],
  };
}

// ---- intoto 0.0.2: what is base64 in an envelope is encoded once more

async function acceptIntoto(spec: JsonObject, crypto: CryptoProvider): Promise<AcceptedEntry> {
  const content = isObject(spec["content"]) ? spec["content"] : {};
  const envelope = isObject(content["envelope"]) ? content["envelope"] : {};
  const payloadType = envelope["payloadType"];
  if (typeof payloadType !== "string") throw invalidFields("content.envelope.payloadType in body is required");
  const listed = envelope["signatures"];
  if (!Array.isArray(listed)) throw invalidFields("content.envelope.signatures in body is required");
  const given = (listed as readonly JsonValue[]).filter(isObject);
  if (given.length === 0) throw invalidFields("content.envelope.signatures in body should have at least 1 items");
  for (const name of ["publicKey", "sig"])
    if (!given.every((one) => typeof one[name] === "string")) throw invalidFields(`${name} in body is required`);
  const signatures = given.map((one) => ({
    keyid: typeof one["keyid"] === "string" ? one["keyid"] : "",
    sig: readBase64(one["sig"], "signature"),
    publicKey: readBase64(one["publicKey"], "public key"),
  }));
  const hash = content["hash"];
  if (isObject(hash) && (hash["algorithm"] !== "sha256" || typeof hash["value"] !== "string"))
    throw invalidFields("content.hash.algorithm in body should be one of [sha256]");
  const payloadText = readBase64(envelope["payload"], "payload");
  if (payloadText.length === 0) throw entryRefused("entry not insertable into log: missing envelope content");

  const text = (bytes: Uint8Array): string => tryDecodeUtf8(bytes) ?? "";
  const { payload, signers } = await verifyEnvelope(
    {
      payloadType,
      payload: text(payloadText),
      signatures: signatures.map(({ sig }) => text(sig)),
    },
    signatures.map(({ publicKey }) => publicKey),
    crypto,
  );
  if (payloadType === "") throw entryRefused("entry not insertable into log: missing payloadType content");
  // The hash of the envelope is the client's own; the real service has no better answer where it is missing either.
  if (!isObject(hash)) throw new ApiError(500, "error generating canonicalized entry");
  const payloadHash = encodeHex(sha256(payload));
  return {
    body: encodeBody("intoto", "0.0.2", {
      content: {
        envelope: {
          payloadType,
          signatures: signatures.map(({ keyid, sig, publicKey }) => ({
            ...(keyid !== "" && { keyid }),
            publicKey: encodeBase64(publicKey),
            sig: encodeBase64(sig),
          })),
        },
        hash: { algorithm: "sha256", value: hash["value"] as string },
        payloadHash: { algorithm: "sha256", value: payloadHash },
      },
    }),
    indexKeys: [
      ...[...signers.values()].flatMap(({ pem, subjects }) => [`sha256:${pemHash(pem)}`, ...subjects]),
      `sha256:${payloadHash}`,
      ...(payloadType === IN_TOTO ? statementDigests(payload) : []),
    ],
  };
}

// ---- envelopes

interface ReadEnvelope {
  readonly payloadType: string;
  readonly payload: string;
  readonly signatures: readonly string[];
}

function readEnvelope(text: string): ReadEnvelope {
  let value: JsonValue;
  try {
    value = parseJson(text, { what: "envelope", code: "JSON_MALFORMED", maxBytes: MAX_SANDBOX_REQUEST_BYTES });
  } catch (error) {
    if (error instanceof SigstoreError) throw entryRefused(error.message);
    throw error;
  }
  const envelope = isObject(value) ? value : {};
  const string = (member: JsonValue | undefined): string => (typeof member === "string" ? member : "");
  const signatures = Array.isArray(envelope["signatures"]) ? (envelope["signatures"] as readonly JsonValue[]) : [];
  return {
    payloadType: string(envelope["payloadType"]),
    payload: string(envelope["payload"]),
    signatures: signatures.filter(isObject).map((signature) => string(signature["sig"])),
  };
}

/** Verifies that each signature is by one of the keys, and each key that was needed made one. */
async function verifyEnvelope(
  envelope: ReadEnvelope,
  verifiers: readonly Uint8Array[],
  crypto: CryptoProvider,
): Promise<{ readonly payload: Uint8Array; readonly signers: ReadonlyMap<string, EntrySigner> }> {
  if (envelope.signatures.length > MAX_ENVELOPE_SIGNATURES) throw entryRefused("too many signatures");
  const payload = tryDecodeBase64Either(envelope.payload);
  const signatures = envelope.signatures.map((sig) => ({ sig, bytes: tryDecodeBase64Either(sig) }));
  if (payload === undefined || signatures.some(({ bytes }) => bytes === undefined))
    throw entryRefused("could not verify envelope: unable to base64 decode payload (is payload in the right format?)");
  const message = preAuthEncoding(envelope.payloadType, payload);
  const open = new Set(envelope.signatures);
  const signers = new Map<string, EntrySigner>();
  for (const verifier of verifiers.slice(0, MAX_ENVELOPE_SIGNATURES)) {
    if (open.size === 0) break;
    const signer = readEntrySigner(verifier);
    const scheme = envelopeScheme(signer.publicKey);
    let accepted: string | undefined;
    for (const { sig, bytes } of signatures) {
      if (scheme === undefined || bytes === undefined) continue;
      if (await verifiesQuietly(() => crypto.verify(scheme, signer.publicKey, bytes, message))) {
        accepted = sig;
        break;
      }
    }
    if (accepted === undefined)
      throw entryRefused("could not verify envelope: accepted signatures do not match threshold, Found: 0, Expected 1");
    open.delete(accepted);
    signers.set(accepted, signer);
  }
  if (open.size > 0) throw entryRefused("all signatures must have a key that verifies it");
  return { payload, signers };
}

/** Envelopes are verified with SHA-256, whatever the key, but for Ed25519, which signs the message itself. */
function envelopeScheme(key: PublicKey): SignatureAlgorithm | undefined {
  if (key.type === "rsa") return algorithmOf("rsa-pkcs1", "sha256", key);
  if (key.type === "ed25519") return algorithmOf("ed25519", undefined, key);
  return algorithmOf("ecdsa", "sha256", key);
}

/** Gives the digests that a statement is about, and those of its materials. */
function statementDigests(payload: Uint8Array): readonly string[] {
  let statement: JsonValue;
  try {
    statement = parseJson(payload, { what: "statement", code: "JSON_MALFORMED", maxBytes: MAX_SANDBOX_REQUEST_BYTES });
  } catch (error) {
    if (error instanceof SigstoreError) return [];
    throw error;
  }
  const named = (list: JsonValue | undefined): readonly string[] =>
    (Array.isArray(list) ? (list as readonly JsonValue[]) : [])
      .filter(isObject)
      .flatMap(({ digest }) =>
        isObject(digest)
          ? Object.entries(digest).flatMap(([name, value]) => (typeof value === "string" ? [`${name}:${value}`] : []))
          : [],
      );
  if (!isObject(statement)) return [];
  const { predicate, subject } = statement;
  return [...named(subject), ...(isObject(predicate) ? named(predicate["materials"]) : [])];
}

// ---- values

function encodeBody(kind: string, apiVersion: string, spec: JsonObject): Uint8Array {
  return encodeUtf8(encodeCanonicalJson({ apiVersion, kind, spec }));
}

/** Some signatures and keys are refused with an error; here that is an answer like another. */
async function verifiesQuietly(verify: () => boolean | Promise<boolean>): Promise<boolean> {
  try {
    return await verify();
  } catch (error) {
    if (error instanceof SigstoreError) return false;
    throw error;
  }
}

function readBase64(value: JsonValue | undefined, what: string): Uint8Array {
  if (typeof value !== "string") return new Uint8Array(0);
  const bytes = tryDecodeBase64(value.replaceAll(/[\r\n]/g, ""));
  if (bytes === undefined) throw entryRefused(`failed parsing base64 data for ${what}: illegal base64 data`);
  return bytes;
}

function invalidFields(problem: string): ApiError {
  return entryRefused(`validation failure list:\n${problem}`);
}

function objectOf(value: JsonValue): JsonObject {
  return isObject(value) ? value : {};
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isHash(name: string): name is HashAlgorithm {
  return Object.hasOwn(DIGEST_LENGTH, name);
}

function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("sha256").update(bytes).digest());
}
