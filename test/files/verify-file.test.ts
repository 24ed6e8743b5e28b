import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { resolveTrust, verify, type TrustChoice } from "../../src/files/verify-file.ts";
import type { Fetch } from "../../src/http/request.ts";
import { parseTrustedRoot } from "../../src/trust/trusted-root.ts";
import { createMemoryCache } from "../../src/tuf/cache.ts";
import { realBytes, realCase, realPath } from "../support/real.ts";
import { ALICE_SIGNED, bundleFrom, makeSandbox, rootOf } from "../support/sandbox/sandbox.ts";
import { NOW, TufRepository } from "../support/tuf-repository.ts";

const one = realCase("a/blob-v1-email");
const { signer } = one;
if (signer.kind !== "certificate") throw new Error("no certificate");
const identity = { subjectAlternativeName: signer.identity, issuer: signer.issuer };
const bundle = { path: realPath(one.bundle) };
const artifact = { path: realPath(one.artifact) };
const rootPath = realPath("a/trusted_root.json");
const code = (value: string): unknown => expect.objectContaining({ code: value }) as unknown;
const noNetwork: Fetch = (url) => Promise.reject(new TypeError(`a test asked for ${url}`));

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "verify-file-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

describe("verify of files", () => {
  test.for([
    ["files", bundle, artifact, { path: rootPath }],
    ["bytes", realBytes(one.bundle), realBytes(one.artifact), parseTrustedRoot(realBytes("a/trusted_root.json"))],
  ] as const)("proves the same of %s", async ([, givenBundle, givenArtifact, trust]) => {
    const evidence = await verify(givenBundle, givenArtifact, { identity, trust });
    expect(evidence).toMatchObject({ signer: { kind: "certificate" } });
    expect(evidence.checks.every(({ outcome }) => outcome !== "failed")).toBe(true);
  });

  test("streams a large file, proves it, and refuses it once a byte is another", async () => {
    const sandbox = makeSandbox();
    const content = Buffer.alloc(9 * 1024 * 1024, "a large artifact ");
    const signed = bundleFrom(sandbox, { artifact: content });
    const path = join(makeFolder(), "artifact");
    writeFileSync(path, content);
    const options = { ...ALICE_SIGNED, trust: rootOf(sandbox) };
    await expect(verify(signed.text, { path }, options)).resolves.toMatchObject({ content: { kind: "artifact" } });
    content[5_000_000] = 0;
    writeFileSync(path, content);
    await expect(verify(signed.text, { path }, options)).rejects.toThrow(code("ARTIFACT_DIGEST_MISMATCH"));
  });

  test.for([
    ["bundle", "FILE_NOT_FOUND"],
    ["artifact", "FILE_NOT_FOUND"],
  ] as const)("says that the %s is missing before it asks the network for trust", async ([missing, problem]) => {
    const absent = { path: join(makeFolder(), "absent") };
    const trust: TrustChoice = { fetch: noNetwork, cache: createMemoryCache() };
    const given = missing === "bundle" ? ([absent, artifact] as const) : ([bundle, absent] as const);
    await expect(verify(...given, { identity, trust })).rejects.toThrow(code(problem));
  });

  test("says that the trusted root is missing", async () => {
    await expect(verify(bundle, artifact, { identity, trust: { path: "/absent" } })).rejects.toThrow(
      code("FILE_NOT_FOUND"),
    );
  });

  test("refuses an option of trust that it does not know: it would choose another root", async () => {
    const trust = { mirorr: "https://tuf.test" } as TrustChoice;
    await expect(verify(bundle, artifact, { identity, trust })).rejects.toThrow(code("USAGE_INVALID"));
  });
});

describe("resolveTrust", () => {
  test("says where trust came from: the caller, a file, a repository, this package", async () => {
    const trustedRoot = parseTrustedRoot(realBytes("a/trusted_root.json"));
    await expect(resolveTrust(trustedRoot)).resolves.toEqual({ trustedRoot, source: { kind: "caller" }, notices: [] });
    await expect(resolveTrust({ path: rootPath })).resolves.toMatchObject({ source: { kind: "file", path: rootPath } });

    const repository = new TufRepository();
    repository.addTarget("trusted_root.json", Buffer.from(realBytes("a/trusted_root.json")).toString());
    repository.publishTargets();
    const fetch: Fetch = async (url) => {
      const bytes = await repository.download(url, 1e6).catch(() => undefined);
      return bytes === undefined ? new Response("", { status: 404 }) : new Response(Buffer.from(bytes));
    };
    const cache = createMemoryCache();
    const own = { mirror: "https://tuf.test", root: repository.latest("root"), cache, now: NOW };
    await expect(resolveTrust({ ...own, fetch })).resolves.toMatchObject({ source: { kind: "tuf", fromCache: false } });
    // A verification within the lifetime of the refresh, and one offline, ask for nothing.
    for (const trust of [
      { ...own, fetch: noNetwork },
      { ...own, fetch: noNetwork, offline: true },
    ]) {
      const evidence = await verify(bundle, artifact, { identity, trust });
      expect(evidence.trust).toMatchObject({ kind: "tuf", fromCache: true, mirror: "https://tuf.test" });
    }
    const offline = { offline: true, fetch: noNetwork, cache: createMemoryCache() };
    await expect(resolveTrust(offline)).resolves.toMatchObject({
      source: { kind: "embedded", instance: "production" },
    });
  });

  test("refuses a file that is too large to be a trusted root", async () => {
    const path = join(makeFolder(), "trusted_root.json");
    writeFileSync(path, "");
    truncateSync(path, 5 * 1024 * 1024);
    await expect(resolveTrust({ path })).rejects.toThrow(code("FILE_TOO_LARGE"));
  });
});
