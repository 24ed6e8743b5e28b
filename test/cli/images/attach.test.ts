import { X509Certificate } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import type { Context } from "../../../src/cli/context.ts";
import { COMMANDS } from "../../../src/cli/program.ts";
import {
  HOST,
  openImages,
  OTHER_DIGEST,
  payloadFor,
  REPOSITORY,
  statementFor,
  type ImageWorld,
  type TestDescriptor,
} from "../../support/images.ts";
import { temporaryFolder } from "../../support/cli.ts";
import type { Json } from "../../support/json-edits.ts";
import { legacyOf } from "../../support/legacy.ts";
import { utf8 } from "../../support/logs.ts";
import { runInProcess, type Run } from "../../support/program.ts";
import { timestamp } from "../../support/sandbox/authorities.ts";
import { bundleFrom, makeSandbox } from "../../support/sandbox/sandbox.ts";

const sandbox = makeSandbox();
const NAME = `${HOST}/${REPOSITORY}:v1`;

let world: ImageWorld;
let image: TestDescriptor;
let folder: string;
beforeEach(async () => {
  world = openImages(sandbox);
  image = await world.image("app", "v1");
  folder = temporaryFolder();
});

/** Runs a command; `ARGUMENTS` without the image, which comes last. */
async function run(
  command: string,
  args: readonly string[] = [],
  surroundings: Partial<Context> = {},
  name: string = NAME,
): Promise<Run> {
  return await runInProcess([...command.split(" "), ...args, name], { fetch: world.fetch, ...surroundings });
}

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const bundleAbout = (digest: string, changes: Json = {}): string =>
  JSON.stringify(bundleFrom(sandbox, { statement: statementFor(digest, changes) }).json);
const lines = ({ stdout }: Run): readonly string[] => stdout.split("\n").filter((line) => line !== "");
const parsed = ({ stdout }: Run): Json => JSON.parse(stdout) as Json;
const tagOf = (kind: string): string => `${image.digest.replace(":", "-")}.${kind}`;

async function layersAt(reference: string, repository = REPOSITORY): Promise<readonly TestDescriptor[]> {
  const { status, text } = await world.registry.ask(`/v2/${repository}/manifests/${reference}`);
  return status === 200 ? (JSON.parse(text) as { readonly layers: readonly TestDescriptor[] }).layers : [];
}

async function* input(text: string): AsyncGenerator<Uint8Array> {
  await Promise.resolve();
  yield utf8(text);
}

