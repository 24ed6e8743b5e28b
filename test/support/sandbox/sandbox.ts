/**
 * A small Sigstore for tests. It really signs, so a test asks for an expired certificate instead of editing base64. Nothing of the
 * code under test makes any of it, but for the JSON of a log entry.
 *
 * @module
 */

import { constants, sign } from "node:crypto";
import { serializeTransparencyLogEntry } from "../../../src/bundle/transparency-log-entry-json.ts";
import { parsePublicKey, type PublicKey } from "../../../src/crypto/public-key.ts";
import { parseTrustedRoot, type TrustedRoot } from "../../../src/trust/trusted-root.ts";
import type { Artifact } from "../../../src/verify/artifact.ts";
import type { VerifiedBundle } from "../../../src/verify/evidence.ts";
import type { VerifierOptions, VerifyPolicy } from "../../../src/verify/options.ts";
import { verify } from "../../../src/verify/verifier.ts";
import { spkiOf, type Keys } from "../certificates.ts";
import type { Json } from "../json-edits.ts";
import { base64, sha256, utf8 } from "../logs.ts";
import {
  ALICE,
  ISSUER,
  issueCertificate,
  listCa,
  listCtLog,
  listTsa,
  makeCa,
  makeCtLog,
  makeTimestampAuthority,
  timestamp,
  type CertificateAuthority,
  type CertificateRequest,
  type CtLog,
  type IssuedCertificate,
  type TimestampAuthority,
} from "./authorities.ts";
import { listRekor, makeEntry, makeRekor, type EntryOptions, type Rekor, type Signed } from "./rekor.ts";

export interface Sandbox {
  readonly ca: CertificateAuthority;
  readonly ctLog: CtLog;
  readonly rekor1: Rekor;
  readonly rekor2: Rekor;
  readonly tsa: TimestampAuthority;
}

export function makeSandbox(): Sandbox {
  return {
    ca: makeCa(),
    ctLog: makeCtLog(),
    rekor1: makeRekor(1),
    rekor2: makeRekor(2),
    tsa: makeTimestampAuthority(),
  };
}

/** The lists of a trusted root, for a test to change some. */
export interface RootLists {
  readonly tlogs?: readonly Json[];
  readonly certificateAuthorities?: readonly Json[];
  readonly ctlogs?: readonly Json[];
  readonly timestampAuthorities?: readonly Json[];
}

/** Writes the trusted root of a sandbox. */
export function rootText(sandbox: Sandbox, lists: RootLists = {}): string {
  return JSON.stringify({
    mediaType: "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    tlogs: lists.tlogs ?? [listRekor(sandbox.rekor1), listRekor(sandbox.rekor2)],
    certificateAuthorities: lists.certificateAuthorities ?? [listCa(sandbox.ca)],
    ctlogs: lists.ctlogs ?? [listCtLog(sandbox.ctLog)],
    timestampAuthorities: lists.timestampAuthorities ?? [listTsa(sandbox.tsa)],
  });
}

export function rootOf(sandbox: Sandbox, lists: RootLists = {}): TrustedRoot {
  return parseTrustedRoot(rootText(sandbox, lists));
}

// ---- bundles

/** Who signs, unless a test says otherwise. */
export const ALICE_SIGNED: VerifyPolicy = { identity: { subjectAlternativeName: ALICE, issuer: ISSUER } };

export const ARTIFACT = utf8("the artifact\n");
export const PREDICATE_TYPE = "https://example.com/predicate/v1";

const hexDigest = (data: Uint8Array): string => Buffer.from(sha256(data)).toString("hex");

/** A statement about artifacts by their SHA-256. */
export function statementAbout(...artifacts: readonly Uint8Array[]): Json {
  return {
    _type: "https://in-toto.io/Statement/v1",
    subject: artifacts.map((artifact, index) => ({
      name: `subject ${index}`,
      digest: { sha256: hexDigest(artifact) },
    })),
    predicateType: PREDICATE_TYPE,
    predicate: { note: "made for a test" },
  };
}

type Hash = Signed["hash"];

export interface BundleOptions {
  readonly version?: "0.1" | "0.2" | "0.3";
  /** Absent: a signature over {@link ARTIFACT}. Text: the payload as it is. */
  readonly statement?: Json | string;
  readonly payloadType?: string;
  readonly artifact?: Uint8Array;
  /** A certificate that was issued before, a request for one, or keys to sign with alone. Absent: Alice's certificate. */
  readonly signer?: IssuedCertificate | { readonly request: CertificateRequest } | { readonly keys: Keys };
  readonly hash?: Hash;
  /** Absent: one of Rekor v1, with promise and proof. */
  readonly entries?: readonly EntryOptions[];
  /** Absent: one of the sandbox's authority. */
  readonly timestamps?: readonly TimestampOptions[];
  /** Makes the verification material hold a chain. */
  readonly chain?: readonly Uint8Array[];
}

export interface TimestampOptions {
  readonly authority?: TimestampAuthority;
  readonly time?: Date;
  readonly policy?: string;
  /** Absent: the signature. */
  readonly data?: Uint8Array;
}

export interface SandboxBundle {
  readonly json: Json;
  readonly text: string;
  readonly artifact: Uint8Array;
  readonly signature: Uint8Array;
  /** Absent where a key signed. */
  readonly certificate?: Uint8Array;
  readonly publicKey: PublicKey;
}

