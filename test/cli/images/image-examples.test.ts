import { execFile } from "node:child_process";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { COMMANDS } from "../../../src/cli/program.ts";
import { startSandbox, type Sandbox } from "../../../src/sandbox/sandbox.ts";
import { ImageWorld } from "../../e2e/support/images.ts";
import { COMPILE_CACHE, PROGRAM, temporaryFolder } from "../../support/cli.ts";
import { IMAGE_EXAMPLES } from "../../support/examples.ts";

let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = await startSandbox();
}, 60_000);
afterAll(() => sandbox.close());

describe("examples of the help that are about images", () => {
  test("run as they stand, against a sandbox", { timeout: 120_000 }, async () => {
    const folder = temporaryFolder();
    const world = new ImageWorld(sandbox, folder);
    const image = await world.push();
    const signer = await world.keys("cosign");
    // The examples' registries are the one of the sandbox, and their image is the one in it.
    const here = (text: string): string =>
      text
        .replaceAll(/(registry|mirror)\.example\.com\/app@sha256:[0-9a-f]{64}/g, image.pinned)
        .replaceAll("registry.example.com/app:v1", image.tagged)
        .replaceAll("mirror.example.com/app", `${world.host}/mirror`)
        .replaceAll("registry.example.com", world.host)
        .replaceAll("https://accounts.example.com", sandbox.urls.oidc);
    const files: Readonly<Record<string, string>> = {
      "provenance.json": '{"buildDefinition":{},"runDetails":{}}',
      "sbom.json": "{}",
      "password.txt": "of alice",
      Dockerfile: here("FROM registry.example.com/app:v1\n"),
      "deployment.yaml": here(
        "apiVersion: apps/v1\nkind: Deployment\nspec: {template: {spec: {containers: [{image: registry.example.com/app:v1}]}}}\n",
      ),
      "cosign-ts": `#!/bin/sh\nexec '${process.execPath}' '${PROGRAM}' "$@"\n`,
    };
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
    chmodSync(join(folder, "cosign-ts"), 0o755);
    const environment = {
      PATH: `${folder}:${process.env["PATH"] ?? ""}`,
      HOME: folder,
      NODE_COMPILE_CACHE: COMPILE_CACHE,
      COSIGN_PASSWORD: "of a test",
      COSIGN_YES: "true",
      COSIGN_TRUSTED_ROOT: sandbox.paths.trustedRoot,
      COSIGN_SIGNING_CONFIG: sandbox.paths.signingConfig,
    };
    const shell = async (line: string, more: Readonly<Record<string, string>> = {}): Promise<void> => {
      await promisify(execFile)("bash", ["-euo", "pipefail", "-c", line], {
        cwd: folder,
        env: { ...environment, ...more },
      });
    };
    const all = await Promise.all(COMMANDS.map(({ load }) => load()));
    const examples = all.flatMap(({ name, examples: own = [] }) =>
      // Those of attach and download run in a test of their own.
      /^(attach|download) /.test(name) ? [] : own.filter((example) => IMAGE_EXAMPLES.test(example)),
    );
    const isSigning = (example: string): boolean => /^cosign-ts (sign|attest) /.test(example);
    const token = await sandbox.token("email", { email: "alice@example.com" });
    const run = async (example: string): Promise<void> => {
      const identity = isSigning(example) && !example.includes("--key") ? { SIGSTORE_ID_TOKEN: token } : {};
      await expect(shell(here(example), identity), example).resolves.toBeUndefined();
    };
    // What is verified must be signed first, and what is loaded saved.
    for (const example of examples.filter(isSigning)) await run(example);
    await world.must(
      [
        "attest",
        ...world.services(),
        ...signer.sign,
        "--type",
        "spdxjson",
        "--predicate",
        world.at("sbom.json"),
      ].concat(image.pinned),
    );
    for (const example of examples.filter((one) => !isSigning(one))) await run(example);
    expect(examples.length).toBeGreaterThan(14);
  });
});
