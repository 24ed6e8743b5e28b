/**
 * Signing and attesting images: a statement about each digest, signed in one session, and attached to it.
 *
 * @module
 */

import { findSubject, parseStatement } from "../intoto/statement.ts";
import { buildStatement } from "../intoto/build-statement.ts";
import { encodeUtf8 } from "../encoding/utf8.ts";
import { FormatError, InputError, PolicyError } from "../errors.ts";
import type { SignatureOptions, SignedBundle, SigningOptions } from "../sign/options.ts";
import { SigningSession } from "../sign/session.ts";
import { legacySignature } from "../bundle/legacy.ts";
import { attachmentTag } from "./attachment-tags.ts";
import { attachBundle } from "./bundle-referrer.ts";
import { toDigest, type ContentDigest } from "./content-digest.ts";
import type { WriterOptions } from "./contended-tag.ts";
import type { AttachmentOptions, ImageInput, OpenedImage } from "./image-source.ts";
import { toLegacyLayer, type LegacyLayer } from "./legacy/legacy-layer.ts";
import { appendLegacyLayer, attachLegacyLayer, type LegacyManifestOptions } from "./legacy/legacy-manifest.ts";
import { isSignedAlready } from "./legacy/repeated-signature.ts";
import type { Descriptor, Platform } from "./manifest.ts";
import { SIGN_PREDICATE_TYPE } from "./media-types.ts";
import {
  findSigningTargets,
  requirePush,
  type SigningTarget,
  type SigningTargets,
  type TargetOptions,
} from "./signing-targets.ts";
import { serializeSimpleSigning } from "./legacy/simple-signing.ts";

/**
 * Says how a signature is kept: as a bundle; or, for readers from before bundles, as a layer under a tag, or in a manifest of its own
 * (`oci-1-1`). The older two hold no entry of Rekor v2.
 */
export type StorageFormat = "bundle" | "legacy" | "oci-1-1";

/** Configures where and how signatures of images are kept. */
export interface ImageSigningOptions extends AttachmentOptions, TargetOptions, WriterOptions {
  /** Default `bundle`. */
  readonly format?: StorageFormat | undefined;
  /** Whether it is attached to the image. Default true; without it the caller keeps the bundle. */
  readonly upload?: boolean | undefined;
  /** For the older formats: what the image is called in the payload. Default: its repository. */
  readonly containerIdentity?: string | undefined;
  /** For `legacy`: see {@link LegacyManifestOptions}. */
  readonly legacy?: Pick<LegacyManifestOptions, "created" | "dockerMediaTypes"> | undefined;
  /** For attestations in the format `legacy`: takes away those with the same predicate type. Default false. */
  readonly replace?: boolean | undefined;
  /** Is given each signature before it is attached: should that fail, it is not lost. What it throws ends the work. */
  readonly deliver?: ((signed: SignedBundle, digest: ContentDigest) => void | Promise<void>) | undefined;
  /** Default: the clock, for the time in an annotation. */
  readonly now?: (() => Date) | undefined;
}

/** Says with what is signed: options for a session, or one that is open and stays so. */
export type SigningChoice = SigningOptions | { readonly session: SigningSession };

/** Is where a signature is found. */
export interface Attached {
  /** The manifest of a referrer; absent for a layer under a tag. */
  readonly descriptor?: Descriptor | undefined;
  readonly via: "referrers-api" | "referrers-tag" | "layout" | "signature-tag" | "attestation-tag" | "sbom-tag";
  /** `registry/repository@sha256:…`, or `registry/repository:sha256-….sig`. */
  readonly location: string;
}

/** Is a digest that was signed. */
export interface SignedDigest {
  readonly digest: ContentDigest;
  readonly platform?: Platform | undefined;
  readonly signed: SignedBundle;
  /** Absent with `upload: false`. */
  readonly attached?: Attached | undefined;
}

/** Is an image that was signed. */
export interface SignedImage {
  /** As it was given. */
  readonly name: string;
  /** `registry/repository@sha256:…`: what was signed. */
  readonly pinned: string;
  readonly digest: ContentDigest;
  readonly signatures: readonly [SignedDigest, ...SignedDigest[]];
}