const KEY_DETAILS: Readonly<Record<string, string>> = {
  "prime256v1 sha256": "PKIX_ECDSA_P256_SHA_256",
  "secp384r1 sha384": "PKIX_ECDSA_P384_SHA_384",
  "secp384r1 sha256": "PKIX_ECDSA_P384_SHA_256",
  "secp521r1 sha512": "PKIX_ECDSA_P521_SHA_512",
  "secp521r1 sha256": "PKIX_ECDSA_P521_SHA_256",
  "rsa sha256": "PKIX_RSA_PKCS1V15_2048_SHA256",
};

function keyDetailsOf({ publicKey }: Keys, hash: Hash): string {
  const kind = publicKey.asymmetricKeyDetails?.namedCurve ?? publicKey.asymmetricKeyType ?? "";
  return KEY_DETAILS[`${kind} ${hash}`] ?? "PKIX_ED25519";
}

function signWith({ privateKey }: Keys, message: Uint8Array, hash: Hash): Uint8Array {
  const algorithm = privateKey.asymmetricKeyType === "ed25519" ? null : hash;
  return new Uint8Array(sign(algorithm, message, { key: privateKey, padding: constants.RSA_PKCS1_PADDING }));
}

/** DSSE protocol: "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body */
function preAuthEncoding(payloadType: string, payload: Uint8Array): Uint8Array {
  return Buffer.concat([utf8(`DSSEv1 ${Buffer.byteLength(payloadType)} ${payloadType} ${payload.length} `), payload]);
}

/** Signs, and lets everybody vouch for it. */
export function bundleFrom(sandbox: Sandbox, options: BundleOptions = {}): SandboxBundle {
  const {
    version = "0.3",
    artifact = ARTIFACT,
    payloadType = "application/vnd.in-toto+json",
    hash = "sha256",
    statement,
  } = options;
  const signer = readySigner(sandbox, options.signer);
  const payload =
    statement === undefined ? undefined : utf8(typeof statement === "string" ? statement : JSON.stringify(statement));
  const message = payload === undefined ? artifact : preAuthEncoding(payloadType, payload);
  const signature = signWith(signer.keys, message, hash);
  const certificate = "der" in signer ? signer.der : undefined;
  const signed: Signed = {
    signature,
    verifier: certificate === undefined ? { publicKey: signer.keys.publicKey } : { certificate },
    message,
    hash,
    keyDetails: keyDetailsOf(signer.keys, hash),
    ...(payload === undefined ? {} : { envelope: { payload, payloadType } }),
  };
  const entries = (options.entries ?? [{ log: sandbox.rekor1 }]).map((entry) =>
    serializeTransparencyLogEntry(makeEntry(signed, entry)),
  );
  const timestamps = (options.timestamps ?? [{}]).map(
    ({ authority = sandbox.tsa, data = signature, time, policy }) => ({
      signedTimestamp: base64(timestamp(authority, data, time, policy)),
    }),
  );
  const json = {
    mediaType:
      version === "0.3"
        ? "application/vnd.dev.sigstore.bundle.v0.3+json"
        : `application/vnd.dev.sigstore.bundle+json;version=${version}`,
    verificationMaterial: {
      ...signerMaterial(version, certificate, options.chain),
      tlogEntries: entries,
      ...(timestamps.length === 0 ? {} : { timestampVerificationData: { rfc3161Timestamps: timestamps } }),
    },
    ...(payload === undefined
      ? {
          messageSignature: {
            messageDigest: { algorithm: "SHA2_256", digest: base64(sha256(artifact)) },
            signature: base64(signature),
          },
        }
      : { dsseEnvelope: { payload: base64(payload), payloadType, signatures: [{ sig: base64(signature) }] } }),
  };
  return {
    json,
    text: JSON.stringify(json),
    artifact,
    signature,
    publicKey: parsePublicKey(spkiOf(signer.keys)),
    ...(certificate === undefined ? {} : { certificate }),
  };
}

function readySigner(sandbox: Sandbox, signer: BundleOptions["signer"]): IssuedCertificate | { readonly keys: Keys } {
  if (signer === undefined) return issueCertificate(sandbox.ca, {}, sandbox.ctLog);
  return "request" in signer ? issueCertificate(sandbox.ca, signer.request, sandbox.ctLog) : signer;
}

function signerMaterial(version: string, certificate: Uint8Array | undefined, chain: BundleOptions["chain"]): Json {
  if (certificate === undefined) return { publicKey: { hint: "whatever the signer wrote" } };
  if (version === "0.3" && chain === undefined) return { certificate: { rawBytes: base64(certificate) } };
  return {
    x509CertificateChain: { certificates: [certificate, ...(chain ?? [])].map((der) => ({ rawBytes: base64(der) })) },
  };
}

/** What a test asks of a bundle besides the usual. */
export interface Demand {
  /** Default: {@link ALICE_SIGNED}, or for a bundle of a key, that key. */
  readonly policy?: VerifyPolicy;
  readonly options?: VerifierOptions;
  readonly root?: RootLists;
  readonly artifact?: Artifact;
}

/** Verifies a bundle under the sandbox's trusted root. */
export async function verifyIn(sandbox: Sandbox, bundle: SandboxBundle, demand: Demand = {}): Promise<VerifiedBundle> {
  const policy =
    demand.policy ?? (bundle.certificate === undefined ? { keys: [{ publicKey: bundle.publicKey }] } : ALICE_SIGNED);
  const trustedRoot = rootOf(sandbox, demand.root);
  return await verify(bundle.text, demand.artifact ?? bundle.artifact, { ...demand.options, ...policy, trustedRoot });
}

/** Changes the JSON of a bundle. */
export function edited(bundle: SandboxBundle, edit: (json: Json) => Json): SandboxBundle {
  const json = edit(bundle.json);
  return { ...bundle, json, text: JSON.stringify(json) };
}
