import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { IDENTITY, REAL, temporaryFolder } from "../support/cli.ts";
import { fakeRekor } from "../support/fake-rekor.ts";
import { change, without, type Json } from "../support/json-edits.ts";
import { legacyReal } from "../support/legacy.ts";
import { runInProcess, type Run } from "../support/program.ts";
import { realBundle, realPath } from "../support/real.ts";

const KEYLESS = "a/blob-v1-email";
const KEYED = "a/blob-v1-key-p256";
const ATTESTED = "a/attestation-v1-email";
const TRUST = ["--trusted-root", REAL.root];
const ENTRY = "verificationMaterial.tlogEntries.0";

const outcome = ({ status, stderr }: Run): string => /\[([A-Z_]+)\]\n$/.exec(stderr)?.[1] ?? `status ${status}`;

function write(name: string, content: string | Uint8Array | Json): string {
  const path = join(temporaryFolder(), name);
  writeFileSync(path, typeof content === "string" || content instanceof Uint8Array ? content : JSON.stringify(content));
  return path;
}

/** A real bundle as an older version had it. */
function older(name: string, version: "0.1" | "0.2"): Json {
  const bundle = realBundle(name);
  const certificate = (bundle["verificationMaterial"] as Json)["certificate"];
  const material = without(bundle, "verificationMaterial.certificate");
  return change(
    change(material, "verificationMaterial.x509CertificateChain", { certificates: [certificate] }),
    "mediaType",
    `application/vnd.dev.sigstore.bundle+json;version=${version}`,
  );
}

async function verified(text: string, command = "verify-blob", signer: readonly string[] = IDENTITY): Promise<string> {
  const args = [
    command,
    "--bundle",
    write("bundle.json", text),
    ...TRUST,
    ...signer,
    "--minimum-bundle-version",
    "0.3",
  ];
  return outcome(await runInProcess([...args, REAL.artifact]));
}

