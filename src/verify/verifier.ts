/**
 * Client specification §4, in its order: from a bundle and an artifact to what they prove.
 *
 * @module
 */

import { parseBundle, type Bundle } from "../bundle/bundle.ts";
import type { Digest, HashAlgorithm } from "../crypto/digest.ts";
import { defaultCryptoProvider, type CryptoProvider } from "../crypto/provider.ts";
import type { PublicKey } from "../crypto/public-key.ts";
import type { SignatureAlgorithm } from "../crypto/registry.ts";
import { parseEnvelope } from "../dsse/envelope.ts";
import { preAuthEncoding } from "../dsse/pae.ts";
import { equalBytes } from "../encoding/bytes.ts";
import { encodeHex } from "../encoding/hex.ts";
import { InputError, PolicyError, SigstoreError, VerificationError, type Check } from "../errors.ts";
import { findSubject, IN_TOTO_PAYLOAD_TYPE, parseStatement, type Statement } from "../intoto/statement.ts";
import { parseEntryBody, verifyEntryBody, type EntryExpectation } from "../tlog/entry-body.ts";
import { isWithin } from "../trust/time-range.ts";
import { listsLogs, type TrustedRoot } from "../trust/trusted-root.ts";
import { parseCertificate, type Certificate } from "../x509/certificate.ts";
import type { FulcioExtensions } from "../x509/fulcio.ts";
import { readArtifact, type Artifact, type ReadArtifact } from "./artifact.ts";
import {
  CertificateMemory,
  choosePathValidAt,
  listScts,
  proveCertificate,
  verifyCertificateTimestamp,
  type ProvenCertificate,
} from "./certificate.ts";
import { Checks, FAILED } from "./checks.ts";
import type {
  SetAside,
  Unproven,
  VerifiedBundle,
  VerifiedContent,
  VerifiedSignedCertificateTimestamp,
  VerifiedSigner,
  VerifiedTimestamp,
} from "./evidence.ts";
import {
  readIdentityClaims,
  verifyExtension,
  verifyIssuer,
  verifySubjectAlternativeName,
  type StringMatcher,
} from "./identity.ts";
import { verifyLogEntries, verifyLogKeyValidity, type LoggedEntry } from "./log-entries.ts";
import { checkPolicy, readVerifierOptions, type Settings } from "./settings.ts";
import type { TrustedKey, VerifierOptions, VerifyPolicy } from "./options.ts";
import { messageHashes, verifyEnvelopeSignature, verifyMessageDigest, verifyMessageSignature } from "./signature.ts";
import { verifyTimestamps } from "./timestamps.ts";
import { prepareTrust, type TrustMaterial } from "./trust-material.ts";

/** Is a bundle as JSON (text or UTF-8), or one that was parsed before. */
export type BundleInput = string | Uint8Array | Bundle;

/** Holds all options of the one-shot {@link verify}. */
export type VerifyOptions = VerifierOptions & VerifyPolicy & { readonly trustedRoot: TrustedRoot };

/**
 * Verifies one bundle against one artifact. For many bundles, a {@link Verifier} does the work on the trusted root once.
 *
 * @param bundle - A Sigstore bundle, v0.1 to v0.3.
 * @param artifact - What was signed, or what the signed statement must be about.
 * @returns what is now proven: who signed, what, when, and where it was logged.
 * @throws {@link VerificationError}, {@link PolicyError} for what is not proven, with every check in `report`; {@link FormatError}
 * for a bundle that is not one; {@link InputError} `USAGE_INVALID`, `ARTIFACT_UNREADABLE`.
 * @see Sigstore client specification §4
 */
export async function verify(bundle: BundleInput, artifact: Artifact, options: VerifyOptions): Promise<VerifiedBundle> {
  const { trustedRoot, identity, keys, predicateType, detachedScts, ...verifierOptions } = options;
  const verifier = await Verifier.create(trustedRoot, verifierOptions);
  return await verifier.verify(bundle, artifact, { identity, keys, predicateType, detachedScts } as VerifyPolicy);
}

/** Verifies bundles against one trusted root, under one set of options. */
export class Verifier {
  readonly #trust: TrustMaterial;
  readonly #settings: Settings;
  readonly #memory = new CertificateMemory();

  private constructor(trust: TrustMaterial, settings: Settings) {
    this.#trust = trust;
    this.#settings = settings;
  }

  /**
   * Checks the trusted root's own certificates and makes a verifier. The root must not be changed afterwards.
   *
   * @throws {@link InputError} `USAGE_INVALID` for an unknown option, an impossible value, or a root that the options exclude.
   */
  static async create(trustedRoot: TrustedRoot, options: VerifierOptions = {}): Promise<Verifier> {
    const settings = readVerifierOptions(options, defaultCryptoProvider);
    if (settings.refuseRootWithLogs) requireNoLogs(trustedRoot);
    return new Verifier(await prepareTrust(trustedRoot, settings.crypto), settings);
  }

