import { createHash, X509Certificate } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import type { Context } from "../../src/cli/context.ts";
import { generateKeyPair } from "../../src/keys/generate.ts";
import type { Json } from "../support/json-edits.ts";
import type { Run } from "../support/program.ts";
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
} from "../support/signing-cli.ts";

const world = useSigningWorld();
const HELLO = "hello\n";
let folder: Folder;
beforeEach(() => {
  folder = makeFolder();
  folder.write("app", HELLO);
  folder.write("lib", "lib\n");
  folder.write("cosign.key", world().privateKeyPem);
  folder.write("cosign.pub", world().publicKeyPem);
  world().sandbox.clearRequests();
});

/** `@name` stands for the path of a file in the test's folder. */
const paths = (words: readonly string[]): readonly string[] =>
  words.map((word) => word.replace(/(^|=)@/, (_, before: string) => `${before}${folder.at("")}/`));

/** Reads lines of standard output, each of which must be as the published schema says. */
function results(stdout: string): readonly Json[] {
  const schema = JSON.parse(
    readFileSync(new URL("../../schema/result.schema.json", import.meta.url), "utf8"),
  ) as object;
  const validate = new Ajv2020({ allErrors: true }).compile(schema);
  return stdout
    .trimEnd()
    .split("\n")
    .map((line) => {
      const result = JSON.parse(line) as Json;
      expect(validate(result), JSON.stringify(validate.errors)).toBe(true);
      return result;
    });
}

const TOKEN = (): readonly string[] => ["--identity-token", world().token];
const sign = (words: readonly string[], surroundings: Partial<Context> = {}): Promise<Run> =>
  run(["sign-blob", ...world().config, ...paths(words)], surroundings);
/** Without the services and the trust of the others. */
const signBare = (words: readonly string[], surroundings: Partial<Context> = {}): Promise<Run> =>
  run(["sign-blob", ...paths(words)], surroundings);
const withKey: Partial<Context> = { environment: { COSIGN_PASSWORD: PASSWORD } };

const signer = (): readonly string[] => [
  "--certificate-identity",
  ALICE,
  "--certificate-oidc-issuer",
  world().sandbox.urls.oidc,
];
const verify = async (words: readonly string[], file = "@app"): Promise<string> => {
  const { trustedRoot } = world().sandbox.paths;
  const result = await run(["verify-blob", "--trusted-root", trustedRoot, ...paths([...words, file])]);
  return result.status === 0 ? "verified" : outcome(result);
};
const bundleIn = (name: string): Json => JSON.parse(folder.read(name)) as Json;
const entryOf = (name: string): Json =>
  ((bundleIn(name)["verificationMaterial"] as Json)["tlogEntries"] as readonly [Json])[0];

