/**
 * Signatures and attestations of an image as they are kept, unproven.
 *
 * @module
 */

import { FormatError, PolicyError, VerificationError } from "../errors.ts";
import { IN_TOTO_PAYLOAD_TYPE, parseStatement } from "../intoto/statement.ts";
import { MAX_ATTACHMENT_BYTES } from "../limits.ts";
import { openSubject } from "./attach.ts";
import { readCandidates, type Candidate, type LegacyContent, type PlaceReport } from "./verification/candidates.ts";
import type { ContentDigest } from "./content-digest.ts";
import type { AttachmentOptions, ImageInput } from "./image-source.ts";
import type { Descriptor, Platform } from "./manifest.ts";

/** Configures what is fetched. */
export interface DownloadOptions extends AttachmentOptions {
  /** The manifest of this platform, in place of the index. */
  readonly platform?: string | Platform | undefined;
  /** Of attestations: those of this type alone. A URI. */
  readonly predicateType?: string | undefined;
  /** Bytes of one signature or attestation. */
  readonly maxBytes?: number | undefined;
}

/** Is a bundle that is attached to an image, or what came before bundles. Nothing of it is proven. */
export interface DownloadedContent {
  readonly place: Candidate["place"];
  /** The manifest that holds it. */
  readonly manifest: ContentDigest;
  readonly layer: Descriptor;
  /** What its statement says that it is about, where it is a statement. Claimed. */
  readonly predicateType?: string | undefined;
  readonly content: Extract<Candidate["content"], { kind: "bundle" }> | LegacyContent;
}

/** Is what was found. */
export interface DownloadedImage {
  /** As it was given. */
  readonly name: string;
  readonly pinned: string;
  readonly digest: ContentDigest;
  readonly found: readonly [DownloadedContent, ...DownloadedContent[]];
  /** What could not be read. */
  readonly malformed: readonly Candidate[];
  /** Where was looked, and what was passed over. */
  readonly places: readonly PlaceReport[];
}

/**
 * Fetches signatures of an image: all its bundles, attestations among them, or where it has none, what is under the tag
 * `sha256-….sig`.
 *
 * @throws VerificationError `SIGNATURE_NOT_FOUND`; ServiceError `IMAGE_NOT_FOUND` and those of the registry; FormatError `LIMIT_EXCEEDED`;
 * InputError `PLATFORM_NOT_FOUND`.
 * @see cosign, cmd/cosign/cli/download/signature.go
 */
export async function downloadSignatures(image: ImageInput, options: DownloadOptions = {}): Promise<DownloadedImage> {
  const { found, ...rest } = await download("signature", image, options);
  const bundles = found.filter(({ content }) => content.kind === "bundle");
  const [first, ...others] = bundles.length > 0 ? bundles : found;
  if (first === undefined) throw nothing("SIGNATURE_NOT_FOUND", "signature", rest);
  return { ...rest, found: [first, ...others] };
}

/**
 * Fetches attestations of an image: its bundles, then what is under the tag `sha256-….att`.
 *
 * @throws VerificationError `ATTESTATION_NOT_FOUND`; PolicyError `PREDICATE_TYPE_MISMATCH` where none is of the type; others as
 * {@link downloadSignatures}.
 * @see cosign, cmd/cosign/cli/download/attestation.go
 */
export async function downloadAttestations(image: ImageInput, options: DownloadOptions = {}): Promise<DownloadedImage> {
  const { found, ...rest } = await download("attestation", image, options);
  if (found.length === 0) throw nothing("ATTESTATION_NOT_FOUND", "attestation", rest);
  const { predicateType: wanted } = options;
  const [first, ...others] = found.filter(({ predicateType }) => wanted === undefined || predicateType === wanted);
  if (first === undefined)
    throw new PolicyError(
      "PREDICATE_TYPE_MISMATCH",
      `none of the attestations matched the predicate type: ${wanted ?? ""}`,
      {
        expected: wanted,
        found: [...new Set(found.map(({ predicateType = "no statement" }) => predicateType))].join(", ").slice(0, 1000),
      },
    );
  return { ...rest, found: [first, ...others] };
}

interface Downloaded extends Omit<DownloadedImage, "found"> {
  readonly found: readonly DownloadedContent[];
}

async function download(
  want: "signature" | "attestation",
  image: ImageInput,
  options: DownloadOptions,
): Promise<Downloaded> {
  const { opened, fetched } = await openSubject(image, options);
  const { digest } = fetched.descriptor;
  const { candidates, places } = await readCandidates(opened.attachments, digest, {
    want,
    format: "any",
    tagPrefix: options.attachmentTagPrefix,
    maxBytes: options.maxBytes ?? MAX_ATTACHMENT_BYTES,
  });
  const found: DownloadedContent[] = [];
  const malformed: Candidate[] = [];
  for (const { content, ...where } of candidates) {
    if (content.kind === "malformed") malformed.push({ content, ...where });
    else found.push({ ...where, predicateType: predicateTypeOf(content), content });
  }
  return { name: opened.name, pinned: `${opened.repository}@${digest}`, digest, found, malformed, places };
}

/** What cannot be read as a statement has no type; it is fetched all the same. */
function predicateTypeOf({ bundle }: DownloadedContent["content"]): string | undefined {
  if (bundle.content.kind !== "dsseEnvelope") return undefined;
  const { payload, payloadType } = bundle.content.envelope;
  if (payloadType !== IN_TOTO_PAYLOAD_TYPE) return undefined;
  try {
    return parseStatement(payload).predicateType;
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

function nothing(
  code: "SIGNATURE_NOT_FOUND" | "ATTESTATION_NOT_FOUND",
  what: string,
  { name, malformed, places }: Downloaded | Omit<Downloaded, "found">,
): VerificationError {
  const [first] = malformed.flatMap(({ content }) => (content.kind === "malformed" ? [content.error] : []));
  return new VerificationError(code, `no ${what} that can be read is attached to ${name}`, {
    expected: `something at ${places.map(({ location }) => location).join(", or at ")}`,
    found: malformed.length === 0 ? "nothing" : `${malformed.length} that cannot be read: ${first?.message ?? ""}`,
    cause: first,
  });
}
