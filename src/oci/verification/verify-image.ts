/**
 * Verification of images: every signature in every place, each with its own outcome, and one good one is enough.
 *
 * @module
 */

import type { Bundle } from "../../bundle/bundle.ts";
import { InputError, PolicyError, ServiceError, SigstoreError, VerificationError } from "../../errors.ts";
import { resolveTrust } from "../../files/verify-file.ts";
import { MAX_ATTACHMENT_BYTES } from "../../limits.ts";
import type { TrustedRoot } from "../../trust/trusted-root.ts";
import type { ExpectedSigner, VerifierOptions } from "../../verify/options.ts";
import { Verifier } from "../../verify/verifier.ts";
import { readBuildkitAttestations } from "./buildkit.ts";
import { readCandidates, type Candidate, type FoundCandidates, type PlaceReport } from "./candidates.ts";
import type { ContentDigest } from "../content-digest.ts";
import type { FetchedManifest } from "../content-store.ts";
import { toCandidate, type DetachedSignature } from "../legacy/detached-signature.ts";
import { openImage, type AttachmentOptions, type ImageInput, type OpenedImage } from "../image-source.ts";
import { SIGN_PREDICATE_TYPE } from "../media-types.ts";
import { RegistryClient } from "../registry/registry-client.ts";
import { findRequiredDigests, type RequiredDigest, type SignableDigest } from "./signed-digests.ts";
import {
  ImageNotVerifiedError,
  type ImagePolicy,
  type ImageVerifierOptions,
  type RefusedCandidate,
  type SignatureFormat,
  type VerifiedDigest,
  type VerifiedImage,
  type VerifiedImageSignature,
  type VerifyImageAttestationPolicy,
  type VerifyImagePolicy,
} from "./verified-image.ts";
import { formatOf, verifyCandidate, type CandidatePolicy, type CandidateVerifiers } from "./verify-candidate.ts";

const DEFAULT_WORKERS = 10;
/** Reasons that stand in a message; all of them are in its fields. */
const MAX_LISTED = 5;

/** Is what the two kinds of verification have in common. */
interface Search extends CandidatePolicy {
  readonly format: SignatureFormat;
  readonly detachedSignatures?: readonly DetachedSignature[] | undefined;
}

/** Verifies images against one trusted root, under one set of options, with one session for each registry. */
export class ImageVerifier {
  readonly #trustedRoot: TrustedRoot;
  readonly #verifierOptions: VerifierOptions;
  readonly #options: ImageVerifierOptions;
  readonly #attachments: AttachmentOptions;
  /** By what `timeFor` said, and whether certificates of the caller lead to an authority; most bundles have the same. */
  readonly #verifiers = new Map<string, Promise<Verifier>>();
  /** What a person should know about the trusted root. */
  readonly notices: readonly string[];

