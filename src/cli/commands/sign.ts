/**
 * `cosign-ts sign`: images, signed.
 *
 * @module
 */

import { signStatement, signTarget, type StorageFormat } from "../../oci/sign-image.ts";
import { serializeSimpleSigning } from "../../oci/legacy/simple-signing.ts";
import { parseAnnotations } from "../images/annotations.ts";
import { warn, type Command, type Context } from "../context.ts";
import { usage, type Flags } from "../flags.ts";
import { IMAGE_SIGNING_FLAGS, runImageSigning } from "../images/image-signing.ts";
import { refuseSigning } from "../signing.ts";

/** Signs images, all of them with one token and one certificate, or with a key. */
export const sign: Command = {
  name: "sign",
  summary:
    "Sign images, and attach a bundle to each: with a certificate for the identity of an OpenID Connect token, or with a key. Several images, and with --recursive all manifests of an index, share one token and one certificate.",
  operands: "IMAGE...",
  minOperands: 1,
  maxOperands: Infinity,
  environment: true,
  flags: [
    ...IMAGE_SIGNING_FLAGS,
    {
      name: "annotations",
      short: "a",
      kind: "strings",
      value: "KEY=VALUE",
      description: "an annotation to sign along; may be repeated, and a comma separates several",
    },
    {
      name: "upload",
      kind: "boolean",
      default: "true",
      description: "attach the signature to the image; without it, --bundle says where the bundle is written",
    },
    {
      name: "registry-referrers-mode",
      kind: "string",
      choices: ["legacy", "oci-1-1"],
      description: "",
      deprecated: "bundles are attached as referrers",
    },
    {
      name: "sign-container-identity",
      kind: "strings",
      description: "",
      deprecated: "a bundle names the digest alone",
    },
    { name: "payload", kind: "string", description: "", deprecated: "what is signed is made here" },
    { name: "output-payload", kind: "string", description: "", deprecated: "use --bundle, which holds it" },
    { name: "attachment", kind: "string", description: "", deprecated: "sign the digest of the attachment itself" },
  ],
  examples: [
    "cosign-ts sign registry.example.com/app@sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
    "cosign-ts sign --key cosign.key -a team=release --recursive registry.example.com/app:v1",
  ],
  async run(images, flags, context) {
    for (const name of ["payload", "attachment"])
      if (flags.has(name))
        throw usage(`${flags.nameOf(name)} is not supported`, {
          remedy: name === "attachment" ? "sign the digest of the attachment itself" : "leave it out",
        });
    const annotations = parseAnnotations(flags);
    const format = readFormat(flags, context);
    checkOutputPayload(format, flags, context);
    // One signature for each of them, all under one certificate.
    const [identity, ...otherIdentities] = flags.strings("sign-container-identity");
    if (identity !== undefined && format === "bundle")
      throw usage(
        `${flags.nameOf("sign-container-identity")} has no meaning for bundles, which name the digest alone`,
        {
          remedy: "leave it out, or add --new-bundle-format=false",
        },
      );
    const written = ["bundle", "output-signature", "output-certificate", "resume-state"].find((name) =>
      flags.has(name),
    );
    if (otherIdentities.length > 0 && written !== undefined)
      throw usage(
        `--${written} is for one signature, and there is one for each ${flags.nameOf("sign-container-identity")}`,
        {
          remedy: "leave one of both out",
        },
      );
    return await runImageSigning(
      {
        images,
        isAttestation: false,
        stdinIsTaken: false,
        format,
        upload: flags.boolean("upload", true),
        content: ({ targets, target }) =>
          Promise.resolve(
            format === "bundle"
              ? signStatement(target.subject.digest, annotations)
              : serializeSimpleSigning(identity ?? targets.opened.repository, target.subject.digest, annotations),
          ),
        async sign({ targets, target }, session, options, signatureOptions) {
          const signAs = (containerIdentity: string | undefined): ReturnType<typeof signTarget> =>
            signTarget(
              targets.opened,
              target,
              session,
              { ...options, annotations, containerIdentity },
              signatureOptions,
            );
          let signed = await signAs(identity);
          for (const other of otherIdentities) signed = await signAs(other);
          return signed;
        },
      },
      flags,
      context,
    );
  },
  refuse: refuseSigning,
};

/** cosign ignores it beside a bundle, too. */
function checkOutputPayload(format: StorageFormat, flags: Flags, context: Context): void {
  if (!flags.has("output-payload")) return;
  if (format !== "bundle")
    throw usage("--output-payload is not supported", { remedy: "write the payload with cosign-ts generate" });
  warn(context, "--output-payload is deprecated when using --new-bundle-format and will be ignored");
}

/** The older formats are written only for who asks for them. */
function readFormat(flags: Flags, { environment }: Context): StorageFormat {
  const mode = flags.choice("registry-referrers-mode", ["legacy", "oci-1-1"]);
  const isBundle = flags.boolean("new-bundle-format", true);
  if (mode === "oci-1-1") {
    if (!["1", "true"].includes(environment["COSIGN_EXPERIMENTAL"] ?? ""))
      throw usage("--registry-referrers-mode=oci-1-1 needs COSIGN_EXPERIMENTAL=1, as in cosign", {
        remedy: "leave it out: bundles are attached as referrers",
      });
    if (isBundle)
      throw usage("--registry-referrers-mode=oci-1-1 is for signatures that are no bundles", {
        remedy: "leave it out, or add --new-bundle-format=false",
      });
    return "oci-1-1";
  }
  return isBundle ? "bundle" : "legacy";
}
