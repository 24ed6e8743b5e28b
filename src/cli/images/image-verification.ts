/**
 * What the commands that verify images share: from the flags to a verifier, and from image to image.
 *
 * @module
 */

import { ServiceError, SigstoreError } from "../../errors.ts";
import { printableJson } from "../../encoding/printable.ts";
import type { ImageInput } from "../../oci/image-source.ts";
import type { ImagePolicy, VerifiedImage } from "../../oci/verification/verified-image.ts";
import { ImageVerifier } from "../../oci/verification/verify-image.ts";
import type { ExpectedSigner } from "../../verify/options.ts";
import { notice, trace, warn, type Context } from "../context.ts";
import { readLegacyMaterial } from "./detached-signature.ts";
import { imageExitStatus } from "../exit-status.ts";
import { readExpectedSigner } from "../expected-signer.ts";
import { usage, type Flags } from "../flags.ts";
import { openRegistry, readAttachmentLimit } from "./registry-flags.ts";
import { PUBLIC_GOOD } from "../signing-flags.ts";
import { loadChosenTrust } from "../trust-choice.ts";
import { readDetachedSct, refuseHardware } from "../verification.ts";
import { ignoresLog, readVerifierOptions, timePolicyFor } from "../verifier-options.ts";

/** Is what a command does with each image. */
export interface ImageTask {
  /** What is verified, as cosign calls it in its warnings. */
  readonly what: string;
  readonly images: readonly string[];
  /** Verifies one image. */
  readonly verify: (
    verifier: ImageVerifier,
    image: ImageInput,
    policy: ExpectedSigner & ImagePolicy,
  ) => Promise<VerifiedImage>;
  /** Prints what was proven. */
  readonly print: (image: VerifiedImage) => Promise<void>;
}

/**
 * Verifies images, some at a time. One that is refused does not hide what is proven of the others, and is not hidden by it.
 *
 * @returns the exit status: 0 only where every image was proven, otherwise that of the first that was not.
 * @throws SigstoreError where there is one image.
 */
export async function verifyImages(task: ImageTask, flags: Flags, context: Context): Promise<number> {
  const { images, what } = task;
  refuseHardware(flags);
  refuseAttachment(flags);
  refuseOfflineRegistry(flags);
  const signer = await readExpectedSigner(flags, context);
  const options = await readVerifierOptions(flags, context, what);
  const policy = readImagePolicy(flags, context);
  const workers = flags.number("max-workers");
  if (workers === 0) throw usage("--max-workers must be at least 1", { remedy: "leave it out" });
  const maxAttachmentBytes = readAttachmentLimit(context);
  const sct = flags.string("sct");
  const detachedScts = sct === undefined ? undefined : [await readDetachedSct(sct)];
  const legacyMaterial = await readLegacyMaterial(flags, context);
  const registry = await openRegistry(flags.boolean("local-image") ? [] : images, flags, context);
  const inputs = await openInputs(images, flags);
  const { trustedRoot, source } = await loadChosenTrust(flags, context);
  const verifier = await ImageVerifier.create({
    ...options,
    ...registry,
    trust: trustedRoot,
    trustSource: source,
    timeFor: (bundle) => options.time ?? timePolicyFor(bundle, flags, context),
    maxWorkers: workers,
    maxAttachmentBytes,
    ...(flags.boolean("fetch-log-entries") && {
      fetchLogEntriesFrom: { rekorUrl: flags.string("rekor-url") ?? PUBLIC_GOOD.rekor, fetch: context.fetch },
    }),
  });
  const verifying = startAll(inputs, (input) =>
    task.verify(verifier, input, { ...signer, ...policy, detachedScts, legacyMaterial }),
  );
  let firstFailure: number | undefined;
  // What is said of each stands in the order of the images, whichever is ready first.
  for (const [index, input] of inputs.entries()) {
    try {
      const verified = await verifying(index);
      await task.print(verified);
      if (flags.boolean("explain")) await explain(verified, context);
      tracePlaces(verified, context);
      for (const text of verified.unproven) trace(context, `not proven: ${text}`);
    } catch (error) {
      if (inputs.length === 1 || !(error instanceof SigstoreError)) throw error;
      firstFailure ??= imageExitStatus(error) ?? 1;
      const { refusalToText } = await import("../../report/text.ts");
      notice(context, `Error: verifying ${nameOf(input)}: ${refusalToText(error)}`);
      await refuseImage(error, flags, context, nameOf(input));
    }
  }
  return firstFailure ?? 0;
}

/** Images that are verified at a time. */
const CONCURRENCY = 8;

/** Works on some at a time. @returns what waits for the outcome of one. */
function startAll<T, R>(items: readonly T[], work: (item: T) => Promise<R>): (index: number) => Promise<R> {
  const outcomes: PromiseWithResolvers<R>[] = items.map(() => Promise.withResolvers<R>());
  for (const { promise } of outcomes) promise.catch(() => undefined); // whoever waits for it is told
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < items.length; index = next++) {
      const item = items[index];
      const outcome = outcomes[index];
      if (item === undefined || outcome === undefined) return;
      await work(item).then(outcome.resolve, outcome.reject);
    }
  };
  for (let count = 0; count < CONCURRENCY; count += 1) void worker();
  return async (index) => {
    const outcome = outcomes[index];
    if (outcome === undefined) throw new RangeError("there is no such item");
    return await outcome.promise;
  };
}