describe("sign-blob, with an identity", () => {
  test("writes a bundle that verifies, for its owner alone, and nothing to standard output", async () => {
    const { status, stdout, stderr } = await sign([...TOKEN(), "--yes", "--bundle", "@app.json", "@app"]);
    expect([status, stdout]).toEqual([0, ""]);
    expect(stderr).toBe(
      `Using payload from: ${folder.at("app")}\ntlog entry created with index: ${(entryOf("app.json")["logIndex"] as string | undefined) ?? "0"}\nWrote bundle to file ${folder.at("app.json")}\n`,
    );
    expect(statSync(folder.at("app.json")).mode & 0o777).toBe(0o600);
    expect(bundleIn("app.json")["mediaType"]).toBe("application/vnd.dev.sigstore.bundle.v0.3+json");
    expect(await verify(["--bundle", "@app.json", ...signer()])).toBe("verified");
    expect(await verify(["--bundle", "@app.json", ...signer()], "@lib")).toBe("ARTIFACT_DIGEST_MISMATCH");
  });

  test.for<readonly [string, readonly [name: string, issuer?: string], string]>([
    ["takes the certificate that it names", [ALICE], "status 0"],
    ["refuses a certificate with another name", ["bob@example.com"], "IDENTITY_MISMATCH"],
    ["refuses a certificate with another issuer", [ALICE, "https://issuer.example"], "ISSUER_MISMATCH"],
  ])("--require-identity %s", async ([, [name, issuer], expected]) => {
    const required = ["--require-identity", name, "--require-issuer", issuer ?? world().sandbox.urls.oidc];
    const run = await sign([...TOKEN(), "--yes", "--bundle", "@app.json", ...required, "@app"]);
    expect(outcome(run)).toBe(expected);
    expect(folder.has("app.json")).toBe(expected === "status 0");
  });

  test.for([
    ["--require-identity", ALICE],
    ["--require-issuer", "https://issuer.example"],
  ])("%s is nothing without the other", async (alone) => {
    expect(outcome(await sign([...TOKEN(), "--yes", "--bundle", "@app.json", ...alone, "@app"]))).toBe("USAGE_INVALID");
  });

  test("tells what becomes public before it does, unless --yes is given", async () => {
    const { stderr } = await sign([...TOKEN(), "--bundle", "@app.json", "@app"]);
    const told = stderr.indexOf("This becomes public:");
    expect(told).toBeGreaterThan(0);
    expect(stderr.indexOf("tlog entry created")).toBeGreaterThan(told);
    expect(stderr).toContain(`  Identity: ${ALICE}\n`);
    expect(stderr).not.toContain("[y/N]"); // as in cosign, a signing config and a token ask nothing
  });

  test.for<readonly [string, () => { words?: readonly string[]; environment?: Record<string, string> }]>([
    ["a file", () => ({ words: ["--identity-token", folder.write("token.jwt", `${world().token}\n`)] })],
    ["COSIGN_IDENTITY_TOKEN", () => ({ environment: { COSIGN_IDENTITY_TOKEN: world().token } })],
    ["the surroundings", () => ({ environment: { SIGSTORE_ID_TOKEN: world().token } })],
    [
      "the provider that is named",
      () => ({ words: ["--oidc-provider", "envvar"], environment: { SIGSTORE_ID_TOKEN: world().token } }),
    ],
  ])("takes the token from %s", async ([, where]) => {
    const { words = [], environment = {} } = where();
    expect(outcome(await sign([...words, "--yes", "--bundle", "@app.json", "@app"], { environment }))).toBe("status 0");
    expect(await verify(["--bundle", "@app.json", ...signer()])).toBe("verified");
  });

  test.for<readonly [string, readonly string[], string]>([
    [
      "--oidc-disable-ambient-providers",
      ["--oidc-disable-ambient-providers", "--fulcio-auth-flow", "token"],
      "IDENTITY_TOKEN_UNAVAILABLE",
    ],
    ["--oidc-provider", ["--oidc-provider", "github-actions"], "IDENTITY_TOKEN_UNAVAILABLE"],
    ["--fulcio-auth-flow", ["--fulcio-auth-flow", "client_credentials"], "IDENTITY_TOKEN_UNAVAILABLE"],
  ])("%s decides whose token it is", async ([, words, code]) => {
    const run = await sign([...words, "--yes", "--bundle", "@app.json", "@app"], {
      environment: { SIGSTORE_ID_TOKEN: world().token },
    });
    expect([outcome(run), folder.has("app.json"), requestsOf(world().sandbox).includes("fulcio")]).toEqual([
      code,
      false,
      false,
    ]);
  });

  test("without a token, and without a person, says so and asks nobody", async () => {
    const environment = { CI: "true" };
    expect(outcome(await sign(["--yes", "--bundle", "@app.json", "@app"], { environment }))).toBe(
      "IDENTITY_TOKEN_UNAVAILABLE",
    );
    expect(requestsOf(world().sandbox)).toEqual([]);
  });

  test("takes the token of a workflow, and the certificate that names the workflow", async () => {
    const identity = "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main";
    const token = await world().sandbox.token("github");
    expect(outcome(await sign(["--identity-token", token, "--yes", "--bundle", "@app.json", "@app"]))).toBe("status 0");
    const issuer = `${world().sandbox.urls.oidc}/github`;
    expect(
      await verify(["--bundle", "@app.json", "--certificate-identity", identity, "--certificate-oidc-issuer", issuer]),
    ).toBe("verified");
  });

  test("--signing-algorithm chooses the key", async () => {
    await sign([
      ...TOKEN(),
      "--signing-algorithm",
      "ecdsa-sha2-384-nistp384",
      "--yes",
      "--bundle",
      "@app.json",
      "@app",
    ]);
    const { messageDigest } = bundleIn("app.json")["messageSignature"] as { messageDigest: Json };
    expect(messageDigest["algorithm"]).toBe("SHA2_384");
    expect(await verify(["--bundle", "@app.json", ...signer()])).toBe("verified");
  });

  test("--signing-config chooses the services", async () => {
    const { paths: files } = world().sandbox;
    for (const [config, version] of [
      [files.signingConfig, "0.0.2"],
      [files.signingConfigRekor1, "0.0.1"],
    ] as const) {
      await signBare([
        "--signing-config",
        config,
        "--trusted-root",
        files.trustedRoot,
        ...TOKEN(),
        "--yes",
        "--bundle",
        "@app.json",
        "@app",
      ]);
      expect(entryOf("app.json")["kindVersion"]).toEqual({ kind: "hashedrekord", version });
    }
  });

  test("--trusted-root decides whose answers are believed", async () => {
    const { paths: files } = world().sandbox;
    const other = new URL("../../testdata/real/a/trusted_root.json", import.meta.url).pathname;
    const run = await signBare([
      "--signing-config",
      files.signingConfigRekor1,
      "--trusted-root",
      other,
      ...TOKEN(),
      "--yes",
      "--bundle",
      "@app.json",
      "@app",
    ]);
    expect([outcome(run), folder.has("app.json")]).toEqual(["CERTIFICATE_ISSUER_UNKNOWN", false]);
    expect(requestsOf(world().sandbox)).toEqual(["fulcio"]);
  });

  test("takes services and trust from the TUF repository of the environment", async () => {
    const { urls, paths: files } = world().sandbox;
    const environment = { TUF_MIRROR: urls.tuf, TUF_ROOT_JSON: files.tufRoot, TUF_ROOT: folder.at("tuf") };
    const { status, stderr } = await signBare([...TOKEN(), "--yes", "--bundle", "@app.json", "@app"], { environment });
    expect([status, stderr]).toEqual([0, expect.not.stringContaining("WARNING")]);
    expect(await verify(["--bundle", "@app.json", ...signer()])).toBe("verified");
  });

  test("reads standard input, a URL, and a digest", async () => {
    expect(outcome(await sign([...TOKEN(), "--yes", "--bundle", "@stdin.json", "-"], { stdin: input(HELLO) }))).toBe(
      "status 0",
    );
    const { digest } = { digest: "sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03" };
    expect(outcome(await sign([...TOKEN(), "--yes", "--bundle", "@digest.json", digest]))).toBe("status 0");
    const web = (url: string, init: RequestInit): Promise<Response> =>
      url === "https://example.com/files/app" ? Promise.resolve(new Response(HELLO)) : fetch(url, init);
    expect(
      outcome(
        await sign([...TOKEN(), "--yes", "--bundle", "@{name}.url.json", "https://example.com/files/app"], {
          fetch: web,
        }),
      ),
    ).toBe("status 0");
    for (const name of ["@stdin.json", "@digest.json", "@app.url.json"])
      expect(await verify(["--bundle", name, ...signer()])).toBe("verified");
  });
});

