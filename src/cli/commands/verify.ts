/**
 * `cosign-ts verify`: signatures of images.
 *
 * @module
 */

import { printableJson } from "../../encoding/printable.ts";
import type { DetachedSignature } from "../../oci/legacy/detached-signature.ts";
import type { VerifiedImage } from "../../oci/verification/verified-image.ts";
import { parseAnnotations } from "../images/annotations.ts";
import type { Command, Context } from "../context.ts";
import { DETACHED_SIGNATURE_FLAGS, readDetachedSignature } from "../images/detached-signature.ts";
import { imageExitStatus } from "../exit-status.ts";
import type { Flag, Flags } from "../flags.ts";
import { IMAGE_VERIFICATION_FLAGS } from "../images/image-flags.ts";
import { printHeader, refuseImage, verifyImages } from "../images/image-verification.ts";

/** Are the flags of `verify`, and of the commands that find out the images by themselves. */
export const SIGNATURE_FLAGS: readonly Flag[] = [
  ...IMAGE_VERIFICATION_FLAGS,
  {
    name: "annotations",
    short: "a",
    kind: "strings",
    value: "KEY=VALUE",
    description: "an annotation that must have been signed; may be repeated, and a comma separates several",
  },
  {
    name: "signature-predicate-type",
    kind: "string",
    value: "URI",
    description:
      "the predicate type of a signature that is a bundle, in place of cosign's own; unsafe-any takes any attestation for one",
  },
  {
    name: "output",
    short: "o",
    kind: "string",
    value: "FORMAT",
    choices: ["json", "text", "result"],
    description: "json: as cosign prints it (default); text: the payloads; result: all that was proven, as JSON",
  },
];

/** Verifies that images are signed. */
export const verify: Command = {
  name: "verify",
  summary:
    "Verify that images are signed: every signature in every place, of which one must prove what is asked for. Exit status: 10 not signed, 11 no such image, 12 no signature that proves it, 13 no certificate; of several images, that of the first that is not verified.",
  operands: "IMAGE...",
  minOperands: 1,
  maxOperands: Infinity,
  environment: true,
  flags: [...SIGNATURE_FLAGS, ...DETACHED_SIGNATURE_FLAGS],
  examples: [
    "cosign-ts verify --certificate-identity alice@example.com --certificate-oidc-issuer https://accounts.example.com registry.example.com/app:v1",
    "cosign-ts verify --key cosign.pub -a team=release registry.example.com/app:v1",
  ],
  async run(images, flags, context) {
    const signature = await readDetachedSignature(images, flags, context);
    return await verifySignatures(images, flags, context, signature && [signature]);
  },
  exitStatus: imageExitStatus,
  refuse: (error, flags, context) => refuseImage(error, flags, context),
};

/**
 * Verifies the signatures of images, and prints them.
 *
 * @param detachedSignatures - Those in files, in place of those that are attached.
 * @returns the exit status.
 */
export async function verifySignatures(
  images: readonly string[],
  flags: Flags,
  context: Context,
  detachedSignatures?: readonly DetachedSignature[],
): Promise<number> {
  const output = flags.choice("output", ["json", "text", "result"]);
  const annotations = parseAnnotations(flags);
  const predicateType = flags.string("signature-predicate-type");
  return await verifyImages(
    {
      what: "signature",
      images,
      verify: (verifier, image, policy) =>
        verifier.verify(image, { ...policy, annotations, predicateType, detachedSignatures }),
      print: async (image) => {
        printHeader(image, Object.keys(annotations).length > 0, flags, context);
        await printSignatures(image, output ?? "json", context);
      },
    },
    flags,
    context,
  );
}

async function printSignatures(
  image: VerifiedImage,
  output: "json" | "text" | "result",
  context: Context,
): Promise<void> {
  switch (output) {
    case "json": {
      const { imageToCosignJson } = await import("../../report/cosign-json.ts");
      context.stdout.write(`\n${printableJson(imageToCosignJson(image))}\n`);
      return;
    }
    case "result": {
      const { verifiedImageToJson } = await import("../../report/image-json.ts");
      context.stdout.write(`${printableJson(verifiedImageToJson(image))}\n`);
      return;
    }
    case "text": {
      const { signatureToCosignText } = await import("../../report/cosign-json.ts");
      for (const signature of image.signatures) {
        const { signer } = signature.evidence;
        if (signer.kind === "certificate") {
          const { subjectAlternativeName, issuer, extensions } = signer.identity;
          const facts = {
            "Certificate subject": subjectAlternativeName.value,
            "Certificate issuer URL": issuer,
            "GitHub Workflow Trigger": extensions.githubWorkflowTrigger,
            "GitHub Workflow SHA": extensions.githubWorkflowSHA,
            "GitHub Workflow Name": extensions.githubWorkflowName,
            "GitHub Workflow Repository": extensions.githubWorkflowRepository,
            "GitHub Workflow Ref": extensions.githubWorkflowRef,
          };
          for (const [title, value] of Object.entries(facts))
            if (value !== undefined) context.stderr.write(`${title}: ${printableJson(value).slice(1, -1)}\n`);
        }
        context.stdout.write(`${signatureToCosignText(signature, image.name)}\n`);
      }
    }
  }
}
