/**
 * Client specification §2, in its order: from artifacts and an identity or a key to bundles that verify.
 *
 * @module
 */

import { serializeBundle } from "../bundle/bundle.ts";
import { formatDigest, type Digest } from "../crypto/digest.ts";
import { fitsKey, type SignatureAlgorithm } from "../crypto/registry.ts";
import { encodeBase64 } from "../encoding/base64.ts";
import { equalBytes } from "../encoding/bytes.ts";
import { tryDecodeHex } from "../encoding/hex.ts";
import { encodePem } from "../encoding/pem.ts";
import { InputError, ServiceError, TrustError, VerificationError } from "../errors.ts";
import { resolveTrust } from "../files/verify-file.ts";
import { redactUrl } from "../http/redact.ts";
import type { Statement } from "../intoto/statement.ts";
import type { Signer } from "../keys/signer.ts";
import { parseSigningAlgorithm } from "../keys/signing-algorithm.ts";
import { isLoopback } from "../oidc/discovery.ts";
import { submitEntryV1 } from "../rekor/client-v1.ts";
import { submitEntryV2 } from "../rekor/client-v2.ts";
import { requestTimestamp } from "../timestamp/client.ts";
import type { TransparencyLogEntry } from "../tlog/transparency-log-entry.ts";
import { TRUSTED_ROOT_MEDIA_TYPES } from "../trust/trusted-root.ts";
import type { LoadTrustOptions } from "../tuf/load-trust.ts";
import type { Artifact } from "../verify/artifact.ts";
import { readIdentityClaims } from "../verify/identity.ts";
import type { VerifierOptions, VerifyPolicy } from "../verify/options.ts";
import { parseCertificate, type Certificate } from "../x509/certificate.ts";
import { answerOf, Answers, type Trust } from "./answers.ts";
import { describeContent, readEnvelope, readMessage, type SigningContent } from "./artifact.ts";
import {
  checkLoggable,
  KeyCredentials,
  KeylessCredentials,
  type CredentialSource,
  type SignerBasis,
} from "./credentials.ts";
import { Deadline } from "./deadline.ts";
import { explainDisclosure, type DisclosureRequest } from "./disclosure.ts";
import { toBundle, toExpectation, toProposedEntry, type Draft, type SignerMaterial } from "./draft.ts";
import type { SelectedServices } from "./events.ts";
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
import { Services, servicesBeside, trustBeside } from "./services.ts";
import { readSettings, requestOptions, type Settings } from "./settings.ts";
import { loadState, removeState, storeState, verifyBinding, type SigningBinding, type SigningState } from "./state.ts";

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
  readonly #options: SigningOptions;
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
    this.#options = options;
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
    const resumed = state === undefined ? undefined : await this.#resume(state, content);
    if (resumed !== undefined) {
      await this.#askConsentAgain(resumed);
      try {
        return await this.#complete(resumed, new Deadline(timeoutMs, signal), options, true);
      } catch (error) {
        // A log took the entry only now, when the certificate had ended: that signature can no longer be finished.
        if (!(error instanceof VerificationError && error.code === "CERTIFICATE_NOT_VALID_AT_TIME")) throw error;
        this.#discard(state ?? "", error.message);
      }
    }
    const { draft, deadline } = await this.#begin(content, signal);
    this.#store(state, draft);
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
    const signature = await this.#makeSignature(signer, content, deadline);
    const draft: Draft = {
      content,
      publicKey: signer.publicKey,
      algorithm: signer.algorithm,
      material,
      signature,
      binding: await this.#bindingOf(content, signer.publicKey.spki, signer.algorithm.name),
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

  /** Client specification §2.1.4. A signature that does not verify is never shown to a service. */
  async #makeSignature(signer: Signer, content: SigningContent, deadline: Deadline): Promise<Uint8Array> {
    const { crypto, observe } = this.#settings;
    const { algorithm, publicKey } = signer;
    checkLoggable(algorithm, content.kind, this.#rekor);
    const message = content.kind === "envelope" ? content.pae : content.bytes;
    const signature = await deadline.race("signing", signWith(signer, content, message, deadline.signal));
    const verified =
      message === undefined
        ? await crypto.verifyDigest(algorithm, publicKey, signature, content.digest.value)
        : await crypto.verify(algorithm, publicKey, signature, message);
    if (!verified) {
      throw new VerificationError("SIGNATURE_INVALID", "the key made a signature that does not verify", {
        expected: `a signature of ${algorithm.name} over ${describeContent(content)}`,
        remedy: "check that private and public key belong together, and that the key signs with this algorithm",
      });
    }
    observe({ kind: "signed", algorithm: algorithm.name });
    return signature;
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
      this.#policyFor(draft),
      this.#verifierOptionsFor(draft),
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
      certificatePem:
        material.kind === "certificate" ? encodePem("CERTIFICATE", material.certificate.bytes) : undefined,
      resumed,
    };
    await options.deliver?.(signed);
    if (state !== undefined) {
      removeState(state);
      observe({ kind: "state-removed", path: state });
    }
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
        this.#store(state, draft);
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
      this.#store(state, draft);
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
      this.#store(state, draft);
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

  #policyFor({ material, publicKey }: Draft): VerifyPolicy {
    if (material.kind === "public-key") return { keys: [{ publicKey }] };
    const { certificate, detachedScts } = material;
    const { names, extensions } = readIdentityClaims(certificate);
    const [name] = names;
    const identity =
      name === undefined || extensions.issuer === undefined
        ? "unsafe-any"
        : { subjectAlternativeName: name.value, issuer: extensions.issuer };
    return { identity, ...(detachedScts.length > 0 && { detachedScts }) };
  }

  #verifierOptionsFor({ material, services, timestamps, entries }: Draft): VerifierOptions {
    const { signer, sctThreshold, now } = this.#settings;
    if (signer.kind === "keyless") return { thresholds: { sct: sctThreshold } };
    const timed =
      timestamps.size > 0 ||
      services.rekor.some(({ url, majorApiVersion }) => majorApiVersion === 1 && entries.has(url));
    const hasChain = material.kind === "certificate" && material.intermediates.length > 0;
    return {
      thresholds: { sct: 0 }, // only Fulcio embeds them
      ...(hasChain && { allowCertificateChain: true }),
      ...(material.kind === "certificate" && !timed && { time: { kind: "current-time", now: now() } }),
    };
  }

  // ---- state

  #store(path: string | undefined, draft: Draft): void {
    if (path === undefined) return;
    const { binding, material, services, timestamps, entries, submittingTo, publicKey, algorithm } = draft;
    storeState(path, {
      binding,
      publicKey,
      algorithm: algorithm.name,
      services,
      detachedScts: material.kind === "certificate" ? material.detachedScts : [],
      bundle: toBundle(draft),
      timestampedBy: [...timestamps.keys()],
      loggedBy: [...entries.keys()],
      submittingTo,
    });
    this.#settings.observe({ kind: "state-stored", path });
  }

  async #bindingOf(content: SigningContent, spki: Uint8Array, algorithm: string): Promise<SigningBinding> {
    const { signer, crypto } = this.#settings;
    const { services } = this.#options;
    const sha256 = async (data: string | Uint8Array): Promise<string> =>
      encodeBase64(await crypto.digest("sha256", typeof data === "string" ? new TextEncoder().encode(data) : data));
    return {
      content: describeContent(content),
      algorithm,
      signer: signer.kind,
      ...(signer.kind === "key" && { key: await sha256(spki) }),
      ...(signer.kind === "key" &&
        signer.certificate !== undefined && { certificate: await sha256(signer.certificate) }),
      ...(signer.kind === "key" &&
        signer.certificateChain !== undefined && { certificateChain: await sha256(signer.certificateChain) }),
      services:
        services?.kind === "urls"
          ? {
              fulcio: services.fulcioUrl ?? null,
              rekor: (services.rekor ?? []).map(({ url, majorApiVersion }) => ({ url, majorApiVersion })),
              timestampAuthorities: services.timestampUrls ?? [],
            }
          : "signing-config",
    };
  }

  /**
   * Goes on from a state. Nothing in it is believed: certificate, signature, timestamps and entries are verified as if they came
   * from the services now.
   */
  async #resume(path: string, content: SigningContent): Promise<Draft | undefined> {
    const state = loadState(path);
    if (state === undefined) return undefined;
    const { signer, observe } = this.#settings;
    const needs = await this.#credentials.needs(content.kind, this.services);
    let keySpki = state.publicKey.spki;
    if (signer.kind === "key") {
      const basis = await this.#credentials.basis(content.kind, this.services, this.#settings.signal);
      if (basis.kind === "credentials") keySpki = basis.credentials.signer.publicKey.spki;
    }
    verifyBinding(path, state.binding, await this.#bindingOf(content, keySpki, needs.algorithm.name));
    const draft = await this.#readDraft(path, state, content);
    // The binding is of the file too, and so is what it says of the rest of the file.
    if (!equalBytes(draft.publicKey.spki, keySpki)) throw differs(path, "key");
    if (draft.algorithm.name !== needs.algorithm.name) throw differs(path, "algorithm");
    this.#checkServices(path, draft);
    const reason = whyUnfinishable(draft, state, this.#settings);
    if (reason !== undefined) {
      this.#discard(path, reason);
      return undefined;
    }
    await this.#verifyDraft(draft, state);
    const { timestamps, entries } = draft;
    observe({
      kind: "state-resumed",
      path,
      timestamps: timestamps.size,
      entries: entries.size,
      ...holderOf(draft.material, this.#settings),
    });
    return draft;
  }

  /**
   * Services that are named must be just these. Of those that a config lists others may have been chosen, but no fewer: a log that is
   * left out would be a signature without a log entry.
   */
  #checkServices(path: string, { services }: Draft): void {
    const { fulcio, rekor, timestampAuthorities } = this.services;
    const isSame =
      this.#options.services?.kind === "urls"
        ? areSame(services, this.services)
        : (services.fulcio === undefined) === (fulcio === undefined) &&
          services.rekor.length >= rekor.length &&
          services.timestampAuthorities.length >= timestampAuthorities.length;
    if (!isSame) throw differs(path, "choice of services");
  }

  async #readDraft(path: string, state: SigningState, content: SigningContent): Promise<Draft> {
    const { bundle, publicKey } = state;
    const algorithm = parseSigningAlgorithm(state.algorithm);
    if (!fitsKey(algorithm, publicKey)) throw differs(path, "key than its algorithm is for");
    const held = bundle.content;
    const same =
      held.kind === "messageSignature"
        ? content.kind === "message" &&
          held.messageDigest !== undefined &&
          equalBytes(held.messageDigest.digest, content.digest.value)
        : content.kind === "envelope" && equalBytes(held.envelope.payload, content.payload);
    const signature = held.kind === "messageSignature" ? held.signature : held.envelope.signatures[0]?.sig;
    if (!same || signature === undefined) throw differs(path, "content");
    const { crypto } = this.#settings;
    const message = content.kind === "envelope" ? content.pae : content.bytes;
    const verified =
      message === undefined
        ? await crypto.verifyDigest(algorithm, publicKey, signature, content.digest.value)
        : await crypto.verify(algorithm, publicKey, signature, message);
    if (!verified) throw differs(path, "signature than one over this");
    const { tlogEntries, rfc3161Timestamps } = bundle.verificationMaterial;
    const pair = <T>(urls: readonly string[], values: readonly T[]): Map<string, T> =>
      new Map(values.map((value, index) => [urls[index] ?? "", value]));
    return {
      content,
      publicKey,
      algorithm,
      material: await this.#materialOf(path, state, content.kind),
      signature,
      binding: state.binding,
      services: state.services,
      timestamps: pair(state.timestampedBy, rfc3161Timestamps),
      entries: pair(state.loggedBy, tlogEntries),
      submittingTo: state.submittingTo,
    };
  }

  async #materialOf(path: string, state: SigningState, kind: SigningContent["kind"]): Promise<SignerMaterial> {
    const held = state.bundle.verificationMaterial.content;
    if (this.#settings.signer.kind === "key") {
      const basis = await this.#credentials.basis(kind, this.services, this.#settings.signal);
      if (basis.kind !== "credentials") throw differs(path, "signer");
      return basis.credentials.material;
    }
    if (held.kind !== "certificate") throw differs(path, "kind of signer");
    return {
      kind: "certificate",
      certificate: parseCertificate(held.certificate),
      intermediates: [],
      detachedScts: state.detachedScts,
    };
  }

  async #verifyDraft(draft: Draft, state: SigningState): Promise<void> {
    const { crypto, sctThreshold, now, signer } = this.#settings;
    const { material, signature } = draft;
    if (signer.kind === "keyless" && material.kind === "certificate") {
      const { certificate, detachedScts } = material;
      const { fulcio = "" } = state.services;
      const token = this.#credentials instanceof KeylessCredentials ? await this.#credentials.heldToken() : undefined;
      const { identity } = signer;
      const ended = now() > certificate.notAfter;
      await this.#answers.certificate(
        { certificate, detachedScts },
        {
          publicKey: draft.publicKey,
          holder: token === undefined ? { kind: "identity", identity } : { kind: "token", token, identity },
          now: ended ? certificate.notAfter : now(),
          sctThreshold,
          url: fulcio,
        },
      );
    }
    const certificate = shortLivedCertificate(material, this.#settings);
    for (const [url, response] of draft.timestamps)
      await this.#answers.timestamp(response, signature, url, certificate);
    for (const [url, entry] of draft.entries) await this.#answers.entry(entry, toExpectation(draft, crypto), url);
  }

  #discard(path: string, reason: string): void {
    removeState(path);
    this.#settings.observe({ kind: "state-discarded", path, reason });
  }
}

