/**
 * What the commands that attach something to an image share.
 *
 * @module
 */

import { concatBytes } from "../../encoding/bytes.ts";
import type { JsonObject } from "../../encoding/json.ts";
import { printableJson } from "../../encoding/printable.ts";
import { FormatError } from "../../errors.ts";
import { readInputFile } from "../../files/read-file.ts";
import type { AttachedToImage, AttachOptions } from "../../oci/attach.ts";
import { parseReference } from "../../oci/reference.ts";
import { RESULT_VERSION } from "../../report/json.ts";
import { notice, warn, type Context } from "../context.ts";
import type { Flag, Flags } from "../flags.ts";
import { openRegistry, REGISTRY_FLAGS } from "./registry-flags.ts";

/** Are the flags of every command that attaches something. */
export const ATTACH_FLAGS: readonly Flag[] = [
  ...REGISTRY_FLAGS,
  {
    name: "platform",
    kind: "string",
    value: "OS/ARCH",
    description: "attach it to the manifest of this platform of an index",
  },
  { name: "output", short: "o", kind: "string", value: "FORMAT", choices: ["json"], description: "json" },
];

/** Lets something be attached that is about another image. */
export const SUBJECT_FLAG: Flag = {
  name: "insecure-ignore-subject",
  kind: "boolean",
  description: "attach it even where it is about something else: nobody can verify it for this image",
};

/**
 * Reads what the flags of {@link ATTACH_FLAGS} say, and warns of a tag.
 *
 * @throws InputError `USAGE_INVALID`, `REFERENCE_MALFORMED`.
 */
export async function readAttachOptions(image: string, flags: Flags, context: Context): Promise<AttachOptions> {
  flags.choice("output", ["json"]);
  const { tag, digest } = parseReference(image);
  if (digest === undefined)
    warn(
      context,
      `${JSON.stringify(image)} names the image by the tag ${JSON.stringify(tag)}, which may be moved: it is attached to the digest that it names now. Name the digest to be sure that it is the image you mean.`,
    );
  return {
    ...(await openRegistry([image], flags, context)),
    platform: flags.string("platform"),
    subject: flags.boolean("insecure-ignore-subject") ? "unsafe-any" : "image",
    legacy: { dockerMediaTypes: context.environment["COSIGN_DOCKER_MEDIA_TYPES"] === "1" },
    now: context.now,
    signal: context.signal,
  };
}

/** Tells where something was attached. */
export function printAttached(
  { name, pinned, digest, attached }: AttachedToImage,
  flags: Flags,
  context: Context,
  details: JsonObject = {},
): void {
  for (const { location } of attached) notice(context, `Attached to ${pinned}: ${location}`);
  if (flags.string("output") !== "json") return;
  const result: JsonObject = {
    version: RESULT_VERSION,
    verdict: "attached",
    image: name,
    pinned,
    digest,
    ...details,
    attached: attached.map(({ via, location, descriptor }) => ({
      via,
      location,
      ...(descriptor !== undefined && { manifest: descriptor.digest }),
    })),
  };
  context.stdout.write(`${printableJson(result)}\n`);
}

/**
 * Reads a file, or standard input where that is `-`.
 *
 * @throws InputError of a file; FormatError `LIMIT_EXCEEDED`.
 */
export async function readFileOrStdin(
  path: string,
  maxBytes: number,
  what: string,
  { stdin }: Context,
): Promise<Uint8Array> {
  if (path !== "-") return await readInputFile(path, maxBytes, what);
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of stdin) {
    length += piece.length;
    if (length > maxBytes)
      throw new FormatError("LIMIT_EXCEEDED", `${what} on standard input is too large`, {
        expected: `at most ${maxBytes} bytes`,
        found: "more",
      });
    pieces.push(piece);
  }
  return concatBytes(...pieces);
}
