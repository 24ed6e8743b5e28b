import { Ajv2020 } from "ajv/dist/2020.js";
import { createHash, X509Certificate } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Context } from "../../../src/cli/context.ts";
import { email, spkiOf } from "../../support/certificates.ts";
import {
  HOST,
  openImages,
  OTHER_DIGEST,
  payloadFor,
  REPOSITORY,
  SIGN_PREDICATE,
  statementFor,
  type ImageWorld,
  type TestDescriptor,
} from "../../support/images.ts";
import { jsonFile, type Json } from "../../support/json-edits.ts";
import { legacyOf } from "../../support/legacy.ts";
import { runInProcess, type Run } from "../../support/program.ts";
import { ALICE, ISSUER, signerKeys } from "../../support/sandbox/authorities.ts";
import { bundleFrom, makeSandbox, rootText, type BundleOptions } from "../../support/sandbox/sandbox.ts";
import { projectDir } from "../../support/shared.ts";

const schema = JSON.parse(readFileSync(join(projectDir, "schema/result.schema.json"), "utf8")) as object;
const validate = new Ajv2020({ allErrors: true }).compile(schema);

/** Reads results, each of which must be as the published schema says. */
function results(stdout: string): readonly Json[] {
  return stdout
    .trimEnd()
    .split("\n")
    .map((line) => {
      const result = JSON.parse(line) as Json;
      expect(validate(result), JSON.stringify(validate.errors)).toBe(true);
      return result;
    });
}

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
const TYPE = "https://example.com/note/v1";
const sandbox = makeSandbox();
const folder = mkdtempSync(join(tmpdir(), "cosign-ts-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const write = (name: string, content: string): string => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};
const root = write("root.json", rootText(sandbox));
const alice = ["--certificate-identity", ALICE, "--certificate-oidc-issuer", ISSUER];
const keys = signerKeys();
const key = [
  "--key",
  write(
    "key.pub",
    `-----BEGIN PUBLIC KEY-----\n${Buffer.from(spkiOf(keys)).toString("base64")}\n-----END PUBLIC KEY-----\n`,
  ),
];

let world: ImageWorld;
beforeEach(() => {
  world = openImages(sandbox);
});

const run = (args: readonly string[], surroundings: Partial<Context> = {}): Promise<Run> =>
  runInProcess(args, { fetch: world.fetch, ...surroundings });
const verify = (...args: readonly string[]): Promise<Run> => run(["verify", "--trusted-root", root, ...args]);
const verifyAttestation = (...args: readonly string[]): Promise<Run> =>
  run(["verify-attestation", "--trusted-root", root, "--type", TYPE, ...args]);
const at = (tag: string): string => `${HOST}/${REPOSITORY}:${tag}`;
const codeOf = ({ stderr }: Run): string | undefined => /\[([A-Z_]+)\]\n$/.exec(stderr)?.[1];

const FORMATS = ["bundle", "legacy"] as const;
type Format = (typeof FORMATS)[number];

/** Attaches a signature, which says what a test changes. */
async function sign(image: TestDescriptor, format: Format, changes: Changes = {}): Promise<TestDescriptor> {
  const { about = image.digest, annotations, ...options } = changes;
  if (format === "legacy") {
    const optional = annotations === undefined ? {} : { optional: annotations };
    return await world.putLayers(image, "sig", [await world.legacySignature(payloadFor(about, optional), options)]);
  }
  const statement = statementFor(about, {}, annotations);
  return await world.attachBundle(image, bundleFrom(sandbox, { ...options, statement }).text);
}
type Changes = BundleOptions & { readonly about?: string; readonly annotations?: Json };

async function attest(image: TestDescriptor, format: Format, options: BundleOptions = {}, type = TYPE): Promise<void> {
  const statement = statementFor(image.digest, { predicateType: type });
  if (format === "bundle") await world.attachBundle(image, bundleFrom(sandbox, { ...options, statement }).text);
  else await world.putLayers(image, "att", [await world.legacyAttestation(statement, options)]);
}

/** Attaches what is no signature. */
async function attachOther(image: TestDescriptor): Promise<void> {
  const layers = [await world.blob("{}", "application/x")];
  await world.attachBundle(image, "{}", { artifactType: "application/x", layers });
}

describe("verify and verify-attestation, beside the real cosign", () => {
  // Hashes and texts are of standard output of cosign 3.1.2, run on 2026-11-26 with the same flags on testdata/image in a registry.
  const image = join(projectDir, "testdata/image");
  const trust = ["--trusted-root", join(image, "trusted_root.json")];
  const byAlice = [...trust, "--certificate-identity", ALICE, "--certificate-oidc-issuer", "http://127.0.0.1:4400"];
  const byKey = [...trust, "--key", join(image, "cosign.pub"), "--insecure-ignore-tlog"];
  const real = openImages(sandbox);
  const ask = (...args: readonly string[]): Promise<Run> => runInProcess(args, { fetch: real.fetch });

  beforeAll(async () => {
    for (const name of readdirSync(join(image, "blobs/sha256")))
      await real.blob(readFileSync(join(image, "blobs/sha256", name)), "any");
    for (const { digest, mediaType, annotations } of jsonFile("image/index.json")["manifests"] as readonly {
      readonly digest: string;
      readonly mediaType: string;
      readonly annotations?: Readonly<Record<string, string>>;
    }[])
      await real.registry.ask(`/v2/app/manifests/${annotations?.["org.opencontainers.image.ref.name"] ?? digest}`, {
        method: "PUT",
        headers: { "content-type": mediaType },
        body: readFileSync(join(image, "blobs/sha256", digest.slice(7))),
      });
  });

  test("prints older signatures and attestations byte for byte", async () => {
    const keyed =
      '\n[{"critical":{"identity":{"docker-reference":"127.0.0.1:4418/app"},"image":{"docker-manifest-digest":"sha256:667f31970855e71ae78e001a7a10294a5f3c7ca9ab8b8ed4da08a5505a535c99"},"type":"cosign container image signature"},"optional":null}]\n';
    expect((await ask("verify", ...byKey, at("cosign2-key"))).stdout).toBe(keyed);
    expect(sha256((await ask("verify", ...byAlice, at("cosign2"))).stdout)).toBe(
      "541776f6db23734e89dc687ce86aef984df36f0e5d36b83262c239fd645d4cf0",
    );
    expect((await ask("verify", ...byAlice, "-o", "text", at("cosign2"))).stdout).toBe(
      '{"critical":{"identity":{"docker-reference":"127.0.0.1:4418/app"},"image":{"docker-manifest-digest":"sha256:f5f4f2d0db1e6df61d98c58bbbf71048b9028472352a8ce580970518dab42535"},"type":"cosign container image signature"},"optional":{"env":"prod"}}\n',
    );
    expect(sha256((await ask("verify-attestation", ...byAlice, at("cosign2"))).stdout)).toBe(
      "54b8c37714e65da4dd323dc4b15d62bce218a8d207bacf906e3e75e077820e27",
    );
    expect(sha256((await ask("verify-attestation", ...byKey, at("cosign2-key"))).stdout)).toBe(
      "3615792c9f80fe3657575bd4d943cf8e0f99e0c55a21e2561abab01ffc215f98",
    );
  });

  test("prints bundles as it does, with what it leaves out: who signed, and when", async () => {
    const claims = (tag: string, digest: string): string =>
      `{"critical":{"identity":{"docker-reference":"${HOST}/app:${tag}"},"image":{"docker-manifest-digest":"${digest}"},"type":"https://sigstore.dev/cosign/sign/v1"},"optional":`;
    const digest = "sha256:3b2962cd02098653497206f44a6bf1308ac7602a11b7b36060987e62f0854188";
    const keyed = claims("cosign3-key", "sha256:3a3026cd5b911ec23e129b54e993c597440fba5bfe0c02ef3db375b8151d32a1");
    expect((await ask("verify", ...byKey, at("cosign3-key"))).stdout).toBe(`\n[${keyed}{}}]\n`);
    // cosign takes the attestation beside it for a signature as well.
    const text = await ask("verify", ...byAlice, "-o", "text", at("cosign3"));
    expect(text.stdout).toBe(`${claims("cosign3", digest)}{"env":"prod"}}\n`);
    expect(text.stderr).toContain(`Certificate subject: ${ALICE}\nCertificate issuer URL: http://127.0.0.1:4400\n`);
    const { stdout, stderr } = await ask("verify", ...byAlice, at("cosign3"));
    expect(stdout).toMatch(/^\n\[\{.*\}\]\n$/);
    expect(stdout).toContain(claims("cosign3", digest));
    const [element] = JSON.parse(stdout) as readonly [{ readonly optional: Json }];
    expect(element.optional).toEqual({
      "1.3.6.1.4.1.57264.1.1": "http://127.0.0.1:4400",
      Issuer: "http://127.0.0.1:4400",
      RFC3161Timestamp: { SignedRFC3161Timestamp: expect.stringMatching(/^MII/) as string },
      Subject: ALICE,
      env: "prod",
    });
    expect(stderr).toBe(`
Verification for ${at("cosign3")} --
The following checks were performed on each of these signatures:
  - The cosign claims were validated
  - Existence of the claims in the transparency log was verified offline
  - The signatures were integrated into the transparency log when the certificate was valid
  - The code-signing certificate was verified using trusted certificate authority certificates
`);
    expect(sha256((await ask("verify-attestation", ...byAlice, at("cosign3"))).stdout)).toBe(
      "bc2e5b077d020e4c9fa340d16f7feadb829ad08e2fb3ffebf4a8dd31044b916a",
    );
  });

  test("prints the same of an image on disk, in both formats, without a network", async () => {
    for (const [tag, who] of [
      ["cosign2", byAlice],
      ["cosign3", byAlice],
      ["cosign3-key", byKey],
    ] as const) {
      const path = `${image}:${tag}`;
      const local = await runInProcess(["verify", "--local-image", "--offline", ...who, path]);
      const remote = await ask("verify", ...who, at(tag));
      expect(local.status).toBe(0);
      expect(local.stdout).toBe(remote.stdout.replaceAll(`"${at(tag)}"`, JSON.stringify(path)));
    }
  });
});

describe("exit status", () => {
  test.for(FORMATS)("10, 12 and 13 in %s: nothing attached, nothing that proves it, no certificate", async (format) => {
    for (const [attach, ask, nothing, notAccepted] of [
      [sign, verify, "SIGNATURE_NOT_FOUND", "SIGNATURE_NOT_ACCEPTED"],
      [attest, verifyAttestation, "ATTESTATION_NOT_FOUND", "ATTESTATION_NOT_ACCEPTED"],
    ] as const) {
      const image = await world.image(`${format} ${nothing}`, "v1");
      const outcome = async (...who: readonly string[]): Promise<readonly unknown[]> => {
        const one = await ask(...who, at("v1"));
        return [one.status, one.stdout, codeOf(one)];
      };
      expect(await outcome(...alice)).toEqual([10, "", nothing]);
      await attach(image, format);
      expect((await ask(...alice, at("v1"))).status).toBe(0);
      expect(await outcome("--certificate-identity", "bob@example.com", "--certificate-oidc-issuer", ISSUER)).toEqual([
        12,
        "",
        notAccepted,
      ]);
      expect(await outcome(...key)).toEqual([12, "", notAccepted]);
      const keyed = await world.image(`${format} ${nothing} keyed`, "v1");
      await attach(keyed, format, { signer: { keys } });
      expect((await ask(...key, at("v1"))).status).toBe(0);
      expect(await outcome(...alice)).toEqual([13, "", "CERTIFICATE_MISSING"]);
    }
  });

  test("11 for a tag that is not there, and for a digest", async () => {
    for (const ask of [verify, verifyAttestation])
      for (const name of [at("nowhere"), `${HOST}/${REPOSITORY}@${OTHER_DIGEST}`]) {
        const one = await ask(...alice, name);
        expect([one.status, one.stdout, codeOf(one)]).toEqual([11, "", "IMAGE_NOT_FOUND"]);
        expect(one.stderr).toMatch(/^Error: image tag not found: /);
      }
  });

  test("1 for whatever else, which says nothing about signatures", async () => {
    for (const [code, ...args] of [
      ["USAGE_INVALID", at("v1")],
      ["USAGE_INVALID", ...alice, ...key, at("v1")],
      ["REFERENCE_MALFORMED", ...alice, "A B"],
      ["FILE_NOT_FOUND", "--key", join(folder, "nowhere.pub"), at("v1")],
    ]) {
      const one = await verify(...args);
      expect([one.status, codeOf(one)]).toEqual([1, code]);
    }
    world.intercept = () => new Response("", { status: 500 });
    const one = await verify(...alice, at("v1"));
    expect(one.status).toBe(1);
  });

  test("of several images: of the first that is not verified, and what is proven is printed all the same", async () => {
    await sign(await world.image("good", "good"), "bundle");
    await world.image("unsigned", "unsigned");
    await sign(await world.image("also", "also"), "legacy");
    const all = [at("nowhere"), at("good"), at("unsigned"), at("also")];
    const { status, stdout, stderr } = await verify(...alice, ...all);
    expect(status).toBe(11);
    const printed = stdout.split("\n").filter((line) => line !== "");
    expect(printed.map((line) => (JSON.parse(line) as readonly Json[]).length)).toEqual([1, 1]);
    expect(stderr.match(/^(Error: verifying|Verification for) \S+/gm)).toEqual([
      `Error: verifying ${at("nowhere")}:`,
      `Verification for ${at("good")}`,
      `Error: verifying ${at("unsigned")}:`,
      `Verification for ${at("also")}`,
    ]);
    const [, , ...others] = all;
    expect((await verify(...alice, ...others)).status).toBe(10);
    expect((await verify(...alice, at("good"), at("also"))).status).toBe(0);
    const told = results((await verify(...alice, "-o", "result", ...all)).stdout);
    expect(told.map(({ verdict, image }) => [verdict, image])).toEqual([
      ["refused", at("nowhere")],
      ["verified", at("good")],
      ["refused", at("unsigned")],
      ["verified", at("also")],
    ]);
  });
});

describe("--output", () => {
  test("result: the digest to pin, the evidence of each signature, and why others prove nothing", async () => {
    const image = await world.image("one", "v1");
    await sign(image, "bundle", { annotations: { env: "prod" } });
    await sign(image, "bundle", { signer: { request: { names: [email("bob@example.com")] } } });
    await attachOther(image);
    await sign(image, "legacy");
    const one = await verify(...alice, "--output", "result", at("v1"));
    const [result] = results(one.stdout);
    expect(one.status).toBe(0);
    expect(result).toMatchObject({
      version: 1,
      verdict: "verified",
      image: at("v1"),
      pinned: `${HOST}/${REPOSITORY}@${image.digest}`,
      digest: image.digest,
      digests: [{ digest: image.digest, linkage: [], signatures: [{ format: "bundle" }, { format: "legacy" }] }],
      refused: [{ format: "bundle", error: { code: "IDENTITY_MISMATCH" } }],
      unproven: [],
    });
    expect(JSON.stringify(result)).toContain('"annotations":{"env":"prod"}');
    expect(JSON.stringify(result)).toContain(`"subjectAlternativeName":{"kind":"email","value":"${ALICE}"}`);
  });

  test("json and result: a refusal is JSON too, with every candidate; without either, nothing is printed", async () => {
    const image = await world.image("refused", "v1");
    await sign(image, "bundle", { about: OTHER_DIGEST });
    await sign(image, "legacy", { about: OTHER_DIGEST });
    for (const output of ["json", "result"]) {
      const one = await verify(...alice, "-o", output, at("v1"));
      expect(one.status).toBe(12);
      expect(results(one.stdout)).toMatchObject([
        {
          verdict: "refused",
          error: { code: "SIGNATURE_NOT_ACCEPTED", kind: "VerificationError" },
          image: at("v1"),
          digest: image.digest,
          refused: [
            { format: "bundle", error: { code: "SUBJECT_MISMATCH" } },
            { format: "legacy", error: { code: "SUBJECT_MISMATCH" } },
          ],
        },
      ]);
      const nowhere = await verify(...alice, "-o", output, at("nowhere"));
      expect(results(nowhere.stdout)).toMatchObject([{ verdict: "refused", error: { code: "IMAGE_NOT_FOUND" } }]);
    }
    for (const output of [[], ["-o", "text"]]) expect((await verify(...alice, ...output, at("v1"))).stdout).toBe("");
  });

  test("of verify-attestation: one envelope a line, or all that was proven", async () => {
    const image = await world.image("attested", "v1");
    await attest(image, "bundle");
    await attest(image, "legacy");
    for (const output of [[], ["-o", "text"]]) {
      const { stdout } = await verifyAttestation(...alice, ...output, at("v1"));
      const envelopes = stdout
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as { readonly payload: string });
      expect(envelopes.map(({ payload }) => JSON.parse(Buffer.from(payload, "base64").toString()) as Json)).toEqual([
        statementFor(image.digest, { predicateType: TYPE }),
        statementFor(image.digest, { predicateType: TYPE }),
      ]);
    }
    for (const output of ["json", "result"]) {
      const one = await verifyAttestation(...alice, "-o", output, at("v1"));
      expect(results(one.stdout)).toMatchObject([
        { verdict: "verified", digests: [{ signatures: [{ format: "bundle" }, { format: "legacy" }] }] },
      ]);
      const refused = await verifyAttestation(...key, "-o", output, at("v1"));
      expect(results(refused.stdout)).toMatchObject([{ error: { code: "ATTESTATION_NOT_ACCEPTED" } }]);
    }
  });

  test("another one is an error before anything is asked", async () => {
    for (const ask of [verify, verifyAttestation])
      expect(codeOf(await ask(...alice, "-o", "yaml", at("v1")))).toBe("USAGE_INVALID");
    expect(world.requests).toEqual([]);
  });

  test("shows under the names of what is proven nothing that is merely claimed", async () => {
    const claimed = { Subject: "ceo@example.com", Issuer: ISSUER, githubWorkflowRef: "main", Bundle: {}, note: "x" };
    for (const format of FORMATS) {
      await sign(await world.image(`claimed ${format}`, "v1"), format, {
        signer: { keys },
        entries: [],
        timestamps: [],
        annotations: {
          ...claimed,
          RFC3161Timestamp: "now",
          "1.3.6.1.4.1.57264.1.1": ISSUER,
          ...(format === "bundle" && { Bundle: "x" }),
        },
      });
      const { stdout } = await verify(...key, "--insecure-ignore-tlog", at("v1"));
      expect((JSON.parse(stdout) as readonly Json[])[0]?.["optional"]).toEqual({ note: "x" });
    }
  });

  test("leaves the header without what was not checked", async () => {
    await sign(await world.image("unlogged", "v1"), "bundle", { signer: { keys }, entries: [], timestamps: [] });
    const lines = async (...args: readonly string[]): Promise<readonly string[]> =>
      (await verify(...args, at("v1"))).stderr.split("\n").filter((line) => line.startsWith("  - "));
    const byKey = "  - The signatures were verified against the specified public key";
    const claims = "  - The cosign claims were validated";
    expect(await lines(...key, "--insecure-ignore-tlog")).toEqual([claims, byKey]);
    expect(await lines(...key, "--insecure-ignore-tlog", "--check-claims=false")).toEqual([byKey]);
    await sign(await world.image("annotated", "v1"), "bundle", {
      annotations: { a: "b" },
      timestamps: [],
      signer: { keys },
    });
    expect(await lines(...key, "-a", "a=b")).toEqual([
      "  - The specified annotations were verified.",
      claims,
      "  - Existence of the claims in the transparency log was verified offline",
      byKey,
    ]);
  });
});

describe("flags, each of which alone makes the difference", () => {
  const outcome = async (ask: Promise<Run>): Promise<string | number> => {
    const one = await ask;
    return one.status === 0 ? 0 : (codeOf(one) ?? one.stderr);
  };

  test("--format", async () => {
    for (const format of FORMATS) {
      await sign(await world.image(format, format), format);
      const other = format === "bundle" ? "legacy" : "bundle";
      expect(await outcome(verify(...alice, "--format", "any", at(format)))).toBe(0);
      expect(await outcome(verify(...alice, "--format", format, at(format)))).toBe(0);
      expect(await outcome(verify(...alice, "--format", other, at(format)))).toBe("SIGNATURE_NOT_FOUND");
    }
  });

  test("--annotations, which a comma separates and which cannot be had unchecked", async () => {
    await sign(await world.image("annotated", "v1"), "bundle", { annotations: { a: "b", c: "d" } });
    expect(await outcome(verify(...alice, "-a", "a=b,c=d", at("v1")))).toBe(0);
    expect(await outcome(verify(...alice, "-a", "a=b", "-a", "c=x", at("v1")))).toBe("SIGNATURE_NOT_ACCEPTED");
    expect(await outcome(verify(...alice, "-a", "a=b", "--check-claims=false", at("v1")))).toBe("USAGE_INVALID");
  });

  test("--check-claims=false, with a warning", async () => {
    await sign(await world.image("other", "v1"), "legacy", { about: OTHER_DIGEST });
    expect(await outcome(verify(...alice, at("v1")))).toBe("SIGNATURE_NOT_ACCEPTED");
    const { status, stderr } = await verify(...alice, "--check-claims=false", at("v1"));
    expect([status, stderr]).toEqual([0, expect.stringMatching(/^WARNING: Skipping the claims proves nothing/)]);
    const [result] = results((await verify(...alice, "--check-claims=false", "-o", "result", at("v1"))).stdout);
    expect(result?.["unproven"]).not.toEqual([]);
  });

  test("--signature-predicate-type", async () => {
    const image = await world.image("typed", "v1");
    await attest(image, "bundle");
    const flag = "--signature-predicate-type";
    expect(await outcome(verify(...alice, at("v1")))).toBe("SIGNATURE_NOT_ACCEPTED");
    expect(await outcome(verify(...alice, flag, TYPE, at("v1")))).toBe(0);
    expect(await outcome(verify(...alice, flag, "unsafe-any", at("v1")))).toBe(0);
    expect(await outcome(verify(...alice, flag, SIGN_PREDICATE, at("v1")))).toBe("SIGNATURE_NOT_ACCEPTED");
  });

  test("--type, whose default is cosign's own", async () => {
    await attest(await world.image("typed", "v1"), "bundle");
    const ask = ["verify-attestation", "--trusted-root", root, ...alice];
    expect(await outcome(run([...ask, "--type", TYPE, at("v1")]))).toBe(0);
    expect(await outcome(run([...ask, at("v1")]))).toBe("ATTESTATION_NOT_ACCEPTED");
    await attest(await world.image("custom", "v2"), "bundle", {}, "https://cosign.sigstore.dev/attestation/v1");
    expect(await outcome(run([...ask, at("v2")]))).toBe(0);
  });

  test("--platform and --digest-rule", async () => {
    const leaves = [await world.image("amd64"), await world.image("arm64")];
    const [amd64, arm64] = leaves as [TestDescriptor, TestDescriptor];
    const index = await world.index(
      [
        { ...amd64, platform: { os: "linux", architecture: "amd64" } },
        { ...arm64, platform: { os: "linux", architecture: "arm64" } },
      ],
      "v1",
    );
    await sign(index, "bundle");
    await sign(amd64, "bundle");
    const ask = (...flags: readonly string[]): Promise<string | number> =>
      outcome(verify(...alice, ...flags, at("v1")));
    const platform = (name: string): readonly string[] => ["--platform", `linux/${name}`];
    expect(await ask()).toBe(0);
    expect(await ask("--digest-rule", "index")).toBe(0);
    expect(await ask(...platform("amd64"))).toBe(0);
    expect(await ask(...platform("arm64"))).toBe("SIGNATURE_NOT_FOUND");
    expect(await ask(...platform("s390x"))).toBe("PLATFORM_NOT_FOUND");
    expect(await ask(...platform("arm64"), "--digest-rule", "platform-manifest")).toBe("SIGNATURE_NOT_FOUND");
    expect(await ask(...platform("arm64"), "--digest-rule", "leaf-or-linked-parent")).toBe(0);
    expect(await ask("--digest-rule", "every-leaf")).toBe("SIGNATURE_NOT_FOUND");
    await sign(arm64, "bundle");
    expect(await ask("--digest-rule", "every-leaf")).toBe(0);
    const everyLeaf = await verify(...alice, "--digest-rule", "every-leaf", "-o", "result", at("v1"));
    const [result] = results(everyLeaf.stdout);
    expect(result?.["digests"]).toMatchObject([
      { digest: amd64.digest, platform: "linux/amd64" },
      { digest: arm64.digest, platform: "linux/arm64" },
    ]);
    const linked = await verify(
      ...alice,
      ...platform("arm64"),
      "--digest-rule",
      "leaf-or-linked-parent",
      "-o",
      "result",
      at("v1"),
    );
    expect(results(linked.stdout)).toMatchObject([{ verdict: "verified" }]);
    expect(await ask("--digest-rule", "some")).toBe("USAGE_INVALID");
  });

  test("--buildkit", async () => {
    const leaf = await world.image("leaf");
    const statement = JSON.stringify(statementFor(leaf.digest, { predicateType: TYPE }));
    const attestation = await world.manifest({
      config: await world.blob("{}", "application/vnd.oci.image.config.v1+json"),
      layers: [
        {
          ...(await world.blob(statement, "application/vnd.in-toto+json")),
          annotations: { "in-toto.io/predicate-type": TYPE },
        },
      ],
    });
    const index = await world.index(
      [
        { ...leaf, platform: { os: "linux", architecture: "amd64" } },
        {
          ...attestation,
          platform: { os: "unknown", architecture: "unknown" },
          annotations: {
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": leaf.digest,
          },
        },
      ],
      "v1",
    );
    const ask = [...alice, "--platform", "linux/amd64"];
    expect((await verifyAttestation(...ask, "--buildkit", at("v1"))).status).not.toBe(0);
    await sign(index, "bundle");
    expect((await verifyAttestation(...ask, at("v1"))).status).not.toBe(0);
    const one = await verifyAttestation(...ask, "--buildkit", at("v1"));
    expect([one.status, one.stdout]).toEqual([0, `${statement}\n`]);
    const [result] = results((await verifyAttestation(...ask, "--buildkit", "-o", "json", at("v1"))).stdout);
    expect(result?.["vouchedFor"]).toMatchObject([{ digest: leaf.digest, manifest: attestation.digest }]);
  });

  test("--fetch-log-entries, with --rekor-url", async () => {
    await sign(await world.image("unlogged", "v1"), "legacy", { entries: [] });
    const asked: string[] = [];
    world.intercept = ({ method, url }) => {
      if (!url.startsWith("https://rekor.example.com/")) return undefined;
      asked.push(`${method} ${new URL(url).pathname}`);
      return Response.json([]);
    };
    const rekor = ["--rekor-url", "https://rekor.example.com"];
    const without = await verify(...alice, ...rekor, at("v1"));
    expect([without.status, asked]).toEqual([12, []]);
    expect(without.stderr).toContain("--fetch-log-entries");
    expect((await verify(...alice, ...rekor, "--fetch-log-entries", at("v1"))).status).not.toBe(0);
    expect(asked).toContain("POST /api/v1/log/entries/retrieve");
  });

  test("--max-workers: 0 is an error", async () => {
    await sign(await world.image("one", "v1"), "bundle");
    expect(await outcome(verify(...alice, "--max-workers", "1", at("v1")))).toBe(0);
    const none = await verify(...alice, "--max-workers", "0", at("v1"));
    expect([none.status, codeOf(none)]).toEqual([1, "USAGE_INVALID"]);
    expect(none.stderr).toContain("--max-workers must be at least 1");
  });

  test("--explain: each check of each signature, of what is refused too", async () => {
    const image = await world.image("explained", "v1");
    await sign(image, "bundle");
    await sign(image, "legacy", { signer: { request: { names: [email("bob@example.com")] } } });
    const good = await verify(...alice, "--explain", at("v1"));
    expect(good.stderr).toMatch(/^Checks of bundle sha256:[0-9a-f]{64}:\nok {4}/m);
    expect(good.stderr).toMatch(/^Checks of legacy sha256:[0-9a-f]{64}:\n(?:.*\n)*FAIL .*IDENTITY_MISMATCH/m);
    expect((await verify(...alice, at("v1"))).stderr).not.toContain("Checks of");
    expect((await verify(...key, "--explain", at("v1"))).stderr).toMatch(/^FAIL /m);
  });

  test("--verbose: every place, and what was passed over there", async () => {
    const image = await world.image("verbose", "v1");
    await sign(image, "bundle");
    await attachOther(image);
    const { stderr } = await verify(...alice, "--verbose", at("v1"));
    expect(stderr).toMatch(/looked at .*: found/);
    expect(stderr).toMatch(/looked at .*\.sig: absent/);
    expect(stderr).toMatch(/passed over sha256:[0-9a-f]{64} \(application\/x\): /);
  });

  test("--policy names the file, and evaluates nothing", async () => {
    await attest(await world.image("policy", "v1"), "bundle");
    for (const policy of ["policy.cue", "policy.rego"]) {
      const one = await verifyAttestation(...alice, "--policy", policy, at("v1"));
      expect([one.status, one.stdout, codeOf(one)]).toEqual([1, "", "USAGE_INVALID"]);
      expect(one.stderr).toContain(policy);
    }
  });

  test("--offline opens no socket to a registry either, and says what to do", async () => {
    await sign(await world.image("one", "v1"), "bundle");
    const one = await verify(...alice, "--offline", at("v1"));
    expect([one.status, codeOf(one)]).toEqual([1, "OFFLINE"]);
    expect(one.stderr).toMatch(/--local-image/);
    expect(world.requests).toEqual([]);
  });

  test("--attachment is of cosign and cannot be followed: an error, not a signature that is found elsewhere", async () => {
    await sign(await world.image("one", "v1"), "bundle");
    const one = await verify(...alice, "--attachment", "sbom", at("v1"));
    expect([one.status, codeOf(one)]).toEqual([1, "USAGE_INVALID"]);
    expect(one.stderr).toContain("--attachment");
  });

  test.for(["--experimental-oci11", "--new-bundle-format=false", "--signature-digest-algorithm=sha256"])(
    "%s is of cosign and changes nothing: a warning",
    async (flag) => {
      await sign(await world.image("one", "v1"), "bundle");
      const { status, stderr } = await verify(...alice, flag, at("v1"));
      expect([status, stderr]).toEqual([0, expect.stringMatching(/^WARNING: .*deprecated/)]);
    },
  );
});

describe("signatures in files", () => {
  /** What `cosign sign --output-signature`, `--output-payload`, `--output-certificate` wrote. */
  const files = (payload: string, options: BundleOptions = {}): Readonly<Record<string, string>> => {
    const bundle = bundleFrom(sandbox, { artifact: Buffer.from(payload), ...options });
    const { certificatePem = "", timestamp } = legacyOf(bundle.json);
    return {
      signature: write("signature", `${Buffer.from(bundle.signature).toString("base64")}\n`),
      payload: write("payload", payload),
      certificate: write("certificate", certificatePem),
      timestamp: write("timestamp", JSON.stringify(timestamp)),
    };
  };
  const noLog = "--insecure-ignore-tlog";

  test("--signature and --payload are judged in place of what is attached, which says so", async () => {
    const image = await world.image("one", "v1");
    const { signature = "", payload = "" } = files(payloadFor(image.digest), { signer: { keys } });
    const args = [...key, noLog, "--signature", signature];
    const { status, stdout, stderr } = await verify(...args, "--payload", payload, "-o", "result", at("v1"));
    expect([status, stderr.includes("there is no --payload")]).toEqual([0, false]);
    expect(results(stdout)).toMatchObject([
      { digests: [{ signatures: [{ place: "detached", format: "legacy" }] }], places: [{ place: "detached" }] },
    ]);
    const other = files(payloadFor(OTHER_DIGEST), { signer: { keys } });
    await sign(image, "bundle", { signer: { keys } });
    const refused = await verify(...args, "--payload", other["payload"] ?? "", "-o", "result", at("v1"));
    expect([refused.status, codeOf(refused)]).toEqual([12, "SIGNATURE_NOT_ACCEPTED"]);
    expect(results(refused.stdout)).toMatchObject([{ refused: [{ place: "detached" }] }]);
  });

  test("without --payload, it is what cosign signs for the image: a warning", async () => {
    const image = await world.image("one", "v1");
    const { signature = "" } = files(payloadFor(image.digest), { signer: { keys } });
    const { status, stderr } = await verify(...key, noLog, "--signature", signature, at("v1"));
    expect([status, stderr]).toEqual([0, expect.stringContaining("WARNING: there is no --payload")]);
  });

  test("--certificate is whose signature it is, and --rfc3161-timestamp when", async () => {
    const image = await world.image("one", "v1");
    const { signature = "", payload = "", certificate = "", timestamp = "" } = files(payloadFor(image.digest));
    const args = [...alice, noLog, "--signature", signature, "--payload", payload];
    expect(await verify(...args, at("v1"))).toMatchObject({ status: 13 });
    const timed = ["--certificate", certificate, "--use-signed-timestamps", "--rfc3161-timestamp", timestamp];
    expect(await verify(...args, ...timed, at("v1"))).toMatchObject({ status: 0 });
    const untimed = await verify(...args, "--certificate", certificate, "--use-signed-timestamps", at("v1"));
    expect([untimed.status, codeOf(untimed)]).toEqual([1, "USAGE_INVALID"]);
  });

  test("--certificate is compared with that of what is attached", async () => {
    await sign(await world.image("one", "v1"), "legacy");
    const { certificate = "" } = files("another");
    const one = await verify(...alice, "--certificate", certificate, at("v1"));
    expect([one.status, one.stderr.includes("another certificate")]).toEqual([12, true]);
  });

  test("--ca-intermediates lead to --ca-roots", async () => {
    await sign(await world.image("one", "v1"), "legacy");
    const pem = (der: Uint8Array): string => new X509Certificate(der).toString();
    const roots = [...alice, "--ca-roots", write("roots.pem", pem(sandbox.ca.root.der))];
    const intermediates = ["--ca-intermediates", write("intermediates.pem", pem(sandbox.ca.intermediate.der))];
    expect(await verify(...roots, at("v1"))).toMatchObject({ status: 12 });
    expect(await verify(...roots, ...intermediates, at("v1"))).toMatchObject({ status: 0 });
    expect(codeOf(await verify(...alice, ...intermediates, at("v1")))).toBe("USAGE_INVALID");
  });

  test.for([
    ["--payload", "@payload"],
    ["--rfc3161-timestamp", "@timestamp"],
    ["--signature", "@signature", "--format", "bundle"],
    ["--signature", "@signature", "--use-signed-timestamps"],
    ["--signature", "no file, and no base64"],
    ["--signature", "@signature", at("v2")],
    ["--certificate", "@certificate", ...key],
  ])("%s is an error where it means nothing", async (words) => {
    const named = files(payloadFor((await world.image("one", "v1")).digest));
    const given = words.map((word) => named[word.slice(1)] ?? word);
    const signer = words.includes("--key") ? [] : alice;
    const one = await verify(...signer, ...given, at("v1"));
    expect([one.status, codeOf(one), one.stdout]).toEqual([1, "USAGE_INVALID", ""]);
  });
});

describe("dockerfile verify and manifest verify", () => {
  const ask = (command: string, ...args: readonly string[]): Promise<Run> =>
    run([command, "verify", "--trusted-root", root, ...alice, ...args]);
  const deployment = (...images: readonly string[]): string =>
    `kind: Pod\napiVersion: v1\nspec:\n  containers: ${JSON.stringify(images.map((image) => ({ image })))}\n`;

  test("verify every image once, in both formats, and print as verify does", async () => {
    await sign(await world.image("one", "one"), "bundle");
    await sign(await world.image("two", "two"), "legacy");
    const file = write("Dockerfile", `FROM ${at("one")} AS a\nCOPY --from=${at("two")} x x\nFROM ${at("one")}\n`);
    const manifest = write("deployment.yaml", deployment(at("one"), at("two"), at("one")));
    const plain = await verify(...alice, at("one"), at("two"));
    for (const one of [await ask("dockerfile", file), await ask("manifest", manifest)]) {
      expect(one.stdout).toBe(plain.stdout);
      expect(one.stderr).toBe(`Extracted image(s): ${at("one")}, ${at("two")}\n${plain.stderr}`);
      expect(one.status).toBe(0);
    }
    const told = results((await ask("manifest", "-o", "result", manifest)).stdout);
    expect(told.map(({ image }) => image)).toEqual([at("one"), at("two")]);
  });

  test("read standard input where the file is -", async () => {
    await sign(await world.image("one", "one"), "bundle");
    const stdin = async function* (text: string): AsyncGenerator<Uint8Array> {
      yield await Promise.resolve(Buffer.from(text));
    };
    for (const [command, text] of [
      ["dockerfile", `FROM ${at("one")}\n`],
      ["manifest", deployment(at("one"))],
    ] as const) {
      const args = [command, "verify", "--trusted-root", root, ...alice, "-"];
      expect(await run(args, { stdin: stdin(text) })).toMatchObject({ status: 0 });
    }
  });

  test("have the exit status of the first image that is not verified", async () => {
    await sign(await world.image("one", "one"), "bundle");
    await world.image("unsigned", "unsigned");
    for (const [status, ...images] of [
      [10, at("one"), at("unsigned"), at("nowhere")],
      [11, at("nowhere"), at("unsigned")],
      [10, at("unsigned")],
    ] as const) {
      const file = write("Dockerfile", images.map((image) => `FROM ${image}\n`).join(""));
      expect((await ask("dockerfile", file)).status).toBe(status);
      expect((await ask("manifest", write("x.yaml", deployment(...images)))).status).toBe(status);
    }
  });

  test("--base-image-only: the image of the last stage", async () => {
    await sign(await world.image("one", "one"), "bundle");
    const file = write("Dockerfile", `FROM ${at("nowhere")} AS a\nFROM ${at("one")} AS b\nFROM b\n`);
    expect((await ask("dockerfile", file)).status).toBe(11);
    expect((await ask("dockerfile", "--base-image-only", file)).status).toBe(0);
    const scratch = write("Dockerfile", `FROM ${at("one")} AS a\nFROM scratch\nCOPY --from=a x x\n`);
    expect(codeOf(await ask("dockerfile", "--base-image-only", scratch))).toBe("USAGE_INVALID");
  });

  test("--build-arg: what the build is given, with the environment for what nobody gives", async () => {
    await sign(await world.image("one", "one"), "bundle");
    const file = write("Dockerfile", `ARG TAG=nowhere\nARG HOST\nFROM $HOST/${REPOSITORY}:$TAG\n`);
    const environment = { HOST, TAG: "one" };
    const args = (...more: readonly string[]): readonly string[] => [
      "dockerfile",
      "verify",
      "--trusted-root",
      root,
      ...alice,
      ...more,
      file,
    ];
    expect((await run(args(), { environment })).status).toBe(11);
    expect((await run(args("--build-arg", "TAG=one"), { environment })).status).toBe(0);
    expect((await run(args("--build-arg", "TAG"), { environment })).status).toBe(0);
    expect(codeOf(await run(args("--build-arg", "TAG=one")))).toBe("DOCKERFILE_MALFORMED");
    expect(codeOf(await run(args("--build-arg", "=x"), { environment }))).toBe("USAGE_INVALID");
  });

  test("are an error where there is no image, and where a file cannot be read: never a success", async () => {
    for (const [command, text, code] of [
      ["dockerfile", "FROM scratch\n", "USAGE_INVALID"],
      ["dockerfile", "", "USAGE_INVALID"],
      ["dockerfile", "FROM\n", "DOCKERFILE_MALFORMED"],
      ["dockerfile", "FROM A B\n", "DOCKERFILE_MALFORMED"],
      ["dockerfile", "FROM UPPER:$case\n", "DOCKERFILE_MALFORMED"],
      ["manifest", "kind: Service\napiVersion: v1\n", "USAGE_INVALID"],
      ["manifest", "", "USAGE_INVALID"],
      ["manifest", "a: [", "YAML_MALFORMED"],
      ["manifest", deployment("A B"), "REFERENCE_MALFORMED"],
    ] as const) {
      const one = await ask(command, write("x", text));
      expect([one.status, one.stdout, codeOf(one)], text).toEqual([1, "", code]);
      const told = await ask(command, "-o", "json", write("x", text));
      expect(results(told.stdout)).toMatchObject([{ verdict: "refused", error: { code } }]);
    }
    expect(codeOf(await ask("manifest", join(folder, "nowhere.yaml")))).toBe("FILE_NOT_FOUND");
    expect(world.requests).toEqual([]);
  });
});