  /** Verifies one bundle, as {@link verify} does. */
  async verify(bundle: BundleInput, artifact: Artifact, policy: VerifyPolicy): Promise<VerifiedBundle> {
    checkPolicy(policy);
    const parsed = typeof bundle === "string" || bundle instanceof Uint8Array ? parseBundle(bundle) : bundle;
    return await new Verification(parsed, artifact, policy, this.#trust, this.#settings, this.#memory).run();
  }
}

function requireNoLogs(trustedRoot: TrustedRoot): void {
  if (!listsLogs(trustedRoot)) return;
  throw new InputError(
    "USAGE_INVALID",
    "trusted root is not that of GitHub's own instance: it lists transparency logs",
    {
      expected: "no transparency log",
      remedy:
        "leave the profile out: signatures of that instance are in its logs; or give the trusted root of GitHub's instance",
    },
  );
}

/** Is the key that must have signed, before it is known whether it did. */
type SignerCandidate =
  | { readonly kind: "certificate"; readonly certificate: Certificate; readonly intermediates: readonly Certificate[] }
  | { readonly kind: "public-key"; readonly keys: readonly TrustedKey[] };

/** Is the content with its signature, as far as both were proven. */
interface SignedContent {
  readonly algorithm: SignatureAlgorithm | undefined;
  readonly key: PublicKey | undefined;
  readonly content: VerifiedContent | undefined;
  readonly expected: EntryExpectation["content"] | undefined;
}

/** Is one run of the procedure; its fields are what several steps need. */
class Verification {
  readonly #bundle: Bundle;
  readonly #artifact: Artifact;
  readonly #policy: VerifyPolicy;
  readonly #trust: TrustMaterial;
  readonly #settings: Settings;
  readonly #memory: CertificateMemory;
  readonly #crypto: CryptoProvider;
  readonly #checks = new Checks();
  readonly #setAside: SetAside[];
  readonly #unproven: Unproven[] = [];

  constructor(
    bundle: Bundle,
    artifact: Artifact,
    policy: VerifyPolicy,
    trust: TrustMaterial,
    settings: Settings,
    memory: CertificateMemory,
  ) {
    this.#bundle = bundle;
    this.#artifact = artifact;
    this.#policy = policy;
    this.#trust = trust;
    this.#settings = settings;
    this.#memory = memory;
    this.#crypto = settings.crypto;
    this.#setAside = [...trust.setAside];
  }

