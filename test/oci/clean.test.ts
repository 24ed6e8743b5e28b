import { beforeEach, describe, expect, test } from "vitest";
import { cleanImage, type CleanOptions, type CleanReport, type CleanType } from "../../src/oci/clean.ts";
import { readTree } from "../../src/oci/tree.ts";
import {
  BUNDLE_TYPE,
  COSIGN_SIGNATURES,
  DSSE,
  HOST,
  OCI_INDEX,
  openImages,
  payloadFor,
  REPOSITORY,
  SIGN_PREDICATE,
  statementFor,
  type ImageWorld,
  type TestDescriptor,
} from "../support/images.ts";
import { bundleFrom, makeSandbox } from "../support/sandbox/sandbox.ts";

const sandbox = makeSandbox();
const IMAGE = `${HOST}/${REPOSITORY}:v1`;
const PROVENANCE = "https://slsa.dev/provenance/v1";
const SBOM_TYPE = "application/vnd.dev.cosign.artifact.sbom.v1+json";
const EMPTY = "application/vnd.oci.empty.v1+json";

let world: ImageWorld;
let image: TestDescriptor;
let attached: Readonly<Record<string, TestDescriptor>>;

const bundleOf = (subject: TestDescriptor, predicateType: string): string =>
  bundleFrom(sandbox, { statement: statementFor(subject.digest, { predicateType }) }).text;
const annotated = (predicateType: string): Readonly<Record<string, unknown>> => ({
  annotations: {
    "dev.sigstore.bundle.content": "dsse-envelope",
    "dev.sigstore.bundle.predicateType": predicateType,
  },
});
const clean = (options: CleanOptions = {}, name = IMAGE): Promise<CleanReport> =>
  cleanImage(name, { ...world.options(), sleep: () => Promise.resolve(), ...options });
const outcomes = ({ items }: CleanReport): readonly string[] =>
  items.map(({ outcome, artifact }) => `${nameOf(artifact.digest)}: ${outcome}`).toSorted();
const nameOf = (digest: string): string =>
  Object.entries(attached).find(([, one]) => one.digest === digest)?.[0] ?? digest;
const isThere = async (reference: string, repository = REPOSITORY): Promise<boolean> =>
  (await world.registry.ask(`/v2/${repository}/manifests/${reference}`, { method: "HEAD" })).status === 200;
const deletions = (): readonly string[] => world.requests.filter((request) => request.startsWith("DELETE"));

/** An image with something of every kind. */
async function populate(): Promise<void> {
  image = await world.image("app", "v1");
  const other = async (artifactType: string, subject: TestDescriptor, layer = artifactType): Promise<TestDescriptor> =>
    await world.manifest({
      artifactType,
      config: await world.blob("{}", EMPTY),
      layers: [await world.blob(`about ${artifactType}`, layer)],
      subject,
    });
  const foreign = await other("application/vnd.example.report", image);
  attached = {
    "signature bundle": await world.attachBundle(image, bundleOf(image, SIGN_PREDICATE), annotated(SIGN_PREDICATE)),
    "attestation bundle": await world.attachBundle(image, bundleOf(image, PROVENANCE), annotated(PROVENANCE)),
    "signature bundle of oras": await world.attachBundle(image, bundleOf(image, SIGN_PREDICATE), {
      artifactType: "application/vnd.example.bundles",
      annotations: {},
    }),
    "attestation bundle of oras": await world.attachBundle(image, bundleOf(image, "https://example.com/v1"), {
      annotations: {},
    }),
    "older signatures": await world.manifest({
      artifactType: COSIGN_SIGNATURES,
      config: await world.blob("{}", COSIGN_SIGNATURES),
      layers: [await world.legacySignature(payloadFor(image.digest))],
      subject: image,
    }),
    "older SBOM": await other(SBOM_TYPE, image, "text/spdx+json"),
    "foreign report": foreign,
    "signature of the report": await world.attachBundle(foreign, bundleOf(foreign, SIGN_PREDICATE)),
    ".sig": await world.putLayers(image, "sig", [await world.legacySignature(payloadFor(image.digest))]),
    ".att": await world.putLayers(image, "att", [await world.legacyAttestation(statementFor(image.digest))]),
    ".sbom": await world.manifest(
      { config: await world.blob("{}", EMPTY), layers: [await world.blob("{}", "text/spdx+json")] },
      `${image.digest.replace(":", "-")}.sbom`,
    ),
  };
  world.requests.length = 0;
}

beforeEach(async () => {
  world = openImages(sandbox);
  await populate();
});

