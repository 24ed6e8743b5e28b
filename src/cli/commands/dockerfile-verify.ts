/**
 * `cosign-ts dockerfile verify`: the images that a Dockerfile builds from.
 *
 * @module
 */

import { tryDecodeUtf8 } from "../../encoding/utf8.ts";
import { FormatError, InputError } from "../../errors.ts";
import { MAX_DOCKERFILE_BYTES } from "../../limits.ts";
import { readFileOrStdin } from "../images/attaching.ts";
import { notice, type Command, type Context } from "../context.ts";
import { findDockerfileImages } from "../images/dockerfile.ts";
import { imageExitStatus } from "../exit-status.ts";
import { usage, type Flags } from "../flags.ts";
import { refuseImage } from "../images/image-verification.ts";
import { naming } from "../named-input.ts";
import { SIGNATURE_FLAGS, verifySignatures } from "./verify.ts";

/** Verifies that the images that a Dockerfile builds from are signed. */
export const dockerfileVerify: Command = {
  name: "dockerfile verify",
  summary:
    "Verify that the images that a Dockerfile builds from are signed: those of FROM, COPY --from and RUN --mount. Variables that neither the file nor --build-arg gives a value are read from the environment. Flags, output and exit status as of verify.",
  operands: "FILE | -",
  minOperands: 1,
  maxOperands: 1,
  environment: true,
  flags: [
    ...SIGNATURE_FLAGS.filter(({ name }) => name !== "local-image"),
    { name: "base-image-only", kind: "boolean", description: "only the image of the last FROM" },
    {
      name: "build-arg",
      kind: "strings",
      value: "NAME=VALUE",
      description: "an argument that the build is given, in place of the file's own value; may be repeated",
    },
  ],
  examples: ["cosign-ts dockerfile verify --key cosign.pub Dockerfile"],
  async run([file = ""], flags, context) {
    const variables = { buildArguments: readBuildArguments(flags, context), environment: context.environment };
    const text = tryDecodeUtf8(await readFileOrStdin(file, MAX_DOCKERFILE_BYTES, "Dockerfile", context));
    if (text === undefined) throw new FormatError("DOCKERFILE_MALFORMED", `${file} is no text`);
    const found = await naming(file, () => findDockerfileImages(text, variables));
    const chosen = flags.boolean("base-image-only") ? found.filter(({ isBase }) => isBase).slice(0, 1) : found;
    const images = [...new Set(chosen.map(({ image }) => image))];
    if (images.length === 0)
      throw new InputError("USAGE_INVALID", `${file} builds from no image, so there is nothing to verify`, {
        expected: "FROM with an image",
      });
    notice(context, `Extracted image(s): ${images.join(", ")}`);
    return await verifySignatures(images, flags, context);
  },
  exitStatus: imageExitStatus,
  refuse: (error, flags, context) => refuseImage(error, flags, context),
};

/** As `docker build` takes them: one without a value has that of the environment. */
function readBuildArguments(flags: Flags, { environment }: Context): Readonly<Record<string, string>> {
  const given = new Map<string, string>();
  for (const text of flags.strings("build-arg")) {
    const [, name, value] = /^([A-Za-z_][A-Za-z0-9_]*)(?:=([\s\S]*))?$/.exec(text) ?? [];
    if (name === undefined)
      throw usage(`invalid value ${JSON.stringify(text)} for ${flags.nameOf("build-arg")}`, { expected: "NAME=VALUE" });
    const known = value ?? environment[name];
    if (known !== undefined) given.set(name, known);
  }
  return Object.fromEntries(given);
}