describe("sign-blob, with a key", () => {
  test("writes a bundle without a certificate, and asks Fulcio nothing", async () => {
    const { stderr } = await sign(["--key", "@cosign.key", "--bundle", "@app.json", "@app"], withKey);
    expect(stderr).toContain("  Public key: ");
    expect(requestsOf(world().sandbox).toSorted()).toEqual(["rekor1", "tsa"]);
    expect(await verify(["--bundle", "@app.json", "--key", "@cosign.pub"])).toBe("verified");
  });

  test("takes the password at standard input too, and the key from the environment", async () => {
    expect(
      outcome(
        await sign(["--key", "@cosign.key", "--yes", "--bundle", "@app.json", "@app"], { stdin: input(PASSWORD) }),
      ),
    ).toBe("status 0");
    const environment = { COSIGN_PASSWORD: PASSWORD, KEY: world().privateKeyPem };
    expect(outcome(await sign(["--key", "env://KEY", "--yes", "--bundle", "@app.json", "@app"], { environment }))).toBe(
      "status 0",
    );
  });

  test("needs no services, no trust and no network where the config names none", async () => {
    folder.write("none.json", JSON.stringify({ mediaType: "application/vnd.dev.sigstore.signingconfig.v0.2+json" }));
    const args = ["--signing-config", "@none.json", "--key", "@cosign.key", "--bundle", "@app.json", "@app"];
    const offline = await signBare([...args, "--offline"], {
      ...withKey,
      fetch: () => Promise.reject(new Error("a socket")),
    });
    expect([offline.status, offline.stderr]).toEqual([
      0,
      `Using payload from: ${folder.at("app")}\nWrote bundle to file ${folder.at("app.json")}\n`,
    ]);
    expect(await verify(["--bundle", "@app.json", "--key", "@cosign.pub", "--insecure-ignore-tlog"])).toBe("verified");
  });

  test("--issue-certificate asks for a certificate of the key, which --certificate then puts into a bundle", async () => {
    const issued = await sign(
      ["--key", "@cosign.key", "--issue-certificate", ...TOKEN(), "--yes", "--bundle", "@issued.json", "@app"],
      withKey,
    );
    expect(issued.status).toBe(0);
    expect(await verify(["--bundle", "@issued.json", ...signer()])).toBe("verified");
    const material = bundleIn("issued.json")["verificationMaterial"] as { certificate: { rawBytes: string } };
    const certificate = new X509Certificate(Buffer.from(material.certificate.rawBytes, "base64"));
    expect(certificate.publicKey.export({ type: "spki", format: "pem" })).toBe(world().publicKeyPem);
    folder.write("cert.pem", certificate.toString());
    const args = ["--key", "@cosign.key", "--certificate", "@cert.pem", "--yes", "--bundle", "@app.json", "@app"];
    expect(outcome(await sign(args, withKey))).toBe("status 0");
    expect(bundleIn("app.json")["verificationMaterial"]).toMatchObject({ certificate: material.certificate });
    expect(await verify(["--bundle", "@app.json", ...signer()])).toBe("verified");
  });

  test("--signing-algorithm must be one that the key can sign with", async () => {
    const args = ["--key", "@cosign.key", "--bundle", "@app.json", "@app", "--signing-algorithm"];
    expect(outcome(await sign([...args, "ecdsa-sha2-384-nistp384"], withKey))).toBe("USAGE_INVALID");
    expect([folder.has("app.json"), requestsOf(world().sandbox)]).toEqual([false, []]);
    expect(outcome(await sign([...args, "ecdsa-sha2-256-nistp256"], withKey))).toBe("status 0");
  });

  test("a key signs with its own algorithm where none is named", async () => {
    const { privateKeyPem } = await generateKeyPair({
      algorithm: "ecdsa-sha2-384-nistp384",
      password: () => Promise.resolve(new TextEncoder().encode(PASSWORD)),
    });
    folder.write("p384.key", privateKeyPem);
    expect(outcome(await sign(["--key", "@p384.key", "--yes", "--bundle", "@app.json", "@app"], withKey))).toBe(
      "status 0",
    );
    expect(bundleIn("app.json")["messageSignature"]).toMatchObject({ messageDigest: { algorithm: "SHA2_384" } });
  });

  test("refuses a certificate of another key", async () => {
    await sign([...TOKEN(), "--yes", "--bundle", "@other.json", "@app"]);
    const material = bundleIn("other.json")["verificationMaterial"] as { certificate: { rawBytes: string } };
    folder.write("cert.pem", new X509Certificate(Buffer.from(material.certificate.rawBytes, "base64")).toString());
    const run = await sign(
      ["--key", "@cosign.key", "--certificate", "@cert.pem", "--yes", "--bundle", "@app.json", "@app"],
      withKey,
    );
    expect([outcome(run), folder.has("app.json")]).toEqual(["CERTIFICATE_KEY_MISMATCH", false]);
  });
});

describe("sign-blob, of several files", () => {
  test("asks for one certificate, and writes a bundle for each", async () => {
    const { status, stderr } = await sign([
      ...TOKEN(),
      "--yes",
      "--bundle",
      "{path}.sigstore.json",
      "@app",
      "@lib",
      "@cosign.pub",
    ]);
    expect(status).toBe(0);
    expect(requestsOf(world().sandbox).filter((service) => service === "fulcio")).toHaveLength(1);
    for (const name of ["app", "lib", "cosign.pub"]) {
      expect(await verify(signer(), `@${name}`)).toBe("verified"); // found beside the file
      expect(stderr).toContain(`Wrote bundle to file ${folder.at(name)}.sigstore.json\n`);
    }
  });

  test.for([["{name}.json"], ["{}.json"], ["{path}.json"]])(
    "--bundle %s names each after its file",
    async ([template]) => {
      const bundle = template === "{name}.json" ? folder.at(template) : template;
      expect(outcome(await sign([...TOKEN(), "--yes", "--bundle", bundle ?? "", "@app", "@lib"]))).toBe("status 0");
      expect([folder.has("app.json"), folder.has("lib.json")]).toEqual([true, true]);
    },
  );

  test("never writes one file twice, and says so before anything is sent", async () => {
    for (const words of [
      ["--bundle", "@one.json"],
      ["--bundle", "@{name}", "--resume-state", "@state"],
    ])
      expect(outcome(await sign([...TOKEN(), "--yes", ...words, "@app", "@lib"]))).toBe("USAGE_INVALID");
    expect([folder.has("one.json"), requestsOf(world().sandbox)]).toEqual([false, []]);
  });

  test("goes on where one fails, tells which, and ends with 1", async () => {
    world().sandbox.setFault("rekor1", { kind: "500", path: "/api/v1/log/entries", requests: 1 });
    onTestFinished(() => world().sandbox.clearFaults());
    folder.write("gone", "x");
    const reading = sign([...TOKEN(), "--yes", "-o", "json", "--bundle", "{path}.json", "@app", "@gone", "@lib"], {
      stderr: { write: () => rmSync(folder.at("gone"), { force: true }), isTerminal: false },
    });
    const { status, stdout } = await reading;
    expect(status).toBe(1);
    expect(results(stdout)).toMatchObject([
      { verdict: "signed", artifact: folder.at("app"), bundle: folder.at("app.json") },
      { verdict: "failed", artifact: folder.at("gone"), error: { code: "FILE_NOT_FOUND" } },
      { verdict: "signed", artifact: folder.at("lib") },
    ]);
    expect([folder.has("app.json"), folder.has("gone.json"), folder.has("lib.json")]).toEqual([true, false, true]);
  });

  test("does not go on where there is no certificate to be had", async () => {
    world().sandbox.setFault("fulcio", { kind: "429", path: "/api/v2/signingCert" });
    onTestFinished(() => world().sandbox.clearFaults());
    const token = await world().sandbox.token("email", { email: ALICE, aud: "somebody-else" });
    const run = await sign(["--identity-token", token, "--yes", "--bundle", "{path}.json", "@app", "@lib"]);
    expect([outcome(run), requestsOf(world().sandbox)]).toEqual(["IDENTITY_TOKEN_AUDIENCE_MISMATCH", []]);
  });
});

