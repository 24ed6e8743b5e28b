/**
 * Authorities of a small Sigstore that really sign: a certificate authority like Fulcio, certificate transparency logs, timestamp
 * authorities, and their entries in a trusted root. Logs of Rekor are in `rekor.ts`.
 *
 * @module
 */

import { generateKeyPairSync, sign } from "node:crypto";
import {
  bytes,
  email,
  extension,
  generalizedTime,
  makeAuthority,
  makeLeaf,
  name,
  OIDS,
  oid,
  spkiOf,
  subjectAltName,
  utcTime,
  utf8,
  octets,
  withExtension,
  type CertificateOptions,
  type Extension,
  type Keys,
  type Party,
} from "../certificates.ts";
import type { Json } from "../json-edits.ts";
import { base64, sha256 } from "../logs.ts";
import { makeTimestamp, makeTsa, type Tsa } from "../timestamps.ts";

/** When everything happens, unless a test says otherwise. */
export const NOW = new Date("2026-01-02T03:04:05Z");
export const ALICE = "alice@example.com";
export const ISSUER = "https://accounts.example.com";

const MINUTE = 60_000;

/** A time some minutes after {@link NOW}. */
export const minutes = (count: number): Date => new Date(NOW.getTime() + count * MINUTE);
export const YEARS_AGO = new Date("2020-01-01T00:00:00Z");
export const YEARS_AHEAD = new Date("2035-01-01T00:00:00Z");

/** YYYYMMDDHHMMSSZ */
const digitsOf = (time: Date): string => `${time.toISOString().slice(0, 19).replaceAll(/[-:T]/g, "")}Z`;
const asUtcTime = (time: Date): Uint8Array => utcTime(digitsOf(time).slice(2));

/** Keys of a signer. */
export function signerKeys(kind: "p256" | "p384" | "p521" | "rsa" | "ed25519" = "p256"): Keys {
  switch (kind) {
    case "p256":
      return generateKeyPairSync("ec", { namedCurve: "P-256" });
    case "p384":
      return generateKeyPairSync("ec", { namedCurve: "P-384" });
    case "p521":
      return generateKeyPairSync("ec", { namedCurve: "P-521" });
    case "rsa":
      return generateKeyPairSync("rsa", { modulusLength: 2048 });
    case "ed25519":
      return generateKeyPairSync("ed25519");
  }
}

// ---- certificate transparency logs

export interface CtLog {
  readonly keys: Keys;
  readonly logId: Uint8Array;
}

export function makeCtLog(keys: Keys = signerKeys()): CtLog {
  return { keys, logId: sha256(spkiOf(keys)) };
}

const uint = (value: number | bigint, length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => Number((BigInt(value) >> BigInt(8 * (length - 1 - index))) & 0xffn));

/** A TLS vector with its length before it. */
const vector = (lengthBytes: number, content: Uint8Array): Uint8Array =>
  bytes(uint(content.length, lengthBytes), content);

/** What a log signs: RFC 6962 §3.2. */
const signedBySct = (time: Date, entry: Uint8Array): Uint8Array =>
  bytes(0, 0, uint(time.getTime(), 8), entry, uint(0, 2));

const precertEntry = (tbs: Uint8Array, issuer: Keys): Uint8Array =>
  bytes(uint(1, 2), sha256(spkiOf(issuer)), vector(3, tbs));
const x509Entry = (certificate: Uint8Array): Uint8Array => bytes(uint(0, 2), vector(3, certificate));

/** DigitallySigned with SHA-256 and ECDSA. */
const digitallySigned = (log: CtLog, data: Uint8Array): Uint8Array =>
  bytes(4, 3, vector(2, bytes(sign("sha256", data, log.keys.privateKey))));

/** An SCT over a certificate, in the JSON in which a log answers. */
export function detachedSct(log: CtLog, certificate: Uint8Array, time: Date = NOW): string {
  const signature = digitallySigned(log, signedBySct(time, x509Entry(certificate)));
  const sct = {
    sct_version: 0,
    id: base64(log.logId),
    timestamp: time.getTime(),
    extensions: "",
    signature: base64(signature),
  };
  return JSON.stringify(sct);
}

// ---- certificate authorities

export interface CertificateAuthority {
  readonly root: Party;
  readonly intermediate: Party;
}

export interface CaOptions {
  readonly commonName?: string;
  readonly intermediate?: { readonly notBefore?: Date; readonly notAfter?: Date; readonly keys?: Keys };
}

export function makeCa({ commonName = "sandbox", intermediate = {} }: CaOptions = {}): CertificateAuthority {
  const { notBefore = YEARS_AGO, notAfter = YEARS_AHEAD, keys } = intermediate;
  const root = makeAuthority({
    subject: name({ O: "Example", CN: `${commonName} root` }),
    notBefore: asUtcTime(YEARS_AGO),
  });
  return {
    root,
    intermediate: makeAuthority({
      issuer: root,
      subject: name({ O: "Example", CN: `${commonName} intermediate` }),
      notBefore: asUtcTime(notBefore),
      notAfter: asUtcTime(notAfter),
      ...(keys === undefined ? {} : { keys }),
    }),
  };
}

