import { describe, expect, test } from "vitest";
import { VerificationError } from "../../src/errors.ts";
import { checksToText, evidenceToText, refusalToText } from "../../src/report/text.ts";
import { Verifier } from "../../src/verify/verifier.ts";
import { refusal } from "../support/outcome.ts";
import { runInProcess } from "../support/program.ts";
import { REAL_ROOTS, realBytes, realCase, realOptions, realPath, realPolicy } from "../support/real.ts";
import { ISSUER } from "../support/sandbox/authorities.ts";
import { ARTIFACT, bundleFrom, makeSandbox, statementAbout, verifyIn } from "../support/sandbox/sandbox.ts";

async function treeOf(name: string): Promise<string> {
  const one = realCase(name);
  const verifier = await Verifier.create(REAL_ROOTS[one.root], realOptions(one));
  return evidenceToText(await verifier.verify(realBytes(one.bundle), realBytes(one.artifact), realPolicy(one)));
}

describe("evidenceToText", () => {
  test("draws who signed what, when, and where it was logged", async () => {
    expect(`\n${await treeOf("a/blob-v1-github")}\n`).toBe(`
Verified
├─ signer: https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main
│  ├─ issuer: http://127.0.0.1:4400/github
│  ├─ GitHub Workflow Trigger: push
│  ├─ GitHub Workflow SHA: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
│  ├─ GitHub Workflow Name: release
│  ├─ GitHub Workflow Repository: acme/app
│  ├─ GitHub Workflow Ref: refs/heads/main
│  ├─ Build Signer URI: https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main
│  ├─ Build Signer Digest: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
│  ├─ Runner Environment: github-hosted
│  ├─ Source Repository URI: https://github.com/acme/app
│  ├─ Source Repository Digest: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
│  ├─ Source Repository Ref: refs/heads/main
│  ├─ Source Repository Identifier: 1001
│  ├─ Source Repository Owner URI: https://github.com/acme
│  ├─ Source Repository Owner Identifier: 2002
│  ├─ Build Config URI: https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main
│  ├─ Build Config Digest: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
│  ├─ Build Trigger: push
│  ├─ Run Invocation URI: https://github.com/acme/app/actions/runs/42/attempts/1
│  ├─ Source Repository Visibility At Signing: public
│  ├─ Token Subject: repo:acme/app:ref:refs/heads/main
│  ├─ algorithm: ecdsa-sha2-256-nistp256
│  ├─ certificate: valid 2026-11-23T22:45:11.000Z to 2026-11-23T22:55:11.000Z
│  ├─ chain: CN=stack fulcio intermediate,O=stack.local <- CN=stack fulcio root,O=stack.local
│  └─ certificate logged: 2026-11-23T22:45:11.378Z by http://127.0.0.1:4404/ctfe
├─ artifact: sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03
├─ when
│  ├─ 2026-11-23T22:45:11.000Z by timestamp authority http://127.0.0.1:4409/api/v1/timestamp
│  └─ 2026-11-23T22:45:11.000Z by transparency log 993ec88980b2346523acf78e0751cf8b1d12bdda7ca01dfcfd82451e87ac7225
├─ logged
│  └─ http://127.0.0.1:4410, hashedrekord 0.0.1, index 4
│     └─ included in the tree of size 5, root 7cc88084439f7c6ea93fc6543cc3f9553830d8f6269c21f1f054844b9d3fe7a3
└─ trust: root given by the caller
`);
  });

  test("draws a statement and its subject", async () => {
    expect(`\n${await treeOf("a/attestation-v2-email-statement-several-subjects")}\n`).toBe(`
Verified
├─ signer: alice@example.com
│  ├─ issuer: http://127.0.0.1:4400
│  ├─ Token Subject: alice@example.com
│  ├─ algorithm: ecdsa-sha2-256-nistp256
│  ├─ certificate: valid 2026-11-23T22:46:34.000Z to 2026-11-23T22:56:34.000Z
│  ├─ chain: CN=stack fulcio intermediate,O=stack.local <- CN=stack fulcio root,O=stack.local
│  └─ certificate logged: 2026-11-23T22:46:34.211Z by http://127.0.0.1:4404/ctfe
├─ statement: https://example.com/predicate/v1
│  └─ subject: sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03 (hello.txt)
├─ when
│  └─ 2026-11-23T22:46:34.000Z by timestamp authority http://127.0.0.1:4409/api/v1/timestamp
├─ logged
│  └─ http://rekor2.local, hashedrekord 0.0.2, index 49
│     └─ included in the tree of size 50, root cc5d028f090b8ada392b44882b4e33a331513dd5d8ef2a77584d6312700887e0
└─ trust: root given by the caller
`);
  });

  test("draws in capitals what is not proven", async () => {
    expect(`\n${await treeOf("a/blob-v2-key-p256-no-timestamp")}\n`).toBe(`
Verified, in part
├─ signer: public key sha256:40415a6f10ef21335275b9e6df3b6e864ee3453b06741ce2520e071a3fb9f222 (keys/p256.pub)
│  └─ algorithm: ecdsa-sha2-256-nistp256
├─ artifact: sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03
├─ logged
│  └─ http://rekor2.local, hashedrekord 0.0.2, index 52
│     └─ included in the tree of size 53, root 7c1c498668bb659f5a94567903bbbc576a5183dee7900575060304946419d463
├─ NOT PROVEN
│  ├─ time: no authority of the trusted root vouches for a time
│  └─ tlog-key-validity: no verified time to compare the log key of entry 0 with
└─ trust: root given by the caller
`);
  });
});

