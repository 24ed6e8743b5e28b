/**
 * What the signing commands share: from the flags to a session, and from its outcomes to files and lines.
 *
 * @module
 */

import { encodePem } from "../encoding/pem.ts";
import { printableJson } from "../encoding/printable.ts";
import type { JsonObject } from "../encoding/json.ts";
import { InputError, ServiceError, SigstoreError, TrustError } from "../errors.ts";
import { formatDigest, type HashAlgorithm } from "../crypto/digest.ts";
import { readInputFile } from "../files/read-file.ts";
import { nameKeyReference, readKeyReference } from "../keys/key-reference.ts";
import { readPrivateKey } from "../keys/private-key.ts";
import type { Signer } from "../keys/signer.ts";
import { parseSigningAlgorithm, SIGNING_ALGORITHMS } from "../keys/signing-algorithm.ts";
import { MAX_CERTIFICATE_FILE_BYTES } from "../limits.ts";
import { disclosureToText, type Disclosure, type DisclosureRequest } from "../sign/disclosure.ts";
import type { SelectedServices, SigningEvent } from "../sign/events.ts";
import type { SignatureOptions, SignedBundle, SignerChoice } from "../sign/options.ts";
import { SigningSession } from "../sign/session.ts";
import { isUrl } from "./artifact-operand.ts";
import { notice, trace, warn, type Context } from "./context.ts";
import { usage, type Flags } from "./flags.ts";
import { naming } from "./named-input.ts";
import { readPassword } from "./password.ts";
import { confirmContinue } from "./prompt.ts";
import { PUBLIC_GOOD } from "./signing-flags.ts";
import { createTokenSource, readCertificateIdentity, readTokenOptions, type TokenSource } from "./signing-identity.ts";
import { planOutputs, writeSignature, type OutputNames, type OutputPlan } from "./signing-outputs.ts";
import { checkServiceFlags, chooseServices, usesSigningConfig, type ChosenServices } from "./signing-services.ts";

/** Signatures that are made at a time. */
const CONCURRENCY = 4;

/** Is one thing to sign. */
export interface SigningItem {
  /** As it was given, for messages and names of files. */
  readonly input: string;
  readonly sign: (session: SigningSession, options: SignatureOptions) => Promise<SignedBundle>;
  /** What `--output json` says of it besides, once it is signed. */
  readonly details?: () => JsonObject;
}

/** Is what a signing command asks, besides the flags that all of them have. */
export interface SigningRequest {
  readonly names: OutputNames;
  /** Where they have to be found out, that is done once the flags are known to be good. */
  readonly inputs: readonly string[] | (() => Promise<readonly string[]>);
  /** Whether standard input is something that is signed. */
  readonly stdinIsTaken: boolean;
  /** Finds out whether what is to be signed can be read, as far as that needs no network. */
  readonly check?: () => Promise<void>;
  /** Reads what is to be signed, once the flags are known to be good. */
  readonly items: () => Promise<readonly SigningItem[]>;
  /** Says what `--explain` tells of each input; given the hash that would be signed. */
  readonly describe: (hash: HashAlgorithm) => Promise<readonly Described[]>;
}

/** Is an input, and its content as a disclosure names it. */
export interface Described {
  readonly input: string;
  readonly content: DisclosureRequest["content"];
}

/**
 * Signs, and writes the outcomes. Everything that can be wrong with the flags is told before anything is loaded.
 *
 * @returns the exit status.
 * @throws SigstoreError of any kind, where there is one thing to sign.
 */