  private constructor(
    trustedRoot: TrustedRoot,
    verifierOptions: VerifierOptions,
    options: ImageVerifierOptions,
    verifier: Verifier,
    notices: readonly string[],
  ) {
    this.#trustedRoot = trustedRoot;
    this.#verifierOptions = verifierOptions;
    this.#options = options;
    this.#verifiers.set("", Promise.resolve(verifier));
    this.notices = notices;
    const { registry, signatureRepository, attachmentTagPrefix } = options;
    this.#attachments = {
      registry: registry instanceof RegistryClient ? registry : new RegistryClient(registry),
      signatureRepository,
      attachmentTagPrefix,
    };
  }

  /**
   * Loads the trusted root and makes a verifier. Nothing is asked of a registry.
   *
   * @throws InputError `USAGE_INVALID`; TrustError, ServiceError, StorageError where trust has to be loaded and cannot be.
   */
  static async create(options: ImageVerifierOptions = {}): Promise<ImageVerifier> {
    const {
      trust,
      timeFor: _timeFor,
      maxAttachmentBytes: _maxAttachmentBytes,
      maxWorkers = DEFAULT_WORKERS,
      fetchLogEntriesFrom: _fetchLogEntriesFrom,
      registry: _registry,
      signatureRepository: _signatureRepository,
      attachmentTagPrefix: _attachmentTagPrefix,
      ...rest
    } = options;
    if (!Number.isInteger(maxWorkers) || maxWorkers < 1)
      throw new InputError("USAGE_INVALID", "number of workers must be a whole number from 1 on", {
        found: String(maxWorkers),
      });
    const { trustedRoot, source, notices } = await resolveTrust(trust ?? {});
    const verifierOptions = { ...rest, trustSource: rest.trustSource ?? source };
    const verifier = await Verifier.create(trustedRoot, verifierOptions);
    return new ImageVerifier(trustedRoot, verifierOptions, options, verifier, notices);
  }

  /**
   * Verifies that an image is signed, by whom the policy names.
   *
   * @returns the digest to use from now on, and the evidence: a tag may name another image a moment later.
   * @throws {@link ImageNotVerifiedError} `SIGNATURE_NOT_FOUND`, `SIGNATURE_NOT_ACCEPTED`, `CERTIFICATE_MISSING`; ServiceError
   * `IMAGE_NOT_FOUND` and those of the registry; InputError `REFERENCE_MALFORMED`, `PLATFORM_NOT_FOUND`, `USAGE_INVALID`.
   */
  async verify(image: ImageInput, policy: VerifyImagePolicy): Promise<VerifiedImage> {
    const { predicateType = SIGN_PREDICATE_TYPE, annotations = {}, claims = "check" } = policy;
    if (claims === "unsafe-skip" && Object.keys(annotations).length > 0)
      throw new InputError("USAGE_INVALID", "annotations are compared with the claims, which are not to be checked", {
        remedy: "leave one of both out",
      });
    const { detachedSignatures } = policy;
    if (detachedSignatures !== undefined && policy.format === "bundle")
      throw new InputError("USAGE_INVALID", "a detached signature is no bundle, and only bundles were asked for", {
        remedy: "leave the format out",
      });
    return await this.#run(image, policy, {
      want: "signature",
      format: policy.format ?? "any",
      signer: signerOf(policy),
      predicateType: predicateType === "unsafe-any" ? undefined : predicateType,
      annotations,
      checkClaims: claims === "check",
      detachedScts: policy.detachedScts,
      legacyMaterial: policy.legacyMaterial ?? {},
      detachedSignatures,
    });
  }

  /**
   * Verifies that an attestation of one type is about an image, by whom the policy names.
   *
   * @returns as {@link ImageVerifier.verify}; each signature is one over a statement.
   * @throws {@link ImageNotVerifiedError} `ATTESTATION_NOT_FOUND`, `ATTESTATION_NOT_ACCEPTED`, `CERTIFICATE_MISSING`; and as
   * {@link ImageVerifier.verify}.
   */
  async verifyAttestation(image: ImageInput, policy: VerifyImageAttestationPolicy): Promise<VerifiedImage> {
    if (policy.predicateType === "") throw new InputError("USAGE_INVALID", "there is no predicate type");
    if (policy.buildkit === true) return await this.#verifyBuildkit(image, policy);
    return await this.#run(image, policy, {
      want: "attestation",
      format: policy.format ?? "any",
      signer: signerOf(policy),
      predicateType: policy.predicateType,
      annotations: {},
      checkClaims: (policy.claims ?? "check") === "check",
      detachedScts: policy.detachedScts,
      legacyMaterial: policy.legacyMaterial ?? {},
    });
  }

  /** The index must be signed; then what it names is as good as that. */
  async #verifyBuildkit(image: ImageInput, policy: VerifyImageAttestationPolicy): Promise<VerifiedImage> {
    const { platform, predicateType } = policy;
    if (platform === undefined || policy.claims === "unsafe-skip")
      throw new InputError("USAGE_INVALID", "attestations of BuildKit need a platform, and claims that are checked", {
        remedy: "name the platform, for instance linux/amd64",
      });
    const opened = this.#open(image);
    const root = await fetchRoot(opened);
    const [leaf] = await findRequiredDigests(opened.store, root, "platform-manifest", platform);
    const { digest } = leaf.descriptor;
    const signed = await this.#verifyRoot(
      opened,
      root,
      { digestRule: "index" },
      {
        want: "signature",
        format: policy.format ?? "any",
        signer: signerOf(policy),
        predicateType: SIGN_PREDICATE_TYPE,
        annotations: {},
        checkClaims: true,
        detachedScts: policy.detachedScts,
        legacyMaterial: policy.legacyMaterial ?? {},
      },
    );
    const vouchedFor = await readBuildkitAttestations(opened.store, root, digest, predicateType, this.#maxBytes);
    if (vouchedFor.length === 0) {
      throw new ImageNotVerifiedError(
        "ATTESTATION_NOT_FOUND",
        `the signed index of ${opened.name} names no such attestation of BuildKit about ${digest}`,
        { image: opened.name, digest, refused: [], places: signed.places },
        { expected: predicateType },
      );
    }
    return { ...signed, vouchedFor };
  }

  #open(image: ImageInput): OpenedImage {
    return openImage(image, this.#attachments);
  }

  get #maxBytes(): number {
    return this.#options.maxAttachmentBytes ?? MAX_ATTACHMENT_BYTES;
  }

  async #run(image: ImageInput, policy: ImagePolicy, search: Search): Promise<VerifiedImage> {
    const opened = this.#open(image);
    return await this.#verifyRoot(opened, await fetchRoot(opened), policy, search);
  }

  async #verifyRoot(
    opened: OpenedImage,
    root: FetchedManifest,
    { digestRule = "target", platform }: ImagePolicy,
    search: Search,
  ): Promise<VerifiedImage> {
    const required = await findRequiredDigests(opened.store, root, digestRule, platform);
    const places: PlaceReport[] = [];
    const refused: RefusedCandidate[] = [];
    const digests: VerifiedDigest[] = [];
    // One after the other: each has many candidates, and the first that is not signed ends it.
    for (const one of required) digests.push(await this.#verifyDigest(opened, one, search, places, refused));
    const [first, ...others] = digests;
    if (first === undefined) throw new Error("there is at least one digest"); // its type says so
    const { descriptor } = digestRule === "every-leaf" ? root : (required[0] ?? root);
    return {
      name: opened.name,
      pinned: `${opened.repository}@${descriptor.digest}`,
      digest: descriptor.digest,
      descriptor,
      digests: [first, ...others],
      signatures: [...first.signatures, ...others.flatMap(({ signatures }) => signatures)] as [
        VerifiedImageSignature,
        ...VerifiedImageSignature[],
      ],
      refused,
      places,
      vouchedFor: [],
      unproven: search.checkClaims
        ? []
        : [`that it is about ${opened.name}: what was signed was not compared with the image`],
    };
  }

  async #verifyDigest(
    opened: OpenedImage,
    { descriptor, platform, signedBy }: RequiredDigest,
    search: Search,
    places: PlaceReport[],
    refused: RefusedCandidate[],
  ): Promise<VerifiedDigest> {
    const { digest } = descriptor;
    const refusedHere: RefusedCandidate[] = [];
    const placesHere: PlaceReport[] = [];
    for (const signable of signedBy) {
      const signatures = await this.#verifySignatures(opened, signable, search, placesHere, refusedHere);
      const [first, ...others] = signatures;
      if (first === undefined) continue;
      places.push(...placesHere);
      refused.push(...refusedHere);
      return {
        digest,
        ...(platform !== undefined && { platform }),
        signatures: [first, ...others],
        linkage: signable.linkage,
      };
    }
    throw notVerified(opened, digest, search, placesHere, refusedHere);
  }

  async #verifySignatures(
    opened: OpenedImage,
    { digest }: SignableDigest,
    search: Search,
    places: PlaceReport[],
    refused: RefusedCandidate[],
  ): Promise<readonly VerifiedImageSignature[]> {
    const found = await this.#find(opened, digest, search);
    places.push(...found.places);
    const verifiers: CandidateVerifiers = {
      verifierFor: (bundle, takesIntermediates) => this.#verifierFor(bundle, takesIntermediates),
      trustedRoot: this.#trustedRoot,
      fetchLogEntriesFrom: this.#options.fetchLogEntriesFrom,
    };
    const outcomes = await this.#each(found.candidates, async (candidate) => {
      try {
        return { kind: "proven", signature: await verifyCandidate(candidate, digest, search, verifiers) } as const;
      } catch (error) {
        if (!(error instanceof SigstoreError)) throw error;
        // What was asked for makes no sense: that says nothing about the candidate.
        if (error instanceof InputError) throw error;
        const { place, manifest, layer } = candidate;
        const one: RefusedCandidate = {
          digest,
          place,
          manifest,
          layer: layer.digest,
          format: formatOf(candidate),
          error,
        };
        return { kind: "refused", refused: one } as const;
      }
    });
    for (const outcome of outcomes) if (outcome.kind === "refused") refused.push(outcome.refused);
    return outcomes.flatMap((outcome) => (outcome.kind === "proven" ? [outcome.signature] : []));
  }

  async #find(
    { attachments, repository }: OpenedImage,
    digest: ContentDigest,
    { want, format, detachedSignatures }: Search,
  ): Promise<{ readonly candidates: readonly Candidate[]; readonly places: FoundCandidates["places"] }> {
    if (detachedSignatures !== undefined) {
      const outcome = detachedSignatures.length > 0 ? "found" : "empty";
      return {
        candidates: detachedSignatures.map((one) => toCandidate(one, repository, digest)),
        places: [{ place: "detached", location: "signatures of the caller", outcome, skipped: [] }],
      };
    }
    const tagPrefix = this.#attachments.attachmentTagPrefix;
    return await readCandidates(attachments, digest, { want, format, tagPrefix, maxBytes: this.#maxBytes });
  }

  /** Some at a time, and the outcomes in order. */
  async #each<T>(candidates: readonly Candidate[], work: (candidate: Candidate) => Promise<T>): Promise<readonly T[]> {
    const outcomes: T[] = Array.from({ length: candidates.length });
    let next = 0;
    const worker = async (): Promise<void> => {
      for (let index = next++; index < candidates.length; index = next++)
        outcomes[index] = await work(candidates[index] as Candidate);
    };
    const workers = Math.min(this.#options.maxWorkers ?? DEFAULT_WORKERS, candidates.length);
    await Promise.all(Array.from({ length: workers }, worker));
    return outcomes;
  }

  async #verifierFor(bundle: Bundle, takesIntermediates = false): Promise<Verifier> {
    const time = this.#options.timeFor?.(bundle);
    const allowCertificateChain = takesIntermediates || this.#verifierOptions.allowCertificateChain;
    const isPlain = time === undefined && allowCertificateChain === this.#verifierOptions.allowCertificateChain;
    const key = isPlain ? "" : JSON.stringify([time, allowCertificateChain]);
    let verifier = this.#verifiers.get(key);
    if (verifier === undefined) {
      verifier = Verifier.create(this.#trustedRoot, {
        ...this.#verifierOptions,
        time: time ?? this.#verifierOptions.time,
        allowCertificateChain,
      });
      this.#verifiers.set(key, verifier);
    }
    return await verifier;
  }
}