// What a terminal would obey, or what would make one text look like another.
const HOSTILE = [
  ["a newline", "\n", "\\u000a"],
  ["a carriage return", "\r", "\\u000d"],
  ["an escape sequence", "\u001b[2J", "\\u001b[2J"],
  ["a bell", "\u0007", "\\u0007"],
  ["a C1 control", "\u009b31m", "\\u009b31m"],
  ["a delete", "\u007f", "\\u007f"],
  ["an override of direction", "\u202emoc.live", "\\u202emoc.live"],
  ["an isolate", "\u2066", "\\u2066"],
  ["an Arabic letter mark", "\u061c", "\\u061c"],
  ["a space without width", "\u200b", "\\u200b"],
  ["a line separator", "\u2028", "\\u2028"],
  ["a byte order mark", "\ufeff", "\\ufeff"],
] as const;

describe("text from a certificate or a bundle", () => {
  const sandbox = makeSandbox();

  test.each(HOSTILE)("%s is shown, not obeyed", async (_, hostile, shown) => {
    const value = `main${hostile}verified`;
    const signer = { request: { fulcio: { 14: value } } };
    const statement = {
      ...statementAbout(ARTIFACT),
      subject: [{ name: value, digest: (statementAbout(ARTIFACT)["subject"] as { digest: object }[])[0]?.digest }],
    };
    const evidence = await verifyIn(sandbox, bundleFrom(sandbox, { signer, statement }));
    const tree = evidenceToText(evidence);
    expect(tree).toContain(`Source Repository Ref: main${shown}verified`);
    expect(tree).toContain(`(main${shown}verified)`);
    expect(tree.replaceAll("\n", "")).not.toContain(hostile);
    expect(tree.split("\n").filter((line) => line.includes("verified"))).toHaveLength(2);

    const error = await refusal(
      verifyIn(sandbox, bundleFrom(sandbox, { signer, statement }), {
        policy: {
          identity: {
            subjectAlternativeName: "alice@example.com",
            issuer: ISSUER,
            extensions: { sourceRepositoryRef: "main" },
          },
        },
      }),
    );
    for (const text of [refusalToText(error), ...checksToText(error.report ?? []).split("\n")]) {
      expect(text).not.toContain(hostile);
    }
    expect(refusalToText(error)).toContain(`main${shown}verified`);
  });
});

describe("refusalToText", () => {
  test("is one line with cause, values, remedy and code", () => {
    const error = new VerificationError("SIGNATURE_INVALID", "signature does not verify", {
      expected: "a",
      found: "b",
      remedy: "sign again",
    });
    expect(refusalToText(error)).toBe(
      "signature does not verify (expected a; found b); sign again [SIGNATURE_INVALID]",
    );
  });
});

describe("checksToText", () => {
  test("is what the program prints with --explain: each check, its outcome, its section", async () => {
    const one = realCase("a/blob-v1-key-p256");
    const flags = [
      "--bundle",
      realPath(one.bundle),
      "--key",
      realPath("keys/p256.pub"),
      "--trusted-root",
      realPath("a/trusted_root.json"),
      "--explain",
    ];
    const { stderr } = await runInProcess(["verify-blob", ...flags, realPath("artifacts/world.txt")]);
    expect(stderr).toMatch(
      /^ok {4}tlog\[0\]\.inclusion-proof +in the tree of size 22 of http:\/\/127\.0\.0\.1:4410 {2}\[rekor-spec/m,
    );
    expect(stderr).toMatch(
      /^FAIL {2}artifact\.digest +.*ARTIFACT_DIGEST_MISMATCH\) {2}\[sigstore_bundle\.proto, message_digest\]$/m,
    );
    expect(stderr).toMatch(/^-- {4}key\.validity +\[client-spec §4\.3\]$/m);
  });
});
