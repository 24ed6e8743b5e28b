import { createPublicKey, type KeyObject } from "node:crypto";
import { encodePem, parsePem } from "../../encoding/pem.ts";
import { encodeUtf8, tryDecodeUtf8 } from "../../encoding/utf8.ts";
import { parseCertificate } from "../../x509/certificate.ts";
import { newPrivateKey, storedKey } from "../stored-key.ts";
import type { SandboxStore } from "../store.ts";
import {
  authorityExtensions,
  EMPTY_NAME,
  encodeName,
  keyIdentifierOf,
  leafExtensions,
  newSerialNumber,
  POISON,
  sctListExtension,
  signCertificate,
  type CertificateContent,
  type CertificateIssuer,
} from "./certificate-builder.ts";
import type { CertifiedIdentity } from "./principal.ts";

/** Is a certificate authority: a root, of which nothing but its certificate is kept, and an intermediate that issues. */
export interface Authority {
  /** DER, the intermediate first. */
  readonly chain: readonly [intermediate: Uint8Array, root: Uint8Array];
  readonly issuer: CertificateIssuer;
  readonly start: Date;
  /** When nothing that it issued is valid any more, once another authority has taken over. */
  readonly end: Date | undefined;
}

/** Is what a leaf certificate is asked to say. */
export interface LeafRequest {
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
  readonly identity: CertifiedIdentity;
  readonly notBefore: Date;
}

/** How long a leaf certificate is valid. */
export const LEAF_LIFETIME_MS = 10 * 60_000;
const AUTHORITY_LIFETIME_YEARS = 10;
const ORGANIZATION = "sandbox";
const LIST_FILE = "authorities.json";

/** Makes an authority. */
export async function newAuthority(
  now: Date,
  key: KeyObject,
  names: { readonly root: string; readonly intermediate: string },
): Promise<Authority> {
  const start = wholeSeconds(now);
  const end = new Date(start);
  end.setUTCFullYear(start.getUTCFullYear() + AUTHORITY_LIFETIME_YEARS);
  const rootKey = await newPrivateKey("p384"); // signs two certificates, then it is forgotten
  const root = {
    name: encodeName(ORGANIZATION, names.root),
    key: rootKey,
    keyIdentifier: keyIdentifierOf(spkiOf(rootKey)),
  };
  const issuer = {
    name: encodeName(ORGANIZATION, names.intermediate),
    key,
    keyIdentifier: keyIdentifierOf(spkiOf(key)),
  };
  const common = { notBefore: start, notAfter: end };
  const rootCertificate = signCertificate(
    {
      ...common,
      serialNumber: newSerialNumber(),
      subject: root.name,
      spki: spkiOf(rootKey),
      extensions: authorityExtensions(root.keyIdentifier, undefined),
    },
    root,
  );
  const intermediate = signCertificate(
    {
      ...common,
      serialNumber: newSerialNumber(),
      subject: issuer.name,
      spki: spkiOf(key),
      extensions: authorityExtensions(issuer.keyIdentifier, root.keyIdentifier),
    },
    root,
  );
  return { chain: [intermediate, rootCertificate], issuer, start, end: undefined };
}

/** Keeps the authorities of one Fulcio: those of the past, and the one that issues. */
export class AuthorityHistory {
  readonly #store: SandboxStore;
  /** The oldest first. */
  #authorities: readonly Authority[] = [];

  private constructor(store: SandboxStore) {
    this.#store = store;
  }

  /** Opens the authorities in a store, or makes the first. */
  static async open(store: SandboxStore, now: Date): Promise<AuthorityHistory> {
    const history = new AuthorityHistory(store);
    const list = store.read(LIST_FILE);
    if (list === undefined) await history.rotate(now);
    else history.#authorities = await readAuthorities(store, list);
    return history;
  }

  /** The authority that issues. */
  get current(): Authority {
    return this.#authorities.at(-1) as Authority;
  }

  /** Every authority, the oldest first. */
  get all(): readonly Authority[] {
    return this.#authorities;
  }

