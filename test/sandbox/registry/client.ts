import { createHash } from "node:crypto";
import { createRegistry, type RegistryOptions } from "../../../src/sandbox/registry/registry.ts";
import type { SandboxService } from "../../../src/sandbox/service.ts";
import { createMemoryStore, type SandboxStore } from "../../../src/sandbox/store.ts";
import { utf8 } from "../../support/logs.ts";
import { testContext, type TestContext } from "../service-context.ts";

export const URL_OF_REGISTRY = "http://127.0.0.1:5000";
export const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
export const OCI_INDEX = "application/vnd.oci.image.index.v1+json";
export const OCI_CONFIG = "application/vnd.oci.image.config.v1+json";

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The code of the first error in the body. */
  readonly code: string | undefined;
}

export interface Question {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
}

/** A registry without a socket, and a client of it. */
export interface World {
  readonly registry: SandboxService;
  readonly context: TestContext;
  readonly ask: (path: string, question?: Question) => Promise<Answer>;
}

export function open(options: RegistryOptions = {}, store: SandboxStore = createMemoryStore()): World {
  const context = testContext(URL_OF_REGISTRY, store);
  const registry = createRegistry(context, options);
  return { registry, context, ask: (path, question) => askService(registry, path, question) };
}

async function askService(registry: SandboxService, path: string, question: Question = {}): Promise<Answer> {
  const { body, ...rest } = question;
  const init = { ...rest, ...(body !== undefined && { body: typeof body === "string" ? utf8(body) : body.slice() }) };
  return readAnswer(await registry.fetch(new Request(new URL(path, URL_OF_REGISTRY), init)));
}

export async function readAnswer(response: Response): Promise<Answer> {
  const text = Buffer.from(await response.arrayBuffer()).toString("latin1");
  let code: string | undefined;
  if (response.status >= 400 && text.startsWith("{"))
    code = (JSON.parse(text) as { errors?: readonly { code: string }[] }).errors?.[0]?.code;
  return { status: response.status, headers: response.headers, text, code };
}

export function digestOf(content: Uint8Array | string, algorithm: "sha256" | "sha512" = "sha256"): string {
  return `${algorithm}:${createHash(algorithm).update(content).digest("hex")}`;
}

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

export function describeContent(content: string, mediaType: string): Descriptor {
  return { mediaType, digest: digestOf(content), size: Buffer.byteLength(content) };
}

export async function pushBlob({ ask }: Pick<World, "ask">, repository: string, content: string): Promise<void> {
  const answer = await ask(`/v2/${repository}/blobs/uploads/?digest=${digestOf(content)}`, {
    method: "POST",
    body: content,
  });
  if (answer.status !== 201) throw new Error(`${answer.status} ${answer.text}`);
}

/** Writes a manifest; its blobs are `{}` and `layer`. */
export function manifestOf(members: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: describeContent("{}", OCI_CONFIG),
    layers: [describeContent("layer", "application/vnd.oci.image.layer.v1.tar")],
    ...members,
  });
}

export async function putManifest(
  { ask }: Pick<World, "ask">,
  path: string,
  manifest: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const [repository = "", reference = digestOf(manifest)] = path.split("@");
  const { mediaType = OCI_MANIFEST } = JSON.parse(manifest) as { mediaType?: string };
  return await ask(`/v2/${repository}/manifests/${reference}`, {
    method: "PUT",
    headers: { "content-type": mediaType, ...headers },
    body: manifest,
  });
}

/** Pushes an image with its blobs. @returns its digest. */
export async function pushImage(
  world: Pick<World, "ask">,
  repository: string,
  tag: string | undefined,
  members: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  for (const blob of ["{}", "layer"]) await pushBlob(world, repository, blob);
  const manifest = manifestOf(members);
  const answer = await putManifest(world, tag === undefined ? repository : `${repository}@${tag}`, manifest);
  if (answer.status !== 201) throw new Error(`${answer.status} ${answer.text}`);
  return digestOf(manifest);
}

/** Pushes what is attached to an image. */
export async function attach(
  world: Pick<World, "ask">,
  repository: string,
  subject: string,
  members: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  return await pushImage(world, repository, undefined, {
    subject: { mediaType: OCI_MANIFEST, digest: subject, size: 1 },
    ...members,
  });
}
