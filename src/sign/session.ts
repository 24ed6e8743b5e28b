/**
 * Client specification §2, in its order: from artifacts and an identity or a key to bundles that verify.
 *
 * @module
 */

import { serializeBundle } from "../bundle/bundle.ts";
import { formatDigest } from "../crypto/digest.ts";
import type { SignatureAlgorithm } from "../crypto/registry.ts";
import { encodePem } from "../encoding/pem.ts";
import { InputError, ServiceError, TrustError, VerificationError } from "../errors.ts";
import { redactUrl } from "../http/redact.ts";
import { isLoopback } from "../oidc/discovery.ts";
import { submitEntryV1 } from "../rekor/client-v1.ts";
import { submitEntryV2 } from "../rekor/client-v2.ts";
import { requestTimestamp } from "../timestamp/client.ts";
import type { TransparencyLogEntry } from "../tlog/transparency-log-entry.ts";
import type { LoadTrustOptions } from "../tuf/load-trust.ts";
import { answerOf, Answers } from "./answers.ts";
import { abortable, readEnvelope, readMessage, type SigningContent } from "./artifact.ts";
import {
  checkLoggable,
  KeyCredentials,
  KeylessCredentials,
  type CredentialSource,
  type SignerBasis,
} from "./credentials.ts";
import { Deadline } from "./deadline.ts";
import { explainDisclosure, type DisclosureRequest } from "./disclosure.ts";
import { shortLivedCertificate, toBundle, toExpectation, toProposedEntry, type Draft } from "./draft.ts";
import type { SelectedServices } from "./events.ts";
import { KeptSignatures } from "./kept-signature.ts";
import type {
  AttestableStatement,
  BatchOptions,
  RekorChoice,
  SignableArtifact,
  SignatureOptions,
  SignedBundle,
  SigningOptions,
  SigningOutcome,
} from "./options.ts";
import { artifactOf, policyFor, verifierOptionsFor } from "./own-bundle.ts";
import { Services, servicesBeside } from "./services.ts";
import { readSettings, requestOptions, type Settings } from "./settings.ts";
import { makeSignature } from "./signature.ts";
import { loadTrustFor } from "./trust.ts";

/** Signatures of a batch that may be under way at a time. */
const MAX_CONCURRENCY = 16;
const DEFAULT_CONCURRENCY = 4;

/** Signs many artifacts with one key, one token and, while it lasts, one certificate. */
export class SigningSession {
  /** What a person should know: a signing config that is old, a cache that cannot be written. */
  readonly notices: readonly string[];
  readonly #settings: Settings;
  readonly #services: Services;
  readonly #answers: Answers;
  readonly #credentials: CredentialSource;
  readonly #kept: KeptSignatures;
  #rekor: readonly RekorChoice[];
  #reselecting: Promise<readonly RekorChoice[]> | undefined;
  #consents: Promise<unknown> = Promise.resolve();
  /** What no later signature can do better about: no token, no certificate. */
  #failure: Error | undefined;
  #closed = false;

  private constructor(
    options: SigningOptions,
    settings: Settings,
    services: Services,
    answers: Answers,
    notices: readonly string[],
  ) {
    this.#settings = settings;
    this.#services = services;
    this.#answers = answers;
    this.#rekor = services.selected.rekor;
    this.notices = notices;
    const { signer } = settings;
    const { fulcio } = services.selected;
    this.#credentials =
      signer.kind === "key"
        ? new KeyCredentials(signer, settings)
        : new KeylessCredentials(signer, settings, answers, fulcio ?? "");
    this.#kept = new KeptSignatures(options.services, settings, answers, this.#credentials);
  }

