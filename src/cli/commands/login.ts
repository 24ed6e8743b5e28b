/**
 * `cosign-ts login`: credentials for a registry, kept.
 *
 * @module
 */

import { printableJson } from "../../encoding/printable.ts";
import { tryDecodeUtf8 } from "../../encoding/utf8.ts";
import { loginToRegistry } from "../../oci/registry/login.ts";
import { parseRegistry } from "../../oci/reference.ts";
import { RegistryClient } from "../../oci/registry/registry-client.ts";
import { RESULT_VERSION } from "../../report/json.ts";
import { notice, warn, type Command, type Context } from "../context.ts";
import { usage, type Flags } from "../flags.ts";
import { readPassword } from "../password.ts";
import { openRegistry, REGISTRY_FLAGS } from "../images/registry-flags.ts";
import { printRefusal } from "../result.ts";

/** Flags that say who one is for every command but this one. */
const CREDENTIAL_FLAGS = new Set(["registry-username", "registry-password", "registry-token", "attachment-tag-prefix"]);

/** Tries credentials with a registry, and keeps them where docker does. */
export const login: Command = {
  name: "login",
  summary:
    "Log in to a registry: name and password are tried, and kept in docker's configuration or with the helper that it names.",
  operands: "[SERVER]",
  minOperands: 0,
  maxOperands: 1,
  environment: false, // COSIGN_PASSWORD is that of a key
  flags: [
    { name: "username", short: "u", kind: "string", value: "NAME", description: "the name" },
    { name: "password", short: "p", kind: "string", value: "TEXT", description: "the password; others may see it" },
    { name: "password-stdin", kind: "boolean", description: "read the password from standard input" },
    ...REGISTRY_FLAGS.filter(({ name }) => !CREDENTIAL_FLAGS.has(name)),
    { name: "output", short: "o", kind: "string", value: "FORMAT", choices: ["json"], description: "json" },
  ],
  examples: ["cosign-ts login registry.example.com --username alice --password-stdin < password.txt"],
  async run([server = "index.docker.io"], flags, context) {
    const registry = parseRegistry(server);
    const username = flags.string("username");
    if (username === undefined) throw usage("login needs --username", { remedy: "say who you are to the registry" });
    const json = flags.choice("output", ["json"]) === "json";
    const client = (await openRegistry([], flags, context)).registry;
    const options = client instanceof RegistryClient ? client.options : {};
    const password = await obtainPassword(flags, context);
    const { path, helper, wasAsked } = await loginToRegistry(registry, { username, password }, options);
    if (!wasAsked) warn(context, `${registry} asked nobody who they are: whether the password is right is not known`);
    if (helper === undefined)
      warn(context, `the password is kept in ${path}, where whoever can read the file reads it`);
    if (json) {
      const result = { version: RESULT_VERSION, verdict: "logged-in", registry, username, path, wasAsked };
      context.stdout.write(`${printableJson({ ...result, ...(helper !== undefined && { helper }) })}\n`);
    } else notice(context, `Logged in to ${registry}; kept ${helper === undefined ? `in ${path}` : `by ${helper}`}`);
    return 0;
  },
  refuse: printRefusal,
};

async function obtainPassword(flags: Flags, context: Context): Promise<string> {
  const given = flags.string("password");
  const fromInput = flags.boolean("password-stdin");
  if (given !== undefined && fromInput)
    throw usage("--password and --password-stdin exclude one another", { remedy: "leave --password out" });
  if (given !== undefined) {
    warn(
      context,
      "a password on the command line is seen by whoever lists processes, and stays in the shell's history",
    );
    return given;
  }
  if (!fromInput && context.terminal === undefined)
    throw usage("there is no terminal to ask for the password at", { remedy: "give it with --password-stdin" });
  // Where it is to come from standard input, that is so at a terminal too.
  const source = Object.create(context, {
    environment: { value: {} },
    ...(fromInput && { terminal: { value: undefined } }),
  }) as Context;
  const bytes = await readPassword(source, { prompt: "Password" });
  const text = tryDecodeUtf8(bytes)?.replace(/\r?\n$/, "");
  if (text === undefined || text === "") throw usage("password is empty, or no text", { remedy: "give the password" });
  return text;
}