const SIGNATURES = [".sig", "signature bundle", "signature bundle of oras", "older signatures"];
const ATTESTATIONS = [".att", "attestation bundle", "attestation bundle of oras"];
const SBOMS = [".sbom", "older SBOM"];
const BY_TYPE: Readonly<Record<CleanType, readonly string[]>> = {
  signature: SIGNATURES,
  attestation: ATTESTATIONS,
  sbom: SBOMS,
  referrer: [...SIGNATURES, ...ATTESTATIONS, ...SBOMS].filter((name) => !name.startsWith(".")),
  all: [...SIGNATURES, ...ATTESTATIONS, ...SBOMS],
};

describe("cleanImage", () => {
  test.for(Object.entries(BY_TYPE) as [CleanType, readonly string[]][])(
    "of type %s removes that, whoever wrote it, and nothing else",
    async ([type, names]) => {
      const dry = await clean({ type, dryRun: true });
      expect(outcomes(dry)).toEqual(names.map((name) => `${name}: would-remove`).toSorted());
      expect(deletions()).toEqual([]);
      expect(outcomes(await clean({ type }))).toEqual(names.map((name) => `${name}: removed`).toSorted());
      for (const [name, { digest }] of Object.entries(attached)) {
        const tag = name.startsWith(".") ? `${image.digest.replace(":", "-")}${name}` : digest;
        expect(await isThere(tag), name).toBe(!names.includes(name));
      }
      expect(await isThere("v1")).toBe(true);
      expect(await isThere(image.digest)).toBe(true);
      expect(outcomes(await clean({ type }))).toEqual([]);
    },
  );

  test("removes everything of cosign's where no type is named, and nothing in a dry run", async () => {
    expect(await clean({ dryRun: true })).toEqual(await clean({ type: "all", dryRun: true }));
  });

  test("asks once, with everything, and takes no for an answer", async () => {
    const asked: (readonly string[])[] = [];
    const confirm = (answer: boolean): CleanOptions => ({
      type: "signature",
      confirm: (items) => {
        asked.push(items.map(({ digest }) => nameOf(digest)).toSorted());
        return Promise.resolve(answer);
      },
    });
    expect((await clean(confirm(false))).items).toEqual([]);
    expect(deletions()).toEqual([]);
    expect((await clean(confirm(true))).items).toHaveLength(SIGNATURES.length);
    expect(asked).toEqual([SIGNATURES.toSorted(), SIGNATURES.toSorted()]);
    await clean(confirm(true)); // nothing is left to ask about
    expect(asked).toHaveLength(2);
  });

  test("takes what is attached to a bundle away with it", async () => {
    const bundle = attached["attestation bundle"];
    if (bundle === undefined) throw new Error("no bundle");
    const about = await world.attachBundle(bundle, bundleOf(bundle, SIGN_PREDICATE));
    attached = { ...attached, "signature of the bundle": about };
    expect(outcomes(await clean({ type: "attestation" }))).toContain("signature of the bundle: removed");
    expect(await isThere(about.digest)).toBe(false);
  });

  test("looks under the prefix of tags, and nowhere else", async () => {
    await world.putLayers(image, "sig", [await world.legacySignature(payloadFor(image.digest))], { prefix: "p-" });
    const { items } = await clean({ type: "signature", attachmentTagPrefix: "p-" });
    const tags = items.flatMap(({ artifact }) => artifact.tag ?? []);
    expect(tags).toEqual([`p-${image.digest.replace(":", "-")}.sig`]);
    expect(await isThere(`${image.digest.replace(":", "-")}.sig`)).toBe(true);
  });

  test("looks in the repository of signatures, and leaves that of the image alone", async () => {
    const repository = "signatures";
    const layer = await world.blob("{}", DSSE, repository);
    await world.putLayers(image, "att", [layer], { repository });
    const elsewhere = await world.attachBundle(image, bundleOf(image, PROVENANCE), annotated(PROVENANCE), repository);
    const { items } = await clean({ signatureRepository: `${HOST}/${repository}` });
    expect(items.map(({ artifact }) => artifact.location).toSorted()).toEqual([
      `${HOST}/${repository}:${image.digest.replace(":", "-")}.att`,
      `${HOST}/${repository}@${elsewhere.digest}`,
    ]);
    expect(await isThere(elsewhere.digest, repository)).toBe(false);
    for (const [name, { digest }] of Object.entries(attached)) expect(await isThere(digest), name).toBe(true);
  });

  test("cleans the manifest of a platform, not its index", async () => {
    const platform = { os: "linux", architecture: "amd64" };
    const index = await world.index([{ ...image, platform }], "multi");
    const ofIndex = await world.attachBundle(index, bundleOf(index, SIGN_PREDICATE), annotated(SIGN_PREDICATE));
    const { items } = await clean({ type: "signature", platform: "linux/amd64" }, `${HOST}/${REPOSITORY}:multi`);
    expect(items).toHaveLength(SIGNATURES.length);
    expect(await isThere(ofIndex.digest)).toBe(true);
  });

  test("never removes the image, whatever a tag beside it names and however a registry deletes", async () => {
    const content = { config: await world.blob("{}", EMPTY), layers: [await world.blob("an SBOM", "text/spdx+json")] };
    const document = await world.manifest(content, "document");
    const tag = `${document.digest.replace(":", "-")}.sbom`;
    expect((await world.manifest(content, tag)).digest).toBe(document.digest);
    world.intercept = (request) =>
      request.method === "DELETE" && !request.url.includes("sha256:") ? new Response(null, { status: 405 }) : undefined;
    expect((await clean({}, `${HOST}/${REPOSITORY}:document`)).items).toEqual([]);
    expect(await isThere("document")).toBe(true);
  });

  test("leaves what cannot be read, says so, and is not kept from the rest by it", async () => {
    world.intercept = (request) =>
      request.method === "GET" && request.url.endsWith(attached["older SBOM"]?.digest ?? "")
        ? new Response("{}", { headers: { "content-type": image.mediaType } })
        : undefined;
    const { items, unreadable } = await clean();
    expect(unreadable.map(({ location, error }) => [location, error.code])).toEqual([
      [`${HOST}/${REPOSITORY}@${attached["older SBOM"]?.digest ?? ""}`, "CONTENT_DIGEST_MISMATCH"],
    ]);
    expect(items).toHaveLength(BY_TYPE.all.length - 1);
  });

  test("takes a bundle of unknown kind for neither signature nor attestation", async () => {
    attached = { ...attached, broken: await world.attachBundle(image, "{}", { annotations: {} }) };
    expect(outcomes(await clean({ type: "signature" }))).not.toContain("broken: removed");
    expect(outcomes(await clean({ type: "attestation" }))).not.toContain("broken: removed");
    expect(outcomes(await clean({ type: "referrer" }))).toContain("broken: removed");
  });
});

