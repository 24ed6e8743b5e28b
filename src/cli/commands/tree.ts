/**
 * `cosign-ts tree`: what belongs to an image.
 *
 * @module
 */

import { printableJson, sanitize } from "../../encoding/printable.ts";
import { readTree, type AttachedArtifact, type ImageTree } from "../../oci/tree.ts";
import { refusalToJson, RESULT_VERSION } from "../../report/json.ts";
import type { JsonObject } from "../../encoding/json.ts";
import type { Command } from "../context.ts";
import { openRegistry, REGISTRY_FLAGS } from "../images/registry-flags.ts";
import { printRefusal } from "../result.ts";

const TITLES = {
  sig: "🔐 Signatures for an image tag",
  att: "💾 Attestations for an image tag",
  sbom: "📦 SBOMs for an image tag",
} as const;

/** Shows what is attached to an image. */
export const tree: Command = {
  name: "tree",
  summary:
    "Show the signatures, attestations, SBOMs and other artifacts that are attached to an image. Nothing is verified.",
  operands: "IMAGE",
  minOperands: 1,
  maxOperands: 1,
  environment: true,
  flags: [
    ...REGISTRY_FLAGS,
    {
      name: "platform",
      kind: "string",
      value: "OS/ARCH",
      description: "look at the manifest of this platform of an index",
    },
    {
      name: "output",
      short: "o",
      kind: "string",
      value: "FORMAT",
      choices: ["json"],
      description: "json, with sizes and types",
    },
    { name: "experimental-oci11", kind: "boolean", description: "", deprecated: "every place is looked at" },
    { name: "registry-referrers-mode", kind: "string", description: "", deprecated: "every place is looked at" },
  ],
  examples: ["cosign-ts tree registry.example.com/app:v1"],
  async run([image = ""], flags, context) {
    const json = flags.choice("output", ["json"]) === "json";
    const options = { ...(await openRegistry([image], flags, context)), platform: flags.string("platform") };
    const found = await readTree(image, options);
    context.stdout.write(json ? `${printableJson(treeToJson(found))}\n` : treeToText(found));
    return 0;
  },
  refuse: printRefusal,
};

function treeToText({ name, attached, unreadable }: ImageTree): string {
  if (attached.length + unreadable.length === 0)
    return `No Supply Chain Security Related Artifacts found for image ${sanitize(name)},\n start creating one with simply running $ cosign-ts sign <img>\n`;
  const lines = [`📦 Supply Chain Security Related artifacts for an image: ${name}`];
  for (const artifact of attached) {
    lines.push(`└── ${titleOf(artifact)}: ${artifact.location}`);
    for (const [index, { digest }] of artifact.layers.entries())
      lines.push(`   ${index === artifact.layers.length - 1 ? "└──" : "├──"} 🍒 ${digest}`);
  }
  for (const { location, error } of unreadable) lines.push(`└── ❌ cannot be read: ${location}: ${error.message}`);
  return `${lines.map(sanitize).join("\n")}\n`;
}

function titleOf({ kind, predicateType, artifactType }: AttachedArtifact): string {
  return kind === "referrers" ? `🔗 ${predicateType ?? artifactType} artifacts via OCI referrer` : TITLES[kind];
}

function treeToJson({ name, pinned, digest, attached, unreadable }: ImageTree): JsonObject {
  return {
    version: RESULT_VERSION,
    verdict: "listed",
    image: name,
    pinned,
    digest,
    attached: attached.map(({ kind, location, digest: manifest, subject, artifactType, predicateType, layers }) => ({
      kind,
      location,
      digest: manifest,
      subject,
      artifactType,
      ...(predicateType !== undefined && { predicateType }),
      layers: layers.map((layer) => ({ mediaType: layer.mediaType, digest: layer.digest, size: layer.size })),
    })),
    unreadable: unreadable.map(({ location, error }) => ({ location, error: refusalToJson(error)["error"] ?? null })),
  };
}