  /**
   * Opens a session: loads signing config and trust, and selects the services. Asks for no token and publishes nothing.
   *
   * @throws {@link InputError} `USAGE_INVALID`, `URL_INVALID`; {@link TrustError} `SIGNING_CONFIG_UNUSABLE`, and those of loading.
   */
  static async open(options: SigningOptions): Promise<SigningSession> {
    const settings = readSettings(options);
    const choice = options.services ?? servicesBeside(options.trust);
    const { now, random, signer, signal, fetch } = settings;
    const loading: LoadTrustOptions = {
      now: now(),
      signal,
      sleep: settings.sleep,
      fetch: fetch.other,
      ...(options.environment !== undefined && { environment: options.environment }),
    };
    const services = await Services.choose(choice, { keyless: signer.kind === "keyless", now, random }, loading);
    const { trust, notices, reload } = await loadTrustFor(options, services.selected, loading);
    const answers = await Answers.create(trust, settings.crypto, reload);
    settings.observe({ kind: "services-selected", services: services.selected });
    const told = [...services.notices, ...notices, ...noticesOfTransport(services.selected)];
    return new SigningSession(options, settings, services, answers, told);
  }

  /** The services that the next signature will use. */
  get services(): SelectedServices {
    return { ...this.#services.selected, rekor: this.#rekor };
  }

  /**
   * Signs one artifact.
   *
   * @returns a bundle that the verifier has accepted.
   * @throws what services and their verification throw, see the classes of `errors.ts`; {@link InputError} `CONSENT_MISSING`,
   * `SIGNING_STATE_MISMATCH`, `IDENTITY_TOKEN_EXPIRED`.
   * @see Sigstore client specification §2.1
   */
  async sign(artifact: SignableArtifact, options: SignatureOptions = {}): Promise<SignedBundle> {
    const needs = await this.#needs("message");
    const content = await readMessage(abortable(artifact, this.#signalOf(options)), {
      ...needs,
      crypto: this.#settings.crypto,
    });
    return await this.#finish(content, options);
  }

  /** Signs one statement, as {@link SigningSession.sign} signs an artifact. */
  async attest(statement: AttestableStatement, options: SignatureOptions = {}): Promise<SignedBundle> {
    await this.#needs("envelope");
    return await this.#finish(await readEnvelope(statement, this.#settings.crypto), options);
  }

  /**
   * Signs many artifacts, several at a time.
   *
   * @returns an outcome for each, in order: the failure of one takes no other down. Where there is no token or no certificate to be
   * had, the rest is not tried.
   * @throws {@link InputError} `USAGE_INVALID`.
   */
  async signMany(
    artifacts: readonly SignableArtifact[],
    options: BatchOptions = {},
  ): Promise<readonly SigningOutcome[]> {
    return await this.#many(artifacts, options, (artifact) => this.sign(artifact, { signal: options.signal }));
  }

  /** Signs many statements, as {@link SigningSession.signMany}. */
  async attestMany(
    statements: readonly AttestableStatement[],
    options: BatchOptions = {},
  ): Promise<readonly SigningOutcome[]> {
    return await this.#many(statements, options, (statement) => this.attest(statement, { signal: options.signal }));
  }

  /**
   * Asks every timestamp authority of the session for a timestamp over something that is not a signature of this session: the envelope of an
   * attestation, for instance, over which cosign had its timestamps before bundles.
   *
   * @returns DER of the responses, each verified, in the order of the authorities; none where the session has none.
   * @throws ServiceError, and those of the verification.
   */
  async timestamp(message: Uint8Array, options: Pick<SignatureOptions, "signal"> = {}): Promise<readonly Uint8Array[]> {
    const { crypto, timeoutMs } = this.#settings;
    const deadline = new Deadline(timeoutMs, this.#signalOf(options));
    return await Promise.all(
      this.services.timestampAuthorities.map(async (url) => {
        const asking = requestTimestamp(url, message, {
          ...requestOptions(this.#settings, "timestamp", deadline),
          crypto,
        });
        const response = await answerOf(`answer of timestamp authority ${redactUrl(url)}`, asking);
        await this.#answers.timestamp(response, message, url, undefined);
        return response;
      }),
    );
  }

  /** Forgets keys and tokens. Signatures that are under way go on. */
  close(): void {
    this.#closed = true;
    this.#credentials.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #needs(kind: SigningContent["kind"]): Promise<{ algorithm: SignatureAlgorithm; signsDigest: boolean }> {
    if (this.#closed) throw new InputError("USAGE_INVALID", "signing session is closed");
    const needs = await this.#orFail(this.#credentials.needs(kind, this.services), this.#settings.signal);
    checkLoggable(needs.algorithm, kind, this.#rekor);
    return needs;
  }

  #signalOf({ signal }: SignatureOptions): AbortSignal | undefined {
    const own = this.#settings.signal;
    if (signal === undefined || own === undefined) return signal ?? own;
    return AbortSignal.any([signal, own]);
  }

  async #many<T>(
    items: readonly T[],
    { concurrency = DEFAULT_CONCURRENCY, signal }: BatchOptions,
    sign: (item: T) => Promise<SignedBundle>,
  ): Promise<readonly SigningOutcome[]> {
    if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > MAX_CONCURRENCY)
      throw new InputError("USAGE_INVALID", `concurrency must be a whole number from 1 to ${MAX_CONCURRENCY}`);
    this.#failure = undefined;
    const outcomes: SigningOutcome[] = [];
    let next = 0;
    const work = async (): Promise<void> => {
      for (let index = next++; index < items.length; index = next++) {
        try {
          signal?.throwIfAborted();
          if (this.#failure !== undefined) throw this.#failure;
          outcomes[index] = { kind: "signed", index, signed: await sign(items[index] as T) };
        } catch (cause) {
          outcomes[index] = { kind: "failed", index, error: cause instanceof Error ? cause : new Error(String(cause)) };
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, work));
    return outcomes;
  }

  async #finish(content: SigningContent, options: SignatureOptions): Promise<SignedBundle> {
    const { observe, timeoutMs } = this.#settings;
    const { state } = options;
    observe({ kind: "artifact-read", digest: formatDigest(content.digest) });
    const signal = this.#signalOf(options);
    const resumed = state === undefined ? undefined : await this.#kept.resume(state, content, this.services);
    if (resumed !== undefined) {
      await this.#askConsentAgain(resumed);
      try {
        return await this.#complete(resumed, new Deadline(timeoutMs, signal), options, true);
      } catch (error) {
        // A log took the entry only now, when the certificate had ended: that signature can no longer be finished.
        if (!(error instanceof VerificationError && error.code === "CERTIFICATE_NOT_VALID_AT_TIME")) throw error;
        this.#kept.discard(state ?? "", error.message);
      }
    }
    const { draft, deadline } = await this.#begin(content, signal);
    this.#kept.store(state, draft);
    return await this.#complete(draft, deadline, options, false);
  }

  /** From the token to the signature: client specification §2.1.1 to §2.1.4. Nothing before it is worth keeping. */
  async #begin(
    content: SigningContent,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly draft: Draft; readonly deadline: Deadline }> {
    const basis = await this.#orFail(this.#credentials.basis(content.kind, this.services, signal), signal);
    await this.#askConsent(describeBasis(basis), this.services, content);
    const deadline = new Deadline(this.#settings.timeoutMs, signal);
    const { signer, material } = await this.#orFail(this.#credentials.obtain(basis, deadline), deadline.signal);
    checkLoggable(signer.algorithm, content.kind, this.#rekor);
    const { crypto, observe } = this.#settings;
    const signature = await makeSignature(signer, content, crypto, deadline);
    observe({ kind: "signed", algorithm: signer.algorithm.name });
    const draft: Draft = {
      content,
      publicKey: signer.publicKey,
      algorithm: signer.algorithm,
      material,
      signature,
      binding: await this.#kept.bindingOf(content, signer.publicKey.spki, signer.algorithm.name),
      services: this.services,
      timestamps: new Map(),
      entries: new Map(),
      submittingTo: undefined,
    };
    return { draft, deadline };
  }

  /** Remembers what ends a whole batch, unless it is the wish of the caller. */
  async #orFail<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    try {
      return await work;
    } catch (error) {
      if (signal?.aborted !== true && error instanceof Error) this.#failure = error;
      throw error;
    }
  }

  /** Asks once for each signature, one question at a time. */
  async #askConsent(
    signer: DisclosureRequest["signer"],
    services: SelectedServices,
    content: SigningContent,
  ): Promise<void> {
    const { consent } = this.#settings;
    if (consent === undefined) return;
    const disclosure = explainDisclosure({
      services,
      signer,
      content: { kind: content.kind === "message" ? "artifact" : "statement", digest: content.digest },
    });
    if (disclosure.items.length === 0) return;
    const answer = this.#consents.then(() => consent(disclosure));
    this.#consents = answer.catch(() => undefined);
    if (await answer) return;
    throw new InputError("CONSENT_MISSING", "what would become public was not agreed to, so nothing was signed", {
      remedy: "agree to it, or sign with services that publish nothing",
    });
  }

  /** Whoever goes on with a signature need not be who agreed to it when it was begun. Asks about what is not public yet. */
  async #askConsentAgain({ content, material, publicKey, services, entries }: Draft): Promise<void> {
    const signer: DisclosureRequest["signer"] =
      material.kind === "certificate"
        ? { kind: "certificate", certificate: material.certificate }
        : { kind: "key", publicKey };
    const rekor = services.rekor.filter(({ url }) => !entries.has(url));
    await this.#askConsent(signer, { ...services, rekor }, content);
  }