/**
 * Verifies that one image is signed. For many, an {@link ImageVerifier} loads trust once and keeps its sessions.
 *
 * @throws as `ImageVerifier.create` and `ImageVerifier.verify`.
 */
export async function verifyImage(
  image: ImageInput,
  options: ImageVerifierOptions & VerifyImagePolicy,
): Promise<VerifiedImage> {
  const { annotations, predicateType, detachedSignatures } = options;
  const { imagePolicy, verifierOptions } = splitOptions(options);
  const verifier = await ImageVerifier.create(verifierOptions);
  return await verifier.verify(image, {
    ...imagePolicy,
    ...signerOf(options),
    annotations,
    predicateType,
    detachedSignatures,
  });
}

/**
 * Verifies that an attestation of one type is about one image.
 *
 * @throws as `ImageVerifier.create` and `ImageVerifier.verifyAttestation`.
 */
export async function verifyImageAttestation(
  image: ImageInput,
  options: ImageVerifierOptions & VerifyImageAttestationPolicy,
): Promise<VerifiedImage> {
  const { predicateType, buildkit } = options;
  const { imagePolicy, verifierOptions } = splitOptions(options);
  const verifier = await ImageVerifier.create(verifierOptions);
  return await verifier.verifyAttestation(image, { ...imagePolicy, ...signerOf(options), predicateType, buildkit });
}

