/**
 * Docker's configuration file, where the credentials of registries are, or who keeps them.
 *
 * @module
 */

import { tryDecodeBase64 } from "../../encoding/base64.ts";
import { parseJson, type JsonObject } from "../../encoding/json.ts";
import { JsonReader, type JsonObjectReader } from "../../encoding/json-reader.ts";
import { tryDecodeUtf8 } from "../../encoding/utf8.ts";
import { FormatError, InputError, StorageError } from "../../errors.ts";
import { MAX_DOCKER_CONFIG_BYTES } from "../../limits.ts";
import { eraseFromHelper, getFromHelper, storeInHelper } from "./credential-helper.ts";
import type { CredentialSource, RegistryCredentials } from "./credentials.ts";
import { replaceFile } from "../../storage/replace-file.ts";

type Environment = Readonly<Record<string, string | undefined>>;

const DOCKER_HUB = "index.docker.io";
/** Under what Docker Hub stands in the file. @see docker/cli cli/config/credentials; docker registry.IndexServer */
const DOCKER_HUB_KEY = "https://index.docker.io/v1/";

/** Is a configuration file that was read. */
interface DockerConfig {
  readonly path: string;
  readonly json: JsonObject;
  readonly document: JsonObjectReader;
}

/**
 * Finds credentials as docker does: a helper for the registry, the entry for it, the helper for all of them. Without any of them the
 * client is a stranger.
 *
 * Looked at are `$DOCKER_CONFIG/config.json` or `~/.docker/config.json`, then `$REGISTRY_AUTH_FILE`, then podman's
 * `$XDG_RUNTIME_DIR/containers/auth.json`; the first that is there counts.
 *
 * @see go-containerregistry pkg/authn/keychain.go
 */
export function dockerCredentials(environment: Environment, signal?: AbortSignal): CredentialSource {
  let config: DockerConfig | undefined;
  let wasRead = false;
  return async (registry) => {
    if (!wasRead) {
      config = candidatePaths(environment)
        .map(readConfig)
        .find((found) => found !== undefined);
      wasRead = true;
    }
    if (config === undefined) return { kind: "anonymous" };
    return await findCredentials(config, registry, environment, signal);
  };
}

async function findCredentials(
  { document }: DockerConfig,
  registry: string,
  environment: Environment,
  signal: AbortSignal | undefined,
): Promise<RegistryCredentials> {
  const process = { environment, signal };
  const keys = keysOf(registry);
  const helpers = document.optional("credHelpers")?.object();
  for (const key of keys) {
    const helper = helpers?.optional(key)?.string();
    if (helper !== undefined && helper !== "") return (await getFromHelper(helper, key, process)) ?? ANONYMOUS;
  }
  const store = document.optional("credsStore")?.string() ?? "";
  const [key = registry] = keys;
  if (store !== "") {
    const found = await getFromHelper(store, key, process);
    if (found !== undefined) return found;
  }
  const auths = document.optional("auths")?.object();
  const others = (auths?.keys() ?? []).filter((name) => hostOf(name) === registry);
  for (const name of new Set([...keys, ...others])) {
    const entry = auths?.optional(name);
    const found = entry === undefined ? undefined : readEntry(entry);
    if (found !== undefined) return found;
  }
  return ANONYMOUS;
}

const ANONYMOUS: RegistryCredentials = { kind: "anonymous" };

/** @returns `undefined` for an entry without anything, as docker leaves one where a helper keeps the rest. */
function readEntry(reader: JsonReader): RegistryCredentials | undefined {
  const entry = reader.object();
  const text = (name: string): string => entry.optional(name)?.string() ?? "";
  if (text("registrytoken") !== "") return { kind: "registry-token", registryToken: text("registrytoken") };
  if (text("identitytoken") !== "") return { kind: "identity-token", identityToken: text("identitytoken") };
  if (text("username") !== "") return { kind: "basic", username: text("username"), password: text("password") };
  const auth = text("auth");
  if (auth === "") return undefined;
  const decoded = tryDecodeBase64(auth);
  const pair = decoded === undefined ? undefined : tryDecodeUtf8(decoded);
  const colon = pair?.indexOf(":") ?? -1;
  if (pair === undefined || colon < 1)
    throw new FormatError(
      "DOCKER_CONFIG_MALFORMED",
      `${reader.path}.auth is not base64 of a name, a colon and a password`,
    );
  return { kind: "basic", username: pair.slice(0, colon), password: pair.slice(colon + 1).replace(/\0+$/, "") };
}

/** Under which names a registry may stand in the file, the usual one first. */
function keysOf(registry: string): readonly string[] {
  if (registry === DOCKER_HUB) return [DOCKER_HUB_KEY, DOCKER_HUB, "docker.io", "registry-1.docker.io"];
  return [registry, `https://${registry}`, `http://${registry}`, `https://${registry}/v1/`, `https://${registry}/v2/`];
}