describe("cleanImage, where a registry does not delete", () => {
  const refuseDeletion = (when: (request: Request) => boolean, status = 405): void => {
    world.intercept = (request) =>
      request.method === "DELETE" && when(request)
        ? Response.json({ errors: [{ code: "UNSUPPORTED", message: "The operation is unsupported." }] }, { status })
        : undefined;
  };

  test.for([405, 400] as const)("%i for everything is an error that says so", async (status) => {
    refuseDeletion(() => true, status);
    await expect(clean()).rejects.toMatchObject({
      code: "REGISTRY_REQUEST_REFUSED",
      status,
      message: expect.stringMatching(/^registry deletes nothing from 127\.0\.0\.1:5000\/app: .* stays$/) as unknown,
    });
    for (const { digest } of Object.values(attached)) expect(await isThere(digest)).toBe(true);
  });

  test("403 is told as what it is", async () => {
    refuseDeletion(() => true, 403);
    await expect(clean()).rejects.toMatchObject({
      status: 403,
      message: expect.not.stringMatching(/nothing/) as unknown,
    });
  });

  test("one that stays does not keep the others", async () => {
    const stays = attached["signature bundle"]?.digest ?? "";
    refuseDeletion((request) => request.url.endsWith(stays));
    const report = await clean();
    const failed = report.items.filter(({ outcome }) => outcome === "failed");
    expect(failed.map(({ artifact }) => nameOf(artifact.digest))).toEqual(["signature bundle"]);
    expect(await isThere(stays)).toBe(true);
    expect(await isThere(attached[".sig"]?.digest ?? "")).toBe(true); // its tag is gone
    expect(await isThere(`${image.digest.replace(":", "-")}.sig`)).toBe(false);
    expect(report.items).toHaveLength(BY_TYPE.all.length);
  });

  test("by tags is asked to delete by digest", async () => {
    refuseDeletion((request) => !/sha256:[0-9a-f]{64}$/.test(request.url), 400);
    expect(outcomes(await clean({ type: "attestation" }))).toEqual(
      ATTESTATIONS.map((name) => `${name}: removed`).toSorted(),
    );
    expect(await isThere(attached[".att"]?.digest ?? "")).toBe(false);
  });

  test("by tags keeps another image that somebody has put under the tag of a signature", async () => {
    const layers = [await world.blob("a layer", "application/vnd.oci.image.layer.v1.tar")];
    const config = await world.blob("{}", "application/vnd.oci.image.config.v1+json");
    const victim = await world.manifest({ config, layers }, "v2");
    await world.manifest({ config, layers }, `${image.digest.replace(":", "-")}.sig`);
    refuseDeletion((request) => !/sha256:[0-9a-f]{64}$/.test(request.url));
    const { items } = await clean({ type: "signature" });
    expect(items.find(({ artifact }) => artifact.digest === victim.digest)).toMatchObject({
      outcome: "failed",
      error: { code: "MEDIA_TYPE_MISMATCH" },
    });
    expect(await isThere("v2")).toBe(true);
  });
});

