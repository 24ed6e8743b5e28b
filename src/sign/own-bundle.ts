/**
 * What a finished bundle is verified against before anybody gets it.
 *
 * @module
 */

import type { Digest } from "../crypto/digest.ts";
import { tryDecodeHex } from "../encoding/hex.ts";
import type { Statement } from "../intoto/statement.ts";
import type { Artifact } from "../verify/artifact.ts";
import { readIdentityClaims } from "../verify/identity.ts";
import type { VerifierOptions, VerifyPolicy } from "../verify/options.ts";
import type { SigningContent } from "./artifact.ts";
import type { Draft } from "./draft.ts";
import type { Settings } from "./settings.ts";

/** Says who must have signed: whoever this session signed for. */
export function policyFor({ material, publicKey }: Draft): VerifyPolicy {
  if (material.kind === "public-key") return { keys: [{ publicKey }] };
  const { certificate, detachedScts } = material;
  const { names, extensions } = readIdentityClaims(certificate);
  const [name] = names;
  const identity =
    name === undefined || extensions.issuer === undefined
      ? "unsafe-any"
      : { subjectAlternativeName: name.value, issuer: extensions.issuer };
  return { identity, ...(detachedScts.length > 0 && { detachedScts }) };
}

/** Says how strictly: as the services that were asked allow. */
export function verifierOptionsFor(
  { material, services, timestamps, entries }: Draft,
  { signer, sctThreshold, now }: Settings,
): VerifierOptions {
  if (signer.kind === "keyless") return { thresholds: { sct: sctThreshold } };
  const timed =
    timestamps.size > 0 || services.rekor.some(({ url, majorApiVersion }) => majorApiVersion === 1 && entries.has(url));
  const hasChain = material.kind === "certificate" && material.intermediates.length > 0;
  return {
    thresholds: { sct: 0 }, // only Fulcio embeds them
    ...(hasChain && { allowCertificateChain: true }),
    ...(material.kind === "certificate" && !timed && { time: { kind: "current-time", now: now() } }),
  };
}

/** Gives what the signature is said to be over. */
export function artifactOf(content: SigningContent): Artifact {
  if (content.kind === "message") return content.bytes ?? { digests: [content.digest] };
  const digest = strongestDigest(content.statement);
  // A statement about a commit, say, which no verifier could bind to an artifact.
  return digest === undefined ? "unsafe-any" : { digests: [digest] };
}

function strongestDigest({ subject }: Statement): Digest | undefined {
  for (const { digest } of subject) {
    for (const algorithm of ["sha512", "sha384", "sha256"] as const) {
      const value = Object.hasOwn(digest, algorithm)
        ? tryDecodeHex((digest[algorithm] ?? "").toLowerCase())
        : undefined;
      if (value !== undefined) return { algorithm, value };
    }
  }
  return undefined;
}
