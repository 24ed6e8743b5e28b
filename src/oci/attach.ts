/**
 * Attaching to an image what was signed before: bundles, and signatures and attestations in older forms.
 *
 * @module
 */

import { BUNDLE_MEDIA_TYPE, parseBundle, type Bundle } from "../bundle/bundle.ts";
import { assembleBundle } from "../bundle/legacy.ts";
import { parseEnvelope } from "../dsse/envelope.ts";
import type { JsonValue } from "../encoding/json.ts";
import { parseJson } from "../encoding/json.ts";
import { FormatError, PolicyError, ServiceError } from "../errors.ts";
import { findSubject, IN_TOTO_PAYLOAD_TYPE, parseStatement } from "../intoto/statement.ts";
import { MAX_BUNDLE_BYTES, MAX_IMAGE_SIGNATURES } from "../limits.ts";
import { attachBundle } from "./bundle-referrer.ts";
import { contentDigestOf, fromDigest, toDigest, type ContentDigest } from "./content-digest.ts";
import type { FetchedManifest } from "./content-store.ts";
import type { WriterOptions } from "./contended-tag.ts";
import type { DetachedSignature } from "./legacy/detached-signature.ts";
import { selectPlatform } from "./image-index.ts";
import { openImage, type AttachmentOptions, type ImageInput, type OpenedImage } from "./image-source.ts";
import { toLegacyLayer, type LegacyLayer } from "./legacy/legacy-layer.ts";
import { appendLegacyLayer, type LegacyManifestOptions } from "./legacy/legacy-manifest.ts";
import type { Platform } from "./manifest.ts";
import { DSSE_ENVELOPE, PREDICATE_TYPE_ANNOTATION, SIGNATURE_ANNOTATION } from "./media-types.ts";
import type { Attached } from "./sign-image.ts";
import { parseSimpleSigning, serializeSimpleSigning } from "./legacy/simple-signing.ts";

/** Configures what is attached, and to what. */
export interface AttachOptions extends AttachmentOptions, WriterOptions {
  /** The manifest of this platform, in place of the index. */
  readonly platform?: string | Platform | undefined;
  /** Default: what is attached must be about the image. */
  readonly subject?: "image" | "unsafe-any" | undefined;
  /** For a layer under a tag: see {@link LegacyManifestOptions}. */
  readonly legacy?: Pick<LegacyManifestOptions, "created" | "dockerMediaTypes"> | undefined;
  /** Default: the clock, for the time in an annotation. */
  readonly now?: (() => Date) | undefined;
}

/** Is what became of each thing that was to be attached. */
export interface AttachedToImage {
  /** As it was given. */
  readonly name: string;
  /** `registry/repository@sha256:…`: what it is attached to. */
  readonly pinned: string;
  readonly digest: ContentDigest;
  readonly attached: readonly Attached[];
}

/** Is one thing of a file with attestations. */
type Attestation =
  | { readonly kind: "bundle"; readonly bundle: Bundle; readonly json: Uint8Array }
  | {
      readonly kind: "envelope";
      readonly layer: LegacyLayer;
      readonly payloadType: string;
      readonly payload: Uint8Array;
    };

/**
 * Attaches bundles, and DSSE envelopes from before there were bundles, to an image: all of them, or where one cannot be read or is
 * about something else, none. Signatures are not verified.
 *
 * @param files - Each with one or more JSON objects, one after the other: bundles of version 0.3, which become referrers, or envelopes,
 * which are put under the tag `sha256-….att`. They are kept byte for byte.
 * @throws PolicyError `SUBJECT_MISMATCH`; FormatError of a file: `BUNDLE_MALFORMED`, `BUNDLE_MEDIA_TYPE_UNSUPPORTED`, `ENVELOPE_MALFORMED`,
 * `STATEMENT_MALFORMED`; ServiceError `IMAGE_NOT_FOUND`, `REGISTRY_UPDATE_LOST`, `REGISTRY_TAG_IMMUTABLE`, and those of the registry.
 * @see cosign, cmd/cosign/cli/attach/attestation.go
 */