export async function runSigning(request: SigningRequest, flags: Flags, context: Context): Promise<number> {
  const { names, stdinIsTaken } = request;
  checkSignerFlags(flags, stdinIsTaken, context);
  checkServiceFlags(flags);
  const inputs = typeof request.inputs === "function" ? await request.inputs() : request.inputs;
  const plan = planOutputs(inputs, names, usesSigningConfig(flags), flags, context);
  checkParts(plan, flags);
  const keyless = !flags.has("key") || flags.boolean("issue-certificate");
  // All that can be told here, before a service or a person is asked for anything.
  const tokenOptions = await readTokenOptions(flags, keyless, stdinIsTaken, context);
  const key = new KeyReader(flags, context);
  await key.check();
  const certificate = await readOwnCertificate(flags);
  await request.check?.();
  const chosen = await chooseServices(flags, keyless, context);
  const tokens = createTokenSource({ ...tokenOptions, issuer: chosen.oidcIssuer }, context);
  if (flags.boolean("explain")) {
    const { explainSigning } = await import("./signing-explanation.ts");
    return await explainSigning({ request, chosen, tokens, keyless, key }, flags, context);
  }
  const session = await SigningSession.open({
    signer: await readSigner(keyless, tokens, key, certificate, flags),
    services: chosen.services,
    trust: chosen.trust,
    fetch: context.fetch,
    timestampFetch: chosen.timestampFetch,
    now: context.now,
    signal: context.signal,
    environment: context.environment,
    consent: askOnce(tokens, chosen, stdinIsTaken, flags, context),
    observer: (event) => tell(event, context),
  });
  try {
    for (const text of session.notices) warn(context, text);
    refuseOffline(session.services, flags);
    refuseUnpromised(plan, session.services);
    const run = new SigningRun(session, plan, key, flags, context);
    return await run.signAll(await request.items());
  } finally {
    session.close();
  }
}

/** Writes a failure where `--output json` asks for it. */
export async function refuseSigning(error: SigstoreError, flags: Flags, context: Context): Promise<void> {
  if (flags.string("output") === "json")
    context.stdout.write(`${printableJson(await failureToJson(undefined, error))}\n`);
}

function checkSignerFlags(flags: Flags, stdinIsTaken: boolean, context: Context): void {
  if (flags.has("key") && flags.boolean("sk")) {
    throw usage("exactly one of: key reference (--key), or hardware token (--sk) must be provided", {
      remedy: "leave one of both out",
    });
  }
  if (flags.boolean("sk"))
    throw usage("hardware tokens (--sk) are not supported", { remedy: "use cosign for it, or sign with --key" });
  const algorithm = flags.string("signing-algorithm");
  if (algorithm !== undefined && !SIGNING_ALGORITHMS.includes(algorithm)) {
    throw usage(`invalid signing algorithm: ${algorithm}`, { expected: SIGNING_ALGORITHMS.join(", ") });
  }
  if (algorithm !== undefined) parseSigningAlgorithm(algorithm);
  if (flags.has("certificate-chain") && !flags.has("certificate"))
    throw usage("no leaf certificate found or provided while specifying chain", {
      remedy: "give the certificate with --certificate",
    });
  if (readCertificateIdentity(flags) !== undefined && flags.has("key") && !flags.boolean("issue-certificate"))
    throw usage("--require-identity has no meaning with --key: no certificate is asked for", {
      remedy: "leave one of both out",
    });
  for (const name of ["certificate", "issue-certificate"]) {
    const given = name === "certificate" ? flags.has(name) : flags.boolean(name);
    if (given && !flags.has("key"))
      throw usage(`--${name} needs --key`, { remedy: "give the private key that belongs to it" });
  }
  if (flags.has("certificate") && flags.boolean("issue-certificate"))
    throw usage("--certificate and --issue-certificate exclude one another", { remedy: "leave one of both out" });
  if (flags.has("identity-token") && flags.has("key") && !flags.boolean("issue-certificate")) {
    throw usage(`${flags.nameOf("identity-token")} has no meaning with --key: no certificate is asked for`, {
      remedy: "leave one of both out",
    });
  }
  if (stdinIsTaken && flags.has("key") && context.environment["COSIGN_PASSWORD"] === undefined) {
    throw new InputError(
      "KEY_PASSWORD_MISSING",
      "standard input is what is signed, so no password can be read from it",
      {
        remedy: "set COSIGN_PASSWORD, to an empty text where there is none",
      },
    );
  }
}

/** What cannot come of a signature is told before it is made. */
function checkParts({ isLegacy, paths }: OutputPlan, flags: Flags): void {
  if (!isLegacy) return;
  const keyAlone = flags.has("key") && !flags.has("certificate") && !flags.boolean("issue-certificate");
  if (keyAlone && paths.some(({ certificate }) => certificate !== undefined))
    throw usage("--output-certificate has nothing to write: a key signs without a certificate", {
      remedy: "leave it out",
    });
}

