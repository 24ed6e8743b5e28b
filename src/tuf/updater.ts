/**
 * The adapter around `tuf-js`. Everything that depends on its private parts is here: the clock, the cache in place of a folder
 * of files, the end of the root walk, and the meaning of its errors. `test/tuf/updater.test.ts` says when a new version breaks it.
 *
 * @module
 */

import { Readable } from "node:stream";

import type { TargetFile } from "@tufjs/models";
import { Updater } from "tuf-js";
import { DownloadHTTPError } from "tuf-js/dist/error.js";

import { ServiceError, SigstoreError, TrustError, type TrustErrorCode } from "../errors.ts";

/** Keeps metadata that the updater has verified. Names are role names, `root` for instance. */
export interface MetadataStore {
  load(role: string): Uint8Array | undefined;
  /** Keeps verified metadata. Must not throw: a cache that cannot be written is no failure of verification. */
  keep(role: string, bytes: Uint8Array): void;
}

/** Downloads at most so many bytes. Throws {@link ServiceError}. */
export type Download = (url: string, maxBytes: number) => Promise<Uint8Array>;

/** Is a TUF client over metadata that it has verified. */
export interface VerifiedRepository {
  /** When the given role ends. */
  expires(role: "root" | "timestamp" | "snapshot" | "targets"): Date | undefined;
  version(role: "root" | "timestamp" | "snapshot" | "targets"): number | undefined;
  /** Finds a target, following delegations in their order. */
  find(name: string): Promise<TargetFile | undefined>;
}

/** Is what we use of the private parts of `Updater`. */
interface UpdaterParts {
  trustedSet: TrustedSet;
  refresh(): Promise<void>;
  getTargetInfo(name: string): Promise<TargetFile | undefined>;
  loadRoot(): Promise<void>;
  loadTimestamp(options: { checkRemote: boolean }): Promise<void>;
  loadSnapshot(): Promise<void>;
  loadTargets(role: string, parent: string): Promise<unknown>;
}
interface TrustedSet {
  referenceTime: Date;
  getRole(name: string): { readonly signed: { readonly expires: string; readonly version: number } } | undefined;
}

// Overriding private methods is the point of this file; TypeScript rightly needs to be told so.
const OpenUpdater = Updater as unknown as new (options: ConstructorParameters<typeof Updater>[0]) => UpdaterParts;

/** Configures {@link openRepository}. */
export interface RepositoryOptions {
  /** Base URL of the metadata, without a slash at its end. */
  readonly metadataUrl: string;
  readonly store: MetadataStore;
  /** The time that expiry is compared with. */
  readonly now: Date;
  readonly download: Download;
  /** `remote` follows the client workflow; `local` takes what the store holds, signatures checked; its `download` must refuse. */
  readonly mode: "remote" | "local";
}

/**
 * Verifies the metadata of a repository, from the root that the store holds.
 *
 * @throws {@link TrustError}; {@link ServiceError} where the repository could not be reached.
 * @see TUF specification §5, "Detailed client workflow"
 */
export async function openRepository(options: RepositoryOptions): Promise<VerifiedRepository> {
  let failedDownload: SigstoreError | undefined;
  const download = async (url: string, maxBytes: number): Promise<Buffer> => {
    try {
      return Buffer.from(await options.download(url, maxBytes));
    } catch (error) {
      if (error instanceof ServiceError && (error.status === 403 || error.status === 404)) {
        if (isRootUrl(url)) throw new DownloadHTTPError(error.message, error.status); // ends the walk over root versions
      }
      if (error instanceof SigstoreError) failedDownload = error;
      throw error;
    }
  };
  const guarded = async <T>(body: () => Promise<T>): Promise<T> => {
    failedDownload = undefined;
    try {
      return await body();
    } catch (error) {
      throw failedDownload ?? asTrustError(error);
    }
  };

  // The constructor of Updater reads the root at once, so the class closes over the store instead of holding it.
  const { store } = options;
  class StoreUpdater extends OpenUpdater {
    loadLocalMetadata(role: string): Buffer {
      const bytes = store.load(role);
      if (bytes === undefined) throw missing(role, options.metadataUrl);
      return Buffer.from(bytes);
    }
    persistMetadata(role: string, bytes: Uint8Array): void {
      store.keep(role, bytes);
    }
  }

  return await guarded(async () => {
    const fetcher = { downloadBytes: download, downloadFile: () => Promise.reject(new Error("not used")) };
    const updater = new StoreUpdater({ metadataDir: "", metadataBaseUrl: options.metadataUrl, fetcher });
    updater.trustedSet.referenceTime = options.now;
    if (options.mode === "remote") {
      await updater.refresh();
    } else {
      await updater.loadRoot();
      await updater.loadTimestamp({ checkRemote: false });
      await updater.loadSnapshot();
      await updater.loadTargets("targets", "root");
    }
    return {
      expires: (role) => {
        const text = updater.trustedSet.getRole(role)?.signed.expires;
        return text === undefined ? undefined : new Date(text);
      },
      version: (role) => updater.trustedSet.getRole(role)?.signed.version,
      find: (name) => guarded(() => updater.getTargetInfo(name)),
    };
  });
}

/**
 * Checks the length and every hash of a target.
 *
 * @throws {@link TrustError} `TUF_TARGET_INVALID`.
 * @see TUF specification §5.7
 */
export async function verifyTarget(target: TargetFile, bytes: Uint8Array): Promise<void> {
  try {
    await target.verify(Readable.from([Buffer.from(bytes)]));
  } catch (cause) {
    throw new TrustError("TUF_TARGET_INVALID", `target ${JSON.stringify(target.path)} is not what the repository's metadata names`, {
      expected: `${target.length} bytes, ${Object.entries(target.hashes).map(([name, value]) => `${name}:${value}`).join(", ")}`,
      found: `${bytes.length} bytes`,
      cause,
    });
  }
}

function missing(role: string, mirror: string): TrustError {
  return new TrustError("TUF_ROOT_MISSING", `there is no ${role} metadata of ${mirror} yet`, {
    remedy: `run \`cosign-ts initialize --mirror ${mirror} --root FILE\` with the repository's root.json, or give a trusted root file`,
  });
}

function isRootUrl(url: string): boolean {
  return /\/\d+\.root\.json$/.test(url);
}

/** Finds the code for an error of `tuf-js`, which names some of its errors only in the text of another. */
function asTrustError(error: unknown): SigstoreError {
  if (error instanceof SigstoreError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const name = error instanceof Error ? error.constructor.name : "";
  const [code, remedy] = classify(name, message);
  return new TrustError(code, `TUF metadata is not acceptable: ${message}`, { remedy, cause: error });
}

function classify(name: string, message: string): readonly [TrustErrorCode, string] {
  if (name === "ExpiredMetadataError" || /expired/i.test(message)) {
    return ["TUF_METADATA_EXPIRED", "check the clock; if it is right, the repository or a mirror serves old metadata"];
  }
  if (name === "UnsignedMetadataError" || /signed by \d+|threshold/i.test(message)) {
    return ["TUF_THRESHOLD_NOT_MET", "check that the root is the one of this repository"];
  }
  if (name === "BadVersionError" || name === "EqualVersionError" || /version/i.test(message)) {
    return ["TUF_ROLLBACK", "the repository or a mirror serves older metadata than was seen before"];
  }
  return ["TUF_METADATA_INVALID", "check that the mirror's address is that of a TUF repository"];
}
