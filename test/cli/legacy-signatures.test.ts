import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { IDENTITY, KEYLESS, REAL, temporaryFolder } from "../support/cli.ts";
import { change, without } from "../support/json-edits.ts";
import { legacyOf, legacyReal, type LegacyFiles } from "../support/legacy.ts";
import { runInProcess, type Run } from "../support/program.ts";
import { realPath } from "../support/real.ts";
import { issueCertificate, makeCa } from "../support/sandbox/authorities.ts";
import { ARTIFACT, bundleFrom, makeSandbox, rootText, statementAbout } from "../support/sandbox/sandbox.ts";
import { ALICE, ISSUER } from "../support/sandbox/authorities.ts";

const TRUST = ["--trusted-root", REAL.root];
const WARNING = /^WARNING: Flag --\S+ has been deprecated, .*\n/gm;

/** The code of a refusal, or the last word. */
const outcome = ({ status, stderr }: Run): string =>
  /\[([A-Z_]+)\]\n$/.exec(stderr)?.[1] ?? `${status} ${stderr.replaceAll(WARNING, "").trim()}`;
const OK = "0 Verified OK";

/** Writes the parts of a signature, and names their files. */
function files({ bundle, signature, certificatePem, timestamp }: LegacyFiles): Readonly<Record<string, string>> {
  const folder = temporaryFolder();
  const write = (name: string, content: string | Uint8Array): string => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
  return {
    bundle: write("bundle.json", JSON.stringify(bundle)),
    unlogged: write("unlogged.json", JSON.stringify({ ...bundle, rekorBundle: undefined })),
    signature: write("signature", signature.toString("base64")),
    raw: write("signature.raw", signature),
    certificate: write("certificate.pem", certificatePem ?? ""),
    timestamp: write("timestamp.json", JSON.stringify(timestamp ?? {})),
  };
}

describe("verify-blob, with cosign's old bundle", () => {
  test("verifies one of a certificate and one of a key, and says what is only promised", async () => {
    const keyless = files(legacyReal("a/blob-v1-email"));
    const args = ["verify-blob", "--bundle", keyless.bundle ?? "", ...TRUST, ...IDENTITY];
    expect(outcome(await runInProcess([...args, REAL.artifact]))).toBe(OK);
    expect(outcome(await runInProcess([...args, "--new-bundle-format=false", REAL.artifact]))).toBe(OK);
    expect(outcome(await runInProcess([...args, "--new-bundle-format", REAL.artifact]))).toBe(OK);
    expect(outcome(await runInProcess([...args, `sha256:${REAL.sha256}`]))).toBe(OK);
    expect(outcome(await runInProcess([...args, REAL.other]))).toBe("SIGNATURE_INVALID");
    const { stdout } = await runInProcess([...args, "--output", "json", REAL.artifact]);
    expect(JSON.parse(stdout)).toMatchObject({ unproven: [{ what: "tlog-inclusion-proof" }] });

    const keyed = files(legacyReal("a/blob-v1-key-p256"));
    const withKey = ["verify-blob", "--bundle", keyed.bundle ?? "", ...TRUST, "--key"];
    expect(outcome(await runInProcess([...withKey, REAL.key, REAL.artifact]))).toBe(OK);
    expect(outcome(await runInProcess([...withKey, REAL.otherKey, REAL.artifact]))).toBe("KEY_HINT_MISMATCH");
  });

  test("never takes the signer from the bundle: there is no verdict without an identity or a key", async () => {
    const keyed = files(legacyReal("a/blob-v1-key-p256"));
    const args = ["verify-blob", "--bundle", keyed.bundle ?? "", ...TRUST];
    expect(outcome(await runInProcess([...args, REAL.artifact]))).toBe("USAGE_INVALID");
    expect(outcome(await runInProcess([...args, ...IDENTITY, REAL.artifact]))).toBe("SIGNER_KIND_MISMATCH");
    const keyless = files(legacyReal("a/blob-v1-email"));
    const withBundle = ["verify-blob", "--bundle", keyless.bundle ?? "", ...TRUST];
    expect(outcome(await runInProcess([...withBundle, REAL.artifact]))).toBe("USAGE_INVALID");
    expect(outcome(await runInProcess([...withBundle, "--key", REAL.key, REAL.artifact]))).toBe("SIGNER_KIND_MISMATCH");
    const other = ["--certificate-identity", "bob@example.com", "--certificate-oidc-issuer", REAL.issuer];
    expect(outcome(await runInProcess([...withBundle, ...other, REAL.artifact]))).toBe("IDENTITY_MISMATCH");
  });

  test("is found beside the file", async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "app"), readFileSync(REAL.artifact));
    writeFileSync(join(folder, "app.sigstore.json"), JSON.stringify(legacyReal("a/blob-v1-email").bundle));
    const run = await runInProcess(["verify-blob", ...TRUST, ...IDENTITY, join(folder, "app")]);
    expect(run.stderr).toMatch(/^Using the bundle .*app\.sigstore\.json\nVerified OK\n$/);
  });

  test("tells where a log entry comes from that is missing", async () => {
    const { unlogged = "" } = files(legacyReal("a/blob-v1-key-p256"));
    const args = ["verify-blob", "--bundle", unlogged, ...TRUST, "--key", REAL.key, REAL.artifact];
    const run = await runInProcess(args);
    expect(outcome(run)).toBe("TLOG_THRESHOLD_NOT_MET");
    expect(run.stderr).toContain("cosign-ts bundle create");
    expect((await runInProcess([...args, "--insecure-ignore-tlog"])).status).toBe(0);
  });
});

