import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { parseTimestampResponse } from "../../src/tsa/timestamp-response.ts";
import type { Fault, SandboxServiceName } from "../../src/sandbox/faults.ts";
import { startSandbox, type Rotation, type Sandbox, type SandboxOptions } from "../../src/sandbox/sandbox.ts";
import { attest, sign } from "../../src/sign/sign.ts";
import type { SignedBundle, SigningOptions } from "../../src/sign/options.ts";
import { parseTrustedRoot, type TrustedRoot } from "../../src/trust/trusted-root.ts";
import { verify } from "../../src/verify/verifier.ts";
import { PROGRAM, temporaryFolder } from "../support/cli.ts";
import { askSigstoreJs } from "../support/sigstore-js.ts";

const ARTIFACT = new TextEncoder().encode("the artifact\n");
const ALICE = "alice@example.com";

async function start(options: SandboxOptions = {}): Promise<Sandbox> {
  const sandbox = await startSandbox({
    onError: (error) => {
      throw error;
    },
    ...options,
  });
  onTestFinished(() => sandbox.close());
  return sandbox;
}

async function optionsFor(sandbox: Sandbox, rekorVersion: 1 | 2 = 2): Promise<SigningOptions> {
  const signingConfig = rekorVersion === 2 ? sandbox.signingConfig : sandbox.signingConfigRekor1;
  return {
    signer: { kind: "keyless", identityToken: await sandbox.token("email", { email: ALICE }) },
    services: { kind: "signing-config", signingConfig },
    trust: sandbox.trustedRoot,
    environment: {},
    retries: 0,
  };
}

async function signIn(sandbox: Sandbox, rekorVersion: 1 | 2 = 2, artifact = ARTIFACT): Promise<SignedBundle> {
  return await sign(artifact, await optionsFor(sandbox, rekorVersion));
}

/** Verifies a bundle under the trusted root of a file, as whoever reads it would. */
async function verifyUnder(trustedRoot: TrustedRoot, issuer: string, json: string): Promise<bigint | undefined> {
  const identity = { subjectAlternativeName: ALICE, issuer };
  const { logEntries } = await verify(json, ARTIFACT, { trustedRoot, identity });
  return logEntries[0]?.logIndex;
}

const readTrustedRoot = (sandbox: Sandbox): TrustedRoot => parseTrustedRoot(readFileSync(sandbox.paths.trustedRoot));
const code = (value: string): unknown => expect.objectContaining({ code: value }) as unknown;

