/**
 * Images and what is attached to them, in a registry without a socket. Manifests, payloads and annotations are written here as cosign
 * 2 and 3 write them; nothing of the code under test makes any of it.
 *
 * @module
 */

import { createHash, X509Certificate } from "node:crypto";
import type { Fetch } from "../../src/http/request.ts";
import type { ImageVerifierOptions } from "../../src/oci/verification/verified-image.ts";
import type { RegistryForgery } from "../../src/sandbox/registry/registry.ts";
import { digestOf, open, putManifest, type World } from "../sandbox/registry/client.ts";
import type { Json } from "./json-edits.ts";
import { legacyOf } from "./legacy.ts";
import { utf8 } from "./logs.ts";
import { bundleFrom, rootOf, type BundleOptions, type Sandbox, type SandboxBundle } from "./sandbox/sandbox.ts";

export const HOST = "127.0.0.1:5000";
export const REPOSITORY = "app";
export const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
export const OCI_INDEX = "application/vnd.oci.image.index.v1+json";
export const BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json";
export const SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json";
export const DSSE = "application/vnd.dsse.envelope.v1+json";
export const COSIGN_SIGNATURES = "application/vnd.dev.cosign.artifact.sig.v1+json";
export const SIGN_PREDICATE = "https://sigstore.dev/cosign/sign/v1";

/** Is a descriptor, as tests change it. */
export interface TestDescriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly [key: string]: unknown;
}

export interface ImageWorld {
  readonly registry: World;
  readonly sandbox: Sandbox;
  /** As the registry client is given it. */
  readonly fetch: Fetch;
  /** `METHOD path` of every request. */
  readonly requests: string[];
  /** Answers instead of the registry, where it gives something. */
  intercept: ((request: Request) => Response | undefined) | undefined;
  /** Options of a verifier, to change one of. */
  options(changes?: Partial<ImageVerifierOptions>): ImageVerifierOptions;
  blob(content: string | Uint8Array, mediaType: string, repository?: string): Promise<TestDescriptor>;
  /** Puts a manifest, under a tag where one is given. */
  manifest(content: Json, tag?: string, repository?: string): Promise<TestDescriptor>;
  /** Puts an image that differs from any other by its label. */
  image(label: string, tag?: string): Promise<TestDescriptor>;
  index(manifests: readonly TestDescriptor[], tag?: string): Promise<TestDescriptor>;
  /** Attaches a bundle, as cosign 3 does. */
  attachBundle(subject: TestDescriptor, json: string, changes?: Json, repository?: string): Promise<TestDescriptor>;
  /** Puts layers under the tag beside an image, as cosign 2 does. */
  putLayers(
    subject: TestDescriptor,
    kind: "sig" | "att",
    layers: readonly TestDescriptor[],
    place?: { readonly prefix?: string; readonly repository?: string; readonly changes?: Json },
  ): Promise<TestDescriptor>;
  /** A signature as cosign 2 kept it. */
  legacySignature(payload: string, options?: BundleOptions, annotations?: Json): Promise<TestDescriptor>;
  /** An attestation as cosign 2 kept it. */
  legacyAttestation(statement: Json, options?: BundleOptions, annotations?: Json): Promise<TestDescriptor>;
}

