import { beforeEach, describe, expect, test } from "vitest";
import { parseBundle } from "../../src/bundle/bundle.ts";
import { attachBundle } from "../../src/oci/bundle-referrer.ts";
import type { ContentDigest } from "../../src/oci/content-digest.ts";
import type { ContentStore } from "../../src/oci/content-store.ts";
import { openImage } from "../../src/oci/image-source.ts";
import type { Descriptor } from "../../src/oci/manifest.ts";
import { attachReferrer, type AttachedReferrer } from "../../src/oci/referrers.ts";
import type { RegistryForgery } from "../../src/sandbox/registry/registry.ts";
import { digestOf } from "../sandbox/registry/client.ts";
import {
  BUNDLE_TYPE,
  HOST,
  OCI_INDEX,
  OCI_MANIFEST,
  openImages,
  REPOSITORY,
  statementFor,
  type ImageWorld,
} from "../support/images.ts";
import { utf8 } from "../support/logs.ts";
import { refusal } from "../support/outcome.ts";
import { bundleFrom, makeSandbox } from "../support/sandbox/sandbox.ts";

const sandbox = makeSandbox();
const OPTIONS = { sleep: () => Promise.resolve(), random: () => 0 };
const NOW = new Date("2026-02-03T04:05:06.789Z");
/** Of the two bytes `{}`: image-spec, manifest.md. */
const EMPTY_DIGEST = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

interface Opened {
  readonly world: ImageWorld;
  readonly store: ContentStore;
  readonly subject: Descriptor;
}

async function openWorld(always: readonly RegistryForgery[] = []): Promise<Opened> {
  const world = openImages(sandbox, always);
  const { store } = openImage(`${HOST}/${REPOSITORY}`, world.options());
  return { world, store, subject: (await world.image("app", "v1")) as unknown as Descriptor };
}

const layerOf = (text: string): { readonly descriptor: Descriptor; readonly bytes: Uint8Array } => ({
  descriptor: { mediaType: "text/plain", digest: digestOf(text) as ContentDigest, size: text.length },
  bytes: utf8(text),
});

const attachText = async (
  { store, subject }: Opened,
  text: string,
  annotations?: Readonly<Record<string, string>>,
): Promise<AttachedReferrer> =>
  await attachReferrer(
    store,
    subject,
    { artifactType: "application/x", layers: [layerOf(text)], annotations },
    OPTIONS,
  );

/** What a client finds that knows only the specification. */
async function listedBy({ world, subject }: Opened): Promise<readonly Record<string, unknown>[]> {
  const list = async (path: string): Promise<{ readonly status: number; readonly text: string }> =>
    await world.registry.ask(path, { headers: { accept: OCI_INDEX } });
  const api = await list(`/v2/${REPOSITORY}/referrers/${subject.digest}`);
  const answer =
    api.status === 200 ? api : await list(`/v2/${REPOSITORY}/manifests/${subject.digest.replace(":", "-")}`);
  if (answer.status === 404) return [];
  return (JSON.parse(answer.text) as { manifests: Record<string, unknown>[] }).manifests;
}