/** Says what an attestation states. */
export type ImageStatement =
  /** A predicate about each digest that is signed. JSON text, which is signed as it is written. */
  | { readonly predicateType: string; readonly predicate: string | Uint8Array }
  /** A whole statement, byte for byte, which must be about the image. */
  | { readonly statement: string | Uint8Array };

/**
 * Signs an image: its digest, or with `recursive` that of everything below it, in one session.
 *
 * @param options - With `annotations`: what is signed along with the digest.
 * @throws ServiceError `IMAGE_NOT_FOUND`, `REGISTRY_UNAUTHORIZED` before anything becomes public, `REGISTRY_UPDATE_LOST`,
 * `REGISTRY_TAG_IMMUTABLE`; InputError `REFERENCE_MALFORMED`, `USAGE_INVALID`; and as `SigningSession`.
 * @see cosign, pkg/cosign/bundle/sign.go; sigstore/cosign specs/SIGNATURE_SPEC.md
 */
export async function signImage(
  image: ImageInput,
  options: ImageSigningOptions &
    SigningChoice & { readonly annotations?: Readonly<Record<string, string>> | undefined },
): Promise<SignedImage> {
  const targets = await findSigningTargets(image, options);
  if (options.upload !== false) await requirePush(targets.opened);
  return await inSession(options, async (session) =>
    collect(targets, await each(targets, (target) => signTarget(targets.opened, target, session, options))),
  );
}

/**
 * Attests something about an image: a statement about its digest, or with `recursive` one about everything below it.
 *
 * @throws as {@link signImage}; PolicyError `SUBJECT_MISMATCH` for a statement that is about something else; FormatError
 * `STATEMENT_MALFORMED`.
 */
export async function attestImage(
  image: ImageInput,
  statement: ImageStatement,
  options: ImageSigningOptions & SigningChoice,
): Promise<SignedImage> {
  const targets = await findSigningTargets(image, options);
  const statements = targets.targets.map(({ subject }) => statementAbout(targets.opened, subject, statement));
  if (options.upload !== false) await requirePush(targets.opened);
  return await inSession(options, async (session) =>
    collect(
      targets,
      await each(targets, (target, index) =>
        attestTarget(targets.opened, target, statements[index] ?? new Uint8Array(0), session, options),
      ),
    ),
  );
}

/**
 * Signs one digest and attaches the signature.
 *
 * @param signatureOptions - With `state`, a signature that could not be attached is gone on from, and not made public again.
 * @throws as {@link signImage}.
 */
export async function signTarget(
  opened: OpenedImage,
  target: SigningTarget,
  session: SigningSession,
  options: ImageSigningOptions & { readonly annotations?: Readonly<Record<string, string>> | undefined },
  signatureOptions: SignatureOptions = {},
): Promise<SignedDigest> {
  const { annotations = {}, format = "bundle" } = options;
  const { digest } = target.subject;
  if (format === "bundle") {
    const statement = signStatement(digest, annotations);
    return await signAndKeep(target, options, signatureOptions, {
      sign: (delivery) => session.attest(statement, delivery),
      keep: (signed) => attached(opened, target, signed, undefined, options),
    });
  }
  requireHoldable(session);
  const payload = serializeSimpleSigning(options.containerIdentity ?? opened.repository, digest, annotations);
  return await signAndKeep(target, options, signatureOptions, {
    sign: (delivery) => session.sign(payload, delivery),
    keep: (signed) => {
      const layer = toLegacyLayer({ bundle: signed.bundle, payload, chain: chainOf(signed) });
      return attached(opened, target, signed, layer, options);
    },
  });
}

/**
 * Signs a statement about one digest and attaches it.
 *
 * @throws as {@link attestImage}.
 */