describe("startSandbox", () => {
  test.for([1, 2] as const)("signs with Rekor v%i what verifies, here and by others", async (rekorVersion) => {
    const sandbox = await start();
    const { json } = await signIn(sandbox, rekorVersion);
    expect(await verifyUnder(readTrustedRoot(sandbox), sandbox.urls.oidc, json)).toBe(0n);
    const question = {
      bundle: new TextEncoder().encode(json),
      trustedRoot: readFileSync(sandbox.paths.trustedRoot),
      signer: { identity: ALICE, issuer: sandbox.urls.oidc },
      tlogThreshold: 1,
    };
    expect(askSigstoreJs({ ...question, artifact: ARTIFACT })).toBeUndefined();
    expect(askSigstoreJs({ ...question, artifact: new TextEncoder().encode("another") })).toMatch(
      /verification|failed/,
    );
  });

  test("tells where everything is in a file that a shell reads, as long as it answers", async () => {
    const sandbox = await start();
    const { paths, urls } = sandbox;
    const lines = readFileSync(paths.env, "utf8").trimEnd().split("\n");
    const env = Object.fromEntries(lines.map((line) => line.split(/=(.*)/s).slice(0, 2) as [string, string]));
    expect(env).toMatchObject({
      STACK_OIDC_URL: urls.oidc,
      STACK_FULCIO_URL: urls.fulcio,
      STACK_CTLOG_URL: urls.ctlog,
      STACK_REKOR2_URL: urls.rekor2,
      STACK_REKOR1_URL: urls.rekor1,
      STACK_TSA_URL: urls.tsa,
      STACK_TUF_URL: urls.tuf,
      STACK_REGISTRY: urls.registry.replace("http://", ""),
      STACK_TUF_ROOT: paths.tufRoot,
      STACK_TRUSTED_ROOT: paths.trustedRoot,
      STACK_SIGNING_CONFIG: paths.signingConfig,
      STACK_SIGNING_CONFIG_REKOR1: paths.signingConfigRekor1,
    });
    const json = JSON.parse(readFileSync(paths.envJson, "utf8")) as Record<string, string>;
    expect(Object.values(json)).toEqual(Object.values(env));
    expect(json["rekor2Url"]).toBe(urls.rekor2);
    await sandbox.close();
    expect(existsSync(paths.directory)).toBe(false);
    await sandbox.close();
  });

  test("goes on in its folder: same addresses, same keys, a longer log", async () => {
    const directory = temporaryFolder();
    const first = await startSandbox({ directory });
    const signed = [await signIn(first, 2), await signIn(first, 1)];
    const { urls, trustedRoot } = first;
    await first.close();
    expect(readdirSync(directory)).not.toContain("env");
    const second = await start({ directory });
    expect(second.urls).toEqual(urls);
    expect(second.trustedRoot).toEqual(trustedRoot);
    for (const { json } of signed) expect(await verifyUnder(second.trustedRoot, urls.oidc, json)).toBe(0n);
    for (const version of [2, 1] as const)
      expect(await verifyUnder(trustedRoot, urls.oidc, (await signIn(second, version)).json)).toBe(1n);
    const state = await (await fetch(`${urls.page}/state.json`)).json();
    expect(state).toMatchObject({ entries: [{}, {}, {}, {}], certificates: [{}, {}, {}, {}] });
  });

  test("takes another port where that of the last time is taken, and still stands by what it signed", async () => {
    const directory = temporaryFolder();
    const first = await startSandbox({ directory });
    const { urls } = first;
    const signed = await signIn(first, 1);
    await first.close();
    const blocker = createServer().listen(Number(new URL(urls.rekor1).port), "127.0.0.1");
    onTestFinished(() => void blocker.close());
    await once(blocker, "listening");
    const second = await start({ directory });
    expect(second.urls).toMatchObject({ oidc: urls.oidc, rekor1: expect.not.stringMatching(urls.rekor1) as string });
    expect(await verifyUnder(second.trustedRoot, urls.oidc, signed.json)).toBe(0n);
    expect(await verifyUnder(second.trustedRoot, urls.oidc, (await signIn(second, 1)).json)).toBe(1n);
  });

  test("keeps keys to the owner, and lets others read what they are to trust", async () => {
    const directory = temporaryFolder();
    const { paths } = await start({ directory });
    for (const name of readdirSync(directory, { recursive: true, encoding: "utf8" }))
      if (name.startsWith("state")) expect([name, statSync(join(directory, name)).mode & 0o077]).toEqual([name, 0]);
    expect(statSync(paths.trustedRoot).mode & 0o004).toBe(0o004);
  });

  test("lets one sandbox work in a folder, and one program listen on a port", async () => {
    const directory = temporaryFolder();
    const sandbox = await start({ directory });
    await expect(startSandbox({ directory })).rejects.toThrow(code("FOLDER_IN_USE"));
    expect(existsSync(sandbox.paths.env)).toBe(true);
    const { port } = new URL(sandbox.urls.oidc);
    const other = temporaryFolder();
    await expect(startSandbox({ directory: other, port: Number(port) })).rejects.toThrow(code("ADDRESS_IN_USE"));
    await (await startSandbox({ directory: other })).close(); // nothing of the failed start is left
  });

  test("takes the ports after the first one, and frees all where one is taken", async () => {
    const blocker = createServer().listen(0, "127.0.0.1");
    onTestFinished(() => void blocker.close());
    await once(blocker, "listening");
    const { port } = blocker.address() as AddressInfo;
    await expect(startSandbox({ port: port - 3 })).rejects.toThrow(/ADDRESS_IN_USE|EADDRINUSE/);
    await expect(fetch(`http://127.0.0.1:${port - 3}/`)).rejects.toThrow("fetch failed");
    await expect(startSandbox({ port: 65_535 })).rejects.toThrow(code("USAGE_INVALID"));
  });

  test("ends when its signal says so, and does not begin after that", async () => {
    const controller = new AbortController();
    const { urls, paths } = await start({ signal: controller.signal });
    controller.abort(new Error("enough"));
    await expect.poll(() => existsSync(paths.directory)).toBe(false);
    await expect(fetch(urls.oidc)).rejects.toThrow("fetch failed");
    await expect(startSandbox({ signal: controller.signal })).rejects.toThrow("enough");
  });

  test("goes on after it was killed while it worked", { timeout: 60_000 }, async () => {
    const directory = temporaryFolder();
    const child = spawn(process.execPath, [PROGRAM, "sandbox", "--dir", directory], {
      stdio: "ignore",
    });
    onTestFinished(() => void child.kill("SIGKILL"));
    await expect.poll(() => existsSync(join(directory, "env.json")), { timeout: 30_000 }).toBe(true);
    const env = JSON.parse(readFileSync(join(directory, "env.json"), "utf8")) as Record<string, string>;
    const identityToken = await (await fetch(`${env["oidcUrl"] ?? ""}/token?email=${ALICE}`)).text();
    const signing: SigningOptions = {
      signer: { kind: "keyless", identityToken },
      services: { kind: "signing-config", signingConfig: { path: env["signingConfig"] ?? "" } },
      trust: parseTrustedRoot(readFileSync(env["trustedRoot"] ?? "")),
      environment: {},
      retries: 0,
    };
    const work = Array.from({ length: 12 }, () => sign(ARTIFACT, signing));
    await Promise.race(work);
    child.kill("SIGKILL");
    await once(child, "exit");
    const done = (await Promise.allSettled(work)).flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    expect(done.length).toBeGreaterThan(0);

    const sandbox = await start({ directory });
    const indexes: bigint[] = [];
    for (const { json } of done) indexes.push((await verifyUnder(sandbox.trustedRoot, sandbox.urls.oidc, json)) ?? -1n);
    expect(new Set(indexes).size).toBe(done.length);
    const next = await verifyUnder(sandbox.trustedRoot, sandbox.urls.oidc, (await signIn(sandbox)).json);
    for (const index of indexes) expect(next).toBeGreaterThan(index);
  });
});