function differs(path: string, what: string): InputError {
  return new InputError("SIGNING_STATE_MISMATCH", `signing state ${JSON.stringify(path)} holds another ${what}`, {
    remedy: "remove the file to sign from the beginning",
  });
}

function areSame(one: SelectedServices, other: SelectedServices): boolean {
  const text = ({ fulcio, rekor, timestampAuthorities }: SelectedServices): string =>
    JSON.stringify([fulcio, rekor.map(({ url, majorApiVersion }) => [url, majorApiVersion]), timestampAuthorities]);
  return text(one) === text(other);
}

/** Within a cluster that may be as it should be, so that it is told and not refused. */
function noticesOfTransport({ fulcio }: SelectedServices): readonly string[] {
  const url = fulcio === undefined ? null : URL.parse(fulcio);
  if (url?.protocol !== "http:" || isLoopback(url)) return [];
  return [`the identity token goes to ${redactUrl(url.href)} unencrypted: whoever can read it there can sign with it`];
}

/** Says why a signature can no longer become a bundle that verifies: its certificate has ended, and a time within it is missing. */
function whyUnfinishable(draft: Draft, state: SigningState, settings: Settings): string | undefined {
  const certificate = shortLivedCertificate(draft.material, settings);
  if (certificate === undefined || settings.now() <= certificate.notAfter) return undefined;
  const reason = `the certificate expired ${certificate.notAfter.toISOString()}`;
  const { timestampAuthorities, rekor } = draft.services;
  if (timestampAuthorities.some((url) => !draft.timestamps.has(url))) return `${reason}, before there was a timestamp`;
  const unlogged = rekor.filter(({ url }) => !draft.entries.has(url));
  // A log of Rekor v1 notes the time of the entry, and may have done so before the signature was interrupted.
  const late = unlogged.some(({ url, majorApiVersion }) => majorApiVersion === 1 && url !== state.submittingTo);
  return late ? `${reason}, before the log had the entry` : undefined;
}