export async function attestTarget(
  opened: OpenedImage,
  target: SigningTarget,
  statement: Uint8Array,
  session: SigningSession,
  options: ImageSigningOptions,
  signatureOptions: SignatureOptions = {},
): Promise<SignedDigest> {
  const { format = "bundle" } = options;
  if (format === "oci-1-1")
    throw new InputError("USAGE_INVALID", "attestations have never been kept in the format oci-1-1", {
      remedy: "keep it as a bundle",
    });
  if (format === "legacy") requireHoldable(session);
  return await signAndKeep(target, options, signatureOptions, {
    sign: (delivery) => session.attest(statement, delivery),
    async keep(signed) {
      const isLegacy = format === "legacy";
      const layer = isLegacy ? await legacyAttestation(signed, statement, session, signatureOptions) : undefined;
      return await attached(opened, target, signed, layer, options);
    },
  });
}

/** It is kept before the session forgets how far it was: where the registry fails, nothing is made public a second time. */
async function signAndKeep(
  { subject, platform }: SigningTarget,
  { deliver }: ImageSigningOptions,
  signatureOptions: SignatureOptions,
  work: {
    readonly sign: (delivery: SignatureOptions) => Promise<SignedBundle>;
    readonly keep: (signed: SignedBundle) => Promise<{ readonly attached?: Attached }>;
  },
): Promise<SignedDigest> {
  const { digest } = subject;
  let kept: { readonly attached?: Attached } = {};
  const signed = await work.sign({
    ...signatureOptions,
    async deliver(finished) {
      await signatureOptions.deliver?.(finished);
      await deliver?.(finished, digest);
      kept = await work.keep(finished);
    },
  });
  return { digest, ...(platform !== undefined && { platform }), signed, ...kept };
}

/** cosign looks for a timestamp over the envelope there, not over the signature in it. */
async function legacyAttestation(
  signed: SignedBundle,
  statement: Uint8Array,
  session: SigningSession,
  { signal }: SignatureOptions,
): Promise<LegacyLayer> {
  const { bundle } = signed;
  const [timestamp] = await session.timestamp(legacySignature(bundle), { signal });
  const { predicateType } = parseStatement(statement);
  return toLegacyLayer({ bundle, chain: chainOf(signed), predicateType, timestamp });
}

/**
 * Writes the statement that an image signature in a bundle is.
 *
 * @see cosign, pkg/cosign/bundle/sign.go; sigstore/cosign specs/BUNDLE_SPEC.md
 */
export function signStatement(digest: ContentDigest, annotations: Readonly<Record<string, string>>): Uint8Array {
  return buildStatement({
    type: "https://in-toto.io/Statement/v1",
    subjects: [{ digests: [toDigest(digest)], annotations }],
    predicateType: SIGN_PREDICATE_TYPE,
    predicate: "{}",
  });
}

/**
 * Writes, or checks, the statement about a digest.
 *
 * @throws PolicyError `SUBJECT_MISMATCH`; FormatError `STATEMENT_MALFORMED`.
 */
export function statementAbout(opened: OpenedImage, { digest }: Descriptor, given: ImageStatement): Uint8Array {
  if (!("statement" in given)) {
    const { predicateType, predicate } = given;
    const subjects = [{ name: opened.repository, digests: [toDigest(digest)] }];
    return buildStatement({ subjects, predicateType, predicate });
  }
  const bytes = typeof given.statement === "string" ? encodeUtf8(given.statement) : given.statement;
  const statement = parseStatement(bytes);
  if (findSubject(statement, [toDigest(digest)]) !== undefined) return bytes;
  const [first] = statement.subject;
  throw new PolicyError("SUBJECT_MISMATCH", `statement is not about ${opened.name}`, {
    expected: digest,
    found: first === undefined ? "no subject" : JSON.stringify(first.digest).slice(0, 300),
    remedy: "give the statement about this image, or the image that it is about",
  });
}