describe("a rotation", () => {
  let sandbox: Sandbox;
  beforeAll(async () => {
    sandbox = await startSandbox();
    return () => sandbox.close();
  });

  test.for([
    ["fulcio", 2, "certificateAuthorities"],
    ["ctlog", 2, "ctlogs"],
    ["rekor2", 2, "tlogs"],
    ["rekor1", 1, "tlogs"],
    ["tsa", 2, "timestampAuthorities"],
  ] as const)(
    "of %s leaves what was signed before valid, and needs the new trusted root for what comes",
    async ([what, rekorVersion, list]) => {
      const before = sandbox.trustedRoot;
      const earlier = await signIn(sandbox, rekorVersion);
      await sandbox.rotate(what);
      const later = await signIn(sandbox, rekorVersion);
      expect(sandbox.trustedRoot[list]).toHaveLength(before[list].length + 1);
      const root = readTrustedRoot(sandbox);
      const { oidc } = sandbox.urls;
      for (const { json } of [earlier, later]) expect(await verifyUnder(root, oidc, json)).toBeDefined();
      expect(await verifyUnder(before, oidc, earlier.json)).toBeDefined();
      await expect(verifyUnder(before, oidc, later.json)).rejects.toThrow(
        expect.objectContaining({ name: "VerificationError" }),
      );
      expect(root[list].filter(({ validFor }) => validFor.end === undefined).length).toBeLessThan(root[list].length);
    },
  );

  test("of rekor2 freezes the log before it, which is still read", async () => {
    const old = sandbox.urls.rekor2;
    await sandbox.rotate("rekor2");
    expect(sandbox.urls.rekor2).not.toBe(old);
    expect((await fetch(`${old}/api/v2/checkpoint`)).status).toBe(200);
    const [current, former] = sandbox.signingConfig.rekorTlogUrls;
    expect(current?.url).toBe(sandbox.urls.rekor2);
    expect(current?.validFor.end).toBeUndefined();
    expect(former?.url).toBe(old);
    expect(former?.validFor.end).toBeDefined();
  });

  test.for(["oidc", "tuf-root"] as const)("of %s leaves clients at work", async (what: Rotation) => {
    await signIn(sandbox);
    await sandbox.rotate(what);
    expect(await verifyUnder(sandbox.trustedRoot, sandbox.urls.oidc, (await signIn(sandbox)).json)).toBeDefined();
  });

  test("is there after a restart", async () => {
    const directory = temporaryFolder();
    const first = await startSandbox({ directory });
    const signed = [await signIn(first)];
    await Promise.all((["rekor2", "ctlog", "fulcio", "tsa", "rekor1"] as const).map((what) => first.rotate(what)));
    signed.push(await signIn(first));
    const { trustedRoot, urls } = first;
    await first.close();
    const second = await start({ directory });
    expect(second.trustedRoot).toEqual(trustedRoot);
    expect(second.urls).toEqual(urls);
    signed.push(await signIn(second));
    for (const { json } of signed) expect(await verifyUnder(second.trustedRoot, urls.oidc, json)).toBeDefined();
  });
});