describe("bundle upgrade", () => {
  const upgrade = (
    bundle: Json | string,
    more: readonly string[] = TRUST,
    fetch = fakeRekor([KEYLESS]).fetch,
  ): Promise<Run> => runInProcess(["bundle", "upgrade", ...more, write("bundle.json", bundle)], { fetch });

  test.for(["0.1", "0.2"] as const)(
    "brings v%s to v0.3, of which the same verifies, and asks nobody where the proof is there",
    async (version) => {
      const log = fakeRekor([]);
      const { status, stdout, stderr } = await upgrade(older(KEYLESS, version), TRUST, log.fetch);
      expect([status, log.requests]).toEqual([0, []]);
      expect(stderr).toBe(`Upgrading from v${version} to v0.3...\n`);
      expect(JSON.parse(stdout)).toEqual(realBundle(KEYLESS));
      expect(await verified(stdout)).toBe("status 0");
    },
  );

  test("fetches a proof that is missing, by its index, where the trusted root says that the log is", async () => {
    const bundle = without(older(KEYLESS, "0.1"), `${ENTRY}.inclusionProof`);
    const log = fakeRekor([KEYLESS]);
    const { stdout, stderr } = await upgrade(bundle, TRUST, log.fetch);
    expect(JSON.parse(stdout)).toEqual(realBundle(KEYLESS));
    expect(stderr).toMatch(/Fetched the missing inclusion proof of log index \d+/);
    const { logIndex } = (
      realBundle(KEYLESS)["verificationMaterial"] as { tlogEntries: readonly [{ logIndex: string }] }
    ).tlogEntries[0];
    expect(log.requests).toEqual([
      expect.stringMatching(new RegExp(`^GET http://127.0.0.1:\\d+/api/v1/log/entries\\?logIndex=${logIndex}$`)),
    ]);
    const elsewhere = fakeRekor([KEYLESS]);
    await upgrade(bundle, [...TRUST, "--rekor-url", "https://log.example.com/"], elsewhere.fetch);
    expect(elsewhere.requests[0]).toMatch(/^GET https:\/\/log\.example\.com\/api\/v1\/log\/entries/);
  });

  test("fetches one also where the proof has no checkpoint, which is none", async () => {
    const { stdout } = await upgrade(without(older(KEYLESS, "0.1"), `${ENTRY}.inclusionProof.checkpoint`));
    expect(JSON.parse(stdout)).toEqual(realBundle(KEYLESS));
  });

  test.for<readonly [string, (json: Json) => Json, string]>([
    [
      "a proof of another root",
      (json) => change(json, "verification.inclusionProof.rootHash", "00".repeat(32)),
      "TLOG_INCLUSION_PROOF_INVALID",
    ],
    [
      "a proof with another hash",
      (json) => change(json, "verification.inclusionProof.hashes", ["00".repeat(32)]),
      "TLOG_INCLUSION_PROOF_INVALID",
    ],
    [
      "a checkpoint of another log",
      (json) =>
        change(
          json,
          "verification.inclusionProof.checkpoint",
          (
            realBundle("b/blob-v1-email")["verificationMaterial"] as {
              tlogEntries: readonly [{ inclusionProof: { checkpoint: { envelope: string } } }];
            }
          ).tlogEntries[0].inclusionProof.checkpoint.envelope,
        ),
      "TLOG_INCLUSION_PROOF_INVALID",
    ],
    ["another index", (json) => change(json, "logIndex", 77), "TLOG_ENTRY_MISMATCH"],
    [
      "another body",
      (json) => change(json, "body", btoa('{"kind":"hashedrekord","apiVersion":"0.0.1"}')),
      "TLOG_ENTRY_MISMATCH",
    ],
    ["another log", (json) => change(json, "logID", "11".repeat(32)), "TLOG_ENTRY_MISMATCH"],
    [
      "a checkpoint that nobody signed",
      (json) => {
        const note = (json["verification"] as { inclusionProof: { checkpoint: string } }).inclusionProof.checkpoint;
        // The last character before the padding is not all signature: one further in front is.
        const forged = note.replace(
          /(.)(.{8}=*\n)$/,
          (_, one: string, rest: string) => `${one === "A" ? "B" : "A"}${rest}`,
        );
        return change(json, "verification.inclusionProof.checkpoint", forged);
      },
      "CHECKPOINT_SIGNATURE_INVALID",
    ],
    ["no proof", (json) => without(json, "verification.inclusionProof"), "TLOG_INCLUSION_PROOF_MISSING"],
    ["something else", () => ({}), "SERVICE_RESPONSE_INVALID"],
  ])("refuses a log that answers with %s, and leaves the file as it was", async ([, edit, code]) => {
    const out = write("out.json", "before");
    const bundle = without(older(KEYLESS, "0.1"), `${ENTRY}.inclusionProof`);
    const run = await upgrade(bundle, [...TRUST, "--out", out], fakeRekor([KEYLESS], edit).fetch);
    expect(outcome(run)).toBe(code);
    expect(readFileSync(out, "utf8")).toBe("before");
  });

  test("refuses the proof of another entry, which the log has at that index now", async () => {
    const bundle = without(older(KEYLESS, "0.1"), `${ENTRY}.inclusionProof`);
    const own = (realBundle(KEYLESS)["verificationMaterial"] as { tlogEntries: readonly [{ logIndex: string }] })
      .tlogEntries[0].logIndex;
    const other = fakeRekor(["a/blob-v1-email-again"], (json) => change(json, "logIndex", Number(own)));
    const redirected = (url: string, init: RequestInit): Promise<Response> => {
      const there = (
        realBundle("a/blob-v1-email-again")["verificationMaterial"] as {
          tlogEntries: readonly [{ logIndex: string }];
        }
      ).tlogEntries[0].logIndex;
      return other.fetch(url.replace(`logIndex=${own}`, `logIndex=${there}`), init);
    };
    expect(outcome(await upgrade(bundle, TRUST, redirected))).toBe("TLOG_ENTRY_MISMATCH");
  });

  test("refuses a proof that a log of another root signed, whoever answers", async () => {
    const bundle = without(older(KEYLESS, "0.1"), `${ENTRY}.inclusionProof`);
    expect(outcome(await upgrade(bundle, ["--trusted-root", REAL.otherRoot]))).toBe("TLOG_THRESHOLD_NOT_MET");
    expect(outcome(await upgrade(bundle, TRUST, fakeRekor(["a/blob-v1-email-again"]).fetch))).toBe(
      "REKOR_REQUEST_REFUSED",
    );
    expect(outcome(await upgrade(bundle, [...TRUST, "--offline"]))).toBe("OFFLINE");
  });

  test("keeps a chain's leaf, and says so", async () => {
    const bundle = older(KEYLESS, "0.2");
    const chain = (bundle["verificationMaterial"] as { x509CertificateChain: { certificates: Json[] } })
      .x509CertificateChain;
    const root = JSON.parse(readFileSync(REAL.root, "utf8")) as {
      certificateAuthorities: readonly [{ certChain: { certificates: Json[] } }];
    };
    const { certificates } = root.certificateAuthorities[0].certChain;
    const [intermediate] = certificates;
    const longer = change(bundle, "verificationMaterial.x509CertificateChain.certificates", [
      ...chain.certificates,
      intermediate,
    ]);
    const { stdout, stderr } = await upgrade(longer);
    expect(JSON.parse(stdout)).toEqual(realBundle(KEYLESS));
    expect(stderr).toContain("Truncated the certificate chain: 1 certificates are left out");
  });

  test("leaves v0.3 as it is, byte for byte", async () => {
    const text = `${JSON.stringify(realBundle(KEYLESS), undefined, 4)}\n`;
    const { status, stdout, stderr } = await upgrade(text);
    expect([status, stdout, stderr]).toEqual([0, text, "Bundle is already at v0.3, no upgrade needed.\n"]);
  });

  test("--out writes a file for its owner alone, and nothing to standard output", async () => {
    const out = join(temporaryFolder(), "out.json");
    const { stdout, stderr } = await upgrade(older(KEYLESS, "0.2"), [...TRUST, "--out", out]);
    expect([stdout, statSync(out).mode & 0o777]).toEqual(["", 0o600]);
    expect(JSON.parse(readFileSync(out, "utf8"))).toEqual(realBundle(KEYLESS));
    expect(stderr).toContain(`Successfully upgraded bundle written to ${out}`);
  });

  test.for<readonly [string, Json | string, string]>([
    ["an old bundle of cosign's own", legacyReal(KEYLESS).bundle, "USAGE_INVALID"],
    [
      "a version that is not known",
      change(realBundle(KEYLESS), "mediaType", "application/vnd.dev.sigstore.bundle.v0.9+json"),
      "BUNDLE_MEDIA_TYPE_UNSUPPORTED",
    ],
    ["a trusted root", readFileSync(REAL.root, "utf8"), "BUNDLE_MEDIA_TYPE_UNSUPPORTED"],
    ["text", "bundle", "BUNDLE_MALFORMED"],
    [
      "an entry of Rekor v2 without its proof",
      without(older("a/blob-v2-email", "0.2"), `${ENTRY}.inclusionProof`),
      "TLOG_INCLUSION_PROOF_MISSING",
    ],
  ])("refuses %s in one line", async ([, bundle, code]) => {
    const { status, stdout, stderr } = await upgrade(bundle);
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(new RegExp(`^(Upgrading.*\\n)?Error: [^\\n]+; [^\\n]+ \\[${code}\\]\\n$`));
  });
});

