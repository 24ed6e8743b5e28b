/**
 * The answers of services, verified before they are used.
 *
 * @module
 */

import type { Bundle } from "../bundle/bundle.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import type { PublicKey } from "../crypto/public-key.ts";
import { equalBytes } from "../encoding/bytes.ts";
import { encodeHex } from "../encoding/hex.ts";
import { FormatError, PolicyError, VerificationError, type SigstoreError } from "../errors.ts";
import { redactUrl } from "../http/redact.ts";
import { expectCertificate } from "../oidc/expected-certificate.ts";
import { claimOf, type IdentityToken } from "../oidc/identity-token.ts";
import { parseEntryBody, verifyEntryBody, type EntryExpectation } from "../tlog/entry-body.ts";
import type { TransparencyLogEntry } from "../tlog/transparency-log-entry.ts";
import type { TrustSource } from "../trust/trust-source.ts";
import type { TransparencyLogInstance, TrustedRoot } from "../trust/trusted-root.ts";
import { parseTimestampResponse } from "../tsa/timestamp-response.ts";
import { verifyImprint, verifyTimestamp } from "../tsa/verify.ts";
import type { Artifact } from "../verify/artifact.ts";
import { choosePathValidAt, listScts, proveCertificate, verifyCertificateTimestamp } from "../verify/certificate.ts";
import { Checks } from "../verify/checks.ts";
import type { SetAside, VerifiedBundle } from "../verify/evidence.ts";
import {
  readIdentityClaims,
  verifyExtension,
  verifyIssuer,
  verifySubjectAlternativeName,
  type ExpectedIdentity,
  type IdentityClaims,
} from "../verify/identity.ts";
import { verifyLogEntries } from "../verify/log-entries.ts";
import type { VerifierOptions, VerifyPolicy } from "../verify/options.ts";
import { prepareTrust, type TrustMaterial } from "../verify/trust-material.ts";
import { Verifier } from "../verify/verifier.ts";
import type { Certificate } from "../x509/certificate.ts";
import type { FulcioExtensions } from "../x509/fulcio.ts";
import type { SignedCertificateTimestamp } from "../x509/sct.ts";

/** How far the clock here may be behind Fulcio's. A certificate is valid from the moment that Fulcio's clock showed. */
export const CLOCK_SKEW_TOLERANCE_MS = 5 * 60_000;

/** Is a trusted root with where it came from. */
export interface Trust {
  readonly trustedRoot: TrustedRoot;
  readonly source: TrustSource;
}

/** Is whom a new certificate must name. */
export type CertificateExpectation =
  | { readonly kind: "token"; readonly token: IdentityToken; readonly identity: ExpectedIdentity | undefined }
  /** A certificate out of a state file, whose token is gone. */
  | { readonly kind: "identity"; readonly identity: ExpectedIdentity | undefined };

/** Verifies answers against a trusted root. Without one, it still compares whom and what an answer is about. */
export class Answers {
  readonly #crypto: CryptoProvider;
  readonly #reload: (() => Promise<Trust>) | undefined;
  readonly #verifiers = new Map<string, Promise<Verifier>>();
  #trust: TrustMaterial | undefined;
  #root: Trust | undefined;
  #reloading: Promise<void> | undefined;

  private constructor(
    crypto: CryptoProvider,
    root: Trust | undefined,
    trust: TrustMaterial | undefined,
    reload: (() => Promise<Trust>) | undefined,
  ) {
    this.#crypto = crypto;
    this.#root = root;
    this.#trust = trust;
    this.#reload = reload;
  }

  /**
   * Makes the authorities of a trusted root ready.
   *
   * @param root - `undefined` for answers whose signatures nobody is to check.
   * @param reload - Loads the trusted root anew, once: when a service turns out to have a key that is newer than the root at hand.
   */
  static async create(
    root: Trust | undefined,
    crypto: CryptoProvider,
    reload?: () => Promise<Trust>,
  ): Promise<Answers> {
    const trust = root === undefined ? undefined : await prepareTrust(root.trustedRoot, crypto);
    return new Answers(crypto, root, trust, reload);
  }

