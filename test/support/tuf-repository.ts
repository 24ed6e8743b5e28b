import { createHash, generateKeyPairSync, sign, type KeyObject } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

import { ServiceError } from "../../src/errors.ts";
import type { Download } from "../../src/tuf/updater.ts";

/** When the repositories of tests are made and read, unless a test says otherwise. */
export const NOW = new Date("2026-06-01T12:00:00Z");
const DAY_MS = 86_400_000;

/** Counts days from a time. */
export function daysAfter(time: Date, days: number): Date {
  return new Date(time.getTime() + days * DAY_MS);
}

interface KeyJson {
  keytype: string;
  scheme: string;
  keyval: { public: string };
}
interface RoleJson {
  keyids: string[];
  threshold: number;
}
interface DelegatedRoleJson extends RoleJson {
  name: string;
  terminating: boolean;
  paths?: string[];
  path_hash_prefixes?: string[];
}
interface FileJson {
  version: number;
  length?: number;
  hashes?: Record<string, string>;
}
interface TargetJson {
  length: number;
  hashes: Record<string, string>;
}
interface Signed {
  _type: string;
  spec_version: string;
  version: number;
  expires: string;
}
interface RootJson extends Signed {
  consistent_snapshot: boolean;
  keys: Record<string, KeyJson>;
  roles: Record<string, RoleJson>;
}
interface MetaJson extends Signed {
  meta: Record<string, FileJson>;
}
interface TargetsJson extends Signed {
  targets: Record<string, TargetJson>;
  delegations?: {
    keys: Record<string, KeyJson>;
    roles?: DelegatedRoleJson[];
    succinct_roles?: RoleJson & { bit_length: number; name_prefix: string };
  };
}
interface MetadataJson {
  signed: Record<string, unknown>;
  signatures: { keyid: string; sig: string }[];
}

/** A key that signs metadata. */
export interface TestKey {
  id: string;
  readonly json: KeyJson;
  readonly sign: (bytes: Uint8Array) => string;
}

type KeyKind = "ed25519" | "ecdsa-sha2-nistp256" | "ecdsa-sha2-nistp384" | "rsassa-pss-sha256" | "rsa-pkcs1v15-sha256";

/** Makes a key. Its id is the hash of its canonical form, as the specification wants it. */
export function createKey(kind: KeyKind = "ed25519"): TestKey {
  const { publicKey, privateKey } = generate(kind);
  const keytype = kind.startsWith("rsa") ? "rsa" : kind.startsWith("ecdsa") ? "ecdsa" : "ed25519";
  const value =
    kind === "ed25519"
      ? Buffer.from(publicKey.export({ format: "jwk" }).x ?? "", "base64url").toString("hex")
      : publicKey.export({ type: "spki", format: "pem" });
  const json = { keytype, scheme: kind, keyval: { public: value } };
  const hash = kind === "ed25519" ? undefined : kind.endsWith("384") ? "sha384" : "sha256";
  const padding = kind === "rsassa-pss-sha256" ? { padding: 6, saltLength: 32 } : {};
  const id = createHash("sha256").update(canonicalize(json)).digest("hex");
  return { id, json, sign: (bytes) => sign(hash, bytes, { key: privateKey, ...padding }).toString("hex") };
}

function generate(kind: KeyKind): { publicKey: KeyObject; privateKey: KeyObject } {
  if (kind === "ed25519") return generateKeyPairSync("ed25519");
  if (kind.startsWith("rsa")) return generateKeyPairSync("rsa", { modulusLength: 2048 });
  return generateKeyPairSync("ec", { namedCurve: kind.endsWith("384") ? "P-384" : "P-256" });
}

