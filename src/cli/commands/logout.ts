/**
 * `cosign-ts logout`: credentials for a registry, forgotten.
 *
 * @module
 */

import { printableJson } from "../../encoding/printable.ts";
import { logoutFromRegistry } from "../../oci/registry/login.ts";
import { parseRegistry } from "../../oci/reference.ts";
import { RESULT_VERSION } from "../../report/json.ts";
import { notice, type Command } from "../context.ts";
import { printRefusal } from "../result.ts";

/** Forgets the credentials of a registry, in docker's configuration and with the helper that it names. */
export const logout: Command = {
  name: "logout",
  summary:
    "Log out from a registry: its credentials are forgotten, in docker's configuration and by the helper that it names.",
  operands: "[SERVER]",
  minOperands: 0,
  maxOperands: 1,
  environment: false,
  flags: [{ name: "output", short: "o", kind: "string", value: "FORMAT", choices: ["json"], description: "json" }],
  examples: ["cosign-ts logout registry.example.com"],
  async run([server = "index.docker.io"], flags, context) {
    const registry = parseRegistry(server);
    const json = flags.choice("output", ["json"]) === "json";
    const place = await logoutFromRegistry(registry, { environment: context.environment });
    if (json)
      context.stdout.write(
        `${printableJson({
          version: RESULT_VERSION,
          verdict: "logged-out",
          registry,
          wasLoggedIn: place !== undefined,
          ...(place !== undefined && { path: place.path }),
          ...(place?.helper !== undefined && { helper: place.helper }),
        })}\n`,
      );
    else
      notice(
        context,
        place === undefined ? `Nobody was logged in to ${registry}` : `Logged out from ${registry}, in ${place.path}`,
      );
    return 0;
  },
  refuse: printRefusal,
};