export async function attachAttestations(
  image: ImageInput,
  files: readonly Uint8Array[],
  options: AttachOptions = {},
): Promise<AttachedToImage> {
  const attestations = files.flatMap(readAttestations);
  const { opened, fetched } = await openSubject(image, options);
  const { digest } = fetched.descriptor;
  if (options.subject !== "unsafe-any") for (const one of attestations) requireAbout(opened, digest, one);
  const attached: Attached[] = [];
  for (const one of attestations) attached.push(await attachOne(opened, fetched, one, options));
  return { name: opened.name, pinned: `${opened.repository}@${digest}`, digest, attached };
}

/**
 * Attaches a signature from before bundles: a layer under the tag `sha256-….sig`. It is not verified.
 *
 * @throws PolicyError `SUBJECT_MISMATCH`; FormatError `SIMPLE_SIGNING_MALFORMED`, `BUNDLE_MALFORMED` for a log entry that gives no promise;
 * ServiceError as {@link attachAttestations}.
 * @see cosign, cmd/cosign/cli/attach/sig.go
 */
export async function attachSignature(
  image: ImageInput,
  signature: DetachedSignature,
  options: AttachOptions = {},
): Promise<AttachedToImage> {
  const bundle = assembleBundle(signature);
  if (bundle.content.kind !== "messageSignature")
    throw new FormatError("BUNDLE_MALFORMED", "this is an attestation, not a signature of an image", {
      remedy: "attach it with attach attestation",
    });
  const { opened, fetched } = await openSubject(image, options);
  const { digest } = fetched.descriptor;
  const payload = signature.payload ?? serializeSimpleSigning(opened.repository, digest);
  if (options.subject !== "unsafe-any") {
    const { dockerManifestDigest } = parseSimpleSigning(payload);
    if (dockerManifestDigest !== digest) throw aboutAnother(opened, digest, dockerManifestDigest);
  }
  const layer = toLegacyLayer({ bundle, payload, chain: signature.chain });
  const attached = [await appendLayer(opened, digest, "sig", layer, options)];
  return { name: opened.name, pinned: `${opened.repository}@${digest}`, digest, attached };
}

/**
 * Finds what something is to be attached to.
 *
 * @throws ServiceError `IMAGE_NOT_FOUND`; InputError `REFERENCE_MALFORMED`, `PLATFORM_NOT_FOUND`.
 */
export async function openSubject(
  image: ImageInput,
  options: AttachmentOptions & Pick<AttachOptions, "platform">,
): Promise<{ readonly opened: OpenedImage; readonly fetched: FetchedManifest }> {
  const opened = openImage(image, options);
  const root = await opened.store.fetchManifest(opened.reference);
  if (root === undefined)
    throw new ServiceError("IMAGE_NOT_FOUND", `image tag not found: ${opened.name}`, {
      status: 404,
      found: "no such tag or digest",
      remedy: "push the image first: what is attached names its digest",
    });
  const { platform } = options;
  return {
    opened,
    fetched: platform === undefined ? root : (await selectPlatform(opened.store, root, platform)).fetched,
  };
}

async function attachOne(
  opened: OpenedImage,
  { descriptor: subject }: FetchedManifest,
  attestation: Attestation,
  options: AttachOptions,
): Promise<Attached> {
  if (attestation.kind === "envelope")
    return await appendLayer(opened, subject.digest, "att", attestation.layer, options);
  const { now = () => new Date() } = options;
  const { attachments } = opened;
  const { bundle, json } = attestation;
  const { descriptor, via } = await attachBundle(attachments, subject, bundle, json, now(), options);
  return { descriptor, via, location: `${attachments.name}@${descriptor.digest}` };
}

async function appendLayer(
  { attachments }: OpenedImage,
  digest: ContentDigest,
  kind: "sig" | "att",
  layer: LegacyLayer,
  options: AttachOptions,
): Promise<Attached> {
  const legacyOptions = { ...options, ...options.legacy, tagPrefix: options.attachmentTagPrefix };
  const tag = await appendLegacyLayer(attachments, digest, kind, layer, legacyOptions);
  return { via: kind === "sig" ? "signature-tag" : "attestation-tag", location: `${attachments.name}:${tag}` };
}

