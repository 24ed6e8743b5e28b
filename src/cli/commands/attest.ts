/**
 * `cosign-ts attest`: statements about images, signed.
 *
 * @module
 */

import { readInputFile } from "../../files/read-file.ts";
import { predicateTypeOf, type Predicate } from "../../intoto/predicate.ts";
import { parseStatement } from "../../intoto/statement.ts";
import { MAX_BUNDLE_BYTES } from "../../limits.ts";
import { attestTarget, statementAbout, type ImageStatement } from "../../oci/sign-image.ts";
import type { Command } from "../context.ts";
import { usage, type Flags } from "../flags.ts";
import { IMAGE_SIGNING_FLAGS, runImageSigning, type ImageItem } from "../images/image-signing.ts";
import { naming } from "../named-input.ts";
import { PREDICATE_FLAGS, readPredicate } from "../predicate-input.ts";
import { refuseSigning } from "../signing.ts";

/** Signs a statement about each of some images. */
export const attest: Command = {
  name: "attest",
  summary:
    "Sign a statement about images, and attach it to each: a predicate of some type, or a whole in-toto statement.",
  operands: "IMAGE...",
  minOperands: 1,
  maxOperands: Infinity,
  environment: true,
  flags: [
    ...PREDICATE_FLAGS,
    {
      name: "statement",
      kind: "string",
      value: "FILE",
      description: "a whole in-toto statement about the image, which is signed byte for byte, in place of a predicate",
    },
    ...IMAGE_SIGNING_FLAGS,
    {
      name: "no-upload",
      kind: "boolean",
      description: "attach nothing; --bundle says where the bundle is written",
    },
    { name: "replace", kind: "boolean", description: "", deprecated: "bundles stand side by side" },
    { name: "rekor-entry-type", kind: "string", description: "", deprecated: "it has no effect" },
  ],
  examples: [
    "cosign-ts attest --predicate provenance.json --type slsaprovenance1 registry.example.com/app:v1",
    "cosign-ts attest --key cosign.key --predicate sbom.json --type cyclonedx registry.example.com/app:v1",
  ],
  async run(images, flags, context) {
    checkFlags(images, flags);
    let read: Promise<ImageStatement> | undefined;
    const given = (): Promise<ImageStatement> => (read ??= readStatement());
    const readStatement = async (): Promise<ImageStatement> => {
      const path = flags.string("statement");
      if (path === undefined) return ofPredicate(await readPredicate(flags, context));
      const statement = await readInputFile(path, MAX_BUNDLE_BYTES, "statement");
      await naming(path, () => parseStatement(statement));
      return { statement };
    };
    const content = async ({ targets, target }: ImageItem): Promise<Uint8Array> =>
      statementAbout(targets.opened, target.subject, await given());
    return await runImageSigning(
      {
        images,
        isAttestation: true,
        stdinIsTaken: flags.string("predicate") === "-",
        format: flags.boolean("new-bundle-format", true) ? "bundle" : "legacy",
        upload: !flags.boolean("no-upload"),
        content,
        sign: async (item, session, options, signatureOptions) =>
          attestTarget(
            item.targets.opened,
            item.target,
            await content(item),
            session,
            { ...options, replace: flags.boolean("replace") },
            signatureOptions,
          ),
      },
      flags,
      context,
    );
  },
  refuse: refuseSigning,
};

function ofPredicate({ predicateType, predicate }: Predicate): ImageStatement {
  return { predicateType, predicate };
}

function checkFlags(images: readonly string[], flags: Flags): void {
  const given = ["predicate", "statement"].filter((name) => flags.has(name));
  if (given.length !== 1)
    throw usage("one of --predicate or --statement must be set", { remedy: "give one, and not both" });
  const entryType = flags.string("rekor-entry-type");
  if (entryType !== undefined && !["dsse", "intoto"].includes(entryType))
    throw usage("unknown value for rekor-entry-type", { expected: "dsse or intoto" });
  if (flags.boolean("replace") && flags.boolean("new-bundle-format", true))
    throw usage("--replace has no meaning for bundles, which stand side by side", {
      remedy: "leave it out; cosign-ts clean removes what is no longer wanted",
    });
  if (flags.has("statement") && (images.length > 1 || flags.boolean("recursive")))
    throw usage("--statement is about one image, and there are several", { remedy: "sign a predicate about each" });
  if (!flags.has("statement")) predicateTypeOf(flags.string("type") ?? "custom");
}
