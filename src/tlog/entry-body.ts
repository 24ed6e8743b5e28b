/**
 * The canonicalized body of a log entry: what the log made public, and whether that is what a bundle holds.
 *
 * Each kind has a file of its own in `entries/`.
 *
 * @module
 */

import type { HashAlgorithm } from "../crypto/digest.ts";
import type { CryptoProvider, MaybePromise } from "../crypto/provider.ts";
import type { PublicKey } from "../crypto/public-key.ts";
import type { SignatureAlgorithm } from "../crypto/registry.ts";
import { parseJson } from "../encoding/json.ts";
import { JsonReader } from "../encoding/json-reader.ts";
import { FormatError, VerificationError } from "../errors.ts";
import { MAX_TLOG_ENTRY_BODY_BYTES } from "../limits.ts";
import {
  parseDsseV001,
  parseDsseV002,
  verifyDsseV001,
  verifyDsseV002,
  type DsseV001,
  type DsseV002,
} from "./entries/dsse.ts";
import {
  parseHashedRekordV001,
  parseHashedRekordV002,
  verifyHashedRekordV001,
  verifyHashedRekordV002,
  type HashedRekordV001,
  type HashedRekordV002,
} from "./entries/hashedrekord.ts";
import { parseIntotoV002, verifyIntotoV002, type IntotoV002 } from "./entries/intoto.ts";
import { parseRekordV001, verifyRekordV001, type RekordV001 } from "./entries/rekord.ts";
import type { KindVersion, TransparencyLogEntry } from "./transparency-log-entry.ts";

/** Is what the body of an entry says. Whether it is in a log is not known, nor whether a bundle says the same. */
export type EntryBody = HashedRekordV001 | HashedRekordV002 | DsseV001 | DsseV002 | IntotoV002 | RekordV001;

/** Holds what a bundle brings, for an entry to be compared with. */
export interface EntryExpectation {
  readonly signature: Uint8Array;
  readonly verifier:
    | { readonly kind: "certificate"; readonly der: Uint8Array }
    | { readonly kind: "public-key"; readonly key: PublicKey };
  readonly content:
    | {
        readonly kind: "message";
        /** Gives a digest of the artifact; `undefined` where the artifact was given by another digest only. */
        readonly digests: (algorithm: HashAlgorithm) => MaybePromise<Uint8Array | undefined>;
      }
    | {
        readonly kind: "envelope";
        readonly payload: Uint8Array;
        readonly payloadType: string;
        readonly pae: Uint8Array;
      };
  /** With which the signature was found to verify; `undefined` where it was not. */
  readonly keyAlgorithm: SignatureAlgorithm | undefined;
}

const PARSERS: ReadonlyMap<string, { readonly generation: 1 | 2; readonly parse: (spec: JsonReader) => EntryBody }> =
  new Map<string, { generation: 1 | 2; parse: (spec: JsonReader) => EntryBody }>([
    ["hashedrekord 0.0.1", { generation: 1, parse: parseHashedRekordV001 }],
    ["dsse 0.0.1", { generation: 1, parse: parseDsseV001 }],
    ["intoto 0.0.2", { generation: 1, parse: parseIntotoV002 }],
    ["rekord 0.0.1", { generation: 1, parse: parseRekordV001 }],
    ["hashedrekord 0.0.2", { generation: 2, parse: parseHashedRekordV002 }],
    ["dsse 0.0.2", { generation: 2, parse: parseDsseV002 }],
  ]);

/**
 * Tells which generation of Rekor makes entries of a kind.
 *
 * @returns `undefined` for a kind or version that is not supported.
 */
export function generationOf(kindVersion: KindVersion): 1 | 2 | undefined {
  return PARSERS.get(nameOf(kindVersion))?.generation;
}

function nameOf({ kind, version }: KindVersion): string {
  return `${kind} ${version}`;
}

/**
 * Parses the body of an entry, which must be of the kind and version that the entry states.
 *
 * Unknown fields are ignored in bodies of Rekor v1, and refused in those of Rekor v2, which `verifyEntryBody` rebuilds whole.
 *
 * @throws {@link FormatError} `TLOG_ENTRY_MALFORMED`, `TLOG_ENTRY_KIND_UNSUPPORTED`, `JSON_DUPLICATE_KEY`, `LIMIT_EXCEEDED`.
 * @throws {@link VerificationError} `TLOG_ENTRY_MISMATCH` where body and entry state different kinds or versions.
 * @see Sigstore client specification §4.4; rekor-spec §5
 */
export function parseEntryBody(entry: TransparencyLogEntry): EntryBody {
  const json = parseJson(entry.canonicalizedBody, {
    what: "body of the log entry",
    code: "TLOG_ENTRY_MALFORMED",
    maxBytes: MAX_TLOG_ENTRY_BODY_BYTES,
  });
  const body = new JsonReader(json, "body", "TLOG_ENTRY_MALFORMED").object();
  const stated = { kind: body.required("kind").string(), version: body.required("apiVersion").string() };
  if (stated.kind !== entry.kindVersion.kind || stated.version !== entry.kindVersion.version) {
    throw new VerificationError(
      "TLOG_ENTRY_MISMATCH",
      "log entry is labelled as another kind or version than its body",
      {
        expected: nameOf(stated).slice(0, 100),
        found: nameOf(entry.kindVersion).slice(0, 100),
      },
    );
  }
  const parser = PARSERS.get(nameOf(stated));
  if (parser === undefined) {
    throw new FormatError("TLOG_ENTRY_KIND_UNSUPPORTED", "log entry is of a kind or version that is not supported", {
      expected: [...PARSERS.keys()].join(", "),
      found: nameOf(stated).slice(0, 100),
    });
  }
  const [unknown] = parser.generation === 2 ? body.unknown(["kind", "apiVersion", "spec"]) : [];
  if (unknown !== undefined) {
    throw new FormatError("TLOG_ENTRY_MALFORMED", `body has an unknown field ${JSON.stringify(unknown.slice(0, 100))}`);
  }
  return parser.parse(body.required("spec"));
}

/**
 * Verifies that an entry is about the signature, the signer and the content of a bundle.
 *
 * That a log holds the entry is not checked here: see `verifyInclusionProof` and `verifyInclusionPromise`.
 *
 * @param body - As {@link parseEntryBody} read it from this very entry.
 * @throws {@link VerificationError} `TLOG_ENTRY_MISMATCH` naming what differs, `DIGEST_ALGORITHM_MISMATCH` where the artifact was
 * given by a digest in another algorithm than the entry's.
 * @see Sigstore client specification §4.4; rekor-v2-spec §6.1.4, "Verifier requirements"
 */
export async function verifyEntryBody(
  body: EntryBody,
  entry: TransparencyLogEntry,
  expected: EntryExpectation,
  crypto: CryptoProvider,
): Promise<void> {
  switch (body.kind) {
    case "hashedrekord":
      return body.generation === 1
        ? await verifyHashedRekordV001(body, expected, crypto)
        : await verifyHashedRekordV002(body, entry.canonicalizedBody, expected, crypto);
    case "dsse":
      return body.generation === 1
        ? await verifyDsseV001(body, expected, crypto)
        : await verifyDsseV002(body, entry.canonicalizedBody, expected, crypto);
    case "intoto":
      return await verifyIntotoV002(body, expected, crypto);
    case "rekord":
      return await verifyRekordV001(body, expected, crypto);
  }
}