  /** The logs that are trusted, for an entry that has to be looked for. */
  get logs(): readonly TransparencyLogInstance[] {
    return this.#trust?.tlogs ?? [];
  }

  /** Whether signatures of services are verified. */
  get verifies(): boolean {
    return this.#trust !== undefined;
  }

  /**
   * Verifies a certificate of Fulcio: our key, the identity of the token, the path to the trusted root at this time, the SCTs.
   *
   * @returns by how much the clock here is behind Fulcio's, which is tolerated within {@link CLOCK_SKEW_TOLERANCE_MS}.
   * @throws {@link VerificationError}, {@link PolicyError} `IDENTITY_MISMATCH`, `ISSUER_MISMATCH`, {@link FormatError}.
   * @see Sigstore client specification §2.1.3
   */
  async certificate(
    issued: { readonly certificate: Certificate; readonly detachedScts: readonly SignedCertificateTimestamp[] },
    expected: {
      readonly publicKey: PublicKey;
      readonly holder: CertificateExpectation;
      readonly now: Date;
      readonly sctThreshold: number;
      readonly url: string;
    },
  ): Promise<{ readonly clockBehindMs: number }> {
    return await this.#judge(`certificate of Fulcio ${redactUrl(expected.url)}`, async () => {
      const { certificate, detachedScts } = issued;
      verifyKey(certificate, expected.publicKey);
      verifyHolder(certificate, expected.holder);
      const { at, clockBehindMs } = timeOf(certificate, expected.now);
      if (this.#trust !== undefined) {
        const proven = await proveCertificate(certificate, [], this.#trust, this.#crypto);
        const { path } = choosePathValidAt(proven, [at], this.#trust);
        const setAside: SetAside[] = [];
        const operators = new Set<string>();
        for (const { sct, detached, path: place } of listScts(certificate, detachedScts)) {
          const verified = await verifyCertificateTimestamp(
            sct,
            { detached, path: place },
            path,
            this.#trust,
            this.#crypto,
            setAside,
          );
          if (verified !== undefined) operators.add(verified.operator);
        }
        if (operators.size < expected.sctThreshold) {
          throw new VerificationError(
            "SCT_THRESHOLD_NOT_MET",
            "too few certificate transparency logs promised to publish it",
            {
              expected: `${expected.sctThreshold}`,
              found: [`${operators.size}`, ...setAside.map(({ reason }) => reason)].join("; "),
              remedy: "check that the trusted root is the one of the instance that is signed with",
            },
          );
        }
      }
      return { clockBehindMs };
    });
  }

