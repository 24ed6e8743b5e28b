/**
 * Makes certificates for tests, with node:crypto and a DER writer of its own, so that each part can be made wrong.
 *
 * @module
 */

import { createHash, generateKeyPairSync, sign, type KeyObject } from "node:crypto";

// ---- DER

export function bytes(...parts: readonly (Uint8Array | number)[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => (typeof part === "number" ? [part] : [...part])));
}

export function der(tag: number, ...content: readonly Uint8Array[]): Uint8Array {
  const inner = bytes(...content);
  const { length } = inner;
  if (length < 0x80) return bytes(tag, length, inner);
  if (length < 0x100) return bytes(tag, 0x81, length, inner);
  if (length < 0x10000) return bytes(tag, 0x82, length >> 8, length & 0xff, inner);
  return bytes(tag, 0x83, length >> 16, (length >> 8) & 0xff, length & 0xff, inner);
}

export const seq = (...items: readonly Uint8Array[]): Uint8Array => der(0x30, ...items);
export const set = (...items: readonly Uint8Array[]): Uint8Array => der(0x31, ...items);
export const int = (...octets: readonly number[]): Uint8Array => der(0x02, bytes(...octets));
export const bool = (value: boolean): Uint8Array => der(0x01, bytes(value ? 0xff : 0));
export const nul = (): Uint8Array => der(0x05);
export const octets = (content: Uint8Array): Uint8Array => der(0x04, content);
export const bits = (content: Uint8Array, unused = 0): Uint8Array => der(0x03, bytes(unused, content));
export const text = (tag: number, value: string): Uint8Array => der(tag, new TextEncoder().encode(value));
export const utf8 = (value: string): Uint8Array => text(0x0c, value);
/** A context-specific tag, constructed. */
export const ctx = (number: number, ...content: readonly Uint8Array[]): Uint8Array => der(0xa0 | number, ...content);
/** A context-specific tag, primitive. */
export const prim = (number: number, content: Uint8Array | string): Uint8Array =>
  der(0x80 | number, typeof content === "string" ? new TextEncoder().encode(content) : content);

export function oid(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const arcs = [first * 40 + second, ...rest];
  return der(
    0x06,
    bytes(
      ...arcs.flatMap((arc) => {
        const groups = [arc % 128];
        for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128))
          groups.unshift(128 + (left % 128));
        return groups;
      }),
    ),
  );
}

/** UTCTime, as YYMMDDHHMMSSZ. */
export const utcTime = (value: string): Uint8Array => text(0x17, value);
/** GeneralizedTime, as YYYYMMDDHHMMSSZ. */
export const generalizedTime = (value: string): Uint8Array => text(0x18, value);

const ATTRIBUTES: Readonly<Record<string, string>> = {
  CN: "2.5.4.3",
  O: "2.5.4.10",
  OU: "2.5.4.11",
  C: "2.5.4.6",
  emailAddress: "1.2.840.113549.1.9.1",
};

/** A distinguished name of one attribute each, in the order of the encoding. */
export function name(attributes: Readonly<Record<string, string>>, stringTag = 0x0c): Uint8Array {
  return seq(
    ...Object.entries(attributes).map(([type, value]) =>
      set(seq(oid(ATTRIBUTES[type] ?? type), text(stringTag, value))),
    ),
  );
}

// ---- keys and signatures