export interface CertificateRequest {
  readonly keys?: Keys;
  /** A Name; empty in certificates of Fulcio. */
  readonly subject?: Uint8Array;
  /** GeneralNames. */
  readonly names?: readonly Uint8Array[];
  /** The OIDC issuer, in extensions .1 and .8; `null` for a certificate without. */
  readonly issuer?: string | null;
  /** Further Fulcio extensions by number. */
  readonly fulcio?: Readonly<Record<number, string>>;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  /** The logs whose SCTs are embedded, in order. */
  readonly ctLogs?: readonly CtLog[];
  readonly sctTime?: Date;
  /** Changes the extensions that a certificate of Fulcio has. */
  readonly extensions?: (usual: readonly Extension[]) => readonly Extension[];
}

export interface IssuedCertificate {
  readonly der: Uint8Array;
  readonly keys: Keys;
}

/** The first six hold the text itself, the later ones a DER UTF8String. */
const fulcioExtension = (number: number, value: string): Extension =>
  extension(`${OIDS.fulcio}.${number}`, number < 8 ? new TextEncoder().encode(value) : utf8(value));

/** Issues a certificate as Fulcio does: SCTs over the precertificate first, then the certificate with them. */
export function issueCertificate(
  { intermediate }: CertificateAuthority,
  request: CertificateRequest,
  ctLog: CtLog,
): IssuedCertificate {
  const { keys = signerKeys(), names = [email(ALICE)], issuer = ISSUER, ctLogs = [ctLog], sctTime = NOW } = request;
  const issuerExtensions = issuer === null ? [] : [fulcioExtension(1, issuer), fulcioExtension(8, issuer)];
  const others = Object.entries(request.fulcio ?? {}).map(([number, value]) => fulcioExtension(Number(number), value));
  const options = {
    issuer: intermediate,
    keys,
    ...(request.subject === undefined ? {} : { subject: request.subject }),
    notBefore: asUtcTime(request.notBefore ?? minutes(-1)),
    notAfter: asUtcTime(request.notAfter ?? minutes(9)),
    extensions: (usual) => {
      const list = [...withExtension(usual, subjectAltName(...names)), ...issuerExtensions, ...others];
      return (request.extensions ?? ((same) => same))(list);
    },
  } satisfies CertificateOptions & { readonly issuer: Party };
  if (ctLogs.length === 0) return { der: makeLeaf(options).der, keys };

  const { tbs } = makeLeaf(options);
  const scts = ctLogs.map((log) => {
    const signature = digitallySigned(log, signedBySct(sctTime, precertEntry(tbs, intermediate.keys)));
    return vector(2, bytes(0, log.logId, uint(sctTime.getTime(), 8), uint(0, 2), signature));
  });
  const list = extension(OIDS.sctList, octets(vector(2, bytes(...scts))));
  return { der: makeLeaf({ ...options, extensions: (usual) => [...options.extensions(usual), list] }).der, keys };
}

// ---- timestamp authorities

export interface TimestampAuthority {
  readonly root: Party;
  readonly tsa: Tsa;
}

export function makeTimestampAuthority(commonName = "sandbox"): TimestampAuthority {
  const root = makeAuthority({
    subject: name({ O: "Example", CN: `${commonName} tsa root` }),
    notBefore: asUtcTime(YEARS_AGO),
  });
  return {
    root,
    tsa: makeTsa({
      issuer: root,
      subject: name({ O: "Example", CN: `${commonName} tsa` }),
      notBefore: asUtcTime(YEARS_AGO),
    }),
  };
}

export function timestamp(
  { tsa }: TimestampAuthority,
  data: Uint8Array,
  time: Date = NOW,
  policy?: string,
): Uint8Array {
  return makeTimestamp({
    tsa,
    data,
    genTime: generalizedTime(digitsOf(time)),
    ...(policy === undefined ? {} : { policy: oid(policy) }),
  });
}

// ---- trusted root

/** What a trusted root says of an authority besides its keys. */
export interface Listing {
  readonly start?: Date;
  readonly end?: Date;
  readonly operator?: string;
  /** The base URL of a log, the URI of an authority. */
  readonly url?: string;
  readonly logId?: Uint8Array;
}

const rangeOf = ({ start = YEARS_AGO, end }: Listing): Json => ({
  start: start.toISOString(),
  ...(end === undefined ? {} : { end: end.toISOString() }),
});

const operatorOf = ({ operator }: Listing): Json => (operator === undefined ? {} : { operator });

function listChain(certificates: readonly Party[], url: string, listing: Listing): Json {
  return {
    subject: { organization: "Example" },
    uri: listing.url ?? url,
    certChain: { certificates: certificates.map(({ der }) => ({ rawBytes: base64(der) })) },
    validFor: rangeOf(listing),
    ...operatorOf(listing),
  };
}

export function listCa({ root, intermediate }: CertificateAuthority, listing: Listing = {}): Json {
  return listChain([intermediate, root], "https://fulcio.test", listing);
}

export function listTsa({ root, tsa }: TimestampAuthority, listing: Listing = {}): Json {
  return listChain([tsa.party, root], "https://tsa.test", listing);
}

export function listCtLog({ keys, logId }: CtLog, listing: Listing = {}): Json {
  return listLog(spkiOf(keys), "PKIX_ECDSA_P256_SHA_256", logId, "https://ct.test", listing);
}

/** A log of either kind. */
export function listLog(spki: Uint8Array, keyDetails: string, logId: Uint8Array, url: string, listing: Listing): Json {
  return {
    baseUrl: listing.url ?? url,
    hashAlgorithm: "SHA2_256",
    publicKey: { rawBytes: base64(spki), keyDetails, validFor: rangeOf(listing) },
    logId: { keyId: base64(listing.logId ?? logId) },
    ...operatorOf(listing),
  };
}
