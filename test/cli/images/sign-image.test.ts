import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import { beforeEach, describe, expect, test } from "vitest";
import type { Context } from "../../../src/cli/context.ts";
import { startSandbox } from "../../../src/sandbox/sandbox.ts";
import { ImageWorld, type PushedImage } from "../../e2e/support/images.ts";
import type { Json } from "../../support/json-edits.ts";
import type { Run } from "../../support/program.ts";
import {
  ALICE,
  input,
  makeFolder,
  outcome,
  PASSWORD,
  requestsOf,
  run,
  useSigningWorld,
  type Folder,
} from "../../support/signing-cli.ts";

const BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json";
const TYPE = "https://example.com/note/v1";

const world = useSigningWorld();
let images: ImageWorld;
let image: PushedImage;
let folder: Folder;
beforeEach(async () => {
  folder = makeFolder();
  const { sandbox } = world();
  images ??= new ImageWorld(sandbox, folder.at(""));
  image = await images.push();
  folder.write("cosign.key", world().privateKeyPem);
  folder.write("cosign.pub", world().publicKeyPem);
  sandbox.clearRequests();
});

const withKey = (environment: Readonly<Record<string, string>> = {}): Partial<Context> => ({
  environment: { COSIGN_PASSWORD: PASSWORD, ...environment },
});
const TOKEN = (): readonly string[] => ["--identity-token", world().token, "--yes"];
const KEY = (): readonly string[] => ["--key", folder.at("cosign.key"), "--yes"];
/** For cosign of before bundles: Rekor v1 by its URL. */
const LEGACY = (): readonly string[] => [
  "--new-bundle-format=false",
  "--use-signing-config=false",
  "--rekor-url",
  world().sandbox.urls.rekor1,
  "--trusted-root",
  world().sandbox.paths.trustedRoot,
];
const sign = (words: readonly string[], surroundings: Partial<Context> = {}): Promise<Run> =>
  run(["sign", ...world().config, ...words], surroundings);
