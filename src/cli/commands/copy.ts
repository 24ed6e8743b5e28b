/**
 * `cosign-ts copy`: images, with everything that belongs to them.
 *
 * @module
 */

import { printableJson } from "../../encoding/printable.ts";
import type { JsonObject } from "../../encoding/json.ts";
import type { AttachmentKind } from "../../oci/attached-content.ts";
import { copyImage, type CopyReport } from "../../oci/copy.ts";
import { RESULT_VERSION } from "../../report/json.ts";
import { notice, trace, type Command, type Context } from "../context.ts";
import { usage, type Flag, type Flags } from "../flags.ts";
import { openRegistry, REGISTRY_FLAGS } from "../images/registry-flags.ts";
import { printRefusal } from "../result.ts";

const KINDS: readonly AttachmentKind[] = ["sig", "att", "sbom", "referrers"];

/** Are the flags of the commands that put an image somewhere else. */
export const COPY_FLAGS: readonly Flag[] = [
  ...REGISTRY_FLAGS,
  {
    name: "only",
    kind: "strings",
    value: "KIND",
    choices: KINDS,
    description: `nothing but these, and not the image: ${KINDS.join(", ")}; a comma separates several`,
  },
  { name: "force", short: "f", kind: "boolean", description: "move a tag that names another image" },
  { name: "dry-run", kind: "boolean", description: "say what would be done, and do nothing" },
  {
    name: "output",
    short: "o",
    kind: "string",
    value: "FORMAT",
    choices: ["json"],
    description: "write what was done: json",
  },
];

/** Copies an image from one repository to another. */
export const copy: Command = {
  name: "copy",
  summary:
    "Copy an image with everything below it, the signatures, attestations and SBOMs beside it, and all that refers to it; then read back that it is there. The tag is moved last.",
  operands: "SOURCE DESTINATION",
  minOperands: 2,
  maxOperands: 2,
  environment: true,
  flags: [
    ...COPY_FLAGS,
    {
      name: "platform",
      kind: "string",
      value: "OS/ARCH",
      description: "copy the manifest of this platform of an index",
    },
    { name: "sig-only", kind: "boolean", description: "", deprecated: "use --only=sig" },
  ],
  examples: ["cosign-ts copy registry.example.com/app:v1 mirror.example.com/app:v1"],
  async run([source = "", destination = ""], flags, context) {
    const only = flags.boolean("sig-only") ? (["sig"] as const) : readOnly(flags);
    const report = await copyImage(source, destination, {
      ...(await openRegistry([source, destination], flags, context)),
      only,
      platform: flags.string("platform"),
      force: flags.boolean("force"),
      dryRun: flags.boolean("dry-run"),
      signal: context.signal,
      progress: ({ kind, digest, outcome }) => trace(context, `${kind} ${digest}: ${outcome}`),
    });
    printCopy(report, flags, context);
    return 0;
  },
  refuse: printRefusal,
};

/** Reads `--only`. @throws InputError `USAGE_INVALID`. */
export function readOnly(flags: Flags): readonly AttachmentKind[] | undefined {
  const words = flags.strings("only").flatMap((text) => text.split(","));
  if (words.length === 0) return undefined;
  return words.map((word) => {
    const kind = KINDS.find((one) => one === word);
    if (kind === undefined)
      throw usage(`invalid value ${JSON.stringify(word)} for ${flags.nameOf("only")}`, { expected: KINDS.join(", ") });
    return kind;
  });
}

/** Prints what was copied. */
export function printCopy(report: CopyReport, flags: Flags, context: Context): void {
  const counts = new Map<string, number>();
  for (const { outcome } of report.items) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  if (flags.string("output") === "json") {
    context.stdout.write(`${printableJson(copyToJson(report))}\n`);
    return;
  }
  if (flags.boolean("dry-run"))
    for (const { kind, digest, size, outcome } of report.items)
      context.stdout.write(`${outcome} ${kind} ${digest} ${size}\n`);
  const summary = [...counts].map(([outcome, count]) => `${count} ${outcome.replace("-", " ")}`).join(", ");
  notice(context, `${report.source} to ${report.pinned}: ${summary}`);
}

function copyToJson({ source, destination, pinned, digest, items }: CopyReport): JsonObject {
  return {
    version: RESULT_VERSION,
    verdict: "copied",
    source,
    destination,
    pinned,
    digest,
    items: items.map((item) => ({ ...item })),
  };
}