describe("faults of a sandbox", () => {
  let sandbox: Sandbox;
  beforeAll(async () => {
    sandbox = await startSandbox();
    return () => sandbox.close();
  });
  const set = (service: SandboxServiceName, fault: Fault): void => {
    onTestFinished(() => sandbox.clearFaults());
    sandbox.setFault(service, fault);
  };

  test.for([
    ["oidc", "oidc", "/.well-known/openid-configuration"],
    ["tuf", "tuf", "/timestamp.json"],
    ["fulcio", "fulcio", "/api/v2/trustBundle"],
    ["ctlog", "ctlog", "/ct/v1/get-sth"],
    ["rekor2", "rekor2", "/api/v2/checkpoint"],
    ["rekor1", "rekor1", "/api/v1/log"],
    ["tsa", "tsa", "/certchain"],
  ] as const)("befall %s and nobody else", async ([service, url, path]) => {
    const ask = async (): Promise<number> => (await fetch(`${sandbox.urls[url]}${path}`)).status;
    expect(await ask()).toBe(200);
    set(service, { kind: "503", requests: 1 });
    const other = service === "tsa" ? `${sandbox.urls.rekor1}/api/v1/log` : `${sandbox.urls.tsa}/certchain`;
    expect((await fetch(other)).status).toBe(200);
    expect(await ask()).toBe(503);
    expect(await ask()).toBe(200);
  });

  test("set a clock off", async () => {
    const stamp = async (): Promise<number> => {
      const response = await fetch(sandbox.urls.tsa, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ artifactHash: Buffer.alloc(32, 1).toString("base64"), hashAlgorithm: "sha256" }),
      });
      return parseTimestampResponse(new Uint8Array(await response.arrayBuffer())).genTime.getTime();
    };
    const before = await stamp();
    set("tsa", { kind: "clock", argument: "+2h" });
    const ahead = (await stamp()) - before;
    expect(ahead).toBeGreaterThanOrEqual(7_200_000 - 1000);
    expect(ahead).toBeLessThan(7_300_000);
  });

  test.for([
    ["fulcio", { kind: "other-key" }, "CERTIFICATE_KEY_MISMATCH"],
    ["ctlog", { kind: "wrong-key" }, "SCT_INVALID"],
    ["rekor2", { kind: "other-entry" }, "TLOG_ENTRY_MISMATCH"],
    ["tsa", { kind: "wrong-key" }, "TIMESTAMP_SIGNATURE_INVALID"],
  ] as const)("let %s forge, which signing notices", async ([service, fault, refusal]) => {
    set(service, fault);
    await expect(signIn(sandbox)).rejects.toThrow(code(refusal));
    sandbox.clearFaults(service);
    await signIn(sandbox);
  });

  test("are refused where the service does not know them", () => {
    expect(() => sandbox.setFault("tsa", { kind: "split-view" })).toThrow(code("USAGE_INVALID"));
  });

  test("are there from the beginning where they are asked for", async () => {
    const other = await start({ faults: [{ service: "fulcio", kind: "500", requests: 2 }] });
    expect(other.faults).toEqual([{ service: "fulcio", kind: "500", requests: 2 }]);
    await expect(startSandbox({ faults: [{ service: "fulcio", kind: "none" }] })).rejects.toThrow(
      code("USAGE_INVALID"),
    );
  });
});