export function openImages(sandbox: Sandbox, always: readonly RegistryForgery[] = []): ImageWorld {
  const registry = open({ always });
  const requests: string[] = [];
  const world: ImageWorld = {
    registry,
    sandbox,
    requests,
    intercept: undefined,
    fetch: async (address, init) => {
      const request = new Request(address, init);
      requests.push(`${request.method} ${new URL(address).pathname}`);
      return world.intercept?.(request) ?? (await registry.registry.fetch(request));
    },
    options: (changes = {}) => ({
      trust: rootOf(sandbox),
      registry: { fetch: world.fetch, environment: {}, retries: 0 },
      ...changes,
    }),
    blob: async (content, mediaType, repository = REPOSITORY) => {
      const body = typeof content === "string" ? utf8(content) : content;
      const digest = digestOf(body);
      const path = `/v2/${repository}/blobs/uploads/?digest=${digest}`;
      const { status, text } = await registry.ask(path, { method: "POST", body });
      if (status !== 201) throw new Error(`${status} ${text}`);
      return { mediaType, digest, size: body.length };
    },
    manifest: async (content, tag, repository = REPOSITORY) => {
      const { mediaType = OCI_MANIFEST } = content as { mediaType?: string };
      const body = JSON.stringify({ schemaVersion: 2, mediaType, ...content });
      const { status, text } = await putManifest(
        registry,
        tag === undefined ? repository : `${repository}@${tag}`,
        body,
      );
      if (status !== 201) throw new Error(`${status} ${text}`);
      return { mediaType, digest: digestOf(body), size: Buffer.byteLength(body) };
    },
    image: async (label, tag) =>
      await world.manifest(
        {
          config: await world.blob(`{"label":${JSON.stringify(label)}}`, "application/vnd.oci.image.config.v1+json"),
          layers: [],
        },
        tag,
      ),
    index: async (manifests, tag) => await world.manifest({ mediaType: OCI_INDEX, manifests }, tag),
    attachBundle: async (subject, json, changes = {}, repository = REPOSITORY) =>
      await world.manifest(
        {
          config: {
            ...(await world.blob("{}", "application/vnd.oci.empty.v1+json", repository)),
            artifactType: BUNDLE_TYPE,
          },
          layers: [await world.blob(json, BUNDLE_TYPE, repository)],
          annotations: { "dev.sigstore.bundle.content": "dsse-envelope" },
          subject,
          artifactType: BUNDLE_TYPE,
          ...changes,
        },
        undefined,
        repository,
      ),
    putLayers: async (subject, kind, layers, { prefix = "", repository = REPOSITORY, changes = {} } = {}) =>
      await world.manifest(
        {
          config: await world.blob("{}", "application/vnd.oci.image.config.v1+json", repository),
          layers,
          ...changes,
        },
        `${prefix}${subject.digest.replace(":", "-")}.${kind}`,
        repository,
      ),
    legacySignature: async (payload, options = {}, annotations = {}) => {
      const bundle = bundleFrom(sandbox, { ...options, artifact: utf8(payload) });
      return layerOf(await world.blob(payload, SIMPLE_SIGNING), sandbox, bundle, annotations);
    },
    legacyAttestation: async (statement, options = {}, annotations = {}) => {
      const bundle = bundleFrom(sandbox, { ...options, statement });
      const { signature } = legacyOf(bundle.json);
      return layerOf(await world.blob(signature, DSSE), sandbox, bundle, {
        "dev.cosignproject.cosign/signature": "",
        predicateType: statement["predicateType"],
        ...annotations,
      });
    },
  };
  return world;
}

/** The annotations of cosign 2: pkg/oci/static/options.go */
function layerOf(blob: TestDescriptor, sandbox: Sandbox, bundle: SandboxBundle, changes: Json): TestDescriptor {
  const { certificatePem, timestamp, bundle: old } = legacyOf(bundle.json);
  const { rekorBundle } = old;
  const chain = [sandbox.ca.intermediate.der, sandbox.ca.root.der].map((der) => new X509Certificate(der).toString());
  const annotations: Json = {
    "dev.cosignproject.cosign/signature": Buffer.from(bundle.signature).toString("base64"),
    ...(certificatePem !== undefined && {
      "dev.sigstore.cosign/certificate": certificatePem,
      "dev.sigstore.cosign/chain": chain.join(""),
    }),
    ...(rekorBundle !== undefined && { "dev.sigstore.cosign/bundle": JSON.stringify(rekorBundle) }),
    ...(timestamp !== undefined && { "dev.sigstore.cosign/rfc3161timestamp": JSON.stringify(timestamp) }),
    ...changes,
  };
  for (const name of Object.keys(annotations)) if (annotations[name] === undefined) delete annotations[name];
  return { ...blob, annotations };
}

/** A simple-signing payload, as cosign writes it: reference §2.1. */
export function payloadFor(digest: string, changes: { readonly type?: string; readonly optional?: Json } = {}): string {
  const { type = "cosign container image signature", optional = null } = changes;
  return JSON.stringify({
    critical: {
      identity: { "docker-reference": `${HOST}/${REPOSITORY}` },
      image: { "docker-manifest-digest": digest },
      type,
    },
    optional,
  });
}

/** A statement about a digest; of the type of a signature, unless another is asked for. */
export function statementFor(digest: string, changes: Json = {}, annotations: Json = {}): Json {
  const [algorithm = "", value = ""] = digest.split(":");
  return {
    _type: "https://in-toto.io/Statement/v1",
    subject: [{ digest: { [algorithm]: value }, annotations }],
    predicateType: SIGN_PREDICATE,
    predicate: {},
    ...changes,
  };
}

/** The digest of something that is nowhere. */
export const OTHER_DIGEST = `sha256:${createHash("sha256").update("another image").digest("hex")}`;