  async run(): Promise<VerifiedBundle> {
    const { verificationMaterial: material } = this.#bundle;
    const candidate = this.#readSigner();

    // Steps that need nothing of one another run side by side; the report puts them in the specification's order.
    const [rfc3161, logged, proven, signed] = await Promise.all([
      verifyTimestamps(
        material.rfc3161Timestamps,
        [this.#signature, ...this.#envelopeJson()],
        this.#trust,
        { crypto: this.#crypto, policy: this.#settings.timestampPolicy },
        this.#checks,
        this.#setAside,
      ),
      verifyLogEntries(
        material.tlogEntries,
        {
          tlogs: this.#trust.tlogs,
          bundleVersion: this.#bundle.version,
          requireInclusionProof: this.#settings.requireInclusionProof,
          witnesses: this.#settings.witnesses,
          witnessThreshold: this.#settings.thresholds.witness,
          crypto: this.#crypto,
        },
        this.#checks,
        this.#setAside,
      ),
      candidate?.kind === "certificate" ? this.#proveCertificate(candidate) : undefined,
      this.#verifyContent(candidate),
    ]);
    const timestamps: readonly VerifiedTimestamp[] = [
      ...rfc3161,
      ...logged.flatMap((entry) => integratedTimeOf(entry)),
    ];

    this.#verifyThresholds(candidate, signed.key, rfc3161, logged, timestamps);
    this.#verifyLogKeys(logged, timestamps);
    const signer =
      candidate?.kind === "certificate"
        ? await this.#verifyCertificateSigner(candidate.certificate, proven, timestamps)
        : await this.#verifyKeySigner(candidate, signed.key, timestamps);
    await this.#verifyEntryBodies(logged, candidate, signed);

    const failure = this.#checks.mostTellingFailure();
    const { algorithm, content } = signed;
    if (failure !== undefined) throw withReport(failure, this.#checks.list());
    if (signer === undefined || algorithm === undefined || content === undefined) {
      throw new Error("a verification without a failed check has not proven everything"); // cannot happen; never fall through
    }
    return {
      signer,
      content,
      signatureAlgorithm: algorithm.name,
      timestamps,
      logEntries: logged.map(({ verified }) => verified),
      unproven: this.#unproven,
      setAside: this.#setAside,
      checks: this.#checks.list(),
      trust: this.#settings.trustSource,
    };
  }

  get #signature(): Uint8Array {
    const { content } = this.#bundle;
    if (content.kind === "messageSignature") return content.signature;
    const [signature] = content.envelope.signatures;
    if (signature === undefined) throw new VerificationError("SIGNATURE_INVALID", "envelope has no signature");
    return signature.sig;
  }

  /**
   * The JSON of the envelope, which cosign 2 had timestamped in place of the signature. Whoever assembled the bundle may have given
   * some other text: only one that holds this very envelope is as good as the signature in it.
   */
  #envelopeJson(): readonly Uint8Array[] {
    const { envelopeJson } = this.#bundle.verificationMaterial;
    const { content } = this.#bundle;
    if (envelopeJson === undefined || content.kind !== "dsseEnvelope") return [];
    const [signature, ...others] = parseEnvelope(envelopeJson).signatures;
    return signature !== undefined && others.length === 0 && equalBytes(signature.sig, this.#signature)
      ? [envelopeJson]
      : [];
  }

  /** Reads whose key the bundle says signed, and whether that is the kind of signer the caller expects. */
  #readSigner(): SignerCandidate | undefined {
    const { version, verificationMaterial } = this.#bundle;
    const { minimumBundleVersion, allowCertificateChain } = this.#settings;
    const material = verificationMaterial.content;
    this.#checks.check(
      "input",
      "bundle.version",
      "sigstore_bundle.proto, media_type",
      () => {
        if (minimumBundleVersion !== undefined && version < minimumBundleVersion) {
          throw new VerificationError(
            "BUNDLE_VERSION_NOT_ALLOWED",
            "bundle is of an older version than the caller allows",
            {
              expected: `${minimumBundleVersion} or later`,
              found: version,
            },
          );
        }
        if (material.kind === "x509CertificateChain" && version === "0.3" && !allowCertificateChain) {
          throw new VerificationError(
            "CERTIFICATE_CHAIN_NOT_ALLOWED",
            "bundle of version 0.3 holds a certificate chain",
            {
              expected: "a single certificate",
              found: `${material.certificates.length} certificates`,
              remedy: "allow certificate chains if the intermediates are to come from the bundle",
            },
          );
        }
      },
      () => version,
    );
    const candidate = this.#checks.check("input", "signer.kind", "client-spec §4.1", (): SignerCandidate => {
      const { keys } = this.#policy;
      if (material.kind === "publicKey") {
        if (keys !== undefined) return { kind: "public-key", keys: hintedFirst(keys, material.hint) };
        throw new VerificationError(
          "SIGNER_KIND_MISMATCH",
          "bundle was signed with a public key, which proves no identity",
          {
            expected: "a certificate",
            found: `a public key with hint ${JSON.stringify(material.hint)}`,
            remedy: "give the public key to verify with",
          },
        );
      }
      if (keys !== undefined) {
        throw new VerificationError(
          "SIGNER_KIND_MISMATCH",
          "bundle was signed with a certificate, not with a given key",
          {
            expected: "a public key",
            found: "a certificate",
            remedy: "give the certificate's identity and issuer to verify with",
          },
        );
      }
      const [leaf, ...others] = material.kind === "certificate" ? [material.certificate] : material.certificates;
      if (leaf === undefined) throw new VerificationError("SIGNER_KIND_MISMATCH", "bundle has no certificate");
      return {
        kind: "certificate",
        certificate: parseCertificate(leaf),
        intermediates: allowCertificateChain ? others.map((der) => parseCertificate(der)) : [],
      };
    });
    return candidate === FAILED ? undefined : candidate;
  }

  /** §4.3, first part: the path to an authority of the trusted root, whatever the time. */
  async #proveCertificate(
    candidate: SignerCandidate & { kind: "certificate" },
  ): Promise<ProvenCertificate | undefined> {
    const { certificate, intermediates } = candidate;
    const proven = await this.#checks.run(
      "certificate",
      "certificate.path",
      "client-spec §4.3; RFC 5280 §6",
      async () => {
        const id = encodeHex(await this.#crypto.digest("sha256", certificate.bytes));
        const known = intermediates.length === 0 ? this.#memory.recall(id) : undefined;
        if (known !== undefined) return known;
        const found = await proveCertificate(certificate, intermediates, this.#trust, this.#crypto);
        if (intermediates.length === 0) this.#memory.remember(id, found);
        return found;
      },
      ({ paths }) => `${paths[0]?.certificates.length ?? 0} certificates to an authority of the trusted root`,
    );
    return proven === FAILED ? undefined : proven;
  }

  /** §4.2 and §4.6, "Threshold verification". */
  #verifyThresholds(
    candidate: SignerCandidate | undefined,
    key: PublicKey | undefined,
    rfc3161: readonly VerifiedTimestamp[],
    logged: readonly LoggedEntry[],
    timestamps: readonly VerifiedTimestamp[],
  ): void {
    const { thresholds, time } = this.#settings;
    const logOperators = distinct(logged.map(({ verified }) => verified.operator));
    this.#checks.check(
      "threshold",
      "tlog.threshold",
      "client-spec §4.6, threshold verification",
      () => {
        if (logOperators.length >= thresholds.tlog) return;
        throw new VerificationError("TLOG_THRESHOLD_NOT_MET", "too few transparency logs vouch for the signature", {
          expected: `${thresholds.tlog}`,
          found: describeCount(logOperators),
          remedy: "check that the trusted root is the one of the instance that the bundle was signed with",
        });
      },
      () => `${logOperators.length} of ${thresholds.tlog}`,
    );
    if (logOperators.length === 0) {
      this.#unproven.push({
        what: "transparency-log",
        reason: "no transparency log was asked for, and none of the trusted root vouches",
      });
    }
    const tsaOperators = distinct(rfc3161.map(({ operator }) => operator));
    if (thresholds.timestamp > 0) {
      this.#checks.check(
        "threshold",
        "timestamp.threshold",
        "client-spec §4.2.1",
        () => {
          if (tsaOperators.length >= thresholds.timestamp) return;
          throw new VerificationError("TIMESTAMP_THRESHOLD_NOT_MET", "too few timestamp authorities vouch for a time", {
            expected: `${thresholds.timestamp}`,
            found: describeCount(tsaOperators),
          });
        },
        () => `${tsaOperators.length} of ${thresholds.timestamp}`,
      );
    }
    const required = requiredTimes(time, candidate, key);
    if (required > 0) {
      const operators = distinct(timestamps.map(({ operator }) => operator));
      this.#checks.check(
        "threshold",
        "time.threshold",
        "client-spec §4.2",
        () => {
          if (operators.length >= required) return;
          throw new VerificationError(
            "TIMESTAMP_THRESHOLD_NOT_MET",
            "too few authorities vouch for a time of signing",
            {
              expected: required === 1 ? "a signed time" : `${required} signed times`,
              found: describeCount(operators),
              remedy:
                "a certificate needs a timestamp, or the inclusion promise of a Rekor v1 log, from an authority of the trusted root",
            },
          );
        },
        () => `${operators.length} of ${required}`,
      );
    }
    if (timestamps.length === 0)
      this.#unproven.push({ what: "time", reason: "no authority of the trusted root vouches for a time" });
  }

  /** sigstore_trustroot.proto, `valid_for` of the logs. */
  #verifyLogKeys(logged: readonly LoggedEntry[], timestamps: readonly VerifiedTimestamp[]): void {
    for (const entry of logged) {
      const { index, verified } = entry;
      if (verified.inclusionProof === undefined) {
        this.#unproven.push({
          what: "tlog-inclusion-proof",
          reason: `log entry ${index} has a promise of inclusion only`,
        });
      }
      this.#checks.check(
        "tlog",
        `tlog[${index}].key-validity`,
        "sigstore_trustroot.proto, valid_for",
        () => {
          const evaluated = verifyLogKeyValidity(entry, timestamps);
          if (evaluated) return true;
          if (this.#settings.requireLogKeyValidity) {
            throw new VerificationError(
              "TLOG_KEY_NOT_VALID_AT_TIME",
              "no verified time speaks for the validity of the log's key",
              {
                expected: "a signed timestamp or an inclusion promise",
                found: "neither",
              },
            );
          }
          this.#unproven.push({
            what: "tlog-key-validity",
            reason: `no verified time to compare the log key of entry ${index} with`,
          });
          return false;
        },
        (evaluated) => (evaluated ? verified.baseUrl : { skipped: "there is no verified time" }),
      );
    }
  }

  /** §4.3: validity at every time, SCTs, identity. */
  async #verifyCertificateSigner(
    certificate: Certificate,
    proven: ProvenCertificate | undefined,
    timestamps: readonly VerifiedTimestamp[],
  ): Promise<VerifiedSigner | undefined> {
    const { time } = this.#settings;
    const times = timestamps.map((timestamp) => timestamp.time);
    if (time?.kind === "current-time") times.push(time.now);

    const section = "client-spec §4.3";
    const identity = this.#verifyIdentity(certificate);
    if (proven === undefined || times.length === 0) {
      this.#checks.notReached("certificate", "certificate.validity", section);
      this.#checks.notReached("sct", "sct.threshold", "RFC 6962 §3.2");
      return undefined;
    }
    const chosen = this.#checks.check(
      "certificate",
      "certificate.validity",
      section,
      () => choosePathValidAt(proven, times, this.#trust),
      () => `valid at ${times.map((at) => at.toISOString()).join(", ")}`,
    );
    const path = chosen === FAILED ? proven.paths[0] : chosen.path;
    const scts = path === undefined ? undefined : await this.#verifyScts(proven, path);
    const reason = this.#settings.denyList?.({ kind: "certificate", certificate });
    this.#verifyNotDenied(reason);
    if (chosen === FAILED || scts === undefined || identity === undefined) return undefined;
    const { uri } = chosen.authority;
    return {
      kind: "certificate",
      certificate,
      identity,
      chain: chosen.path.certificates,
      certificateAuthority: { uri, operator: chosen.authority.operator ?? uri },
      signedCertificateTimestamps: scts,
    };
  }

  async #verifyScts(
    proven: ProvenCertificate,
    path: ProvenCertificate["paths"][number],
  ): Promise<readonly VerifiedSignedCertificateTimestamp[] | undefined> {
    const section = "RFC 6962 §3.2";
    const { detachedScts = [] } = this.#policy;
    const threshold = this.#settings.thresholds.sct;
    const remembered = detachedScts.length === 0 ? proven.embeddedScts.get(path) : undefined;
    const listed = this.#checks.check("sct", "sct.list", "RFC 6962 §3.3", () =>
      remembered === undefined ? listScts(proven.certificate, detachedScts) : [],
    );
    if (listed === FAILED) return undefined;
    for (const [index, sct] of remembered?.entries() ?? []) {
      this.#checks.check(
        "sct",
        `sct[${index}]`,
        section,
        () => sct,
        () => `${sct.time.toISOString()} by ${sct.baseUrl}`,
      );
    }
    const setAsideBefore = this.#setAside.length;
    const outcomes = await Promise.all(
      listed.map(({ sct, detached, path: place }, index) =>
        this.#checks.run(
          "sct",
          `sct[${index}]`,
          section,
          () =>
            verifyCertificateTimestamp(sct, { detached, path: place }, path, this.#trust, this.#crypto, this.#setAside),
          (result) =>
            result === undefined ? { skipped: "set aside" } : `${result.time.toISOString()} by ${result.baseUrl}`,
        ),
      ),
    );
    const verified = [
      ...(remembered ?? []),
      ...outcomes.filter((outcome) => outcome !== undefined && outcome !== FAILED),
    ];
    const whole = !outcomes.includes(FAILED) && this.#setAside.length === setAsideBefore;
    if (remembered === undefined && whole && detachedScts.length === 0) proven.embeddedScts.set(path, verified);

    const operators = distinct(verified.map(({ operator }) => operator));
    const met = this.#checks.check(
      "sct",
      "sct.threshold",
      section,
      () => {
        if (operators.length >= threshold) return;
        throw new VerificationError(
          "SCT_THRESHOLD_NOT_MET",
          "too few certificate transparency logs promised to publish the certificate",
          {
            expected: `${threshold}`,
            found: describeCount(operators),
          },
        );
      },
      () => `${operators.length} of ${threshold}`,
    );
    if (operators.length === 0) {
      this.#unproven.push({
        what: "signed-certificate-timestamp",
        reason: "no certificate transparency log was asked for, and none vouches",
      });
    }
    return met === FAILED || outcomes.includes(FAILED) ? undefined : verified;
  }

  #verifyIdentity(certificate: Certificate): (VerifiedSigner & { kind: "certificate" })["identity"] | undefined {
    const expected = this.#policy.identity;
    if (expected === undefined) return undefined;
    const section = "client-spec §4.3, certificate against the policy";
    const claims = this.#checks.check("identity", "identity.extensions", "Fulcio oid-info", () =>
      readIdentityClaims(certificate),
    );
    if (claims === FAILED) return undefined;
    if (expected === "unsafe-any") {
      const reason = "the caller accepts any identity";
      this.#unproven.push({ what: "identity", reason }, { what: "issuer", reason });
      this.#checks.skipped("identity", "identity.subject-alternative-name", section, reason);
      const [name] = claims.names;
      if (name === undefined) {
        this.#checks.check("identity", "identity.subject-alternative-name", section, () => {
          throw new PolicyError("IDENTITY_MISMATCH", "certificate names nobody", {
            expected: "any",
            found: "no subject alternative name",
          });
        });
        return undefined;
      }
      return { subjectAlternativeName: name, issuer: claims.extensions.issuer, extensions: claims.extensions };
    }
    const name = this.#checks.check(
      "identity",
      "identity.subject-alternative-name",
      section,
      () => verifySubjectAlternativeName(claims, expected.subjectAlternativeName),
      ({ value }) => value,
    );
    this.#noteUnanchored("identity", expected.subjectAlternativeName);
    const issuer = this.#checks.check(
      "identity",
      "identity.issuer",
      section,
      () => verifyIssuer(claims, expected.issuer),
      () => claims.extensions.issuer ?? "none",
    );
    this.#noteUnanchored("issuer", expected.issuer);
    let hold = issuer !== FAILED;
    for (const [key, matcher] of Object.entries(expected.extensions ?? {})) {
      const field = key as keyof FulcioExtensions;
      if (matcher === undefined) continue;
      const outcome = this.#checks.check(
        "identity",
        `identity.${field}`,
        "Fulcio oid-info",
        () => verifyExtension(claims, field, matcher),
        () => claims.extensions[field] ?? "none",
      );
      this.#noteUnanchored("identity", matcher);
      hold &&= outcome !== FAILED;
    }
    if (name === FAILED || !hold) return undefined;
    return { subjectAlternativeName: name, issuer: claims.extensions.issuer, extensions: claims.extensions };
  }

  #noteUnanchored(what: "identity" | "issuer", matcher: StringMatcher): void {
    if (typeof matcher === "string" || matcher.anchored) return;
    this.#unproven.push({
      what,
      reason: `pattern ${matcher.description} is not anchored: it matches any value that contains it`,
    });
  }

  #verifyNotDenied(reason: string | undefined): void {
    if (this.#settings.denyList === undefined) return;
    this.#checks.check("identity", "signer.deny-list", "client-spec §4, revocation", () => {
      if (reason === undefined) return;
      throw new VerificationError("CERTIFICATE_REVOKED", `signer is on the deny list: ${reason}`, { found: reason });
    });
  }

  /** The key's own validity window, which cosign-style keys may have. */
  async #verifyKeySigner(
    candidate: SignerCandidate | undefined,
    key: PublicKey | undefined,
    timestamps: readonly VerifiedTimestamp[],
  ): Promise<VerifiedSigner | undefined> {
    if (candidate?.kind !== "public-key") return undefined;
    const { time } = this.#settings;
    const times = timestamps.map((timestamp) => timestamp.time);
    if (time?.kind === "current-time") times.push(time.now);
    // One key may be given with several windows. As in a trusted root, one that holds is enough.
    const given = key === undefined ? [] : withKey(candidate.keys, key);
    const holds = ({ validFor }: TrustedKey): boolean =>
      validFor === undefined || (times.length > 0 && times.every((at) => isWithin(validFor, at)));
    const trusted = given.find(holds) ?? given[0];
    if (trusted === undefined) {
      this.#checks.notReached("key", "key.validity", "client-spec §4.3");
      return undefined;
    }
    const { validFor, name } = trusted;
    if (validFor === undefined) {
      this.#checks.skipped("key", "key.validity", "client-spec §4.3", "the key has no validity window");
    } else {
      this.#checks.check("key", "key.validity", "client-spec §4.3", () => {
        const outside = times.find((at) => !isWithin(validFor, at));
        if (outside === undefined && times.length > 0) return;
        throw new VerificationError("KEY_NOT_VALID_AT_TIME", "key is not valid for the time of signing", {
          expected: `${validFor.start.toISOString()} to ${validFor.end?.toISOString() ?? "now"}`,
          found: outside?.toISOString() ?? "no verified time",
        });
      });
    }
    const spkiSha256 = await this.#crypto.digest("sha256", trusted.publicKey.spki);
    this.#verifyNotDenied(this.#settings.denyList?.({ kind: "public-key", spkiSha256 }));
    return { kind: "public-key", spkiSha256, name };
  }

  /** §4.5, and for a statement what it is about. */
  async #verifyContent(candidate: SignerCandidate | undefined): Promise<SignedContent> {
    const { content } = this.#bundle;
    const keys = candidate === undefined ? [] : keysOf(candidate);
    return content.kind === "messageSignature"
      ? await this.#verifyMessage(content, keys)
      : await this.#verifyEnvelope(content.envelope, keys);
  }

  async #verifyMessage(
    message: Extract<Bundle["content"], { kind: "messageSignature" }>,
    keys: readonly PublicKey[],
  ): Promise<SignedContent> {
    const artifact = await this.#checks.run("content", "artifact", "client-spec §4.1", () => {
      if (this.#artifact === "unsafe-any") {
        throw new InputError("USAGE_INVALID", "a signature over an artifact cannot be verified without the artifact");
      }
      const wholeMessage = keys.some(({ type }) => type === "ed25519" || type.startsWith("ml-dsa"));
      return readArtifact(this.#artifact, messageHashes(keys, message), wholeMessage, this.#crypto);
    });
    if (this.#policy.predicateType !== undefined) this.#verifyPredicateType(undefined, this.#policy.predicateType);
    if (artifact === FAILED) return { algorithm: undefined, key: undefined, content: undefined, expected: undefined };
    const section = "sigstore_bundle.proto, message_digest";
    if (message.messageDigest === undefined)
      this.#checks.skipped("content", "artifact.digest", section, "the bundle has no message digest");
    else await this.#checks.run("content", "artifact.digest", section, () => verifyMessageDigest(message, artifact));
    const signed = await this.#verifySignature(keys, (key) =>
      verifyMessageSignature(message, key, artifact, this.#crypto),
    );
    const digest =
      signed === undefined
        ? undefined
        : await provenDigest(artifact, signed.algorithm, message.messageDigest?.algorithm);
    return {
      ...(signed ?? { algorithm: undefined, key: undefined }),
      content: digest === undefined ? undefined : { kind: "artifact", digest },
      expected: { kind: "message", digests: (algorithm) => artifact.digest(algorithm) },
    };
  }

  async #verifyEnvelope(
    envelope: Extract<Bundle["content"], { kind: "dsseEnvelope" }>["envelope"],
    keys: readonly PublicKey[],
  ): Promise<SignedContent> {
    const { payload, payloadType } = envelope;
    const pae = preAuthEncoding(payloadType, payload);
    const signature = this.#signature;
    const [signed, content] = await Promise.all([
      this.#verifySignature(keys, (key) => verifyEnvelopeSignature(pae, signature, key, this.#crypto)),
      this.#verifyStatement(payloadType, payload),
    ]);
    return {
      ...(signed ?? { algorithm: undefined, key: undefined }),
      content,
      expected: { kind: "envelope", payload, payloadType, pae },
    };
  }

  async #verifySignature(
    keys: readonly PublicKey[],
    verifyWith: (key: PublicKey) => Promise<SignatureAlgorithm>,
  ): Promise<{ readonly algorithm: SignatureAlgorithm; readonly key: PublicKey } | undefined> {
    if (keys.length === 0) {
      this.#checks.notReached("signature", "signature", "client-spec §4.5");
      return undefined;
    }
    const signed = await this.#checks.run(
      "signature",
      "signature",
      "client-spec §4.5",
      async () => {
        let failure: SigstoreError | undefined;
        for (const key of keys) {
          try {
            return { key, algorithm: await verifyWith(key) };
          } catch (error) {
            if (!(error instanceof SigstoreError)) throw error;
            failure ??= error;
          }
        }
        throw failure ?? new VerificationError("PUBLIC_KEY_UNKNOWN", "there is no key to verify with");
      },
      ({ algorithm }) => algorithm.name,
    );
    return signed === FAILED ? undefined : signed;
  }

  async #verifyStatement(payloadType: string, payload: Uint8Array): Promise<VerifiedContent | undefined> {
    const typed = this.#checks.check(
      "content",
      "envelope.payload-type",
      "DSSE protocol; sigstore_bundle.proto, dsse_envelope",
      () => {
        if (payloadType === IN_TOTO_PAYLOAD_TYPE) return;
        throw new PolicyError("PAYLOAD_TYPE_MISMATCH", "envelope holds something other than an in-toto statement", {
          expected: IN_TOTO_PAYLOAD_TYPE,
          found: payloadType,
        });
      },
      () => payloadType,
    );
    const statement =
      typed === FAILED
        ? FAILED
        : this.#checks.check("content", "statement.format", "in-toto attestation framework, statement", () =>
            parseStatement(payload),
          );
    if (statement === FAILED) {
      this.#checks.notReached("statement", "statement.subject", "client-spec §4.5");
      return undefined;
    }
    const subject = await this.#verifySubject(statement);
    const { predicateType } = this.#policy;
    const typeHolds = predicateType === undefined || this.#verifyPredicateType(statement, predicateType);
    if (subject === FAILED || !typeHolds) return undefined;
    return { kind: "statement", statement, predicateType: statement.predicateType, subject, payload };
  }

  async #verifySubject(
    statement: Statement,
  ): Promise<(VerifiedContent & { kind: "statement" })["subject"] | typeof FAILED> {
    const section = "client-spec §4.5; in-toto attestation framework, subject";
    const artifact = this.#artifact;
    if (artifact === "unsafe-any") {
      const reason = "the caller gave no artifact to compare the subjects with";
      this.#unproven.push({ what: "subject", reason });
      this.#checks.skipped("statement", "statement.subject", section, reason);
      return undefined;
    }
    return await this.#checks.run(
      "statement",
      "statement.subject",
      section,
      async () => {
        const algorithms = subjectHashes(statement);
        const read = await readArtifact(artifact, algorithms, false, this.#crypto);
        const digests: Digest[] = [];
        for (const algorithm of algorithms) {
          const value = await read.digest(algorithm);
          if (value !== undefined) digests.push({ algorithm, value });
        }
        const found = findSubject(statement, digests);
        if (found !== undefined) return { subject: found.subject, digest: found.digest };
        if (digests.length === 0 && algorithms.length > 0) {
          throw new VerificationError(
            "DIGEST_ALGORITHM_MISMATCH",
            "artifact was given by a digest that no subject has",
            {
              expected: algorithms.join(" or "),
              found: read.known.map(({ algorithm }) => algorithm).join(", "),
              remedy: `give the artifact itself, or its ${algorithms[0] ?? "other"} digest`,
            },
          );
        }
        throw new PolicyError("SUBJECT_MISMATCH", "statement is about other artifacts", {
          expected: digests.map(({ algorithm, value }) => `${algorithm}:${encodeHex(value)}`).join(" or "),
          found: describeSubjects(statement),
          remedy: "fetch the artifact again, or the attestation that belongs to it",
        });
      },
      ({ digest }) => `${digest.algorithm}:${encodeHex(digest.value)}`,
    );
  }

  #verifyPredicateType(statement: Statement | undefined, expected: string): boolean {
    const outcome = this.#checks.check(
      "statement",
      "statement.predicate-type",
      "in-toto attestation framework, predicate",
      () => {
        if (statement?.predicateType === expected) return;
        throw new PolicyError("PREDICATE_TYPE_MISMATCH", "bundle holds no statement of the predicate type asked for", {
          expected,
          found: statement?.predicateType ?? "a signature over an artifact, no statement",
        });
      },
      () => expected,
    );
    return outcome !== FAILED;
  }

  /** §4.4, second half: each entry is about this signature, this signer and this content. */
  async #verifyEntryBodies(
    logged: readonly LoggedEntry[],
    candidate: SignerCandidate | undefined,
    signed: SignedContent,
  ): Promise<void> {
    const verifier = entryVerifier(candidate, signed.key);
    for (const { entry, index } of logged) {
      const name = `tlog[${index}].body`;
      const section = "client-spec §4.4";
      const { expected } = signed;
      if (verifier === undefined || expected === undefined) {
        this.#checks.notReached("entry-body", name, section);
        continue;
      }
      const keyAlgorithm = signed.algorithm;
      const expectation = { signature: this.#signature, verifier, content: expected, keyAlgorithm };
      await this.#checks.run(
        "entry-body",
        name,
        section,
        () => verifyEntryBody(parseEntryBody(entry), entry, expectation, this.#crypto),
        () =>
          `${entry.kindVersion.kind} ${entry.kindVersion.version}: signature, signer and content are those of the bundle`,
      );
    }
  }
}