/** Whatever is no policy is an option of the verifier, which refuses those that it does not know. */
function splitOptions(options: ImageVerifierOptions & ExpectedSigner & ImagePolicy): {
  readonly imagePolicy: ImagePolicy;
  readonly verifierOptions: ImageVerifierOptions;
} {
  const {
    format,
    digestRule,
    platform,
    claims,
    detachedScts,
    legacyMaterial,
    identity: _identity,
    keys: _keys,
    ...rest
  } = options;
  const {
    annotations: _annotations,
    predicateType: _predicateType,
    buildkit: _buildkit,
    detachedSignatures: _detachedSignatures,
    ...verifierOptions
  } = rest as typeof rest & Partial<VerifyImagePolicy & VerifyImageAttestationPolicy>;
  return { imagePolicy: { format, digestRule, platform, claims, detachedScts, legacyMaterial }, verifierOptions };
}

/** One of both, as the verifier takes it. */
function signerOf({ identity, keys }: ExpectedSigner): ExpectedSigner {
  return { identity, keys } as ExpectedSigner;
}

async function fetchRoot({ store, reference, name }: OpenedImage): Promise<FetchedManifest> {
  const root = await store.fetchManifest(reference);
  if (root !== undefined) return root;
  throw new ServiceError("IMAGE_NOT_FOUND", `image tag not found: ${name}`, {
    status: 404,
    found: "no such tag or digest",
  });
}

