/**
 * Makes RFC 3161 responses for tests, with node:crypto and a DER writer of its own, so that each part can be made wrong and
 * still be signed.
 *
 * @module
 */

import { createHash, sign, type KeyObject } from "node:crypto";
import {
  bytes,
  ctx,
  generalizedTime,
  int,
  keyIdOf,
  makeAuthority,
  makeTimestampLeaf,
  nul,
  octets,
  oid,
  prim,
  seq,
  set,
  utcTime,
  type Party,
} from "./certificates.ts";

export const TIMESTAMP_OIDS = {
  data: "1.2.840.113549.1.7.1",
  signedData: "1.2.840.113549.1.7.2",
  timestampInfo: "1.2.840.113549.1.9.16.1.4",
  contentType: "1.2.840.113549.1.9.3",
  messageDigest: "1.2.840.113549.1.9.4",
  signingTime: "1.2.840.113549.1.9.5",
  signingCertificate: "1.2.840.113549.1.9.16.2.12",
  signingCertificateV2: "1.2.840.113549.1.9.16.2.47",
  algorithmProtection: "1.2.840.113549.1.9.52",
  sha1: "1.3.14.3.2.26",
  sha256: "2.16.840.1.101.3.4.2.1",
  sha384: "2.16.840.1.101.3.4.2.2",
  sha512: "2.16.840.1.101.3.4.2.3",
  sha3_256: "2.16.840.1.101.3.4.2.8",
  rsaEncryption: "1.2.840.113549.1.1.1",
  sha256WithRsa: "1.2.840.113549.1.1.11",
  rsaPss: "1.2.840.113549.1.1.10",
  mgf1: "1.2.840.113549.1.1.8",
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  ecdsaWithSha384: "1.2.840.10045.4.3.3",
  ecdsaWithSha512: "1.2.840.10045.4.3.4",
  ed25519: "1.3.101.112",
} as const;

export type TestHash = "sha1" | "sha256" | "sha384" | "sha512";

export const hash = (algorithm: TestHash, data: Uint8Array): Uint8Array =>
  bytes(createHash(algorithm).update(data).digest());
export const algorithm = (dotted: string, ...parameters: readonly Uint8Array[]): Uint8Array =>
  seq(oid(dotted), ...parameters);

/** A signed attribute: its type, and the whole Attribute. */
export interface Attribute {
  readonly oid: string;
  readonly bytes: Uint8Array;
}

export const attribute = (type: string, ...values: readonly Uint8Array[]): Attribute => ({
  oid: type,
  bytes: seq(oid(type), set(...values)),
});

/** IssuerSerial of RFC 5035. */
export const issuerSerial = (issuer: Uint8Array, serialNumber: Uint8Array): Uint8Array =>
  seq(seq(ctx(4, issuer)), serialNumber);
export const essCertId = (certHash: Uint8Array, ...rest: readonly Uint8Array[]): Uint8Array =>
  seq(octets(certHash), ...rest);
export const signingCertificateV1 = (...identifiers: readonly Uint8Array[]): Attribute =>
  attribute(TIMESTAMP_OIDS.signingCertificate, seq(seq(...identifiers)));
export const signingCertificateV2 = (...identifiers: readonly Uint8Array[]): Attribute =>
  attribute(TIMESTAMP_OIDS.signingCertificateV2, seq(seq(...identifiers)));

/** A timestamp authority with the number of its certificate, which the builder cannot read out of it. */
export interface Tsa {
  readonly party: Party;
  readonly issuer: Party;
  readonly serialNumber: Uint8Array;
}

export type TsaOptions = Partial<Parameters<typeof makeTimestampLeaf>[0]> & { readonly issuer: Party };

let serial = 0x10;

export function makeTsa(options: TsaOptions): Tsa {
  const serialNumber = options.serialNumber ?? int(0x10, ++serial & 0xff);
  return { party: makeTimestampLeaf({ ...options, serialNumber }), issuer: options.issuer, serialNumber };
}

export const makeTsaRoot = makeAuthority;

