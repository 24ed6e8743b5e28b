/**
 * `cosign-ts clean`: signatures and attestations of an image, removed.
 *
 * @module
 */

import type { JsonObject } from "../../encoding/json.ts";
import { printableJson, sanitize } from "../../encoding/printable.ts";
import { cleanImage, type CleanReport } from "../../oci/clean.ts";
import { refusalToJson, RESULT_VERSION } from "../../report/json.ts";
import { notice, type Command } from "../context.ts";
import { confirmContinue } from "../prompt.ts";
import { openRegistry, REGISTRY_FLAGS } from "../images/registry-flags.ts";
import { printRefusal } from "../result.ts";

const TYPES = ["signature", "attestation", "sbom", "referrer", "all"] as const;

/** Removes what is attached to an image. */
export const clean: Command = {
  name: "clean",
  summary:
    "Remove signatures, attestations and SBOMs of an image. The image stays, and so does what else is attached to it.",
  operands: "IMAGE",
  minOperands: 1,
  maxOperands: 1,
  environment: true,
  flags: [
    {
      name: "type",
      kind: "string",
      default: "all",
      choices: TYPES,
      description: `what to remove: ${TYPES.join(", ")}`,
    },
    { name: "force", short: "f", kind: "boolean", description: "ask nothing" },
    { name: "dry-run", kind: "boolean", description: "say what would be removed, and remove nothing" },
    ...REGISTRY_FLAGS,
    {
      name: "platform",
      kind: "string",
      value: "OS/ARCH",
      description: "clean the manifest of this platform of an index",
    },
    {
      name: "output",
      short: "o",
      kind: "string",
      value: "FORMAT",
      choices: ["json"],
      description: "write what was removed: json",
    },
  ],
  examples: ["cosign-ts clean --dry-run registry.example.com/app:v1"],
  async run([image = ""], flags, context) {
    const type = flags.choice("type", TYPES) ?? "all";
    const json = flags.choice("output", ["json"]) === "json";
    const dryRun = flags.boolean("dry-run");
    const report = await cleanImage(image, {
      ...(await openRegistry([image], flags, context)),
      type,
      dryRun,
      platform: flags.string("platform"),
      signal: context.signal,
      async confirm(items) {
        if (flags.boolean("force")) return true;
        for (const { location } of items) notice(context, `To be removed: ${location}`);
        await confirmContinue(context, "nothing was removed; to be asked nothing, pass --force");
        return true;
      },
    });
    const failed = report.items.flatMap((item) => (item.outcome === "failed" ? [item] : []));
    if (json) {
      context.stdout.write(`${printableJson(reportToJson(report))}\n`);
      return failed.length === 0 ? 0 : 1;
    }
    for (const { location, error } of report.unreadable)
      notice(context, `Left ${sanitize(location)}, which cannot be read: ${sanitize(error.message)}`);
    const { refusalToText } = await import("../../report/text.ts");
    for (const item of report.items) {
      const { location } = item.artifact;
      if (dryRun) context.stdout.write(`${location}\n`);
      else if (item.outcome === "failed") notice(context, `Error: removing ${location}: ${refusalToText(item.error)}`);
      else notice(context, item.outcome === "removed" ? `Removed ${location}` : `${location} was gone already`);
    }
    if (report.items.length === 0) notice(context, `Nothing of that type is attached to ${report.name}`);
    return failed.length === 0 ? 0 : 1;
  },
  refuse: printRefusal,
};

function reportToJson({ name, digest, items, unreadable }: CleanReport): JsonObject {
  return {
    version: RESULT_VERSION,
    verdict: "cleaned",
    image: name,
    digest,
    items: items.map((item) => ({
      outcome: item.outcome,
      kind: item.artifact.kind,
      location: item.artifact.location,
      digest: item.artifact.digest,
      artifactType: item.artifact.artifactType,
      ...(item.outcome === "failed" && { error: refusalToJson(item.error)["error"] ?? null }),
    })),
    unreadable: unreadable.map(({ location, error }) => ({ location, error: refusalToJson(error)["error"] ?? null })),
  };
}
