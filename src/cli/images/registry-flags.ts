/**
 * The flags of every command that reaches a registry.
 *
 * @module
 */

import { readInputFile } from "../../files/read-file.ts";
import type { TlsOptions } from "../../http/tls.ts";
import { MAX_ATTACHMENT_BYTES, MAX_CERTIFICATE_FILE_BYTES } from "../../limits.ts";
import type { CredentialSource } from "../../oci/registry/credentials.ts";
import type { AttachmentOptions } from "../../oci/image-source.ts";
import { parseReference } from "../../oci/reference.ts";
import { RegistryClient } from "../../oci/registry/registry-client.ts";
import { tryDecodeUtf8 } from "../../encoding/utf8.ts";
import { warn, type Context } from "../context.ts";
import { usage, type Flag, type Flags } from "../flags.ts";
import { VERSION } from "../package-version.ts";

/** Are cosign's flags for registries, and one of ours. */
export const REGISTRY_FLAGS: readonly Flag[] = [
  { name: "allow-http-registry", kind: "boolean", description: "reach registries without TLS where they have none" },
  {
    name: "allow-insecure-registry",
    kind: "boolean",
    description: "take any certificate of a registry (unsafe)",
  },
  {
    name: "registry-username",
    kind: "string",
    value: "NAME",
    description: "who to be for the registry, in place of docker's configuration; needs --registry-password",
  },
  { name: "registry-password", kind: "string", value: "TEXT", description: "the password that goes with it" },
  { name: "registry-token", kind: "string", value: "TOKEN", description: "a bearer token for the registry" },
  {
    name: "registry-realm-host",
    kind: "strings",
    value: "HOST",
    description: "a token service on another host that may be sent a registry's credentials; may be repeated",
  },
  { name: "registry-cacert", kind: "string", value: "FILE", description: "authorities for certificates of registries" },
  {
    name: "registry-client-cert",
    kind: "string",
    value: "FILE",
    description: "the client's certificate for registries",
  },
  { name: "registry-client-key", kind: "string", value: "FILE", description: "the key of that certificate" },
  {
    name: "registry-server-name",
    kind: "string",
    value: "NAME",
    description: "the name that the certificate of a registry must have",
  },
  {
    name: "k8s-keychain",
    kind: "boolean",
    description: "",
    deprecated: "credentials come from docker's configuration",
  },
  {
    name: "attachment-tag-prefix",
    kind: "string",
    description: "",
    deprecated: "bundles are kept without tags",
  },
];

/**
 * Makes the client that the flags ask for, and finds where signatures are kept. Nothing is asked for yet.
 *
 * @param images - Every reference that the command will reach: a malformed one is told before anything is asked for.
 * @throws InputError `REFERENCE_MALFORMED`; `USAGE_INVALID`, `FILE_NOT_FOUND` and those of a file, `REFERENCE_MALFORMED` for `COSIGN_REPOSITORY`.
 */
export async function openRegistry(
  images: readonly string[],
  flags: Flags,
  context: Context,
): Promise<AttachmentOptions> {
  const { environment } = context;
  const repository = environment["COSIGN_REPOSITORY"] ?? "";
  const references = [...images, ...(repository === "" ? [] : [repository])].map(parseReference);
  refuseSharedCredentials(new Set(references.map(({ registry }) => registry)), flags);
  if (flags.boolean("k8s-keychain"))
    throw usage("--k8s-keychain is not supported: the keychains of clouds are those of their credential helpers", {
      remedy: "name the helper of the cloud in docker's configuration (credHelpers), or give --registry-token",
    });
  const insecureSkipTlsVerify = flags.boolean("allow-insecure-registry");
  if (insecureSkipTlsVerify)
    warn(
      context,
      "Taking any certificate of a registry lets whoever is on the way read credentials and hide signatures.",
    );
  const prefix = flags.string("attachment-tag-prefix");
  return {
    registry: new RegistryClient({
      allowHttp: flags.boolean("allow-http-registry"),
      insecureSkipTlsVerify,
      tls: await readTls(flags),
      credentials: readCredentials(flags),
      trustedRealmHosts: flags.strings("registry-realm-host"),
      fetch: context.fetch,
      signal: context.signal,
      environment,
      userAgent: `cosign-ts/${VERSION} (${process.platform}; ${process.arch})`,
    }),
    ...(repository !== "" && { signatureRepository: repository }),
    ...(prefix !== undefined && { attachmentTagPrefix: prefix }),
  };
}

/** What is for one registry is nothing that another should read. */
function refuseSharedCredentials(registries: ReadonlySet<string>, flags: Flags): void {
  const given = ["registry-username", "registry-token"].find((name) => flags.has(name));
  if (given === undefined || registries.size < 2) return;
  throw usage(`${flags.nameOf(given)} is for one registry, and this is about ${[...registries].join(", ")}`, {
    remedy: "log in to each with cosign-ts login, which keeps its credentials for it alone",
  });
}

/** The first that is given wins, as in cosign: name and password, then a token, then docker's configuration. */
function readCredentials(flags: Flags): CredentialSource | undefined {
  const username = flags.string("registry-username");
  const password = flags.string("registry-password");
  const token = flags.string("registry-token");
  if ((username === undefined) !== (password === undefined))
    throw usage("--registry-username and --registry-password belong together", { remedy: "give both, or neither" });
  if (username !== undefined && password !== undefined)
    return () => Promise.resolve({ kind: "basic", username, password });
  if (token !== undefined) return () => Promise.resolve({ kind: "registry-token", registryToken: token });
  return undefined;
}

async function readTls(flags: Flags): Promise<TlsOptions | undefined> {
  const read = async (name: string): Promise<string | undefined> => {
    const path = flags.string(name);
    if (path === undefined) return undefined;
    const text = tryDecodeUtf8(await readInputFile(path, MAX_CERTIFICATE_FILE_BYTES, name));
    if (text === undefined) throw usage(`${flags.nameOf(name)} ${path} is not PEM`);
    return text;
  };
  const tls = {
    caCertificates: await read("registry-cacert"),
    certificate: await read("registry-client-cert"),
    privateKey: await read("registry-client-key"),
    serverName: flags.string("registry-server-name"),
  };
  return Object.values(tls).every((value) => value === undefined) ? undefined : tls;
}

const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  kb: 1000,
  mb: 1000 ** 2,
  gb: 1000 ** 3,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
};

/**
 * Reads `COSIGN_MAX_ATTACHMENT_SIZE`: bytes, or a number with a unit.
 *
 * @throws InputError `USAGE_INVALID`, where cosign would go on with its default.
 */
export function readAttachmentLimit({ environment }: Context): number {
  const text = environment["COSIGN_MAX_ATTACHMENT_SIZE"] ?? "";
  if (text === "") return MAX_ATTACHMENT_BYTES;
  const [, number = "", unit = ""] = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(text) ?? [];
  const factor = Object.hasOwn(UNITS, unit.toLowerCase()) ? UNITS[unit.toLowerCase()] : undefined;
  const bytes = Math.floor(Number(number) * (factor ?? Number.NaN));
  if (number !== "" && Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  throw usage(`invalid value ${JSON.stringify(text)} for COSIGN_MAX_ATTACHMENT_SIZE in the environment`, {
    expected: "a size, for instance 64MiB",
  });
}