describe("attach attestation", () => {
  test("attaches all files, and says where", async () => {
    const [one, two] = ["a", "b"].map((name) =>
      bundleAbout(image.digest, { predicateType: `https://e.example/${name}` }),
    );
    const attached = await run("attach attestation", [
      "--attestation",
      file("one.json", one ?? ""),
      "--attestation",
      file("two.json", two ?? ""),
      "--output",
      "json",
    ]);
    expect(attached.status).toBe(0);
    expect(parsed(attached)).toMatchObject({
      version: 1,
      image: NAME,
      pinned: `${HOST}/${REPOSITORY}@${image.digest}`,
      digest: image.digest,
      attached: [{ via: "referrers-api" }, { via: "referrers-api" }],
    });
    expect(attached.stderr).toContain("which may be moved");
    expect(new Set(lines(await run("download attestation")))).toEqual(new Set([one, two]));
  });

  test("says nothing of tags where the image is named by its digest, and nothing to standard output", async () => {
    const name = `${HOST}/${REPOSITORY}@${image.digest}`;
    const args = ["--attestation", file("one.json", bundleAbout(image.digest))];
    const attached = await run("attach attestation", args, {}, name);
    expect(attached).toMatchObject({ status: 0, stdout: "" });
    expect(attached.stderr).toMatch(/^Attached to .*@sha256:[0-9a-f]{64}\n$/);
  });

  test("refuses what is about another image, unless a flag says otherwise", async () => {
    const args = ["--attestation", file("one.json", bundleAbout(OTHER_DIGEST)), "--output=json"];
    const refused = await run("attach attestation", args);
    expect([refused.status, parsed(refused)]).toEqual([
      1,
      expect.objectContaining({ error: expect.objectContaining({ code: "SUBJECT_MISMATCH" }) as unknown }),
    ]);
    expect((await run("attach attestation", [...args, "--insecure-ignore-subject"])).status).toBe(0);
  });

  test("needs a file", async () => {
    expect((await run("attach attestation")).stderr).toContain("must supply --attestation");
    expect((await run("attach attestation", ["--attestation", join(folder, "none")])).stderr).toContain(
      "FILE_NOT_FOUND",
    );
  });

  test("attaches to the manifest of a platform, in the repository of signatures", async () => {
    await world.index([{ ...image, platform: { os: "linux", architecture: "amd64" } }], "all");
    const args = ["--attestation", file("one.json", bundleAbout(image.digest))];
    const elsewhere = { environment: { COSIGN_REPOSITORY: `${HOST}/signatures` } };
    const all = `${HOST}/${REPOSITORY}:all`;
    expect((await run("attach attestation", args, elsewhere, all)).stderr).toContain("SUBJECT_MISMATCH");
    expect((await run("attach attestation", [...args, "--platform", "linux/amd64"], elsewhere, all)).status).toBe(0);
    const download = ["--platform=linux/amd64"];
    expect(lines(await run("download attestation", download, elsewhere, all))).toHaveLength(1);
    expect((await run("download attestation", download, {}, all)).stderr).toContain("ATTESTATION_NOT_FOUND");
    expect((await run("download attestation", [], elsewhere, all)).stderr).toContain("ATTESTATION_NOT_FOUND");
  });
});

