/**
 * What a person can do next, for each error that does not say it itself.
 *
 * @module
 */

import type { ErrorCode, SigstoreError } from "../errors.ts";

/** Says what to do about an error: its own remedy, or that of its code. */
export function remedyFor(error: SigstoreError): string {
  return error.remedy ?? REMEDIES[error.code];
}

const FETCH_AGAIN = "fetch the file again from where it was published";
const REFUSE = "do not use the artifact; ask its publisher";
const OTHER_ROOT = "check that the trusted root is the one of the instance that the bundle was signed with";
const BROKEN_EVIDENCE = "the bundle was damaged or forged: fetch it again, and do not use the artifact if this stays";
const LOWER = "ask for less, or for a bundle that brings more";
const REPOSITORY =
  "the repository or what lies between is broken or hostile: try later, and tell its operator if this stays";

/** Complete by its type: a new code does not compile without a remedy. */
const REMEDIES: Readonly<Record<ErrorCode, string>> = {
  // Bytes that are not what they claim to be.
  PEM_MALFORMED: "check that the file is the right one, in PEM: -----BEGIN …-----",
  JSON_MALFORMED: "check that the file is the right one, and complete",
  JSON_DUPLICATE_KEY: "no tool writes such a file: fetch it again, and distrust its source if this stays",
  DER_MALFORMED: FETCH_AGAIN,
  PUBLIC_KEY_MALFORMED: "give a public key in PEM: -----BEGIN PUBLIC KEY-----",
  CERTIFICATE_MALFORMED: FETCH_AGAIN,
  SCT_MALFORMED: "give the log's answer to add-chain as it came, in JSON",
  ENVELOPE_MALFORMED: FETCH_AGAIN,
  STATEMENT_MALFORMED: "ask whoever made the attestation for a valid in-toto statement",
  SIGNED_NOTE_MALFORMED: FETCH_AGAIN,
  CHECKPOINT_MALFORMED: FETCH_AGAIN,
  COSIGNATURE_MALFORMED: FETCH_AGAIN,
  TLOG_ENTRY_MALFORMED: FETCH_AGAIN,
  TLOG_ENTRY_KIND_UNSUPPORTED: "sign again with a current tool, or verify with the one that signed",
  TIMESTAMP_MALFORMED: FETCH_AGAIN,
  BUNDLE_MALFORMED: "check that the file is a Sigstore bundle (.sigstore.json), and complete",
  BUNDLE_MEDIA_TYPE_UNSUPPORTED: "check that the file is a Sigstore bundle (.sigstore.json)",
  TRUSTED_ROOT_MALFORMED: "check that the file is a trusted root (trusted_root.json), and complete",
  SIGNING_CONFIG_MALFORMED: "check that the file is a signing config (signing_config.v0.2.json), and complete",
  MANIFEST_MALFORMED: "fetch it again; if it stays so, do not use it, and tell whoever pushed it",
  IMAGE_LAYOUT_MALFORMED: "check that the path is that of an image layout, and complete",
  SIMPLE_SIGNING_MALFORMED: "sign the image again with a current tool",
  DOCKER_CONFIG_MALFORMED: "mend the file, or name another folder with DOCKER_CONFIG",
  DOCKERFILE_MALFORMED: "check that the file is a Dockerfile, and give values to what it leaves open",
  YAML_MALFORMED: "check that the file holds Kubernetes manifests in YAML",
  LIMIT_EXCEEDED: "no real file is that large: check that it is the right one",

  // Material that does not prove what it should.
  ALGORITHM_UNSUPPORTED: "sign with an algorithm of the Sigstore registry, or use a runtime that has this one",
  ARTIFACT_DIGEST_MISMATCH: "fetch the artifact again, or the bundle that belongs to it",
  BUNDLE_VERSION_NOT_ALLOWED: "sign again with a current tool, or allow the older version",
  ATTESTATION_NOT_ACCEPTED: "see why each was refused; sign the attestation again, or ask for what it says",
  ATTESTATION_NOT_FOUND: "attach one with cosign-ts attest, or look where it is kept: --registry and COSIGN_REPOSITORY",
  CERTIFICATE_MISSING: "give the public key with --key, or have the image signed with an identity",
  CONTENT_DIGEST_MISMATCH: "fetch it again; if it happens again, who serves it has changed it",
  CONTENT_SIZE_MISMATCH: "fetch it again; if it happens again, who serves it has changed it",
  LINKAGE_MISSING: "sign the index that names it, or the manifest itself",
  MEDIA_TYPE_MISMATCH: "do not use it: two readers could see two things in it",
  REFERRER_SUBJECT_MISMATCH:
    "tell the operator of the registry; what is attached to another image says nothing about this one",
  SBOM_NOT_FOUND: "attach one with cosign-ts attach sbom, or better an attestation: cosign-ts attest --type spdxjson",
  SIGNATURE_NOT_ACCEPTED: "see why each was refused; sign the image again, or ask for who signed it",
  SIGNATURE_NOT_FOUND: "sign it with cosign-ts sign, or look where its signatures are kept: COSIGN_REPOSITORY",
  CERTIFICATE_CHAIN_NOT_ALLOWED: "allow certificate chains if intermediates are to come from the bundle",
  CERTIFICATE_CONSTRAINT_VIOLATED: REFUSE,
  CERTIFICATE_ISSUER_UNKNOWN: OTHER_ROOT,
  CERTIFICATE_MISMATCH: "give the certificate that belongs to the signature, or leave it out",
  CERTIFICATE_NOT_VALID_AT_TIME:
    "sign again; if the bundle should have a timestamp, check that the trusted root knows its authority",
  CERTIFICATE_REVOKED: REFUSE,
  CERTIFICATE_SIGNATURE_INVALID: BROKEN_EVIDENCE,
  CERTIFICATE_USAGE_INVALID: "sign with a certificate that is meant for signing code",
  CHECKPOINT_NOT_SIGNED_BY_LOG: OTHER_ROOT,
  CHECKPOINT_SIGNATURE_INVALID: BROKEN_EVIDENCE,
  COSIGNATURE_INVALID: BROKEN_EVIDENCE,
  COSIGNATURE_THRESHOLD_NOT_MET: LOWER,
  DIGEST_ALGORITHM_MISMATCH: "give the artifact itself in place of a digest",
  DIGEST_ONLY_UNSUPPORTED: "give the artifact itself in place of a digest",
  KEY_HINT_MISMATCH: BROKEN_EVIDENCE,
  KEY_NOT_VALID_AT_TIME: "use a bundle that was signed while the key was valid, or correct the window of the key",
  PUBLIC_KEY_UNKNOWN: "give the key that signed",
  SCT_INVALID: BROKEN_EVIDENCE,
  SCT_THRESHOLD_NOT_MET: OTHER_ROOT,
  SIGNATURE_INVALID: "check that artifact, bundle and key belong together; if they do, do not use the artifact",
  SIGNER_KIND_MISMATCH: "expect what the bundle holds: the key that signed, or the identity in the certificate",
  TIMESTAMP_CERTIFICATE_INVALID: OTHER_ROOT,
  TIMESTAMP_IMPRINT_MISMATCH: BROKEN_EVIDENCE,
  TIMESTAMP_NONCE_MISMATCH: "ask for the timestamp again",
  TIMESTAMP_NOT_GRANTED: "ask for the timestamp again",
  TIMESTAMP_OUTSIDE_AUTHORITY_VALIDITY: OTHER_ROOT,
  TIMESTAMP_POLICY_MISMATCH:
    "ask for the found policy if it will do, or have the signature timestamped under the other",
  TIMESTAMP_SIGNATURE_INVALID: BROKEN_EVIDENCE,
  TIMESTAMP_THRESHOLD_NOT_MET: OTHER_ROOT,
  TLOG_CONSISTENCY_PROOF_INVALID: "the log contradicts itself: tell its operator",
  TLOG_ENTRY_DUPLICATE: BROKEN_EVIDENCE,
  TLOG_ENTRY_MISMATCH: BROKEN_EVIDENCE,
  TLOG_INCLUSION_PROOF_INVALID: BROKEN_EVIDENCE,
  TLOG_INCLUSION_PROOF_MISSING: "upgrade the bundle with the tool that made it, so that it brings an inclusion proof",
  TLOG_INCLUSION_PROMISE_INVALID: BROKEN_EVIDENCE,
  TLOG_INCLUSION_PROMISE_MISSING: FETCH_AGAIN,
  TLOG_KEY_NOT_VALID_AT_TIME: OTHER_ROOT,
  TLOG_THRESHOLD_NOT_MET: OTHER_ROOT,

  // Proven, but not what was asked for.
  ANNOTATION_MISMATCH: "ask for the annotations that were signed, or sign with these",
  EXTENSION_MISMATCH: "if the found value is the one you trust, ask for it; otherwise do not use the artifact",
  IDENTITY_MISMATCH: "if the found identity is the one you trust, ask for it; otherwise do not use the artifact",
  ISSUER_MISMATCH: "if the found issuer is the one you trust, ask for it; otherwise do not use the artifact",
  PAYLOAD_TYPE_MISMATCH: "ask for an attestation whose payload is an in-toto statement",
  PREDICATE_TYPE_MISMATCH:
    "ask for the found type if it is the one you want, or give the bundle of the other attestation",
  SUBJECT_MISMATCH: "fetch the artifact again, or the attestation that belongs to it",

  // Nobody to trust.
  SIGNING_CONFIG_UNUSABLE: "refresh the signing config, or name the service yourself",
  TUF_CACHE_EXPIRED: "work online once, or give a trusted root file",
  TUF_METADATA_EXPIRED: "check the clock; if it is right, the repository or a mirror serves old metadata",
  TUF_METADATA_INVALID: REPOSITORY,
  TUF_METADATA_MISSING: REPOSITORY,
  TUF_REFRESH_FAILED: "check the network and the mirror's address, or give a trusted root file",
  TUF_ROLLBACK: REPOSITORY,
  TUF_ROOT_MISSING: "give the repository's root.json, out of band",
  TUF_TARGET_INVALID: REPOSITORY,
  TUF_TARGET_NOT_FOUND: "check that the mirror is a repository of Sigstore's trust",
  TUF_THRESHOLD_NOT_MET: REPOSITORY,

  // No answer.
  HTTP_REQUEST_FAILED: "check the address and the network; behind a proxy, set HTTPS_PROXY",
  HTTP_RESPONSE_TOO_LARGE: "check the address",
  HTTP_STATUS_UNEXPECTED: "check the address; if it is right, try later",
  HTTP_TIMEOUT: "check the network, or try later",
  OFFLINE: "work online once, or give the file that is missing",

  // Not usable as it was given.
  ARTIFACT_UNREADABLE: "check the file, or give its digest",
  BUNDLE_NOT_FOUND: "give the bundle that was made when the file was signed",
  COMMAND_INTERRUPTED: "run it again",
  COMMAND_TIMED_OUT: "give it more time with --timeout, or look with --verbose at what is slow",
  FILE_IS_DIRECTORY: "name a file in it",
  FILE_NOT_FOUND: "check the path",
  FILE_TOO_LARGE: "check that it is the right file",
  FILE_UNREADABLE: "check the path and its permissions",
  URL_INVALID: "check the address: https://host/path",
  USAGE_INVALID: "see --help",

  // Disk.
  CACHE_UNREADABLE: "make it readable, or name another folder with TUF_ROOT",
  IDENTITY_TOKEN_MALFORMED:
    "give an OpenID Connect identity token as the provider issued it: three parts with dots between",
  PRIVATE_KEY_MALFORMED: "give the private key file as it was generated, or import the key: cosign-ts import-key-pair",
  SIGNING_STATE_MALFORMED: "remove the state file and sign anew",
  CERTIFICATE_KEY_MISMATCH: "do not use the certificate: it is for another key than the one that signed",
  CONTENT_NOT_FOUND: "push or copy the image again: it is not complete",
  IMAGE_NOT_FOUND: "check the name; for a private image, log in with cosign-ts login",
  REGISTRY_REALM_REFUSED: "if that host is the one that knows them, name it with --registry-realm-host",
  REGISTRY_REQUEST_REFUSED: "see what the registry says",
  REGISTRY_TAG_IMMUTABLE: "let the tag be moved, or keep signatures where it can be: COSIGN_REPOSITORY",
  REGISTRY_UNAUTHORIZED: "log in with cosign-ts login, with an account that may do it",
  REGISTRY_UPDATE_LOST: "try again, when fewer write at once",
  FULCIO_REQUEST_REFUSED: "read what the certificate authority says; most often the token is not one that it accepts",
  OIDC_REQUEST_REFUSED: "read what the identity provider says, and log in again",
  REKOR_REQUEST_REFUSED: "read what the transparency log says of the entry",
  TIMESTAMP_REQUEST_REFUSED: "read what the timestamp authority says, or choose another in the signing config",
  SERVICE_RESPONSE_INVALID: "check the URL of the service: what answers there is something else, or broken",
  TLOG_ENTRY_CONFLICT: "sign again: the log has an entry that cannot be shown to be this one",
  TLOG_FROZEN: "refresh the signing config: the log shard that it names takes no more entries",
  CREDENTIALS_UNAVAILABLE: "install the helper that docker's configuration names, or give name and password",
  DESTINATION_EXISTS: "copy to another tag, or overwrite it with --force",
  PLATFORM_NOT_FOUND: "ask for one of the platforms that it has",
  REFERENCE_MALFORMED: "write registry/repository:tag or registry/repository@sha256:…",
  ADDRESS_IN_USE: "stop what listens there, or choose other ports with --port",
  FOLDER_IN_USE: "stop the sandbox that works there, or choose another folder with --dir",
  STORE_UNREADABLE: "start the sandbox in another folder; what is damaged in this one cannot be repaired",
  CONSENT_MISSING: "agree with --yes, where what becomes public may become public",
  IDENTITY_TOKEN_AUDIENCE_MISMATCH: "ask the identity provider for a token with the audience that is expected",
  IDENTITY_TOKEN_EXPIRED: "get a new token, and sign within its lifetime",
  IDENTITY_TOKEN_NOT_YET_VALID: "check the clock of this machine; if it is right, wait until the token is valid",
  IDENTITY_TOKEN_UNAVAILABLE:
    "give a token with --identity-token, or sign where a provider is: in CI, or at a terminal with a browser",
  KEY_PASSWORD_MISSING: "set COSIGN_PASSWORD, or run it at a terminal",
  KEY_PASSWORD_WRONG: "give the password that the key was encrypted with",
  LOGIN_FAILED: "log in again, or give a token with --identity-token",
  SIGNING_STATE_MISMATCH:
    "resume with the artifact and the options that the session began with, or remove the state file",
  WRITE_FAILED: "check the path, its permissions and the space on the disk",
};
