import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startSandbox, type Sandbox } from "../../src/sandbox/sandbox.ts";
import { CLIENT_ENVIRONMENT, temporaryFolder } from "../support/cli.ts";
import { projectDir } from "../support/shared.ts";

const program = join(projectDir, "test", "conformance", "client");

/** Runs the client, and gives its exit status. */
async function client(...args: readonly string[]): Promise<number> {
  const env = { PATH: process.env["PATH"] ?? "", HOME: "/nonexistent", ...CLIENT_ENVIRONMENT };
  return await new Promise((resolve) => {
    execFile(program, args, { env }, (error) => resolve(error === null ? 0 : Number(error.code)));
  });
}

let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = await startSandbox();
}, 60_000);
afterAll(() => sandbox.close());

describe("the conformance client (sigstore-conformance, cli_protocol.md)", () => {
  test.for([["signingConfig"], ["signingConfigRekor1"]] as const)(
    "signs with the services of %s, and verifies what it signed",
    async ([config]) => {
      const folder = temporaryFolder();
      const file = join(folder, "file with spaces");
      const bundle = join(folder, "bundle.json");
      writeFileSync(file, "hello\n");
      const token = await sandbox.token("email", { email: "alice@example.com" });
      const root = ["--trusted-root", sandbox.paths.trustedRoot];
      const services = ["--signing-config", sandbox.paths[config], ...root];
      expect(
        await client("sign-bundle", "--staging", "--identity-token", token, ...services, "--bundle", bundle, file),
      ).toBe(0);
      const signer = ["--certificate-identity", "alice@example.com", "--certificate-oidc-issuer", sandbox.urls.oidc];
      expect(await client("verify-bundle", "--bundle", bundle, ...signer, ...root, file)).toBe(0);
      const mallory = ["--certificate-identity", "mallory@example.com", ...signer.slice(2)];
      expect(await client("verify-bundle", "--bundle", bundle, ...mallory, ...root, file)).toBe(1);
    },
  );

  test("signs a whole statement with --in-toto, wherever that stands", async () => {
    const folder = temporaryFolder();
    const file = join(folder, "statement.json");
    const bundle = join(folder, "bundle.json");
    writeFileSync(join(folder, "app"), "hello\n");
    writeFileSync(
      file,
      JSON.stringify({
        _type: "https://in-toto.io/Statement/v1",
        subject: [
          { name: "app", digest: { sha256: "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03" } },
        ],
        predicateType: "https://example.com/predicate/v1",
        predicate: {},
      }),
    );
    const token = await sandbox.token("github");
    const root = ["--trusted-root", sandbox.paths.trustedRoot];
    const services = ["--signing-config", sandbox.paths.signingConfigRekor1, ...root];
    expect(
      await client("sign-bundle", "--in-toto", "--identity-token", token, ...services, "--bundle", bundle, file),
    ).toBe(0);
    expect(
      await client("sign-bundle", "--identity-token", token, ...services, "--bundle", bundle, "--in-toto", file),
    ).toBe(0);
    const signer = [
      "--certificate-identity",
      "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main",
    ];
    const issuer = ["--certificate-oidc-issuer", `${sandbox.urls.oidc}/github`];
    expect(await client("verify-bundle", "--bundle", bundle, ...signer, ...issuer, ...root, join(folder, "app"))).toBe(
      0,
    );
  });

  test("fails where there is no identity token that holds, and for commands that it does not have", async () => {
    const folder = temporaryFolder();
    const file = join(folder, "file");
    writeFileSync(file, "hello\n");
    const services = [
      "--signing-config",
      sandbox.paths.signingConfigRekor1,
      "--trusted-root",
      sandbox.paths.trustedRoot,
    ];
    const bundle = ["--bundle", join(folder, "bundle.json")];
    expect(await client("sign-bundle", "--identity-token", "invalid", ...services, ...bundle, file)).toBe(1);
    expect(await client("sign", "--identity-token", "invalid", ...bundle, file)).toBe(2);
    expect(await client()).toBe(2);
  });
});