describe("sign-blob, services by URL as in cosign 2", () => {
  const urls = (): readonly string[] => {
    const { urls: at, paths: files } = world().sandbox;
    return [
      "--use-signing-config=false",
      "--trusted-root",
      files.trustedRoot,
      "--fulcio-url",
      at.fulcio,
      "--rekor-url",
      at.rekor1,
    ];
  };
  const answer = (text: string): Partial<Context> => ({ stdin: input(text) });

  test("asks before it writes to a log, and takes y for a yes", async () => {
    const run = await signBare([...urls(), ...TOKEN(), "--bundle", "@app.json", "@app"], answer("y\n"));
    expect(run.status).toBe(0);
    expect(run.stderr).toContain("Are you sure you would like to continue? [y/N] ");
    expect(await verify(["--bundle", "@app.json", ...signer()])).toBe("verified");
  });

  test.for([
    ["n\n", "CONSENT_MISSING"],
    ["", "CONSENT_MISSING"],
    ["yes\n", "USAGE_INVALID"],
  ] as const)("takes %j for a no, and sends nothing", async ([text, code]) => {
    const run = await signBare([...urls(), ...TOKEN(), "--bundle", "@app.json", "@app"], answer(text));
    expect([outcome(run), folder.has("app.json"), requestsOf(world().sandbox)]).toEqual([code, false, []]);
  });

  test.for([
    ["yes\n", "@app", "@lib"],
    ["n\n", "@gone", "@app", "@lib"], // not the first one: the others are under way when it is asked
    ["yes\n", "@gone", "@app", "@lib"],
  ] as const)("takes %j for a no to every file of several, and sends nothing", async ([text, ...files]) => {
    folder.write("gone", "x");
    let told = "";
    const write = (words: string): void => {
      if (words.includes("Using payload from")) rmSync(folder.at("gone"), { force: true });
      told += words;
    };
    const { status } = await signBare([...urls(), ...TOKEN(), "--bundle", "{path}.json", ...files], {
      ...answer(`${text}${"y\n".repeat(4)}`),
      stderr: { write, isTerminal: false },
    });
    expect(status).not.toBe(0);
    expect(told.split("Are you sure you would like to continue?")).toHaveLength(2); // asked once
    expect([folder.has("app.json"), folder.has("lib.json"), requestsOf(world().sandbox)]).toEqual([false, false, []]);
  });

  test("does not take what is signed for an answer", async () => {
    const run = await signBare([...urls(), ...TOKEN(), "--bundle", "@app.json", "-"], answer("y\n"));
    expect([outcome(run), requestsOf(world().sandbox)]).toEqual(["CONSENT_MISSING", []]);
    expect(run.stderr).toContain("standard input is what is signed");
    const key = await signBare(
      [...urls(), "--key", "@cosign.key", "--yes", "--bundle", "@app.json", "-"],
      answer(PASSWORD),
    );
    expect(outcome(key)).toBe("KEY_PASSWORD_MISSING");
  });

  test("each URL is the one that is asked", async () => {
    for (const [flag, code] of [
      ["--fulcio-url", "HTTP_REQUEST_FAILED"],
      ["--rekor-url", "HTTP_REQUEST_FAILED"],
      ["--timestamp-server-url", "HTTP_REQUEST_FAILED"],
    ] as const) {
      const words = urls().flatMap((word, index, all) => (all[index - 1] === flag || word === flag ? [] : [word]));
      const run = await signBare([
        ...words,
        flag,
        "http://127.0.0.1:1",
        ...TOKEN(),
        "--yes",
        "--timeout",
        "20s",
        "--bundle",
        "@app.json",
        "@app",
      ]);
      expect([flag, outcome(run)]).toEqual([flag, code]);
    }
  }, 30_000);

  test("--timestamp-server-url brings a timestamp, --tlog-upload=false leaves the log out", async () => {
    const { tsa } = world().sandbox.urls;
    const args = [...urls(), ...TOKEN(), "--yes", "--timestamp-server-url", tsa, "--bundle", "@app.json", "@app"];
    await signBare(args);
    expect(bundleIn("app.json")["verificationMaterial"]).toMatchObject({
      tlogEntries: [{}],
      timestampVerificationData: {},
    });
    world().sandbox.clearRequests();
    expect(outcome(await signBare([...args, "--tlog-upload=false"]))).toBe("status 0");
    expect(bundleIn("app.json")["verificationMaterial"]).toMatchObject({
      tlogEntries: [],
      timestampVerificationData: {},
    });
    expect(requestsOf(world().sandbox)).not.toContain("rekor1");
    expect(
      outcome(await signBare([...urls(), ...TOKEN(), "--yes", "--tlog-upload=false", "--bundle", "@app.json", "@app"])),
    ).toBe("USAGE_INVALID");
  });

  test("writes what cosign wrote before bundles, which is verified from there", async () => {
    const outputs = [
      "--output-signature",
      "@app.sig",
      "--output-certificate",
      "@app.pem",
      "--rfc3161-timestamp",
      "@app.ts",
    ];
    const old = [
      ...urls(),
      "--timestamp-server-url",
      world().sandbox.urls.tsa,
      ...TOKEN(),
      "--yes",
      "--new-bundle-format=false",
    ];
    const { status, stdout } = await signBare([...old, "--bundle", "@app.bundle", ...outputs, "@app"]);
    expect([status, stdout]).toEqual([0, ""]);
    const timestamp = ["--use-signed-timestamps", "--rfc3161-timestamp", "@app.ts"];
    expect(await verify(["--bundle", "@app.bundle", ...signer()])).toBe("verified");
    expect(
      await verify([
        "--bundle",
        "@app.bundle",
        "--signature",
        "@app.sig",
        "--certificate",
        "@app.pem",
        ...timestamp,
        ...signer(),
      ]),
    ).toBe("verified");
    for (const name of ["app.bundle", "app.sig", "app.pem", "app.ts"])
      expect(statSync(folder.at(name)).mode & 0o777).toBe(0o600);
    expect(Buffer.from(folder.read("app.pem"), "base64").toString()).toMatch(/^-----BEGIN CERTIFICATE-----/);

    expect(
      (
        await signBare([
          ...old,
          "--b64=false",
          "--output-signature",
          "@raw.sig",
          "--output-certificate",
          "@raw.pem",
          "@app",
        ])
      ).status,
    ).toBe(0);
    expect(folder.read("raw.pem")).toMatch(/^-----BEGIN CERTIFICATE-----/);
    expect(await verify(["--signature", "@raw.sig", "--certificate", "@raw.pem", ...signer()])).toBe(
      "TLOG_THRESHOLD_NOT_MET",
    );
  });

  test("writes a signature to standard output, in base64, where no file is named", async () => {
    const { stdout } = await signBare(
      [...urls(), "--key", "@cosign.key", "--yes", "--new-bundle-format=false", "--bundle", "@app.bundle", "@app"],
      withKey,
    );
    expect(stdout).toMatch(/^[A-Za-z0-9+/]+=*\n$/);
    expect(folder.read("app.bundle")).toContain(stdout.trimEnd());
    expect(Buffer.from(bundleIn("app.bundle")["cert"] as string, "base64").toString()).toBe(world().publicKeyPem);
    expect(await verify(["--bundle", "@app.bundle", "--key", "@cosign.pub"])).toBe("verified");
    const old = await signBare(
      [...urls(), "--key", "@cosign.key", "--yes", "--new-bundle-format=false", "--output", "@app.sig", "@app"],
      withKey,
    );
    expect([old.stdout, folder.has("app.sig")]).toEqual(["", true]);
  });

  test("warns of each deprecated flag, and of outputs that a bundle takes the place of", async () => {
    const { stderr } = await sign([
      ...TOKEN(),
      "--yes",
      "--bundle",
      "@app.json",
      "--output-signature",
      "@app.sig",
      "--rfc3161-timestamp",
      "@app.ts",
      "@app",
    ]);
    expect(stderr).toContain("WARNING: Flag --output-signature has been deprecated, ");
    expect(stderr).toContain(
      "WARNING: --output-signature is deprecated when using --new-bundle-format and will be ignored\n",
    );
    expect(stderr).toContain(
      "WARNING: --rfc3161-timestamp is deprecated when using --new-bundle-format and will be ignored\n",
    );
    expect([folder.has("app.sig"), folder.has("app.ts")]).toEqual([false, false]);
  });
});