function refuseOffline({ fulcio, rekor, timestampAuthorities }: SelectedServices, flags: Flags): void {
  const asked = [fulcio, ...rekor.map(({ url }) => url), ...timestampAuthorities].filter((url) => url !== undefined);
  if (!flags.boolean("offline") || asked.length === 0) return;
  throw new ServiceError("OFFLINE", `signing asks ${asked.join(", ")}, which cannot be done with --offline`, {
    remedy: "leave --offline out, or sign with --key and a signing config without services",
  });
}

/** The old bundle has a place for the promise of Rekor v1, and for nothing else. */
function refuseUnpromised({ isLegacy, paths }: OutputPlan, { rekor }: SelectedServices): void {
  if (!isLegacy || paths.every(({ bundle }) => bundle === undefined)) return;
  const log = rekor.find(({ majorApiVersion }) => majorApiVersion === 2);
  if (log === undefined) return;
  throw new TrustError("SIGNING_CONFIG_UNUSABLE", `log ${log.url} is of Rekor v2, which the old bundle cannot hold`, {
    expected: "a log of Rekor v1",
    remedy: "leave --new-bundle-format=false out, or sign with a log of Rekor v1",
  });
}

/** Loads the key when it is needed, asks for its password once, and remembers its public key. */
export class KeyReader {
  readonly #flags: Flags;
  readonly #context: Context;
  #pem: Promise<Uint8Array> | undefined;
  #password: Promise<Uint8Array> | undefined;
  #signer: Signer | undefined;

  constructor(flags: Flags, context: Context) {
    this.#flags = flags;
    this.#context = context;
  }