describe("attach signature", () => {
  const payload = (): string => payloadFor(image.digest);
  const parts = (): ReturnType<typeof legacyOf> & { readonly raw: Uint8Array } => {
    const bundle = bundleFrom(sandbox, { artifact: utf8(payload()) });
    return { ...legacyOf(bundle.json), raw: bundle.signature };
  };
  const annotationsOf = async (): Promise<Json> => (await layersAt(tagOf("sig")))[0]?.["annotations"] as Json;

  test("attaches a bundle, however it is named", async () => {
    const path = file("b.json", bundleAbout(image.digest));
    for (const flag of ["--bundle", "--payload"])
      expect((await run("attach signature", [flag, path])).stderr).toContain("Attached to");
    const { text } = await world.registry.ask(`/v2/${REPOSITORY}/referrers/${image.digest}`);
    expect((JSON.parse(text) as { manifests: unknown[] }).manifests.length).toBeGreaterThan(0);
  });

  test("puts what the files hold into the annotations of cosign 2", async () => {
    const { raw, certificatePem = "", bundle } = parts();
    const chain = [sandbox.ca.intermediate.der, sandbox.ca.root.der].map((der) => new X509Certificate(der).toString());
    const token = timestamp(sandbox.tsa, raw);
    const args = [
      "--payload",
      file("payload.json", payload()),
      "--signature",
      file("payload.sig", `${Buffer.from(raw).toString("base64")}\n`),
      "--certificate",
      file("cert.pem", certificatePem),
      "--certificate-chain",
      file("chain.pem", chain.join("")),
      "--rekor-response",
      file("bundle.json", JSON.stringify(bundle)),
      "--tsr",
      file("timestamp.tsr", token),
    ];
    const attached = await run("attach signature", [...args, "-o", "json"]);
    expect(parsed(attached)).toMatchObject({ attached: [{ via: "signature-tag" }] });
    const annotations = (await annotationsOf()) as Record<string, string>;
    expect(annotations).toMatchObject({
      "dev.cosignproject.cosign/signature": Buffer.from(raw).toString("base64"),
      "dev.sigstore.cosign/certificate": certificatePem,
      "dev.sigstore.cosign/chain": chain.join(""),
    });
    expect(JSON.parse(annotations["dev.sigstore.cosign/bundle"] ?? "")).toEqual(bundle.rekorBundle);
    const { SignedRFC3161Timestamp = "" } = JSON.parse(annotations["dev.sigstore.cosign/rfc3161timestamp"] ?? "") as {
      SignedRFC3161Timestamp?: string;
    };
    expect(SignedRFC3161Timestamp).toBe(Buffer.from(token).toString("base64"));

    // §1.8: one line, with the fields of cosign.
    const raws = (pem: string): Json => ({ Raw: new X509Certificate(pem).raw.toString("base64") });
    const downloaded = await run("download signature");
    expect(lines(downloaded).map((line) => JSON.parse(line) as Json)).toEqual([
      {
        Base64Signature: Buffer.from(raw).toString("base64"),
        Payload: Buffer.from(payload()).toString("base64"),
        Cert: raws(certificatePem),
        Chain: chain.map(raws),
        Bundle: bundle.rekorBundle,
        RFC3161Timestamp: { SignedRFC3161Timestamp },
      },
    ]);
    expect(parsed(await run("download signature", ["-o", "json"]))).toMatchObject({
      digest: image.digest,
      found: [{ kind: "simple-signing", place: "signature-tag", document: { Cert: raws(certificatePem) } }],
    });
  });

  test("takes a signature from standard input, and log entry and timestamp as they stand elsewhere", async () => {
    const { raw, bundle } = parts();
    const token = JSON.stringify({
      SignedRFC3161Timestamp: Buffer.from(timestamp(sandbox.tsa, raw)).toString("base64"),
    });
    const args = [
      "--signature",
      "-",
      "--rekor-response",
      file("entry.json", JSON.stringify(bundle.rekorBundle)),
      "--tsr",
      file("timestamp.json", token),
    ];
    const stdin = input(Buffer.from(raw).toString("base64"));
    expect((await run("attach signature", args, { stdin })).status).toBe(0);
    const annotations = (await annotationsOf()) as Record<string, string>;
    expect(annotations).not.toHaveProperty("dev.sigstore.cosign/certificate");
    expect(annotations["dev.sigstore.cosign/rfc3161timestamp"]).toBe(token);
    expect(annotations["dev.sigstore.cosign/bundle"]).toBeDefined();
    const [document] = lines(await run("download signature")).map((line) => JSON.parse(line) as Json);
    expect(document).toMatchObject({
      Payload: Buffer.from(payload()).toString("base64"),
      Cert: null,
      Chain: null,
    });
  });

  test.for([
    ["nothing", [], "must supply --signature"],
    ["a bundle and a payload", ["--bundle", "b.json", "--payload", "p.json"], "exclude one another"],
    ["a bundle and a signature", ["--bundle", "b.json", "--signature", "s"], "goes with no bundle"],
    ["a bundle that is none", ["--bundle", "p.json"], "is no Sigstore bundle"],
    ["a chain without a certificate", ["--signature", "s", "--certificate-chain", "c"], "needs --certificate"],
    ["a timestamp that is none", ["--signature", "s", "--tsr", "p.json"], "TIMESTAMP_MALFORMED"],
    ["a timestamp that is no DER", ["--signature", "s", "--tsr", "s"], "MALFORMED"],
    ["an old bundle without a log entry", ["--signature", "s", "--rekor-response", "old.json"], "without a log entry"],
    ["a payload about another image", ["--signature", "s", "--payload", "other.json"], "SUBJECT_MISMATCH"],
  ] as const)("refuses %s", async ([, args, message]) => {
    file("b.json", bundleAbout(image.digest));
    file("p.json", payload());
    file("other.json", payloadFor(OTHER_DIGEST));
    file("s", "c2lnbmF0dXJl");
    file("old.json", '{"base64Signature":"c2ln"}');
    const paths = args.map((arg) => (arg.startsWith("--") ? arg : join(folder, arg)));
    const { status, stderr } = await run("attach signature", paths);
    expect([status, stderr]).toEqual([1, expect.stringContaining(message)]);
    expect(await layersAt(tagOf("sig"))).toEqual([]);
  });

  test("reads no more of standard input than anybody needs", async () => {
    let pieces = 0;
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (const piece = new Uint8Array(1024 * 1024); ; pieces++) {
        await Promise.resolve();
        yield piece;
      }
    }
    const { stderr } = await run("attach signature", ["--signature", "-"], { stdin: endless() });
    expect(stderr).toContain("LIMIT_EXCEEDED");
    expect(pieces).toBeLessThan(200);
  });

  test("attaches a payload about another image where a flag says so", async () => {
    const args = ["--signature", file("s", "c2lnbmF0dXJl"), "--payload", file("o.json", payloadFor(OTHER_DIGEST))];
    expect((await run("attach signature", [...args, "--insecure-ignore-subject"])).status).toBe(0);
    expect(await layersAt(tagOf("sig"))).toHaveLength(1);
  });

  test("writes Docker's media types where COSIGN_DOCKER_MEDIA_TYPES asks for them", async () => {
    const environment = { COSIGN_DOCKER_MEDIA_TYPES: "1" };
    await run("attach signature", ["--signature", file("s", "c2lnbmF0dXJl")], { environment });
    const { headers } = await world.registry.ask(`/v2/${REPOSITORY}/manifests/${tagOf("sig")}`);
    expect(headers.get("content-type")).toBe("application/vnd.docker.distribution.manifest.v2+json");
  });
});