describe("mistakes that can be seen here", () => {
  const BUNDLE = ["--bundle", "@app.json", "@app"];
  const attest = ["--predicate", "@missing.json", ...BUNDLE];
  test.for<readonly [string, string, readonly string[], Partial<Context>?]>([
    ["a provider of tokens that nobody knows", "USAGE_INVALID", ["--oidc-provider", "nosuch", ...BUNDLE]],
    [
      "a provider and none",
      "USAGE_INVALID",
      ["--oidc-provider", "spiffe", "--oidc-disable-ambient-providers", ...BUNDLE],
    ],
    ["a flow that nobody knows", "USAGE_INVALID", ["--fulcio-auth-flow", "nosuch", ...BUNDLE]],
    [
      "a provider and a login",
      "USAGE_INVALID",
      ["--fulcio-auth-flow", "device", "--oidc-provider", "spiffe", ...BUNDLE],
    ],
    [
      "a client without its secret",
      "IDENTITY_TOKEN_UNAVAILABLE",
      ["--fulcio-auth-flow", "client_credentials", ...BUNDLE],
    ],
    ["a file of a secret that is missing", "FILE_NOT_FOUND", ["--oidc-client-secret-file", "@missing", ...BUNDLE]],
    ["a redirect URL elsewhere", "URL_INVALID", ["--oidc-redirect-url", "https://example.com/", ...BUNDLE]],
    ["a token that is missing", "IDENTITY_TOKEN_UNAVAILABLE", ["--identity-token", "@missing", ...BUNDLE]],
    ["a token that is none", "IDENTITY_TOKEN_MALFORMED", ["--identity-token", "@app", ...BUNDLE]],
    ["a folder that is missing", "WRITE_FAILED", ["--bundle", "@missing/app.json", "@app"]],
    ["one bundle for two files", "USAGE_INVALID", ["--bundle", "@app.json", "@app", "@lib"]],
    ["a key that is missing", "FILE_NOT_FOUND", ["--key", "@missing.key", ...BUNDLE], withKey],
    ["a public key for a private one", "PRIVATE_KEY_MALFORMED", ["--key", "@cosign.pub", ...BUNDLE], withKey],
    ["a variable for a key that is not set", "USAGE_INVALID", ["--key", "env://MISSING", ...BUNDLE], withKey],
    [
      "a certificate that is missing",
      "FILE_NOT_FOUND",
      ["--key", "@cosign.key", "--certificate", "@missing", ...BUNDLE],
      withKey,
    ],
    ["a bundle over the file itself", "USAGE_INVALID", ["--bundle", "@lib", "@lib"]],
    ["a bundle over the file by another name", "USAGE_INVALID", ["--bundle", "@./lib", "@lib"]],
    ["a bundle over the key", "USAGE_INVALID", ["--key", "@cosign.key", "--bundle", "@cosign.key", "@app"], withKey],
    ["a state over the file", "USAGE_INVALID", ["--resume-state", "@app", ...BUNDLE]],
    [
      "a bundle over the predicate",
      "USAGE_INVALID",
      ["attest-blob", "--predicate", "@ok.json", "--bundle", "@ok.json", "@app"],
    ],
    ["a format that is none", "USAGE_INVALID", ["--output", "yaml", ...BUNDLE]],
    [
      "a digest that is too short",
      "USAGE_INVALID",
      ["--key", "@cosign.key", "--bundle", "@app.json", "sha256:abcd"],
      withKey,
    ],
    ["a hash that is none", "USAGE_INVALID", ["attest-blob", "--predicate", "@ok.json", "--hash", "abc", ...BUNDLE]],
    ["a file that is missing", "FILE_NOT_FOUND", ["--bundle", "@app.json", "@missing"]],
    ["a signing config that is missing", "FILE_NOT_FOUND", ["--signing-config", "@missing", ...BUNDLE]],
    ["a trusted root that is missing", "FILE_NOT_FOUND", ["--trusted-root", "@missing", ...BUNDLE]],
    ["a predicate that is missing", "FILE_NOT_FOUND", ["attest-blob", ...attest]],
    [
      "a predicate that is no JSON",
      "STATEMENT_MALFORMED",
      ["attest-blob", "--type", "link", "--predicate", "@app", ...BUNDLE],
    ],
    [
      "a file to attest that is missing",
      "FILE_NOT_FOUND",
      ["attest-blob", "--predicate", "@ok.json", "--bundle", "@app.json", "@missing"],
    ],
    ["a statement that is none", "STATEMENT_MALFORMED", ["attest-blob", "--statement", "@ok.json", "--bundle", "@b"]],
  ])("%s: is told before anything is asked for over a network", async ([, code, words, surroundings]) => {
    folder.write("ok.json", "{}");
    const asked: string[] = [];
    const fetch = (url: string): Promise<never> => {
      asked.push(url);
      return Promise.reject(new Error("not now"));
    };
    const [first = ""] = words;
    const args = first === "attest-blob" ? words : ["sign-blob", ...words];
    const ended = await run(paths([...args.slice(0, 1), "--yes", ...args.slice(1)]), { fetch, ...surroundings });
    expect([outcome(ended), asked, folder.has("app.json")]).toEqual([code, [], false]);
    expect([folder.read("app"), folder.read("lib"), folder.read("ok.json")]).toEqual([HELLO, "lib\n", "{}"]);
  });

  test("a token that has expired is told beforehand, unless something may be finished with it", async () => {
    const token = await world().sandbox.token("email", { exp: Math.floor(Date.now() / 1000) - 60 });
    const asked: string[] = [];
    const fetch = (url: string): Promise<never> => {
      asked.push(url);
      return Promise.reject(new Error("not now"));
    };
    const args = ["--yes", "--identity-token", token, ...BUNDLE];
    expect([outcome(await signBare(args, { fetch })), asked]).toEqual(["IDENTITY_TOKEN_EXPIRED", []]);
    await signBare(["--resume-state", "@state.json", ...args], { fetch });
    expect(asked).not.toEqual([]);
  });
});