async function attached(
  opened: OpenedImage,
  { subject }: SigningTarget,
  signed: SignedBundle,
  layer: LegacyLayer | undefined,
  options: ImageSigningOptions,
): Promise<{ readonly attached?: Attached }> {
  const { format = "bundle", upload = true, now = () => new Date() } = options;
  if (!upload) return {};
  const { attachments } = opened;
  if (layer === undefined) {
    const { descriptor, via } = await attachBundle(
      attachments,
      subject,
      signed.bundle,
      encodeUtf8(signed.json),
      now(),
      options,
    );
    return { attached: { descriptor, via, location: `${attachments.name}@${descriptor.digest}` } };
  }
  const legacyOptions = { ...options, ...options.legacy, tagPrefix: options.attachmentTagPrefix };
  if (format === "oci-1-1") {
    const { descriptor, via } = await attachLegacyLayer(attachments, subject, layer, legacyOptions);
    return { attached: { descriptor, via, location: `${attachments.name}@${descriptor.digest}` } };
  }
  const isAttestation = signed.statement !== undefined;
  const via = isAttestation ? "attestation-tag" : "signature-tag";
  if (isBare(signed)) {
    const { attachmentTagPrefix: prefix } = options;
    const { digest } = subject;
    if (await isSignedAlready(attachments, digest, layer, signed, prefix))
      return { attached: { via, location: `${attachments.name}:${attachmentTag(digest, "sig", prefix)}` } };
  }
  const tag = await appendLegacyLayer(attachments, subject.digest, isAttestation ? "att" : "sig", layer, {
    ...legacyOptions,
    ...(options.replace === true &&
      signed.statement !== undefined && { replacePredicateType: parseStatement(signed.statement).predicateType }),
  });
  return { attached: { via, location: `${attachments.name}:${tag}` } };
}

/** A signature over a payload, for which nobody vouches and of which nobody says when. */
function isBare({ bundle: { content, verificationMaterial } }: SignedBundle): boolean {
  const { tlogEntries, rfc3161Timestamps } = verificationMaterial;
  return content.kind === "messageSignature" && tlogEntries.length + rfc3161Timestamps.length === 0;
}

/** Whoever reads an annotation for a log entry finds a promise of Rekor v1 there; told before anything is public. */
function requireHoldable({ services }: SigningSession): void {
  const log = services.rekor.find(({ majorApiVersion }) => majorApiVersion !== 1);
  if (log === undefined && services.rekor.length < 2) return;
  throw new FormatError("BUNDLE_MALFORMED", "the older formats hold one entry of a log of Rekor v1, and no other", {
    expected: "at most one log, of Rekor v1",
    found: services.rekor.map(({ url, majorApiVersion }) => `${url} (v${majorApiVersion})`).join(", "),
    remedy: "keep the signature as a bundle, or sign with a log of Rekor v1",
  });
}

/** From the issuer of the certificate to the root. */
function chainOf({ evidence }: SignedBundle): readonly Uint8Array[] {
  if (evidence?.signer.kind !== "certificate") return [];
  return evidence.signer.chain.slice(1).map(({ bytes }) => bytes);
}

/** One after the other: each may ask for a consent, and what failed is not made public for the rest. */
async function each(
  { targets }: SigningTargets,
  sign: (target: SigningTarget, index: number) => Promise<SignedDigest>,
): Promise<readonly SignedDigest[]> {
  const signatures: SignedDigest[] = [];
  for (const [index, target] of targets.entries()) signatures.push(await sign(target, index));
  return signatures;
}

function collect({ opened, pinned, digest }: SigningTargets, signatures: readonly SignedDigest[]): SignedImage {
  return { name: opened.name, pinned, digest, signatures: signatures as [SignedDigest, ...SignedDigest[]] };
}

async function inSession<T>(
  options: SigningChoice & ImageSigningOptions,
  work: (session: SigningSession) => Promise<T>,
): Promise<T> {
  if ("session" in options) return await work(options.session);
  const session = await SigningSession.open(signingOptionsOf(options));
  try {
    return await work(session);
  } finally {
    session.close();
  }
}

/** Options of a session are checked by their names, so that those of images are left out. */
function signingOptionsOf(options: SigningOptions & ImageSigningOptions): SigningOptions {
  const {
    registry: _registry,
    signatureRepository: _signatureRepository,
    attachmentTagPrefix: _attachmentTagPrefix,
    recursive: _recursive,
    platform: _platform,
    settleMs: _settleMs,
    monotonicMs: _monotonicMs,
    format: _format,
    upload: _upload,
    containerIdentity: _containerIdentity,
    legacy: _legacy,
    replace: _replace,
    deliver: _deliver,
    ...rest
  } = options;
  const { annotations: _annotations, ...signing } = rest as typeof rest & { readonly annotations?: unknown };
  return signing;
}