describe("attach sbom, download sbom", () => {
  test("keep a file as it is", async () => {
    const sbom = '<bom>\n\u001b[31m"ü"</bom>\n';
    const attached = await run("attach sbom", ["--sbom", file("app.xml", sbom), "--type", "cyclonedx", "-o", "json"]);
    expect(parsed(attached)).toMatchObject({
      mediaType: "application/vnd.cyclonedx+xml",
      attached: [{ via: "sbom-tag", location: `${HOST}/${REPOSITORY}:${tagOf("sbom")}` }],
    });
    const downloaded = await run("download sbom");
    expect([downloaded.status, downloaded.stdout]).toEqual([0, sbom]);
    expect(downloaded.stderr).toContain("Found SBOM of media type: application/vnd.cyclonedx+xml\n");
    expect(parsed(await run("download sbom", ["--output=json"]))).toMatchObject({ digest: image.digest, sbom });
  });

  test("take standard input, in the format that a flag names", async () => {
    const args = ["--sbom", "-", "--input-format"];
    expect((await run("attach sbom", [...args, "json"], { stdin: input("text") })).stderr).toContain("USAGE_INVALID");
    expect((await run("attach sbom", [...args, "text"], { stdin: input("text") })).status).toBe(0);
    expect((await run("download sbom")).stdout).toBe("text");
  });

  test("keep it as a referrer where that is asked for, with COSIGN_EXPERIMENTAL", async () => {
    const args = ["--sbom", file("a.json", "{}"), "--registry-referrers-mode=oci-1-1"];
    expect((await run("attach sbom", args)).stderr).toContain("needs COSIGN_EXPERIMENTAL=1");
    expect((await run("attach sbom", args, { environment: { COSIGN_EXPERIMENTAL: "1" } })).status).toBe(0);
    expect(await layersAt(tagOf("sbom"))).toEqual([]);
    expect((await run("download sbom")).stdout).toBe("{}");
  });

  test("say what is missing", async () => {
    expect((await run("attach sbom")).stderr).toContain("must supply --sbom");
    const { status, stdout } = await run("download sbom", ["-o", "json"]);
    expect([status, JSON.parse(stdout)]).toEqual([
      1,
      expect.objectContaining({ error: expect.objectContaining({ code: "SBOM_NOT_FOUND" }) as unknown }),
    ]);
  });

  test("refuse what is no text", async () => {
    const config = await world.blob("{}", "application/vnd.oci.image.config.v1+json");
    await world.manifest({ config, layers: [await world.blob(Uint8Array.of(0xff), "text/spdx")] }, tagOf("sbom"));
    expect(await run("download sbom")).toMatchObject({
      status: 1,
      stdout: "",
      stderr: expect.stringContaining("MEDIA_TYPE_MISMATCH") as string,
    });
  });
});

