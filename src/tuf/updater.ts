/**
 * The client workflow of the TUF specification, over the set of verified metadata of `tuf-js`. What depends on its private parts is
 * here and in `metadata-checks.ts`; `test/tuf/updater.test.ts` says when a new version changes them.
 *
 * @module
 */

import { Readable } from "node:stream";

import type { Metadata, Root, TargetFile, Targets } from "@tufjs/models";
import { UnsignedMetadataError } from "@tufjs/models/dist/error.js";
import { BadVersionError, EqualVersionError, ExpiredMetadataError } from "tuf-js/dist/error.js";
import { TrustedMetadataStore } from "tuf-js/dist/store.js";

import { ServiceError, SigstoreError, TrustError } from "../errors.ts";
import {
  MAX_TUF_METADATA_BYTES,
  MAX_TUF_ROOT_BYTES,
  MAX_TUF_ROOT_ROTATIONS,
  MAX_TUF_TIMESTAMP_BYTES,
  MAX_TUF_VISITED_ROLES,
} from "../limits.ts";
import { delegationsFor } from "./delegations.ts";
import { rootMissing } from "./instances.ts";
import { checkMetadata } from "./metadata-checks.ts";

/** Keeps metadata that was verified. What it loads is verified again. */
export interface MetadataStore {
  /** Loads the root that trust begins with, or what was last kept of another role. */
  load(role: string): Uint8Array | undefined;
  /** Loads a version of the root that was kept before. */
  loadRootVersion(version: number): Uint8Array | undefined;
  /** Keeps verified metadata. Must not throw: a cache that cannot be written is no failure of verification. */
  keep(role: string, version: number, bytes: Uint8Array): void;
}

/** Downloads at most so many bytes. Throws {@link ServiceError}. */
export type Download = (url: string, maxBytes: number) => Promise<Uint8Array>;

/** Is a role whose metadata every repository has. */
export type TopLevelRole = "root" | "timestamp" | "snapshot" | "targets";

/** Is a repository whose top-level metadata was verified. */
export interface VerifiedRepository {
  /** Whether file names of targets begin with their hash. */
  readonly consistentSnapshot: boolean;
  /** When the first of its top-level metadata ends, or ended. */
  readonly expires: Date;
  version(role: TopLevelRole): number;
  /**
   * Finds a target, following delegations in their order.
   *
   * @throws {@link TrustError}; {@link ServiceError} where metadata of a delegated role could not be fetched.
   * @see TUF specification §5.6.7
   */
  find(name: string): Promise<TargetFile | undefined>;
}

/** Configures {@link openRepository}. */
export interface RepositoryOptions {
  /** Base URL of the metadata, without a slash at its end. */
  readonly metadataUrl: string;
  readonly store: MetadataStore;
  /** The time that expiry is compared with. */
  readonly now: Date;
  readonly download: Download;
  /** `remote` follows the client workflow. `local` opens what the store holds, signatures checked, and downloads delegated roles alone. */
  readonly mode: "remote" | "local";
}

/**
 * Verifies the metadata of a repository, beginning with the root that the store holds.
 *
 * @throws {@link TrustError}; {@link ServiceError} where the repository could not be reached.
 * @see TUF specification §5, "Detailed client workflow"
 */
export async function openRepository(options: RepositoryOptions): Promise<VerifiedRepository> {
  const repository = new Repository(options);
  await repository.updateRoot();
  await repository.updateTimestamp();
  await repository.updateSnapshot();
  await repository.updateTargets("targets", "root");
  return repository;
}

/**
 * Checks the length and every hash of a target.
 *
 * @throws {@link TrustError} `TUF_TARGET_INVALID`.
 * @see TUF specification §5.7.3
 */
