import { chmodSync, lstatSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startSandbox, type Sandbox } from "../../../src/sandbox/sandbox.ts";
import { temporaryFolder } from "../../support/cli.ts";
import { runInProcess, type Run } from "../../support/program.ts";

let sandbox: Sandbox;
let open: Sandbox;
let host: string;
let folder: string;
beforeAll(async () => {
  sandbox = await startSandbox({ registry: { always: ["private-token-auth"] } });
  open = await startSandbox();
  host = new URL(sandbox.urls.registry).host;
}, 60_000);
afterAll(async () => {
  await sandbox.close();
  await open.close();
});
beforeEach(() => {
  folder = temporaryFolder();
});

const config = (): string => join(folder, "config.json");
const read = (): unknown => JSON.parse(readFileSync(config(), "utf8"));
const basic = (text: string): string => Buffer.from(text).toString("base64");

async function* typed(text: string): AsyncGenerator<Uint8Array> {
  yield new TextEncoder().encode(text);
}

const run = (args: readonly string[], stdin = "", environment: Record<string, string> = {}): Promise<Run> =>
  runInProcess(args, {
    fetch: (url, init) => fetch(url, init),
    stdin: typed(stdin),
    environment: { DOCKER_CONFIG: folder, COSIGN_PASSWORD: "of a key", ...environment },
  });
const login = (password: string, ...more: string[]): Promise<Run> =>
  run(["login", host, "--username", "sandbox", "--password-stdin", ...more], password);

/** A helper that keeps what it is told in a file. */
function makeHelper(name: string): { readonly path: string; readonly kept: () => string } {
  const bin = join(folder, "bin");
  mkdirSync(bin, { recursive: true });
  const kept = join(folder, "kept");
  writeFileSync(
    join(bin, `docker-credential-${name}`),
    `#!/bin/sh\ncase $1 in store) cat > '${kept}';; erase) cat > '${kept}.erased'; rm '${kept}';; get) cat > /dev/null; cat '${kept}';; esac\n`,
  );
  chmodSync(join(bin, `docker-credential-${name}`), 0o755);
  return { path: `${bin}:${process.env["PATH"] ?? ""}`, kept: () => readFileSync(kept, "utf8") };
}