/** The host of a name with a scheme or a path; a path is not looked at, as docker does not. */
function hostOf(key: string): string {
  return key.replace(/^https?:\/\//, "").split("/")[0] ?? "";
}

function candidatePaths(environment: Environment): readonly string[] {
  const { join } = process.getBuiltinModule("node:path");
  const runtime = environment["XDG_RUNTIME_DIR"] ?? "";
  return [
    dockerConfigPath(environment),
    environment["REGISTRY_AUTH_FILE"] ?? "",
    runtime === "" ? "" : join(runtime, "containers", "auth.json"),
  ].filter((path) => path !== "");
}

function dockerConfigPath(environment: Environment): string {
  const { join } = process.getBuiltinModule("node:path");
  const folder = environment["DOCKER_CONFIG"] ?? "";
  if (folder !== "") return join(folder, "config.json");
  const home = environment["HOME"] ?? environment["USERPROFILE"] ?? "";
  return home === "" ? "" : join(home, ".docker", "config.json");
}

function readConfig(path: string): DockerConfig | undefined {
  const { readFileSync, statSync } = process.getBuiltinModule("node:fs");
  let bytes: Uint8Array;
  try {
    const stats = statSync(path);
    if (stats.isFIFO() || stats.isSocket())
      throw new InputError("FILE_UNREADABLE", `docker's configuration ${path} is no file`);
    if (stats.size > MAX_DOCKER_CONFIG_BYTES)
      throw new InputError("FILE_TOO_LARGE", `docker's configuration ${path} is too large`, {
        expected: `at most ${MAX_DOCKER_CONFIG_BYTES} bytes`,
      });
    bytes = readFileSync(path);
  } catch (error) {
    if (error instanceof InputError) throw error;
    const code = (error as NodeJS.ErrnoException).code ?? "";
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    // Not "nobody is logged in": then a private image would be said not to be there.
    throw new InputError("FILE_UNREADABLE", `docker's configuration ${path} cannot be read (${code})`);
  }
  if (bytes.length === 0) return undefined;
  try {
    const json = parseJson(bytes, { what: path, code: "DOCKER_CONFIG_MALFORMED", maxBytes: MAX_DOCKER_CONFIG_BYTES });
    const document = new JsonReader(json, path, "DOCKER_CONFIG_MALFORMED").object();
    return { path, json: json as JsonObject, document };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new FormatError(error.code, error.message); // without what stands there, which may be a password
  }
}

/** Says where credentials went, or from where they were taken. */
export interface CredentialPlace {
  /** The configuration file. */
  readonly path: string;
  /** The helper that keeps them; absent where they are in the file, readable by whoever can read it. */
  readonly helper?: string | undefined;
}

/**
 * Keeps credentials as docker does: with the helper that the configuration names for the registry, otherwise in the file.
 *
 * @param credentials - A name and a password.
 * @throws InputError `CREDENTIALS_UNAVAILABLE`, `FILE_UNREADABLE`; FormatError `DOCKER_CONFIG_MALFORMED`, and the file stays as it
 * was; StorageError `WRITE_FAILED`.
 */
export async function storeCredentials(
  registry: string,
  credentials: { readonly username: string; readonly password: string },
  environment: Environment,
): Promise<CredentialPlace> {
  const config = openForWriting(environment);
  const [key = registry] = keysOf(registry);
  const helper = helperFor(config, registry);
  const { username, password } = credentials;
  if (helper !== undefined) {
    await storeInHelper(helper, { server: key, username, secret: password }, { environment });
    return { path: config.path, helper };
  }
  const auth = Buffer.from(`${username}:${password}`).toString("base64");
  writeAuths(config, (auths) => ({ ...auths, [key]: { auth } }));
  return { path: config.path };
}

/**
 * Forgets the credentials of a registry, in the file and with the helper.
 *
 * @returns where they were; `undefined` where there were none.
 * @throws as {@link storeCredentials}.
 */
export async function eraseCredentials(
  registry: string,
  environment: Environment,
): Promise<CredentialPlace | undefined> {
  const config = openForWriting(environment);
  const helper = helperFor(config, registry);
  const [key = registry] = keysOf(registry);
  const erased = helper !== undefined && (await eraseFromHelper(helper, key, { environment }));
  const auths = (config.json["auths"] ?? {}) as JsonObject;
  const stale = Object.keys(auths).filter((name) => keysOf(registry).includes(name) || hostOf(name) === registry);
  if (stale.length > 0)
    writeAuths(config, (all) => Object.fromEntries(Object.entries(all).filter(([name]) => !stale.includes(name))));
  if (!erased && stale.length === 0) return undefined;
  return { path: config.path, ...(helper !== undefined && { helper }) };
}

function openForWriting(environment: Environment): DockerConfig {
  const path = dockerConfigPath(environment);
  if (path === "")
    throw new InputError("USAGE_INVALID", "there is no home folder to keep credentials in", {
      remedy: "set DOCKER_CONFIG to a folder, or HOME",
    });
  return readConfig(path) ?? { path, json: {}, document: new JsonReader({}, path, "DOCKER_CONFIG_MALFORMED").object() };
}

function helperFor({ document }: DockerConfig, registry: string): string | undefined {
  const helpers = document.optional("credHelpers")?.object();
  const own = keysOf(registry)
    .map((key) => helpers?.optional(key)?.string() ?? "")
    .find((name) => name !== "");
  const store = document.optional("credsStore")?.string() ?? "";
  return own ?? (store === "" ? undefined : store);
}

/** Whatever else is in the file stays, and so does the file if writing fails. */
function writeAuths({ path, json }: DockerConfig, change: (auths: JsonObject) => JsonObject): void {
  const { mkdirSync, realpathSync, statSync } = process.getBuiltinModule("node:fs");
  const { dirname } = process.getBuiltinModule("node:path");
  const text = `${JSON.stringify({ ...json, auths: change((json["auths"] ?? {}) as JsonObject) }, undefined, "\t")}\n`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    let target = path;
    let mode = 0o600;
    try {
      target = realpathSync(path); // the file behind a link is what is meant
      mode = statSync(target).mode & 0o777;
    } catch {
      // There is none yet.
    }
    replaceFile(target, text, mode);
  } catch (cause) {
    const { code = "" } = cause as NodeJS.ErrnoException;
    throw new StorageError("WRITE_FAILED", `docker's configuration ${path} cannot be written (${code})`, { cause });
  }
}
