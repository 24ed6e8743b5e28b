/**
 * What a verification costs beside its own signature checks, and beside `@sigstore/verify`. Everything in one run, alternating, so
 * that a busy machine slows all alike; the best of many rounds, because noise only ever adds.
 *
 * @module
 */

import { bundleFromJSON } from "@sigstore/bundle";
import { TrustedRoot as ProtoTrustedRoot } from "@sigstore/protobuf-specs";
import { toSignedEntity, toTrustMaterial, Verifier as PeerVerifier } from "@sigstore/verify";
import * as nodeCrypto from "node:crypto";

import { createNodeProvider } from "../src/crypto/node-provider.ts";
import type { CryptoProvider } from "../src/crypto/provider.ts";
import { Verifier } from "../src/verify/verifier.ts";
import type { VerifyPolicy } from "../src/verify/options.ts";
import { REAL_ROOTS, realBytes, realCase, realPolicy } from "../test/support/real.ts";

const CASES: readonly (readonly [label: string, name: string])[] = [
  ["v0.3 blob, Rekor v1", "a/blob-v1-email-no-timestamp"],
  ["v0.3 DSSE, Rekor v1", "a/attestation-v1-email-no-timestamp"],
  ["v0.3 blob, Rekor v2 + TSA", "a/blob-v2-email"],
  ["v0.3 DSSE, Rekor v2 + TSA", "a/attestation-v2-email"],
  ["managed key, Rekor v1", "a/blob-v1-key-p256-no-timestamp"],
];
const ROUNDS = 60;
const PER_ROUND = 10;
const IN_FLIGHT = 8;
const PARALLEL = 200;

type SignatureCheck = Parameters<CryptoProvider["verify"]>;

/** Is one row of the table. Times in microseconds. */
export interface VerifyRow {
  readonly label: string;
  readonly checks: number;
  readonly rawUs: number;
  readonly oursUs: number;
  readonly peerUs: number;
  /** Verifications per second: on one thread, and over the thread pool. */
  readonly inlinePerSecond: number;
  readonly pooledPerSecond: number;
}

/** Measures every case. */
export async function benchVerify(): Promise<readonly VerifyRow[]> {
  const rows: VerifyRow[] = [];
  for (const [label, name] of CASES) rows.push(await measure(label, name));
  return rows;
}

async function measure(label: string, name: string): Promise<VerifyRow> {
  const one = realCase(name);
  const bundle = realBytes(one.bundle);
  const artifact = realBytes(one.artifact);
  const policy = realPolicy(one);
  const trustedRoot = REAL_ROOTS[one.root];
  const inline = createNodeProvider(nodeCrypto, { threadPool: false });

  const checks = await recordChecks(
    inline,
    (crypto) => Verifier.create(trustedRoot, { crypto }),
    (verifier) => verifier.verify(bundle, artifact, policy),
  );
  const raw = prepareRaw(checks);
  const peer = preparePeer(name, bundle, artifact);
  let [rawMs, oursMs, peerMs] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let round = 0; round < ROUNDS; round += 1) {
    // A verifier of its own for each, so that nothing about the certificate is remembered.
    const verifiers = await Promise.all(
      Array.from({ length: PER_ROUND }, () => Verifier.create(trustedRoot, { crypto: inline })),
    );
    rawMs = Math.min(rawMs, time(() => repeat(PER_ROUND, raw)) / PER_ROUND);
    const start = performance.now();
    for (const verifier of verifiers) await verifier.verify(bundle, artifact, policy);
    oursMs = Math.min(oursMs, (performance.now() - start) / PER_ROUND);
    if (round < ROUNDS / 3) peerMs = Math.min(peerMs, time(peer));
  }
  const [inlinePerSecond, pooledPerSecond] = await throughput(trustedRoot, bundle, artifact, policy);
  return {
    label,
    checks: checks.length,
    rawUs: rawMs * 1000,
    oursUs: oursMs * 1000,
    peerUs: peerMs * 1000,
    inlinePerSecond,
    pooledPerSecond,
  };
}