describe("attachReferrer (distribution-spec, Pushing Manifests with Subject)", () => {
  test("puts a manifest that the registry lists", async () => {
    const opened = await openWorld();
    const { descriptor, via } = await attachText(opened, "hello", { a: "b" });
    expect(via).toBe("referrers-api");
    expect(await listedBy(opened)).toEqual([{ ...descriptor, artifactType: "application/x", annotations: { a: "b" } }]);
    const { text } = await opened.world.registry.ask(`/v2/${REPOSITORY}/manifests/${descriptor.digest}`);
    expect(JSON.parse(text)).toEqual({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      artifactType: "application/x",
      config: { mediaType: "application/vnd.oci.empty.v1+json", digest: EMPTY_DIGEST, size: 2 },
      layers: [{ mediaType: "text/plain", digest: digestOf("hello"), size: 5 }],
      subject: opened.subject,
      annotations: { a: "b" },
    });
  });

  test.for(["no-referrers", "no-referrers-error"] as const)(
    "keeps the list itself where the registry does not: %s",
    async (forgery) => {
      const opened = await openWorld([forgery]);
      const first = await attachText(opened, "one", { a: "b" });
      const second = await attachText(opened, "two");
      expect([first.via, second.via]).toEqual(["referrers-tag", "referrers-tag"]);
      expect(await listedBy(opened)).toEqual([
        { ...first.descriptor, artifactType: "application/x", annotations: { a: "b" } },
        { ...second.descriptor, artifactType: "application/x" },
      ]);
    },
  );

  test("adds nothing twice", async () => {
    const opened = await openWorld(["no-referrers"]);
    await attachText(opened, "one");
    await attachText(opened, "one");
    expect(await listedBy(opened)).toHaveLength(1);
  });

  test("writes no list where the registry keeps one and does not say so", async () => {
    const opened = await openWorld();
    opened.world.intercept = undefined;
    const { fetch } = opened.world;
    const silent = async (...[address, init]: Parameters<typeof fetch>): Promise<Response> => {
      const response = await fetch(address, init);
      const headers = new Headers(response.headers);
      headers.delete("oci-subject");
      return new Response(response.body, { status: response.status, headers });
    };
    const { store } = openImage(`${HOST}/${REPOSITORY}`, { registry: { fetch: silent, environment: {}, retries: 0 } });
    expect((await attachText({ ...opened, store }, "one")).via).toBe("referrers-api");
    expect(opened.world.requests.some((request) => request.includes("sha256-"))).toBe(false);
  });

  const emptyList = (): Response =>
    new Response(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] }), {
      headers: { "content-type": OCI_INDEX },
    });

  test("says that it is lost where a registry with a list does not list it", async () => {
    const opened = await openWorld(["no-referrers"]);
    opened.world.intercept = ({ url }) => (url.includes("/referrers/") ? emptyList() : undefined);
    expect(await refusal(attachText(opened, "one"))).toMatchObject({ code: "REGISTRY_UPDATE_LOST", retryable: true });
  });

  test("says that it is lost where a registry that lists it has not kept it", async () => {
    const opened = await openWorld();
    opened.world.intercept = ({ method, url }) =>
      method === "GET" && url.includes("/manifests/sha256:")
        ? new Response("{}", { status: 404, headers: { "content-type": "application/json" } })
        : undefined;
    expect(await refusal(attachText(opened, "one"))).toMatchObject({ code: "REGISTRY_UPDATE_LOST", found: "nothing" });
  });

  test("claims nothing where the tag of the list cannot be moved, and names what was put", async () => {
    const opened = await openWorld(["no-referrers", "immutable-tags"]);
    const first = await attachText(opened, "one");
    const error = await refusal(attachText(opened, "two"));
    expect(error.code).toBe("REGISTRY_TAG_IMMUTABLE");
    const [digest = ""] = /sha256:[0-9a-f]{64}/.exec(error.message) ?? [];
    const { status, text } = await opened.world.registry.ask(`/v2/${REPOSITORY}/manifests/${digest}`);
    expect(status).toBe(200);
    expect(JSON.parse(text)).toMatchObject({ layers: [{ digest: digestOf("two") }] });
    expect(await listedBy(opened)).toEqual([expect.objectContaining({ digest: first.descriptor.digest })]);
  });

  test("attaches in another repository, where the image is not", async () => {
    const opened = await openWorld(["no-referrers"]);
    const { attachments } = openImage(`${HOST}/${REPOSITORY}:v1`, {
      ...opened.world.options(),
      signatureRepository: `${HOST}/signatures`,
    });
    const { descriptor } = await attachText({ ...opened, store: attachments }, "one");
    expect(await listedBy(opened)).toEqual([]);
    const tag = opened.subject.digest.replace(":", "-");
    const { text } = await opened.world.registry.ask(`/v2/signatures/manifests/${tag}`);
    expect(text).toContain(descriptor.digest);
  });
});

describe("attachBundle (cosign, specs/BUNDLE_SPEC.md)", () => {
  let opened: Opened;
  beforeEach(async () => {
    opened = await openWorld();
  });

  const attach = async (json: string, bundle = parseBundle(json)): Promise<string> => {
    const { store, subject } = opened;
    const { descriptor } = await attachBundle(store, subject, bundle, utf8(json), NOW, OPTIONS);
    return (await opened.world.registry.ask(`/v2/${REPOSITORY}/manifests/${descriptor.digest}`)).text;
  };

  test("writes a manifest as cosign 3.1.2 does, byte for byte", async () => {
    const json = JSON.stringify(bundleFrom(sandbox, { statement: statementFor(opened.subject.digest) }).json);
    const { subject } = opened;
    // What `cosign attest` wrote into a registry, with other values in it.
    expect(await attach(json)).toBe(
      `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.empty.v1+json","size":2,"digest":"${EMPTY_DIGEST}","artifactType":"application/vnd.dev.sigstore.bundle.v0.3+json"},"layers":[{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","size":${Buffer.byteLength(json)},"digest":"${digestOf(json)}"}],"annotations":{"dev.sigstore.bundle.content":"dsse-envelope","dev.sigstore.bundle.predicateType":"https://sigstore.dev/cosign/sign/v1","org.opencontainers.image.created":"2026-02-03T04:05:06Z"},"subject":{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":${subject.size},"digest":"${subject.digest}"},"artifactType":"application/vnd.dev.sigstore.bundle.v0.3+json"}`,
    );
    const { text } = await opened.world.registry.ask(`/v2/${REPOSITORY}/blobs/${digestOf(json)}`);
    expect(Buffer.from(text, "latin1").toString()).toBe(json);
  });

  test("lists it by its own type where it keeps the list, and not by that of the config as cosign does", async () => {
    opened = await openWorld(["no-referrers"]);
    await attach(JSON.stringify(bundleFrom(sandbox, { statement: statementFor(opened.subject.digest) }).json));
    expect(await listedBy(opened)).toEqual([expect.objectContaining({ artifactType: BUNDLE_TYPE })]);
  });

  test("says of a bundle without a statement that it is a signature", async () => {
    const json = JSON.stringify(bundleFrom(sandbox, { artifact: utf8("manifest") }).json);
    expect(JSON.parse(await attach(json))).toHaveProperty("annotations", {
      "dev.sigstore.bundle.content": "message-signature",
      "org.opencontainers.image.created": "2026-02-03T04:05:06Z",
    });
  });

  test("refuses a bundle of an older version, which nobody reads there", async () => {
    const { json } = bundleFrom(sandbox, { statement: statementFor(opened.subject.digest) });
    const bundle = {
      ...parseBundle(JSON.stringify(json)),
      mediaType: "application/vnd.dev.sigstore.bundle+json;version=0.2",
    };
    expect(await refusal(attach(JSON.stringify(json), bundle))).toMatchObject({
      code: "BUNDLE_MEDIA_TYPE_UNSUPPORTED",
    });
  });
});
