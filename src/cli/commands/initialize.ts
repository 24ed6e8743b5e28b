/**
 * `cosign-ts initialize`: trust in a TUF repository, begun or renewed.
 *
 * @module
 */

import { createHash } from "node:crypto";

import { InputError } from "../../errors.ts";
import { readInputFile } from "../../files/read-file.ts";
import { fetchBytes } from "../../http/request.ts";
import { MAX_TRUST_FILE_BYTES } from "../../limits.ts";
import { initializeTrust } from "../../tuf/load-trust.ts";
import { warn, type Command, type Context } from "../context.ts";
import { usage, type Flags } from "../flags.ts";

/** Proves the metadata of a TUF repository and makes it the default; what was trusted before stays until that has worked. */
export const initialize: Command = {
  name: "initialize",
  summary:
    "Begin or renew trust in a TUF repository, and make it the default. Without flags: the public-good instance.",
  operands: "",
  minOperands: 0,
  maxOperands: 0,
  environment: true,
  flags: [
    { name: "mirror", kind: "string", value: "URL", description: "the TUF repository: https://, http:// or file:///" },
    { name: "root", kind: "string", value: "FILE|URL", description: "its root.json, to begin trust with" },
    {
      name: "root-checksum",
      kind: "string",
      value: "[sha256:]HEX",
      description: "the checksum that the root must have; sha512: too",
    },
    { name: "staging", kind: "boolean", description: "the public staging instance" },
  ],
  examples: ["cosign-ts initialize", "cosign-ts initialize --mirror https://tuf.example.com --root root.json"],
  async run(_operands, flags, context) {
    const mirror = flags.string("mirror");
    const staging = flags.boolean("staging");
    if (staging && (mirror !== undefined || flags.has("root")))
      throw usage("--staging names a mirror and its root, so --mirror and --root cannot be given too", {
        remedy: "leave one of both out",
      });
    const root = await readRoot(flags, context);
    const { notices } = await initializeTrust({
      mirror,
      root,
      ...(staging ? { instance: "staging" as const } : {}),
      environment: context.environment,
      fetch: context.fetch,
      now: context.now(),
      signal: context.signal,
    });
    for (const text of notices) warn(context, text);
    return 0;
  },
};

async function readRoot(flags: Flags, context: Context): Promise<Uint8Array | undefined> {
  const reference = flags.string("root");
  const checksum = flags.string("root-checksum");
  if (reference === undefined) {
    if (checksum !== undefined)
      throw usage("--root-checksum needs --root", { remedy: "give the root that it is the checksum of" });
    return undefined;
  }
  const remote = /^https?:\/\//.test(reference);
  if (remote && checksum === undefined)
    warn(context, "fetching the root without --root-checksum: whoever answers for that address decides whom you trust");
  const root = remote
    ? await fetchBytes(reference, MAX_TRUST_FILE_BYTES, {
        fetch: context.fetch,
        timeoutMs: 30_000,
        signal: context.signal,
      })
    : await readInputFile(reference, MAX_TRUST_FILE_BYTES, "TUF root");
  if (checksum !== undefined) verifyChecksum(root, checksum);
  return root;
}

function verifyChecksum(root: Uint8Array, checksum: string): void {
  const [, algorithm = "sha256", expected] =
    /^(?:(sha256|sha512):)?([0-9a-f]{64}|[0-9a-f]{128})$/i.exec(checksum) ?? [];
  if (expected?.length !== (algorithm === "sha256" ? 64 : 128))
    throw usage(`invalid --root-checksum ${JSON.stringify(checksum)}`, { expected: "sha256:HEX or sha512:HEX" });
  const found = createHash(algorithm).update(root).digest("hex");
  if (found === expected.toLowerCase()) return;
  throw new InputError("USAGE_INVALID", "the root has another checksum", {
    expected: `${algorithm}:${expected}`,
    found: `${algorithm}:${found}`,
    remedy: "fetch the root again, and ask whoever gave you the checksum; do not use this root",
  });
}
