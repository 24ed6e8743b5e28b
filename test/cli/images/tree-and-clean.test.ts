import { beforeEach, describe, expect, test } from "vitest";
import {
  DSSE,
  HOST,
  openImages,
  payloadFor,
  REPOSITORY,
  SIGN_PREDICATE,
  statementFor,
  type ImageWorld,
  type TestDescriptor,
} from "../../support/images.ts";
import { utf8 } from "../../support/logs.ts";
import { runInProcess, type Run } from "../../support/program.ts";
import { bundleFrom, makeSandbox } from "../../support/sandbox/sandbox.ts";

const sandbox = makeSandbox();
const IMAGE = `${HOST}/${REPOSITORY}:v1`;
let world: ImageWorld;
let image: TestDescriptor;
let bundle: TestDescriptor;
let layers: readonly TestDescriptor[];
let tag: string;

const run = (args: readonly string[], input = "", environment: Readonly<Record<string, string>> = {}): Promise<Run> => {
  async function* stdin(): AsyncGenerator<Uint8Array> {
    yield await Promise.resolve(utf8(input));
  }
  return runInProcess(args, { fetch: world.fetch, stdin: stdin(), environment });
};
const deletions = (): readonly string[] => world.requests.filter((request) => request.startsWith("DELETE"));
const attach = async (repository?: string): Promise<TestDescriptor> =>
  await world.attachBundle(
    image,
    bundleFrom(sandbox, { statement: statementFor(image.digest) }).text,
    {
      annotations: {
        "dev.sigstore.bundle.content": "dsse-envelope",
        "dev.sigstore.bundle.predicateType": SIGN_PREDICATE,
      },
    },
    repository,
  );

beforeEach(async () => {
  world = openImages(sandbox);
  image = await world.image("app", "v1");
  layers = [
    await world.legacySignature(payloadFor(image.digest)),
    await world.legacySignature(payloadFor(image.digest, { optional: { a: "b" } })),
  ];
  tag = `${HOST}/${REPOSITORY}:${image.digest.replace(":", "-")}`;
  await world.putLayers(image, "sig", layers);
  bundle = await attach();
});

describe("tree", () => {
  test("draws what is attached as cosign does", async () => {
    expect(await run(["tree", IMAGE])).toEqual({
      status: 0,
      stderr: "",
      stdout: [
        `📦 Supply Chain Security Related artifacts for an image: ${IMAGE}`,
        `└── 🔐 Signatures for an image tag: ${tag}.sig`,
        `   ├── 🍒 ${layers[0]?.digest ?? ""}`,
        `   └── 🍒 ${layers[1]?.digest ?? ""}`,
        `└── 🔗 ${SIGN_PREDICATE} artifacts via OCI referrer: ${HOST}/${REPOSITORY}@${bundle.digest}`,
        `   └── 🍒 ${(await layersOf(bundle))[0]?.digest ?? ""}`,
        "",
      ].join("\n"),
    });
  });

  test("gives types and sizes as JSON", async () => {
    const { status, stdout } = await run(["tree", "--output", "json", IMAGE]);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      version: 1,
      verdict: "listed",
      image: IMAGE,
      pinned: `${HOST}/${REPOSITORY}@${image.digest}`,
      digest: image.digest,
      attached: [
        {
          kind: "sig",
          location: `${tag}.sig`,
          digest: expect.stringMatching(/^sha256:/) as unknown,
          subject: image.digest,
          artifactType: "application/vnd.oci.image.config.v1+json",
          layers: layers.map(({ mediaType, digest, size }) => ({ mediaType, digest, size })),
        },
        {
          kind: "referrers",
          location: `${HOST}/${REPOSITORY}@${bundle.digest}`,
          digest: bundle.digest,
          subject: image.digest,
          artifactType: "application/vnd.dev.sigstore.bundle.v0.3+json",
          predicateType: SIGN_PREDICATE,
          layers: await layersOf(bundle),
        },
      ],
      unreadable: [],
    });
  });

  test("says that nothing is attached, in both forms", async () => {
    await world.image("another", "v2");
    const { stdout } = await run(["tree", `${HOST}/${REPOSITORY}:v2`]);
    expect(stdout).toMatch(/^No Supply Chain Security Related Artifacts found for image .*:v2,\n/);
    const json = await run(["tree", "-o", "json", `${HOST}/${REPOSITORY}:v2`]);
    expect(JSON.parse(json.stdout)).toMatchObject({ attached: [], unreadable: [] });
  });

  test("shows nothing that would move the cursor, and what cannot be read", async () => {
    await world.manifest({
      artifactType: "application/vnd.example+\u001B[31mred",
      config: await world.blob("{}", "application/vnd.oci.empty.v1+json"),
      layers: [],
      subject: image,
    });
    world.intercept = (request) =>
      request.method === "GET" && request.url.endsWith(bundle.digest)
        ? new Response("{}", { headers: { "content-type": bundle.mediaType } })
        : undefined;
    const { status, stdout } = await run(["tree", IMAGE]);
    expect(status).toBe(0);
    expect(stdout).not.toContain("\u001B");
    expect(stdout).toContain(`└── ❌ cannot be read: ${HOST}/${REPOSITORY}@${bundle.digest}: `);
    const { stdout: json } = await run(["tree", "-o", "json", IMAGE]);
    expect(JSON.parse(json)).toMatchObject({ unreadable: [{ error: { code: "CONTENT_DIGEST_MISMATCH" } }] });
  });

  test("follows COSIGN_REPOSITORY, the prefix and the platform", async () => {
    const elsewhere = await attach("signatures");
    const repository = { COSIGN_REPOSITORY: `${HOST}/signatures` };
    const { stdout } = await run(["tree", IMAGE], "", repository);
    expect(stdout).toContain(`${HOST}/signatures@${elsewhere.digest}`);
    expect(stdout).not.toContain(".sig");
    await world.putLayers(image, "att", [await world.blob("{}", DSSE)], { prefix: "p-" });
    const prefixed = (await run(["tree", "--attachment-tag-prefix", "p-", IMAGE])).stdout;
    expect(prefixed).toContain(`${REPOSITORY}:p-${image.digest.replace(":", "-")}.att`);
    await world.index([{ ...image, platform: { os: "linux", architecture: "amd64" } }], "multi");
    const multi = `${HOST}/${REPOSITORY}:multi`;
    expect((await run(["tree", multi])).stdout).toContain("No Supply Chain");
    expect((await run(["tree", "--platform", "linux/amd64", multi])).stdout).toContain(bundle.digest);
  });

  test("refuses an image that is not there, as JSON too", async () => {
    const { status, stdout, stderr } = await run(["tree", "-o", "json", `${HOST}/${REPOSITORY}:none`]);
    expect([status, stderr]).toEqual([1, expect.stringContaining("[IMAGE_NOT_FOUND]")]);
    expect(JSON.parse(stdout)).toMatchObject({ verdict: "refused", error: { code: "IMAGE_NOT_FOUND" } });
  });
});

