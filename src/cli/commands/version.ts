/**
 * `cosign-ts version`.
 *
 * @module
 */

import type { Command } from "../context.ts";
import { VERSION } from "../package-version.ts";

/** Prints the version of this package and of what it runs on. */
export const version: Command = {
  name: "version",
  summary: "Show the version.",
  operands: "",
  minOperands: 0,
  maxOperands: 0,
  environment: false,
  flags: [{ name: "json", kind: "boolean", description: "as JSON" }],
  run(_operands, flags, context) {
    const facts = {
      version: VERSION,
      runtime: `node ${process.versions.node}`,
      openssl: process.versions.openssl ?? "none",
      platform: `${process.platform}/${process.arch}`,
    };
    if (flags.boolean("json")) context.stdout.write(`${JSON.stringify(facts)}\n`);
    else
      context.stdout.write(
        `cosign-ts ${facts.version}\n${facts.runtime}, OpenSSL ${facts.openssl}, ${facts.platform}\n`,
      );
    return Promise.resolve(0);
  },
};
