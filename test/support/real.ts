/**
 * Bundles that the real cosign made, with what its manifest says of them: see `testdata/real/README.md`.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parsePublicKeyPem } from "../../src/crypto/public-key.ts";
import { parseTrustedRoot, type TrustedRoot } from "../../src/trust/trusted-root.ts";
import type { VerifierOptions, VerifyPolicy } from "../../src/verify/options.ts";
import type { Json } from "./json-edits.ts";

export interface RealCase {
  readonly name: string;
  readonly bundle: string;
  readonly root: "a" | "b";
  readonly artifact: string;
  readonly alsoCovers?: readonly string[];
  readonly content: "messageSignature" | "dsseEnvelope";
  readonly predicateType?: string;
  readonly signer:
    | {
        readonly kind: "certificate";
        readonly identity: string;
        readonly issuer: string;
        readonly certificateSha256: string;
        readonly extensions: Readonly<Record<string, string>>;
      }
    | { readonly kind: "key" | "public-key"; readonly key: string };
  readonly algorithm: string;
  readonly logEntries: readonly {
    readonly generation: 1 | 2;
    readonly kind: string;
    readonly version: string;
    readonly logIndex: string;
    readonly treeSize: string;
    readonly integratedTime?: string;
  }[];
  readonly timestamps: number;
  readonly verifiedTimestamps?: readonly { readonly type: string; readonly uri: string; readonly timestamp: string }[];
}

export function realPath(path: string): string {
  return fileURLToPath(new URL(`../../testdata/real/${path}`, import.meta.url));
}

export function realBytes(path: string): Uint8Array {
  return new Uint8Array(readFileSync(realPath(path)));
}

/** Every case of the manifest. */
export const REAL_CASES: readonly RealCase[] = (
  JSON.parse(readFileSync(realPath("manifest.json"), "utf8")) as { readonly cases: RealCase[] }
).cases;

export function realCase(name: string): RealCase {
  const found = REAL_CASES.find((one) => one.name === name);
  if (found === undefined) throw new Error(`testdata/real has no case ${name}`);
  return found;
}

/** A bundle as JSON of the caller's own, to change. */
export function realBundle(name: string): Json {
  return JSON.parse(readFileSync(realPath(realCase(name).bundle), "utf8")) as Json;
}

export const REAL_ROOTS: { readonly a: TrustedRoot; readonly b: TrustedRoot } = {
  a: parseTrustedRoot(realBytes("a/trusted_root.json")),
  b: parseTrustedRoot(realBytes("b/trusted_root.json")),
};

/** The policy that names the signer exactly. */
export function realPolicy({ signer, predicateType }: RealCase): VerifyPolicy {
  const type = predicateType === undefined ? {} : { predicateType };
  return signer.kind === "certificate"
    ? { identity: { subjectAlternativeName: signer.identity, issuer: signer.issuer }, ...type }
    : {
        keys: [{ publicKey: parsePublicKeyPem(new TextDecoder().decode(realBytes(signer.key))), name: signer.key }],
        ...type,
      };
}

/** No log is asked of a bundle that was made without one. */
export function realOptions({ logEntries }: RealCase): VerifierOptions {
  return logEntries.length === 0 ? { thresholds: { tlog: 0 } } : {};
}