describe("--explain", () => {
  test("names services, signer and what becomes public, and shows nobody anything", async () => {
    const { status, stdout, stderr } = await sign([...TOKEN(), "--explain", "@app", "@lib"]);
    expect([status, stderr, requestsOf(world().sandbox)]).toEqual([0, "", []]);
    expect(stdout).toContain(`certificate authority: ${world().sandbox.urls.fulcio}\n`);
    expect(stdout).toContain(`  email: ${ALICE}\n`);
    expect(stdout).toContain(
      "app, artifact with sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03:\nThis becomes public:\n",
    );
    expect(stdout).not.toContain(world().token.split(".")[2]);
  });

  test("in JSON too, and for a key", async () => {
    const { stdout } = await sign(["--key", "@cosign.key", "--explain", "-o", "json", "@app"], withKey);
    const [json] = results(stdout);
    expect(json).toMatchObject({
      verdict: "explained",
      signer: { kind: "public-key" },
      services: { rekor: [{ majorApiVersion: 1 }] },
      artifacts: [
        {
          kind: "artifact",
          public: expect.arrayContaining([expect.objectContaining({ what: "public-key" })]) as unknown,
        },
      ],
    });
    expect(requestsOf(world().sandbox)).toEqual([]);
  });

  test("in JSON for an identity, and for a login, as the schema says", async () => {
    const [withToken, login] = [
      await sign([...TOKEN(), "--explain", "-o", "json", "@app"]),
      await sign(["--explain", "-o", "json", "@app"]),
    ];
    expect(results(withToken.stdout)[0]).toMatchObject({ signer: { kind: "identity-token", subject: ALICE } });
    expect(results(login.stdout)[0]).toMatchObject({ signer: { kind: "login", issuer: world().sandbox.urls.oidc } });
  });

  test("names the digest that a key would sign for which a certificate is asked", async () => {
    const { privateKeyPem } = await generateKeyPair({
      algorithm: "ecdsa-sha2-384-nistp384",
      password: () => Promise.resolve(new TextEncoder().encode(PASSWORD)),
    });
    folder.write("p384.key", privateKeyPem);
    const args = [...TOKEN(), "--key", "@p384.key", "--issue-certificate", "--explain", "-o", "json", "@app"];
    const { stdout } = await sign(args, withKey);
    const hex = createHash("sha384").update(HELLO).digest("hex");
    expect(results(stdout)[0]).toMatchObject({
      signer: { kind: "identity-token", subject: ALICE },
      artifacts: [{ digest: `sha384:${hex}` }],
    });
  });

  test("says that a login will tell, where there is no token", async () => {
    const { stdout } = await sign(["--explain", "@app"]);
    expect(stdout).toContain(`  whoever logs in at ${world().sandbox.urls.oidc}`);
    expect(requestsOf(world().sandbox)).toEqual([]);
  });
});

describe("--resume-state", () => {
  test("goes on with the same certificate where a log did not answer", async () => {
    const args = [...TOKEN(), "--yes", "--bundle", "@app.json", "--resume-state", "@state.json", "@app"];
    world().sandbox.setFault("rekor1", { kind: "lost-answer", path: "/api/v1/log/entries" });
    onTestFinished(() => world().sandbox.clearFaults());
    expect((await sign([...args, "--timeout", "2s"])).status).toBe(1);
    expect([folder.has("app.json"), folder.has("state.json")]).toEqual([false, true]);
    expect(folder.read("state.json")).not.toContain(world().token);
    world().sandbox.clearFaults();
    world().sandbox.clearRequests();
    const { status, stderr } = await sign(args);
    expect([status, requestsOf(world().sandbox).includes("fulcio")]).toEqual([0, false]);
    const issuer = world().sandbox.urls.oidc;
    expect(stderr).toContain(
      `Going on with the signature in ${folder.at("state.json")}, of ${ALICE}, as ${issuer} says\n`,
    );
    expect([folder.has("state.json"), await verify(["--bundle", "@app.json", ...signer()])]).toEqual([
      false,
      "verified",
    ]);
  }, 20_000);
});