describe("login", () => {
  test("keeps what the registry lets in, where docker and its like read it", async () => {
    const { status, stderr } = await login("sandbox\n");
    expect([status, stderr]).toEqual([0, expect.stringContaining(`Logged in to ${host}`)]);
    expect(stderr).toContain("WARNING: the password is kept in");
    // docker, cli/config/configfile: base64 of name, colon, password
    expect(read()).toEqual({ auths: { [host]: { auth: basic("sandbox:sandbox") } } });
    expect(statSync(config()).mode & 0o777).toBe(0o600);
    expect(await run(["tree", `${host}/app:v1`])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("IMAGE_NOT_FOUND") as string,
    });
  });

  test.for([
    ["a wrong password", "wrong", "REGISTRY_UNAUTHORIZED"],
    ["an empty password", "\n", "USAGE_INVALID"],
    ["no password", "", "KEY_PASSWORD_MISSING"],
  ] as const)("keeps nothing for %s", async ([, password, code]) => {
    const { status, stderr } = await login(password);
    expect(status).toBe(1);
    expect(stderr).toContain(`[${code}]`);
    expect(() => statSync(config())).toThrow("ENOENT");
    expect(stderr).not.toContain("wrong]");
  });

  test("leaves everything else in the file as it was, and its mode, and a link to it", async () => {
    const real = join(folder, "real.json");
    writeFileSync(real, JSON.stringify({ auths: { "other.example": { auth: basic("a:b") } }, psFormat: "x" }), {
      mode: 0o640,
    });
    chmodSync(real, 0o640);
    symlinkSync(real, config());
    expect((await login("sandbox")).status).toBe(0);
    expect(read()).toEqual({
      auths: { "other.example": { auth: basic("a:b") }, [host]: { auth: basic("sandbox:sandbox") } },
      psFormat: "x",
    });
    expect(lstatSync(config()).isSymbolicLink()).toBe(true);
    expect(statSync(real).mode & 0o777).toBe(0o640);
  });

  test("touches no file that it cannot read", async () => {
    writeFileSync(config(), '{"auths":');
    const { status, stderr } = await login("sandbox");
    expect([status, stderr.includes("[DOCKER_CONFIG_MALFORMED]")]).toEqual([1, true]);
    expect(readFileSync(config(), "utf8")).toBe('{"auths":');
  });

  test.for([
    ["credsStore", (name: string) => ({ credsStore: name })],
    ["credHelpers", (name: string) => ({ credHelpers: { [host]: name } })],
  ] as const)("gives the password to the helper that %s names", async ([, make]) => {
    const { path, kept } = makeHelper("test");
    writeFileSync(config(), JSON.stringify(make("test")));
    const run1 = await run(["login", host, "-u", "sandbox", "--password-stdin"], "sandbox", { PATH: path });
    expect(run1).toMatchObject({ status: 0, stderr: expect.stringContaining("kept by test") as string });
    expect(run1.stderr).not.toContain("WARNING");
    expect(JSON.parse(kept())).toEqual({ ServerURL: host, Username: "sandbox", Secret: "sandbox" });
    expect(read()).toEqual(make("test"));
    // What is asked for afterwards is allowed.
    const tree = await run(["tree", `${host}/app:v1`], "", { PATH: path });
    expect(tree.stderr).toContain("[IMAGE_NOT_FOUND]");
    expect((await run(["logout", host], "", { PATH: path })).status).toBe(0);
    expect(() => kept()).toThrow("ENOENT");
  });

  test("warns of a password that others see, and of a registry that asks nobody", async () => {
    const openHost = new URL(open.urls.registry).host;
    const { status, stderr } = await run(["login", openHost, "-u", "a", "-p", "b"]);
    expect(status).toBe(0);
    expect(stderr).toContain("seen by whoever lists processes");
    expect(stderr).toContain("asked nobody who they are");
  });

  test("writes JSON where that is asked for, refusals too", async () => {
    const { stdout } = await login("sandbox", "--output", "json");
    expect(JSON.parse(stdout)).toEqual({
      version: 1,
      verdict: "logged-in",
      registry: host,
      username: "sandbox",
      path: config(),
      wasAsked: true,
    });
    const refused = await login("wrong", "--output", "json");
    expect(JSON.parse(refused.stdout)).toMatchObject({ verdict: "refused", error: { code: "REGISTRY_UNAUTHORIZED" } });
    expect(refused.stdout + refused.stderr).not.toContain(basic("sandbox:wrong"));
  });

  test.for([
    ["no name", ["login", "registry.example"]],
    ["a password twice", ["login", "registry.example", "-u", "a", "-p", "b", "--password-stdin"]],
    ["no terminal and no password", ["login", "registry.example", "-u", "a"]],
  ] as const)("refuses %s", async ([, args]) => {
    expect((await run(args)).stderr).toContain("[USAGE_INVALID]");
  });

  test.for(["http://registry.example", "registry.example/app", "regi stry", "registry.example:99999", ""])(
    "refuses %j for a registry",
    async (server) => {
      expect((await run(["login", server, "-u", "a", "--password-stdin"], "b")).stderr).toContain(
        "[REFERENCE_MALFORMED]",
      );
    },
  );
});

describe("logout", () => {
  test("forgets a registry under whatever name it stands in the file, and no other", async () => {
    const entry = { auth: basic("a:b") };
    writeFileSync(
      config(),
      JSON.stringify({ auths: { [host]: entry, [`https://${host}/v2/`]: entry, "other.example": entry }, x: 1 }),
    );
    expect(await run(["logout", `https://${host}/`])).toMatchObject({ status: 0 });
    expect(read()).toEqual({ auths: { "other.example": entry }, x: 1 });
    const { stdout } = await run(["logout", host, "--output", "json"]);
    expect(JSON.parse(stdout)).toEqual({ version: 1, verdict: "logged-out", registry: host, wasLoggedIn: false });
  });

  test("knows the name of Docker Hub in the file", async () => {
    writeFileSync(config(), JSON.stringify({ auths: { "https://index.docker.io/v1/": { auth: basic("a:b") } } }));
    expect((await run(["logout"])).status).toBe(0);
    expect(read()).toEqual({ auths: {} });
  });
});
