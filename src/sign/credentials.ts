/**
 * Whose signature it will be: keys and certificates of a session, made when they are needed and replaced before they end.
 *
 * @module
 */

import { publicKeyHint } from "../crypto/public-key-hint.ts";
import type { SignatureAlgorithm } from "../crypto/registry.ts";
import { equalBytes } from "../encoding/bytes.ts";
import { tryDecodeUtf8, encodeUtf8 } from "../encoding/utf8.ts";
import { FormatError, InputError, PolicyError, VerificationError } from "../errors.ts";
import { requestSigningCertificate } from "../fulcio/client.ts";
import { createCertificateSigningRequest } from "../fulcio/csr.ts";
import { redactUrl } from "../http/redact.ts";
import { generateSigner } from "../keys/generate.ts";
import type { Signer } from "../keys/signer.ts";
import { parseSigningAlgorithm, DEFAULT_SIGNING_ALGORITHM } from "../keys/signing-algorithm.ts";
import { checkIdentityToken, parseIdentityToken, type IdentityToken } from "../oidc/identity-token.ts";
import { parseCertificate, parseCertificatesPem, type Certificate } from "../x509/certificate.ts";
import { findCertificatePaths } from "../x509/path.ts";
import { answerOf, type Answers } from "./answers.ts";
import type { SigningContent } from "./artifact.ts";
import type { Deadline } from "./deadline.ts";
import type { SignerMaterial } from "./draft.ts";
import type { SelectedServices } from "./events.ts";
import type { SignerChoice } from "./options.ts";
import { requestOptions, type Settings } from "./settings.ts";

/** A certificate is not used for a new signature so close to its end: services must still answer within its life. */
const CERTIFICATE_MARGIN_MS = 60_000;
/** A token is not sent so close to its end. */
const TOKEN_MARGIN_MS = 5_000;
const DEFAULT_AUDIENCE = "sigstore";

/** Is a key, and what verifiers will check its signatures with. */
export interface Credentials {
  readonly signer: Signer;
  readonly material: SignerMaterial;
}

/** Is what is known of the signer before anything is public. */
export type SignerBasis =
  | { readonly kind: "credentials"; readonly credentials: Credentials }
  | { readonly kind: "identity-token"; readonly token: IdentityToken };

/** Is what a key needs to do. */
export interface SignerNeeds {
  readonly algorithm: SignatureAlgorithm;
  readonly signsDigest: boolean;
}

/** Makes credentials for the signatures of one session. */
export interface CredentialSource {
  /** Says how the key will sign, before there need be one. */
  needs(kind: SigningContent["kind"], services: SelectedServices): Promise<SignerNeeds>;
  /** Finds what can be told about the signer beforehand; obtains a token where a new certificate will be needed. */
  basis(
    kind: SigningContent["kind"],
    services: SelectedServices,
    signal: AbortSignal | undefined,
  ): Promise<SignerBasis>;
  /** Gets credentials that are good for another signature: with a new certificate where there is none that is. */
  obtain(basis: SignerBasis, deadline: Deadline): Promise<Credentials>;
  /** Forgets keys and tokens. */
  close(): void;
}

/**
 * Refuses a key that a log would not take a signature of, before one is made.
 *
 * @throws {@link InputError} `USAGE_INVALID`; {@link VerificationError} `ALGORITHM_UNSUPPORTED`.
 */
export function checkLoggable(
  algorithm: SignatureAlgorithm,
  kind: SigningContent["kind"],
  rekor: SelectedServices["rekor"],
): void {
  for (const { url, majorApiVersion } of rekor) {
    const isEnvelope = kind === "envelope" && majorApiVersion === 1;
    if (isEnvelope ? verifiesInEnvelope(algorithm) : verifiesByDigest(algorithm, majorApiVersion)) continue;
    if (algorithm.scheme === "ed25519" || algorithm.scheme === "ed25519ph") {
      throw new InputError(
        "USAGE_INVALID",
        `transparency log ${url} takes no signature of ${algorithm.name} over this`,
        {
          expected: isEnvelope ? "ed25519" : "ed25519-ph",
          found: algorithm.name,
          remedy: "load the key anew for each use, with the algorithm that is asked for, or sign without a log",
        },
      );
    }
    throw new VerificationError(
      "ALGORITHM_UNSUPPORTED",
      `transparency log ${url} takes no signature of ${algorithm.name} over ${isEnvelope ? "a statement" : "an artifact"}`,
      {
        expected: isEnvelope ? "ECDSA or RSA PKCS #1 v1.5 with SHA-256, or Ed25519" : undefined,
        found: algorithm.name,
        remedy: isEnvelope
          ? "use a log of Rekor v2, a key for ecdsa-sha2-256-nistp256, or no log"
          : "use a key of another type, or no log",
      },
    );
  }
}

