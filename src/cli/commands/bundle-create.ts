/**
 * `cosign-ts bundle create`: a bundle of what was signed before there were bundles.
 *
 * @module
 */

import { serializeBundle } from "../../bundle/bundle.ts";
import { parseSignatureFile, requireSameSigner, type ClaimedSigner, type SignatureParts } from "../../bundle/legacy.ts";
import { equalBytes } from "../../encoding/bytes.ts";
import { readInputFile } from "../../files/read-file.ts";
import { MAX_BUNDLE_BYTES } from "../../limits.ts";
import { createBundle } from "../../sign/create-bundle.ts";
import { openArtifact } from "../artifact-operand.ts";
import { parseBundleFile } from "../bundle-file.ts";
import { notice, warn, type Command, type Context } from "../context.ts";
import { usage, type Flags } from "../flags.ts";
import { naming } from "../named-input.ts";
import { writeOutput } from "../output-file.ts";
import { readPublicKey } from "../public-key-reference.ts";
import { readCertificateFile, readTimestampFile } from "../signed-material.ts";
import { loadChosenTrust } from "../trust-choice.ts";

const REQUEST_TIMEOUT_MS = 60_000;
const DEFAULT_REKOR_URL = "https://rekor.sigstore.dev";

/** Makes a bundle of a signature and what stands beside it, with the entry that the log has of it. */
export const bundleCreate: Command = {
  name: "bundle create",
  summary:
    "Make a bundle of a signature, a certificate or key, and a timestamp that were kept apart, or of cosign's old bundle. The log entry is looked up in Rekor v1 by what it holds.",
  operands: "",
  minOperands: 0,
  maxOperands: 0,
  environment: false,
  flags: [
    {
      name: "artifact",
      kind: "string",
      value: "FILE",
      description: "what was signed, or what the signed statement is about: a file, - or a URL; required",
    },
    { name: "bundle", kind: "string", value: "FILE", description: "cosign's old bundle" },
    { name: "signature", kind: "string", value: "FILE", description: "the signature, in base64" },
    {
      name: "attestation",
      kind: "string",
      value: "FILE",
      description: "the signed statement: a DSSE envelope as JSON",
    },
    {
      name: "certificate",
      kind: "string",
      value: "FILE",
      description: "the certificate of the signer: PEM, base64 of PEM, or DER",
    },
    {
      name: "key",
      kind: "string",
      value: "FILE",
      description: "the public key of the signer, where there is no certificate",
    },
    {
      name: "rfc3161-timestamp",
      kind: "string",
      value: "FILE",
      description: 'the timestamp: {"SignedRFC3161Timestamp": …}',
    },
    { name: "ignore-tlog", kind: "boolean", description: "make a bundle without a log entry (unsafe)" },
    {
      name: "rekor-url",
      kind: "string",
      value: "URL",
      default: DEFAULT_REKOR_URL,
      description: "the log of Rekor v1 that the signature is in",
    },
    {
      name: "trusted-root",
      kind: "string",
      value: "FILE",
      description: "the trusted root whose log signed the entry, in place of the one from TUF",
    },
    { name: "staging", kind: "boolean", description: "trust the public staging instance" },
    {
      name: "out",
      kind: "string",
      value: "FILE",
      description: "write to a file in place of standard output; if that fails, the file stays as it was",
    },
    {
      name: "sk",
      kind: "boolean",
      description: "",
      deprecated: "hardware tokens are not supported: give the public key with --key",
    },
    { name: "slot", kind: "string", description: "", deprecated: "hardware tokens are not supported" },
  ],
  examples: [
    "cosign-ts bundle create --artifact app --signature app.sig --certificate app.pem --out app.sigstore.json",
    "cosign-ts bundle create --artifact app --bundle app.bundle --out app.sigstore.json",
    "cosign-ts bundle create --artifact app --attestation app.att.json --key cosign.pub --out app.att.sigstore.json",
  ],
  async run(_operands, flags, context) {
    const artifactOperand = checkFlags(flags);
    const key = flags.string("key");
    const publicKey = key === undefined ? undefined : await readPublicKey(key, context);
    const parts = await readParts(flags, context);
    const ignoreTlog = flags.boolean("ignore-tlog");
    if (ignoreTlog) warn(context, "a bundle without a log entry is refused by most verifiers");
    const needsTrust = !ignoreTlog || (parts.rfc3161Timestamps?.length ?? 0) > 0;
    const trustedRoot = needsTrust ? (await loadChosenTrust(flags, context)).trustedRoot : undefined;
    const { artifact, end } = await openArtifact(artifactOperand, context);
    try {
      if (artifact === "unsafe-any") throw usage("--artifact is required");
      const bundle = await createBundle(parts, artifact, {
        publicKey,
        log:
          ignoreTlog || trustedRoot === undefined
            ? "unsafe-none"
            : { rekorUrl: flags.string("rekor-url") ?? DEFAULT_REKOR_URL, trustedRoot },
        trustedRoot,
        fetch: context.fetch,
        timeoutMs: REQUEST_TIMEOUT_MS,
        signal: context.signal,
      });
      end();
      const out = flags.string("out");
      const text = serializeBundle(bundle);
      writeOutput(out === undefined ? `${text}\n` : text, out, context);
      if (out !== undefined) notice(context, `Wrote bundle to file ${out}`);
      return 0;
    } finally {
      end();
    }
  },
};