/** Encodes as OLPC canonical JSON, over which metadata is signed. */
function canonicalize(value: unknown): string {
  if (typeof value === "string") return `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
  if (Array.isArray(value)) return `[${value.map((item) => canonicalize(item)).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  const sorted = members.toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `{${sorted.map(([name, member]) => `${canonicalize(name)}:${canonicalize(member)}`).join(",")}}`;
}

/**
 * A TUF repository that really signs. A test changes what its metadata says, then publishes it, or changes what is served.
 *
 * It begins with version 1 of each top-level role, one key a role, everything valid for 30 days, and no targets.
 */
export class TufRepository {
  readonly root: RootJson;
  readonly timestamp: MetaJson;
  readonly snapshot: MetaJson;
  /** Metadata of the top-level and of delegated targets roles. */
  readonly targets: Record<string, TargetsJson> = {};
  readonly signers: Record<string, TestKey[]> = {};
  /** What is served: file names below the mirror, as they stand in a URL. */
  readonly files = new Map<string, Uint8Array>();
  /** File names in the order in which they were asked for. */
  readonly requests: string[] = [];
  /** Whether `snapshot.json` and `timestamp.json` name length and hash of what they list. */
  withHashes = false;
  readonly #published = new Set<string>();

  constructor(now: Date = NOW) {
    const common = { spec_version: "1.0.31", version: 1, expires: formatTime(daysAfter(now, 30)) };
    this.root = { _type: "root", ...common, consistent_snapshot: true, keys: {}, roles: {} };
    this.timestamp = { _type: "timestamp", ...common, meta: {} };
    this.snapshot = { _type: "snapshot", ...common, meta: {} };
    this.targets["targets"] = { _type: "targets", ...common, targets: {} };
    for (const role of ["root", "timestamp", "snapshot", "targets"]) this.addKey(role);
    this.publish("targets", "snapshot", "timestamp", "root");
  }

  /** The file of a role that was published last. */
  latest(role: string): Uint8Array {
    const bytes = this.files.get(this.#fileName(role));
    if (bytes === undefined) throw new Error(`${role} was not published`);
    return bytes;
  }

  /** Lists a key for a top-level role, and signs with it. */
  addKey(role: string, key: TestKey = createKey()): TestKey {
    this.root.keys[key.id] = key.json;
    (this.root.roles[role] ??= { keyids: [], threshold: 1 }).keyids.push(key.id);
    (this.signers[role] ??= []).push(key);
    return key;
  }

  /** Replaces all keys of a top-level role by a new one. */
  rotateKeys(role: string): void {
    this.signers[role] = [];
    const entry = this.root.roles[role];
    if (entry !== undefined) entry.keyids = [];
    this.addKey(role);
  }

  /** Signs the roles with the next version, the first time with version 1, and serves them; lists them where they belong. */
  publish(...roles: readonly string[]): void {
    for (const role of roles) {
      const signed = this.signed(role);
      if (this.#published.has(role)) signed.version += 1;
      this.publishAsIs(role);
    }
  }

  /** As {@link publish}, with the version that the metadata has. */
  publishAsIs(role: string): void {
    this.#published.add(role);
    const bytes = this.sign(role, this.signed(role));
    this.files.set(this.#fileName(role), bytes);
    const hashes = { length: bytes.length, hashes: { sha256: createHash("sha256").update(bytes).digest("hex") } };
    const file = { version: this.signed(role).version, ...(this.withHashes ? hashes : {}) };
    if (role === "snapshot") this.timestamp.meta["snapshot.json"] = file;
    else if (role !== "root" && role !== "timestamp") this.snapshot.meta[`${role}.json`] = file;
  }

  /** Publishes what has to be after a change of targets. */
  publishTargets(...roles: readonly string[]): void {
    this.publish(...roles, "targets", "snapshot", "timestamp");
  }

  signed(role: string): Signed {
    const signed = role === "root" || role === "timestamp" || role === "snapshot" ? this[role] : this.targets[role];
    if (signed === undefined) throw new Error(`there is no role ${role}`);
    return signed;
  }

  /** Makes metadata of anything, with the signatures of a role. */
  sign(role: string, signed: object): Uint8Array {
    const bytes = Buffer.from(canonicalize(signed));
    const signatures = (this.signers[role] ?? []).map((key) => ({ keyid: key.id, sig: key.sign(bytes) }));
    return Buffer.from(JSON.stringify({ signed, signatures }, undefined, 1));
  }

  /** Changes a served file after it was signed. */
  tamper(name: string, change: (metadata: MetadataJson) => void): void {
    const metadata = JSON.parse(Buffer.from(this.files.get(name) ?? []).toString()) as MetadataJson;
    change(metadata);
    this.files.set(name, Buffer.from(JSON.stringify(metadata)));
  }

  /** Adds a target to a role, not yet published, and serves its content. */
  addTarget(path: string, content: string, role = "targets", algorithms: readonly string[] = ["sha256"]): void {
    const bytes = Buffer.from(content);
    const hashes = Object.fromEntries(algorithms.map((name) => [name, createHash(name).update(bytes).digest("hex")]));
    (this.targets[role] as TargetsJson).targets[path] = { length: bytes.length, hashes };
    for (const hash of Object.values(hashes)) this.files.set(this.targetFile(path, hash), bytes);
  }

  /** The name under which a target is served. */
  targetFile(path: string, hash: string): string {
    const segments = path.split("/");
    const last = segments.pop() ?? "";
    segments.push(this.root.consistent_snapshot ? `${hash}.${last}` : last);
    return ["targets", ...segments.map(encodeURIComponent)].join("/");
  }

  /** Delegates to a role, which is made if need be, after all others; not yet published. */
  delegate(from: string, to: string, options: Partial<DelegatedRoleJson> = {}): void {
    const delegator = this.targets[from] as TargetsJson;
    const { spec_version, expires } = delegator;
    this.targets[to] ??= { _type: "targets", spec_version, version: 1, expires, targets: {} };
    const keys = (this.signers[to] ??= [createKey()]);
    delegator.delegations ??= { keys: {}, roles: [] };
    for (const key of keys) delegator.delegations.keys[key.id] = key.json;
    const which = options.path_hash_prefixes === undefined ? { paths: ["*"] } : {};
    delegator.delegations.roles?.push({
      name: to,
      keyids: keys.map(({ id }) => id),
      threshold: 1,
      terminating: false,
      ...which,
      ...options,
    });
  }

  /** Reads from the repository without a network. */
  readonly download: Download = (url, maxBytes) => {
    const name = url.replace(/^https?:\/\/[^/]+\//, "");
    this.requests.push(name);
    const bytes = this.files.get(name);
    if (bytes === undefined)
      return Promise.reject(new ServiceError("HTTP_STATUS_UNEXPECTED", "status 404", { status: 404 }));
    if (bytes.length > maxBytes) return Promise.reject(new ServiceError("HTTP_RESPONSE_TOO_LARGE", "too large"));
    return Promise.resolve(bytes);
  };

  /** Serves the repository on loopback. */
  async serve(): Promise<{ readonly url: string; close(): Promise<void> }> {
    const server = createServer((request, response) => {
      const name = (request.url ?? "").slice(1);
      this.requests.push(name);
      const bytes = this.files.get(name);
      response.writeHead(bytes === undefined ? 404 : 200);
      response.end(bytes);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return {
      url,
      close: async () => {
        server.closeAllConnections();
        server.close();
        await once(server, "close");
      },
    };
  }

  #fileName(role: string): string {
    const { version } = this.signed(role);
    const name = `${encodeURIComponent(role)}.json`;
    return role === "root" || (role !== "timestamp" && this.root.consistent_snapshot) ? `${version}.${name}` : name;
  }
}

function formatTime(time: Date): string {
  return time.toISOString().replace(/\.\d+Z$/, "Z");
}