export async function verifyTarget(target: TargetFile, bytes: Uint8Array): Promise<void> {
  const invalid = (problem: string, cause?: unknown): TrustError =>
    new TrustError("TUF_TARGET_INVALID", `target ${JSON.stringify(target.path)} ${problem}`, {
      expected: `${target.length} bytes, ${
        Object.entries(target.hashes)
          .map(([name, value]) => `${name}:${value}`)
          .join(", ") || "a hash"
      }`,
      found: `${bytes.length} bytes`,
      cause,
    });
  if (!["sha256", "sha384", "sha512"].some((name) => Object.hasOwn(target.hashes, name)))
    throw invalid("has no hash that would prove it");
  try {
    await target.verify(Readable.from([Buffer.from(bytes)]));
  } catch (cause) {
    throw invalid("is not what the repository's metadata names", cause);
  }
}

/** Is what we use of `TrustedMetadataStore` beside its public methods. */
interface PrivateParts {
  referenceTime: Date;
}

class Repository implements VerifiedRepository {
  readonly #options: RepositoryOptions;
  readonly #trusted: TrustedMetadataStore;
  /** What the store held at the beginning: what another process writes meanwhile would make older answers look like a rollback. */
  readonly #stored: Readonly<Record<string, Uint8Array | undefined>>;
  /** Roles whose metadata this run has verified, so that it is not looked for again. */
  readonly #targets = new Map<string, Metadata<Targets>>();

  /** §5.1 to §5.2: the time is fixed, and trust begins with the given root, whose expiry does not matter yet. */
  constructor(options: RepositoryOptions) {
    this.#options = options;
    const { store } = options;
    const bytes = store.load("root");
    if (bytes === undefined) throw rootMissing(options.metadataUrl);
    this.#stored = {
      timestamp: store.load("timestamp"),
      snapshot: store.load("snapshot"),
      targets: store.load("targets"),
    };
    this.#trusted = accept("root", bytes, (root) => new TrustedMetadataStore(root));
    (this.#trusted as unknown as PrivateParts).referenceTime = options.now;
  }

  get consistentSnapshot(): boolean {
    return this.#root.signed.consistentSnapshot;
  }

  get expires(): Date {
    const { root, timestamp, snapshot, targets } = this.#trusted;
    const ends = [root, timestamp, snapshot, targets].map((metadata) =>
      metadata === undefined ? Number.NaN : Date.parse(metadata.signed.expires),
    );
    return new Date(Math.min(...ends));
  }

  version(role: TopLevelRole): number {
    return this.#trusted[role]?.signed.version ?? 0;
  }