function integratedTimeOf({ verified }: LoggedEntry): VerifiedTimestamp[] {
  const { integratedTime, operator, logId } = verified;
  return integratedTime === undefined ? [] : [{ kind: "integrated-time", time: integratedTime, operator, logId }];
}

function requiredTimes(
  time: Settings["time"],
  candidate: SignerCandidate | undefined,
  key: PublicKey | undefined,
): number {
  if (time?.kind === "current-time") return 0;
  if (time !== undefined) return time.threshold;
  if (candidate?.kind !== "public-key") return 1;
  const keys = key === undefined ? candidate.keys : withKey(candidate.keys, key);
  return keys.some(({ validFor }) => validFor === undefined) ? 0 : 1;
}

/** Lists what the caller says of one key. */
function withKey(keys: readonly TrustedKey[], key: PublicKey): readonly TrustedKey[] {
  return keys.filter(({ publicKey }) => equalBytes(publicKey.spki, key.spki));
}

/** Orders the keys so that the one the bundle hints at comes first. The hint decides nothing else: nobody signed it. */
function hintedFirst(keys: readonly TrustedKey[], hint: string): readonly TrustedKey[] {
  return keys.toSorted((a, b) => Number(b.name === hint) - Number(a.name === hint));
}

function keysOf(candidate: SignerCandidate): readonly PublicKey[] {
  return candidate.kind === "certificate"
    ? [candidate.certificate.publicKey]
    : candidate.keys.map(({ publicKey }) => publicKey);
}