describe("clean", () => {
  const all = (): readonly string[] => [`${tag}.sig`, `${HOST}/${REPOSITORY}@${bundle.digest}`];

  test("--dry-run prints what would go, asks nothing and removes nothing", async () => {
    const { status, stdout, stderr } = await run(["clean", "--dry-run", IMAGE]);
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: `${all().join("\n")}\n`, stderr: "" });
    expect(deletions()).toEqual([]);
  });

  test("asks before it removes, and lists what it asks about", async () => {
    for (const answer of ["n\n", "\n", ""]) {
      const { status, stderr } = await run(["clean", IMAGE], answer);
      expect([status, stderr]).toEqual([1, expect.stringContaining("[CONSENT_MISSING]")]);
      for (const location of all()) expect(stderr).toContain(`To be removed: ${location}\n`);
    }
    expect(deletions()).toEqual([]);
    const { status, stdout, stderr } = await run(["clean", IMAGE], "y\n");
    expect([status, stdout]).toEqual([0, ""]);
    for (const location of all()) expect(stderr).toContain(`Removed ${location}\n`);
    expect(deletions()).toHaveLength(2);
  });

  test("asks nothing with --force, nor where there is nothing", async () => {
    expect((await run(["clean", "--force", IMAGE])).stderr).toBe(
      all()
        .map((one) => `Removed ${one}\n`)
        .join(""),
    );
    expect((await run(["clean", IMAGE])).stderr).toBe(`Nothing of that type is attached to ${IMAGE}\n`);
  });

  test("--type chooses, and knows no other", async () => {
    const { stdout } = await run(["clean", "--dry-run", "--type", "referrer", IMAGE]);
    expect(stdout).toBe(`${all()[1] ?? ""}\n`);
    expect((await run(["clean", "--dry-run", "--type", "attestation", IMAGE])).stdout).toBe("");
    expect((await run(["clean", "--type", "image", IMAGE])).stderr).toContain("[USAGE_INVALID]");
  });

  test("gives each its outcome as JSON, and fails where one stays", async () => {
    world.intercept = (request) =>
      request.method === "DELETE" && request.url.endsWith(bundle.digest)
        ? new Response(null, { status: 405 })
        : undefined;
    const { status, stdout } = await run(["clean", "-f", "-o", "json", IMAGE]);
    expect(status).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      image: IMAGE,
      digest: image.digest,
      items: [
        { outcome: "removed", kind: "sig", location: all()[0] },
        { outcome: "failed", location: all()[1], error: { code: "REGISTRY_REQUEST_REFUSED" } },
      ],
      unreadable: [],
    });
    await world.putLayers(image, "sig", layers);
    const text = await run(["clean", "-f", IMAGE]);
    expect([text.status, text.stderr]).toEqual([
      1,
      expect.stringContaining(`Error: removing ${all()[1] ?? ""}: registry`),
    ]);
  });

  test("tells of a registry that deletes nothing", async () => {
    world.intercept = (request) => (request.method === "DELETE" ? new Response(null, { status: 405 }) : undefined);
    const { status, stderr } = await run(["clean", "-f", IMAGE]);
    expect([status, stderr]).toEqual([
      1,
      expect.stringMatching(/registry deletes nothing .*\[REGISTRY_REQUEST_REFUSED\]\n$/),
    ]);
  });

  test("follows COSIGN_REPOSITORY, and leaves the repository of the image alone", async () => {
    const elsewhere = await attach("signatures");
    const { stderr } = await run(["clean", "-f", IMAGE], "", { COSIGN_REPOSITORY: `${HOST}/signatures` });
    expect(stderr).toBe(`Removed ${HOST}/signatures@${elsewhere.digest}\n`);
  });
});

async function layersOf({ digest }: TestDescriptor): Promise<readonly TestDescriptor[]> {
  const { text } = await world.registry.ask(`/v2/${REPOSITORY}/manifests/${digest}`, { headers: { accept: "*/*" } });
  return (JSON.parse(text) as { layers: TestDescriptor[] }).layers;
}
