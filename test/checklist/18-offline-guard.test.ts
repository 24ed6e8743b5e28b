import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { runInProcess } from "../support/program.ts";
import { realCase, realPath } from "../support/real.ts";

const one = realCase("a/blob-v1-email");
const { signer } = one;
if (signer.kind !== "certificate") throw new Error("no certificate");
const files = [realPath(one.bundle), realPath(one.artifact), realPath("a/trusted_root.json")] as const;

/** Says what was opened in this process from now on, until the test ends. */
function watchSockets(): readonly string[] {
  const opened: string[] = [];
  vi.spyOn(Socket.prototype, "connect").mockImplementation(() => {
    opened.push("a socket");
    throw new Error("a test opened a socket");
  });
  vi.stubGlobal("fetch", () => {
    opened.push("fetch");
    return Promise.reject(new Error("a test fetched"));
  });
  return opened;
}

describe("checklist 18: offline guard", () => {
  const canDenySockets = process.allowedNodeEnvironmentFlags.has("--allow-net");

  test.skipIf(!canDenySockets)("a verification needs no socket: it ends well in a process that may open none", () => {
    const script = fileURLToPath(new URL("../support/offline-verification.ts", import.meta.url));
    const args = ["--permission", "--allow-fs-read=*", script, ...files, signer.identity, signer.issuer];
    const printed = execFileSync(process.execPath, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
    expect(JSON.parse(printed)).toEqual({ socket: "ERR_ACCESS_DENIED", passed: true });
  });

  test("the program needs none with a trusted root from a file", async () => {
    const opened = watchSockets();
    const [bundle, artifact, root] = files;
    const identity = ["--certificate-identity", signer.identity, "--certificate-oidc-issuer", signer.issuer];
    const run = await runInProcess(["verify-blob", "--bundle", bundle, "--trusted-root", root, ...identity, artifact]);
    expect(run).toEqual({ status: 0, stdout: "", stderr: "Verified OK\n" });
    expect(opened).toEqual([]);
  });

  test("the program opens none with --offline, and uses the embedded root", async () => {
    const opened = watchSockets();
    const home = mkdtempSync(join(tmpdir(), "cosign-ts-test-"));
    onTestFinished(() => rmSync(home, { recursive: true }));
    const [bundle, artifact] = files;
    const identity = ["--certificate-identity", signer.identity, "--certificate-oidc-issuer", signer.issuer];
    const run = await runInProcess(["verify-blob", "--offline", "--bundle", bundle, ...identity, artifact], {
      environment: { HOME: home, TUF_ROOT: home },
    });
    expect(run.status).toBe(1);
    expect(run.stderr).toContain("embedded");
    expect(run.stderr).toContain("[TLOG_THRESHOLD_NOT_MET]"); // the public-good instance has not logged this bundle
    expect(opened).toEqual([]);
  });

  test("without --offline and without a file the program asks the network, so that the guards above would have seen it", async () => {
    const opened = watchSockets();
    const home = mkdtempSync(join(tmpdir(), "cosign-ts-test-"));
    onTestFinished(() => rmSync(home, { recursive: true }));
    const [bundle, artifact] = files;
    const identity = ["--certificate-identity", signer.identity, "--certificate-oidc-issuer", signer.issuer];
    const { fetch } = globalThis;
    const run = await runInProcess(["verify-blob", "--bundle", bundle, ...identity, artifact], {
      environment: { HOME: home, TUF_ROOT: home },
      fetch,
    });
    expect(run.status).toBe(1);
    expect(opened).not.toEqual([]);
  });
});