  /**
   * Verifies a timestamp over our signature.
   *
   * @returns its time; `undefined` where there is no trust to verify it with.
   * @throws {@link VerificationError}, {@link FormatError} `TIMESTAMP_MALFORMED`.
   * @see Sigstore client specification §2.1.5
   */
  async timestamp(
    response: Uint8Array,
    signature: Uint8Array,
    url: string,
    certificate: Certificate | undefined,
  ): Promise<Date | undefined> {
    return await this.#judge(`answer of timestamp authority ${redactUrl(url)}`, async () => {
      const trust = this.#trust;
      const token = parseTimestampResponse(response);
      if (trust === undefined) {
        await verifyImprint(token, signature, this.#crypto); // it may come from a state file
        return undefined;
      }
      const proven = await verifyTimestamp(token, signature, trust.timestampAuthorities, { crypto: this.#crypto });
      if (proven === undefined) {
        throw new VerificationError("TIMESTAMP_THRESHOLD_NOT_MET", "no authority of the trusted root made it", {
          expected: trust.timestampAuthorities.map(({ uri }) => uri).join(" or ") || "a timestamp authority",
          found: "an authority that the trusted root does not know",
          remedy: "check that the trusted root is the one of the instance that is signed with",
        });
      }
      const { time } = proven;
      // Known now, before the signature is made public, and not only once the bundle is verified.
      if (certificate !== undefined && (time < certificate.notBefore || time > certificate.notAfter)) {
        throw new VerificationError("CERTIFICATE_NOT_VALID_AT_TIME", "certificate is not valid at the time in it", {
          expected: `${certificate.notBefore.toISOString()} to ${certificate.notAfter.toISOString()}`,
          found: time.toISOString(),
          remedy: "sign again; if this comes back, compare the clocks of the services",
        });
      }
      return time;
    });
  }

  /**
   * Verifies an entry: that it is about our signature, and that a log of the trusted root holds it.
   *
   * @throws {@link VerificationError}, {@link FormatError} `TLOG_ENTRY_MALFORMED`.
   * @see Sigstore client specification §2.1.7
   */
  async entry(entry: TransparencyLogEntry, expected: EntryExpectation, url: string): Promise<void> {
    await this.#judge(`entry of transparency log ${redactUrl(url)}`, async () => {
      await verifyEntryBody(parseEntryBody(entry), entry, expected, this.#crypto);
      if (this.#trust === undefined) return;
      const checks = new Checks();
      const logged = await verifyLogEntries(
        [entry],
        {
          tlogs: this.#trust.tlogs,
          bundleVersion: "0.3",
          requireInclusionProof: true,
          witnesses: [],
          witnessThreshold: 0,
          crypto: this.#crypto,
        },
        checks,
        [],
      );
      const failure = checks.mostTellingFailure();
      if (failure !== undefined) throw failure;
      if (logged.length > 0) return;
      throw new VerificationError("TLOG_THRESHOLD_NOT_MET", "no log of the trusted root signed for it", {
        expected: this.#trust.tlogs.map(({ baseUrl }) => baseUrl).join(" or ") || "a transparency log",
        found: `log ${encodeHex(entry.logId)}`,
        remedy: "check that the trusted root is the one of the instance that is signed with",
      });
    });
  }

  /**
   * Verifies the finished bundle with the verifier that everybody else has, and holds every timestamp and entry in it to be proven.
   *
   * @returns `undefined` where there is no trust to verify it with.
   * @see Sigstore client specification §2.1.8
   */
  async bundle(
    bundle: string,
    parsed: Bundle,
    artifact: Artifact,
    policy: VerifyPolicy,
    options: VerifierOptions,
  ): Promise<VerifiedBundle | undefined> {
    return await this.#judge("finished bundle", async () => {
      const root = this.#root;
      if (root === undefined) return undefined;
      const { tlogEntries, rfc3161Timestamps } = parsed.verificationMaterial;
      const verifier = await this.#verifierFor(root, {
        ...options,
        thresholds: {
          ...options.thresholds,
          tlog: tlogEntries.length > 0 ? 1 : 0,
          timestamp: rfc3161Timestamps.length > 0 ? 1 : 0,
        },
      });
      const evidence = await verifier.verify(bundle, artifact, policy); // the text, as a stranger will read it
      const aside = evidence.setAside.find(({ what }) => what === "tlog-entry" || what === "rfc3161-timestamp");
      if (aside === undefined) return evidence;
      throw new VerificationError(
        aside.what === "tlog-entry" ? "TLOG_THRESHOLD_NOT_MET" : "TIMESTAMP_THRESHOLD_NOT_MET",
        `${aside.path} is of an authority that the trusted root does not know`,
        { found: aside.reason },
      );
    });
  }

  /** Runs a check, and once more where the trust that it needs was too old. */
  async #judge<T>(answer: string, check: () => Promise<T>): Promise<T> {
    const before = this.#trust;
    try {
      return await check();
    } catch (error) {
      if (!isOfUnknownAuthority(error) || this.#reload === undefined) throw about(answer, error);
      try {
        await (this.#reloading ??= this.#replaceTrust(this.#reload));
      } catch {
        throw about(answer, error); // a trust that cannot be renewed is no news about the answer
      }
      if (this.#trust === before) throw about(answer, error); // it was as new as can be
    }
    try {
      return await check();
    } catch (error) {
      throw about(answer, error);
    }
  }

  async #replaceTrust(reload: () => Promise<Trust>): Promise<void> {
    const root = await reload();
    this.#trust = await prepareTrust(root.trustedRoot, this.#crypto);
    this.#root = root;
    this.#verifiers.clear();
  }

  #verifierFor(root: Trust, options: VerifierOptions): Promise<Verifier> {
    const { time } = options;
    const create = (): Promise<Verifier> =>
      Verifier.create(root.trustedRoot, { ...options, crypto: this.#crypto, trustSource: root.source });
    if (time?.kind === "current-time") return create(); // every time another
    const key = JSON.stringify(options);
    let verifier = this.#verifiers.get(key);
    if (verifier === undefined) this.#verifiers.set(key, (verifier = create()));
    return verifier;
  }
}

function verifyKey(certificate: Certificate, publicKey: PublicKey): void {
  if (equalBytes(certificate.publicKey.spki, publicKey.spki)) return;
  throw new VerificationError("CERTIFICATE_KEY_MISMATCH", "it is for another key than the one that was sent", {
    expected: publicKey.type,
    found: certificate.publicKey.type === publicKey.type ? "another key of that type" : certificate.publicKey.type,
  });
}

function verifyHolder(certificate: Certificate, holder: CertificateExpectation): void {
  const claims = readIdentityClaims(certificate);
  const { identity } = holder;
  if (identity !== undefined) {
    verifySubjectAlternativeName(claims, identity.subjectAlternativeName);
    verifyIssuer(claims, identity.issuer);
    for (const [field, matcher] of Object.entries(identity.extensions ?? {})) {
      if (matcher !== undefined) verifyExtension(claims, field as keyof FulcioExtensions, matcher);
    }
    return;
  }
  if (holder.kind === "token") verifyIsOfToken(claims, holder.token);
}

const REQUIRE_IDENTITY =
  "if this instance maps its tokens otherwise, name whom the certificate must have: --require-identity, or signer.identity";

/** Fulcio certifies exactly one name, so one that is not the token's is somebody else's. */
function verifyIsOfToken({ names, extensions }: IdentityClaims, token: IdentityToken): void {
  const expected = expectCertificate(token);
  const possible = [
    ...(expected === undefined ? [] : [expected.subjectAlternativeName.value]),
    ...namesOfSubject(token),
  ];
  const [name, second] = names;
  const isTokens =
    name !== undefined && (isAmong(name.value, possible, token.subject) || isWorkflowOf(name.value, token));
  if (!isTokens || second !== undefined) {
    throw new PolicyError("IDENTITY_MISMATCH", "it names somebody else than the identity token", {
      expected: possible[0],
      found: names.map(({ value }) => value).join(", ") || "no name",
      remedy: REQUIRE_IDENTITY,
    });
  }
  const issuers = [...(expected?.extensions.issuer === undefined ? [] : [expected.extensions.issuer]), token.issuer];
  if (extensions.issuer !== undefined && issuers.includes(extensions.issuer)) return;
  throw new PolicyError("ISSUER_MISMATCH", "it names another issuer than the identity token", {
    expected: issuers[0],
    found: extensions.issuer ?? "no issuer extension",
    remedy: REQUIRE_IDENTITY,
  });
}

/** @see {@link https://github.com/sigstore/fulcio/blob/main/docs/oidc.md | Fulcio docs/oidc.md}, "Supported OIDC token issuers" */
function namesOfSubject({ subject }: IdentityToken): readonly string[] {
  const account = /^system:serviceaccount:([^:/]+):([^:/]+)$/.exec(subject);
  if (account === null) return [subject];
  return [`https://kubernetes.io/namespaces/${account[1] ?? ""}/serviceaccounts/${account[2] ?? ""}`, subject];
}

/** Which address workflows of a GitHub server have stands in Fulcio's configuration; what comes behind it, in the token. */
function isWorkflowOf(name: string, { claims }: IdentityToken): boolean {
  const workflow = claimOf(claims, "job_workflow_ref");
  if (typeof workflow !== "string" || workflow === "" || !name.endsWith(`/${workflow}`)) return false;
  return /^https:\/\/[^/?#@]+$/.test(name.slice(0, -workflow.length - 1));
}

/** An issuer of user names certifies `subject!domain`, with a domain of its own. */
function isAmong(name: string, possible: readonly string[], subject: string): boolean {
  return (
    possible.includes(name) ||
    (!subject.includes("!") && name.startsWith(`${subject}!`) && name.lastIndexOf("!") === subject.length)
  );
}

/** The time to judge a new certificate at: now, unless the clocks differ by a little. */
function timeOf(certificate: Certificate, now: Date): { readonly at: Date; readonly clockBehindMs: number } {
  const behind = certificate.notBefore.getTime() - now.getTime();
  if (behind > 0 && behind <= CLOCK_SKEW_TOLERANCE_MS) return { at: certificate.notBefore, clockBehindMs: behind };
  if (behind <= 0 && now <= certificate.notAfter) return { at: now, clockBehindMs: 0 };
  throw new VerificationError("CERTIFICATE_NOT_VALID_AT_TIME", "it is not valid now, although it is new", {
    expected: `${certificate.notBefore.toISOString()} to ${certificate.notAfter.toISOString()}`,
    found: now.toISOString(),
    remedy: "set the clock of this machine",
  });
}

const UNKNOWN_AUTHORITY: ReadonlySet<string> = new Set([
  "CERTIFICATE_ISSUER_UNKNOWN",
  "SCT_THRESHOLD_NOT_MET",
  "TIMESTAMP_THRESHOLD_NOT_MET",
  "TLOG_THRESHOLD_NOT_MET",
]);

function isOfUnknownAuthority(error: unknown): boolean {
  return error instanceof VerificationError && UNKNOWN_AUTHORITY.has(error.code);
}

/** Says which answer an error is about. */
/** Waits for an answer that its client checks already, and says in an error whose it was. */
export async function answerOf<T>(answer: string, asking: Promise<T>): Promise<T> {
  try {
    return await asking;
  } catch (error) {
    throw about(answer, error);
  }
}

function about(answer: string, cause: unknown): unknown {
  if (cause instanceof VerificationError)
    return new VerificationError(cause.code, messageOf(answer, cause), detailsOf(cause));
  if (cause instanceof PolicyError) return new PolicyError(cause.code, messageOf(answer, cause), detailsOf(cause));
  if (cause instanceof FormatError) return new FormatError(cause.code, messageOf(answer, cause), detailsOf(cause));
  return cause;
}

function messageOf(answer: string, { message }: SigstoreError): string {
  return `${answer} cannot be used: ${message}`;
}

function detailsOf(cause: SigstoreError): {
  readonly expected: string | undefined;
  readonly found: string | undefined;
  readonly remedy: string | undefined;
  readonly report: SigstoreError["report"];
  readonly cause: SigstoreError;
} {
  const { code, expected, found, remedy = REMEDIES[code] ?? WRONG_ANSWER, report } = cause;
  return { expected, found, remedy, report, cause };
}

const OTHER_ROOT = "check that the trusted root is the one of the instance that is signed with";
const WRONG_ANSWER = "sign again; if this comes back, tell the operator of the service that its answers are wrong";
/** What stands beside the codes elsewhere is for those who verify what somebody else has signed. */
const REMEDIES: Readonly<Partial<Record<SigstoreError["code"], string>>> = {
  CERTIFICATE_ISSUER_UNKNOWN: OTHER_ROOT,
  CERTIFICATE_NOT_VALID_AT_TIME: "sign again; if this comes back, compare the clocks of the services",
  CHECKPOINT_NOT_SIGNED_BY_LOG: OTHER_ROOT,
};