const signLegacy = (words: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<Run> =>
  run(["sign", ...LEGACY(), ...KEY(), ...words], withKey(environment));
const attest = (words: readonly string[], surroundings: Partial<Context> = {}): Promise<Run> =>
  run(["attest", ...world().config, ...words], surroundings);
const verify = async (name: string, ...words: string[]): Promise<string> => {
  const { sandbox } = world();
  const who = ["--certificate-identity", ALICE, "--certificate-oidc-issuer", sandbox.urls.oidc];
  return outcome(await run(["verify", "--trusted-root", sandbox.paths.trustedRoot, ...who, ...words, name]));
};

const registry = (): string => world().sandbox.urls.registry;
const repositoryOf = (reference: string): string => reference.slice(images.host.length + 1).replace(/[:@].*$/, "");
const nameOf = ({ pinned }: PushedImage): string => pinned.replace(/@.*$/, "");

/** Asks the registry itself. */
async function get(path: string): Promise<Json> {
  const answer = await fetch(`${registry()}/v2/${path}`, {
    headers: { accept: "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, */*" },
  });
  return { ...((await answer.json()) as Json), status: answer.status };
}

interface Descriptor {
  readonly digest: string;
  readonly size: number;
  readonly mediaType: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** What is attached to a digest: descriptors of manifests. */
async function referrersOf(one: PushedImage, digest: string = one.digest): Promise<readonly Descriptor[]> {
  const { manifests } = await get(`${repositoryOf(one.pinned)}/referrers/${digest}`);
  return manifests as readonly Descriptor[];
}

interface Attached {
  readonly manifest: Json;
  readonly bundle: string;
  /** As it was signed. */
  readonly payload: string;
}

async function attachedTo(one: PushedImage, digest: string = one.digest, repository?: string): Promise<Attached> {
  const from = repository ?? repositoryOf(one.pinned);
  const { manifests } = (await get(`${from}/referrers/${digest}`)) as { manifests: readonly Descriptor[] };
  const { status: _status, ...manifest } = await get(`${from}/manifests/${manifests[0]?.digest}`);
  const [layer] = manifest["layers"] as readonly Descriptor[];
  const bundle = await (await fetch(`${registry()}/v2/${from}/blobs/${layer?.digest}`)).text();
  const { dsseEnvelope } = JSON.parse(bundle) as { dsseEnvelope: { payload: string } };
  return { manifest, bundle, payload: Buffer.from(dsseEnvelope.payload, "base64").toString() };
}

/** What is under a tag of before bundles. */
async function tagged(one: PushedImage, kind: "sig" | "att", prefix = ""): Promise<Json> {
  return await get(`${repositoryOf(one.pinned)}/manifests/${prefix}${one.digest.replace(":", "-")}.${kind}`);
}

async function blob(one: PushedImage, { digest }: Descriptor): Promise<string> {
  return await (await fetch(`${registry()}/v2/${repositoryOf(one.pinned)}/blobs/${digest}`)).text();
}

const schema = JSON.parse(
  readFileSync(new URL("../../../schema/result.schema.json", import.meta.url), "utf8"),
) as object;
const validate = new Ajv2020({ allErrors: true }).compile(schema);
/** Reads lines of standard output, each of which must be as the published schema says. */
function results(stdout: string): readonly Json[] {
  return stdout
    .trimEnd()
    .split("\n")
    .map((line) => {
      const result = JSON.parse(line) as Json;
      expect(validate(result), line).toBe(true);
      return result;
    });
}

/** Fails requests of one kind with status 500, from the NUMBERth on. */
function failing(method: string, path: RegExp, from = 1): Context["fetch"] {
  let count = 0;
  return async (url, init) => {
    if ((init?.method ?? "GET") === method && path.test(new URL(url).pathname) && ++count >= from)
      return new Response('{"errors":[{"code":"DENIED","message":"no"}]}', {
        status: 403,
        headers: { "content-type": "application/json" },
      });
    return await fetch(url, init);
  };
}

describe("sign", () => {
  test("attaches what cosign does, tells where, and writes nothing to standard output", async () => {
    const { status, stdout, stderr } = await sign([...TOKEN(), image.pinned]);
    expect([status, stdout]).toEqual([0, ""]);
    const { manifest, bundle, payload } = await attachedTo(image);
    const { verificationMaterial } = JSON.parse(bundle) as { verificationMaterial: { tlogEntries: Json[] } };
    const index = (verificationMaterial.tlogEntries[0]?.["logIndex"] as string | undefined) ?? "0";
    expect(stderr).toBe(`tlog entry created with index: ${index}\nPushing signature to: ${nameOf(image)}\n`);
    // sigstore/cosign specs/BUNDLE_SPEC.md, and what cosign 3.1.2 writes
    const digest = `sha256:${createHash("sha256").update(bundle).digest("hex")}`;
    expect(manifest).toEqual({
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      config: {
        mediaType: "application/vnd.oci.empty.v1+json",
        size: 2,
        digest: "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        artifactType: BUNDLE,
      },
      layers: [{ mediaType: BUNDLE, size: Buffer.byteLength(bundle), digest }],
      annotations: {
        "dev.sigstore.bundle.content": "dsse-envelope",
        "dev.sigstore.bundle.predicateType": "https://sigstore.dev/cosign/sign/v1",
        "org.opencontainers.image.created": expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/) as unknown,
      },
      subject: expect.objectContaining({ digest: image.digest }) as unknown,
      artifactType: BUNDLE,
    });
    expect(JSON.parse(payload)).toEqual({
      _type: "https://in-toto.io/Statement/v1",
      subject: [{ digest: { sha256: image.digest.slice(7) }, annotations: {} }],
      predicateType: "https://sigstore.dev/cosign/sign/v1",
      predicate: {},
    });
    expect(await verify(image.pinned)).toBe("status 0");
  });

  test("warns of a tag, and names the digest in the result", async () => {
    const { status, stdout, stderr } = await sign([...TOKEN(), "--output=json", image.tagged]);
    expect(status).toBe(0);
    expect(stderr).toMatch(/^WARNING: .*by the tag "v1", which may be moved/);
    const [descriptor] = await referrersOf(image);
    expect(results(stdout)).toEqual([
      expect.objectContaining({
        verdict: "signed",
        artifact: image.pinned,
        image: image.tagged,
        pinned: image.pinned,
        imageDigest: image.digest,
        attached: { via: "referrers-api", location: `${nameOf(image)}@${descriptor?.digest}` },
      }),
    ]);
  });

  test("signs several images, and with --recursive all of an index, with one token and one certificate", async () => {
    const index = await images.pushIndex();
    world().sandbox.clearRequests();
    const { status, stdout, stderr } = await sign([...TOKEN(), "--output=json", "-r", image.pinned, index.pinned]);
    expect([status, outcome({ status, stdout, stderr })]).toEqual([0, "status 0"]);
    expect(requestsOf(world().sandbox).filter((service) => service === "fulcio")).toHaveLength(1);
    expect(results(stdout).map(({ imageDigest, platform }) => [imageDigest, platform])).toEqual([
      [image.digest, undefined],
      [index.digest, undefined],
      [index.leaves[0], "linux/amd64"],
      [index.leaves[1], "linux/arm64"],
    ]);
    for (const digest of [index.digest, ...index.leaves]) expect(await referrersOf(index, digest)).toHaveLength(1);
    expect(await verify(index.pinned, "--digest-rule", "every-leaf")).toBe("status 0");
  });

  test("signs nothing below an index without --recursive, and with --platform one manifest", async () => {
    const index = await images.pushIndex();
    await sign([...TOKEN(), index.pinned]);
    expect(await referrersOf(index, index.leaves[1])).toEqual([]);
    const { stdout } = await sign([...TOKEN(), "--platform=linux/arm64", "--output=json", index.tagged]);
    expect(results(stdout)).toEqual([
      expect.objectContaining({
        image: index.tagged,
        pinned: `${nameOf(index)}@${index.leaves[1]}`,
        imageDigest: index.leaves[1],
        platform: "linux/arm64",
      }),
    ]);
    expect(await referrersOf(index, index.leaves[1])).toHaveLength(1);
    expect(await referrersOf(index, index.leaves[0])).toEqual([]);
    expect(await referrersOf(index)).toHaveLength(1);
    expect(outcome(await sign([...TOKEN(), "--platform=windows/amd64", index.tagged]))).toBe("PLATFORM_NOT_FOUND");
  });

  test("-a signs annotations; a comma separates them, and the first equals sign ends a name", async () => {
    expect((await sign([...TOKEN(), "-a", "team=a=b,stage=", "-a", "who=<me>", image.pinned])).status).toBe(0);
    const { payload } = await attachedTo(image);
    const { subject } = JSON.parse(payload) as { subject: readonly Json[] };
    expect(subject[0]?.["annotations"]).toEqual({ team: "a=b", stage: "", who: "<me>" });
    expect(await verify(image.pinned, "-a", "team=a=b")).toBe("status 0");
  });

  test.each([["team"], ["=release"], ["team=a,team=b"], [""]])("-a %j is refused", async (text) => {
    expect(outcome(await sign([...TOKEN(), "-a", text, image.pinned]))).toBe("USAGE_INVALID");
    expect(requestsOf(world().sandbox)).toEqual([]);
  });

  test("--bundle writes what is attached", async () => {
    const { stderr } = await sign([...TOKEN(), "--bundle", folder.at("b.json"), image.pinned]);
    expect(stderr).toContain(`Wrote bundle to file ${folder.at("b.json")}\n`);
    expect(folder.read("b.json")).toBe((await attachedTo(image)).bundle);
  });

  test("--upload=false attaches nothing, tries nothing, and needs --bundle", async () => {
    const refused = await sign([...TOKEN(), "--upload=false", image.pinned]);
    // cosign's own words
    expect(refused.stderr).toContain(
      "must enable upload to the OCI registry or specify a local --bundle path with --new-bundle-format",
    );
    expect(outcome(refused)).toBe("USAGE_INVALID");
    // With a bundle, cosign ignores this flag.
    const ignored = await sign([...TOKEN(), "--upload=false", "--output-signature", folder.at("sig"), image.pinned]);
    expect(outcome(ignored)).toBe("USAGE_INVALID");
    world().sandbox.clearRequests();
    const { status, stderr } = await sign([
      ...TOKEN(),
      "--upload=false",
      "--bundle",
      folder.at("b.json"),
      image.pinned,
    ]);
    expect(status).toBe(0);
    expect(stderr).not.toContain("Pushing");
    expect(await referrersOf(image)).toEqual([]);
    expect(
      world().sandbox.requests.filter(({ service, method }) => service === "registry" && method !== "GET"),
    ).toEqual([]);
    expect((await run(["attach", "signature", "--bundle", folder.at("b.json"), image.pinned])).status).toBe(0);
    expect(await verify(image.pinned)).toBe("status 0");
  });

  test("several signatures are written to no one file, but each to its own", async () => {
    const index = await images.pushIndex();
    const refused = await sign([...TOKEN(), "--bundle", folder.at("b.json"), "-r", index.pinned]);
    expect(outcome(refused)).toBe("USAGE_INVALID");
    expect(requestsOf(world().sandbox).filter((service) => service !== "registry")).toEqual([]);
    expect((await sign([...TOKEN(), "--bundle", `${folder.at("")}/{name}.json`, "-r", index.pinned])).status).toBe(0);
    for (const digest of [index.digest, ...index.leaves]) {
      const file = `${repositoryOf(index.pinned)}@${digest}.json`;
      expect(folder.read(file)).toBe((await attachedTo(index, digest)).bundle);
    }
  });

  test("COSIGN_REPOSITORY keeps signatures elsewhere", async () => {
    const elsewhere = `${repositoryOf(image.pinned)}-signatures`;
    const surroundings = { environment: { COSIGN_REPOSITORY: `${images.host}/${elsewhere}` } };
    const { stderr } = await sign([...TOKEN(), image.pinned], surroundings);
    expect(stderr).toContain(`Pushing signature to: ${images.host}/${elsewhere}\n`);
    expect(await referrersOf(image)).toEqual([]);
    const { payload } = await attachedTo(image, image.digest, elsewhere);
    expect(payload).toContain(image.digest.slice(7));
  });

  test.for<readonly [string, () => readonly string[], string]>([
    ["an image that is not there", () => [`${images.host}/none:v1`], "IMAGE_NOT_FOUND"],
    ["a digest that is not there", () => [`${nameOf(image)}@sha256:${"ab".repeat(32)}`], "IMAGE_NOT_FOUND"],
    ["one of several that is not there", () => [image.pinned, `${images.host}/none:v1`], "IMAGE_NOT_FOUND"],
    ["a malformed reference", () => ["app:a:b"], "REFERENCE_MALFORMED"],
    ["no image", () => [], "USAGE_INVALID"],
    ["--payload", () => ["--payload", "file", image.pinned], "USAGE_INVALID"],
    ["--attachment", () => ["--attachment", "sbom", image.pinned], "USAGE_INVALID"],
    [
      "--sign-container-identity without the old format",
      () => ["--sign-container-identity", "x", image.pinned],
      "USAGE_INVALID",
    ],
    [
      "--registry-referrers-mode=oci-1-1 without COSIGN_EXPERIMENTAL",
      () => ["--registry-referrers-mode=oci-1-1", image.pinned],
      "USAGE_INVALID",
    ],
    ["--sk", () => ["--sk", image.pinned], "USAGE_INVALID"],
    ["--offline", () => ["--offline", image.pinned], "OFFLINE"],
  ])("refuses %s before anything is asked of a service", async ([, words, code]) => {
    expect(outcome(await sign([...TOKEN(), ...words()]))).toBe(code);
    expect(requestsOf(world().sandbox).filter((service) => service !== "registry")).toEqual([]);
  });

  test("tells a refusal in JSON", async () => {
    const { stdout } = await sign([...TOKEN(), "--output=json", `${images.host}/none:v1`]);
    expect(results(stdout)).toMatchObject([{ verdict: "failed", error: { code: "IMAGE_NOT_FOUND" } }]);
  });

  test("--explain signs nothing, keeps nothing, and says what would be signed", async () => {
    const { status, stdout } = await sign([...TOKEN(), "--explain", "--output=json", image.pinned]);
    expect(status).toBe(0);
    const [explained] = results(stdout);
    const [artifact] = (explained?.["artifacts"] ?? []) as readonly Json[];
    expect(artifact).toMatchObject({ artifact: image.pinned, kind: "statement" });
    expect(requestsOf(world().sandbox)).toEqual([]);
    await sign([...TOKEN(), image.pinned]);
    const { payload } = await attachedTo(image);
    expect(artifact?.["digest"]).toBe(`sha256:${createHash("sha256").update(payload).digest("hex")}`);
  });

  test("asks once for all images, and a no leaves nothing public", async () => {
    const other = await images.push();
    const words = ["sign", ...LEGACY().slice(1), "--fulcio-url", world().sandbox.urls.fulcio];
    const names = [image.pinned, other.pinned];
    const token = ["--identity-token", world().token];
    world().sandbox.clearRequests();
    const no = await run([...words, ...token, ...names], { stdin: input("n\n") });
    expect(outcome(no)).toBe("CONSENT_MISSING");
    expect(requestsOf(world().sandbox).filter((service) => service === "rekor1")).toEqual([]);
    const yes = await run([...words, ...token, ...names], { stdin: input("y\n") });
    expect([yes.status, yes.stderr.split("[y/N]").length]).toEqual([0, 2]);
    expect(yes.stderr.split("This becomes public:").length).toBe(2);
  });

  test.each([
    ["--record-creation-timestamp", "Flag --record-creation-timestamp has been deprecated"],
    ["--output-payload=x", "--output-payload is deprecated when using --new-bundle-format and will be ignored"],
    ["--output-signature=x", "--output-signature is deprecated when using --new-bundle-format and will be ignored"],
    ["--registry-referrers-mode=legacy", "Flag --registry-referrers-mode has been deprecated"],
  ])("%s changes nothing of a bundle, and says so", async (flag, warning) => {
    const { status, stderr } = await sign([...TOKEN(), flag, image.pinned]);
    expect(status).toBe(0);
    expect(stderr).toContain(warning);
    expect(await verify(image.pinned)).toBe("status 0");
    expect(folder.has("x")).toBe(false);
  });
});

describe("sign, where the registry takes nothing", () => {
  test("makes nothing public: credentials are tried before a token is asked for", async () => {
    const closed = await startSandbox({ registry: { always: ["token-auth"] } });
    try {
      const host = new URL(closed.urls.registry).host;
      const layout = folder.at("layout");
      await run(["save", "--dir", layout, image.pinned]);
      const owner = ["--registry-username", "sandbox", "--registry-password", "sandbox"];
      expect((await run(["load", "--dir", layout, ...owner, `${host}/app:v1`])).status).toBe(0);
      closed.clearRequests();
      const config = ["--signing-config", closed.paths.signingConfig, "--trusted-root", closed.paths.trustedRoot];
      const token = ["--identity-token", await closed.token("email", { email: ALICE })];
      closed.clearRequests();
      const words = ["sign", ...config, ...token, "--yes", `${host}/app@${image.digest}`];
      expect(outcome(await run(words))).toBe("REGISTRY_UNAUTHORIZED");
      expect(new Set(closed.requests.map(({ service }) => service))).toEqual(new Set(["registry"]));
      expect((await run([...words.slice(0, -1), ...owner, words.at(-1) ?? ""])).status).toBe(0);
    } finally {
      await closed.close();
    }
  });

  test("looks at every image before the first is signed", async () => {
    const other = await images.push();
    const path = new RegExp(`/v2/${repositoryOf(other.pinned)}/blobs/uploads/`);
    world().sandbox.clearRequests();
    const refused = await sign([...TOKEN(), image.pinned, other.pinned], { fetch: failing("POST", path) });
    expect(outcome(refused)).toBe("REGISTRY_UNAUTHORIZED");
    expect(requestsOf(world().sandbox).filter((service) => service !== "registry")).toEqual([]);
    expect(await referrersOf(image)).toEqual([]);
  });

  test.each(["bundle", "legacy"] as const)(
    "writes a signature that is public and cannot be kept to standard output: %s",
    async (format) => {
      const words = format === "bundle" ? ["sign", ...world().config] : ["sign", ...LEGACY()];
      const surroundings = { ...withKey(), fetch: failing("PUT", /\/manifests\//) };
      const refused = await run([...words, ...KEY(), image.pinned], surroundings);
      expect(outcome(refused)).toBe("REGISTRY_UNAUTHORIZED");
      expect(refused.stderr).toContain("could not be kept in the registry: the bundle follows on standard output");
      expect((JSON.parse(refused.stdout) as Json)["mediaType"]).toBe(BUNDLE);
      if (format === "legacy") return;
      folder.write("b.json", refused.stdout);
      expect((await run(["attach", "signature", "--bundle", folder.at("b.json"), image.pinned])).status).toBe(0);
      const key = ["--key", folder.at("cosign.pub"), "--trusted-root", world().sandbox.paths.trustedRoot];
      expect((await run(["verify", ...key, image.pinned])).status).toBe(0);
    },
  );

  test("names the file where --bundle has it already", async () => {
    const words = [...TOKEN(), "--bundle", folder.at("b.json"), image.pinned];
    const refused = await sign(words, { fetch: failing("PUT", /\/manifests\//) });
    expect(refused.stdout).toBe("");
    expect(refused.stderr).toContain("the bundle is in the file that --bundle names; attach it with cosign-ts attach");
    expect((JSON.parse(folder.read("b.json")) as Json)["mediaType"]).toBe(BUNDLE);
  });

  test("--resume-state keeps what was made until it is attached, so that nothing is public twice", async () => {
    const words = [...TOKEN(), "--resume-state", folder.at("state"), "--output=json", image.pinned];
    const refused = await sign(words, { fetch: failing("PUT", /\/manifests\//) });
    expect(outcome(refused)).toBe("REGISTRY_UNAUTHORIZED");
    expect(requestsOf(world().sandbox)).toContain("rekor1");
    world().sandbox.clearRequests();
    const { stdout } = await sign(words);
    expect(results(stdout)).toMatchObject([{ verdict: "signed", resumed: true }]);
    expect(requestsOf(world().sandbox).filter((service) => service !== "registry")).toEqual([]);
    expect((await attachedTo(image)).bundle).toBe(refused.stdout.split("\n")[0]);
    expect(folder.has("state")).toBe(false);
    expect(await verify(image.pinned)).toBe("status 0");
  });

  test("goes on with the other images, and says how many were not signed", async () => {
    const other = await images.push();
    const path = new RegExp(`/v2/${repositoryOf(image.pinned)}/manifests/`);
    const words = [...TOKEN(), "--bundle", `${folder.at("")}/{name}`, "--output=json", image.pinned, other.pinned];
    const { status, stdout, stderr } = await sign(words, { fetch: failing("PUT", path) });
    expect(status).toBe(1);
    expect(stderr).toContain("1 of 2 images were not signed\n");
    expect(stderr).toContain(`Error: signing ${image.pinned}: `);
    expect(results(stdout)).toMatchObject([
      { verdict: "failed", artifact: image.pinned, error: { code: "REGISTRY_UNAUTHORIZED" } },
      { verdict: "signed", artifact: other.pinned },
    ]);
    expect(await verify(other.pinned)).toBe("status 0");
  });
});

describe("sign, as before bundles", () => {
  test("puts a layer under the tag, without a bundle, at zero time", async () => {
    const { status, stdout, stderr } = await signLegacy([image.pinned]);
    expect([status, stdout]).toEqual([0, ""]);
    expect(stderr).toContain(`Pushing signature to: ${nameOf(image)}\n`);
    const manifest = await tagged(image, "sig");
    const [layer] = manifest["layers"] as readonly [Descriptor];
    expect(layer.mediaType).toBe("application/vnd.dev.cosign.simplesigning.v1+json");
    expect(Object.keys(layer.annotations ?? {}).toSorted()).toEqual([
      "dev.cosignproject.cosign/signature",
      "dev.sigstore.cosign/bundle",
    ]);
    // sigstore/cosign specs/SIGNATURE_SPEC.md
    expect(await blob(image, layer)).toBe(
      `{"critical":{"identity":{"docker-reference":"${nameOf(image)}"},"image":{"docker-manifest-digest":"${image.digest}"},"type":"cosign container image signature"},"optional":null}`,
    );
    const config = JSON.parse(await blob(image, manifest["config"] as Descriptor)) as Json;
    expect(config).toMatchObject({ created: "0001-01-01T00:00:00Z", rootfs: { diff_ids: [layer.digest] } });
    expect(await referrersOf(image)).toEqual([]);
  });

  test.each([
    ["the clock", {}, "2026-01-02T03:04:05Z"],
    ["SOURCE_DATE_EPOCH", { SOURCE_DATE_EPOCH: "86400" }, "1970-01-02T00:00:00Z"],
  ] as const)("--record-creation-timestamp writes the time of %s", async (_name, environment, created) => {
    const clock = { now: () => new Date("2026-01-02T03:04:05.678Z"), ...withKey(environment) };
    // The log's answer is judged by the same clock, so there is no log here.
    const none = folder.write("none.json", JSON.stringify({ mediaType: mediaTypeOfConfig() }));
    const words = ["sign", "--new-bundle-format=false", "--signing-config", none, ...KEY()];
    const signed = await run([...words, "--record-creation-timestamp", image.pinned], clock);
    expect([signed.status, signed.stderr]).toEqual([0, expect.any(String)]);
    const manifest = await tagged(image, "sig");
    expect(JSON.parse(await blob(image, manifest["config"] as Descriptor))).toMatchObject({ created });
  });

  test("a SOURCE_DATE_EPOCH that is no number is refused, where it is used", async () => {
    const wrong = { SOURCE_DATE_EPOCH: "yesterday" };
    const refused = await signLegacy(["--record-creation-timestamp", image.pinned], wrong);
    expect([outcome(refused), refused.stderr.includes("SOURCE_DATE_EPOCH")]).toEqual(["USAGE_INVALID", true]);
    expect((await signLegacy([image.pinned], wrong)).status).toBe(0);
  });

  test("COSIGN_DOCKER_MEDIA_TYPES=1 uses Docker's types", async () => {
    await signLegacy([image.pinned], { COSIGN_DOCKER_MEDIA_TYPES: "1" });
    const { mediaType, config } = await tagged(image, "sig");
    expect([mediaType, (config as Descriptor).mediaType]).toEqual([
      "application/vnd.docker.distribution.manifest.v2+json",
      "application/vnd.docker.container.image.v1+json",
    ]);
  });

  test("--attachment-tag-prefix comes before the tag", async () => {
    await signLegacy(["--attachment-tag-prefix=old-", image.pinned]);
    expect(await tagged(image, "sig", "old-")).toMatchObject({ status: 200 });
    expect(await tagged(image, "sig")).toMatchObject({ status: 404 });
  });

  test("--sign-container-identity makes one signature for each, and writes none over another", async () => {
    const names = ["--sign-container-identity", "r.example/a", "--sign-container-identity", "r.example/b"];
    const refused = await signLegacy([...names, "--bundle", folder.at("b.json"), image.pinned]);
    expect(outcome(refused)).toBe("USAGE_INVALID");
    expect((await signLegacy([...names, image.pinned])).status).toBe(0);
    const { layers } = (await tagged(image, "sig")) as { layers: readonly Descriptor[] };
    const payloads = await Promise.all(layers.map((layer) => blob(image, layer)));
    expect(payloads.map((text) => /"docker-reference":"([^"]*)"/.exec(text)?.[1])).toEqual([
      "r.example/a",
      "r.example/b",
    ]);
  });

  test("--registry-referrers-mode=oci-1-1 attaches a manifest, for who asks twice", async () => {
    const mode = "--registry-referrers-mode=oci-1-1";
    expect(outcome(await signLegacy([mode, image.pinned]))).toBe("USAGE_INVALID");
    expect(outcome(await sign([...TOKEN(), mode, image.pinned], withKey({ COSIGN_EXPERIMENTAL: "1" })))).toBe(
      "USAGE_INVALID",
    );
    expect((await signLegacy([mode, image.pinned], { COSIGN_EXPERIMENTAL: "1" })).status).toBe(0);
    const [descriptor] = await referrersOf(image);
    const manifest = await get(`${repositoryOf(image.pinned)}/manifests/${descriptor?.digest}`);
    const type = "application/vnd.dev.cosign.artifact.sig.v1+json";
    expect(manifest).toMatchObject({
      artifactType: type,
      config: { mediaType: type },
      subject: { digest: image.digest },
    });
    expect(await tagged(image, "sig")).toMatchObject({ status: 404 });
  });

  test("makes nothing public that this form cannot hold", async () => {
    const { signingConfig, trustedRoot } = world().sandbox.paths;
    const words = [
      "sign",
      "--new-bundle-format=false",
      "--signing-config",
      signingConfig,
      "--trusted-root",
      trustedRoot,
    ];
    const refused = await run([...words, ...TOKEN(), "--bundle={name}", image.pinned]);
    expect(refused.status).toBe(1);
    expect(requestsOf(world().sandbox).filter((service) => service !== "registry")).toEqual([]);
  });

  test("--upload=false --output-signature writes the signature, of which the payload comes from generate", async () => {
    const refused = await signLegacy(["--upload=false", image.pinned]);
    expect(outcome(refused)).toBe("USAGE_INVALID");
    const { status } = await signLegacy(["--upload=false", "--output-signature", folder.at("sig"), image.pinned]);
    expect(status).toBe(0);
    expect(await tagged(image, "sig")).toMatchObject({ status: 404 });
    const payload = folder.write("payload", (await run(["generate", image.pinned])).stdout);
    const key = ["--key", folder.at("cosign.pub"), "--insecure-ignore-tlog"];
    expect(outcome(await run(["verify-blob", ...key, "--signature", folder.at("sig"), payload]))).toBe("status 0");
  });
});

function mediaTypeOfConfig(): string {
  const { mediaType } = JSON.parse(readFileSync(world().sandbox.paths.signingConfig, "utf8")) as { mediaType: string };
  return mediaType;
}

describe("attest", () => {
  const predicate = '{"big":12345678901234567890,"text":"<&>"}';
  const about = (digest: string): string =>
    `{ "_type": "https://in-toto.io/Statement/v1", "subject": [{"digest": {"sha256": "${digest.slice(7)}"}}], "predicateType": "${TYPE}", "predicate": {"n": 1.0} }`;

  test("signs a predicate as it is written, about the repository and its digest", async () => {
    const words = ["--predicate", folder.write("p.json", `${predicate}\n`), "--type", TYPE];
    const { status, stdout, stderr } = await attest([...TOKEN(), ...words, image.pinned]);
    expect([status, stdout]).toEqual([0, ""]);
    expect(stderr).toContain(`Pushing attestation to: ${nameOf(image)}\n`);
    const { manifest, payload } = await attachedTo(image);
    expect(manifest["annotations"]).toMatchObject({ "dev.sigstore.bundle.predicateType": TYPE });
    expect(payload).toContain(`"predicate":${predicate}}`);
    // As cosign 3.1.2 writes it
    expect(JSON.parse(payload)).toMatchObject({
      _type: "https://in-toto.io/Statement/v0.1",
      predicateType: TYPE,
      subject: [{ name: nameOf(image), digest: { sha256: image.digest.slice(7) } }],
    });
  });

  test("reads a predicate from standard input, and gives it a type by its short name", async () => {
    const words = ["--predicate=-", "--type=cyclonedx", image.pinned];
    expect((await attest([...TOKEN(), ...words], { stdin: input("{}") })).status).toBe(0);
    expect((await attachedTo(image)).payload).toContain('"https://cyclonedx.org/bom"');
  });

  test("gives every image of an index a statement of its own, with one certificate", async () => {
    const index = await images.pushIndex();
    world().sandbox.clearRequests();
    const words = ["--predicate", folder.write("p.json", "{}"), "--type", TYPE, "-r", index.pinned];
    expect((await attest([...TOKEN(), ...words])).status).toBe(0);
    expect(requestsOf(world().sandbox).filter((service) => service === "fulcio")).toHaveLength(1);
    for (const digest of [index.digest, ...index.leaves])
      expect((await attachedTo(index, digest)).payload).toContain(digest.slice(7));
  });

  test("--statement is signed byte for byte", async () => {
    const words = ["--statement", folder.write("s.json", about(image.digest)), image.pinned];
    expect((await attest([...TOKEN(), ...words])).status).toBe(0);
    expect((await attachedTo(image)).payload).toBe(about(image.digest));
  });

  test.for<readonly [string, () => readonly string[], string]>([
    ["neither predicate nor statement", () => [], "USAGE_INVALID"],
    ["both", () => ["--predicate=p.json", "--statement=s.json"], "USAGE_INVALID"],
    [
      "a statement about another image",
      () => ["--statement", folder.write("s.json", about(`sha256:${"ab".repeat(32)}`))],
      "SUBJECT_MISMATCH",
    ],
    ["what is no statement", () => ["--statement", folder.write("s.json", "{}")], "STATEMENT_MALFORMED"],
    [
      "one statement with --recursive",
      () => ["--statement", folder.write("s.json", about(image.digest)), "-r"],
      "USAGE_INVALID",
    ],
    [
      "one statement about two images",
      () => ["--statement", folder.write("s.json", about(image.digest)), image.tagged],
      "USAGE_INVALID",
    ],
    [
      "a predicate that is no JSON",
      () => ["--predicate", folder.write("p.json", "{"), "--type", TYPE],
      "STATEMENT_MALFORMED",
    ],
    [
      "a type that is neither",
      () => ["--predicate", folder.write("p.json", "{}"), "--type", "no such type"],
      "USAGE_INVALID",
    ],
    [
      "--no-upload without --bundle",
      () => ["--predicate", folder.write("p.json", "{}"), "--no-upload"],
      "USAGE_INVALID",
    ],
    ["--replace of bundles", () => ["--predicate", folder.write("p.json", "{}"), "--replace"], "USAGE_INVALID"],
    [
      "an unknown --rekor-entry-type",
      () => ["--predicate", folder.write("p.json", "{}"), "--rekor-entry-type=tuf"],
      "USAGE_INVALID",
    ],
  ])("refuses %s, before anything is public", async ([, words, code]) => {
    expect(outcome(await attest([...TOKEN(), ...words(), image.pinned]))).toBe(code);
    expect(requestsOf(world().sandbox).filter((service) => service !== "registry")).toEqual([]);
  });

  test("compares a statement with the image before services are chosen", async () => {
    const statement = folder.write("s.json", about(`sha256:${"ab".repeat(32)}`));
    const registryAlone: Context["fetch"] = async (url, init) => {
      if (!url.startsWith(registry())) throw new Error("something else than the registry was asked");
      return await fetch(url, init);
    };
    const words = ["attest", "--identity-token", world().token, "--statement", statement, image.pinned];
    expect(outcome(await run(words, { fetch: registryAlone }))).toBe("SUBJECT_MISMATCH");
  });

  test("knows a wrong type before the image is looked up", async () => {
    const words = ["--predicate", folder.write("p.json", "{}"), "--type", "no such type", image.tagged];
    expect(outcome(await attest([...TOKEN(), ...words]))).toBe("USAGE_INVALID");
    expect(world().sandbox.requests).toEqual([]);
  });

  test("--no-upload --bundle attaches nothing", async () => {
    const words = ["--predicate", folder.write("p.json", predicate), "--no-upload", "--bundle", folder.at("b.json")];
    expect((await attest([...TOKEN(), ...words, image.pinned])).status).toBe(0);
    expect(await referrersOf(image)).toEqual([]);
    expect(folder.read("b.json")).toContain('"dsseEnvelope"');
  });

  test("as before bundles: a layer with its type, which --replace puts in the place of its like", async () => {
    const legacy = (type: string, text: string, ...more: string[]): Promise<Run> =>
      run(
        [
          "attest",
          ...LEGACY(),
          ...KEY(),
          "--type",
          type,
          "--predicate",
          folder.write("p.json", text),
          ...more,
          image.pinned,
        ],
        withKey(),
      );
    await legacy(TYPE, '{"n":1}');
    await legacy("https://example.com/other/v1", '{"n":2}');
    await legacy(TYPE, '{"n":3}');
    const types = async (): Promise<readonly unknown[]> =>
      ((await tagged(image, "att")) as { layers: readonly Descriptor[] }).layers.map(
        ({ annotations }) => annotations?.["predicateType"],
      );
    expect(await types()).toEqual([TYPE, "https://example.com/other/v1", TYPE]);
    expect((await legacy(TYPE, '{"n":4}', "--replace")).status).toBe(0);
    expect(await types()).toEqual([TYPE, "https://example.com/other/v1"]);
  });
});

describe("generate", () => {
  const payload = (name: string, optional: string): string =>
    `{"critical":{"identity":{"docker-reference":"${name}"},"image":{"docker-manifest-digest":"${image.digest}"},"type":"cosign container image signature"},"optional":${optional}}`;

  test("writes the payload that cosign would, without a newline", async () => {
    expect((await run(["generate", image.tagged])).stdout).toBe(payload(nameOf(image), "null"));
    // Go's encoding/json: keys in order, and no HTML
    const { stdout } = await run(["generate", "-a", "z=1,a=<b>", image.tagged]);
    expect(stdout).toBe(payload(nameOf(image), String.raw`{"a":"\u003cb\u003e","z":"1"}`));
  });

  test("asks for nothing where the digest is given, and calls Docker Hub what cosign calls it", async () => {
    const offline: Partial<Context> = { fetch: () => Promise.reject(new Error("a socket was opened")) };
    const { stdout } = await run(["generate", `alpine@${image.digest}`], offline);
    expect(stdout).toBe(payload("index.docker.io/library/alpine", "null"));
  });

  test("names the digest in JSON, and refuses there, too", async () => {
    const { stdout } = await run(["generate", "--output=json", image.tagged]);
    const result = JSON.parse(stdout) as Json;
    expect(result).toMatchObject({ image: image.tagged, digest: image.digest });
    expect(Buffer.from(result["payload"] as string, "base64").toString()).toBe(payload(nameOf(image), "null"));
    const refused = await run(["generate", "--output=json", `${images.host}/none:v1`]);
    expect([refused.status, JSON.parse(refused.stdout)]).toMatchObject([1, { error: { code: "IMAGE_NOT_FOUND" } }]);
  });
});

describe("triangulate", () => {
  test.each([
    [[], ".sig"],
    [["--type=signature"], ".sig"],
    [["--type=attestation"], ".att"],
    [["--type=sbom"], ".sbom"],
    [["--type=referrers"], ""],
  ])("%j names the tag", async (words, suffix) => {
    const { stdout } = await run(["triangulate", ...words, image.tagged]);
    expect(stdout).toBe(`${nameOf(image)}:${image.digest.replace(":", "-")}${suffix}\n`);
  });

  test("--type=digest names the image", async () => {
    expect((await run(["triangulate", "--type=digest", image.tagged])).stdout).toBe(`${image.pinned}\n`);
  });

  test("asks for nothing where the digest is given; knows COSIGN_REPOSITORY and the prefix", async () => {
    const offline: Partial<Context> = {
      fetch: () => Promise.reject(new Error("a socket was opened")),
      environment: { COSIGN_REPOSITORY: "registry.example/signatures" },
    };
    const { stdout } = await run(
      ["triangulate", "--attachment-tag-prefix=old-", `r.example/app@${image.digest}`],
      offline,
    );
    expect(stdout).toBe(`registry.example/signatures:old-${image.digest.replace(":", "-")}.sig\n`);
  });

  test("is an error for a tag that is not there, or an unknown type", async () => {
    expect(outcome(await run(["triangulate", `${images.host}/none:v1`]))).toBe("IMAGE_NOT_FOUND");
    expect(outcome(await run(["triangulate", "--type=layer", image.tagged]))).toBe("USAGE_INVALID");
    const { stdout } = await run(["triangulate", "--output=json", image.tagged]);
    expect(JSON.parse(stdout)).toEqual({
      version: 1,
      verdict: "named",
      image: image.tagged,
      digest: image.digest,
      type: "signature",
      reference: `${nameOf(image)}:${image.digest.replace(":", "-")}.sig`,
    });
  });
});