/** Rekor v1 verifies envelopes with SHA-256, whatever the key, and RSA as PKCS #1 v1.5. */
function verifiesInEnvelope({ scheme, hash }: SignatureAlgorithm): boolean {
  return scheme === "ed25519" || ((scheme === "ecdsa" || scheme === "rsa-pkcs1") && hash === "sha256");
}

/** Everything else is logged by its digest; Rekor v1 cannot tell PSS from PKCS #1 v1.5. */
function verifiesByDigest({ scheme, hash }: SignatureAlgorithm, majorApiVersion: 1 | 2): boolean {
  return hash !== undefined && (scheme !== "rsa-pss" || majorApiVersion === 2);
}

/** Whether an Ed25519 key has to sign hashes for these logs. */
function needsPrehash(kind: SigningContent["kind"], { rekor }: SelectedServices): boolean {
  return kind === "message" ? rekor.length > 0 : rekor.some(({ majorApiVersion }) => majorApiVersion === 2);
}

/** Uses a key that is kept, with or without a certificate of its own. */
export class KeyCredentials implements CredentialSource {
  readonly #choice: Extract<SignerChoice, { kind: "key" }>;
  readonly #settings: Settings;
  readonly #loaded = new Map<boolean, Promise<Signer>>();
  #last: Promise<unknown> = Promise.resolve();
  #material: Promise<SignerMaterial> | undefined;

  constructor(choice: Extract<SignerChoice, { kind: "key" }>, settings: Settings) {
    this.#choice = choice;
    this.#settings = settings;
  }

  async needs(kind: SigningContent["kind"], services: SelectedServices): Promise<SignerNeeds> {
    const signer = await this.#signer(needsPrehash(kind, services));
    return { algorithm: signer.algorithm, signsDigest: signer.signDigest !== undefined };
  }

  async basis(kind: SigningContent["kind"], services: SelectedServices): Promise<SignerBasis> {
    const signer = await this.#signer(needsPrehash(kind, services));
    this.#material ??= this.#readMaterial(signer);
    return { kind: "credentials", credentials: { signer, material: await this.#material } };
  }

  obtain(basis: SignerBasis): Promise<Credentials> {
    if (basis.kind !== "credentials") throw new TypeError("a key needs no token");
    return Promise.resolve(basis.credentials);
  }

  close(): void {
    this.#loaded.clear();
  }

  /** Loads the key, one request at a time: it may ask for a password. */
  #signer(prehashed: boolean): Promise<Signer> {
    const { signer } = this.#choice;
    if (typeof signer !== "function") return Promise.resolve(signer);
    const known = this.#loaded.get(prehashed);
    if (known !== undefined) return known;
    const other = this.#loaded.get(!prehashed); // looked up now: a later one waits for this one
    const loaded = this.#last.then(async () => {
      const same = await other?.catch(() => undefined);
      return same === undefined || same.publicKey.type === "ed25519" ? await signer({ prehashed }) : same;
    });
    this.#last = loaded.catch(() => this.#loaded.delete(prehashed));
    this.#loaded.set(prehashed, loaded);
    return loaded;
  }

  async #readMaterial(signer: Signer): Promise<SignerMaterial> {
    const { certificate: given, certificateChain } = this.#choice;
    if (given === undefined) {
      if (certificateChain === undefined)
        return { kind: "public-key", hint: await publicKeyHint(signer.publicKey, this.#settings.crypto) };
      throw new InputError("USAGE_INVALID", "a certificate chain was given without the certificate that it belongs to");
    }
    const certificate = readCertificate(given);
    if (!equalBytes(certificate.publicKey.spki, signer.publicKey.spki)) {
      throw new VerificationError("CERTIFICATE_KEY_MISMATCH", "certificate is for another key than the private one", {
        expected: signer.publicKey.type,
        found:
          certificate.publicKey.type === signer.publicKey.type
            ? "another key of that type"
            : certificate.publicKey.type,
        remedy: "give the certificate that was issued for this key",
      });
    }
    const chain = certificateChain === undefined ? [] : readChain(certificateChain);
    if (chain.length > 0) {
      const { crypto } = this.#settings;
      const options = { purpose: "code-signing", crypto, untrustedIntermediates: [] } as const;
      await findCertificatePaths(certificate, [{ certificates: chain }], options);
    }
    // sigstore_bundle.proto: a root certificate MUST NOT be in a bundle.
    const intermediates = chain.filter(
      ({ bytes, issuer, subject }) => !equalBytes(issuer, subject) && !equalBytes(bytes, certificate.bytes),
    );
    return { kind: "certificate", certificate, intermediates, detachedScts: [] };
  }
}

