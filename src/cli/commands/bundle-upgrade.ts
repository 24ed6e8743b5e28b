/**
 * `cosign-ts bundle upgrade`: an older bundle in the current version.
 *
 * @module
 */

import { serializeBundle, type Bundle } from "../../bundle/bundle.ts";
import { tryDecodeUtf8 } from "../../encoding/utf8.ts";
import { readInputFile } from "../../files/read-file.ts";
import { MAX_BUNDLE_BYTES } from "../../limits.ts";
import { upgradeBundle } from "../../sign/upgrade-bundle.ts";
import { parseBundleFile } from "../bundle-file.ts";
import { notice, type Command } from "../context.ts";
import { usage } from "../flags.ts";
import { naming } from "../named-input.ts";
import { writeOutput } from "../output-file.ts";
import { loadChosenTrust } from "../trust-choice.ts";

const REQUEST_TIMEOUT_MS = 60_000;

/** Brings a bundle to version 0.3, and asks the log for proofs of inclusion that it does not hold. */
export const bundleUpgrade: Command = {
  name: "bundle upgrade",
  summary:
    "Bring a bundle of version 0.1 or 0.2 to version 0.3: of a certificate chain the leaf is kept, and inclusion proofs that are missing are fetched from the log and verified.",
  operands: "BUNDLE",
  minOperands: 1,
  maxOperands: 1,
  environment: false,
  flags: [
    {
      name: "out",
      kind: "string",
      value: "FILE",
      description: "write to a file in place of standard output; if that fails, the file stays as it was",
    },
    {
      name: "rekor-url",
      kind: "string",
      value: "URL",
      description: "the log to ask for proofs; otherwise where the trusted root says that it is",
    },
    {
      name: "trusted-root",
      kind: "string",
      value: "FILE",
      description: "the trusted root whose logs sign proofs, in place of the one from TUF",
    },
    { name: "staging", kind: "boolean", description: "trust the public staging instance" },
    { name: "offline", kind: "boolean", description: "open no socket: only what needs no proof can be upgraded" },
  ],
  examples: [
    "cosign-ts bundle upgrade --out app.v0.3.sigstore.json app.sigstore.json",
    "cosign-ts bundle upgrade --trusted-root trusted_root.json app.sigstore.json > app.v0.3.sigstore.json",
  ],
  async run([path = ""], flags, context) {
    const bytes = await readInputFile(path, MAX_BUNDLE_BYTES, "bundle");
    const bundle = await naming(path, () => parse(bytes));
    const out = flags.string("out");
    if (bundle.version === "0.3") {
      notice(context, "Bundle is already at v0.3, no upgrade needed.");
      writeOutput(withNewline(tryDecodeUtf8(bytes) ?? serializeBundle(bundle), out), out, context);
      return 0;
    }
    notice(context, `Upgrading from v${bundle.version} to v0.3...`);
    const upgraded = await upgradeBundle(bundle, {
      rekorUrl: flags.string("rekor-url"),
      trustedRoot: async () => (await loadChosenTrust(flags, context)).trustedRoot,
      fetch: context.fetch,
      timeoutMs: REQUEST_TIMEOUT_MS,
      signal: context.signal,
    });
    for (const index of upgraded.fetchedProofs)
      notice(context, `Fetched the missing inclusion proof of log index ${index}, which the log signed`);
    if (upgraded.droppedCertificates > 0)
      notice(context, `Truncated the certificate chain: ${upgraded.droppedCertificates} certificates are left out`);
    writeOutput(withNewline(serializeBundle(upgraded.bundle), out), out, context);
    if (out !== undefined) notice(context, `Successfully upgraded bundle written to ${out}`);
    return 0;
  },
};

function parse(bytes: Uint8Array): Bundle {
  const file = parseBundleFile(bytes);
  if (file.kind === "bundle") return file.bundle;
  throw usage("this is a bundle of cosign's own, from before Sigstore bundles", {
    remedy: "make a bundle of it with cosign-ts bundle create --bundle",
  });
}

/** A line on standard output ends; a file holds the bundle alone, as cosign writes it. */
function withNewline(text: string, out: string | undefined): string {
  return out !== undefined || text.endsWith("\n") ? text : `${text}\n`;
}