describe("what a sandbox lets in", () => {
  let sandbox: Sandbox;
  beforeAll(async () => {
    sandbox = await startSandbox();
    return () => sandbox.close();
  });

  test("is no request under another name than one of loopback, at any of its ports", async () => {
    const { oidc, fulcio, ctlog, rekor2, rekor1, tsa, page } = sandbox.urls;
    for (const url of [oidc, fulcio, ctlog, rekor2, rekor1, tsa, page]) {
      const sent = request(url, { headers: { host: "rebound.example" }, agent: false }).end();
      const [response] = (await once(sent, "response")) as [{ statusCode: number; resume(): void }];
      response.resume();
      expect([url, response.statusCode]).toEqual([url, 421]);
    }
  });

  test("is answered also where the service refuses it unread", async () => {
    const { rekor1, rekor2, fulcio, tsa } = sandbox.urls;
    for (const [url, status] of [
      [`${rekor1}/api/v1/log/entries`, 415],
      [`${rekor2}/api/v2/log/entries`, 400],
      [`${fulcio}/api/v2/signingCert`, 400],
      [tsa, 415],
    ] as const) {
      const init = { method: "POST", headers: { "content-type": "text/plain" }, body: "{}" };
      const response = await fetch(url, { ...init, signal: AbortSignal.timeout(20_000) });
      await response.text();
      expect([url, response.status]).toEqual([url, status]);
    }
  });

  test("is remembered without tokens", async () => {
    sandbox.clearRequests();
    const token = await (await fetch(`${sandbox.urls.oidc}/token?email=secret@example.com`)).text();
    await sign(ARTIFACT, { ...(await optionsFor(sandbox)), signer: { kind: "keyless", identityToken: token } });
    await expect.poll(() => sandbox.requests.map(({ path }) => path)).toContain("/api/v2/log/entries");
    expect(sandbox.requests.map(({ service }) => service)).toEqual(
      expect.arrayContaining(["oidc", "fulcio", "tsa", "rekor2"]),
    );
    const all = JSON.stringify(sandbox.requests);
    expect(all).not.toContain(token.slice(0, 20));
    expect(all).not.toContain("secret");
  });

  const setFault = async (
    headers: Record<string, string>,
    body: unknown,
    method = "POST",
    path = "",
  ): Promise<Response> =>
    await fetch(`${sandbox.urls.page}/faults${path}`, {
      method,
      headers,
      ...(method === "POST" && { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
  const JSON_TYPE = { "content-type": "application/json" };
  const FAULT = { service: "tsa", kind: "503", requests: 3, path: "/nowhere" };

  test("is a fault, from a program", async () => {
    const response = await setFault(JSON_TYPE, FAULT);
    expect([response.status, await response.json()]).toEqual([200, { faults: [FAULT] }]);
    expect(sandbox.faults).toEqual([FAULT]);
    expect(await (await fetch(`${sandbox.urls.page}/faults`)).json()).toEqual({ faults: [FAULT] });
    expect((await setFault({}, undefined, "DELETE", "/nobody")).status).toBe(404);
    expect((await setFault({}, undefined, "DELETE", "/tsa")).status).toBe(200);
    expect(sandbox.faults).toEqual([]);
  });

  test.for([
    ["of another type", { "content-type": "text/plain" }, FAULT, 415],
    ["from a page elsewhere", { ...JSON_TYPE, origin: "https://evil.example" }, FAULT, 403],
    ["from a page without an origin", { ...JSON_TYPE, origin: "null" }, FAULT, 403],
    ["that is no JSON", JSON_TYPE, "{", 400],
    ["with an unknown field", JSON_TYPE, { ...FAULT, more: 1 }, 400],
    ["of an unknown service", JSON_TYPE, { ...FAULT, service: "nobody" }, 400],
    ["of an unknown kind", JSON_TYPE, { ...FAULT, kind: "none" }, 400],
    ["that is too large", JSON_TYPE, { ...FAULT, path: `/${"x".repeat(20_000)}` }, 413],
  ] as const)("is no fault %s", async ([, headers, body, status]) => {
    expect((await setFault(headers, body)).status).toBe(status);
    expect(sandbox.faults).toEqual([]);
  });

  test("is no end of faults from a page elsewhere", async () => {
    expect((await setFault({ origin: "https://evil.example" }, undefined, "DELETE")).status).toBe(403);
  });
});

describe("the page of a sandbox", () => {
  let sandbox: Sandbox;
  beforeAll(async () => {
    sandbox = await startSandbox();
    return () => sandbox.close();
  });
  const get = async (path: string): Promise<string> => await (await fetch(`${sandbox.urls.oidc}${path}`)).text();

  interface State {
    readonly entries: readonly { readonly bundle?: string; readonly kind: string; readonly signer: string }[];
  }
  const state = async (): Promise<State> => JSON.parse(await get("/sandbox/state.json")) as State;

  test.for([1, 2] as const)("gives the bundle of an entry of Rekor v%i, which verifies", async (rekorVersion) => {
    await signIn(sandbox, rekorVersion);
    const [latest] = (await state()).entries;
    expect(latest?.signer).toBe(ALICE);
    expect(await verifyUnder(sandbox.trustedRoot, sandbox.urls.oidc, await get(latest?.bundle ?? ""))).toBeDefined();
    expect(await get("/sandbox")).toContain(`href="${latest?.bundle ?? ""}"`);
  });

  test("gives the bundle of an attestation that Rekor v1 was sent", async () => {
    const digest = {
      algorithm: "sha256",
      value: new Uint8Array(Buffer.from(await crypto.subtle.digest("SHA-256", ARTIFACT))),
    } as const;
    const statement = {
      predicateType: "https://example.com/p",
      predicate: "{}",
      subjects: [{ name: "artifact", digests: [digest] as const }] as const,
    };
    await attest(statement, await optionsFor(sandbox, 1));
    const [latest] = (await state()).entries;
    expect(latest?.kind).toBe("dsse");
    expect(await verifyUnder(sandbox.trustedRoot, sandbox.urls.oidc, await get(latest?.bundle ?? ""))).toBeDefined();
  });

  test.for(["rekor2-", `rekor2-${"0".repeat(64)}`, "../../state", "%2e%2e%2fstate"])(
    "gives no bundle for %s",
    async (name) => {
      expect((await fetch(`${sandbox.urls.page}/bundle/${name}.sigstore.json`)).status).toBe(404);
    },
  );

  test("comes without scripts, and lets nothing in from elsewhere", async () => {
    const response = await fetch(sandbox.urls.page);
    const policy = response.headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain("script-src");
    const html = await response.text();
    expect(html).not.toMatch(/<script|<img|<link|@import|url\(|javascript:| on[a-z]+=|style="/i);
    expect(html).not.toMatch(/(?:src|href)="(?!\/sandbox)/);
    const [, style = ""] = /<style>([^<]*)<\/style>/.exec(html) ?? [];
    const hash = Buffer.from(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(style))).toString("base64");
    expect(policy).toContain(`style-src 'sha256-${hash}'`);
    expect(response.headers.get("access-control-allow-origin")).toBeNull();
  });

  test("shows what others wrote as text", async () => {
    const evil = `"<script>alert(1)</script>&'"`;
    await fetch(`${sandbox.urls.rekor1}/api/v1/${encodeURIComponent(evil)}`);
    sandbox.setFault("tsa", { kind: "500", path: `/${evil}\u202e` });
    const html = await get("/sandbox");
    expect(html).toContain("&quot;&lt;script&gt;alert(1)&lt;/script&gt;&amp;&#39;&quot;");
    expect(html).not.toContain("<script");
    expect(html).toContain(String.raw`\u202e`);
    sandbox.clearFaults();
  });

  test("says when nothing goes wrong, and stops renewing itself when asked", async () => {
    expect(await get("/sandbox")).toContain('http-equiv="refresh"');
    const still = await get("/sandbox?refresh=off");
    expect(still).not.toContain('http-equiv="refresh"');
    expect(still).toContain("None: everything tells the truth, in time.");
  });
});