describe("verify-blob, with parts in files of their own", () => {
  const parts = legacyReal("a/blob-none-key-p256");
  const keyed = ["verify-blob", "--key", REAL.key, "--insecure-ignore-tlog"];
  const last = (run: Run): string => (run.status === 0 ? (run.stderr.split("\n").at(-2) ?? "") : outcome(run));

  test("--signature is a file in base64 or raw, a URL, or base64 itself", async () => {
    const { signature = "", raw = "" } = files(parts);
    const text = parts.signature.toString("base64");
    for (const reference of [signature, raw, text])
      expect(last(await runInProcess([...keyed, "--signature", reference, REAL.artifact]))).toBe("Verified OK");
    const fetch = (url: string): Promise<Response> => {
      expect(url).toBe("https://example.com/app.sig");
      return Promise.resolve(new Response(text));
    };
    expect(
      last(await runInProcess([...keyed, "--signature", "https://example.com/app.sig", REAL.artifact], { fetch })),
    ).toBe("Verified OK");
    expect(outcome(await runInProcess([...keyed, "--signature", signature, REAL.other]))).toBe("SIGNATURE_INVALID");
  });

  test("--signature needs a log entry, as every signature does", async () => {
    const { signature = "" } = files(parts);
    const run = await runInProcess([
      "verify-blob",
      ...TRUST,
      "--key",
      REAL.key,
      "--signature",
      signature,
      REAL.artifact,
    ]);
    expect(outcome(run)).toBe("TLOG_THRESHOLD_NOT_MET");
  });

  test.for<readonly [string, string, string]>([
    ["a missing file", "/nonexistent/app.sig", "USAGE_INVALID"],
    ["what is neither file nor base64", "alice", "USAGE_INVALID"],
    ["an empty file", "@empty", "BUNDLE_MALFORMED"],
    ["a folder", "/", "FILE_IS_DIRECTORY"],
    ["base64 of something else", "AAAAAAAAAAAAAAAAAAAAAAAA", "SIGNATURE_INVALID"],
  ])("--signature refuses %s", async ([, reference, code]) => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "empty"), "");
    const run = await runInProcess([
      ...keyed,
      "--signature",
      reference.replace("@empty", join(folder, "empty")),
      REAL.artifact,
    ]);
    expect(outcome(run)).toBe(code);
  });

  test("--signature beside a bundle must be the bundle's", async () => {
    const { bundle = "", signature = "" } = files(parts);
    const other = files(legacyReal("a/blob-none-key-p256-other"));
    expect(last(await runInProcess([...keyed, "--bundle", bundle, "--signature", signature, REAL.artifact]))).toBe(
      "Verified OK",
    );
    expect(
      outcome(await runInProcess([...keyed, "--bundle", bundle, "--signature", other.signature ?? "", REAL.artifact])),
    ).toBe("USAGE_INVALID");
  });

  test("--certificate is compared with that of the bundle, and does not take the place of an identity", async () => {
    const { bundle = "", certificate = "" } = files(legacyReal("a/blob-v1-email"));
    const other = files(legacyReal("a/blob-v1-email-again"));
    const args = ["verify-blob", "--bundle", bundle, ...TRUST, ...IDENTITY];
    expect(outcome(await runInProcess([...args, "--certificate", certificate, REAL.artifact]))).toBe(OK);
    expect(outcome(await runInProcess([...args, "--certificate", other.certificate ?? "", REAL.artifact]))).toBe(
      "CERTIFICATE_MISMATCH",
    );
    const alone = ["verify-blob", "--bundle", bundle, ...TRUST, "--certificate", certificate, REAL.artifact];
    expect(outcome(await runInProcess(alone))).toBe("USAGE_INVALID");
    expect(outcome(await runInProcess([...alone, "--key", REAL.key]))).toBe("USAGE_INVALID");
  });

  test("--certificate brings the certificate that a bundle does not hold", async () => {
    const legacy = legacyReal("a/blob-v1-email");
    const bare = files({ ...legacy, bundle: without(legacy.bundle, "cert") });
    const args = ["verify-blob", "--bundle", bare.bundle ?? "", ...TRUST, ...IDENTITY];
    expect(outcome(await runInProcess([...args, "--certificate", bare.certificate ?? "", REAL.artifact]))).toBe(OK);
    expect(outcome(await runInProcess([...args, REAL.artifact]))).toBe("SIGNER_KIND_MISMATCH");
  });

  test("--rfc3161-timestamp proves a time, and goes with --use-signed-timestamps", async () => {
    const { bundle = "", timestamp = "" } = files(legacyReal("a/blob-v1-email"));
    const other = files(legacyReal("a/blob-v1-email-again"));
    const args = ["verify-blob", "--bundle", bundle, ...TRUST, ...IDENTITY, REAL.artifact];
    const both = [...args, "--use-signed-timestamps", "--rfc3161-timestamp"];
    expect(outcome(await runInProcess([...both, timestamp]))).toBe(OK);
    expect(outcome(await runInProcess([...both, other.timestamp ?? ""]))).toBe("TIMESTAMP_IMPRINT_MISMATCH");
    expect(outcome(await runInProcess([...both, bundle]))).toBe("TIMESTAMP_MALFORMED");
    expect(outcome(await runInProcess([...args, "--use-signed-timestamps"]))).toBe("USAGE_INVALID");
    expect(outcome(await runInProcess([...args, "--rfc3161-timestamp", timestamp]))).toBe("USAGE_INVALID");
    // The log's time is no timestamp of an authority.
    expect(outcome(await runInProcess([...args, "--timestamp-threshold", "1"]))).toBe("TIMESTAMP_THRESHOLD_NOT_MET");
  });

  test.for([
    "certificate",
    "certificate-chain",
    "ca-roots",
    "ca-intermediates",
    "signature",
    "rfc3161-timestamp",
    "timestamp-certificate-chain",
  ])("--%s has no place beside a Sigstore bundle", async (name) => {
    const run = await runInProcess([...KEYLESS, `--${name}`, REAL.key, REAL.artifact]);
    expect(outcome(run)).toBe("USAGE_INVALID");
    expect(run.stderr).toContain(
      name === "ca-intermediates" || name === "ca-roots" ? "using --trusted-root" : `using --`,
    );
  });

  test("--new-bundle-format=false is no Sigstore bundle", async () => {
    const run = await runInProcess([...KEYLESS, "--new-bundle-format=false", REAL.artifact]);
    expect(outcome(run)).toBe("USAGE_INVALID");
    expect(run.stderr).toContain("--new-bundle-format is false, but the bundle is a Sigstore bundle");
  });
});