  /** @throws InputError, FormatError, ServiceError. */
  async load(prehashed: boolean): Promise<Signer> {
    return (this.#signer = await this.#open(prehashed, () => (this.#password ??= readPassword(this.#context))));
  }

  /** Looks at a key that is here, as far as that goes without its password. @throws InputError, FormatError. */
  async check(): Promise<void> {
    if (!this.#flags.has("key") || isUrl(this.#reference)) return;
    try {
      await this.#open(false, () => Promise.reject(new PasswordNeeded()));
    } catch (error) {
      if (!(error instanceof PasswordNeeded)) throw error;
    }
  }

  get #reference(): string {
    return this.#flags.string("key") ?? "";
  }

  /** Reads the file once: it may be a pipe. */
  async #open(prehashed: boolean, password: () => Promise<Uint8Array>): Promise<Signer> {
    const { environment, fetch, signal } = this.#context;
    const pem = await (this.#pem ??= readKeyReference(this.#reference, "private key", { environment, fetch, signal }));
    return await naming(nameKeyReference(this.#reference), () =>
      readPrivateKey(pem, password, { prehashed, algorithm: this.#flags.string("signing-algorithm") }),
    );
  }

  /** The key that signed, in PEM, where there is one. */
  get publicKeyPem(): string | undefined {
    return this.#signer === undefined ? undefined : encodePem("PUBLIC KEY", this.#signer.publicKey.spki);
  }
}

/** Ends the look at a key where only its password would tell more. */
class PasswordNeeded extends Error {}

type OwnCertificate = Pick<Extract<SignerChoice, { kind: "key" }>, "certificate" | "certificateChain">;

async function readOwnCertificate(flags: Flags): Promise<OwnCertificate> {
  const certificate = flags.string("certificate");
  const chain = flags.string("certificate-chain");
  return {
    ...(certificate !== undefined && {
      certificate: await readInputFile(certificate, MAX_CERTIFICATE_FILE_BYTES, "certificate"),
    }),
    ...(chain !== undefined && {
      certificateChain: await readInputFile(chain, MAX_CERTIFICATE_FILE_BYTES, "certificate chain"),
    }),
  };
}

async function readSigner(
  keyless: boolean,
  tokens: TokenSource,
  key: KeyReader,
  certificate: OwnCertificate,
  flags: Flags,
): Promise<SignerChoice> {
  if (!keyless) return { kind: "key", signer: ({ prehashed }) => key.load(prehashed), ...certificate };
  return {
    kind: "keyless",
    identityToken: tokens.obtain,
    knownToken: tokens.known,
    identity: readCertificateIdentity(flags),
    signingAlgorithm: flags.string("signing-algorithm"),
    ...(flags.has("key") && { signer: await key.load(false), signingAlgorithm: undefined }),
  };
}

/**
 * Tells what becomes public, once for all files. As in cosign, a person who logs in, or who names a log by its URL, is asked
 * whether to go on; a script with a signing config is not.
 */
function askOnce(
  tokens: TokenSource,
  { namedByUrl }: ChosenServices,
  stdinIsTaken: boolean,
  flags: Flags,
  context: Context,
): (disclosure: Disclosure) => Promise<boolean> {
  const ask = async (disclosure: Disclosure): Promise<boolean> => {
    for (const line of disclosureToText(disclosure).trimEnd().split("\n")) notice(context, line);
    const logs = disclosure.items.flatMap((item) => item.logs);
    if (logs.some(isPublicGood)) {
      notice(
        context,
        "The services of sigstore.dev are provided under these terms, and what they hold cannot be removed:",
      );
      notice(context, "  https://lfprojects.org/policies/hosted-project-tools-terms-of-use/");
      notice(context, "  https://lfprojects.org/policies/hosted-project-tools-immutable-records/");
    }
    if (!tokens.isLogin() && !(namedByUrl && logs.length > 0)) return true;
    if (stdinIsTaken) {
      throw new InputError("CONSENT_MISSING", "standard input is what is signed, so nobody can be asked", {
        remedy: "agree with --yes, where what becomes public may become public",
      });
    }
    notice(context, "By typing 'y' you agree to this, and attest that the personal data in it is your own.");
    await confirmContinue(context);
    return true;
  };
  // A no is the answer for every file, too.
  let answer: Promise<boolean> | undefined;
  return async (disclosure) => flags.boolean("yes") || (await (answer ??= ask(disclosure)));
}

function isPublicGood(log: string): boolean {
  return log.includes(new URL(PUBLIC_GOOD.fulcio).host) || log.includes(new URL(PUBLIC_GOOD.rekor).host);
}

function tell(event: SigningEvent, context: Context): void {
  switch (event.kind) {
    case "services-selected": {
      const { fulcio, rekor, timestampAuthorities } = event.services;
      const urls = [fulcio, ...rekor.map(({ url }) => url), ...timestampAuthorities].filter((url) => url !== undefined);
      trace(context, `services: ${urls.join(", ") || "none"}`);
      return;
    }
    case "entry-verified":
      notice(context, `tlog entry created with index: ${event.logIndex}`);
      return;
    case "state-resumed":
      notice(context, `Going on with the signature in ${event.path}${ofHolder(event.subject, event.issuer)}`);
      return;
    case "state-discarded":
      warn(context, `the signature in ${event.path} cannot be finished, and is begun anew: ${event.reason}`);
      return;
    case "log-frozen":
      warn(context, `log ${event.url} takes no more entries: the signing config is loaded again`);
      return;
    case "clock-skew":
      warn(context, `the clock is ${event.milliseconds} ms behind that of the certificate authority`);
      return;
    case "certificate-verified":
      trace(context, `certificate: for ${event.subject}, valid until ${event.notAfter.toISOString()}`);
      return;
    case "artifact-read":
    case "token-checked":
    case "certificate-requesting":
    case "signed":
    case "state-stored":
    case "timestamp-requesting":
    case "timestamp-verified":
    case "entry-submitting":
    case "bundle-verified":
    case "state-removed":
      trace(context, `signing: ${event.kind.replaceAll("-", " ")}`);
  }
}

/** Who goes on need not be who began, and should see in whose name. */
function ofHolder(subject: string | undefined, issuer: string | undefined): string {
  if (subject === undefined) return "";
  return issuer === undefined ? `, of ${subject}` : `, of ${subject}, as ${issuer} says`;
}

/** Is one run over all files. */
class SigningRun {
  readonly #session: SigningSession;
  readonly #plan: OutputPlan;
  readonly #key: KeyReader;
  readonly #json: boolean;
  readonly #context: Context;
  /** Lines of standard output that wait for those before them. */
  readonly #lines = new Map<number, string>();
  #nextLine = 0;

  constructor(session: SigningSession, plan: OutputPlan, key: KeyReader, flags: Flags, context: Context) {
    this.#session = session;
    this.#plan = plan;
    this.#key = key;
    this.#json = flags.string("output") === "json";
    this.#context = context;
  }

  async signAll(items: readonly SigningItem[]): Promise<number> {
    const [first, second] = items;
    if (first === undefined) throw usage("there is nothing to sign");
    if (second === undefined) {
      await this.#sign(first, 0);
      return 0;
    }
    let failed = 0;
    const fatal: SigstoreError[] = [];
    const attempt = async (index: number): Promise<void> => {
      const item = items[index] ?? first;
      try {
        await this.#sign(item, index);
      } catch (error) {
        if (!(error instanceof SigstoreError)) throw error;
        if (endsAll(error)) fatal.push(error);
        else {
          failed += 1;
          await this.#tellFailure(item, index, error);
        }
      }
    };
    // The first is alone: it asks for the token, the certificate and a yes, which the others share.
    await attempt(0);
    let next = 1;
    const work = async (): Promise<void> => {
      while (next < items.length && fatal.length === 0) await attempt(next++);
    };
    await Promise.all(Array.from({ length: this.#plan.isLegacy ? 1 : CONCURRENCY }, work));
    for (const line of this.#lines.values()) this.#context.stdout.write(`${line}\n`);
    if (fatal[0] !== undefined) throw fatal[0];
    if (failed > 0)
      notice(
        this.#context,
        `${failed} of ${items.length} ${this.#plan.isInRegistry ? "images" : "files"} were not signed`,
      );
    return failed > 0 ? 1 : 0;
  }

  async #sign({ input, sign, details }: SigningItem, index: number): Promise<void> {
    const paths = this.#plan.paths[index];
    if (paths === undefined) throw new Error("there is no output for an input"); // cannot happen
    const signed = await sign(this.#session, {
      state: paths.state,
      signal: this.#context.signal,
      // Before the state is removed: whoever is killed between the two would make public a second time what is lost.
      deliver: (finished) => writeSignature(finished, this.#plan, paths, this.#key.publicKeyPem, this.#context),
    });
    if (this.#json) this.#print(index, { ...(await outcomeToJson(input, paths.bundle, signed)), ...details?.() });
  }

  async #tellFailure({ input }: SigningItem, index: number, error: SigstoreError): Promise<void> {
    const { refusalToText } = await import("../report/text.ts");
    notice(this.#context, `Error: signing ${input}: ${refusalToText(error)}`);
    if (this.#json) this.#print(index, await failureToJson(input, error));
  }

  /** In the order of the inputs, whichever is ready first. */
  #print(index: number, json: JsonObject): void {
    this.#lines.set(index, printableJson(json));
    for (;;) {
      const line = this.#lines.get(this.#nextLine);
      if (line === undefined) return;
      this.#context.stdout.write(`${line}\n`);
      this.#lines.delete(this.#nextLine);
      this.#nextLine += 1;
    }
  }
}

/** What no other file could do better about. */
const FATAL: ReadonlySet<string> = new Set([
  "CONSENT_MISSING",
  "COMMAND_INTERRUPTED",
  "COMMAND_TIMED_OUT",
  "FULCIO_REQUEST_REFUSED",
  "KEY_PASSWORD_MISSING",
  "KEY_PASSWORD_WRONG",
  "LOGIN_FAILED",
  "OFFLINE",
  "PRIVATE_KEY_MALFORMED",
]);

function endsAll({ code }: SigstoreError): boolean {
  return FATAL.has(code) || code.startsWith("IDENTITY_TOKEN_");
}

async function outcomeToJson(input: string, bundle: string | undefined, signed: SignedBundle): Promise<JsonObject> {
  const { RESULT_VERSION, evidenceToJson } = await import("../report/json.ts");
  const { evidence, digest, resumed } = signed;
  return {
    version: RESULT_VERSION,
    verdict: "signed",
    artifact: input,
    ...(bundle !== undefined && { bundle }),
    digest: formatDigest(digest),
    resumed,
    ...(evidence !== undefined && { evidence: evidenceToJson(evidence) }),
  };
}

async function failureToJson(input: string | undefined, error: SigstoreError): Promise<JsonObject> {
  const { RESULT_VERSION, refusalToJson } = await import("../report/json.ts");
  return {
    version: RESULT_VERSION,
    verdict: "failed",
    ...(input !== undefined && { artifact: input }),
    error: refusalToJson(error)["error"] ?? {},
  };
}
