/**
 * The end-to-end scenarios of cosign's own test suite, by their names there, and what answers to each here.
 *
 * @module
 */

/** Names a test that asks the same question: its file, below `test/`, and its title or the beginning of it. */
export interface Counterpart {
  readonly file: string;
  readonly title: string;
}

/** Is what answers to a scenario: tests, or the reason that there is none. */
export type Answer =
  | { readonly kind: "tests"; readonly tests: readonly [Counterpart, ...Counterpart[]] }
  /** It asks about something that is not in this program on purpose, or that is no question. */
  | { readonly kind: "does-not-apply"; readonly reason: string };

const tests = (...list: readonly [Counterpart, ...Counterpart[]]): Answer => ({ kind: "tests", tests: list });
const at = (file: string, title: string): Counterpart => ({ file, title });
const image = (title: string): Answer => tests(at("e2e/cosign-images.test.ts", title));
const doesNotApply = (reason: string): Answer => ({ kind: "does-not-apply", reason });

const HARDWARE = "hardware tokens are not supported: --sk and pkcs11 are refused by name, with the way out";
const POLICIES = "policies in CUE and Rego are refused by name; the type, the subject and the signer are compared";

/** Lists every scenario. @see sigstore/cosign, test/ */
export const SCENARIOS: Readonly<Record<string, Answer>> = {
  // e2e_test.go, signatures of images
  TestSignVerify: image("TestSignVerify, %s"),
  TestSignVerifyCertBundle: image("TestSignVerifyCertBundle, "),
  TestSignVerifyClean: image("TestSignVerifyClean, %s"),
  TestImportSignVerifyClean: image("TestImportSignVerifyClean"),
  TestDuplicateSign: image("TestDuplicateSign"),
  TestMultipleSignatures: image("TestMultipleSignatures"),
  TestSignVerifyMultipleIdentities: image("TestSignVerifyMultipleIdentities"),
  TestSignVerifyMultipleIdentitiesKeyless: image("TestSignVerifyMultipleIdentitiesKeyless"),
  TestSignVerifyUploadFalse: image("TestSignVerifyUploadFalse"),
  TestNoTlog: image("TestNoTlog"),
  TestOffline: image("TestOffline, "),
  TestInvalidBundle: image("TestInvalidBundle"),
  TestRekorBundle: image("TestOffline, TestRekorBundle"),
  TestRekorOutput: image("TestOffline, TestRekorBundle, TestRekorOutput"),
  TestFulcioBundle: image("TestFulcioBundle"),
  TestRFC3161Timestamp: image("TestRFC3161Timestamp, "),
  TestRekorBundleAndRFC3161Timestamp: image("TestRFC3161Timestamp, TestRekorBundleAndRFC3161Timestamp"),
  TestVerifyWithCARoots: tests(
    at("e2e/cosign-images.test.ts", "TestSignVerifyCertBundle, TestVerifyWithCARoots"),
    at("cli/images/verify-images.test.ts", "--ca-intermediates lead to --ca-roots"),
    at("cli/legacy-signatures.test.ts", "--certificate-chain takes the place of the root's authorities"),
    at("cli/legacy-signatures.test.ts", "need no trusted root where they name everything, as in cosign"),
  ),
  TestSignVerifyDetachedKeyless: image("TestSignVerifyDetachedKeyless"),
  TestKeyURLVerify: tests(at("cli/cosign-compatibility.test.ts", "come from a URL and from the environment")),
  TestSignVerifyWithRepoOverride: image("TestSignVerifyWithRepoOverride"),

  // bundles and configurations
  TestSignVerifyBundle: image("TestSignVerifyBundle: "),
  TestSignVerifyBundleOffline: image("TestSignVerifyBundleOffline"),
  TestSignVerifyWithTUFMirror: tests(
    at("cli/sign-blob.test.ts", "takes services and trust from the TUF repository of the environment"),
    at("tuf/load-trust.test.ts", "says that a repository has no trusted root"),
  ),
  TestSignAttestVerifyBlobWithSigningConfig: tests(
    at("cli/sign-blob.test.ts", "--signing-config chooses the services"),
    at("sign/sandbox.test.ts", "makes bundles of artifacts and statements with Rekor v%i"),
  ),
  TestSignAttestVerifyContainerWithSigningConfig: image("TestSignVerifyWithSigningConfigWithKey, TestSignAttestVerify"),
  TestSignVerifyWithSigningConfigWithKey: image("TestSignVerifyWithSigningConfigWithKey"),
  TestSignVerifyContainerWithSigningConfigWithCertificate: image(
    "TestSignVerifyContainerWithSigningConfigWithCertificate",
  ),
  TestSignVerifyContainerWithCertificateChain: image(
    "TestSignVerifyContainerWithSigningConfigWithCertificate, TestSignVerifyContainerWithCertificateChain",
  ),
  TestSignVerifyBlobWithCertificateChain: tests(
    at("sign/options.test.ts", "puts the chain beside it without its root"),
    at("checklist/03-option-is-honoured.test.ts", "allowCertificateChain, in version 0.1"),
  ),
  TestSignRekorV2NoTSA: image("TestSignRekorV2NoTSA"),
  TestSignAttestVerifyRekorV2: image("TestSignAttestVerifyRekorV2"),
  TestTrustedRootCreateFromDefaults: tests(
    at("cli/trusted-root-create.test.ts", "adds own services to the default ones, and leaves out what --no-default"),
  ),
  TestSigningConfigCreateFromDefaults: tests(
    at("cli/signing-config-create.test.ts", "--with-default-services begins with those of the repository"),
    at("cli/signing-config-create.test.ts", "--no-default-%s leaves those services out"),
  ),

  // attestations
  TestAttestVerify: image("TestAttestVerify, "),
  TestAttestVerifySPDXJSON: image("TestAttestVerifySPDXJSON"),
  TestAttestVerifyCycloneDXJSON: image("TestAttestVerifyCycloneDXJSON"),
  TestAttestVerifyURI: image("TestAttestVerify, …URI"),
  TestAttestationDownload: image("TestAttestationDownload, "),
  TestAttestationDownloadWithPredicateType: image("TestAttestationDownload, …WithPredicateType"),
  TestAttestationDownloadWithBadPredicateType: image(
    "TestAttestationDownload, …WithPredicateType, …WithBadPredicateType",
  ),
  TestAttestationDownloadWithBadPredicateTypeNewBundle: image(
    "TestAttestationDownload, …WithPredicateType, …WithBadPredicateType, %s",
  ),
  TestAttestationReplaceCreate: image("TestAttestationReplaceCreate, "),
  TestAttestationReplace: image("TestAttestationReplaceCreate, TestAttestationReplace"),
  TestAttestationRFC3161Timestamp: image("TestAttestationRFC3161Timestamp"),
  TestAttestationBlobRFC3161Timestamp: tests(
    at("sign/sandbox.test.ts", "makes bundles of artifacts and statements with Rekor v%i"),
    at("cli/attest-blob.test.ts", "writes what cosign wrote before bundles, which is verified from there"),
  ),
  TestAttestVerifyUploadFalse: image("TestAttestVerifyUploadFalse"),
  TestAttestBlobSignVerify: tests(
    at("cli/attest-blob.test.ts", "signs a predicate about a file, to the letter"),
    at("cli/cosign-compatibility.test.ts", "asks for the type custom where none is given, as cosign does"),
  ),
  TestAttestDownloadAttachNewBundle: image("TestAttestDownloadAttachNewBundle"),
  TestSignDownloadAttachNewBundle: image("TestAttestDownloadAttachNewBundle, TestSignDownloadAttachNewBundle"),

  // blobs
  TestSignBlob: tests(
    at("cli/sign-blob.test.ts", "writes a bundle without a certificate, and asks Fulcio nothing"),
    at("checklist/01-binding-matrix.test.ts", "checklist 1"),
  ),
  TestSignBlobBundle: tests(
    at("cli/sign-blob.test.ts", "writes what cosign wrote before bundles, which is verified from there"),
    at(
      "cli/legacy-signatures.test.ts",
      "verifies one of a certificate and one of a key, and says what is only promised",
    ),
  ),
  TestSignBlobNewBundle: tests(
    at("cli/sign-blob.test.ts", "writes a bundle that verifies, for its owner alone, and nothing to standard output"),
  ),
  TestSignBlobNewBundleNonSHA256: tests(at("sign/options.test.ts", "is hashed with the hash of the key's algorithm")),
  TestSignBlobNewBundleNonDefaultAlgorithm: tests(
    at("cli/sign-blob.test.ts", "--signing-algorithm chooses the key"),
    at("keys/local-signer.test.ts", "makes a key for %s that signs"),
  ),
  TestSignBlobRFC3161TimestampBundle: tests(
    at("cli/sign-blob.test.ts", "--timestamp-server-url brings a timestamp, --tlog-upload=false leaves the log out"),
    at("cli/legacy-signatures.test.ts", "--rfc3161-timestamp proves a time, and goes with --use-signed-timestamps"),
  ),

  // keys, layouts, other
  TestGenerateKeyPairEnvVar: tests(
    at("cli/key-commands.test.ts", "reads its flags from the environment, as cosign does"),
    at("keys/load-signer.test.ts", "takes the password from COSIGN_PASSWORD where nothing else says it"),
  ),
  TestGenerateKeyPairK8s: doesNotApply("keys in Kubernetes secrets are refused by name, with the way out"),
  TestGetPublicKeyCustomOut: tests(at("cli/key-commands.test.ts", "writes it to a file, whole where a longer one was")),
  TestGenerate: image("TestGenerate: "),
  TestSaveLoad: image("TestSaveLoad, "),
  TestSaveLoadAutoDetectFormat: image("TestSaveLoad, TestSaveLoadAutoDetectFormat"),
  TestSaveLoadAttestation: image("TestSaveLoad, TestSaveLoadAutoDetectFormat, TestSaveLoadAttestation"),
  TestAttachSBOM: image("TestAttachSBOM, "),
  TestAttachWithRFC3161Timestamp: tests(
    at(
      "cli/images/attach.test.ts",
      "takes a signature from standard input, and log entry and timestamp as they stand elsewhere",
    ),
  ),
  TestTree: tests(
    at("e2e/cosign-images.test.ts", "TestTree"),
    at("cli/images/tree-and-clean.test.ts", "draws what is attached as cosign does"),
  ),
  TestDockerfileVerify: image("TestDockerfileVerify"),
  TestManifestVerify: image("TestManifestVerify"),

  // other files
  TestAttachSignature: image("TestUploadDownload, TestAttachSignature"),
  TestAttachWithRekorBundle: tests(
    at(
      "cli/images/attach.test.ts",
      "takes a signature from standard input, and log entry and timestamp as they stand elsewhere",
    ),
    at("oci/attach.test.ts", "puts signature, certificate, chain, log entry and timestamp under the tag"),
  ),
  TestUploadDownload: image("TestUploadDownload"),
  TestAttachSBOM_bom_flag: image("TestAttachSBOM, TestAttachSBOM_bom_flag"),
  TestInsecureRegistry: image("TestInsecureRegistry, "),
  TestAttestInsecureRegistry: image("TestInsecureRegistry, TestAttestInsecureRegistry"),
  TestSecretsKMS: doesNotApply("keys of cloud providers and of Vault are refused by name, with the way out"),
  TestTSAMTLS: tests(at("http/tls.test.ts", "introduces itself with its certificate")),
  TestSignBlobTSAMTLS: tests(
    at("http/tls.test.ts", "introduces itself with its certificate"),
    at("http/tls.test.ts", "trusts the authorities that it is given, and none else"),
  ),
  TestTSAMTLSWithSigningConfig: tests(at("http/tls.test.ts", "introduces itself with its certificate")),
  TestSignBlobTSAMTLSWithSigningConfig: tests(at("http/tls.test.ts", "introduces itself with its certificate")),
  "piv_test.go": doesNotApply(HARDWARE),
  TestParsePKCS11URI: doesNotApply(HARDWARE),
  TestConstructPKCS11URI: doesNotApply(HARDWARE),
  TestListTokensCmd: doesNotApply(HARDWARE),
  TestListKeysUrisCmd: doesNotApply(HARDWARE),
  TestCertificateIgnored: doesNotApply(HARDWARE),
  TestSignAndVerify: doesNotApply(HARDWARE),
  "policies of TestAttestVerify in CUE and Rego": doesNotApply(POLICIES),

  // workflows and scripts
  "GitHub OIDC ambient signing": tests(
    at("cli/sign-blob.test.ts", "takes the token of a workflow, and the certificate that names the workflow"),
  ),
  "kind cluster verify-attestation": doesNotApply("nothing of this runs in a cluster"),
  "install binary and sign/verify": tests(
    at("package/package.test.ts", "has a command line that starts and knows its version"),
  ),
  "sigstore-conformance": tests(at("conformance/client.test.ts", "the conformance client")),
};