describe("authorities that flags name", () => {
  const sandbox = makeSandbox();
  const own = makeCa();
  const pem = (...ders: readonly Uint8Array[]): string =>
    ders
      .map(
        (der) =>
          `-----BEGIN CERTIFICATE-----\n${Buffer.from(der)
            .toString("base64")
            .replaceAll(/(.{64})/g, "$1\n")}\n-----END CERTIFICATE-----\n`,
      )
      .join("");
  const signed = bundleFrom(sandbox, { signer: issueCertificate(own, {}, sandbox.ctLog) });
  const write = (): Readonly<Record<string, string>> => {
    const folder = temporaryFolder();
    const to = (name: string, content: string | Uint8Array): string => {
      writeFileSync(join(folder, name), content);
      return join(folder, name);
    };
    return {
      ...files(legacyOf(signed.json)),
      artifact: to("artifact", ARTIFACT),
      root: to("trusted_root.json", rootText(sandbox)),
      chain: to("chain.pem", pem(own.intermediate.der, own.root.der)),
      roots: to("roots.pem", pem(sandbox.ca.root.der, own.root.der)),
      intermediates: to("intermediates.pem", pem(own.intermediate.der)),
      backwards: to("backwards.pem", pem(own.root.der, own.intermediate.der)),
      tsa: to("tsa.pem", pem(sandbox.tsa.tsa.party.der, sandbox.tsa.root.der)),
    };
  };
  const args = (paths: Readonly<Record<string, string>>, ...more: readonly string[]): readonly string[] => [
    "verify-blob",
    "--bundle",
    paths["bundle"] ?? "",
    "--trusted-root",
    paths["root"] ?? "",
    "--certificate-identity",
    ALICE,
    "--certificate-oidc-issuer",
    ISSUER,
    "--insecure-ignore-sct",
    ...more.map((word) => paths[word.slice(1)] ?? word),
    paths["artifact"] ?? "",
  ];
  const last = (run: Run): string => (run.status === 0 ? (run.stderr.split("\n").at(-2) ?? "") : outcome(run));

  test.for<readonly [string, readonly string[]]>([
    ["CERTIFICATE_ISSUER_UNKNOWN", []],
    ["Verified OK", ["--certificate-chain", "@chain"]],
    ["CERTIFICATE_ISSUER_UNKNOWN", ["--certificate-chain", "@backwards"]],
    ["CERTIFICATE_ISSUER_UNKNOWN", ["--ca-roots", "@roots"]],
    ["Verified OK", ["--ca-roots", "@roots", "--ca-intermediates", "@intermediates"]],
    ["USAGE_INVALID", ["--ca-intermediates", "@intermediates"]],
    ["USAGE_INVALID", ["--ca-roots", "@roots", "--certificate-chain", "@chain"]],
    ["PEM_MALFORMED", ["--ca-roots", "@artifact"]],
    ["FILE_NOT_FOUND", ["--certificate-chain", "/nonexistent"]],
  ])("%s with %s", async ([expected, more]) => {
    expect(last(await runInProcess(args(write(), ...more)))).toBe(expected);
  });

  test("--certificate-chain takes the place of the root's authorities", async () => {
    const usual = files(legacyOf(bundleFrom(sandbox).json));
    const paths = { ...write(), bundle: usual["bundle"] ?? "" };
    expect(last(await runInProcess(args(paths)))).toBe("Verified OK");
    expect(last(await runInProcess(args(paths, "--certificate-chain", "@chain")))).toBe("CERTIFICATE_ISSUER_UNKNOWN");
  });

  test("--timestamp-certificate-chain takes the place of the root's timestamp authorities, and asks for a timestamp", async () => {
    const chain = ["--certificate-chain", "@chain", "--timestamp-certificate-chain"];
    expect(last(await runInProcess(args(write(), ...chain, "@tsa", "--rfc3161-timestamp", "@timestamp")))).toBe(
      "Verified OK",
    );
    expect(last(await runInProcess(args(write(), ...chain, "@tsa")))).toBe("USAGE_INVALID");
    const other = makeSandbox();
    const paths = write();
    writeFileSync(paths["tsa"] ?? "", pem(other.tsa.tsa.party.der, other.tsa.root.der));
    expect(last(await runInProcess(args(paths, ...chain, "@tsa", "--rfc3161-timestamp", "@timestamp")))).toBe(
      "TIMESTAMP_THRESHOLD_NOT_MET",
    );
  });

  test("need no trusted root where they name everything, as in cosign", async () => {
    const paths = write();
    const alone = args(
      paths,
      "--certificate-chain",
      "@chain",
      "--timestamp-certificate-chain",
      "@tsa",
      "--rfc3161-timestamp",
      "@timestamp",
      "--insecure-ignore-tlog",
    ).filter((word, index, all) => word !== "--trusted-root" && all[index - 1] !== "--trusted-root");
    const bare = without(legacyOf(signed.json).bundle, "rekorBundle");
    writeFileSync(paths["bundle"] ?? "", JSON.stringify(bare));
    expect(last(await runInProcess(alone))).toBe("Verified OK"); // the fetch of a test throws
  });
});