function readCertificate(given: string | Uint8Array): Certificate {
  const isDer = typeof given !== "string" && given[0] === 0x30;
  if (isDer) return parseCertificate(given);
  const [certificate] = parseCertificatesPem(textOf(given));
  if (certificate === undefined) throw new FormatError("CERTIFICATE_MALFORMED", "file has no certificate in it");
  return certificate;
}

function readChain(given: string | Uint8Array): readonly Certificate[] {
  return parseCertificatesPem(textOf(given));
}

function textOf(given: string | Uint8Array): string {
  const text = typeof given === "string" ? given : tryDecodeUtf8(given);
  if (text === undefined) throw new FormatError("PEM_MALFORMED", "certificate is neither PEM nor DER");
  return text;
}

/** Gets certificates of Fulcio for the holder of an identity token. One key and one certificate serve many signatures. */
export class KeylessCredentials implements CredentialSource {
  readonly #choice: Extract<SignerChoice, { kind: "keyless" }>;
  readonly #settings: Settings;
  readonly #answers: Answers;
  readonly #fulcioUrl: string;
  readonly #algorithm: SignatureAlgorithm;
  #current: Credentials | undefined;
  #issuing: { readonly deadline: Deadline; readonly issued: Promise<Credentials> } | undefined;
  #token: IdentityToken | undefined;
  #asking: Promise<IdentityToken> | undefined;
  #first: Pick<IdentityToken, "issuer" | "subject"> | undefined;
  #tokens = 0;
  /** Signatures that were finished, for the message that ends the others. */
  finished = 0;

  constructor(
    choice: Extract<SignerChoice, { kind: "keyless" }>,
    settings: Settings,
    answers: Answers,
    fulcioUrl: string,
  ) {
    this.#choice = choice;
    this.#settings = settings;
    this.#answers = answers;
    this.#fulcioUrl = fulcioUrl;
    this.#algorithm =
      choice.signer?.algorithm ?? parseSigningAlgorithm(choice.signingAlgorithm ?? DEFAULT_SIGNING_ALGORITHM);
    if (choice.signer !== undefined && choice.signingAlgorithm !== undefined) {
      throw new InputError("USAGE_INVALID", "a key that is given brings its own signing algorithm");
    }
    if (!["public-key", "csr"].includes(choice.certificateRequest ?? "public-key"))
      throw new InputError("USAGE_INVALID", "signer.certificateRequest must be public-key or csr");
    if (this.#algorithm.scheme === "ed25519ph") {
      throw new InputError("USAGE_INVALID", "Fulcio issues no certificate for ed25519-ph", {
        expected: "another algorithm",
      });
    }
  }