export interface Keys {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

export const ecKeys = (namedCurve = "P-256"): Keys => generateKeyPairSync("ec", { namedCurve });
export const spkiOf = (keys: Keys): Uint8Array => bytes(keys.publicKey.export({ type: "spki", format: "der" }));
/** 20 bytes of SHA-256 over the SubjectPublicKeyInfo: any value will do for a key identifier. */
export const keyIdOf = (keys: Keys): Uint8Array =>
  bytes(createHash("sha256").update(spkiOf(keys)).digest().subarray(0, 20));

export const ECDSA_SHA256 = seq(oid("1.2.840.10045.4.3.2"));
export const ECDSA_SHA384 = seq(oid("1.2.840.10045.4.3.3"));

// ---- extensions

export const OIDS = {
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  nameConstraints: "2.5.29.30",
  certificatePolicies: "2.5.29.32",
  authorityKeyIdentifier: "2.5.29.35",
  extKeyUsage: "2.5.29.37",
  anyExtendedKeyUsage: "2.5.29.37.0",
  serverAuth: "1.3.6.1.5.5.7.3.1",
  clientAuth: "1.3.6.1.5.5.7.3.2",
  codeSigning: "1.3.6.1.5.5.7.3.3",
  timeStamping: "1.3.6.1.5.5.7.3.8",
  sctList: "1.3.6.1.4.1.11129.2.4.2",
  poison: "1.3.6.1.4.1.11129.2.4.3",
  fulcio: "1.3.6.1.4.1.57264.1",
} as const;

export interface Extension {
  readonly oid: string;
  readonly bytes: Uint8Array;
}

export function extension(type: string, value: Uint8Array, critical = false): Extension {
  return { oid: type, bytes: seq(oid(type), ...(critical ? [bool(true)] : []), octets(value)) };
}

export function basicConstraints(ca: boolean, pathLength?: number): Extension {
  return extension(
    OIDS.basicConstraints,
    seq(...(ca ? [bool(true)] : []), ...(pathLength === undefined ? [] : [int(pathLength)])),
    true,
  );
}

/** Bits of the first octet: 0x80 digitalSignature, 0x40 contentCommitment, 0x20 keyEncipherment, 0x04 keyCertSign, 0x02 cRLSign. */
export function keyUsage(mask: number): Extension {
  let unused = 0;
  while (unused < 7 && ((mask >> unused) & 1) === 0) unused++;
  return extension(OIDS.keyUsage, bits(bytes(mask), unused), true);
}

export function extKeyUsage(purposes: readonly string[], critical = false): Extension {
  return extension(OIDS.extKeyUsage, seq(...purposes.map(oid)), critical);
}

export const subjectKeyIdentifier = (id: Uint8Array): Extension => extension(OIDS.subjectKeyIdentifier, octets(id));
export const authorityKeyIdentifier = (id: Uint8Array): Extension =>
  extension(OIDS.authorityKeyIdentifier, seq(prim(0, id)));
export const subjectAltName = (...names: readonly Uint8Array[]): Extension =>
  extension(OIDS.subjectAltName, seq(...names), true);
export const uri = (value: string): Uint8Array => prim(6, value);
export const email = (value: string): Uint8Array => prim(1, value);
export const dns = (value: string): Uint8Array => prim(2, value);

/** Bases are GeneralNames. */
export function nameConstraints(permitted: readonly Uint8Array[], excluded: readonly Uint8Array[] = []): Extension {
  const subtrees = (number: number, bases: readonly Uint8Array[]): readonly Uint8Array[] =>
    bases.length === 0 ? [] : [ctx(number, ...bases.map((base) => seq(base)))];
  return extension(OIDS.nameConstraints, seq(...subtrees(0, permitted), ...subtrees(1, excluded)), true);
}

/** Puts an extension in the place of the one of the same type, or at the end. */
export function withExtension(list: readonly Extension[], changed: Extension): readonly Extension[] {
  const found = list.some((entry) => entry.oid === changed.oid);
  return found ? list.map((entry) => (entry.oid === changed.oid ? changed : entry)) : [...list, changed];
}

export const withoutExtension = (list: readonly Extension[], type: string): readonly Extension[] =>
  list.filter((entry) => entry.oid !== type);

// ---- certificates

/** A certificate with its private key. */
export interface Party {
  readonly name: Uint8Array;
  readonly keys: Keys;
  readonly der: Uint8Array;
}

export interface CertificateOptions {
  readonly subject?: Uint8Array;
  readonly keys?: Keys;
  /** Absent: signed by itself. */
  readonly issuer?: Pick<Party, "name" | "keys">;
  /** Changes the list that a certificate of its kind has. */
  readonly extensions?: (usual: readonly Extension[]) => readonly Extension[];
  /** DER of the parts; an empty array leaves a part out. */
  readonly version?: Uint8Array;
  readonly serialNumber?: Uint8Array;
  readonly innerAlgorithm?: Uint8Array;
  readonly outerAlgorithm?: Uint8Array;
  readonly issuerName?: Uint8Array;
  readonly notBefore?: Uint8Array;
  readonly notAfter?: Uint8Array;
  readonly publicKey?: Uint8Array;
  /** The field [3], and whatever is to follow it. */
  readonly extensionsField?: (extensions: Uint8Array) => Uint8Array;
  /** Makes the BIT STRING from the signature. */
  readonly signature?: (signature: Uint8Array) => Uint8Array;
  /** How the issuer signs; by default ECDSA with SHA-256. */
  readonly sign?: (tbs: Uint8Array, key: KeyObject) => Uint8Array;
}

const EMPTY_NAME = seq();

function make(
  options: CertificateOptions,
  usual: (keys: Keys, issuerKeys: Keys) => readonly Extension[],
  subject: Uint8Array,
): Party & { readonly tbs: Uint8Array } {
  const keys = options.keys ?? ecKeys();
  const issuer = options.issuer ?? { name: subject, keys };
  const algorithm = options.innerAlgorithm ?? ECDSA_SHA256;
  const extensions = (options.extensions ?? ((list) => list))(usual(keys, issuer.keys));
  const list = seq(...extensions.map((entry) => entry.bytes));
  const tbs = seq(
    options.version ?? ctx(0, int(2)),
    options.serialNumber ?? int(0x01, 0x23, 0x45),
    algorithm,
    options.issuerName ?? issuer.name,
    seq(options.notBefore ?? utcTime("250101000000Z"), options.notAfter ?? utcTime("350101000000Z")),
    subject,
    options.publicKey ?? spkiOf(keys),
    options.extensionsField ? options.extensionsField(list) : ctx(3, list),
  );
  const signature = (options.sign ?? ((data, key) => sign("sha256", data, key)))(tbs, issuer.keys.privateKey);
  return {
    name: subject,
    keys,
    tbs,
    der: seq(tbs, options.outerAlgorithm ?? algorithm, (options.signature ?? bits)(signature)),
  };
}

/** A certification authority; without an issuer a root. */
export function makeAuthority(options: CertificateOptions = {}): Party {
  return make(
    options,
    (keys, issuerKeys) => [
      keyUsage(0x06),
      basicConstraints(true),
      subjectKeyIdentifier(keyIdOf(keys)),
      ...(options.issuer ? [authorityKeyIdentifier(keyIdOf(issuerKeys))] : []),
    ],
    options.subject ?? name({ O: "Example", CN: options.issuer ? "intermediate" : "root" }),
  );
}

/** A certificate as Fulcio issues it. */
export function makeLeaf(
  options: CertificateOptions & { readonly issuer: Pick<Party, "name" | "keys"> },
): Party & { readonly tbs: Uint8Array } {
  return make(
    options,
    (keys, issuerKeys) => [
      keyUsage(0x80),
      extKeyUsage([OIDS.codeSigning]),
      subjectKeyIdentifier(keyIdOf(keys)),
      authorityKeyIdentifier(keyIdOf(issuerKeys)),
      subjectAltName(uri("https://example.com/workflow")),
    ],
    options.subject ?? EMPTY_NAME,
  );
}

/** A certificate of a timestamp authority. */
export function makeTimestampLeaf(
  options: CertificateOptions & { readonly issuer: Pick<Party, "name" | "keys"> },
): Party {
  return make(
    options,
    (keys, issuerKeys) => [
      keyUsage(0x80),
      extKeyUsage([OIDS.timeStamping], true),
      subjectKeyIdentifier(keyIdOf(keys)),
      authorityKeyIdentifier(keyIdOf(issuerKeys)),
    ],
    options.subject ?? name({ O: "Example", CN: "tsa" }),
  );
}
