import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Context } from "../../../src/cli/context.ts";
import type { Fetch } from "../../../src/http/request.ts";
import { manifestOf, OCI_MANIFEST } from "../../sandbox/registry/client.ts";
import { runInProcess, type Run } from "../../support/program.ts";
import { listen, type Answerer, type ListeningServer } from "../../support/registry-servers.ts";
import { startTlsRegistry, type TlsRegistry } from "../../support/tls-registry.ts";

const folder = mkdtempSync(join(tmpdir(), "cosign-ts-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const write = (name: string, content: string): string => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};

const giveManifest: Answerer = (_seen, response) =>
  void response.writeHead(200, { "content-type": OCI_MANIFEST }).end(manifestOf());
const basic = (text: string): string => `Basic ${Buffer.from(text).toString("base64")}`;

/** Finds out the digest of a tag, which every command does that is about an image. */
const run = (image: string, args: readonly string[] = [], surroundings: Partial<Context> = {}): Promise<Run> =>
  runInProcess(["triangulate", "--type=digest", ...args, image], {
    fetch: (url, init) => fetch(url, init),
    ...surroundings,
  });
const outcomeOf = ({ status, stderr }: Run): string =>
  status === 0 ? "ok" : (/\[([A-Z_]+)\]\n$/.exec(stderr)?.[1] ?? stderr);

/** A registry that lets in who has this header. */
const guarded = (header: string, challenge: string): Promise<ListeningServer> =>
  listen((seen, response) => {
    if (seen.authorization === header) return giveManifest(seen, response);
    response.writeHead(401, { "www-authenticate": challenge }).end();
  });

describe("credentials", () => {
  test("--registry-username and --registry-password are told a registry that asks, and before docker's configuration", async () => {
    const { host } = await guarded(basic("alice:s3"), "Basic realm=x");
    const config = JSON.stringify({ auths: { [host]: { auth: Buffer.from("bob:x").toString("base64") } } });
    writeFileSync(join(folder, "config.json"), config);
    const environment = { DOCKER_CONFIG: folder };
    expect(outcomeOf(await run(`${host}/app:v1`))).toBe("REGISTRY_UNAUTHORIZED");
    expect(outcomeOf(await run(`${host}/app:v1`, [], { environment }))).toBe("REGISTRY_UNAUTHORIZED");
    const flags = ["--registry-username", "alice", "--registry-password", "s3"];
    expect(outcomeOf(await run(`${host}/app:v1`, flags, { environment }))).toBe("ok");
    // As in cosign, a name goes before a token.
    expect(outcomeOf(await run(`${host}/app:v1`, [...flags, "--registry-token", "t"]))).toBe("ok");
    const wrong = await run(`${host}/app:v1`, ["--registry-username", "alice", "--registry-password", "s4"]);
    expect([outcomeOf(wrong), wrong.stderr.includes("s4")]).toEqual(["REGISTRY_UNAUTHORIZED", false]);
  });

  test("without them, docker's configuration says who asks", async () => {
    const { host } = await guarded(basic("alice:s3"), "Basic realm=x");
    const auth = Buffer.from("alice:s3").toString("base64");
    writeFileSync(join(folder, "config.json"), JSON.stringify({ auths: { [host]: { auth } } }));
    expect(outcomeOf(await run(`${host}/app:v1`, [], { environment: { DOCKER_CONFIG: folder } }))).toBe("ok");
  });

  test("--registry-username and --registry-password need each other", async () => {
    for (const one of [
      ["--registry-username", "a"],
      ["--registry-password", "b"],
    ])
      expect(outcomeOf(await run("127.0.0.1:1/app:v1", one))).toBe("USAGE_INVALID");
  });

  test("--registry-token is sent as it is", async () => {
    const { host } = await guarded("Bearer t0", "Bearer realm=x");
    expect(outcomeOf(await run(`${host}/app:v1`, ["--registry-token", "t0"]))).toBe("ok");
    expect(outcomeOf(await run(`${host}/app:v1`, ["--registry-token", "t1"]))).toBe("REGISTRY_UNAUTHORIZED");
  });

  test("--registry-realm-host names a token service that may be told who asks", async () => {
    const tokens = await listen((_seen, response) => void response.end('{"token":"t0"}'));
    // Over TLS, as a service on another host must be reached; the name leads to this machine.
    const reached: Fetch = (url, init) => fetch(url.replace("https://auth.test", `http://${tokens.host}`), init);
    const { host, seen } = await guarded("Bearer t0", 'Bearer realm="https://auth.test/token"');
    const flags = ["--registry-username", "alice", "--registry-password", "s3"];
    expect(outcomeOf(await run(`${host}/app:v1`, flags, { fetch: reached }))).toBe("REGISTRY_REALM_REFUSED");
    expect(tokens.seen).toEqual([]);
    const allowed = [...flags, "--registry-realm-host", "other.test", "--registry-realm-host", "auth.test"];
    expect(outcomeOf(await run(`${host}/app:v1`, allowed, { fetch: reached }))).toBe("ok");
    expect(tokens.seen.map(({ authorization }) => authorization)).toEqual([basic("alice:s3")]);
    expect(new Set(seen.map(({ authorization }) => authorization))).toEqual(new Set([undefined, "Bearer t0"]));
  });

  test("--k8s-keychain is refused, with the way out", async () => {
    const one = await run("127.0.0.1:1/app:v1", ["--k8s-keychain"]);
    expect([outcomeOf(one), one.stderr.includes("credHelpers")]).toEqual(["USAGE_INVALID", true]);
  });

  test.for<readonly [string, readonly string[], Readonly<Record<string, string>>]>([
    ["copy", ["copy", "@a/app:v1", "@b/app:v1"], {}],
    ["verify", ["verify", "--key=k", "@a/app:v1", "@b/app:v1"], {}],
    ["COSIGN_REPOSITORY", ["tree", "@a/app:v1"], { COSIGN_REPOSITORY: "@b/signatures" }],
  ])("those of one registry are told no other: %s", async ([, args, variables]) => {
    const [a, b] = [await listen(giveManifest), await listen(giveManifest)];
    const place = (text: string): string => text.replace("@a", a.host).replace("@b", b.host);
    const environment = Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, place(value)]));
    const surroundings: Partial<Context> = { environment, fetch: (url, init) => fetch(url, init) };
    const key = write(
      "key.pub",
      "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEIXn7y2V7kzBpXWvM0kxRMDSKaIyX\n8SFl1sFWLXKSvaCQJ7zI1pXdbvFRqgYFnPCOJNRFxJrYOSXVsFGtfNJlzA==\n-----END PUBLIC KEY-----\n",
    );
    const words = args.map((word) => (word === "--key=k" ? `--key=${key}` : place(word)));
    for (const flags of [
      ["--registry-token", "t"],
      ["--registry-username", "a", "--registry-password", "b"],
    ]) {
      const one = await runInProcess([...words, ...flags], surroundings);
      expect([one.status, one.stderr]).toEqual([1, expect.stringContaining(`is for one registry, and this is about`)]);
    }
    expect([...a.seen, ...b.seen]).toEqual([]);
  });
});

