/** cosign's own end-to-end scenarios about images, by their names there, against the sandbox. */

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startSandbox, type Sandbox } from "../../src/sandbox/sandbox.ts";
import { projectDir } from "../support/shared.ts";
import { outcomeOfRun } from "./support/command-line.ts";
import { ImageWorld, type PushedImage } from "./support/images.ts";
import { startTlsRegistry } from "../support/tls-registry.ts";

const FORMATS = ["bundle", "legacy"] as const;
type Format = (typeof FORMATS)[number];

let sandbox: Sandbox;
let world: ImageWorld;
let alice: { readonly sign: readonly string[]; readonly verify: readonly string[] };
let bob: typeof alice;
let image: PushedImage;
const folder = mkdtempSync(join(tmpdir(), "cosign-ts-e2e-"));

beforeAll(async () => {
  sandbox = await startSandbox();
  world = new ImageWorld(sandbox, folder);
  alice = await world.keys("alice");
  bob = await world.keys("bob");
}, 60_000);
beforeEach(async () => {
  image = await world.push();
});
afterAll(async () => {
  await sandbox.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Flags to sign in a format, with a log. */
const flagsOf = (format: Format): readonly string[] => (format === "bundle" ? world.services("v2") : world.legacy());
/** Signs with a key, in a log. */
const sign = async (format: Format, reference: string, ...more: string[]): Promise<void> =>
  void (await world.must(["sign", ...flagsOf(format), ...alice.sign, ...more, reference]));
const verify = (reference: string, ...more: string[]): ReturnType<ImageWorld["run"]> =>
  world.run(["verify", ...world.trust, ...alice.verify, ...more, reference]);
const attest = async (format: Format, reference: string, type: string, predicate: string, ...more: string[]) =>
  await world.must([
    "attest",
    ...flagsOf(format),
    ...alice.sign,
    "--type",
    type,
    "--predicate",
    predicate,
    ...more,
    reference,
  ]);
const verifyAttestation = (reference: string, type: string, ...more: string[]): ReturnType<ImageWorld["run"]> =>
  world.run(["verify-attestation", ...world.trust, ...alice.verify, "--type", type, ...more, reference]);

/** Is an older signature, as `download signature` prints it. */
interface Downloaded {
  readonly Base64Signature: string;
  readonly Payload: string;
  readonly Cert: { readonly Raw: string } | null;
  readonly Bundle: { readonly SignedEntryTimestamp: string; readonly Payload: unknown };
}

async function downloaded({ pinned }: PushedImage): Promise<Downloaded> {
  return JSON.parse((await world.must(["download", "signature", pinned])).stdout) as Downloaded;
}

/** Puts an older signature together again, with a log entry that may be another. */
async function attachParts(
  { pinned }: PushedImage,
  { Base64Signature, Payload }: Downloaded,
  entry: unknown,
): Promise<void> {
  const payload = world.write("own.payload", Buffer.from(Payload, "base64"));
  const signature = world.write("own.sig", Base64Signature);
  const rekor = world.write("entry.json", JSON.stringify(entry));
  await world.must([
    "attach",
    "signature",
    "--signature",
    signature,
    "--payload",
    payload,
    "--rekor-response",
    rekor,
    pinned,
  ]);
}

/** The authorities of a trusted root in PEM: an intermediate, and the root last. */
function chainOf(path: string): string {
  const { certificateAuthorities } = JSON.parse(readFileSync(path, "utf8")) as {
    certificateAuthorities: { certChain: { certificates: { rawBytes: string }[] } }[];
  };
  const certificates = certificateAuthorities[0]?.certChain.certificates ?? [];
  return certificates
    .map(({ rawBytes }) => `-----BEGIN CERTIFICATE-----\n${rawBytes}\n-----END CERTIFICATE-----\n`)
    .join("");
}

describe("signatures of images", () => {
  test.each(FORMATS)(
    "TestSignVerify, %s: by tag and digest, annotations that match and that do not",
    async (format) => {
      expect(await verify(image.tagged)).toMatchObject({ status: 10 });
      await sign(format, image.tagged);
      for (const reference of [image.tagged, image.pinned])
        expect(await verify(reference)).toMatchObject({ status: 0 });
      expect(await verify(image.pinned, "-a", "foo=bar")).toMatchObject({ status: 12 });
      await sign(format, image.pinned, "-a", "foo=bar");
      const { status, stdout } = await verify(image.pinned, "-a", "foo=bar");
      expect(status).toBe(0);
      const printed = JSON.parse(stdout) as { critical: { image: unknown }; optional: { foo?: string } }[];
      expect(printed.map(({ optional }) => optional.foo)).toEqual(["bar"]);
      expect(printed[0]?.critical.image).toEqual({ "docker-manifest-digest": image.digest });
      expect(await verify(image.pinned, "-a", "foo=baz")).toMatchObject({ status: 12 });
      const { stdout: downloaded } = await world.must(["download", "signature", image.pinned]);
      expect(downloaded.trim().split("\n")).toHaveLength(2);
      expect(await world.run(["verify", ...world.trust, ...bob.verify, image.pinned])).toMatchObject({ status: 12 });
    },
  );

  test.each(FORMATS)("TestSignVerifyClean, %s: nothing is left", async (format) => {
    await sign(format, image.pinned);
    await world.must(["clean", "--force", image.pinned]);
    expect(await verify(image.pinned)).toMatchObject({ status: 10 });
  });

  test("TestImportSignVerifyClean: with an imported RSA key", async () => {
    const { generateKeyPairSync } = await import("node:crypto");
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const pem = world.write("rsa.pem", privateKey.export({ type: "pkcs8", format: "pem" }));
    await world.must(["import-key-pair", "--key", pem, "--output-key-prefix", world.at("imported")]);
    await world.must(["sign", ...world.services(), "--key", world.at("imported.key"), image.pinned]);
    const question = ["verify", ...world.trust, "--key", world.at("imported.pub"), image.pinned];
    expect(await world.run(question)).toMatchObject({ status: 0 });
    await world.must(["clean", "--force", image.pinned]);
    expect(await world.run(question)).toMatchObject({ status: 10 });
  });

  test.each(FORMATS)("TestMultipleSignatures, %s: two keys on one image, each verifies", async (format) => {
    await sign(format, image.pinned);
    const byBob = ["verify", ...world.trust, ...bob.verify, image.pinned];
    expect(await world.run(byBob)).toMatchObject({ status: 12 });
    await world.must(["sign", ...flagsOf(format), ...bob.sign, image.pinned]);
    expect(await world.run(byBob)).toMatchObject({ status: 0 });
    expect(await verify(image.pinned)).toMatchObject({ status: 0 });
  });

  test("TestSignVerifyMultipleIdentities: what the payload calls the image is what was asked for", async () => {
    await sign("legacy", image.pinned, "--sign-container-identity", "registry.example/other");
    const { stdout } = await verify(image.pinned);
    expect(stdout).toContain('"docker-reference":"registry.example/other"');
  });

  test("TestSignVerifyMultipleIdentitiesKeyless: several names for one image, under one certificate", async () => {
    const names = ["registry.example/one", "registry.example/two"];
    const flags = names.flatMap((name) => ["--sign-container-identity", name]);
    sandbox.clearRequests();
    await world.must(["sign", ...world.legacy(), ...(await world.token()), ...flags, image.pinned]);
    const certificates = sandbox.requests.filter(({ service, method }) => service === "fulcio" && method === "POST");
    expect(certificates).toHaveLength(1);
    const { stdout } = await world.must(["verify", ...world.trust, ...world.identity(), image.pinned]);
    const printed = JSON.parse(stdout) as { critical: { identity: { "docker-reference": string } } }[];
    expect(printed.map(({ critical }) => critical.identity["docker-reference"]).toSorted()).toEqual(names);
    const run = await world.run(["sign", ...world.services(), ...alice.sign, ...flags, image.pinned]);
    expect([run.status, outcomeOfRun(run)]).toEqual([1, "USAGE_INVALID"]);
  });

  test.each(FORMATS)("TestSignVerifyUploadFalse, %s: nothing is attached", async (format) => {
    const bundle = world.at(`upload-${format}.json`);
    await sign(format, image.pinned, "--upload=false", "--bundle", bundle);
    expect(readFileSync(bundle, "utf8")).toContain(format === "bundle" ? "verificationMaterial" : "base64Signature");
    expect(await verify(image.pinned)).toMatchObject({ status: 10 });
    expect(await world.tags(image)).toEqual(["v1"]);
  });

  test.each(FORMATS)("TestNoTlog, %s: without a log only for who gives the log up", async (format) => {
    const flags = format === "bundle" ? world.services("none") : world.legacy("none");
    await world.must(["sign", ...flags, ...alice.sign, image.pinned]);
    expect(await verify(image.pinned)).toMatchObject({ status: 12 });
    expect(await verify(image.pinned, "--insecure-ignore-tlog")).toMatchObject({ status: 0 });
  });

  test("TestOffline, TestRekorBundle, TestRekorOutput: no log is asked, and an altered promise fails", async () => {
    await sign("legacy", image.pinned);
    sandbox.clearRequests();
    expect(await verify(image.pinned)).toMatchObject({ status: 0 });
    expect(sandbox.requests.filter(({ service }) => service !== "registry")).toEqual([]);
    const own = await downloaded(image);
    await world.must(["clean", "--force", image.pinned]);
    const { SignedEntryTimestamp: promise, Payload } = own.Bundle;
    const altered = Buffer.from(promise, "base64");
    altered[altered.length - 1] = (altered.at(-1) ?? 0) ^ 1;
    await attachParts(image, own, { SignedEntryTimestamp: altered.toString("base64"), Payload });
    const refused = await verify(image.pinned);
    expect(refused.status).toBe(12);
    expect(refused.stderr).toMatch(/promise/);
  });

  test("TestInvalidBundle: the log entry of another image is of no use", async () => {
    const other = await world.push();
    await sign("legacy", image.pinned);
    await sign("legacy", other.pinned);
    const own = await downloaded(image);
    const foreign = await downloaded(other);
    await world.must(["clean", "--force", image.pinned]);
    await attachParts(image, own, foreign.Bundle);
    const refused = await verify(image.pinned);
    expect(refused.status).toBe(12);
    expect(refused.stderr).toMatch(/log entry/);
    await attachParts(image, own, own.Bundle);
    expect(await verify(image.pinned)).toMatchObject({ status: 0 });
  });

  test.each(FORMATS)("TestFulcioBundle, %s: by identity, and by no other", async (format) => {
    await world.must(["sign", ...flagsOf(format), ...(await world.token()), image.pinned]);
    const by = (email: string): ReturnType<ImageWorld["run"]> =>
      world.run(["verify", ...world.trust, ...world.identity(email), image.pinned]);
    const { status, stdout } = await by("alice@example.com");
    expect(status).toBe(0);
    expect(stdout).toContain('"Subject":"alice@example.com"');
    expect(stdout).toContain(`"1.3.6.1.4.1.57264.1.1":"${sandbox.urls.oidc}"`);
    expect(await by("bob@example.com")).toMatchObject({ status: 12 });
    // Whoever expects a key is not satisfied by a certificate.
    expect(await verify(image.pinned)).toMatchObject({ status: 12 });
  });

  test("exit status 13: a signature by a key has no certificate", async () => {
    for (const format of FORMATS) {
      await sign(format, image.pinned);
      const run = await world.run(["verify", ...world.trust, ...world.identity(), image.pinned]);
      expect([run.status, outcomeOfRun(run)]).toEqual([13, "CERTIFICATE_MISSING"]);
    }
  });

  test.each(FORMATS)(
    "TestRFC3161Timestamp, TestRekorBundleAndRFC3161Timestamp, %s: a timestamp where one is asked for",
    async (format) => {
      const [without, withIt] =
        format === "bundle"
          ? [world.services("v1"), world.services("v2")]
          : [world.legacy(), world.legacy("timestamp")];
      const other = await world.push();
      // The signing configuration for Rekor v1 may name an authority too: a key and no log is what has no timestamp.
      const none = format === "bundle" ? world.services("none") : without;
      await world.must(["sign", ...none, ...alice.sign, other.pinned]);
      expect(await verify(other.pinned, "--use-signed-timestamps", "--insecure-ignore-tlog")).toMatchObject({
        status: 12,
      });
      await world.must(["sign", ...withIt, ...alice.sign, image.pinned]);
      expect(await verify(image.pinned, "--use-signed-timestamps")).toMatchObject({ status: 0 });
    },
  );

  test.each(FORMATS)(
    "TestSignVerifyWithRepoOverride, %s: signatures are in the other repository alone",
    async (format) => {
      const elsewhere = { COSIGN_REPOSITORY: `${world.host}/signatures-${format}` };
      await world.must(["sign", ...flagsOf(format), ...alice.sign, image.pinned], elsewhere);
      expect(await world.tags(image)).toEqual(["v1"]);
      expect(await verify(image.pinned)).toMatchObject({ status: 10 });
      const question = ["verify", ...world.trust, ...alice.verify, image.pinned];
      expect(await world.run(question, elsewhere)).toMatchObject({ status: 0 });
    },
  );

  test.each(FORMATS)("TestDuplicateSign, %s: signing again adds one, and both verify", async (format) => {
    await sign(format, image.pinned);
    await sign(format, image.pinned);
    const { status, stdout } = await verify(image.pinned);
    expect([status, (JSON.parse(stdout) as unknown[]).length]).toEqual([0, 2]);
  });

  test("TestDuplicateSign: what a key signs again without a log is kept once", async () => {
    const again = async (...more: string[]): Promise<number> => {
      await world.must(["sign", ...world.legacy("none"), ...more, image.pinned]);
      const { stdout } = await world.must(["download", "signature", image.pinned]);
      return stdout.trim().split("\n").length;
    };
    expect(await again(...alice.sign)).toBe(1);
    expect(await again(...alice.sign)).toBe(1);
    expect(await again(...alice.sign, "-a", "a=b")).toBe(2);
    expect(await again(...bob.sign)).toBe(3);
  });

  test("TestSignVerifyDetachedKeyless: signature and certificate in files, and the log that holds the entry", async () => {
    await world.must(["sign", ...world.legacy(), ...(await world.token()), image.pinned]);
    const { Base64Signature, Payload, Cert } = await downloaded(image);
    const certificate = world.write("own.der", Buffer.from(Cert?.Raw ?? "", "base64"));
    const signature = world.write("detached.sig", Base64Signature);
    const payload = world.write("detached.payload", Buffer.from(Payload, "base64"));
    await world.must(["clean", "--force", image.pinned]);
    const question = ["verify", ...world.trust, ...world.identity(), "--signature", signature, "--payload", payload];
    const asked = [...question, "--fetch-log-entries", "--rekor-url", sandbox.urls.rekor1, image.pinned];
    expect(await world.run([...asked, "--certificate", certificate])).toMatchObject({ status: 0 });
    expect(await world.run(asked)).toMatchObject({ status: 13 });
    expect(await world.run([...question, "--certificate", certificate, image.pinned])).toMatchObject({ status: 12 });
    const other = await world.push();
    const elsewhere = [...asked.slice(0, -1), "--certificate", certificate, other.pinned];
    expect(await world.run(elsewhere)).toMatchObject({ status: 12 });
  });
});

describe("authorities in files", () => {
  test.each(FORMATS)(
    "TestSignVerifyCertBundle, TestVerifyWithCARoots, %s: the chain that is named, and no other",
    async (format) => {
      await world.must(["sign", ...flagsOf(format), ...(await world.token()), image.pinned]);
      const own = world.write("chain.pem", chainOf(sandbox.paths.trustedRoot));
      const other = world.write("other.pem", chainOf(join(projectDir, "testdata", "real", "a", "trusted_root.json")));
      const question = (chain: string): string[] => [
        "verify",
        ...world.trust,
        ...world.identity(),
        "--certificate-chain",
        chain,
        image.pinned,
      ];
      expect(await world.run(question(own))).toMatchObject({ status: 0 });
      expect(await world.run(question(other))).toMatchObject({ status: 12 });
      const [, root = ""] = readFileSync(own, "utf8").split(/(?<=-----END CERTIFICATE-----\n)/);
      const roots = ["verify", ...world.trust, ...world.identity(), "--ca-roots", world.write("root.pem", root)];
      // The root alone does not lead to the certificate, whose issuer nobody here trusts.
      expect(await world.run([...roots, image.pinned])).toMatchObject({ status: 12 });
    },
  );
});

describe("bundles and configurations", () => {
  test("TestSignVerifyBundle: key, key without a log, Fulcio, annotations", async () => {
    await sign("bundle", image.pinned, "-a", "a=b");
    expect(await verify(image.pinned, "-a", "a=b", "--format", "bundle")).toMatchObject({ status: 0 });
    expect(await verify(image.pinned, "-a", "a=c", "--format", "bundle")).toMatchObject({ status: 12 });
    expect(await verify(image.pinned, "--format", "legacy")).toMatchObject({ status: 10 });
  });

  test("TestSignVerifyBundleOffline: with a key and without a log no trust is loaded", async () => {
    await world.must(["sign", ...world.services("none"), ...alice.sign, image.pinned]);
    const question = ["verify", ...alice.verify, "--insecure-ignore-tlog", image.pinned];
    expect(await world.run(question, { TUF_MIRROR: "http://127.0.0.1:1" })).toMatchObject({ status: 0 });
  });

  test("TestSignVerifyWithSigningConfigWithKey, TestSignAttestVerifyContainerWithSigningConfig", async () => {
    for (const kind of ["v1", "v2"] as const) {
      const one = await world.push();
      await world.must(["sign", ...world.services(kind), ...alice.sign, one.pinned]);
      await world.must(["sign", ...world.services(kind), ...(await world.token()), one.pinned]);
      expect(await verify(one.pinned)).toMatchObject({ status: 0 });
      expect(await world.run(["verify", ...world.trust, ...world.identity(), one.pinned])).toMatchObject({ status: 0 });
    }
  });

  test("TestSignVerifyContainerWithSigningConfigWithCertificate, TestSignVerifyContainerWithCertificateChain", async () => {
    // A certificate of Fulcio for a key that is kept: out of a bundle that it was issued for.
    const blob = world.write("blob", "blob");
    const bundle = world.at("blob.json");
    const keyed = [...alice.sign, "--issue-certificate", ...(await world.token())];
    await world.must(["sign-blob", ...world.services(), ...keyed, "--bundle", bundle, blob]);
    const { verificationMaterial } = JSON.parse(readFileSync(bundle, "utf8")) as {
      verificationMaterial: { certificate: { rawBytes: string } };
    };
    const { rawBytes } = verificationMaterial.certificate;
    const pem = `-----BEGIN CERTIFICATE-----\n${rawBytes}\n-----END CERTIFICATE-----\n`;
    const certificate = ["--certificate", world.write("alice.pem", pem)];
    const question = ["verify", ...world.trust, ...world.identity(), image.pinned];
    await world.must(["sign", ...world.services(), ...alice.sign, ...certificate, image.pinned]);
    expect(await world.run(question)).toMatchObject({ status: 0 });
    await world.must(["clean", "--force", image.pinned]);
    const chain = ["--certificate-chain", world.write("chain.pem", chainOf(sandbox.paths.trustedRoot))];
    await world.must(["sign", ...world.services(), ...alice.sign, ...certificate, ...chain, image.pinned]);
    expect(await world.run(question)).toMatchObject({ status: 12 });
    expect(await world.run([...question, "--allow-certificate-chain"])).toMatchObject({ status: 0 });
  });

  test("TestSignRekorV2NoTSA: refused before a service is asked", async () => {
    const config = JSON.parse(readFileSync(sandbox.paths.signingConfig, "utf8")) as Record<string, unknown>;
    const { tsaUrls: _tsaUrls, tsaConfig: _tsaConfig, ...rest } = config;
    const path = world.write("no-tsa.json", JSON.stringify(rest));
    sandbox.clearRequests();
    const run = await world.run([
      "sign",
      "--yes",
      "--signing-config",
      path,
      ...world.trust,
      ...(await world.token()),
      image.pinned,
    ]);
    expect(run.status).toBe(1);
    expect(run.stderr).toMatch(/timestamp/);
    const asked = new Set(sandbox.requests.map(({ service }) => service));
    expect([asked.has("fulcio"), asked.has("rekor2")]).toEqual([false, false]);
  });

  test("TestSignAttestVerifyRekorV2: both entries are hashedrekord 0.0.2", async () => {
    await sign("bundle", image.pinned);
    await attest("bundle", image.pinned, "custom", world.write("p.json", "{}"));
    const { stdout } = await world.must(["download", "signature", image.pinned]);
    const { stdout: attestations } = await world.must(["download", "attestation", image.pinned]);
    for (const line of [...stdout.trim().split("\n"), ...attestations.trim().split("\n")])
      expect(line).toContain('"kindVersion":{"kind":"hashedrekord","version":"0.0.2"}');
  });

  test("an index: every image in it, or the index for all of them", async () => {
    const index = await world.pushIndex();
    await sign("bundle", index.pinned);
    expect(await verify(index.tagged)).toMatchObject({ status: 0 });
    expect(await verify(index.tagged, "--digest-rule", "every-leaf")).toMatchObject({ status: 10 });
    const platform = ["--platform", "linux/arm64"];
    expect(await verify(index.tagged, ...platform)).toMatchObject({ status: 10 });
    expect(await verify(index.tagged, ...platform, "--digest-rule", "leaf-or-linked-parent")).toMatchObject({
      status: 0,
    });
    await sign("bundle", index.pinned, "--recursive");
    expect(await verify(index.tagged, "--digest-rule", "every-leaf")).toMatchObject({ status: 0 });
    expect(await verify(index.tagged, ...platform)).toMatchObject({ status: 0 });
  });
});

describe("attestations", () => {
  const TYPE = "https://example.com/note/v1";

  test.each(FORMATS)(
    "TestAttestVerify, …URI, %s: of the type that is asked for, by whom, about this image",
    async (format) => {
      const predicate = world.write("note.json", '{"big":12345678901234567890}');
      expect(await verifyAttestation(image.pinned, TYPE)).toMatchObject({ status: 10 });
      await attest(format, image.pinned, TYPE, predicate);
      const { status, stdout } = await verifyAttestation(image.pinned, TYPE);
      expect(status).toBe(0);
      const { payload } = JSON.parse(stdout) as { payload: string };
      expect(Buffer.from(payload, "base64").toString()).toContain('{"big":12345678901234567890}');
      expect(await verifyAttestation(image.pinned, "https://example.com/note/v2")).toMatchObject({ status: 12 });
      expect(await verifyAttestation((await world.push()).pinned, TYPE)).toMatchObject({ status: 10 });
      // An attestation is no signature.
      expect(await verify(image.pinned)).toMatchObject({ status: format === "bundle" ? 12 : 10 });
    },
  );

  test.each([
    ["TestAttestVerifySPDXJSON", "spdxjson", '{"spdxVersion":"SPDX-2.3"}'],
    ["TestAttestVerifyCycloneDXJSON", "cyclonedx", '{"bomFormat":"CycloneDX"}'],
  ])("%s", async (_name, type, text) => {
    await attest("bundle", image.pinned, type, world.write(`${type}.json`, text));
    expect(await verifyAttestation(image.pinned, type)).toMatchObject({ status: 0 });
    expect(await verifyAttestation(image.pinned, "slsaprovenance1")).toMatchObject({ status: 12 });
  });

  test.each(FORMATS)("TestAttestationDownload, …WithPredicateType, …WithBadPredicateType, %s", async (format) => {
    const predicate = world.write("p.json", '{"bomFormat":"CycloneDX"}');
    await attest(format, image.pinned, "cyclonedx", predicate);
    await attest(format, image.pinned, TYPE, predicate);
    const download = (...more: string[]): ReturnType<ImageWorld["run"]> =>
      world.run(["download", "attestation", ...more, image.pinned]);
    expect((await download()).stdout.trim().split("\n")).toHaveLength(2);
    expect((await download("--predicate-type", "cyclonedx")).stdout.trim().split("\n")).toHaveLength(1);
    expect((await download("--predicate-type", "spdxjson")).status).not.toBe(0);
  });

  test("TestAttestationReplaceCreate, TestAttestationReplace: those of one type make place", async () => {
    const predicate = world.write("p.json", '{"n":1}');
    await attest("legacy", image.pinned, TYPE, predicate);
    await attest("legacy", image.pinned, "https://example.com/other/v1", predicate);
    await attest("legacy", image.pinned, TYPE, world.write("p2.json", '{"n":2}'), "--replace");
    const { stdout } = await world.must(["download", "attestation", image.pinned]);
    const predicates = stdout
      .trim()
      .split("\n")
      .map((line) => Buffer.from((JSON.parse(line) as { payload: string }).payload, "base64").toString())
      .map((text) => (JSON.parse(text) as { predicate: { n: number } }).predicate.n);
    expect(predicates.toSorted((a, b) => a - b)).toEqual([1, 2]);
  });

  test("TestAttestationRFC3161Timestamp", async () => {
    const predicate = world.write("p.json", "{}");
    await world.must([
      "attest",
      ...world.legacy("timestamp"),
      ...(await world.token()),
      "--type",
      TYPE,
      "--predicate",
      predicate,
      image.pinned,
    ]);
    const question = ["verify-attestation", ...world.trust, ...world.identity(), "--type", TYPE, image.pinned];
    expect(await world.run([...question, "--use-signed-timestamps"])).toMatchObject({ status: 0 });
  });

  test("TestAttestVerifyUploadFalse", async () => {
    const bundle = world.at("attested.json");
    await attest("bundle", image.pinned, TYPE, world.write("p.json", "{}"), "--no-upload", "--bundle", bundle);
    expect(await verifyAttestation(image.pinned, TYPE)).toMatchObject({ status: 10 });
    await world.must(["attach", "attestation", "--attestation", bundle, image.pinned]);
    expect(await verifyAttestation(image.pinned, TYPE)).toMatchObject({ status: 0 });
  });

  test("TestAttestDownloadAttachNewBundle, TestSignDownloadAttachNewBundle: to the same image elsewhere", async () => {
    await sign("bundle", image.pinned);
    const { stdout } = await world.must(["download", "signature", image.pinned]);
    await world.must(["clean", "--force", image.pinned]);
    await world.must(["attach", "signature", "--bundle", world.write("b.json", stdout.trim()), image.pinned]);
    expect(await verify(image.pinned)).toMatchObject({ status: 0 });
    // What is about this image is attached to no other.
    const other = await world.push();
    const run = await world.run(["attach", "signature", "--bundle", world.at("b.json"), other.pinned]);
    expect([run.status, outcomeOfRun(run)]).toEqual([1, "SUBJECT_MISMATCH"]);
  });
});

describe("layouts and registries", () => {
  test.each(FORMATS.flatMap((format) => (["image", "index"] as const).map((shape) => [format, shape] as const)))(
    "TestSaveLoad, TestSaveLoadAutoDetectFormat, TestSaveLoadAttestation, %s of an %s",
    async (format, shape) => {
      const one = shape === "index" ? await world.pushIndex() : image;
      await sign(format, one.pinned);
      await attest(format, one.pinned, "custom", world.write("p.json", "{}"));
      const dir = world.at(`saved-${format}-${shape}`);
      await world.must(["save", "--dir", dir, one.pinned]);
      expect(await verify(dir, "--local-image")).toMatchObject({ status: 0 });
      expect(await verifyAttestation(dir, "custom", "--local-image")).toMatchObject({ status: 0 });
      expect(await world.run(["verify", ...world.trust, ...bob.verify, "--local-image", dir])).toMatchObject({
        status: 12,
      });
      const loaded = `${world.host}/loaded-${format}-${shape}:v1`;
      await world.must(["load", "--dir", dir, loaded]);
      expect(await verify(loaded)).toMatchObject({ status: 0 });
      expect(await verifyAttestation(loaded, "custom")).toMatchObject({ status: 0 });
    },
  );

  test.each(FORMATS)("copy, %s: with everything, and without moving a tag of another image", async (format) => {
    await sign(format, image.pinned);
    const copied = `${world.host}/copied-${format}:v1`;
    await world.must(["copy", image.tagged, copied]);
    expect(await verify(copied)).toMatchObject({ status: 0 });
    const other = await world.push();
    const run = await world.run(["copy", other.tagged, copied]);
    expect([run.status, outcomeOfRun(run)]).toEqual([1, "DESTINATION_EXISTS"]);
    expect(await verify(copied)).toMatchObject({ status: 0 });
    await world.must(["copy", "--force", other.tagged, copied]);
    expect(await verify(copied)).toMatchObject({ status: 10 });
  });

  test("TestAttachSBOM, TestAttachSBOM_bom_flag", async () => {
    const sbom = world.write("sbom.spdx.json", '{"spdxVersion":"SPDX-2.3"}');
    expect((await world.run(["download", "sbom", image.pinned])).status).not.toBe(0);
    await world.must(["attach", "sbom", "--sbom", sbom, "--type", "spdx", "--input-format", "json", image.pinned]);
    expect((await world.must(["download", "sbom", image.pinned])).stdout).toContain("SPDX-2.3");
    expect(await world.tags(image)).toContain(`${image.digest.replace(":", "-")}.sbom`);
  });

  test("TestDockerfileVerify: stages, arguments, and images that nobody signed", async () => {
    const base = await world.push();
    const unsigned = await world.push();
    await sign("bundle", image.pinned);
    await sign("legacy", base.pinned);
    const verifyFile = (text: string, ...more: string[]): ReturnType<ImageWorld["run"]> =>
      world.run(["dockerfile", "verify", ...world.trust, ...alice.verify, ...more, world.write("Dockerfile", text)], {
        NAME: base.pinned,
      });
    const rows: readonly (readonly [string, number, ...string[]])[] = [
      [`FROM ${base.pinned}`, 0],
      [`from ${base.pinned}`, 0],
      [`FROM ${image.pinned} AS build\nFROM ${base.pinned}\nCOPY --from=build /x /x`, 0],
      [`FROM ${unsigned.pinned} AS build\nFROM ${base.pinned}\nCOPY --from=build /x /x`, 10],
      [`FROM ${unsigned.pinned} AS build\nFROM ${base.pinned}\nCOPY --from=build /x /x`, 0, "--base-image-only"],
      [`FROM ${image.pinned} AS build\nFROM ${unsigned.pinned}`, 10, "--base-image-only"],
      [`ARG IMAGE=${base.pinned}\nFROM $IMAGE`, 0],
      ["FROM $NAME", 0],
      ["FROM $OTHER", 1],
      [`FROM ${unsigned.pinned}`, 10],
      [`FROM ${base.tagged.replace(":v1", ":v2")}`, 11],
      ["FROM scratch", 1],
    ];
    for (const [text, status, ...more] of rows) expect((await verifyFile(text, ...more)).status, text).toBe(status);
    const { stderr } = await verifyFile(`FROM ${image.pinned} AS build\nFROM ${base.pinned}`);
    expect(stderr).toContain(`Extracted image(s): ${image.pinned}, ${base.pinned}`);
  });

  test("TestManifestVerify: signed, and unsigned", async () => {
    const unsigned = await world.push();
    await sign("bundle", image.pinned);
    const pod = (...images: string[]): string =>
      `apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers: [${images.map((one) => `{name: c, image: "${one}"}`).join(", ")}]\n`;
    const verifyFile = (text: string): ReturnType<ImageWorld["run"]> =>
      world.run(["manifest", "verify", ...world.trust, ...alice.verify, world.write("pod.yaml", text)]);
    expect(await verifyFile(pod(image.pinned))).toMatchObject({ status: 0 });
    const { status, stdout, stderr } = await verifyFile(pod(image.pinned, unsigned.pinned));
    // What is proven of one is told, and what is not proven of the other decides.
    expect([status, stdout.includes(image.digest), stderr.includes("no signatures found")]).toEqual([10, true, true]);
    expect(await verifyFile("apiVersion: v1\nkind: Service\n")).toMatchObject({ status: 1 });
    expect(await verifyFile("a: [1")).toMatchObject({ status: 1 });
  });

  test("TestTree", async () => {
    expect((await world.must(["tree", image.pinned])).stdout).toContain("No Supply Chain Security Related Artifacts");
    await sign("legacy", image.pinned);
    await sign("bundle", image.pinned);
    const { stdout } = await world.must(["tree", image.pinned]);
    expect(stdout).toContain("🔐 Signatures for an image tag");
    expect(stdout).toContain("🔗 https://sigstore.dev/cosign/sign/v1 artifacts via OCI referrer");
  });

  test("TestGenerate: byte for byte what is signed", async () => {
    const { stdout } = await world.must(["generate", image.pinned]);
    // cosign, test/e2e_test.go `TestGenerate`
    expect(stdout).toBe(
      `{"critical":{"identity":{"docker-reference":"${image.pinned.split("@")[0]}"},"image":{"docker-manifest-digest":"${image.digest}"},"type":"cosign container image signature"},"optional":null}`,
    );
    const { stdout: annotated } = await world.must(["generate", "-a", "foo=bar", image.pinned]);
    expect(annotated).toContain('"optional":{"foo":"bar"}');
  });

  test("TestUploadDownload, TestAttachSignature: a signature that openssl makes", async () => {
    const { generateKeyPairSync, sign: signBytes } = await import("node:crypto");
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const key = world.write("openssl.pub", publicKey.export({ type: "spki", format: "pem" }));
    const { stdout: payload } = await world.must(["generate", image.pinned]);
    const signature = signBytes("sha256", Buffer.from(payload), privateKey).toString("base64");
    await world.must([
      "attach",
      "signature",
      "--payload",
      world.write("payload.json", payload),
      "--signature",
      world.write("payload.sig", signature),
      image.pinned,
    ]);
    const question = ["verify", "--key", key, "--insecure-ignore-tlog", image.pinned];
    expect(await world.run(question)).toMatchObject({ status: 0 });
    const { stdout } = await world.must(["download", "signature", image.pinned]);
    expect(JSON.parse(stdout)).toMatchObject({
      Base64Signature: signature,
      Payload: Buffer.from(payload).toString("base64"),
    });
  });

  test.each(FORMATS)(
    "TestInsecureRegistry, TestAttestInsecureRegistry, %s: a certificate of nobody's",
    async (format) => {
      const tls = await startTlsRegistry(world.host);
      try {
        const [, name = ""] = image.pinned.split("/");
        const reference = `${tls.host}/${name}`;
        const refused = await world.run(["sign", ...flagsOf(format), ...alice.sign, reference]);
        expect([refused.status, outcomeOfRun(refused)]).toEqual([1, "HTTP_REQUEST_FAILED"]);
        const authority = world.write("authority.pem", tls.authority);
        for (const flags of [["--allow-insecure-registry"], ["--registry-cacert", authority]]) {
          await sign(format, reference, ...flags);
          expect(await verify(reference, ...flags)).toMatchObject({ status: 0 });
          await attest(format, reference, "custom", world.write("p.json", "{}"), ...flags);
          expect(await verifyAttestation(reference, "custom", ...flags)).toMatchObject({ status: 0 });
        }
        expect(await verify(reference)).toMatchObject({ status: 1 });
        const wrong = await verify(reference, "--registry-cacert", authority, "--registry-server-name", "other.test");
        expect(wrong).toMatchObject({ status: 1 });
        const right = ["--registry-cacert", authority, "--registry-server-name", "registry.test"];
        expect(await verify(reference, ...right)).toMatchObject({ status: 0 });
      } finally {
        tls.close();
      }
    },
  );

  test("a tag that is not there: exit status 11", async () => {
    expect(await verify(image.tagged.replace(":v1", ":v2"))).toMatchObject({ status: 11 });
    expect(await verifyAttestation(image.tagged.replace(":v1", ":v2"), "custom")).toMatchObject({ status: 11 });
  });
});
