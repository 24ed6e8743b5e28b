/**
 * The TUF repository of the sandbox: consistent snapshots, thresholds, a key for each duty, and a new version for each change.
 *
 * @module
 */

import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, sign, type KeyObject } from "node:crypto";

import { encodeHex } from "../encoding/hex.ts";
import { encodeUtf8 } from "../encoding/utf8.ts";
import type { SandboxService, ServiceContext } from "./service.ts";
import type { SandboxStore } from "./store.ts";

/** Delivers files under metadata that a TUF client verifies. */
export interface TufRepository extends SandboxService {
  /** The first root, to begin trust with. */
  readonly initialRoot: Uint8Array;
  /** Replaces all files that are delivered. Without a change nothing gets a new version. */
  publish(targets: Readonly<Record<string, Uint8Array>>): void;
  /** Replaces a role that answers for some files, with a key of its own. Roles are asked in the order in which they were made. */
  delegate(role: string, delegation: Delegation): void;
  /** Makes new keys for the root. Its next version is signed with the old ones and the new. @returns that version. */
  rotateRoot(): number;
}

/** Says what a delegated role answers for, and delivers. */
export interface Delegation {
  /** Shell patterns of file names; `*` does not match a slash. */
  readonly paths: readonly string[];
  readonly targets: Readonly<Record<string, Uint8Array>>;
  /** Whether no later role is asked for these files. */
  readonly terminating?: boolean;
}

/** Lists the forgeries that {@link createTufRepository} knows. */
export const TUF_FORGERIES = ["expired", "rollback", "wrong-key", "wrong-target"] as const;

interface KeyJson {
  readonly keytype: "ecdsa" | "ed25519";
  readonly scheme: string;
  readonly keyval: { readonly public: string };
}
interface RoleJson {
  readonly keyids: readonly string[];
  readonly threshold: number;
}
interface Common {
  readonly spec_version: string;
  readonly version: number;
  readonly expires: string;
}
interface RootJson extends Common {
  readonly _type: "root";
  readonly consistent_snapshot: true;
  readonly keys: Readonly<Record<string, KeyJson>>;
  readonly roles: Readonly<Record<TopLevelRole, RoleJson>>;
}
interface MetaJson extends Common {
  readonly _type: "snapshot" | "timestamp";
  readonly meta: Readonly<Record<string, FileJson>>;
}
interface TargetsJson extends Common {
  readonly _type: "targets";
  readonly targets: Readonly<Record<string, TargetJson>>;
  readonly delegations?: {
    readonly keys: Readonly<Record<string, KeyJson>>;
    readonly roles: readonly DelegatedRoleJson[];
  };
}
interface DelegatedRoleJson extends RoleJson {
  readonly name: string;
  readonly terminating: boolean;
  readonly paths: readonly string[];
}
interface TargetJson {
  readonly length: number;
  readonly hashes: { readonly sha256: string };
}
interface FileJson extends TargetJson {
  readonly version: number;
}
type Signed = RootJson | MetaJson | TargetsJson;
type TopLevelRole = "root" | "targets" | "snapshot" | "timestamp";

const DAY_MS = 86_400_000;
/** How long metadata is valid, and as in public instances, who has to agree: offline keys of several people, one online key. */
const DUTIES = {
  root: { days: 365, keys: 3, threshold: 2, type: "ecdsa" },
  targets: { days: 365, keys: 3, threshold: 2, type: "ecdsa" },
  snapshot: { days: 30, keys: 1, threshold: 1, type: "ed25519" },
  timestamp: { days: 7, keys: 1, threshold: 1, type: "ed25519" },
} as const;

/**
 * Opens the repository that the store holds, or makes one. Metadata of which less than half of its life is left is signed anew when
 * it is asked for.
 *
 * @see {@link https://theupdateframework.github.io/specification/latest/ | TUF specification} §4, §6
 */
export function createTufRepository(context: ServiceContext): TufRepository {
  return new Repository(context);
}

class Repository implements TufRepository {
  readonly #context: ServiceContext;
  readonly #store: SandboxStore;
  readonly #keys = new Map<string, KeyObject>();
  readonly initialRoot: Uint8Array;
  #root: RootJson;
  #snapshot: MetaJson;
  #timestamp: MetaJson;
  readonly #targets = new Map<string, TargetsJson>();