async function throughput(
  trustedRoot: (typeof REAL_ROOTS)["a"],
  bundle: Uint8Array,
  artifact: Uint8Array,
  policy: VerifyPolicy,
): Promise<readonly [inline: number, pooled: number]> {
  const best = [0, 0];
  for (let round = 0; round < 5; round += 1) {
    for (const [index, threadPool] of [false, true].entries()) {
      const crypto = createNodeProvider(nodeCrypto, { threadPool });
      const verifiers = await Promise.all(
        Array.from({ length: PARALLEL }, () => Verifier.create(trustedRoot, { crypto })),
      );
      const start = performance.now();
      await Promise.all(
        Array.from({ length: IN_FLIGHT }, async () => {
          for (let verifier = verifiers.pop(); verifier !== undefined; verifier = verifiers.pop())
            await verifier.verify(bundle, artifact, policy);
        }),
      );
      best[index] = Math.max(best[index] ?? 0, PARALLEL / ((performance.now() - start) / 1000));
    }
  }
  return [best[0] ?? 0, best[1] ?? 0];
}

async function recordChecks(
  provider: CryptoProvider,
  create: (crypto: CryptoProvider) => Promise<Verifier>,
  use: (verifier: Verifier) => Promise<unknown>,
): Promise<readonly SignatureCheck[]> {
  const checks: SignatureCheck[] = [];
  const verifier = await create({
    name: provider.name,
    digest: (algorithm, data) => provider.digest(algorithm, data),
    createDigest: (algorithm) => provider.createDigest(algorithm),
    supports: (algorithm) => provider.supports(algorithm),
    verifyDigest: (...check) => provider.verifyDigest(...check),
    verify(...check) {
      checks.push(check);
      return provider.verify(...check);
    },
  });
  checks.length = 0; // what depends on the root alone was done at its loading
  await use(verifier);
  return checks;
}

/** The same checks with node:crypto alone, keys imported beforehand. */
function prepareRaw(checks: readonly SignatureCheck[]): () => void {
  const prepared = checks.map(([algorithm, key, signature, data]) => ({
    hash: algorithm.hash,
    key: nodeCrypto.createPublicKey({ key: Buffer.from(key.spki), format: "der", type: "spki" }),
    signature,
    data,
  }));
  return () => {
    for (const { hash, key, signature, data } of prepared) {
      if (!nodeCrypto.verify(hash, data, key, signature)) throw new Error("a recorded check does not verify");
    }
  };
}

function preparePeer(name: string, bundle: Uint8Array, artifact: Uint8Array): () => void {
  const one = realCase(name);
  const root = ProtoTrustedRoot.fromJSON(
    JSON.parse(new TextDecoder().decode(realBytes(`${one.root}/trusted_root.json`))),
  );
  const { signer } = one;
  const keyed = signer.kind !== "certificate";
  const key = keyed ? nodeCrypto.createPublicKey(new TextDecoder().decode(realBytes(signer.key))) : undefined;
  const material =
    key === undefined ? toTrustMaterial(root) : toTrustMaterial(root, () => ({ publicKey: key, validFor: () => true }));
  const verifier = new PeerVerifier(material, { ctlogThreshold: keyed ? 0 : 1, timestampThreshold: keyed ? 0 : 1 });
  const policy = keyed ? undefined : { subjectAlternativeName: signer.identity, extensions: { issuer: signer.issuer } };
  const text = new TextDecoder().decode(bundle);
  return () => {
    const parsed = bundleFromJSON(JSON.parse(text));
    verifier.verify(
      toSignedEntity(parsed, parsed.content.$case === "messageSignature" ? Buffer.from(artifact) : undefined),
      policy,
    );
  };
}

function time(body: () => void): number {
  const start = performance.now();
  body();
  return performance.now() - start;
}

function repeat(times: number, body: () => void): void {
  for (let index = 0; index < times; index += 1) body();
}
