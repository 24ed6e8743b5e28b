/**
 * A whole Sigstore in one process, on loopback: identity provider, Fulcio with its certificate transparency log, Rekor v1 and v2,
 * timestamp authority, TUF repository, and an OCI registry for what is signed. Everything really signs; nothing outside trusts any of
 * it.
 *
 * @module
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { parsePublicKey } from "../crypto/public-key.ts";
import { encodeUtf8 } from "../encoding/utf8.ts";
import { InputError, StorageError } from "../errors.ts";
import { MAX_SANDBOX_RECORDS } from "../limits.ts";
import { serializeSigningConfig, type SigningConfig } from "../trust/signing-config.ts";
import { serializeTrustedRoot, type TrustedRoot } from "../trust/trusted-root.ts";
import { makeFolder } from "../tuf/make-folder.ts";
import { announce, pathsIn, withdraw, type SandboxPaths, type SandboxUrls } from "./client-files.ts";
import { createCtLog, CT_LOG_FORGERIES, type CertificateLog, type CtLog } from "./ctlog/ct-log.ts";
import { Faults, type ActiveFault, type Fault, type Forgeries, type SandboxServiceName } from "./faults.ts";
import { createFulcio, FULCIO_FORGERIES, type Fulcio } from "./fulcio/fulcio.ts";
import { currentForgery, openPort, type Destination, type OpenPort, type SandboxRequest } from "./listener.ts";
import { Observations } from "./observations.ts";
import type { Claim, IdentityKind } from "./oidc/claims.ts";
import { createOidcIssuer, OIDC_FORGERIES, type OidcIssuer } from "./oidc/issuer.ts";
import { createPage } from "./page.ts";
import { createRegistry, REGISTRY_FORGERIES, type RegistryOptions } from "./registry/registry.ts";
import { createRekorV1, REKOR_V1_FORGERIES, type RekorV1 } from "./rekor1/rekor-v1.ts";
import { createRekorV2, REKOR_V2_FORGERIES, type RekorV2 } from "./rekor2/rekor-v2.ts";
import type { SandboxService, ServiceContext } from "./service.ts";
import { Shards } from "./shards.ts";
import { createFolderStore, storeFile } from "./store-on-disk.ts";
import { createMemoryStore, type SandboxStore } from "./store.ts";
import {
  createTimestampAuthority,
  TIMESTAMP_AUTHORITY_FORGERIES,
  type TimestampAuthority,
} from "./timestamp-authority/timestamp-authority.ts";
import { signingConfigOf, trustedRootOf, type OfferedService } from "./trust-files.ts";
import { createTufRepository, TUF_FORGERIES, type TufRepository } from "./tuf-repository.ts";

/** Says how a sandbox is to be. */
export interface SandboxOptions {
  /** Where it keeps everything, to go on from there the next time. Absent: in memory, and what clients need in a temporary folder. */
  readonly directory?: string | undefined;
  /** The first of its ports; those after it follow. Absent or 0: the ones of the last time in its folder, or free ones. */
  readonly port?: number | undefined;
  /** Ends it. */
  readonly signal?: AbortSignal | undefined;
  /** Default: the real time. */
  readonly clock?: (() => Date) | undefined;
  /** What goes wrong from the beginning. */
  readonly faults?: readonly ActiveFault[] | undefined;
  /** How many witnesses cosign the checkpoints of Rekor v2. Default 0. */
  readonly witnesses?: number | undefined;
  /** How its registry is. */
  readonly registry?: RegistryOptions | undefined;
  /** Is told of each request when it is over. */
  readonly onRequest?: ((request: SandboxRequest) => void) | undefined;
  /** Is told of mistakes in the sandbox itself, which a client sees as status 500. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

/** Names what gets a new key. */
export type Rotation = "oidc" | "fulcio" | "ctlog" | "rekor2" | "rekor1" | "tsa" | "tuf-root";

/** Is a sandbox that answers. */
export interface Sandbox {
  readonly urls: SandboxUrls;
  readonly paths: SandboxPaths;
  /** What to trust now; another object after a rotation. */
  readonly trustedRoot: TrustedRoot;
  /** Whom to ask now, with Rekor v2. */
  readonly signingConfig: SigningConfig;
  /** Whom to ask now, with Rekor v1. */
  readonly signingConfigRekor1: SigningConfig;
  /** The verifier keys of the witnesses of Rekor v2. */
  readonly witnessKeys: readonly string[];
  /** The faults in force. */
  readonly faults: readonly ActiveFault[];
  /** What was asked, the oldest first, as far back as is remembered. */
  readonly requests: readonly SandboxRequest[];
  /**
   * Makes an identity token.
   *
   * @param claims - What is to stand in it besides, or instead of, the claims of its kind.
   */
  token(kind?: IdentityKind, claims?: Readonly<Record<string, Claim>>): Promise<string>;
  /** Lets a part have a new key from now on. What was signed before stays valid: trusted root and TUF repository tell of both. */
  rotate(what: Rotation): Promise<void>;
  /** Puts a fault in force. @throws {@link InputError} `USAGE_INVALID`. */
  setFault(service: SandboxServiceName, fault: Fault): void;
  /** Ends all faults, or those of one service. */
  clearFaults(service?: SandboxServiceName): void;
  /** Forgets {@link Sandbox.requests}. */
  clearRequests(): void;
  /** Ends it. What it keeps in a folder of its own stays. */
  close(): Promise<void>;
}

/** The ports, in their order. */
const PORTS = ["main", "fulcio", "ctlog", "rekor2", "rekor1", "tsa", "registry"] as const;
type PortName = (typeof PORTS)[number];

const FORGERIES: Forgeries = {
  oidc: OIDC_FORGERIES,
  tuf: TUF_FORGERIES,
  fulcio: FULCIO_FORGERIES,
  ctlog: CT_LOG_FORGERIES,
  rekor2: REKOR_V2_FORGERIES,
  rekor1: REKOR_V1_FORGERIES,
  tsa: TIMESTAMP_AUTHORITY_FORGERIES,
  registry: REGISTRY_FORGERIES,
};

/**
 * Starts a sandbox, and returns when everything in it answers.
 *
 * @throws {@link InputError} `ADDRESS_IN_USE`, `FOLDER_IN_USE`, `USAGE_INVALID`; {@link StorageError} `STORE_UNREADABLE`,
 * `WRITE_FAILED`; the reason of the signal.
 */
export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const { directory, port = 0, clock = () => new Date(), signal } = options;
  signal?.throwIfAborted();
  if (!Number.isInteger(port) || port < 0 || port > 65_535 - PORTS.length)
    throw new InputError("USAGE_INVALID", `invalid port ${port}`, {
      expected: `0, or 1 to ${65_535 - PORTS.length}: the ${PORTS.length - 1} after it are taken too`,
    });
  const faults = new Faults(FORGERIES);
  for (const fault of options.faults ?? []) faults.set(fault.service, fault);