function entryVerifier(
  candidate: SignerCandidate | undefined,
  key: PublicKey | undefined,
): EntryExpectation["verifier"] | undefined {
  if (candidate?.kind === "certificate") return { kind: "certificate", der: candidate.certificate.bytes };
  const only = key ?? (candidate?.keys.length === 1 ? candidate.keys[0]?.publicKey : undefined);
  return only === undefined ? undefined : { kind: "public-key", key: only };
}

/** Chooses the digest to name in the evidence: the one that was signed, otherwise the one that the bundle was compared by. */
async function provenDigest(
  artifact: ReadArtifact,
  { hash }: SignatureAlgorithm,
  compared: HashAlgorithm | undefined,
): Promise<Digest | undefined> {
  const algorithm = hash ?? compared ?? "sha256";
  const value = await artifact.digest(algorithm);
  return value === undefined ? undefined : { algorithm, value };
}

/** Lists the digest algorithms that bind and that some subject has. */
function subjectHashes(statement: Statement): readonly HashAlgorithm[] {
  const hashes = ["sha256", "sha384", "sha512"] as const;
  return hashes.filter((hash) => statement.subject.some(({ digest }) => Object.hasOwn(digest, hash)));
}

function describeSubjects({ subject }: Statement): string {
  const shown = subject.slice(0, 4).map(({ digest }) => {
    const [first] = Object.entries(digest);
    return first === undefined ? "a subject without digest" : `${first[0]}:${first[1]}`;
  });
  return subject.length > shown.length
    ? `${shown.join(", ")} and ${subject.length - shown.length} more`
    : shown.join(", ");
}

function distinct(values: readonly string[]): readonly string[] {
  return [...new Set(values)];
}

function describeCount(operators: readonly string[]): string {
  return operators.length === 0 ? "0" : `${operators.length}: ${operators.join(", ")}`;
}

/** Throws the failure again as one that carries the whole report. */
function withReport(failure: SigstoreError, report: readonly Check[]): SigstoreError {
  return Object.assign(failure, { report });
}