/** The certificate of a keyless signature: one that is given lives as long as it likes. */
function shortLivedCertificate(material: SignerMaterial, { signer }: Settings): Certificate | undefined {
  return signer.kind === "keyless" && material.kind === "certificate" ? material.certificate : undefined;
}

/** Whom a certificate of Fulcio names. */
function holderOf(
  material: SignerMaterial,
  settings: Settings,
): { readonly subject?: string; readonly issuer?: string } {
  const certificate = shortLivedCertificate(material, settings);
  if (certificate === undefined) return {};
  const { names, extensions } = readIdentityClaims(certificate);
  const { issuer } = extensions;
  return { subject: names[0]?.value ?? "", ...(issuer !== undefined && { issuer }) };
}

async function signWith(
  signer: Signer,
  content: SigningContent,
  message: Uint8Array | undefined,
  signal: AbortSignal,
): Promise<Uint8Array> {
  if (message !== undefined) return await signer.sign(message, signal);
  if (signer.signDigest === undefined) throw new TypeError(`${describeContent(content)} was not read for this key`);
  return await signer.signDigest(content.digest.value, signal);
}

function describeBasis(basis: SignerBasis): DisclosureRequest["signer"] {
  if (basis.kind === "identity-token") return basis;
  const { material, signer } = basis.credentials;
  return material.kind === "certificate"
    ? { kind: "certificate", certificate: material.certificate }
    : { kind: "key", publicKey: signer.publicKey };
}

