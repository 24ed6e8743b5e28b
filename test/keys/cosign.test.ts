import { spawnSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { generateKeyPair } from "../../src/keys/generate.ts";
import { importKeyPair } from "../../src/keys/private-key.ts";
import { temporaryFolder } from "../support/cli.ts";
import { keyFile } from "../support/keys.ts";

const PEERS = process.env["COSIGN_TS_PEERS"] ?? join(homedir(), ".cache", "cosign-ts-peers");
const COSIGN = join(PEERS, "bin", "cosign");
const isBuilt = existsSync(COSIGN);

describe.skipIf(!isBuilt)(`the real cosign${isBuilt ? "" : ` (NOT RUN: ${COSIGN} is not there)`}`, () => {
  const folder = (): {
    readonly write: (name: string, text: string) => void;
    readonly run: (...args: string[]) => string;
  } => {
    const cwd = temporaryFolder();
    return {
      write: (name, text) => writeFileSync(join(cwd, name), text),
      run: (...args) => {
        const env = { COSIGN_PASSWORD: "of our own", HOME: cwd, PATH: process.env["PATH"] ?? "" };
        const { status, stdout, stderr } = spawnSync(COSIGN, args, { cwd, env, encoding: "utf8" });
        return status === 0 ? stdout : `status ${status}: ${stderr}`;
      },
    };
  };

  test("reads a key that was generated, signs with it, and verifies that with its public key", async () => {
    const { write, run } = folder();
    const pair = await generateKeyPair({ password: "of our own" });
    write("our.key", pair.privateKeyPem);
    write("our.pub", pair.publicKeyPem);
    write("artifact", "signed by cosign with a key of ours");
    const offline = ["--tlog-upload=false", "--use-signing-config=false", "--bundle", "bundle.json"];
    expect(run("sign-blob", "--yes", "--key", "our.key", ...offline, "artifact")).not.toMatch(/^status/);
    const verify = ["--key", "our.pub", "--insecure-ignore-tlog", "--bundle", "bundle.json", "artifact"];
    expect(run("verify-blob", ...verify)).toBe("");
  });

  // cosign 3.1.2 cannot verify what it signed with such keys, its own among them, so it is asked for the public key alone.
  test.each(["ed25519"])("reads a key that was generated for %s", async (algorithm) => {
    const { write, run } = folder();
    const pair = await generateKeyPair({ password: "of our own", algorithm });
    write("our.key", pair.privateKeyPem);
    expect(run("public-key", "--key", "our.key")).toBe(pair.publicKeyPem);
  });

  test("reads keys that were imported", async () => {
    const { write, run } = folder();
    for (const name of ["openssl-rsa-3072", "openssl-p521"]) {
      const pair = await importKeyPair({ pem: keyFile(`${name}.pem`), password: "of our own" });
      write("our.key", pair.privateKeyPem);
      expect(run("public-key", "--key", "our.key")).toBe(keyFile(`${name}.pub`));
    }
  });
});
