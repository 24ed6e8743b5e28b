import { createHash } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { ContentDigest } from "../../src/oci/content-digest.ts";
import type { ContentStore } from "../../src/oci/content-store.ts";
import { RegistryClient } from "../../src/oci/registry/registry-client.ts";
import { attestImage, signImage, signStatement, type ImageSigningOptions } from "../../src/oci/sign-image.ts";
import { verifyImage, verifyImageAttestation } from "../../src/oci/verification/verify-image.ts";
import { startSandbox, type Sandbox } from "../../src/sandbox/sandbox.ts";
import type { SigningOptions } from "../../src/sign/options.ts";
import { SigningSession } from "../../src/sign/session.ts";

const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const INDEX = "application/vnd.oci.image.index.v1+json";
const TYPE = "https://example.com/note/v1";

let sandbox: Sandbox;
let host: string;
let count = 0;
let repository: string;
let image: string;
let digest: ContentDigest;
const client = new RegistryClient({ environment: {} });

beforeAll(async () => {
  sandbox = await startSandbox();
  host = new URL(sandbox.urls.registry).host;
}, 60_000);
afterAll(() => sandbox.close());
beforeEach(async () => {
  repository = `app-${++count}`;
  image = `${host}/${repository}:v1`;
  digest = (await push(repository, "v1")).digest;
  sandbox.clearRequests();
});

async function push(name: string, tag: string, label = "app"): Promise<{ digest: ContentDigest; size: number }> {
  const store = client.repository({ registry: host, repository: name });
  const config = Buffer.from(JSON.stringify({ label, name }));
  const described = {
    mediaType: "application/vnd.oci.image.config.v1+json",
    digest: `sha256:${createHash("sha256").update(config).digest("hex")}` as const,
    size: config.length,
  };
  await store.pushBlob(described, config);
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, config: described, layers: [] }));
  return (await store.pushManifest(bytes, MANIFEST, { tag })).descriptor;
}

const signing = (generation: 1 | 2 = 2): SigningOptions => ({
  signer: { kind: "keyless", identityToken: () => sandbox.token("email", { email: "alice@example.com" }) },
  services: {
    kind: "signing-config",
    signingConfig: generation === 1 ? sandbox.signingConfigRekor1 : sandbox.signingConfig,
  },
  trust: sandbox.trustedRoot,
  environment: {},
});
const expected = () => ({
  identity: { subjectAlternativeName: "alice@example.com", issuer: sandbox.urls.oidc },
  trust: sandbox.trustedRoot,
  registry: client,
});
const asked = (service: string): number => sandbox.requests.filter((one) => one.service === service).length;
const options = (more: ImageSigningOptions = {}): ImageSigningOptions => ({ registry: client, ...more });

describe("signStatement (cosign, sigstore/cosign specs/BUNDLE_SPEC.md)", () => {
  test("says what cosign's says", () => {
    const text = new TextDecoder().decode(signStatement(`sha256:${"ab".repeat(32)}`, { team: "a<b" }));
    expect(JSON.parse(text)).toEqual({
      _type: "https://in-toto.io/Statement/v1",
      subject: [{ digest: { sha256: "ab".repeat(32) }, annotations: { team: "a<b" } }],
      predicateType: "https://sigstore.dev/cosign/sign/v1",
      predicate: {},
    });
  });
});

