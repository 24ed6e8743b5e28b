/**
 * What a caller has of signatures from before bundles beside what is in a registry: a whole signature, or the certificates of one.
 *
 * @module
 */

import { assembleBundle, requireSameSigner, type ClaimedSigner, type SignatureParts } from "../../bundle/legacy.ts";
import { FormatError } from "../../errors.ts";
import { parseCertificate, type Certificate } from "../../x509/certificate.ts";
import type { Candidate, LegacyContent } from "../verification/candidates.ts";
import { contentDigestOf, type ContentDigest } from "../content-digest.ts";
import { SIMPLE_SIGNING } from "../media-types.ts";
import { serializeSimpleSigning } from "./simple-signing.ts";

/** Is a signature from before bundles, in parts. */
export interface DetachedSignature extends SignatureParts {
  /** What was signed. Default: the payload that cosign makes for the image, without annotations. */
  readonly payload?: Uint8Array | undefined;
  /** DER, from the issuer of the certificate to the root. */
  readonly chain?: readonly Uint8Array[] | undefined;
}

/** Is what signatures from before bundles may come without. None of it is believed because it is given. */
export interface LegacyMaterial {
  /** The certificate of the signer. What comes with another one is refused. */
  readonly certificate?: Certificate | undefined;
  /** Certificates that may link that of the signer to an authority of the trusted root, in place of those that come with it. */
  readonly intermediates?: readonly Certificate[] | undefined;
}

/**
 * Makes a candidate of a signature that the caller has.
 *
 * @param repository - What the payload names, where it is not given.
 * @throws {@link FormatError} `BUNDLE_MALFORMED` for an attestation; and as `assembleBundle`.
 */
export function toCandidate(
  { payload: given, chain = [], ...signature }: DetachedSignature,
  repository: string,
  digest: ContentDigest,
): Candidate {
  const intermediates = [...(signature.intermediates ?? []), ...chain.map((der) => parseCertificate(der))];
  const parts: SignatureParts = { ...signature, intermediates };
  const bundle = assembleBundle(parts);
  if (bundle.content.kind !== "messageSignature")
    throw new FormatError("BUNDLE_MALFORMED", "this is an attestation, not a signature of an image");
  const payload = given ?? serializeSimpleSigning(repository, digest);
  return {
    place: "detached",
    manifest: undefined,
    layer: { mediaType: SIMPLE_SIGNING, digest: contentDigestOf(payload), size: payload.length },
    content: { kind: "simple-signing", bundle, parts, payload },
  };
}

/**
 * Adds what the caller has to a signature from before bundles.
 *
 * @throws VerificationError `CERTIFICATE_MISMATCH`.
 */
export function completeLegacy(
  content: LegacyContent,
  { certificate, intermediates = [] }: LegacyMaterial,
): LegacyContent {
  if (certificate === undefined && intermediates.length === 0) return content;
  const { signer } = content.parts;
  const given: ClaimedSigner | undefined = certificate && { kind: "certificate", certificate };
  if (given !== undefined) requireSameSigner(signer, given);
  const parts: SignatureParts = {
    ...content.parts,
    signer: given ?? signer,
    ...(intermediates.length > 0 && { intermediates }),
  };
  return { ...content, parts, bundle: assembleBundle(parts) };
}