describe("verify-blob-attestation, with what cosign wrote before bundles", () => {
  const legacy = legacyReal("a/attestation-v1-email");
  const args = (path: string, ...more: readonly string[]): readonly string[] => [
    "verify-blob-attestation",
    "--bundle",
    path,
    ...TRUST,
    ...IDENTITY,
    ...more,
  ];

  test("verifies the statement, its subject and its type", async () => {
    const { bundle = "" } = files(legacy);
    expect(outcome(await runInProcess([...args(bundle), REAL.artifact]))).toBe(OK);
    expect(outcome(await runInProcess([...args(bundle), REAL.other]))).toBe("SUBJECT_MISMATCH");
    expect(outcome(await runInProcess([...args(bundle), "--type", "vuln", REAL.artifact]))).toBe(
      "PREDICATE_TYPE_MISMATCH",
    );
    const digest = ["--digest", REAL.sha256, "--digestAlg", "sha256"];
    expect(outcome(await runInProcess([...args(bundle), ...digest]))).toBe(OK);
  });

  test("takes the envelope from --signature", async () => {
    const keyed = files(legacyReal("a/attestation-none-key-p256"));
    const envelope = ["verify-blob-attestation", "--key", REAL.key, "--insecure-ignore-tlog", "--signature"];
    const run = await runInProcess([...envelope, keyed["raw"] ?? "", REAL.artifact]);
    expect([run.status, run.stderr.split("\n").at(-2)]).toEqual([0, "Verified OK"]);
    expect(outcome(await runInProcess([...envelope, keyed["raw"] ?? "", REAL.other]))).toBe("SUBJECT_MISMATCH");
  });

  test("refuses a signature over a file, and a payload that is none (CVE-2026-39395)", async () => {
    const blob = files(legacyReal("a/blob-v1-email"));
    expect(outcome(await runInProcess([...args(blob["bundle"] ?? ""), REAL.artifact]))).toBe("PREDICATE_TYPE_MISMATCH");
    const envelope = JSON.parse(legacy.signature.toString()) as Record<string, unknown>;
    const broken = change(legacy.bundle, "base64Signature", btoa(JSON.stringify({ ...envelope, payload: btoa("{") })));
    const { bundle = "" } = files({ ...legacy, bundle: broken });
    expect((await runInProcess([...args(bundle), REAL.artifact])).status).toBe(1);
  });

  test("does not take the statement of another log entry (CVE-2026-22703)", async () => {
    const other = legacyReal("a/attestation-v1-email-world");
    const { bundle = "" } = files({
      ...legacy,
      bundle: change(legacy.bundle, "rekorBundle", other.bundle["rekorBundle"]),
    });
    expect(outcome(await runInProcess([...args(bundle), REAL.artifact]))).toBe("TLOG_ENTRY_MISMATCH");
  });
});