  get #root(): Metadata<Root> {
    return this.#trusted.root;
  }

  /** §5.3 */
  async updateRoot(): Promise<void> {
    const { store } = this.#options;
    const update = (bytes: Buffer): unknown => this.#trusted.updateRoot(bytes);
    for (let count = 0; count < MAX_TUF_ROOT_ROTATIONS; count += 1) {
      const version = this.version("root") + 1;
      const known = store.loadRootVersion(version);
      const problem = known === undefined ? undefined : tryAccept("root", known, update);
      if (known !== undefined && problem === undefined) continue;
      if (this.#options.mode === "local") {
        if (problem === undefined) break;
        throw problem;
      }
      const bytes = await this.#tryFetch(`${version}.root.json`, MAX_TUF_ROOT_BYTES);
      if (bytes === undefined) {
        if (problem === undefined) break;
        // Otherwise a damaged cache would let a repository go back to keys that were replaced.
        throw new TrustError(
          "TUF_ROLLBACK",
          `root version ${version} was seen before, but the repository no longer has it`,
          {
            remedy: "check the mirror; if it began anew, run `cosign-ts initialize` with its root.json",
            cause: problem,
          },
        );
      }
      accept("root", bytes, update);
      store.keep("root", version, bytes); // §5.3.8: before its expiry matters
    }
    if (this.#root.signed.isExpired(this.#options.now)) throw expired("root", this.#root.signed.expires); // §5.3.10
  }

  /** §5.4 */
  async updateTimestamp(): Promise<void> {
    const { store, now, mode } = this.#options;
    const update = (bytes: Buffer): unknown => this.#trusted.updateTimestamp(bytes);
    // §5.3.11: what the root's keys did not sign is as good as deleted, so that there is a way out of a fast-forward attack.
    const problem = this.#useStored("timestamp", update);
    if (mode === "local") {
      if (problem !== undefined) throw problem;
      return;
    }
    const bytes = await this.#fetch("timestamp.json", MAX_TUF_TIMESTAMP_BYTES);
    const refused = tryAccept("timestamp", bytes, update);
    if (refused === undefined) store.keep("timestamp", this.version("timestamp"), bytes);
    else if (!(refused.cause instanceof EqualVersionError)) throw refused; // §5.4.3.1: the same version is nothing new, and no error
    const { timestamp } = this.#trusted;
    if (timestamp?.signed.isExpired(now) !== false) throw expired("timestamp", timestamp?.signed.expires);
  }

  /** §5.5 */
  async updateSnapshot(): Promise<void> {
    const { store, mode } = this.#options;
    const problem = this.#useStored("snapshot", (bytes) => this.#trusted.updateSnapshot(bytes, true));
    if (problem === undefined) return;
    if (mode === "local") throw problem;
    const { version = 0, length } = this.#trusted.timestamp?.signed.snapshotMeta ?? {};
    const bytes = await this.#fetch(this.#fileName("snapshot", version), length ?? MAX_TUF_METADATA_BYTES);
    accept("snapshot", bytes, (content) => this.#trusted.updateSnapshot(content));
    store.keep("snapshot", version, bytes);
  }

  /** §5.6: for the top-level role and, while a target is looked for, for delegated ones. */
  async updateTargets(role: string, delegator: string): Promise<Metadata<Targets>> {
    const { store, mode } = this.#options;
    const verified = this.#targets.get(role);
    if (verified !== undefined) {
      const parent = this.#targets.get(delegator) ?? this.#root;
      guard(role, () => parent.verifyDelegate(role, verified)); // another delegator may name other keys
      return verified;
    }
    const files = this.#trusted.snapshot?.signed.meta ?? {};
    const file = Object.hasOwn(files, `${role}.json`) ? files[`${role}.json`] : undefined;
    if (file === undefined) throw invalid(`the snapshot does not list the role ${JSON.stringify(role)}`);
    const update = (bytes: Buffer): void => this.#trusted.updateDelegatedTargets(bytes, role, delegator);
    const problem = this.#useStored(role, update);
    if (problem !== undefined) {
      if (mode === "local" && role === "targets") throw problem;
      const bytes = await this.#fetch(this.#fileName(role, file.version), file.length ?? MAX_TUF_METADATA_BYTES);
      accept(role, bytes, update);
      store.keep(role, file.version, bytes);
    }
    const metadata = this.#trusted.getRole(role) as Metadata<Targets>;
    this.#targets.set(role, metadata);
    return metadata;
  }

  /** §5.6.7: depth first, in order of appearance. */
  async find(name: string): Promise<TargetFile | undefined> {
    const visited = new Set<string>();
    let ahead: { readonly role: string; readonly delegator: string }[] = [{ role: "targets", delegator: "root" }];
    for (let next = ahead.pop(); next !== undefined; next = ahead.pop()) {
      const { role, delegator } = next;
      if (visited.has(role)) continue; // §5.6.7.1
      if (visited.size === MAX_TUF_VISITED_ROLES) {
        throw new TrustError(
          "TUF_TARGET_NOT_FOUND",
          `target ${JSON.stringify(name)} was not found in ${visited.size} roles, and more are not searched`,
        );
      }
      visited.add(role);
      const { targets, delegations } = (await this.updateTargets(role, delegator)).signed;
      if (Object.hasOwn(targets, name)) return targets[name];
      const children = delegationsFor(delegations, name);
      const last = children.findIndex(({ terminating }) => terminating);
      if (last !== -1) ahead = []; // §5.6.7.2.1
      const followed = last === -1 ? children : children.slice(0, last + 1);
      ahead.push(...followed.map((child) => ({ role: child.role, delegator: role })).toReversed());
    }
    return undefined;
  }

  /** Takes what the store holds of a role, where that is still good; otherwise says why not. */
  #useStored(role: string, update: (bytes: Buffer) => unknown): TrustError | undefined {
    const bytes = Object.hasOwn(this.#stored, role) ? this.#stored[role] : this.#options.store.load(role);
    if (bytes !== undefined) return tryAccept(role, bytes, update);
    return new TrustError(
      "TUF_METADATA_MISSING",
      `the cache holds no ${JSON.stringify(role)} metadata of ${this.#options.metadataUrl}`,
      {
        remedy: "work online once, or give a trusted root file",
      },
    );
  }

  #fileName(role: string, version: number): string {
    const name = `${encodeURIComponent(role)}.json`;
    return this.consistentSnapshot ? `${version}.${name}` : name;
  }

  async #fetch(name: string, maxBytes: number): Promise<Uint8Array> {
    const { metadataUrl, download } = this.#options;
    try {
      return await download(`${metadataUrl}/${name}`, Math.min(maxBytes, MAX_TUF_METADATA_BYTES));
    } catch (error) {
      // The repository did answer, so no cache may stand in for it.
      if (error instanceof ServiceError && error.code === "HTTP_RESPONSE_TOO_LARGE")
        throw invalid(error.message, error);
      throw error;
    }
  }

  /** Fetches a file that need not be there. */
  async #tryFetch(name: string, maxBytes: number): Promise<Uint8Array | undefined> {
    try {
      return await this.#fetch(name, maxBytes);
    } catch (error) {
      if (error instanceof ServiceError && (error.status === 403 || error.status === 404)) return undefined;
      throw error;
    }
  }
}