  constructor(context: ServiceContext) {
    this.#context = context;
    this.#store = context.store;
    let root: RootJson | undefined;
    for (
      let next = this.#load("1.root.json");
      next?._type === "root";
      next = this.#load(`${root.version + 1}.root.json`)
    )
      root = next;
    this.#root = root ?? this.#newRoot();
    if (root === undefined) this.#keep("root", this.#root);
    this.initialRoot = this.#store.read("1.root.json") ?? new Uint8Array();
    // The timestamp is written last: it names the newest metadata that is whole.
    const timestamp = this.#load("timestamp.json");
    this.#timestamp =
      timestamp?._type === "timestamp"
        ? timestamp
        : { _type: "timestamp", ...this.#common(0, DUTIES.timestamp.days), meta: {} };
    const snapshot = this.#load(`${this.#timestamp.meta["snapshot.json"]?.version ?? 0}.snapshot.json`);
    this.#snapshot =
      snapshot?._type === "snapshot"
        ? snapshot
        : { _type: "snapshot", ...this.#common(0, DUTIES.snapshot.days), meta: {} };
    for (const [file, { version }] of Object.entries(this.#snapshot.meta)) {
      const role = file.replace(/\.json$/, "");
      const targets = this.#load(`${version}.${encodeURIComponent(role)}.json`);
      if (targets?._type === "targets") this.#targets.set(role, targets);
    }
    if (!this.#targets.has("targets")) {
      this.#targets.set("targets", { _type: "targets", ...this.#common(0, DUTIES.targets.days), targets: {} });
      this.#release(["targets"]);
    }
    this.#renew();
  }

  publish(targets: Readonly<Record<string, Uint8Array>>): void {
    const { targets: _before, ...rest } = this.#targetsOf("targets");
    this.#replaceTargets("targets", { ...rest, targets: this.#storeTargets(targets) });
  }

  delegate(role: string, { paths, targets, terminating = false }: Delegation): void {
    if (Object.hasOwn(DUTIES, role) || role === "")
      throw new TypeError(`${JSON.stringify(role)} cannot be delegated to`);
    const delegator = this.#targetsOf("targets");
    const { keys = {}, roles = [] } = delegator.delegations ?? {};
    const existing = roles.find(({ name }) => name === role);
    const [key] = existing === undefined ? [this.#newKey("ed25519")] : [];
    const keyids = existing?.keyids ?? (key === undefined ? [] : [key.id]);
    const entry = { name: role, keyids, threshold: 1, terminating, paths };
    this.#replaceTargets("targets", {
      ...delegator,
      delegations: {
        keys: key === undefined ? keys : { ...keys, [key.id]: key.json },
        roles: existing === undefined ? [...roles, entry] : roles.map((one) => (one === existing ? entry : one)),
      },
    });
    const before = this.#targets.get(role) ?? { _type: "targets" as const, ...this.#common(0, DUTIES.targets.days) };
    this.#replaceTargets(role, { ...before, targets: this.#storeTargets(targets) });
  }

  rotateRoot(): number {
    const outgoing = this.#root;
    const keys = Array.from({ length: DUTIES.root.keys }, () => this.#newKey(DUTIES.root.type));
    const kept = Object.entries(outgoing.keys).filter(([id]) => !outgoing.roles.root.keyids.includes(id));
    this.#root = {
      ...outgoing,
      ...this.#common(outgoing.version + 1, DUTIES.root.days),
      keys: Object.fromEntries([...kept, ...keys.map(({ id, json }) => [id, json] as const)]),
      roles: { ...outgoing.roles, root: { ...outgoing.roles.root, keyids: keys.map(({ id }) => id) } },
    };
    // §6.1: those who trust the old root, and those who will trust the new one, both find their threshold.
    this.#keep("root", this.#root, [...outgoing.roles.root.keyids, ...this.#root.roles.root.keyids]);
    return this.#root.version;
  }

  fetch(request: Request): Response {
    if (request.method !== "GET" && request.method !== "HEAD")
      return new Response("method not allowed\n", { status: 405, headers: { allow: "GET, HEAD" } });
    const written = new URL(request.url).pathname.slice(
      new URL(this.#context.url).pathname.replace(/\/$/, "").length + 1,
    );
    const path = written.startsWith("targets/") ? tryDecode(written) : written;
    if (!isServed(path)) return new Response("not found\n", { status: 404 });
    if (path === "timestamp.json" || path.endsWith(".root.json")) this.#renew();
    const bytes = this.#forge(path) ?? this.#store.read(path);
    if (bytes === undefined) return new Response("not found\n", { status: 404 });
    const type = path.endsWith(".json") ? "application/json" : "application/octet-stream";
    return new Response(new Uint8Array(bytes), { headers: { "content-type": type, "cache-control": "no-store" } });
  }

  /** Gives what is asked for as a hostile mirror would. */
  #forge(path: string): Uint8Array | undefined {
    const word = this.#context.forgery();
    if (word === "wrong-target" && path.startsWith("targets/")) {
      const bytes = this.#store.read(path);
      return bytes?.map((byte, index) => (index === 0 ? byte ^ 1 : byte));
    }
    if (path !== "timestamp.json") return undefined;
    if (word === "expired") {
      const expires = formatTime(new Date(this.#context.now().getTime() - DAY_MS));
      return this.#sign({ ...this.#timestamp, expires }, this.#root.roles.timestamp.keyids);
    }
    if (word === "rollback") {
      const version = Math.max(1, this.#timestamp.version - 1);
      return this.#sign({ ...this.#timestamp, version }, this.#root.roles.timestamp.keyids);
    }
    // Its id is the right one, so only the signature tells.
    if (word === "wrong-key")
      return this.#sign(
        this.#timestamp,
        this.#root.roles.timestamp.keyids,
        this.#keyOf(this.#root.roles.snapshot.keyids),
      );
    return undefined;
  }

  /** Signs anew what has passed the middle of its life. */
  #renew(): void {
    const ages = ({ expires }: Common, days: number): boolean =>
      Date.parse(expires) - this.#context.now().getTime() < (days * DAY_MS) / 2;
    if (ages(this.#root, DUTIES.root.days)) {
      this.#root = { ...this.#root, ...this.#common(this.#root.version + 1, DUTIES.root.days) };
      this.#keep("root", this.#root);
    }
    const aged = [...this.#targets].filter(([, targets]) => ages(targets, DUTIES.targets.days)).map(([role]) => role);
    if (aged.length > 0 || ages(this.#snapshot, DUTIES.snapshot.days)) this.#release(aged);
    else if (ages(this.#timestamp, DUTIES.timestamp.days)) this.#releaseTimestamp();
  }

  #replaceTargets(role: string, next: TargetsJson): void {
    const before = this.#targets.get(role);
    if (before !== undefined && canonicalize(before) === canonicalize(next)) return;
    this.#targets.set(role, next);
    this.#release([role]);
  }

  /** Gives roles their next version, and everything above them. */
  #release(roles: readonly string[]): void {
    const meta = { ...this.#snapshot.meta };
    for (const role of roles) {
      const targets = this.#targetsOf(role);
      const next = { ...targets, ...this.#common(targets.version + 1, DUTIES.targets.days) };
      this.#targets.set(role, next);
      meta[`${role}.json`] = this.#keep(role, next);
    }
    this.#snapshot = { ...this.#snapshot, ...this.#common(this.#snapshot.version + 1, DUTIES.snapshot.days), meta };
    this.#releaseTimestamp(this.#keep("snapshot", this.#snapshot));
  }

  #releaseTimestamp(snapshot?: FileJson): void {
    const meta = snapshot === undefined ? this.#timestamp.meta : { "snapshot.json": snapshot };
    this.#timestamp = { ...this.#timestamp, ...this.#common(this.#timestamp.version + 1, DUTIES.timestamp.days), meta };
    this.#keep("timestamp", this.#timestamp);
  }

  #storeTargets(targets: Readonly<Record<string, Uint8Array>>): Readonly<Record<string, TargetJson>> {
    return Object.fromEntries(
      Object.entries(targets).map(([name, bytes]) => {
        const described = describe(bytes);
        const segments = name.split("/");
        const file = segments.pop() ?? "";
        this.#store.write(["targets", ...segments, `${described.hashes.sha256}.${file}`].join("/"), bytes);
        return [name, described];
      }),
    );
  }

  #targetsOf(role: string): TargetsJson {
    const targets = this.#targets.get(role);
    if (targets === undefined) throw new TypeError(`there is no role ${role}`);
    return targets;
  }

  #common(version: number, days: number): Common {
    const expires = formatTime(new Date(this.#context.now().getTime() + days * DAY_MS));
    return { spec_version: "1.0.31", version, expires };
  }

  // ---- files and keys

  #load(name: string): Signed | undefined {
    const bytes = this.#store.read(name);
    return bytes && (JSON.parse(new TextDecoder().decode(bytes)) as { readonly signed: Signed }).signed;
  }

  /** Signs metadata and keeps it. */
  #keep(role: string, signed: Signed, keyids: readonly string[] = this.#keyidsOf(role)): FileJson {
    const bytes = this.#sign(signed, keyids);
    const file = `${encodeURIComponent(role)}.json`;
    this.#store.write(role === "timestamp" ? file : `${signed.version}.${file}`, bytes);
    return { version: signed.version, ...describe(bytes) };
  }

  #keyidsOf(role: string): readonly string[] {
    if (isTopLevel(role)) return this.#root.roles[role].keyids;
    return this.#targetsOf("targets").delegations?.roles.find(({ name }) => name === role)?.keyids ?? [];
  }

  #sign(signed: Signed, keyids: readonly string[], instead?: KeyObject): Uint8Array {
    const message = encodeUtf8(canonicalize(signed));
    const signatures = keyids.map((keyid) => {
      const key = instead ?? this.#keyOf([keyid]);
      return { keyid, sig: sign(key.asymmetricKeyType === "ed25519" ? null : "sha256", message, key).toString("hex") };
    });
    return encodeUtf8(`${JSON.stringify({ signatures, signed }, undefined, 1)}\n`);
  }

  #keyOf([keyid = ""]: readonly string[]): KeyObject {
    const known = this.#keys.get(keyid);
    if (known !== undefined) return known;
    const key = createPrivateKey(Buffer.from(this.#store.read(`keys/${keyid}`) ?? []));
    this.#keys.set(keyid, key);
    return key;
  }

  #newRoot(): RootJson {
    const keys: Record<string, KeyJson> = {};
    const makeRole = ({ keys: count, threshold, type }: (typeof DUTIES)[TopLevelRole]): RoleJson => {
      const made = Array.from({ length: count }, () => this.#newKey(type));
      for (const { id, json } of made) keys[id] = json;
      return { keyids: made.map(({ id }) => id), threshold };
    };
    const roles = {
      root: makeRole(DUTIES.root),
      targets: makeRole(DUTIES.targets),
      snapshot: makeRole(DUTIES.snapshot),
      timestamp: makeRole(DUTIES.timestamp),
    };
    return { _type: "root", ...this.#common(1, DUTIES.root.days), consistent_snapshot: true, keys, roles };
  }

  /** Makes a key, and keeps it before anything names it. */
  #newKey(type: KeyJson["keytype"]): { readonly id: string; readonly json: KeyJson } {
    const { privateKey } =
      type === "ed25519" ? generateKeyPairSync("ed25519") : generateKeyPairSync("ec", { namedCurve: "P-256" });
    const publicKey = createPublicKey(privateKey);
    const json: KeyJson =
      type === "ed25519"
        ? { keytype: type, scheme: "ed25519", keyval: { public: rawEd25519(publicKey) } }
        : {
            keytype: type,
            scheme: "ecdsa-sha2-nistp256",
            keyval: { public: publicKey.export({ type: "spki", format: "pem" }) },
          };
    const id = createHash("sha256").update(canonicalize(json)).digest("hex");
    this.#store.write(`keys/${id}`, encodeUtf8(privateKey.export({ type: "pkcs8", format: "pem" })));
    this.#keys.set(id, privateKey);
    return { id, json };
  }
}

function isTopLevel(role: string): role is TopLevelRole {
  return Object.hasOwn(DUTIES, role);
}

function tryDecode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return "";
  }
}

/** What the store holds besides is for nobody. */
function isServed(path: string): boolean {
  return /^(?:\d+\.[^/]+|timestamp)\.json$/.test(path) || path.startsWith("targets/");
}

function describe(bytes: Uint8Array): TargetJson {
  return { length: bytes.length, hashes: { sha256: createHash("sha256").update(bytes).digest("hex") } };
}

function rawEd25519(key: KeyObject): string {
  return encodeHex(new Uint8Array(key.export({ type: "spki", format: "der" })).subarray(-32));
}

function formatTime(time: Date): string {
  return time.toISOString().replace(/\.\d+Z$/, "Z");
}

/**
 * Encodes as OLPC canonical JSON: keys sorted, and of all characters only quote and backslash escaped.
 *
 * @see TUF specification §4.2.2
 */
function canonicalize(value: unknown): string {
  if (typeof value === "string") return `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
  if (Array.isArray(value)) return `[${value.map(canonicalize).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return `{${members
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => `${canonicalize(name)}:${canonicalize(member)}`)
    .join(",")}}`;
}