test("the statement of a sandbox that speaks of several artifacts is verified from the old format too", async () => {
  const sandbox = makeSandbox();
  const { bundle } = legacyOf(
    bundleFrom(sandbox, { statement: statementAbout(ARTIFACT, Buffer.from("another")) }).json,
  );
  const folder = temporaryFolder();
  const write = (name: string, content: string | Uint8Array): string => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
  const run = await runInProcess([
    "verify-blob-attestation",
    "--bundle",
    write("bundle", JSON.stringify(bundle)),
    "--trusted-root",
    write("root", rootText(sandbox)),
    "--certificate-identity",
    ALICE,
    "--certificate-oidc-issuer",
    ISSUER,
    "--type",
    "https://example.com/predicate/v1",
    write("artifact", "another"),
  ]);
  expect(outcome(run)).toBe(OK);
  expect(realPath("a")).toContain("testdata");
});

describe("what the real cosign wrote (testdata/legacy)", () => {
  const at = (name: string): string => fileURLToPath(new URL(`../../testdata/legacy/${name}`, import.meta.url));
  const trust = ["--trusted-root", at("trusted_root.json")];
  const alice = ["--certificate-identity", "alice@example.com", "--certificate-oidc-issuer", "http://127.0.0.1:4400"];
  const key = ["--key", at("key.pub")];
  const stamped = (name: string): readonly string[] => [
    "--use-signed-timestamps",
    "--rfc3161-timestamp",
    at(`${name}.timestamp.json`),
  ];
  const blob = "verify-blob";
  const attestation = "verify-blob-attestation";
  const last = (run: Run): string => (run.status === 0 ? (run.stderr.split("\n").at(-2) ?? "") : outcome(run));

  test.for<readonly [string, string, string, readonly string[]]>([
    ["Verified OK", blob, "blob-keyless", alice],
    ["Verified OK", blob, "blob-keyless", [...alice, ...stamped("blob-keyless")]],
    [
      "Verified OK",
      blob,
      "blob-keyless",
      [...alice, "--certificate", at("blob-keyless.pem"), "--signature", at("blob-keyless.sig")],
    ],
    ["Verified OK", blob, "blob-key", key],
    ["Verified OK", blob, "blob-key", [...key, "--signature", at("blob-key.sig")]],
    ["Verified OK", blob, "blob-key-unlogged", [...key, "--insecure-ignore-tlog"]],
    ["Verified OK", attestation, "attestation-keyless", alice],
    ["Verified OK", attestation, "attestation-keyless", [...alice, ...stamped("attestation-keyless")]],
    ["Verified OK", attestation, "attestation-keyless", [...alice, "--signature", at("attestation-keyless.sig")]],
    ["Verified OK", attestation, "attestation-key", key],
    ["TLOG_THRESHOLD_NOT_MET", blob, "blob-key-unlogged", key],
    ["TIMESTAMP_IMPRINT_MISMATCH", blob, "blob-keyless", [...alice, ...stamped("attestation-keyless")]],
    ["CERTIFICATE_MISMATCH", blob, "blob-keyless", [...alice, "--certificate", at("attestation-keyless.pem")]],
    ["SIGNER_KIND_MISMATCH", blob, "blob-key", alice],
    ["SIGNER_KIND_MISMATCH", blob, "blob-keyless", key],
    ["KEY_HINT_MISMATCH", blob, "blob-key", ["--key", REAL.key]],
    ["PREDICATE_TYPE_MISMATCH", attestation, "attestation-key", [...key, "--type", "vuln"]],
    ["PREDICATE_TYPE_MISMATCH", attestation, "blob-key", key],
  ])("%s: %s of %s", async ([expected, command, name, more]) => {
    const args = [command, "--bundle", at(`${name}.json`), ...trust, ...more, at("hello.txt")];
    expect(last(await runInProcess(args))).toBe(expected);
    if (expected === "Verified OK") expect((await runInProcess([...args.slice(0, -1), REAL.other])).status).toBe(1);
  });
});