describe("signImage", () => {
  test.for([
    ["bundle", 2],
    ["legacy", 1],
    ["oci-1-1", 1],
  ] as const)("signs in the format %s, and says where it is", async ([format, generation]) => {
    const { pinned, signatures, ...signed } = await signImage(image, {
      ...signing(generation),
      ...options({ format }),
      annotations: { team: "release" },
    });
    expect(signed.digest).toBe(digest);
    expect(pinned).toBe(`${host}/${repository}@${digest}`);
    const [first] = signatures;
    expect(first.attached?.location.startsWith(`${host}/${repository}`)).toBe(true);
    const verified = await verifyImage(image, { ...expected(), annotations: { team: "release" } });
    expect(verified.signatures.map(({ place }) => place)).toEqual([
      first.attached?.via === "referrers-api" && format === "oci-1-1" ? "oci-1-1" : first.attached?.via,
    ]);
  });

  test("signs an index and every image in it with one certificate", async () => {
    const arm = await push(repository, "arm", "arm");
    const manifests = [digest, arm.digest].map((one, index) => ({
      mediaType: MANIFEST,
      digest: one,
      size: index === 0 ? undefined : arm.size,
    }));
    const store = client.repository({ registry: host, repository });
    const own = await store.resolve(digest);
    const bytes = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: INDEX,
        manifests: [{ ...manifests[0], size: own?.size }, manifests[1]],
      }),
    );
    await store.pushManifest(bytes, INDEX, { tag: "multi" });
    sandbox.clearRequests();
    const { signatures } = await signImage(`${host}/${repository}:multi`, {
      ...signing(),
      ...options({ recursive: true }),
    });
    expect(signatures).toHaveLength(3);
    expect(sandbox.requests.filter((one) => one.service === "fulcio" && one.method === "POST")).toHaveLength(1);
    await verifyImage(`${host}/${repository}:multi`, { ...expected(), digestRule: "every-leaf" });
  });

  test("signs several images in a session that is given, and leaves it open", async () => {
    const other = await push(`${repository}-other`, "v1");
    using session = await SigningSession.open(signing());
    await signImage(image, { session, ...options() });
    await signImage(`${host}/${repository}-other@${other.digest}`, { session, ...options() });
    expect(sandbox.requests.filter((one) => one.service === "fulcio" && one.method === "POST")).toHaveLength(1);
  });

  test("makes nothing public where the registry takes nothing", async () => {
    const closed = await startSandbox({ registry: { always: ["token-auth"] } });
    try {
      const open = new RegistryClient({
        environment: {},
        credentials: () => Promise.resolve({ kind: "basic", username: "sandbox", password: "sandbox" }),
      });
      const closedHost = new URL(closed.urls.registry).host;
      const store = open.repository({ registry: closedHost, repository: "app" });
      const config = Buffer.from("{}");
      const described = {
        mediaType: "a/b",
        digest: `sha256:${createHash("sha256").update(config).digest("hex")}` as const,
        size: 2,
      };
      await store.pushBlob(described, config);
      const bytes = Buffer.from(
        JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, config: described, layers: [] }),
      );
      await store.pushManifest(bytes, MANIFEST, { tag: "v1" });
      closed.clearRequests();
      const own = {
        ...signing(),
        signer: { kind: "keyless", identityToken: () => Promise.reject(new Error("a token was asked for")) },
        services: { kind: "signing-config", signingConfig: closed.signingConfig },
        trust: closed.trustedRoot,
        ...options(),
      } as const;
      const refusal: unknown = expect.objectContaining({ code: "REGISTRY_UNAUTHORIZED" });
      await expect(signImage(`${closedHost}/app:v1`, own)).rejects.toEqual(refusal);
      const statement = { predicateType: TYPE, predicate: "{}" };
      await expect(attestImage(`${closedHost}/app:v1`, statement, own)).rejects.toEqual(refusal);
      const services = new Set(closed.requests.map(({ service }) => service));
      expect([...services]).toEqual(["registry"]);
    } finally {
      await closed.close();
    }
  });

  test.each(["legacy", "oci-1-1"] as const)("makes nothing public that the format %s cannot hold", async (format) => {
    const refusal: unknown = expect.objectContaining({ code: "BUNDLE_MALFORMED" });
    await expect(signImage(image, { ...signing(2), ...options({ format }) })).rejects.toEqual(refusal);
    const [url, same] = [sandbox.urls.rekor1, sandbox.urls.rekor1.replace("127.0.0.1", "localhost")];
    const rekor = [url, same].map((one) => ({ url: one, majorApiVersion: 1 }) as const);
    const services = { kind: "urls", fulcioUrl: sandbox.urls.fulcio, rekor } as const;
    await expect(signImage(image, { ...signing(1), services, ...options({ format }) })).rejects.toEqual(refusal);
    const statement = { predicateType: TYPE, predicate: "{}" };
    const attested = attestImage(image, statement, { ...signing(2), ...options({ format: "legacy" }) });
    await expect(attested).rejects.toEqual(refusal);
    expect([asked("fulcio"), asked("rekor1"), asked("rekor2")]).toEqual([0, 0, 0]);
  });

  test("hands the bundle over before it is attached, so that it is not lost", async () => {
    const delivered: string[] = [];
    const store = client.repository({ registry: host, repository });
    const refusing: ContentStore = {
      name: store.name,
      fetchManifest: (reference) => store.fetchManifest(reference),
      resolve: (reference) => store.resolve(reference),
      fetchBlob: (descriptor, maxBytes) => store.fetchBlob(descriptor, maxBytes),
      openBlob: (descriptor) => store.openBlob(descriptor),
      hasBlob: (one) => store.hasBlob(one),
      pushBlob: (descriptor, content) => store.pushBlob(descriptor, content),
      pushManifest: () => Promise.reject(new Error("the registry is gone")),
      deleteManifest: (reference) => store.deleteManifest(reference),
      listTags: () => store.listTags(),
      listReferrers: (one) => store.listReferrers(one),
    };
    const signed = signImage(
      { store: refusing, reference: "v1" },
      { ...signing(), ...options({ deliver: ({ json }) => void delivered.push(json) }) },
    );
    await expect(signed).rejects.toThrow("the registry is gone");
    expect(delivered).toHaveLength(1);
    expect(delivered[0]).toContain("verificationMaterial");
  });

  test("takes the clock and the chance of a writer besides those of a session", async () => {
    const writer = { sleep: () => Promise.resolve(), random: () => 0.5, monotonicMs: () => 0, settleMs: 0 };
    const { signatures } = await signImage(image, { ...signing(), ...options(writer) });
    expect(signatures[0].attached?.via).toBe("referrers-api");
  });

  test("names the platform that was asked for", async () => {
    const store = client.repository({ registry: host, repository });
    const size = (await store.resolve(digest))?.size;
    const platform = { os: "linux", architecture: "arm64" };
    const bytes = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: INDEX,
        manifests: [{ mediaType: MANIFEST, digest, size, platform }],
      }),
    );
    await store.pushManifest(bytes, INDEX, { tag: "multi" });
    const one = { ...signing(), ...options({ platform: "linux/arm64" }) };
    const { pinned, signatures } = await signImage(`${host}/${repository}:multi`, one);
    expect(pinned).toBe(`${host}/${repository}@${digest}`);
    expect(signatures).toMatchObject([{ digest, platform }]);
  });

  test("attaches nothing where that is not wanted", async () => {
    const { signatures } = await signImage(image, { ...signing(), ...options({ upload: false }) });
    expect(signatures[0].attached).toBeUndefined();
    await expect(verifyImage(image, expected())).rejects.toMatchObject({ code: "SIGNATURE_NOT_FOUND" });
  });

  test("keeps signatures in another repository", async () => {
    const elsewhere = { signatureRepository: `${host}/signatures-${count}` };
    await signImage(image, { ...signing(), ...options(elsewhere) });
    await expect(verifyImage(image, expected())).rejects.toMatchObject({ code: "SIGNATURE_NOT_FOUND" });
    await verifyImage(image, { ...expected(), ...elsewhere });
    expect(await client.repository({ registry: host, repository }).listTags()).toEqual(["v1"]);
  });

  test("keeps older signatures under tags with a prefix", async () => {
    const prefixed = { attachmentTagPrefix: "old-" };
    await signImage(image, { ...signing(1), ...options({ format: "legacy", ...prefixed }) });
    await expect(verifyImage(image, expected())).rejects.toMatchObject({ code: "SIGNATURE_NOT_FOUND" });
    await verifyImage(image, { ...expected(), ...prefixed });
    const tags = await client.repository({ registry: host, repository }).listTags();
    expect(tags).toContain(`old-${digest.replace(":", "-")}.sig`);
  });

  test("writes older signatures with the time, the types and the name that are asked for", async () => {
    const created = new Date("2020-02-03T04:05:06Z");
    await signImage(image, {
      ...signing(1),
      ...options({
        format: "legacy",
        legacy: { created, dockerMediaTypes: true },
        containerIdentity: "registry.example/x",
      }),
    });
    const store = client.repository({ registry: host, repository });
    const found = await store.fetchManifest(`${digest.replace(":", "-")}.sig`);
    if (found?.manifest.kind !== "image") throw new Error("no manifest");
    expect(found.manifest.mediaType).toBe("application/vnd.docker.distribution.manifest.v2+json");
    const config = JSON.parse(new TextDecoder().decode(await store.fetchBlob(found.manifest.config, 10_000))) as object;
    expect(config).toMatchObject({
      created: "2020-02-03T04:05:06Z",
      rootfs: { diff_ids: [found.manifest.layers[0]?.digest] },
    });
    const [layer] = found.manifest.layers;
    if (layer === undefined) throw new Error("no layer");
    expect(new TextDecoder().decode(await store.fetchBlob(layer, 10_000))).toContain('"registry.example/x"');
  });

  test.for([
    ["an image that is not there", (): string => `${host}/none:v1`, "IMAGE_NOT_FOUND"],
    ["a malformed reference", (): string => "app:a:b", "REFERENCE_MALFORMED"],
  ] as const)("refuses %s, before a token is asked for", async ([, name, code]) => {
    await expect(signImage(name(), { ...signing(), ...options() })).rejects.toMatchObject({ code });
    expect(asked("fulcio")).toBe(0);
  });
});