/** Lists the checks of each signature, those that failed too. */
async function explain({ signatures, refused }: VerifiedImage, { stderr }: Context): Promise<void> {
  const { checksToText } = await import("../../report/text.ts");
  for (const { layer, format, evidence } of signatures)
    stderr.write(`Checks of ${format} ${layer}:\n${checksToText(evidence.checks)}\n`);
  for (const { layer, format, error } of refused)
    if (error.report !== undefined) stderr.write(`Checks of ${format} ${layer}:\n${checksToText(error.report)}\n`);
}

/** Writes a refusal where `--output` asks for JSON. */
export async function refuseImage(error: SigstoreError, flags: Flags, context: Context, image?: string): Promise<void> {
  const output = flags.string("output");
  if (output === "json" || output === "result") {
    const { imageRefusalToJson } = await import("../../report/image-json.ts");
    context.stdout.write(`${printableJson(imageRefusalToJson(error, image))}\n`);
  }
  if (error.report !== undefined && flags.boolean("explain")) {
    const { checksToText } = await import("../../report/text.ts");
    context.stderr.write(`${checksToText(error.report)}\n`);
  }
}

/**
 * Says what was checked of every signature of an image, as cosign does; no line stands there that is not true of all of them.
 *
 * @param annotations - Whether some were asked for.
 */
export function printHeader(image: VerifiedImage, annotations: boolean, flags: Flags, context: Context): void {
  const evidence = image.signatures.map((one) => one.evidence);
  const checksClaims = flags.boolean("check-claims", true);
  const isCertificate = evidence.every(({ signer }) => signer.kind === "certificate");
  const lines = [
    annotations && checksClaims && "The specified annotations were verified.",
    checksClaims && "The cosign claims were validated",
    evidence.every(({ logEntries }) => logEntries.length > 0) &&
      "Existence of the claims in the transparency log was verified offline",
    isCertificate &&
      evidence.every(({ logEntries, timestamps }) => logEntries.length > 0 && timestamps.length > 0) &&
      "The signatures were integrated into the transparency log when the certificate was valid",
    evidence.every(({ signer }) => signer.kind === "public-key") &&
      "The signatures were verified against the specified public key",
    isCertificate && "The code-signing certificate was verified using trusted certificate authority certificates",
  ].filter((line) => line !== false);
  context.stderr.write(`\nVerification for ${image.name} --\n`);
  context.stderr.write("The following checks were performed on each of these signatures:\n");
  for (const line of lines) context.stderr.write(`  - ${line}\n`);
}

/** The signature of an attachment says nothing about the image. */
function refuseAttachment(flags: Flags): void {
  if (!flags.has("attachment")) return;
  throw usage(`${flags.nameOf("attachment")} is not supported`, {
    remedy: "verify the attachment by its own name, which cosign-ts triangulate tells",
  });
}

/** With `--offline` no socket is opened, not to a registry either. cosign means the log alone. */
function refuseOfflineRegistry(flags: Flags): void {
  if (!flags.boolean("offline") || flags.boolean("local-image")) return;
  throw new ServiceError("OFFLINE", "an image in a registry cannot be verified without a network", {
    found: flags.nameOf("offline"),
    remedy:
      "leave it out, and give --trusted-root so that nothing but the registry is asked; or verify an image that was saved with --local-image",
  });
}

function readImagePolicy(flags: Flags, context: Context): ImagePolicy {
  const checksClaims = flags.boolean("check-claims", true);
  if (!checksClaims)
    warn(context, "Skipping the claims proves nothing about the image: what was signed may be about another.");
  if (ignoresLog(flags)) trace(context, "no transparency log is required");
  return {
    format: flags.choice("format", ["any", "bundle", "legacy"]),
    digestRule: flags.choice("digest-rule", [
      "target",
      "index",
      "platform-manifest",
      "every-leaf",
      "leaf-or-linked-parent",
    ]),
    platform: flags.string("platform"),
    claims: checksClaims ? "check" : "unsafe-skip",
  };
}

async function openInputs(images: readonly string[], flags: Flags): Promise<readonly ImageInput[]> {
  if (!flags.boolean("local-image")) return images;
  const { openLayout } = await import("../../oci/layout/layout.ts");
  return await Promise.all(images.map((path) => openLayout(path)));
}

function nameOf(input: ImageInput): string {
  return typeof input === "string" ? input : "store" in input ? (input.name ?? input.store.name) : input.repository;
}

function tracePlaces({ places, refused }: VerifiedImage, context: Context): void {
  for (const { location, outcome, skipped } of places) {
    trace(context, `looked at ${location}: ${outcome}`);
    for (const { digest, type, reason } of skipped) trace(context, `passed over ${digest} (${type}): ${reason}`);
  }
  for (const { layer, format, error } of refused)
    trace(context, `proves nothing: ${format} ${layer}: ${error.message}`);
}
