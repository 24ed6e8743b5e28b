/**
 * What the commands that sign images share: from the flags to what is signed, and from signatures to where they are kept.
 *
 * @module
 */

import { defaultCryptoProvider } from "../../crypto/provider.ts";
import { parseReference } from "../../oci/reference.ts";
import type { ImageSigningOptions, SignedDigest, StorageFormat } from "../../oci/sign-image.ts";
import { findSigningTargets, requirePush, type SigningTarget, type SigningTargets } from "../../oci/signing-targets.ts";
import { formatPlatform } from "../../oci/platform.ts";
import type { JsonObject } from "../../encoding/json.ts";
import type { SignatureOptions, SignedBundle } from "../../sign/options.ts";
import type { SigningSession } from "../../sign/session.ts";
import { notice, warn, type Context } from "../context.ts";
import { usage, type Flag, type Flags } from "../flags.ts";
import { openRegistry, REGISTRY_FLAGS } from "./registry-flags.ts";
import { runSigning, type SigningItem } from "../signing.ts";
import { SIGNING_FLAGS } from "../signing-flags.ts";

/** Are the flags of every command that signs images. */
export const IMAGE_SIGNING_FLAGS: readonly Flag[] = [
  ...SIGNING_FLAGS.map((flag) =>
    flag.name === "bundle"
      ? { ...flag, description: "write the bundle to this file, too; {name} and {path} stand for those of the image" }
      : flag,
  ),
  ...REGISTRY_FLAGS,
  {
    name: "recursive",
    short: "r",
    kind: "boolean",
    description: "sign the index and every manifest in it, each by itself",
  },
  { name: "platform", kind: "string", value: "OS/ARCH", description: "sign the manifest of this platform in an index" },
  { name: "record-creation-timestamp", kind: "boolean", description: "", deprecated: "bundles have a signed time" },
];

/** Is one digest, and the image that it belongs to. */
export interface ImageItem {
  readonly targets: SigningTargets;
  readonly target: SigningTarget;
}

/** Is what a command does with each digest. */
export interface ImageSigningTask {
  readonly images: readonly string[];
  readonly isAttestation: boolean;
  readonly stdinIsTaken: boolean;
  readonly format: StorageFormat;
  readonly upload: boolean;
  /** Reads what else is signed, before anybody is asked for anything. */
  readonly check?: () => Promise<void>;
  /** The statement or the payload, for `--explain`, and to find out that it can be made. */
  readonly content: (item: ImageItem) => Promise<Uint8Array>;
  readonly sign: (
    item: ImageItem,
    session: SigningSession,
    options: ImageSigningOptions,
    signatureOptions: SignatureOptions,
  ) => Promise<SignedDigest>;
}

/**
 * Signs images. Each image is looked up, and it is made sure that signatures can be kept, before a service or a person is asked.
 *
 * @returns the exit status.
 * @throws SigstoreError of any kind, where there is one thing to sign.
 */
export async function runImageSigning(task: ImageSigningTask, flags: Flags, context: Context): Promise<number> {
  const { images, upload, format, isAttestation } = task;
  for (const image of images) {
    const { tag, digest } = parseReference(image);
    if (digest === undefined)
      warn(
        context,
        `${JSON.stringify(image)} names the image by the tag ${JSON.stringify(tag)}, which may be moved: what is signed is the digest it names now. Name the digest to be sure that it is the image you mean.`,
      );
  }
  const isWritten = flags.has("bundle") || (format !== "bundle" && flags.has("output-signature"));
  if (!upload && !isWritten)
    throw usage("must enable upload to the OCI registry or specify a local --bundle path with --new-bundle-format", {
      remedy: "say with --bundle where the bundle is to be written",
    });
  const registry = await openRegistry(images, flags, context);
  const options: ImageSigningOptions = {
    ...registry,
    recursive: flags.boolean("recursive"),
    platform: flags.string("platform"),
    format,
    upload,
    now: context.now,
    signal: context.signal,
    legacy: {
      dockerMediaTypes: context.environment["COSIGN_DOCKER_MEDIA_TYPES"] === "1",
      created: flags.boolean("record-creation-timestamp") ? creationTime(context) : undefined,
    },
  };
  const items: ImageItem[] = [];
  return await runSigning(
    {
      names: { timestamp: "rfc3161-timestamp", isAttestation, isInRegistry: true },
      stdinIsTaken: task.stdinIsTaken,
      async inputs() {
        for (const image of images) {
          const targets = await findSigningTargets(image, options);
          for (const target of targets.targets) items.push({ targets, target });
          if (upload && !flags.boolean("explain")) await requirePush(targets.opened);
        }
        return items.map(nameOf);
      },
      async check() {
        await task.check?.();
        for (const item of items) await task.content(item);
      },
      items: () => Promise.resolve(items.map((item) => toSigningItem(item, task, options, flags, context))),
      async describe() {
        const described = [];
        for (const item of items) {
          const value = await defaultCryptoProvider().digest("sha256", await task.content(item));
          const kind = format === "bundle" || isAttestation ? ("statement" as const) : ("artifact" as const);
          described.push({ input: nameOf(item), content: { kind, digest: { algorithm: "sha256" as const, value } } });
        }
        return described;
      },
    },
    flags,
    context,
  );
}

function toSigningItem(
  item: ImageItem,
  task: ImageSigningTask,
  options: ImageSigningOptions,
  flags: Flags,
  context: Context,
): SigningItem {
  const { opened } = item.targets;
  let result: SignedDigest | undefined;
  return {
    input: nameOf(item),
    async sign(session, signatureOptions) {
      let kept: SignedBundle | undefined;
      const deliver = (signed: SignedBundle): void => {
        kept = signed;
        if (task.upload)
          notice(context, `Pushing ${task.isAttestation ? "attestation" : "signature"} to: ${opened.attachments.name}`);
      };
      try {
        result = await task.sign(item, session, { ...options, deliver }, signatureOptions);
        return result.signed;
      } catch (error) {
        // It is public by now, and cannot be taken back; only the bundle would be gone.
        if (kept !== undefined) {
          const isWritten = flags.has("bundle");
          warn(
            context,
            `the signature was made and could not be kept in the registry: the bundle ${isWritten ? "is in the file that --bundle names" : "follows on standard output"}${task.format === "bundle" || task.isAttestation ? "; attach it with cosign-ts attach" : ""}`,
          );
          if (!isWritten) context.stdout.write(`${kept.json}\n`);
        }
        throw error;
      }
    },
    details: () => (result === undefined ? {} : detailsOf(item, result)),
  };
}

function detailsOf({ targets, target }: ImageItem, { attached }: SignedDigest): JsonObject {
  const { opened } = targets;
  return {
    image: opened.name,
    pinned: `${opened.repository}@${target.subject.digest}`,
    imageDigest: target.subject.digest,
    ...(target.platform !== undefined && { platform: formatPlatform(target.platform) }),
    ...(attached !== undefined && { attached: { via: attached.via, location: attached.location } }),
  };
}

function nameOf({ targets, target }: ImageItem): string {
  return `${targets.opened.repository}@${target.subject.digest}`;
}

/** @see reproducible-builds.org, SOURCE_DATE_EPOCH */
function creationTime({ environment, now }: Context): Date {
  const epoch = environment["SOURCE_DATE_EPOCH"] ?? "";
  if (epoch === "") return now();
  if (!/^\d{1,12}$/.test(epoch))
    throw usage("SOURCE_DATE_EPOCH in the environment is no number of seconds", { expected: "seconds since 1970" });
  return new Date(Number(epoch) * 1000);
}