/** @returns the artifact's operand. */
function checkFlags(flags: Flags): string {
  const artifact = flags.string("artifact");
  if (artifact === undefined) throw usage("must supply --artifact", { remedy: "name the file that was signed" });
  if (flags.boolean("sk")) {
    throw usage("hardware tokens (--sk) are not supported", {
      remedy: "export the public key with cosign public-key --sk, and give it with --key",
    });
  }
  const signatures = ["bundle", "signature", "attestation"].filter((name) => flags.has(name));
  if (signatures.length === 0) {
    throw usage("must at least supply signature via --bundle or --signature", {
      expected: "--bundle, --signature or --attestation",
      remedy: "name the file with the signature",
    });
  }
  for (const other of ["certificate", "signature"]) {
    if (!flags.has("bundle") || !flags.has(other)) continue;
    throw usage(`${flags.nameOf("bundle")} and ${flags.nameOf(other)} exclude one another`, {
      remedy: "leave one of both out: the old bundle holds both",
    });
  }
  if (flags.has("key") && flags.has("certificate")) {
    throw usage(`${flags.nameOf("key")} and ${flags.nameOf("certificate")} exclude one another`, {
      remedy: "give the certificate, where there is one",
    });
  }
  return artifact;
}

async function readParts(flags: Flags, context: Context): Promise<SignatureParts> {
  const legacy = flags.string("bundle");
  const attestation = flags.string("attestation");
  const certificate = flags.string("certificate");
  const timestamp = flags.string("rfc3161-timestamp");
  const held = legacy === undefined ? undefined : await readLegacy(legacy);
  const envelope =
    attestation === undefined ? undefined : await readInputFile(attestation, MAX_BUNDLE_BYTES, "attestation");
  const signer: ClaimedSigner | undefined =
    certificate === undefined
      ? held?.signer
      : { kind: "certificate", certificate: (await readCertificateFile(certificate, "certificate", context))[0] };
  if (held?.signer !== undefined && signer !== undefined) requireSameSigner(held.signer, signer);
  if (held !== undefined && envelope !== undefined && !equalBytes(held.signature, envelope))
    throw usage(`${flags.nameOf("attestation")} is not what ${flags.nameOf("bundle")} holds`, {
      remedy: "leave one of both out",
    });
  return {
    signature: envelope ?? held?.signature ?? (await readSignature(flags.string("signature") ?? "")),
    signer,
    tlogEntries: held?.tlogEntries ?? [],
    rfc3161Timestamps: timestamp === undefined ? [] : [await readTimestampFile(timestamp, context)],
  };
}

async function readLegacy(path: string): Promise<SignatureParts> {
  const bytes = await readInputFile(path, MAX_BUNDLE_BYTES, "bundle");
  const file = await naming(path, () => parseBundleFile(bytes));
  if (file.kind === "legacy") return file.parts;
  throw usage("--bundle is a Sigstore bundle already", {
    remedy: file.bundle.version === "0.3" ? "use it as it is" : "bring it to v0.3 with cosign-ts bundle upgrade",
  });
}

async function readSignature(path: string): Promise<Uint8Array> {
  const bytes = await readInputFile(path, MAX_BUNDLE_BYTES, "signature");
  return await naming(path, () => parseSignatureFile(bytes));
}