function accept<T>(role: string, bytes: Uint8Array, update: (bytes: Buffer) => T): T {
  checkMetadata(role, bytes);
  return guard(role, () => update(Buffer.from(bytes)));
}

function tryAccept(role: string, bytes: Uint8Array, update: (bytes: Buffer) => unknown): TrustError | undefined {
  try {
    accept(role, bytes, update);
    return undefined;
  } catch (error) {
    if (error instanceof TrustError) return error;
    throw error;
  }
}

/** Runs a step of `tuf-js`: whatever it throws at metadata of the wrong shape, it is the metadata that is wrong. */
function guard<T>(role: string, step: () => T): T {
  try {
    return step();
  } catch (error) {
    if (error instanceof SigstoreError) throw error;
    const message = error instanceof Error ? error.message : String(error);
    const what = `${JSON.stringify(role)} metadata is not acceptable: ${message}`;
    if (error instanceof ExpiredMetadataError) throw expired(role, undefined, error);
    if (error instanceof UnsignedMetadataError) {
      throw new TrustError("TUF_THRESHOLD_NOT_MET", what, {
        remedy: "check that the root is the one of this repository",
        cause: error,
      });
    }
    // A version below what was seen is a rollback; any other that is not the announced one is a mix of two states.
    const [, wanted = 0, got = 0] = /Expected version (\d+), got (\d+)/.exec(message) ?? [];
    if (
      error instanceof BadVersionError
        ? /less than/.test(message) || Number(got) < Number(wanted)
        : message.startsWith("Missing file")
    ) {
      const remedy = "the repository or a mirror serves older metadata than was seen before";
      throw new TrustError("TUF_ROLLBACK", what, { remedy, cause: error });
    }
    throw invalid(what, error);
  }
}

function expired(role: string, expires: string | undefined, cause?: unknown): TrustError {
  return new TrustError("TUF_METADATA_EXPIRED", `${JSON.stringify(role)} metadata has expired`, {
    found: expires === undefined ? undefined : `expired ${expires}`,
    remedy: "check the clock; if it is right, the repository or a mirror serves old metadata",
    cause,
  });
}

function invalid(problem: string, cause?: unknown): TrustError {
  return new TrustError("TUF_METADATA_INVALID", problem, {
    remedy: "check that the mirror's address is that of a TUF repository",
    cause,
  });
}