describe("bundle create", () => {
  const files = (name: string): Readonly<Record<string, string>> => {
    const { bundle, signature, certificatePem, timestamp } = legacyReal(name);
    return {
      bundle: write("bundle.json", bundle),
      unlogged: write("unlogged.json", { ...bundle, rekorBundle: undefined }),
      signature: write("signature", signature.toString("base64")),
      envelope: write("envelope.json", new Uint8Array(signature)),
      certificate: write("certificate.pem", certificatePem ?? ""),
      encoded: write("certificate.b64", btoa(certificatePem ?? "")),
      timestamp: write("timestamp.json", timestamp ?? {}),
    };
  };
  const create = (
    more: readonly string[],
    names: readonly string[] = [KEYLESS, KEYED, ATTESTED],
    edit?: (json: Json) => Json,
  ): Promise<Run> =>
    runInProcess(["bundle", "create", "--artifact", REAL.artifact, ...TRUST, ...more], {
      fetch: fakeRekor(names, edit).fetch,
    });
  const expectSame = ({ stdout, stderr }: Run, name: string, timestamps = false): void => {
    expect(stderr).toBe("");
    const bundle = realBundle(name);
    expect(JSON.parse(stdout)).toEqual(
      timestamps ? bundle : without(bundle, "verificationMaterial.timestampVerificationData"),
    );
  };

  test("makes of the parts the bundle that they were taken from, which verifies", async () => {
    const { signature = "", certificate = "", encoded = "", timestamp = "", bundle = "" } = files(KEYLESS);
    for (const signer of [certificate, encoded])
      expectSame(await create(["--signature", signature, "--certificate", signer]), KEYLESS);
    expectSame(
      await create(["--signature", signature, "--certificate", certificate, "--rfc3161-timestamp", timestamp]),
      KEYLESS,
      true,
    );
    const run = await create(["--bundle", bundle]);
    expectSame(run, KEYLESS);
    expect(await verified(run.stdout)).toBe("status 0");
  });

  test("takes a public key in place of a certificate", async () => {
    const { signature = "", bundle = "" } = files(KEYED);
    const [made, legacy] = [
      await create(["--signature", signature, "--key", REAL.key]),
      await create(["--bundle", bundle, "--key", REAL.key]),
    ];
    expect(JSON.parse(made.stdout)).toEqual(
      without(realBundle(KEYED), "verificationMaterial.timestampVerificationData"),
    );
    expect(legacy.stdout).toBe(made.stdout);
    expect(await verified(made.stdout, "verify-blob", ["--key", REAL.key])).toBe("status 0");
    expect(outcome(await create(["--bundle", bundle, "--key", REAL.otherKey]))).toBe("KEY_HINT_MISMATCH");
    // The key in an old bundle is a claim, and no more.
    expect(outcome(await create(["--bundle", bundle]))).toBe("USAGE_INVALID");
    expect(outcome(await create(["--signature", signature]))).toBe("USAGE_INVALID");
  });

  test("takes an attestation, from its file or an old bundle, which cosign's own command cannot", async () => {
    const { envelope = "", certificate = "", bundle = "", unlogged = "" } = files(ATTESTED);
    for (const parts of [
      ["--attestation", envelope, "--certificate", certificate],
      ["--bundle", bundle],
      ["--bundle", unlogged],
    ]) {
      const run = await create(parts);
      expectSame(run, ATTESTED);
      expect(await verified(run.stdout, "verify-blob-attestation")).toBe("status 0");
    }
    expect(
      outcome(await runInProcess(["bundle", "create", "--artifact", REAL.other, ...TRUST, "--bundle", bundle])),
    ).toBe("SUBJECT_MISMATCH");
  });

  test("finds an attestation that the log knows by its payload only", async () => {
    const { envelope = "", certificate = "" } = files(ATTESTED);
    const log = fakeRekor([ATTESTED]);
    const blind = (url: string, init: RequestInit): Promise<Response> =>
      url.endsWith("/entries/retrieve") ? Promise.resolve(Response.json([])) : log.fetch(url, init);
    const run = await runInProcess(
      [
        "bundle",
        "create",
        "--artifact",
        REAL.artifact,
        ...TRUST,
        "--attestation",
        envelope,
        "--certificate",
        certificate,
      ],
      { fetch: blind },
    );
    expectSame(run, ATTESTED);
  });

  test("--rekor-url names the log", async () => {
    const { signature = "", certificate = "" } = files(KEYLESS);
    for (const [more, host] of [
      [[], "rekor.sigstore.dev"],
      [["--rekor-url", "https://log.example.com"], "log.example.com"],
    ] as const) {
      const log = fakeRekor([KEYLESS]);
      const run = await runInProcess(
        [
          "bundle",
          "create",
          "--artifact",
          REAL.artifact,
          ...TRUST,
          "--signature",
          signature,
          "--certificate",
          certificate,
          ...more,
        ],
        { fetch: log.fetch },
      );
      expect([run.status, log.requests]).toEqual([0, [`POST https://${host}/api/v1/log/entries/retrieve`]]);
    }
  });

  test("--ignore-tlog makes a bundle without an entry, asks nobody, and throws no promise away", async () => {
    const { unlogged = "", bundle = "" } = files(KEYLESS);
    const run = await runInProcess([
      "bundle",
      "create",
      "--artifact",
      REAL.artifact,
      "--bundle",
      unlogged,
      "--ignore-tlog",
    ]); // the fetch of a test throws
    expect(run.status).toBe(0);
    expect(run.stderr).toMatch(/^WARNING: /);
    expect(JSON.parse(run.stdout)).toMatchObject({ verificationMaterial: { tlogEntries: [] } });
    expect(outcome(await create(["--bundle", bundle, "--ignore-tlog"]))).toBe("USAGE_INVALID");
  });

  test("--out writes a file for its owner alone", async () => {
    const { bundle = "" } = files(KEYLESS);
    const out = join(temporaryFolder(), "out.json");
    const { stdout, stderr } = await create(["--bundle", bundle, "--out", out]);
    expect([stdout, stderr, statSync(out).mode & 0o777]).toEqual(["", `Wrote bundle to file ${out}\n`, 0o600]);
  });

  const again = legacyReal("a/blob-v1-email-again");
  test.for<readonly [string, readonly string[], string]>([
    ["another artifact's signature", ["--signature", "@world", "--certificate", "@certificate"], "SIGNATURE_INVALID"],
    ["another certificate", ["--signature", "@signature", "--certificate", "@againCertificate"], "SIGNATURE_INVALID"],
    ["the log entry of another signature (CVE-2022-23649)", ["--bundle", "@stapled"], "TLOG_ENTRY_MISMATCH"],
    [
      "the timestamp of another signature",
      ["--bundle", "@bundle", "--rfc3161-timestamp", "@againTimestamp"],
      "TIMESTAMP_IMPRINT_MISMATCH",
    ],
    ["a key for a certificate", ["--bundle", "@bundle", "--key", REAL.key], "SIGNER_KIND_MISMATCH"],
    ["a bundle and a signature", ["--bundle", "@bundle", "--signature", "@signature"], "USAGE_INVALID"],
    ["a bundle and a certificate", ["--bundle", "@bundle", "--certificate", "@certificate"], "USAGE_INVALID"],
    [
      "a key and a certificate",
      ["--signature", "@signature", "--key", REAL.key, "--certificate", "@certificate"],
      "USAGE_INVALID",
    ],
    ["no signature", ["--certificate", "@certificate"], "USAGE_INVALID"],
    ["a hardware token", ["--signature", "@signature", "--sk"], "USAGE_INVALID"],
    ["a Sigstore bundle", ["--bundle", REAL.bundle], "USAGE_INVALID"],
    ["a file that is missing", ["--signature", "/nonexistent", "--certificate", "@certificate"], "FILE_NOT_FOUND"],
    ["a certificate that is none", ["--signature", "@signature", "--certificate", "@signature"], "PEM_MALFORMED"],
    ["a timestamp that is none", ["--bundle", "@bundle", "--rfc3161-timestamp", "@bundle"], "TIMESTAMP_MALFORMED"],
    [
      "a URL that is none",
      ["--signature", "@signature", "--certificate", "@certificate", "--rekor-url", "log"],
      "URL_INVALID",
    ],
  ])("refuses %s in one line, and leaves the file as it was", async ([, more, code]) => {
    const paths: Readonly<Record<string, string>> = {
      ...files(KEYLESS),
      world: write("world", legacyReal("a/blob-v1-email-world").signature.toString("base64")),
      againCertificate: write("again.pem", again.certificatePem ?? ""),
      againTimestamp: write("again.json", again.timestamp ?? {}),
      stapled: write("stapled.json", change(legacyReal(KEYLESS).bundle, "rekorBundle", again.bundle["rekorBundle"])),
    };
    const out = join(temporaryFolder(), "out.json");
    const { status, stdout, stderr } = await create([
      ...more.map((word) => paths[word.slice(1)] ?? word),
      "--out",
      out,
    ]);
    expect([status, stdout, existsSync(out)]).toEqual([1, "", false]);
    expect(stderr.split("\n").at(-2)).toMatch(new RegExp(`^Error: [^\\n]+; [^\\n]+ \\[${code}\\]$`));
  });

  test("refuses what the log does not have, and answers about something else", async () => {
    const { signature = "", certificate = "" } = files(KEYLESS);
    const parts = ["--signature", signature, "--certificate", certificate];
    expect(outcome(await create(parts, ["a/blob-v1-email-again"]))).toBe("TLOG_THRESHOLD_NOT_MET");
    const forged = (json: Json): Json => change(json, "verification.signedEntryTimestamp", btoa("forged"));
    expect(outcome(await create(parts, [KEYLESS], forged))).toBe("TLOG_INCLUSION_PROMISE_INVALID");
    const unknown = await runInProcess(
      ["bundle", "create", "--artifact", REAL.artifact, "--trusted-root", REAL.otherRoot, ...parts],
      { fetch: fakeRekor([KEYLESS]).fetch },
    );
    expect(outcome(unknown)).toBe("TLOG_THRESHOLD_NOT_MET");
    expect(realPath("a")).toContain("testdata");
  });

  test("needs an artifact", async () => {
    expect(outcome(await runInProcess(["bundle", "create", "--signature", "x"]))).toBe("USAGE_INVALID");
  });
});