describe("connections", () => {
  let plain: string;
  let tls: TlsRegistry;
  let known: TlsRegistry;
  beforeAll(async () => {
    const { createServer } = await import("node:http");
    const server = createServer((_request, response) => void giveManifest({} as never, response)).listen(
      0,
      "127.0.0.1",
    );
    await once(server, "listening");
    plain = `127.0.0.1:${(server.address() as { port: number }).port}`;
    tls = await startTlsRegistry(plain);
    known = await startTlsRegistry(plain, { wantsClient: true });
    return () => {
      tls.close();
      known.close();
      server.closeAllConnections();
      server.close();
    };
  });

  test("--allow-http-registry reaches one that has no TLS", async () => {
    // Another host than this machine, of which it is expected.
    const reached: Fetch = (url, init) => fetch(url.replace("registry.test", plain), init);
    expect(outcomeOf(await run("registry.test/app:v1", [], { fetch: reached }))).toBe("HTTP_REQUEST_FAILED");
    expect(outcomeOf(await run("registry.test/app:v1", ["--allow-http-registry"], { fetch: reached }))).toBe("ok");
  });

  test("--allow-insecure-registry takes any certificate, with a warning", async () => {
    expect(outcomeOf(await run(`${tls.host}/app:v1`))).toBe("HTTP_REQUEST_FAILED");
    const { status, stderr } = await run(`${tls.host}/app:v1`, ["--allow-insecure-registry"]);
    expect([status, stderr]).toEqual([0, expect.stringMatching(/^WARNING: Taking any certificate/)]);
  });

  test("--registry-cacert names whose certificates are good, --registry-server-name for whom", async () => {
    const ca = ["--registry-cacert", write("ca.pem", tls.authority)];
    expect(outcomeOf(await run(`${tls.host}/app:v1`, ca))).toBe("ok");
    const other = ["--registry-cacert", write("other.pem", known.authority)];
    expect(outcomeOf(await run(`${tls.host}/app:v1`, other))).toBe("HTTP_REQUEST_FAILED");
    expect(outcomeOf(await run(`${tls.host}/app:v1`, [...ca, "--registry-server-name=registry.test"]))).toBe("ok");
    const named = [...ca, "--registry-server-name=other.test"];
    expect(outcomeOf(await run(`${tls.host}/app:v1`, named))).toBe("HTTP_REQUEST_FAILED");
  });

  test("--registry-client-cert and --registry-client-key say who the client is", async () => {
    const ca = ["--registry-cacert", write("ca.pem", known.authority)];
    const certificate = ["--registry-client-cert", write("client.pem", known.client.certificate)];
    const key = ["--registry-client-key", write("client.key", known.client.key)];
    expect(outcomeOf(await run(`${known.host}/app:v1`, ca))).toBe("HTTP_REQUEST_FAILED");
    expect(outcomeOf(await run(`${known.host}/app:v1`, [...ca, ...certificate, ...key]))).toBe("ok");
    const stranger = ["--registry-client-cert", write("stranger.pem", tls.client.certificate)];
    const own = ["--registry-client-key", write("stranger.key", tls.client.key)];
    expect(outcomeOf(await run(`${known.host}/app:v1`, [...ca, ...stranger, ...own]))).toBe("HTTP_REQUEST_FAILED");
    for (const one of [certificate, key, [...certificate, ...own]])
      expect(outcomeOf(await run(`${known.host}/app:v1`, [...ca, ...one]))).toBe("USAGE_INVALID");
  });

  test.for(["--registry-cacert", "--registry-client-cert", "--registry-client-key"])(
    "%s must be a file in PEM",
    async (flag) => {
      expect(outcomeOf(await run(`${tls.host}/app:v1`, [flag, join(folder, "missing")]))).toBe("FILE_NOT_FOUND");
      const bytes = join(folder, "bytes");
      writeFileSync(bytes, new Uint8Array([0xff, 0xfe, 0x00]));
      expect(outcomeOf(await run(`${tls.host}/app:v1`, [flag, bytes]))).toBe("USAGE_INVALID");
      const one = await run(`${tls.host}/app:v1`, [flag, write("text", "secret")]);
      expect([one.status, one.stderr.includes("secret")]).toEqual([1, false]);
    },
  );

  test.for(["", "10", "1.5 MiB", "2gb", "0", "-1", "a lot", "1 parsec", "9".repeat(30), "1e3"])(
    "COSIGN_MAX_ATTACHMENT_SIZE=%j is a size, or an error",
    async (size) => {
      const environment = { COSIGN_MAX_ATTACHMENT_SIZE: size };
      const isSize = ["", "10", "1.5 MiB", "2gb"].includes(size);
      const one = await runInProcess(["download", "signature", `${plain}/app:v1`], {
        fetch: (url, init) => fetch(url, init),
        environment,
      });
      expect(one.stderr.includes("COSIGN_MAX_ATTACHMENT_SIZE")).toBe(!isSize);
    },
  );

  test("a malformed reference is told before anything is asked for", async () => {
    const refuse: Fetch = () => Promise.reject(new Error("a test opened a socket"));
    const one = await runInProcess(["copy", `${plain}/app:v1`, "Nowhere/App"], { fetch: refuse });
    expect(outcomeOf(one)).toBe("REFERENCE_MALFORMED");
    const environment = { COSIGN_REPOSITORY: "::" };
    expect(outcomeOf(await run(`${plain}/app:v1`, [], { fetch: refuse, environment }))).toBe("REFERENCE_MALFORMED");
  });
});