  /** Makes another authority that issues from now on. The one before stays good for as long as what it issued. */
  async rotate(now: Date): Promise<void> {
    const generation = this.#authorities.length + 1;
    const key = await storedKey(this.#store, keyFile(generation), "p384");
    const authority = await newAuthority(now, key, authorityNames(generation));
    this.#store.write(
      chainFile(generation),
      encodeUtf8(authority.chain.map((der) => encodePem("CERTIFICATE", der)).join("")),
    );
    const end = new Date(now.getTime() + LEAF_LIFETIME_MS);
    const authorities = [...this.#authorities.map((past) => ({ ...past, end: past.end ?? end })), authority];
    // Last, as it makes the files of the new one count
    this.#store.write(
      LIST_FILE,
      encodeUtf8(JSON.stringify(authorities.map((one) => ({ start: one.start, ...(one.end && { end: one.end }) })))),
    );
    this.#authorities = authorities;
  }
}

/** Names an authority by how many there were before. */
export function authorityNames(generation: number): { readonly root: string; readonly intermediate: string } {
  const suffix = generation === 1 ? "" : ` ${generation}`;
  return { root: `sandbox fulcio root${suffix}`, intermediate: `sandbox fulcio intermediate${suffix}` };
}

/** Issues a precertificate, and afterwards the certificate with the SCTs that it got. All else in the two is the same. */
export class LeafIssuance {
  readonly #authority: Authority;
  readonly #content: CertificateContent;

  constructor(authority: Authority, request: LeafRequest) {
    const notBefore = wholeSeconds(request.notBefore);
    this.#authority = authority;
    this.#content = {
      serialNumber: newSerialNumber(),
      notBefore,
      notAfter: new Date(notBefore.getTime() + LEAF_LIFETIME_MS),
      subject: EMPTY_NAME,
      spki: request.spki,
      extensions: leafExtensions(keyIdentifierOf(request.spki), authority.issuer.keyIdentifier, request.identity),
    };
  }

  precertificate(): Uint8Array {
    return this.#sign(POISON);
  }

  /** @param sctList - As `encodeSctList` gives it; absent where the SCT is to stand beside the certificate. */
  certificate(sctList?: Uint8Array): Uint8Array {
    return sctList === undefined ? this.#sign() : this.#sign(sctListExtension(sctList));
  }

  #sign(...last: readonly Uint8Array[]): Uint8Array {
    const content = { ...this.#content, extensions: [...this.#content.extensions, ...last] };
    return signCertificate(content, this.#authority.issuer);
  }
}

async function readAuthorities(store: SandboxStore, list: Uint8Array): Promise<readonly Authority[]> {
  const entries = JSON.parse(tryDecodeUtf8(list) ?? "") as readonly { start: string; end?: string }[];
  const authorities: Authority[] = [];
  for (const [index, { start, end }] of entries.entries()) {
    const pem = tryDecodeUtf8(store.read(chainFile(index + 1)) ?? new Uint8Array(0)) ?? "";
    const [intermediate, root] = parsePem(pem).map(({ bytes }) => parseCertificate(bytes));
    if (intermediate === undefined || root === undefined) throw new TypeError(`${chainFile(index + 1)} is not a chain`);
    const key = await storedKey(store, keyFile(index + 1), "p384");
    const issuer = {
      name: intermediate.subject,
      key,
      keyIdentifier: keyIdentifierOf(intermediate.subjectPublicKeyInfo),
    };
    authorities.push({
      chain: [intermediate.bytes, root.bytes],
      issuer,
      start: new Date(start),
      end: end === undefined ? undefined : new Date(end),
    });
  }
  return authorities;
}

function chainFile(generation: number): string {
  return `authority-${generation}.pem`;
}

function keyFile(generation: number): string {
  return `authority-${generation}-key.pem`;
}

function spkiOf(privateKey: KeyObject): Uint8Array {
  return new Uint8Array(createPublicKey(privateKey).export({ type: "spki", format: "der" }));
}

/** Certificates know no fractions of a second. */
function wholeSeconds(date: Date): Date {
  return new Date(Math.floor(date.getTime() / 1000) * 1000);
}
