/**
 * Bundles with log entries that other programs made, and what their entries must be about, found without the code under test.
 *
 * @module
 */

import { createHash, createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { parseBundle, type Bundle } from "../../src/bundle/bundle.ts";
import { parsePublicKey } from "../../src/crypto/public-key.ts";
import { SIGNATURE_ALGORITHMS, type SignatureAlgorithm } from "../../src/crypto/registry.ts";
import type { EntryExpectation } from "../../src/tlog/entry-body.ts";
import type { TransparencyLogEntry } from "../../src/tlog/transparency-log-entry.ts";
import { change, without, type Json } from "./json-edits.ts";

/** Gives what an entry must be about. */
export function expectationOf(
  bundle: Bundle,
  artifact: Uint8Array,
  keyPem: string | undefined,
  keyAlgorithm: SignatureAlgorithm | undefined,
): EntryExpectation {
  const { content, verificationMaterial } = bundle;
  return {
    signature:
      content.kind === "messageSignature"
        ? content.signature
        : (content.envelope.signatures[0]?.sig ?? new Uint8Array()),
    verifier:
      keyPem === undefined
        ? { kind: "certificate", der: leafOf(verificationMaterial.content) }
        : {
            kind: "public-key",
            key: parsePublicKey(new Uint8Array(createPublicKey(keyPem).export({ type: "spki", format: "der" }))),
          },
    content:
      content.kind === "messageSignature"
        ? { kind: "message", digests: (algorithm) => new Uint8Array(createHash(algorithm).update(artifact).digest()) }
        : {
            kind: "envelope",
            payload: content.envelope.payload,
            payloadType: content.envelope.payloadType,
            pae: paeOf(content.envelope),
          },
    keyAlgorithm,
  };
}

function leafOf(material: Bundle["verificationMaterial"]["content"]): Uint8Array {
  const leaf =
    material.kind === "certificate"
      ? material.certificate
      : material.kind === "x509CertificateChain"
        ? material.certificates[0]
        : undefined;
  if (leaf === undefined) throw new Error("bundle has no certificate");
  return leaf;
}

/** DSSE protocol: "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body */
function paeOf({ payload, payloadType }: { readonly payload: Uint8Array; readonly payloadType: string }): Uint8Array {
  const type = Buffer.from(payloadType);
  return Buffer.concat([Buffer.from(`DSSEv1 ${type.length} `), type, Buffer.from(` ${payload.length} `), payload]);
}

export function algorithmNamed(name: string): SignatureAlgorithm {
  const algorithm = SIGNATURE_ALGORITHMS.find((one) => one.name === name);
  if (algorithm === undefined) throw new Error(`no algorithm ${name}`);
  return algorithm;
}

/** A bundle of `testdata/real` and its log entry. */
export interface LoggedBundle {
  readonly name: string;
  readonly root: string;
  readonly entry: TransparencyLogEntry;
  readonly expected: EntryExpectation;
}

const real = (path: string): Buffer => readFileSync(new URL(`../../testdata/real/${path}`, import.meta.url));

interface ManifestCase {
  readonly name: string;
  readonly bundle: string;
  readonly root: string;
  readonly artifact: string;
  readonly algorithm: string;
  readonly signer: { readonly key?: string };
  readonly logEntries: readonly unknown[];
}

const { cases } = JSON.parse(real("manifest.json").toString()) as { readonly cases: readonly ManifestCase[] };

/** Every bundle of `testdata/real` that has a log entry. */
export const LOGGED: readonly string[] = cases
  .filter(({ logEntries }) => logEntries.length > 0)
  .map(({ name }) => name);

export function loggedBundle(name: string): LoggedBundle {
  const found = cases.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no bundle ${name}`);
  const bundle = parseBundle(real(found.bundle));
  const [entry] = bundle.verificationMaterial.tlogEntries;
  if (entry === undefined) throw new Error(`no log entry in ${name}`);
  const { key } = found.signer;
  const expected = expectationOf(
    bundle,
    real(found.artifact),
    key && real(key).toString(),
    algorithmNamed(found.algorithm),
  );
  return { name, root: `real/${found.root}/trusted_root.json`, entry, expected };
}

/** Returns the entry with its body changed; the order of fields stays, so that Rekor v2's is canonical still. */
export function withBody(entry: TransparencyLogEntry, edit: (body: Json) => Json): TransparencyLogEntry {
  const body = JSON.parse(Buffer.from(entry.canonicalizedBody).toString()) as Json;
  return { ...entry, canonicalizedBody: new TextEncoder().encode(JSON.stringify(edit(body))) };
}

/** Returns the entry with one value of its body set; the path is dotted. */
export function setIn(entry: TransparencyLogEntry, path: string, value: unknown): TransparencyLogEntry {
  return withBody(entry, (body) => change(body, path, value));
}

/** Returns the entry with one value of its body left out. */
export function unsetIn(entry: TransparencyLogEntry, path: string): TransparencyLogEntry {
  return withBody(entry, (body) => without(body, path));
}

/** Returns an object or list of the body. */
export function valueIn(entry: TransparencyLogEntry, path: string): Json {
  let value: unknown = JSON.parse(Buffer.from(entry.canonicalizedBody).toString());
  for (const key of path.split(".")) value = (value as Json)[key];
  if (typeof value !== "object") throw new Error(`no object at ${path}`);
  return value as Json;
}