  /** From the signature to the bundle: client specification §2.1.5 to §2.1.9. */
  async #complete(
    draft: Draft,
    deadline: Deadline,
    options: SignatureOptions,
    resumed: boolean,
  ): Promise<SignedBundle> {
    const { state } = options;
    await this.#timestamp(draft, deadline, state);
    await this.#log(draft, deadline, state);
    const { observe } = this.#settings;
    const bundle = toBundle(draft);
    const json = serializeBundle(bundle);
    const evidence = await this.#answers.bundle(
      json,
      bundle,
      artifactOf(draft.content),
      policyFor(draft),
      verifierOptionsFor(draft, this.#settings),
    );
    observe({ kind: "bundle-verified" });
    if (this.#credentials instanceof KeylessCredentials) this.#credentials.finished += 1;
    const { content, material } = draft;
    const signed: SignedBundle = {
      bundle,
      json,
      evidence,
      digest: content.digest,
      ...(content.kind === "envelope" && { statement: content.payload }),
      publicKey: draft.publicKey,
      algorithm: draft.algorithm,
      certificatePem:
        material.kind === "certificate" ? encodePem("CERTIFICATE", material.certificate.bytes) : undefined,
      resumed,
    };
    await options.deliver?.(signed);
    this.#kept.remove(state);
    return signed;
  }

  /** Every authority is asked at once: they publish nothing, and none needs another's answer. */
  async #timestamp(draft: Draft, deadline: Deadline, state: string | undefined): Promise<void> {
    const { observe, crypto } = this.#settings;
    const missing = draft.services.timestampAuthorities.filter((url) => !draft.timestamps.has(url));
    const certificate = shortLivedCertificate(draft.material, this.#settings);
    const outcomes = await Promise.allSettled(
      missing.map(async (url) => {
        observe({ kind: "timestamp-requesting", url });
        const options = { ...requestOptions(this.#settings, "timestamp", deadline), crypto };
        const asking = requestTimestamp(url, draft.signature, options);
        const response = await answerOf(`answer of timestamp authority ${redactUrl(url)}`, asking);
        const time = await this.#answers.timestamp(response, draft.signature, url, certificate);
        draft.timestamps.set(url, response);
        this.#kept.store(state, draft);
        observe({ kind: "timestamp-verified", url, time });
      }),
    );
    const failed = outcomes.find((outcome) => outcome.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    // In the order of the config, whoever answered first.
    const ordered = draft.services.timestampAuthorities.map((url) => [url, draft.timestamps.get(url)] as const);
    draft.timestamps.clear();
    for (const [url, response] of ordered) if (response !== undefined) draft.timestamps.set(url, response);
  }

  /** One log after the other: the state says which one is being written to, and nothing is published after a failure. */
  async #log(draft: Draft, deadline: Deadline, state: string | undefined): Promise<void> {
    const { observe, crypto } = this.#settings;
    for (;;) {
      const log = draft.services.rekor.find(({ url }) => !draft.entries.has(url));
      if (log === undefined) return;
      const { url, majorApiVersion } = log;
      checkLoggable(draft.algorithm, draft.content.kind, [log]);
      draft.submittingTo = url;
      this.#kept.store(state, draft);
      observe({ kind: "entry-submitting", url, majorApiVersion });
      let entry: TransparencyLogEntry;
      try {
        const options = { ...requestOptions(this.#settings, "rekor", deadline), crypto };
        const asking =
          majorApiVersion === 1
            ? submitEntryV1(url, toProposedEntry(draft), options)
            : submitEntryV2(url, toProposedEntry(draft), { ...options, logs: this.#answers.logs });
        entry = await answerOf(`entry of transparency log ${redactUrl(url)}`, asking);
      } catch (error) {
        if (!(error instanceof ServiceError && error.code === "TLOG_FROZEN")) throw error;
        observe({ kind: "log-frozen", url });
        draft.services = { ...draft.services, rekor: await this.#findOtherLogs(url, error) };
        draft.submittingTo = undefined;
        continue;
      }
      await this.#answers.entry(entry, toExpectation(draft, crypto), url);
      draft.entries.set(url, entry);
      draft.submittingTo = undefined;
      this.#kept.store(state, draft);
      observe({ kind: "entry-verified", url, logIndex: entry.logIndex });
    }
  }

  /** The signing config is loaded again once in a session; what comes of it is good for every signature after. */
  async #findOtherLogs(frozen: string, cause: ServiceError): Promise<readonly RekorChoice[]> {
    const refuse = (problem: string, error: unknown): ServiceError =>
      new ServiceError("TLOG_FROZEN", `${cause.message}; ${problem}`, {
        service: cause.service,
        attempts: cause.attempts,
        status: cause.status,
        remedy: "use a signing config that lists a log which takes entries",
        cause: error,
      });
    const isListed = (): boolean => this.#rekor.some(({ url }) => url === frozen);
    if (!isListed()) return this.#rekor; // another signature has found out already
    if (!this.#services.canReselect) throw refuse("the signing config cannot be refreshed", cause);
    this.#reselecting ??= this.#services.reselectLogs(new Set([frozen]));
    try {
      this.#rekor = await this.#reselecting;
    } catch (error) {
      if (error instanceof TrustError && error.code === "SIGNING_CONFIG_UNUSABLE")
        throw refuse("the refreshed signing config has no log to take its place", error);
      throw error;
    }
    if (isListed()) throw refuse("the signing config was refreshed before", cause);
    this.#settings.observe({ kind: "services-selected", services: this.services });
    return this.#rekor;
  }
}

/** Within a cluster that may be as it should be, so that it is told and not refused. */
function noticesOfTransport({ fulcio }: SelectedServices): readonly string[] {
  const url = fulcio === undefined ? null : URL.parse(fulcio);
  if (url?.protocol !== "http:" || isLoopback(url)) return [];
  return [`the identity token goes to ${redactUrl(url.href)} unencrypted: whoever can read it there can sign with it`];
}

function describeBasis(basis: SignerBasis): DisclosureRequest["signer"] {
  if (basis.kind === "identity-token") return basis;
  const { material, signer } = basis.credentials;
  return material.kind === "certificate"
    ? { kind: "certificate", certificate: material.certificate }
    : { kind: "key", publicKey: signer.publicKey };
}
