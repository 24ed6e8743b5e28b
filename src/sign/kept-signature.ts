/**
 * Signatures that are kept, to be gone on with where they were interrupted.
 *
 * @module
 */

import { fitsKey } from "../crypto/registry.ts";
import { encodeBase64 } from "../encoding/base64.ts";
import { equalBytes } from "../encoding/bytes.ts";
import { InputError } from "../errors.ts";
import { parseSigningAlgorithm } from "../keys/signing-algorithm.ts";
import { readIdentityClaims } from "../verify/identity.ts";
import { parseCertificate } from "../x509/certificate.ts";
import type { Answers } from "./answers.ts";
import { describeContent, type SigningContent } from "./artifact.ts";
import { KeylessCredentials, type CredentialSource } from "./credentials.ts";
import { shortLivedCertificate, toBundle, toExpectation, type Draft, type SignerMaterial } from "./draft.ts";
import type { SelectedServices } from "./events.ts";
import type { ServiceChoice } from "./options.ts";
import type { Settings } from "./settings.ts";
import { isSignatureOver } from "./signature.ts";
import { loadState, removeState, storeState, verifyBinding, type SigningBinding, type SigningState } from "./state.ts";

/** Keeps the signatures of a session, and goes on with them. */
export class KeptSignatures {
  readonly #choice: ServiceChoice | undefined;
  readonly #settings: Settings;
  readonly #answers: Answers;
  readonly #credentials: CredentialSource;

  /** @param choice - How the caller chose the services. */
  constructor(choice: ServiceChoice | undefined, settings: Settings, answers: Answers, credentials: CredentialSource) {
    this.#choice = choice;
    this.#settings = settings;
    this.#answers = answers;
    this.#credentials = credentials;
  }

  /** Keeps a signature as far as it has come; without a path, nothing is kept. */
  store(path: string | undefined, draft: Draft): void {
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

  /** Says what a state belongs to. */
  async bindingOf(content: SigningContent, spki: Uint8Array, algorithm: string): Promise<SigningBinding> {
    const { signer, crypto } = this.#settings;
    const services = this.#choice;
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
  async resume(path: string, content: SigningContent, current: SelectedServices): Promise<Draft | undefined> {
    const state = loadState(path);
    if (state === undefined) return undefined;
    const { signer, observe } = this.#settings;
    const needs = await this.#credentials.needs(content.kind, current);
    let keySpki = state.publicKey.spki;
    if (signer.kind === "key") {
      const basis = await this.#credentials.basis(content.kind, current, this.#settings.signal);
      if (basis.kind === "credentials") keySpki = basis.credentials.signer.publicKey.spki;
    }
    verifyBinding(path, state.binding, await this.bindingOf(content, keySpki, needs.algorithm.name));
    const draft = await this.#readDraft(path, state, content, current);
    // The binding is of the file too, and so is what it says of the rest of the file.
    if (!equalBytes(draft.publicKey.spki, keySpki)) throw differs(path, "key");
    if (draft.algorithm.name !== needs.algorithm.name) throw differs(path, "algorithm");
    this.#checkServices(path, draft, current);
    const reason = whyUnfinishable(draft, state, this.#settings);
    if (reason !== undefined) {
      this.discard(path, reason);
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
  #checkServices(path: string, { services }: Draft, current: SelectedServices): void {
    const { fulcio, rekor, timestampAuthorities } = current;
    const isSame =
      this.#choice?.kind === "urls"
        ? areSame(services, current)
        : (services.fulcio === undefined) === (fulcio === undefined) &&
          services.rekor.length >= rekor.length &&
          services.timestampAuthorities.length >= timestampAuthorities.length;
    if (!isSame) throw differs(path, "choice of services");
  }

  async #readDraft(
    path: string,
    state: SigningState,
    content: SigningContent,
    current: SelectedServices,
  ): Promise<Draft> {
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
    if (!(await isSignatureOver(content, signature, { algorithm, publicKey }, this.#settings.crypto)))
      throw differs(path, "signature than one over this");
    const { tlogEntries, rfc3161Timestamps } = bundle.verificationMaterial;
    const pair = <T>(urls: readonly string[], values: readonly T[]): Map<string, T> =>
      new Map(values.map((value, index) => [urls[index] ?? "", value]));
    return {
      content,
      publicKey,
      algorithm,
      material: await this.#materialOf(path, state, content.kind, current),
      signature,
      binding: state.binding,
      services: state.services,
      timestamps: pair(state.timestampedBy, rfc3161Timestamps),
      entries: pair(state.loggedBy, tlogEntries),
      submittingTo: state.submittingTo,
    };
  }

  async #materialOf(
    path: string,
    state: SigningState,
    kind: SigningContent["kind"],
    current: SelectedServices,
  ): Promise<SignerMaterial> {
    const held = state.bundle.verificationMaterial.content;
    if (this.#settings.signer.kind === "key") {
      const basis = await this.#credentials.basis(kind, current, this.#settings.signal);
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

  /** Forgets a signature that is finished. */
  remove(path: string | undefined): void {
    if (path === undefined) return;
    removeState(path);
    this.#settings.observe({ kind: "state-removed", path });
  }

  /** Gives up a signature that cannot be finished. */
  discard(path: string, reason: string): void {
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