/** What the finished bundle is verified against. */
function artifactOf(content: SigningContent): Artifact {
  if (content.kind === "message") return content.bytes ?? { digests: [content.digest] };
  const digest = strongestDigest(content.statement);
  // A statement about a commit, say, which no verifier could bind to an artifact.
  return digest === undefined ? "unsafe-any" : { digests: [digest] };
}

function strongestDigest({ subject }: Statement): Digest | undefined {
  for (const { digest } of subject) {
    for (const algorithm of ["sha512", "sha384", "sha256"] as const) {
      const value = Object.hasOwn(digest, algorithm)
        ? tryDecodeHex((digest[algorithm] ?? "").toLowerCase())
        : undefined;
      if (value !== undefined) return { algorithm, value };
    }
  }
  return undefined;
}

/** Loads the trust that answers are verified with, where there will be answers. */
async function loadTrustFor(
  options: SigningOptions,
  services: SelectedServices,
  loading: LoadTrustOptions,
): Promise<{
  readonly trust: Trust | undefined;
  readonly notices: readonly string[];
  readonly reload?: () => Promise<Trust>;
}> {
  if (options.trust === "unsafe-none") return { trust: undefined, notices: [] };
  const { fulcio, rekor, timestampAuthorities } = services;
  const hasCertificate = options.signer.kind === "key" && options.signer.certificate !== undefined;
  const needsTrust = fulcio !== undefined || rekor.length + timestampAuthorities.length > 0 || hasCertificate;
  if (!needsTrust) {
    // The signature of a key alone is verified with that key.
    const [mediaType = ""] = TRUSTED_ROOT_MEDIA_TYPES;
    const lists = { tlogs: [], ctlogs: [], certificateAuthorities: [], timestampAuthorities: [] };
    const trustedRoot = { mediaType, ...lists, unusable: [], ignoredFields: [] };
    return { trust: { trustedRoot, source: { kind: "caller" } }, notices: [] };
  }
  const choice = options.trust ?? trustBeside(options.services);
  if ("tlogs" in choice || "path" in choice) {
    const { trustedRoot, source, notices } = await resolveTrust(choice);
    return { trust: { trustedRoot, source }, notices };
  }
  const { notices, ...trust } = await resolveTrust({ ...loading, ...choice });
  const reload = async (): Promise<Trust> => await resolveTrust({ ...loading, ...choice, maxAgeMs: 0 });
  return { trust, notices, ...(choice.offline !== true && { reload }) };
}

/** Ends a stream when the caller says so. */
function abortable(artifact: SignableArtifact, signal: AbortSignal | undefined): SignableArtifact {
  if (signal === undefined || artifact instanceof Uint8Array || "digest" in artifact || "path" in artifact)
    return artifact;
  return checkedStream(artifact, signal);
}

async function* checkedStream(
  stream: AsyncIterable<Uint8Array> | ReadableStream<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of stream) {
    signal.throwIfAborted();
    yield chunk;
  }
}