describe("--resume-state in another's name", () => {
  /** What has been signed with a token, and waits for a log. */
  async function interrupt(token: readonly string[]): Promise<readonly string[]> {
    const rest = ["--bundle", "@app.json", "--resume-state", "@state.json", "@app"];
    world().sandbox.setFault("rekor1", { kind: "lost-answer", path: "/api/v1/log/entries" });
    onTestFinished(() => world().sandbox.clearFaults());
    expect((await sign([...token, "--yes", "--timeout", "2s", ...rest])).status).toBe(1);
    world().sandbox.clearFaults();
    world().sandbox.clearRequests();
    return rest;
  }

  test("is refused to a token of somebody else, given or of the surroundings, before anything is sent", async () => {
    const rest = await interrupt(TOKEN());
    const bob = await world().sandbox.token("email", { email: "bob@example.com" });
    for (const run of [
      await sign(["--identity-token", bob, "--yes", ...rest]),
      await sign(["--yes", ...rest], { environment: { SIGSTORE_ID_TOKEN: bob } }),
    ]) {
      expect([outcome(run), requestsOf(world().sandbox)]).toEqual(["IDENTITY_MISMATCH", []]);
      expect(run.stderr).toContain("bob@example.com");
      expect(run.stderr).toContain(ALICE);
    }
    expect([folder.has("app.json"), folder.has("state.json")]).toEqual([false, true]);
    const own = await sign(["--yes", ...rest], { environment: { SIGSTORE_ID_TOKEN: world().token } });
    expect([outcome(own), requestsOf(world().sandbox).includes("fulcio")]).toEqual(["status 0", false]);
  }, 20_000);

  test("is asked about where only a login would say who goes on", async () => {
    const rest = await interrupt(TOKEN());
    const declined = await sign(rest, { stdin: input("n\n") });
    expect([outcome(declined), requestsOf(world().sandbox)]).toEqual(["CONSENT_MISSING", []]);
    expect(declined.stderr).toContain(`, of ${ALICE}, as `);
    expect(outcome(await sign(rest, { stdin: input("y\n") }))).toBe("status 0");
  }, 20_000);
});

describe("outputs", () => {
  test("--output json tells what was signed, and what was proven of it", async () => {
    const { stdout } = await sign([...TOKEN(), "--yes", "-o", "json", "--bundle", "@app.json", "@app"]);
    expect(results(stdout)[0]).toMatchObject({
      version: 1,
      verdict: "signed",
      artifact: folder.at("app"),
      bundle: folder.at("app.json"),
      digest: "sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
      evidence: { verdict: "verified", signer: { identity: { subjectAlternativeName: { value: ALICE } } } },
    });
    const refused = await sign([...TOKEN(), "--yes", "-o", "json", "--bundle", "@app.json", "@missing"]);
    expect(results(refused.stdout)[0]).toMatchObject({ verdict: "failed", error: { code: "FILE_NOT_FOUND" } });
  });

  test("a bundle that cannot be written is not lost: it goes to standard output", async () => {
    const bundle = `${folder.at("sub")}/app.json`;
    mkdirSync(dirname(bundle));
    const written: string[] = [];
    const run = await sign([...TOKEN(), "--yes", "--bundle", bundle, "@app"], {
      stderr: {
        isTerminal: false,
        write(text) {
          written.push(text);
          if (text.startsWith("tlog entry created")) rmSync(dirname(bundle), { recursive: true });
        },
      },
    });
    expect([run.status, written.at(-1)]).toEqual([1, expect.stringContaining("[WRITE_FAILED]")]);
    folder.write("saved.json", run.stdout);
    expect(await verify(["--bundle", "@saved.json", ...signer()])).toBe("verified");
  });

  test("no stream ever holds the token, the key or the password", async () => {
    const secrets = (): readonly string[] => [
      world().token,
      world().token.split(".")[2] ?? "",
      PASSWORD,
      world().privateKeyPem.split("\n")[3] ?? "",
    ];
    const runs = [
      await sign([...TOKEN(), "--verbose", "--yes", "--bundle", "@app.json", "@app"]),
      await sign(["--key", "@cosign.key", "--verbose", "--yes", "--bundle", "@app.json", "@app"], withKey),
      await sign([...TOKEN(), "--verbose", "--explain", "@app"]),
      await sign([
        "--identity-token",
        `${world().token}x`,
        "--verbose",
        "--yes",
        "-o",
        "json",
        "--bundle",
        "@app.json",
        "@app",
      ]),
      await sign(["--key", "@cosign.key", "--verbose", "--yes", "--bundle", "@app.json", "@app"], {
        environment: { COSIGN_PASSWORD: "wrong" },
      }),
    ];
    world().sandbox.setFault("fulcio", { kind: "500" });
    onTestFinished(() => world().sandbox.clearFaults());
    runs.push(
      await sign([...TOKEN(), "--verbose", "--yes", "--timeout", "1s", "-o", "json", "--bundle", "@app.json", "@app"]),
    );
    for (const { stdout, stderr } of runs)
      for (const secret of secrets()) expect(`${stdout}${stderr}`).not.toContain(secret);
  }, 20_000);
});

describe("the environment", () => {
  test("gives flags as COSIGN_NAME", async () => {
    const { paths: files } = world().sandbox;
    const environment = {
      COSIGN_BUNDLE: folder.at("app.json"),
      COSIGN_YES: "true",
      COSIGN_SIGNING_CONFIG: files.signingConfigRekor1,
      COSIGN_TRUSTED_ROOT: files.trustedRoot,
      COSIGN_IDENTITY_TOKEN: world().token,
    };
    const { status, stderr } = await signBare(["@app"], { environment });
    expect([status, stderr.includes("This becomes public")]).toEqual([0, false]);
  });
});