describe("download signature, download attestation", () => {
  test("choose attestations by their type, by a short name or a URI", async () => {
    const slsa = bundleAbout(image.digest, { predicateType: "https://slsa.dev/provenance/v1" });
    await world.attachBundle(image, slsa);
    await world.attachBundle(image, bundleAbout(image.digest));
    expect(lines(await run("download attestation"))).toHaveLength(2);
    for (const type of ["slsaprovenance1", "https://slsa.dev/provenance/v1"])
      expect(lines(await run("download attestation", ["--predicate-type", type]))).toEqual([slsa]);
    const refused = await run("download attestation", ["--predicate-type", "spdx", "-o", "json"]);
    expect(parsed(refused)).toMatchObject({
      error: { code: "PREDICATE_TYPE_MISMATCH", expected: "https://spdx.dev/Document" },
    });
    expect((await run("download attestation", ["--predicate-type", "no uri"])).stderr).toContain("USAGE_INVALID");
  });

  test("write each document on one line, whatever it looks like in the registry", async () => {
    const spread = JSON.stringify(JSON.parse(bundleAbout(image.digest)), undefined, 2);
    await world.attachBundle(image, spread);
    const downloaded = await run("download signature");
    expect(lines(downloaded).map((line) => JSON.parse(line) as Json)).toEqual([JSON.parse(spread)]);
  });

  test("write what can be read, and warn of what cannot", async () => {
    await world.attachBundle(image, "{}");
    expect((await run("download signature")).stderr).toContain("SIGNATURE_NOT_FOUND");
    await world.attachBundle(image, bundleAbout(image.digest));
    const downloaded = await run("download signature");
    expect([downloaded.status, lines(downloaded).length]).toEqual([0, 1]);
    expect(downloaded.stderr).toMatch(/^WARNING: sha256:[0-9a-f]{64} cannot be read: /);
  });

  test("read no more than COSIGN_MAX_ATTACHMENT_SIZE allows", async () => {
    await world.attachBundle(image, bundleAbout(image.digest));
    const environment = { COSIGN_MAX_ATTACHMENT_SIZE: "100B" };
    expect((await run("download signature", [], { environment })).stderr).toContain("too large");
  });
});

describe("the examples of the help", () => {
  const names = ["attach signature", "attach attestation", "attach sbom"].flatMap((name) => [
    name,
    name.replace("attach", "download"),
  ]);

  test.for(names)("of %s run", async (name) => {
    const { examples = [] } = (await COMMANDS.find((listed) => listed.name === name)?.load()) ?? {};
    expect(examples.length).toBeGreaterThan(0);
    const provenance = bundleAbout(image.digest, { predicateType: "https://slsa.dev/provenance/v1" });
    const cert = legacyOf(bundleFrom(sandbox).json).certificatePem ?? "";
    const files: Readonly<Record<string, string>> = {
      "app.sigstore.json": bundleAbout(image.digest),
      "provenance.sigstore.json": provenance,
      "sbom.sigstore.json": bundleAbout(image.digest, { predicateType: "https://spdx.dev/Document" }),
      "payload.json": payloadFor(image.digest),
      "payload.sig": "c2lnbmF0dXJl",
      "signer.pem": cert,
      "app.spdx.json": "{}",
      "app.cdx.xml": "<bom/>",
    };
    await world.attachBundle(image, provenance);
    await world.index([{ ...image, platform: { os: "linux", architecture: "amd64" } }], "v1");
    await run("attach sbom", ["--sbom", file("any", "x"), "--platform", "linux/amd64"]);
    if (!name.endsWith("sbom") || name.startsWith("attach")) await world.image("app", "v1");
    for (const example of examples) {
      const words = example.split(" ").slice(1);
      const args = words.map((word) => {
        const content = files[word];
        return content === undefined ? word.replace("registry.example.com", HOST) : file(word, content);
      });
      expect(await runInProcess(args, { fetch: world.fetch }), example).toMatchObject({ status: 0 });
    }
  });
});