describe("attestImage", () => {
  const predicate = '{"big":12345678901234567890,"text":"<&>"}';

  test.for([
    ["bundle", 2],
    ["legacy", 1],
  ] as const)("attests in the format %s; the predicate stays as it is written", async ([format, generation]) => {
    await attestImage(image, { predicateType: TYPE, predicate }, { ...signing(generation), ...options({ format }) });
    const { signatures } = await verifyImageAttestation(image, { ...expected(), predicateType: TYPE });
    const payload = new TextDecoder().decode(signatures[0].payload);
    expect(payload).toContain(`"predicate":${predicate}`);
    // As cosign 3.1 writes it: v0.1, with the repository for a name.
    expect(JSON.parse(payload)).toMatchObject({
      _type: "https://in-toto.io/Statement/v0.1",
      subject: [{ name: `${host}/${repository}`, digest: { sha256: digest.slice(7) } }],
    });
  });

  test("signs a whole statement byte for byte, and none about something else", async () => {
    const about = (value: string): string =>
      `{ "_type": "https://in-toto.io/Statement/v1", "subject": [{"digest": {"sha256": "${value}"}}], "predicateType": "${TYPE}", "predicate": {"n": 1.0} }`;
    const statement = about(digest.slice(7));
    await attestImage(image, { statement }, { ...signing(), ...options() });
    const { signatures } = await verifyImageAttestation(image, { ...expected(), predicateType: TYPE });
    expect(new TextDecoder().decode(signatures[0].payload)).toBe(statement);
    sandbox.clearRequests();
    const foreign = attestImage(image, { statement: about("ab".repeat(32)) }, { ...signing(), ...options() });
    await expect(foreign).rejects.toMatchObject({ code: "SUBJECT_MISMATCH", expected: digest });
    const malformed = attestImage(image, { statement: "{}" }, { ...signing(), ...options() });
    await expect(malformed).rejects.toMatchObject({ code: "STATEMENT_MALFORMED" });
    expect(asked("fulcio")).toBe(0);
  });

  test("replaces older attestations of the same type alone", async () => {
    const attest = (predicateType: string, text: string, replace = false): Promise<unknown> =>
      attestImage(
        image,
        { predicateType, predicate: text },
        { ...signing(1), ...options({ format: "legacy", replace }) },
      );
    await attest(TYPE, '{"n":1}');
    await attest("https://example.com/other/v1", '{"n":2}');
    await attest(TYPE, '{"n":3}', true);
    const predicates = async (predicateType: string): Promise<readonly unknown[]> => {
      const { signatures } = await verifyImageAttestation(image, { ...expected(), predicateType });
      return signatures.map(
        ({ payload }) => (JSON.parse(new TextDecoder().decode(payload)) as { predicate: unknown }).predicate,
      );
    };
    expect(await predicates(TYPE)).toEqual([{ n: 3 }]);
    expect(await predicates("https://example.com/other/v1")).toEqual([{ n: 2 }]);
  });

  test("has no format of the time between tags and bundles", async () => {
    const refused = attestImage(
      image,
      { predicateType: TYPE, predicate },
      { ...signing(1), ...options({ format: "oci-1-1" }) },
    );
    await expect(refused).rejects.toMatchObject({ code: "USAGE_INVALID" });
    expect(asked("fulcio")).toBe(0);
  });
});