function notVerified(
  { name }: OpenedImage,
  digest: ContentDigest,
  { want, signer }: Search,
  places: readonly PlaceReport[],
  refused: readonly RefusedCandidate[],
): SigstoreError {
  const found = { image: name, digest, refused, places };
  const isSignature = want === "signature";
  const [first] = refused;
  if (first === undefined) {
    return new ImageNotVerifiedError(
      isSignature ? "SIGNATURE_NOT_FOUND" : "ATTESTATION_NOT_FOUND",
      isSignature ? `no signatures found for ${name}` : `no attestations found for ${name}`,
      found,
      {
        expected: `something attached to ${digest}`,
        found: places.map(describePlace).join("; "),
        cause: places.flatMap(({ skipped }) => skipped).find(({ error }) => error !== undefined)?.error,
      },
    );
  }
  const errors = refused.map(({ error }) => error);
  // A log that could not be asked says nothing about the candidate, which may well be good.
  const unasked = errors.find((error) => error instanceof ServiceError && error.code !== "CONTENT_NOT_FOUND");
  if (unasked !== undefined) return unasked;
  const telling = mostTelling(errors);
  const lacksCertificate =
    signer.identity !== undefined &&
    errors.every(({ code }) => code === "CERTIFICATE_MISSING" || code === "SIGNER_KIND_MISMATCH");
  const reasons = [...new Set(refused.map(({ error, place, format }) => `${error.message} (${format}, ${place})`))];
  return new ImageNotVerifiedError(
    lacksCertificate ? "CERTIFICATE_MISSING" : isSignature ? "SIGNATURE_NOT_ACCEPTED" : "ATTESTATION_NOT_ACCEPTED",
    `no matching ${isSignature ? "signatures" : "attestations"}: ${listSome(reasons).join("; ")}`,
    found,
    {
      expected: telling.expected,
      found: telling.found,
      remedy: telling.remedy,
      report: telling.report,
      cause: telling,
    },
  );
}

function describePlace({ location, outcome, skipped }: PlaceReport): string {
  const passedOver = skipped.map(({ digest, reason }) => `${digest} was passed over: ${reason}`);
  return [`${location}: ${outcome === "absent" ? "absent" : "nothing of use"}`, ...listSome(passedOver)].join(", ");
}

function listSome(items: readonly string[]): readonly string[] {
  return items.length > MAX_LISTED ? [...items.slice(0, MAX_LISTED), `${items.length - MAX_LISTED} more`] : items;
}

/**
 * What was proven, and is not what was asked for, says more than what was not proven; malformed material says least. Another predicate
 * type says nothing: signatures and attestations are attached in the same way.
 */
function mostTelling(errors: readonly SigstoreError[]): SigstoreError {
  const found =
    errors.find((error) => error instanceof PolicyError && error.code !== "PREDICATE_TYPE_MISMATCH") ??
    errors.find((error) => error instanceof VerificationError) ??
    errors[0];
  if (found === undefined) throw new Error("there is an error"); // the caller has one
  return found;
}
