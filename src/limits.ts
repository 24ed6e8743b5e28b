/**
 * Every limit on what an attacker could make grow, in one place. Each is far above what real signatures need.
 *
 * @module
 */

/** Bytes of one bundle file. Bundles with large SBOM attestations of 100 MB exist. */
export const MAX_BUNDLE_BYTES = 128 * 1024 * 1024;
/** Bundles in one JSON Lines file. */
export const MAX_BUNDLES = 1024;
/** Bytes of a trusted root or signing config. */
export const MAX_TRUST_FILE_BYTES = 4 * 1024 * 1024;
/** Bytes of a public key file. */
export const MAX_KEY_FILE_BYTES = 64 * 1024;
/** Bytes of a password that comes from standard input. */
export const MAX_PASSWORD_BYTES = 64 * 1024;
/** Rounds of PBKDF2 that opening a private key may take: a second or two. OpenSSL writes 2,048, a careful person a million. */
export const MAX_PBKDF2_ITERATIONS = 2_000_000;
/** Bytes that scrypt works through, 128 times N, r and p, to open a private key in PKCS #8. OpenSSL writes 16 MiB. */
export const MAX_SCRYPT_BYTES = 256 * 1024 * 1024;
/** Bytes of a file with a certificate, or with a chain of them. */
export const MAX_CERTIFICATE_FILE_BYTES = 1024 * 1024;
/** Nesting of objects and arrays in JSON. */
export const MAX_JSON_DEPTH = 128;
/** Values in one JSON text, counted by their separators. */
export const MAX_JSON_VALUES = 5_000_000;
/** Blocks in one PEM text. */
export const MAX_PEM_BLOCKS = 1024;
/** Nesting of constructed values in DER. */
export const MAX_DER_DEPTH = 32;
/** Bytes of an INTEGER that is read as a number. A modulus of 4096 bits needs 513. */
export const MAX_DER_INTEGER_BYTES = 1024;
/** Bytes of an object identifier. */
export const MAX_OID_BYTES = 128;
/** Bytes of one certificate. */
export const MAX_CERTIFICATE_BYTES = 64 * 1024;
/** Extensions of one certificate. */
export const MAX_CERTIFICATE_EXTENSIONS = 128;
/** Names in one subject alternative name extension. */
export const MAX_SUBJECT_ALTERNATIVE_NAMES = 64;
/** Subtrees in a name constraints extension. */
export const MAX_NAME_CONSTRAINTS = 128;
/** Certificates that a bundle or a timestamp token may bring. */
export const MAX_CHAIN_CERTIFICATES = 16;
/** Certificates in a path, from leaf to trust anchor. */
export const MAX_PATH_LENGTH = 10;
/** Signature checks while searching for one certificate path. */
export const MAX_PATH_SIGNATURE_CHECKS = 100;
/** Signed certificate timestamps in one certificate. */
export const MAX_SCTS = 32;
/** Bytes of a signed certificate timestamp in a file of its own. */
export const MAX_DETACHED_SCT_BYTES = 64 * 1024;
/** Log entries in one bundle. */
export const MAX_TLOG_ENTRIES = 32;
/** Bytes of the canonicalized body of one log entry. It holds hashes, signatures and certificates, never what was signed. */
export const MAX_TLOG_ENTRY_BODY_BYTES = 1024 * 1024;
/** Timestamps in one bundle. */
export const MAX_TIMESTAMPS = 32;
/** Bytes of one RFC 3161 response. */
export const MAX_TIMESTAMP_BYTES = 256 * 1024;
/** Items of each list in one RFC 3161 response, other than certificates. */
export const MAX_TIMESTAMP_ITEMS = 64;
/** Hashes in an inclusion proof: a tree cannot be higher. */
export const MAX_INCLUSION_PROOF_HASHES = 64;
/** Bytes of one checkpoint with its signatures. */
export const MAX_SIGNED_NOTE_BYTES = 512 * 1024;
/** Signature lines of a signed note. C2SP asks verifiers to accept at least 16. */
export const MAX_SIGNED_NOTE_SIGNATURES = 64;
/** Signatures in a DSSE envelope outside a bundle. */
export const MAX_ENVELOPE_SIGNATURES = 32;
/** Bytes of one signature. ML-DSA-87 needs 4,627. */
export const MAX_SIGNATURE_BYTES = 16 * 1024;
/** Bits of an RSA modulus: no fewer than these … */
export const MIN_RSA_MODULUS_BITS = 2048;
/** … and no more. */
export const MAX_RSA_MODULUS_BITS = 4096;
/** Subjects of an in-toto statement. */
export const MAX_SUBJECTS = 1024;
/** Digests of one subject. */
export const MAX_DIGESTS_PER_SUBJECT = 32;
/** Entries of each list of a trusted root or signing config. */
export const MAX_TRUST_ENTRIES = 256;
/** Certificates whose positive results are remembered, for one trusted root. */
export const MAX_REMEMBERED_CERTIFICATES = 256;
/** Redirects that one request follows. */
export const MAX_REDIRECTS = 5;
/** Bytes of the body of an error that are read for the server's own words. */
export const MAX_ERROR_BODY_BYTES = 16 * 1024;
/** Bytes of the answer of Fulcio or of a timestamp authority with certificates. */
export const MAX_CERTIFICATE_ANSWER_BYTES = 1024 * 1024;
/** Bytes of the answer of a log: an entry in base64, its proof and its checkpoint. */
export const MAX_TLOG_ANSWER_BYTES = 4 * 1024 * 1024;
/** Ids of entries that a search in a log's index may find. */
export const MAX_INDEX_MATCHES = 100_000;
/** Bytes of an artifact that are held in memory; a larger one is streamed. */
export const MAX_BUFFERED_ARTIFACT_BYTES = 8 * 1024 * 1024;
/** Bytes of a streamed artifact whose signature algorithm needs all of them at once, as pure Ed25519 does. */
export const MAX_BUFFERED_MESSAGE_BYTES = 256 * 1024 * 1024;
/** Keys that one verification may try. */
export const MAX_TRUSTED_KEYS = 64;
/** Bytes of one TUF metadata file, whatever length another file claims for it. */
export const MAX_TUF_METADATA_BYTES = 5_000_000;
/** Bytes of a TUF `root.json`, whose length nothing tells. */
export const MAX_TUF_ROOT_BYTES = 512_000;
/** New TUF roots that one run walks through. */
export const MAX_TUF_ROOT_ROTATIONS = 256;
/** Bytes of a TUF `timestamp.json`, whose length nothing tells. */
export const MAX_TUF_TIMESTAMP_BYTES = 16_384;
/** Bytes of one TUF target. */
export const MAX_TUF_TARGET_BYTES = 8 * 1024 * 1024;
/** Roles that the search for one TUF target visits. */
export const MAX_TUF_VISITED_ROLES = 32;
/** Bytes of one record in a log of the sandbox. */
export const MAX_STORE_RECORD_BYTES = 64 * 1024 * 1024;
/** Bytes of one request to a log of the sandbox. Attestations are sent whole to Rekor v1. */
export const MAX_SANDBOX_REQUEST_BYTES = 128 * 1024 * 1024;
/** Requests, log entries, certificates and timestamps that the sandbox remembers, of each kind. */
export const MAX_SANDBOX_RECORDS = 1000;
/** Faults in force at once in the sandbox. */
export const MAX_SANDBOX_FAULTS = 256;
/** Bytes of one request to the identity provider, Fulcio or the certificate transparency log of the sandbox. Fulcio has the same limit. */
export const MAX_IDENTITY_REQUEST_BYTES = 4 * 1024 * 1024;
/** Logins that the identity provider of the sandbox keeps waiting. */
export const MAX_PENDING_LOGINS = 1000;
/** Bytes of an identity token, and of a file with one. Real ones have about 2,000. */
export const MAX_IDENTITY_TOKEN_BYTES = 32 * 1024;
/** Nesting of objects and arrays in a part of an identity token. */
export const MAX_IDENTITY_TOKEN_DEPTH = 16;
/** Bytes of an identity provider's answer. */
export const MAX_OIDC_RESPONSE_BYTES = 256 * 1024;
/** Bytes of the head of a request that a browser sends at the end of a login. */
export const MAX_LOGIN_REQUEST_BYTES = 16 * 1024;
/** Connections that the listener for the end of a login keeps open. */
export const MAX_LOGIN_CONNECTIONS = 32;
/** Seconds that a login on another device is waited for, whatever the provider allows. */
export const MAX_DEVICE_LOGIN_SECONDS = 1800;
/** Bytes of one request to Rekor v2 in the sandbox, as in the real service. */
export const MAX_REKOR_V2_REQUEST_BYTES = 4 * 1024 * 1024;
/** Bytes of one request to the timestamp authority of the sandbox, as in the real service. */
export const MAX_TIMESTAMP_REQUEST_BYTES = 1024 * 1024;
/** Bytes of a DSSE envelope that the sandbox remembers with the log entry, to make a bundle of both. */
export const MAX_SANDBOX_ENVELOPE_BYTES = 256 * 1024;
/** Bytes of a request that sets a fault in the sandbox. */
export const MAX_SANDBOX_FAULT_BYTES = 16 * 1024;
/** Bytes of a manifest in the registry of the sandbox. The specification wants at least 4 MiB; real registries have the same limit. */
export const MAX_REGISTRY_MANIFEST_BYTES = 4 * 1024 * 1024;
/** Bytes of a blob in the registry of the sandbox. It is streamed to disk, or held in memory where nothing is kept. */
export const MAX_REGISTRY_BLOB_BYTES = 2 * 1024 * 1024 * 1024;
/** Layers, or manifests of an index, in one manifest of the registry of the sandbox. */
export const MAX_REGISTRY_DESCRIPTORS = 10_000;
/** Uploads that the registry of the sandbox keeps open at once; the one that rested longest makes place. */
export const MAX_REGISTRY_UPLOADS = 256;
/** Names that one answer of the registry of the sandbox lists. */
export const MAX_REGISTRY_PAGE = 1000;
/** Bytes of a request for a token of the registry of the sandbox. */
export const MAX_REGISTRY_TOKEN_REQUEST_BYTES = 16 * 1024;
/** Bytes of one manifest or index. Registries take 4 MiB. */
export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;
/** Descriptors in one manifest or index: layers, or platforms. */
export const MAX_MANIFEST_DESCRIPTORS = 1000;
/** Annotations of one descriptor or manifest. */
export const MAX_ANNOTATIONS = 1000;
/** Referrers of one digest that are listed. */
export const MAX_REFERRERS = 1000;
/** Pages of one list of a registry. */
export const MAX_REGISTRY_PAGES = 100;
/** Bytes of one page of a list of a registry. */
export const MAX_REGISTRY_PAGE_BYTES = 4 * 1024 * 1024;
/** Tags of one repository that are listed. */
export const MAX_TAGS = 100_000;
/** Bytes of one blob with a signature, an attestation or an SBOM, unless `COSIGN_MAX_ATTACHMENT_SIZE` says otherwise. */
export const MAX_ATTACHMENT_BYTES = 128 * 1024 * 1024;
/** Signatures or attestations of one image that are read. */
export const MAX_IMAGE_SIGNATURES = 1000;
/** Bytes of all of them, unless one alone may have more. */
export const MAX_IMAGE_SIGNATURES_BYTES = 1024 * 1024 * 1024;
/** Levels of indexes within indexes, and of referrers of referrers. */
export const MAX_INDEX_DEPTH = 4;
/** Manifests below one index, at all levels. */
export const MAX_INDEX_MANIFESTS = 1000;
/** Bytes of a docker configuration file. */
export const MAX_DOCKER_CONFIG_BYTES = 1024 * 1024;
/** Bytes of what a credential helper prints, or a token service answers. */
export const MAX_CREDENTIAL_BYTES = 256 * 1024;
/** Bytes of one layer or other blob that is copied, saved or loaded. */
export const MAX_BLOB_BYTES = 64 * 1024 * 1024 * 1024;
/** Files in one image layout. */
export const MAX_LAYOUT_FILES = 100_000;
/** Bytes of a blob that are sent to a registry at a time, however many it wants at least. */
export const MAX_UPLOAD_PIECE_BYTES = 128 * 1024 * 1024;
/** Bytes of manifests that one repository's client remembers. */
export const MAX_REMEMBERED_MANIFEST_BYTES = 16 * 1024 * 1024;
/** Bytes of blobs that are looked into to find what refers to an image in a layout. */
export const MAX_LAYOUT_SCAN_BYTES = 512 * 1024 * 1024;
/** Bytes of a Dockerfile. */
export const MAX_DOCKERFILE_BYTES = 4 * 1024 * 1024;
/** Bytes of a file with Kubernetes manifests. */
export const MAX_KUBERNETES_MANIFEST_BYTES = 16 * 1024 * 1024;
/** Documents in one such file. */
export const MAX_KUBERNETES_DOCUMENTS = 10_000;
/** Values in one such file, those that aliases repeat counted each time. */
export const MAX_KUBERNETES_NODES = 2_000_000;