function requireAbout(opened: OpenedImage, digest: ContentDigest, attestation: Attestation): void {
  const content =
    attestation.kind === "bundle"
      ? attestation.bundle.content
      : ({ kind: "dsseEnvelope", envelope: attestation } as const);
  if (content.kind === "messageSignature") {
    const { messageDigest: named } = content;
    const found = named && fromDigest({ algorithm: named.algorithm, value: named.digest });
    if (found !== digest) throw aboutAnother(opened, digest, found ?? "no digest of what was signed");
    return;
  }
  const { payloadType, payload } = content.envelope;
  if (payloadType !== IN_TOTO_PAYLOAD_TYPE) {
    const type = JSON.stringify(payloadType.slice(0, 160));
    throw aboutAnother(opened, digest, `a payload of type ${type}, which names no subject`);
  }
  const statement = parseStatement(payload);
  if (findSubject(statement, [toDigest(digest)]) !== undefined) return;
  const names = statement.subject.map((subject) => JSON.stringify(subject.digest)).join(", ");
  throw aboutAnother(opened, digest, names === "" ? "no subject" : names.slice(0, 300));
}

function aboutAnother(opened: OpenedImage, digest: ContentDigest, found: string): PolicyError {
  return new PolicyError("SUBJECT_MISMATCH", `what is to be attached is not about ${opened.name}`, {
    expected: digest,
    found,
    remedy: "name the image that it is about; nothing was attached",
  });
}

/** Reads what a file holds, each with the bytes that it has there. */
function readAttestations(file: Uint8Array): readonly Attestation[] {
  const attestations = splitJsonObjects(file).map(readAttestation);
  if (attestations.length > 0) return attestations;
  throw new FormatError("ENVELOPE_MALFORMED", "file holds no attestation", {
    expected: "a Sigstore bundle, or DSSE envelopes as JSON",
    found: file.length === 0 ? "nothing" : "white space",
  });
}

function readAttestation(json: Uint8Array): Attestation {
  const value = parseJson(json, { what: "attestation", code: "ENVELOPE_MALFORMED", maxBytes: MAX_BUNDLE_BYTES });
  if (isBundle(value)) {
    const bundle = parseBundle(json);
    if (bundle.mediaType === BUNDLE_MEDIA_TYPE) return { kind: "bundle", bundle, json };
    throw new FormatError("BUNDLE_MEDIA_TYPE_UNSUPPORTED", "bundle cannot be kept in a registry", {
      expected: BUNDLE_MEDIA_TYPE,
      found: bundle.mediaType,
      remedy: "bring it to the current version with cosign-ts bundle upgrade",
    });
  }
  const { payload, payloadType } = parseEnvelope(json);
  const predicateType = payloadType === IN_TOTO_PAYLOAD_TYPE ? parseStatement(payload).predicateType : undefined;
  const annotations = {
    [SIGNATURE_ANNOTATION]: "",
    ...(predicateType !== undefined && { [PREDICATE_TYPE_ANNOTATION]: predicateType }),
  };
  const descriptor = { mediaType: DSSE_ENVELOPE, digest: contentDigestOf(json), size: json.length, annotations };
  return { kind: "envelope", payload, payloadType, layer: { bytes: json, descriptor } };
}

function isBundle(value: JsonValue): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value) && Object.hasOwn(value, "mediaType");
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * Cuts a file where one object ends and the next begins; whether the pieces are JSON is for their parsers. A byte of a character that is
 * longer than one is never one of those that are looked for.
 */
function splitJsonObjects(file: Uint8Array): readonly Uint8Array[] {
  const pieces: Uint8Array[] = [];
  let start = 0;
  let depth = 0;
  let inString = false;
  for (let at = 0; at < file.length; at++) {
    const byte = file[at];
    if (inString) {
      if (byte === BACKSLASH) at++;
      else if (byte === QUOTE) inString = false;
    } else if (byte === QUOTE) inString = true;
    else if (byte === 0x7b || byte === 0x5b) depth++;
    else if ((byte === 0x7d || byte === 0x5d) && --depth === 0) {
      pieces.push(trim(file.subarray(start, at + 1)));
      start = at + 1;
      if (pieces.length > MAX_IMAGE_SIGNATURES)
        throw new FormatError("LIMIT_EXCEEDED", `file holds more than ${MAX_IMAGE_SIGNATURES} attestations`);
    }
  }
  const rest = trim(file.subarray(start));
  return rest.length === 0 ? pieces : [...pieces, rest];
}

function trim(bytes: Uint8Array): Uint8Array {
  const isSpace = (byte: number | undefined): boolean =>
    byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d;
  let [start, end] = [0, bytes.length];
  while (start < end && isSpace(bytes[start])) start++;
  while (end > start && isSpace(bytes[end - 1])) end--;
  return bytes.subarray(start, end);
}