export interface TimestampOptions {
  readonly tsa: Tsa;
  /** What is stamped. */
  readonly data: Uint8Array;
  // ---- TSTInfo; an empty array leaves a part out
  readonly infoVersion?: Uint8Array;
  readonly policy?: Uint8Array;
  readonly imprint?: Uint8Array;
  readonly tokenSerialNumber?: Uint8Array;
  readonly genTime?: Uint8Array;
  readonly accuracy?: Uint8Array;
  readonly ordering?: Uint8Array;
  readonly nonce?: Uint8Array;
  readonly tsaName?: Uint8Array;
  readonly infoExtensions?: Uint8Array;
  readonly info?: (info: Uint8Array) => Uint8Array;
  // ---- SignerInfo
  readonly digest?: Exclude<TestHash, "sha1">;
  readonly attributes?: (usual: readonly Attribute[]) => readonly Attribute[];
  /** Puts the attributes in an order that is not DER's. */
  readonly unsorted?: boolean;
  /** The field [0] from the attributes in their order. */
  readonly attributesField?: (attributes: readonly Uint8Array[]) => Uint8Array;
  readonly signerVersion?: Uint8Array;
  readonly sid?: Uint8Array;
  readonly digestAlgorithm?: Uint8Array;
  readonly signatureAlgorithm?: Uint8Array;
  readonly sign?: (data: Uint8Array, key: KeyObject) => Uint8Array;
  readonly signature?: (signature: Uint8Array) => Uint8Array;
  readonly unsignedAttributes?: Uint8Array;
  // ---- SignedData
  readonly version?: Uint8Array;
  readonly digestAlgorithms?: Uint8Array;
  readonly contentType?: string;
  /** The field [0] of the encapsulated content, from the content. */
  readonly contentField?: (content: Uint8Array) => Uint8Array;
  /** Absent: the signer's own. */
  readonly certificates?: readonly Uint8Array[] | undefined;
  readonly noCertificates?: boolean;
  readonly crls?: Uint8Array;
  readonly signerInfos?: (signerInfo: Uint8Array) => Uint8Array;
  readonly afterSignerInfos?: Uint8Array;
  // ---- around it
  readonly outerType?: string;
  readonly contentInfo?: (contentInfo: Uint8Array) => Uint8Array;
  readonly status?: Uint8Array;
  readonly response?: (response: Uint8Array) => Uint8Array;
}

const NOTHING = bytes();

/** Compares as DER orders a SET OF. */
function compare(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** What every authority here stamps unless told otherwise. */
const GEN_TIME = "20260102030405Z";

export function makeTimestamp(options: TimestampOptions): Uint8Array {
  const { tsa, data, digest = "sha256" } = options;
  const digestIdentifier = options.digestAlgorithm ?? algorithm(TIMESTAMP_OIDS[digest]);
  const plainInfo = seq(
    options.infoVersion ?? int(1),
    options.policy ?? oid("1.3.6.1.4.1.57264.2"),
    options.imprint ?? seq(algorithm(TIMESTAMP_OIDS.sha256, nul()), octets(hash("sha256", data))),
    options.tokenSerialNumber ?? int(0x12, 0x34),
    options.genTime ?? generalizedTime(GEN_TIME),
    options.accuracy ?? NOTHING,
    options.ordering ?? NOTHING,
    options.nonce ?? NOTHING,
    options.tsaName ?? NOTHING,
    options.infoExtensions ?? NOTHING,
  );
  const info = (options.info ?? ((same) => same))(plainInfo);
  const usual = [
    attribute(TIMESTAMP_OIDS.contentType, oid(TIMESTAMP_OIDS.timestampInfo)),
    attribute(TIMESTAMP_OIDS.signingTime, utcTime("260102030405Z")),
    attribute(TIMESTAMP_OIDS.messageDigest, octets(hash(digest, info))),
    signingCertificateV2(essCertId(hash("sha256", tsa.party.der), issuerSerial(tsa.issuer.name, tsa.serialNumber))),
  ];
  const attributes = (options.attributes ?? ((same) => same))(usual)
    .map((entry) => entry.bytes)
    .sort(compare);
  if (options.unsorted) attributes.reverse();
  const signed = set(...attributes);
  const signature = (options.sign ?? ((message, key) => sign(digest, message, key)))(signed, tsa.party.keys.privateKey);
  const signerInfo = seq(
    options.signerVersion ?? int(1),
    options.sid ?? seq(tsa.issuer.name, tsa.serialNumber),
    digestIdentifier,
    (options.attributesField ?? ((list) => ctx(0, ...list)))(attributes),
    options.signatureAlgorithm ??
      algorithm(
        TIMESTAMP_OIDS[
          digest === "sha256" ? "ecdsaWithSha256" : digest === "sha384" ? "ecdsaWithSha384" : "ecdsaWithSha512"
        ],
      ),
    octets((options.signature ?? ((same) => same))(bytes(signature))),
    options.unsignedAttributes ?? NOTHING,
  );
  const signedData = seq(
    options.version ?? int(3),
    options.digestAlgorithms ?? set(digestIdentifier),
    seq(
      oid(options.contentType ?? TIMESTAMP_OIDS.timestampInfo),
      (options.contentField ?? ((content) => ctx(0, octets(content))))(info),
    ),
    options.noCertificates ? NOTHING : ctx(0, ...(options.certificates ?? [tsa.party.der])),
    options.crls ?? NOTHING,
    (options.signerInfos ?? set)(signerInfo),
    options.afterSignerInfos ?? NOTHING,
  );
  const contentInfo = seq(oid(options.outerType ?? TIMESTAMP_OIDS.signedData), ctx(0, signedData));
  const response = seq(options.status ?? seq(int(0)), (options.contentInfo ?? ((same) => same))(contentInfo));
  return (options.response ?? ((same) => same))(response);
}

/** SignerIdentifier by subject key identifier; the signer's version is then 3. */
export const sidByKey = ({ party }: Tsa): Uint8Array => prim(0, keyIdOf(party.keys));

/** The content octets of one element. */
export function contentOf(element: Uint8Array): Uint8Array {
  const [, length = 0] = element;
  return element.subarray(length < 0x80 ? 2 : 2 + (length & 0x7f));
}