  const ending: Ending[] = [];
  const close = once(async () => {
    for (const end of ending.splice(0).reverse()) await end();
  });
  try {
    const folder = openFolder(directory, ending);
    const ports = await openPorts(folder.store, port, ending);
    const { witnesses = 0, registry = {}, onRequest = () => undefined, onError = () => undefined } = options;
    const sandbox = await Assembly.open({
      clock,
      faults,
      folder,
      ports,
      witnesses,
      registry,
      onRequest,
      onError,
      close,
    });
    ending.push(() => withdraw(folder.paths));
    signal?.throwIfAborted();
    const end = (): void => void close();
    signal?.addEventListener("abort", end, { once: true });
    ending.push(() => signal?.removeEventListener("abort", end));
    return sandbox;
  } catch (error) {
    await close();
    throw error;
  }
}

/** Undoes a step of the start. */
type Ending = () => void | Promise<void>;

/** Lets work be done once, whoever asks for it. */
function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => (done ??= work());
}

interface Folder {
  readonly paths: SandboxPaths;
  readonly store: SandboxStore;
}

/** Opens what the sandbox keeps, and removes what it told clients the last time: that may be true no more. */
function openFolder(directory: string | undefined, ending: Ending[]): Folder {
  let root: string;
  let store: SandboxStore;
  if (directory === undefined) {
    root = mkdtempSync(join(tmpdir(), "cosign-ts-sandbox-"));
    ending.push(() => rmSync(root, { recursive: true, force: true }));
    store = createMemoryStore();
  } else {
    root = resolve(directory);
    try {
      makeFolder(root);
    } catch (cause) {
      const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
      const reason = code === "EEXIST" || code === "ENOTDIR" ? "a file is in its place" : code;
      throw new StorageError("WRITE_FAILED", `could not make the folder ${JSON.stringify(root)}: ${reason}`, { cause });
    }
    const opened = createFolderStore(join(root, "state"));
    ending.push(() => opened.close());
    store = opened;
  }
  const paths = pathsIn(root);
  withdraw(paths);
  return { paths, store };
}