  needs(): Promise<SignerNeeds> {
    const { signer } = this.#choice;
    const signsDigest = signer === undefined ? this.#algorithm.hash !== undefined : signer.signDigest !== undefined;
    return Promise.resolve({ algorithm: this.#algorithm, signsDigest });
  }

  async basis(
    _kind: SigningContent["kind"],
    _services: SelectedServices,
    signal: AbortSignal | undefined,
  ): Promise<SignerBasis> {
    const current = this.#usable();
    if (current !== undefined) return { kind: "credentials", credentials: current };
    return { kind: "identity-token", token: await this.#obtainToken(signal) };
  }

  async obtain(basis: SignerBasis, deadline: Deadline): Promise<Credentials> {
    for (;;) {
      const current = this.#usable();
      if (current !== undefined) return current;
      const running = this.#issuing;
      if (running === undefined) {
        const token =
          basis.kind === "identity-token" && this.#isFresh(basis.token)
            ? basis.token
            : await this.#obtainToken(deadline.caller);
        if (this.#issuing !== undefined) continue; // somebody began meanwhile
        const issued = this.#issue(token, deadline);
        this.#issuing = { deadline, issued };
        try {
          return (this.#current = await issued);
        } finally {
          this.#issuing = undefined;
        }
      }
      try {
        return await deadline.race("waiting for a certificate", running.issued);
      } catch (error) {
        // Whoever asked gave up; that says nothing about the certificate.
        if (!running.deadline.signal.aborted || deadline.signal.aborted) throw error;
      }
    }
  }

  close(): void {
    this.#current = undefined;
    this.#token = undefined;
  }

  #usable(): Credentials | undefined {
    const material = this.#current?.material;
    if (material?.kind !== "certificate") return undefined;
    const left = material.certificate.notAfter.getTime() - this.#settings.now().getTime();
    return left > CERTIFICATE_MARGIN_MS ? this.#current : undefined;
  }

  #isFresh(token: IdentityToken): boolean {
    return token.expiresAt.getTime() - this.#settings.now().getTime() > TOKEN_MARGIN_MS;
  }

  /** Obtains a token, one request at a time: a person may have to log in for it. */
  async #obtainToken(signal: AbortSignal | undefined): Promise<IdentityToken> {
    if (this.#token !== undefined && this.#isFresh(this.#token)) return this.#token;
    this.#asking ??= this.#askForToken(signal).finally(() => (this.#asking = undefined));
    return await this.#asking;
  }

  async #askForToken(signal: AbortSignal | undefined): Promise<IdentityToken> {
    const { identityToken, audience = DEFAULT_AUDIENCE } = this.#choice;
    const { now } = this.#settings;
    this.#tokens += 1;
    const raw =
      typeof identityToken === "string"
        ? identityToken
        : await identityToken({ audience, attempt: this.#tokens, signal });
    const token = parseIdentityToken(raw);
    try {
      checkIdentityToken(token, { audience, now: now(), minimumLifetimeMs: TOKEN_MARGIN_MS });
    } catch (error) {
      if (!(error instanceof InputError) || error.code !== "IDENTITY_TOKEN_EXPIRED" || this.#first === undefined)
        throw error;
      throw new InputError(
        "IDENTITY_TOKEN_EXPIRED",
        `identity token has expired and the certificate is about to: ${this.finished} signatures were finished before`,
        {
          expected: error.expected,
          found: error.found,
          remedy: "give a function that obtains a token anew, or sign the rest with a new token",
          cause: error,
        },
      );
    }
    const { issuer, subject } = token;
    if (this.#first !== undefined && (this.#first.issuer !== issuer || this.#first.subject !== subject)) {
      throw new PolicyError(
        "IDENTITY_MISMATCH",
        "new identity token is for somebody else than the first of this session",
        {
          expected: `${this.#first.subject} (${this.#first.issuer})`,
          found: `${subject} (${issuer})`,
          remedy: "log in as the same identity, or open another session",
        },
      );
    }
    this.#first ??= { issuer, subject };
    this.#token = token;
    this.#settings.observe({ kind: "token-checked", issuer, subject, expiresAt: token.expiresAt });
    return token;
  }

  async #provePossession(
    signer: Signer,
    token: IdentityToken,
    deadline: Deadline,
  ): Promise<{ readonly proofOfPossession: Uint8Array } | { readonly certificateSigningRequest: string }> {
    switch (this.#choice.certificateRequest ?? "public-key") {
      case "csr":
        return { certificateSigningRequest: await createCertificateSigningRequest(signer) };
      case "public-key":
        return { proofOfPossession: await signer.sign(encodeUtf8(token.subject), deadline.signal) };
    }
  }

  /** Client specification §2.1.2 and §2.1.3. */
  async #issue(token: IdentityToken, deadline: Deadline): Promise<Credentials> {
    const { observe, now, sctThreshold } = this.#settings;
    const url = this.#fulcioUrl;
    const signer = this.#choice.signer ?? (await generateSigner(this.#algorithm.name));
    const { publicKey } = signer;
    const proof = await deadline.race("proving possession of the key", this.#provePossession(signer, token, deadline));
    observe({ kind: "certificate-requesting", url });
    const asking = requestSigningCertificate(
      url,
      { identityToken: token.raw, publicKey, ...proof },
      requestOptions(this.#settings, "fulcio", deadline),
    );
    const { certificate, detachedSct } = await answerOf(`certificate of Fulcio ${redactUrl(url)}`, asking);
    const detachedScts = detachedSct === undefined ? [] : [detachedSct];
    const { clockBehindMs } = await this.#answers.certificate(
      { certificate, detachedScts },
      {
        publicKey,
        holder: { kind: "token", token, identity: this.#choice.identity },
        now: now(),
        sctThreshold,
        url,
      },
    );
    if (clockBehindMs > 0) observe({ kind: "clock-skew", milliseconds: clockBehindMs });
    observe({
      kind: "certificate-verified",
      subject: certificate.extensions.subjectAlternativeNames[0]?.value ?? "",
      notAfter: certificate.notAfter,
      chainVerified: this.#answers.verifies,
    });
    return { signer, material: { kind: "certificate", certificate, intermediates: [], detachedScts } };
  }

  /** Says whom a certificate out of a state file must name, where that can be told without asking a person. */
  async heldToken(): Promise<IdentityToken | undefined> {
    const { identityToken, identity, knownToken } = this.#choice;
    if (typeof identityToken === "string") return parseIdentityToken(identityToken);
    if (this.#token !== undefined || identity !== undefined) return this.#token;
    const known = await knownToken?.();
    return known === undefined ? undefined : parseIdentityToken(known);
  }
}
