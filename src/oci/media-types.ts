/**
 * Media types, artifact types and annotations that images and what is attached to them go by.
 *
 * @module
 */

/** @see opencontainers/image-spec media-types.md */
export const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
export const OCI_INDEX = "application/vnd.oci.image.index.v1+json";
export const OCI_CONFIG = "application/vnd.oci.image.config.v1+json";
/** The type of the two bytes `{}` where a config has nothing to say. */
export const OCI_EMPTY = "application/vnd.oci.empty.v1+json";
/** @see distribution/distribution, docs/content/spec/manifest-v2-2.md */
export const DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
export const DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json";
export const DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json";

/** @see cosign, pkg/types/media.go `SimpleSigningMediaType` */
export const SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json";
export const DSSE_ENVELOPE = "application/vnd.dsse.envelope.v1+json";
/** What a manifest with signatures is where it refers to its image in the way of before bundles. */
export const COSIGN_SIGNATURES = "application/vnd.dev.cosign.artifact.sig.v1+json";
export const COSIGN_SBOM = "application/vnd.dev.cosign.artifact.sbom.v1+json";

/** @see cosign, pkg/oci/static/options.go */
export const SIGNATURE_ANNOTATION = "dev.cosignproject.cosign/signature";
export const CERTIFICATE_ANNOTATION = "dev.sigstore.cosign/certificate";
export const CHAIN_ANNOTATION = "dev.sigstore.cosign/chain";
export const LOG_ENTRY_ANNOTATION = "dev.sigstore.cosign/bundle";
export const TIMESTAMP_ANNOTATION = "dev.sigstore.cosign/rfc3161timestamp";
export const PREDICATE_TYPE_ANNOTATION = "predicateType";

/** @see sigstore/cosign specs/BUNDLE_SPEC.md */
export const BUNDLE_CONTENT_ANNOTATION = "dev.sigstore.bundle.content";
export const BUNDLE_PREDICATE_TYPE_ANNOTATION = "dev.sigstore.bundle.predicateType";
export const CREATED_ANNOTATION = "org.opencontainers.image.created";
/** The tag of an image in the index of a layout. @see opencontainers/image-spec annotations.md */
export const REF_NAME_ANNOTATION = "org.opencontainers.image.ref.name";

/** The predicate type of the statement that an image signature in a bundle is. @see cosign, pkg/types/predicate.go */
export const SIGN_PREDICATE_TYPE = "https://sigstore.dev/cosign/sign/v1";