const PORTS_FILE = "ports.json";

async function openPorts(
  store: SandboxStore,
  first: number,
  ending: Ending[],
): Promise<Readonly<Record<PortName, OpenPort>>> {
  const kept = store.read(PORTS_FILE);
  const before = kept === undefined ? [] : (JSON.parse(new TextDecoder().decode(kept)) as number[]);
  const opened: OpenPort[] = [];
  for (const index of PORTS.keys()) {
    const port = await (first === 0 ? reopenPort(before[index] ?? 0) : openPort(first + index));
    ending.push(() => port.close());
    opened.push(port);
  }
  store.write(PORTS_FILE, encodeUtf8(JSON.stringify(opened.map(({ port }) => port))));
  return Object.fromEntries(PORTS.map((name, index) => [name, opened[index]])) as Record<PortName, OpenPort>;
}

/** Opens the port of the last time, or another one where that was only a free one then and is taken now. */
async function reopenPort(port: number): Promise<OpenPort> {
  try {
    return await openPort(port);
  } catch (error) {
    if (port === 0 || !(error instanceof InputError)) throw error;
    return await openPort(0);
  }
}

interface AssemblyOptions {
  readonly clock: () => Date;
  readonly faults: Faults;
  readonly folder: Folder;
  readonly ports: Readonly<Record<PortName, OpenPort>>;
  readonly witnesses: number;
  readonly registry: RegistryOptions;
  readonly onRequest: (request: SandboxRequest) => void;
  readonly onError: (error: unknown) => void;
  readonly close: () => Promise<void>;
}

/** Is all services, wired together: the sandbox that answers. */
class Assembly implements Sandbox {
  readonly #options: AssemblyOptions;
  readonly requests: SandboxRequest[] = [];
  readonly #oidc: OidcIssuer;
  readonly #fulcio: Fulcio;
  readonly #ctlogs: Shards<CtLog>;
  readonly #rekor2: Shards<RekorV2>;
  readonly #rekor1: RekorV1;
  readonly #tsa: TimestampAuthority;
  readonly #tuf: TufRepository;
  readonly #registry: SandboxService;
  #trustedRoot: TrustedRoot;
  #signingConfig: SigningConfig;
  #signingConfigRekor1: SigningConfig;
  /** Rotations, one after the other. */
  #rotating: Promise<void> = Promise.resolve();

  static async open(options: AssemblyOptions): Promise<Assembly> {
    const { ports, faults, folder, clock } = options;
    const context = (name: SandboxServiceName, url: string): ServiceContext => ({
      url,
      now: () => new Date(clock().getTime() + faults.clockOffsetMs(name)),
      store: folder.store.under(name),
      forgery: () => currentForgery(name, faults),
    });
    const oidc = await createOidcIssuer(context("oidc", ports.main.url));
    const ctlogs = await Shards.open(context("ctlog", `${ports.ctlog.url}/ctfe`), createCtLog);
    const [fulcio, rekor2, rekor1, tsa] = await Promise.all([
      createFulcio(context("fulcio", ports.fulcio.url), { issuers: oidc.issuers, ctLog: currentOf(ctlogs) }),
      Shards.open(context("rekor2", ports.rekor2.url), async (one, number) =>
        createRekorV2(one, {
          origin: number === 1 ? "rekor2.sandbox.local" : `rekor2-${number}.sandbox.local`,
          witnesses: options.witnesses,
        }),
      ),
      createRekorV1(context("rekor1", ports.rekor1.url)),
      createTimestampAuthority(context("tsa", ports.tsa.url)),
    ]);
    // A rotation may have been interrupted between the next log's beginning and this one's end.
    for (const { log, period } of rekor2.all) if (period.end !== undefined) await log.freeze();
    const tuf = createTufRepository(context("tuf", `${ports.main.url}/tuf`));
    const registry = createRegistry(context("registry", ports.registry.url), options.registry);
    return new Assembly(options, { oidc, ctlogs, fulcio, rekor2, rekor1, tsa, tuf, registry });
  }