describe("what is wrong", () => {
  const BUNDLE = ["--bundle", "@app.json"];
  test.for<readonly [string, readonly string[], string, RegExp]>([
    ["no file", BUNDLE, "USAGE_INVALID", /sign-blob needs FILE/],
    ["no bundle", ["@app"], "USAGE_INVALID", /must specify --bundle with --new-bundle-format/],
    ["a file that is missing", [...BUNDLE, "@missing"], "FILE_NOT_FOUND", /"[^"]*missing" does not exist/],
    ["a folder", [...BUNDLE, "@"], "FILE_IS_DIRECTORY", /is a directory/],
    ["a file that is named twice", ["--bundle", "{path}.json", "@app", "@app"], "USAGE_INVALID", /is named twice/],
    [
      "an output that cannot be",
      ["--bundle", "/nonexistent/app.json", "@app"],
      "WRITE_FAILED",
      /its folder does not exist/,
    ],
    [
      "a key and a hardware token",
      [...BUNDLE, "--key", "k", "--sk", "@app"],
      "USAGE_INVALID",
      /exactly one of: key reference \(--key\), or hardware token/,
    ],
    ["a hardware token", [...BUNDLE, "--sk", "@app"], "USAGE_INVALID", /hardware tokens \(--sk\) are not supported/],
    [
      "an algorithm that is none",
      [...BUNDLE, "--signing-algorithm", "md5", "@app"],
      "USAGE_INVALID",
      /invalid signing algorithm: md5/,
    ],
    [
      "a chain without its certificate",
      [...BUNDLE, "--key", "@cosign.key", "--certificate-chain", "c", "@app"],
      "USAGE_INVALID",
      /no leaf certificate found or provided while specifying chain/,
    ],
    [
      "a certificate without a key",
      [...BUNDLE, "--certificate", "c", "@app"],
      "USAGE_INVALID",
      /--certificate needs --key/,
    ],
    [
      "a token with a key",
      [...BUNDLE, "--key", "@cosign.key", "--identity-token", "t", "@app"],
      "USAGE_INVALID",
      /no meaning with --key/,
    ],
    [
      "service URLs and a config",
      [...BUNDLE, "--rekor-url", "https://rekor.example.com", "@app"],
      "USAGE_INVALID",
      /cannot specify service URLs and use signing config/,
    ],
    [
      "no log and a config",
      [...BUNDLE, "--tlog-upload=false", "@app"],
      "USAGE_INVALID",
      /--tlog-upload=false is not supported with --signing-config/,
    ],
    ["two configs", [...BUNDLE, "--use-signing-config=true", "@app"], "USAGE_INVALID", /exclude one another/],
    ["staging and a config", [...BUNDLE, "--staging", "@app"], "USAGE_INVALID", /--staging names services/],
    [
      "the old format without a bundle",
      ["--new-bundle-format=false", "@app"],
      "USAGE_INVALID",
      /must provide --new-bundle-format or --bundle/,
    ],
    [
      "a token that is none",
      [...BUNDLE, "--identity-token", "alice", "@app"],
      "IDENTITY_TOKEN_UNAVAILABLE",
      /neither an identity token nor a file/,
    ],
    [
      "a flow that is none",
      [...BUNDLE, "--fulcio-auth-flow", "magic", "@app"],
      "USAGE_INVALID",
      /invalid value "magic" for --fulcio-auth-flow/,
    ],
    ["a provider that is none", [...BUNDLE, "--oidc-provider", "nobody", "@app"], "USAGE_INVALID", /nobody/],
    [
      "a secret that is missing",
      [...BUNDLE, "--oidc-client-secret-file", "@missing", "@app"],
      "FILE_NOT_FOUND",
      /OIDC client secret/,
    ],
    ["a wrong boolean", [...BUNDLE, "--yes=perhaps", "@app"], "USAGE_INVALID", /invalid value "perhaps" for --yes/],
    [
      "standard input that is to be read again",
      [...BUNDLE, "--resume-state", "@state", "-"],
      "USAGE_INVALID",
      /standard input cannot/,
    ],
    [
      "a certificate authority for the timestamps that is none",
      [...BUNDLE, "--timestamp-client-cacert", "@app", "@app"],
      "USAGE_INVALID",
      /TLS|certificates/,
    ],
    ["offline work with services", [...BUNDLE, "--offline", "@app"], "OFFLINE", /cannot be done with --offline/],
  ])("%s is told in one line, before anything is sent", async ([, words, code, message]) => {
    const { status, stdout, stderr } = await sign(words, { environment: { COSIGN_PASSWORD: PASSWORD, CI: "1" } });
    expect([status, stdout]).toEqual([1, ""]);
    const lines = stderr.split("\n").filter((line) => !/^(WARNING: |Using payload)/.test(line));
    expect(lines).toEqual([expect.stringMatching(/^Error: .*; .* \[[A-Z_]+\]$/), ""]);
    expect([
      outcome({ status, stdout, stderr }),
      requestsOf(world().sandbox),
      existsSync(folder.at("app.json")),
    ]).toEqual([code, [], false]);
    expect(stderr).toMatch(message);
  });

  test.for<readonly [string, () => readonly string[], Partial<Context>, string]>([
    [
      "a wrong password",
      () => ["--key", folder.at("cosign.key")],
      { environment: { COSIGN_PASSWORD: "wrong" } },
      "KEY_PASSWORD_WRONG",
    ],
    ["a public key to sign with", () => ["--key", folder.at("cosign.pub")], withKey, "PRIVATE_KEY_MALFORMED"],
    ["a key that is missing", () => ["--key", "/nonexistent"], withKey, "FILE_NOT_FOUND"],
    [
      "a config that is none",
      () => ["--key", folder.at("cosign.key"), "--signing-config", folder.at("app")],
      withKey,
      "SIGNING_CONFIG_MALFORMED",
    ],
  ])("%s is told in one line", async ([, words, surroundings, code]) => {
    const { trustedRoot, signingConfigRekor1 } = world().sandbox.paths;
    const config = words().includes("--signing-config") ? [] : ["--signing-config", signingConfigRekor1];
    const run = await signBare(
      [...config, "--trusted-root", trustedRoot, ...words(), "--yes", ...BUNDLE, "@app"],
      surroundings,
    );
    expect([outcome(run), folder.has("app.json"), requestsOf(world().sandbox)]).toEqual([code, false, []]);
  });
});
