/**
 * `cosign-ts verify-attestation`: attestations about images.
 *
 * @module
 */

import { printableJson } from "../../encoding/printable.ts";
import { legacySignature } from "../../bundle/legacy.ts";
import { encodeBase64 } from "../../encoding/base64.ts";
import { tryDecodeUtf8 } from "../../encoding/utf8.ts";
import type { VerifiedImage, VerifiedImageSignature } from "../../oci/verification/verified-image.ts";
import type { Command, Context } from "../context.ts";
import { imageExitStatus } from "../exit-status.ts";
import { usage } from "../flags.ts";
import { GITHUB_FLAGS, PREDICATE_TYPE_FLAGS, readPredicateType } from "../github-flags.ts";
import { IMAGE_VERIFICATION_FLAGS } from "../images/image-flags.ts";
import { printHeader, refuseImage, verifyImages } from "../images/image-verification.ts";

/** Verifies that signed statements of a given predicate type are about images. */
export const verifyAttestation: Command = {
  name: "verify-attestation",
  summary:
    "Verify that attestations of a type are about images: the signature, that the image is among the subjects, and the predicate type. Exit status as for verify.",
  operands: "IMAGE...",
  minOperands: 1,
  maxOperands: Infinity,
  environment: true,
  flags: [
    ...IMAGE_VERIFICATION_FLAGS,
    ...PREDICATE_TYPE_FLAGS,
    ...GITHUB_FLAGS,
    {
      name: "buildkit",
      kind: "boolean",
      description: "take what BuildKit says in the index, which must be signed; needs --platform",
    },
    {
      name: "policy",
      kind: "strings",
      value: "FILE",
      description: "policies in CUE or Rego cannot be evaluated here: an error",
    },
    {
      name: "output",
      short: "o",
      kind: "string",
      value: "FORMAT",
      choices: ["json", "text", "result"],
      description:
        "text: one envelope a line, as cosign prints them (default); json, result: all that was proven, as JSON",
    },
  ],
  examples: [
    "cosign-ts verify-attestation --type slsaprovenance1 --certificate-identity alice@example.com --certificate-oidc-issuer https://accounts.example.com registry.example.com/app:v1",
    "cosign-ts verify-attestation --type spdxjson --key cosign.pub --output json registry.example.com/app:v1",
  ],
  async run(images, flags, context) {
    const [policy] = flags.strings("policy");
    if (policy !== undefined)
      throw usage(`policy ${JSON.stringify(policy)} cannot be evaluated: neither CUE nor Rego is supported`, {
        remedy: "verify without --policy, and evaluate the predicate that --output json prints",
      });
    const output = flags.choice("output", ["json", "text", "result"]) ?? "text";
    const predicateType = readPredicateType(flags);
    const buildkit = flags.boolean("buildkit");
    return await verifyImages(
      {
        what: "attestation",
        images,
        verify: (verifier, image, imagePolicy) =>
          verifier.verifyAttestation(image, { ...imagePolicy, predicateType, buildkit }),
        print: async (image) => {
          printHeader(image, false, flags, context);
          await printAttestations(image, output, context);
        },
      },
      flags,
      context,
    );
  },
  exitStatus: imageExitStatus,
  refuse: (error, flags, context) => refuseImage(error, flags, context),
};

async function printAttestations(
  image: VerifiedImage,
  output: "json" | "text" | "result",
  context: Context,
): Promise<void> {
  if (output !== "text") {
    const { verifiedImageToJson } = await import("../../report/image-json.ts");
    context.stdout.write(`${printableJson(verifiedImageToJson(image))}\n`);
    return;
  }
  // What BuildKit says is in no envelope: the statement itself stands in its place.
  const lines =
    image.vouchedFor.length > 0
      ? image.vouchedFor.map(({ payload, statement }) => oneLine(payload) ?? printableJson(statement.json))
      : image.signatures.map(envelopeLine);
  for (const line of lines) context.stdout.write(`${line}\n`);
}

function oneLine(payload: Uint8Array): string | undefined {
  const text = tryDecodeUtf8(payload)?.trim();
  return text === undefined || /[\r\n]/.test(text) ? undefined : text;
}

/** In the form of whichever cosign wrote it, without what else may stand beside it there. */
function envelopeLine({ bundle, format }: VerifiedImageSignature): string {
  if (format === "bundle" || bundle.content.kind !== "dsseEnvelope")
    return tryDecodeUtf8(legacySignature(bundle)) ?? "";
  const { payloadType, payload, signatures } = bundle.content.envelope;
  return JSON.stringify({
    payloadType,
    payload: encodeBase64(payload),
    signatures: signatures.map(({ keyid, sig }) => ({ keyid, sig: encodeBase64(sig) })),
  });
}