  private constructor(
    options: AssemblyOptions,
    services: {
      readonly oidc: OidcIssuer;
      readonly ctlogs: Shards<CtLog>;
      readonly fulcio: Fulcio;
      readonly rekor2: Shards<RekorV2>;
      readonly rekor1: RekorV1;
      readonly tsa: TimestampAuthority;
      readonly tuf: TufRepository;
      readonly registry: SandboxService;
    },
  ) {
    this.#options = options;
    this.#oidc = services.oidc;
    this.#fulcio = services.fulcio;
    this.#ctlogs = services.ctlogs;
    this.#rekor2 = services.rekor2;
    this.#rekor1 = services.rekor1;
    this.#tsa = services.tsa;
    this.#tuf = services.tuf;
    this.#registry = services.registry;
    this.#trustedRoot = this.#listTrust();
    [this.#signingConfig, this.#signingConfigRekor1] = [this.#offer(2), this.#offer(1)];
    this.#publish();
    this.#answer();
    announce(this.paths, this.urls);
  }

  get urls(): SandboxUrls {
    const { main, fulcio, rekor1, tsa, registry } = this.#options.ports;
    return {
      oidc: main.url,
      tuf: `${main.url}/tuf`,
      page: `${main.url}/sandbox`,
      fulcio: fulcio.url,
      ctlog: this.#ctlogs.current.url,
      rekor2: this.#rekor2.current.url,
      rekor1: rekor1.url,
      tsa: `${tsa.url}/api/v1/timestamp`,
      registry: registry.url,
    };
  }

  get paths(): SandboxPaths {
    return this.#options.folder.paths;
  }

  get trustedRoot(): TrustedRoot {
    return this.#trustedRoot;
  }

  get signingConfig(): SigningConfig {
    return this.#signingConfig;
  }

  get signingConfigRekor1(): SigningConfig {
    return this.#signingConfigRekor1;
  }

  get witnessKeys(): readonly string[] {
    return this.#rekor2.current.log.witnessKeys;
  }

  get faults(): readonly ActiveFault[] {
    return this.#options.faults.list();
  }

  token(kind: IdentityKind = "email", claims: Readonly<Record<string, Claim>> = {}): Promise<string> {
    return this.#oidc.mintToken(kind, claims);
  }

  rotate(what: Rotation): Promise<void> {
    const rotated = this.#rotating.then(() => this.#rotate(what));
    this.#rotating = rotated.catch(() => undefined);
    return rotated;
  }

  setFault(service: SandboxServiceName, fault: Fault): void {
    this.#options.faults.set(service, fault);
  }

  clearFaults(service?: SandboxServiceName): void {
    this.#options.faults.clear(service);
  }

  clearRequests(): void {
    this.requests.length = 0;
  }

  close(): Promise<void> {
    return this.#options.close();
  }

  async #rotate(what: Rotation): Promise<void> {
    switch (what) {
      case "oidc":
        await this.#oidc.rotateKeys();
        break;
      case "fulcio":
        await this.#fulcio.rotate();
        break;
      case "ctlog":
        await this.#ctlogs.begin();
        for (const { certificates } of this.#fulcio.authorities()) acceptRoot(this.#ctlogs, certificates.at(-1));
        break;
      case "rekor2": {
        const { log } = this.#rekor2.current;
        await this.#rekor2.begin();
        await log.freeze();
        break;
      }
      case "rekor1":
        await this.#rekor1.rotate();
        break;
      case "tsa":
        await this.#tsa.rotate();
        break;
      case "tuf-root":
        this.#tuf.rotateRoot();
        return;
    }
    this.#trustedRoot = this.#listTrust();
    [this.#signingConfig, this.#signingConfigRekor1] = [this.#offer(2), this.#offer(1)];
    this.#publish();
    announce(this.paths, this.urls);
  }

  #listTrust(): TrustedRoot {
    return trustedRootOf({
      tlogs: [...this.#rekor2.all.map(({ log }) => log.listing()), ...this.#rekor1.listings()],
      ctlogs: this.#ctlogs.all.map(({ log, period, url }) => ({
        baseUrl: url,
        publicKey: parsePublicKey(log.publicKey),
        keyDetails: "PKIX_ECDSA_P256_SHA_256",
        logId: log.logId,
        ...period,
      })),
      certificateAuthorities: this.#fulcio.authorities().map((authority) => ({ ...authority, uri: authority.url })),
      timestampAuthorities: this.#tsa.listings(),
    });
  }

  #offer(rekorVersion: 1 | 2): SigningConfig {
    const [authority] = this.#fulcio.authorities();
    const start = authority?.start ?? new Date(0);
    const service = (url: string): OfferedService => ({ url, start });
    const logs =
      rekorVersion === 1
        ? [service(this.urls.rekor1)]
        : this.#rekor2.all.map(({ url, period }) => ({ url, ...period })).reverse();
    const { fulcio, oidc, tsa } = this.urls;
    return signingConfigOf({ fulcio: service(fulcio), oidc: service(oidc), tsa: service(tsa), logs }, rekorVersion);
  }

  /** Writes what to trust and whom to ask, to the folder and to the TUF repository. */
  #publish(): void {
    const { paths } = this.#options.folder;
    const trustedRoot = pretty(serializeTrustedRoot(this.#trustedRoot));
    const signingConfig = pretty(serializeSigningConfig(this.#signingConfig));
    const signingConfigRekor1 = pretty(serializeSigningConfig(this.#signingConfigRekor1));
    this.#tuf.publish({
      "trusted_root.json": trustedRoot,
      "signing_config.v0.2.json": signingConfig,
      "signing_config_rekor_v2.v0.2.json": signingConfig,
    });
    storeFile(paths.trustedRoot, trustedRoot, 0o644);
    storeFile(paths.signingConfig, signingConfig, 0o644);
    storeFile(paths.signingConfigRekor1, signingConfigRekor1, 0o644);
    storeFile(paths.tufRoot, this.#tuf.initialRoot, 0o644);
  }

  #answer(): void {
    const { ports, faults, folder, clock, onRequest: tell, onError } = this.#options;
    const observations = new Observations(folder.store.under("page"), clock);
    const page = createPage({
      urls: () => this.urls,
      paths: folder.paths,
      faults,
      observations,
      requests: this.requests,
      now: clock,
      logs: () => [
        ...this.#rekor2.all.map(({ log, url }) => ({
          name: "rekor2" as const,
          url,
          origin: log.listing().origin,
          frozen: log.listing().end !== undefined,
          heads: log.treeHeads,
        })),
        ...this.#rekor1.listings().map(({ origin, end }, index, all) => ({
          name: "rekor1" as const,
          url: this.urls.rekor1,
          origin,
          frozen: end !== undefined,
          heads: index === all.length - 1 ? this.#rekor1.treeHeads : [],
        })),
      ],
    });
    const destination = (name: SandboxServiceName, service: SandboxService): Destination => ({
      name,
      service: observations.observe(name, service),
    });
    const oidc = destination("oidc", this.#oidc);
    const tuf = destination("tuf", this.#tuf);
    const routes: Readonly<Record<PortName, (path: string) => Destination>> = {
      main: (path) => (isBelow(path, "/tuf") ? tuf : isBelow(path, "/sandbox") ? { service: page } : oidc),
      fulcio: always(destination("fulcio", this.#fulcio)),
      ctlog: always(destination("ctlog", this.#ctlogs)),
      rekor2: always(destination("rekor2", this.#rekor2)),
      rekor1: always(destination("rekor1", this.#rekor1)),
      tsa: always(destination("tsa", this.#tsa)),
      registry: always(destination("registry", this.#registry)),
    };
    const onRequest = (request: SandboxRequest): void => {
      this.requests.push(request);
      if (this.requests.length > MAX_SANDBOX_RECORDS) this.requests.shift();
      tell(request);
    };
    for (const name of PORTS) ports[name].answer({ route: routes[name], faults, onRequest, onError });
  }
}

/** Sends what is issued to the log that takes entries now, and lets every log know every root. */
function currentOf(ctlogs: Shards<CtLog>): CertificateLog {
  return {
    acceptRoot: (root) => acceptRoot(ctlogs, root),
    addChain: (chain) => ctlogs.current.log.addChain(chain),
    addPreChain: (chain) => ctlogs.current.log.addPreChain(chain),
  };
}

function acceptRoot(ctlogs: Shards<CtLog>, root: Uint8Array | undefined): void {
  if (root !== undefined) for (const { log } of ctlogs.all) log.acceptRoot(root);
}

function always(destination: Destination): () => Destination {
  return () => destination;
}

function isBelow(path: string, prefix: string): boolean {
  return path === prefix || path.startsWith(`${prefix}/`);
}

function pretty(json: string): Uint8Array {
  return encodeUtf8(`${JSON.stringify(JSON.parse(json), undefined, 2)}\n`);
}