describe("cleanImage, where clients keep the list", () => {
  const list = async (): Promise<readonly string[]> => {
    const { status, text } = await world.registry.ask(`/v2/${REPOSITORY}/manifests/${image.digest.replace(":", "-")}`, {
      headers: { accept: OCI_INDEX },
    });
    if (status !== 200) return [];
    return (JSON.parse(text) as { manifests: { digest: string }[] }).manifests.map(({ digest }) => nameOf(digest));
  };

  beforeEach(async () => {
    world = openImages(sandbox, ["no-referrers"]);
    await populate();
    const isReferrer = (name: string): boolean => !name.startsWith(".") && name !== "signature of the report";
    const manifests = Object.entries(attached).flatMap(([name, one]) => (isReferrer(name) ? [one] : []));
    await world.index(manifests, image.digest.replace(":", "-"));
  });

  test("takes out of the list what is gone, and leaves the rest", async () => {
    expect(await list()).toHaveLength(7);
    await clean({ type: "signature" });
    expect((await list()).toSorted()).toEqual(
      ["attestation bundle", "attestation bundle of oras", "foreign report", "older SBOM"].toSorted(),
    );
    await clean();
    expect(await list()).toEqual(["foreign report"]);
  });

  test("does not touch the list in a dry run", async () => {
    await clean({ dryRun: true });
    expect(await list()).toHaveLength(7);
    expect(world.requests.filter((request) => !/^(GET|HEAD) /.test(request))).toEqual([]);
  });

  test("keeps in the list what could not be removed", async () => {
    const stays = attached["signature bundle"]?.digest ?? "";
    world.intercept = (request) =>
      request.method === "DELETE" && request.url.endsWith(stays) ? new Response(null, { status: 405 }) : undefined;
    await clean();
    expect((await list()).toSorted()).toEqual(["foreign report", "signature bundle"]);
  });
});

describe("readTree", () => {
  test("lists what is attached, at all depths, in an order that does not depend on the registry", async () => {
    const options = world.options();
    const tree = await readTree(IMAGE, options);
    expect(tree.attached.map(({ kind }) => kind)).toEqual([
      "sig",
      "att",
      "sbom",
      ...Array.from({ length: 8 }, () => "referrers"),
    ]);
    const referrers = tree.attached.filter(({ kind }) => kind === "referrers").map((one) => one.artifactType);
    expect(referrers).toEqual(referrers.toSorted());
    expect(tree.attached.find(({ digest }) => nameOf(digest) === "signature of the report")?.subject).toBe(
      attached["foreign report"]?.digest,
    );
    expect(tree.attached.find(({ digest }) => nameOf(digest) === "attestation bundle")).toMatchObject({
      artifactType: BUNDLE_TYPE,
      predicateType: PROVENANCE,
      location: `${HOST}/${REPOSITORY}@${attached["attestation bundle"]?.digest ?? ""}`,
    });
    expect(tree).toMatchObject({
      pinned: `${HOST}/${REPOSITORY}@${image.digest}`,
      digest: image.digest,
      unreadable: [],
    });
  });

  test("says that there is no such image", async () => {
    await expect(readTree(`${HOST}/${REPOSITORY}:none`, world.options())).rejects.toMatchObject({
      code: "IMAGE_NOT_FOUND",
    });
  });

  test("leaves out what is attached to something else, whatever a registry lists", async () => {
    world = openImages(sandbox, ["foreign-referrers"]);
    await populate();
    const { attached: found } = await readTree(IMAGE, world.options());
    const subjects = new Set<string>(found.map(({ subject }) => subject));
    expect([...subjects].filter((one) => one !== image.digest && one !== attached["foreign report"]?.digest)).toEqual(
      [],
    );
  });
});
