import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import type { RegistryCredentials } from "../../../src/oci/registry/credentials.ts";
import { dockerCredentials, eraseCredentials, storeCredentials } from "../../../src/oci/registry/docker-config.ts";
import { temporaryFolder } from "../../support/cli.ts";
import { refusal } from "../../support/outcome.ts";

const REGISTRY = "registry.example:5000";
const base64 = (text: string): string => Buffer.from(text).toString("base64");
const basic = (username: string, password: string): RegistryCredentials => ({ kind: "basic", username, password });

let folder: string;
let environment: Readonly<Record<string, string>>;
beforeEach(() => {
  folder = temporaryFolder();
  environment = { DOCKER_CONFIG: join(folder, "docker"), PATH: `${folder}:${process.env["PATH"] ?? ""}` };
});

function write(content: unknown, path = join(folder, "docker", "config.json")): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

/** A helper that knows one server, and is called by its name. */
function helper(name: string, server: string): void {
  const path = join(folder, `docker-credential-${name}`);
  const known = `printf '{"Username":"${name}","Secret":"s"}'`;
  const unknown = "echo credentials not found in native keychain; exit 1";
  writeFileSync(path, `#!/bin/sh\nread server\nif [ "$server" = '${server}' ]; then ${known}; else ${unknown}; fi\n`);
  chmodSync(path, 0o755);
}

const find = (registry = REGISTRY): Promise<RegistryCredentials> => dockerCredentials(environment)(registry);

describe("dockerCredentials: entries", () => {
  test.for<readonly [string, object, RegistryCredentials]>([
    ["name and password in base64", { auth: base64("alice:s3:cret") }, basic("alice", "s3:cret")],
    ["the same with the zeros that docker once wrote", { auth: base64("alice:s3\0\0") }, basic("alice", "s3")],
    ["name and password", { username: "alice", password: "s3" }, basic("alice", "s3")],
    [
      "name and password before base64",
      { auth: base64("b:c"), username: "alice", password: "s3" },
      basic("alice", "s3"),
    ],
    ["an identity token", { identitytoken: "t", auth: base64("a:b") }, { kind: "identity-token", identityToken: "t" }],
    ["a token", { registrytoken: "t", identitytoken: "u" }, { kind: "registry-token", registryToken: "t" }],
    ["nothing, where a helper keeps the rest", {}, { kind: "anonymous" }],
    ["what others keep there", { auth: base64("a:b"), email: "x", other: 1 }, basic("a", "b")],
  ])("read %s", async ([, entry, expected]) => {
    write({ auths: { [REGISTRY]: entry } });
    expect(await find()).toEqual(expected);
  });

  test.for([
    REGISTRY,
    `https://${REGISTRY}`,
    `https://${REGISTRY}/v1/`,
    `https://${REGISTRY}/v2/`,
    `http://${REGISTRY}`,
    `https://${REGISTRY}/anything`,
  ])("are found under %s", async (name) => {
    write({ auths: { "other.example": { auth: base64("x:y") }, [name]: { auth: base64("a:b") } } });
    expect(await find()).toEqual(basic("a", "b"));
  });

  test.for([
    "registry.example",
    "registry.example:50000",
    `evil-${REGISTRY}`,
    `${REGISTRY}.evil.test`,
    `evil.test/${REGISTRY}`,
    `https://evil.test/${REGISTRY}`,
    `${REGISTRY}@evil.test`,
    "REGISTRY.EXAMPLE:5000",
  ])("are not those under %s", async (name) => {
    write({ auths: { [name]: { auth: base64("a:b") } } });
    expect(await find()).toEqual({ kind: "anonymous" });
  });

  test("are those of the registry before those of a path in it", async () => {
    write({ auths: { [`${REGISTRY}/team`]: { auth: base64("x:y") }, [REGISTRY]: { auth: base64("a:b") } } });
    expect(await find()).toEqual(basic("a", "b"));
  });

  test.for(["https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io"])(
    "of Docker Hub are found under %s",
    async (name) => {
      write({ auths: { [name]: { auth: base64("a:b") } } });
      expect(await find("index.docker.io")).toEqual(basic("a", "b"));
      expect(await find()).toEqual({ kind: "anonymous" });
    },
  );

  test.for(["%%%", base64("no colon"), base64(":no name"), "//79"])(
    "with %j are malformed, which is told without it",
    async (auth) => {
      write({ auths: { [REGISTRY]: { auth } } });
      const error = await refusal(find());
      expect([error.code, error.message.includes(auth)]).toEqual(["DOCKER_CONFIG_MALFORMED", false]);
    },
  );
});

describe("dockerCredentials: helpers", () => {
  test("that of the registry comes first, then entries; that of all of them comes before entries", async () => {
    helper("own", REGISTRY);
    helper("all", REGISTRY);
    const auths = { [REGISTRY]: { auth: base64("file:s") } };
    write({ auths, credsStore: "all", credHelpers: { [REGISTRY]: "own" } });
    expect(await find()).toEqual(basic("own", "s"));
    write({ auths, credsStore: "all" });
    expect(await find()).toEqual(basic("all", "s"));
    write({ auths, credHelpers: { "other.example": "own" } });
    expect(await find()).toEqual(basic("file", "s"));
  });

  test("one of the registry that knows nothing is believed; one of all of them leaves it to the entries", async () => {
    helper("empty", "nothing.example");
    const auths = { [REGISTRY]: { auth: base64("file:s") } };
    write({ auths, credHelpers: { [REGISTRY]: "empty" } });
    expect(await find()).toEqual({ kind: "anonymous" });
    write({ auths, credsStore: "empty" });
    expect(await find()).toEqual(basic("file", "s"));
  });

  test("is asked for Docker Hub by its old name", async () => {
    helper("hub", "https://index.docker.io/v1/");
    write({ credsStore: "hub" });
    expect(await find("index.docker.io")).toEqual(basic("hub", "s"));
  });

  test("that fails is an error, and not a stranger", async () => {
    write({ credHelpers: { [REGISTRY]: "missing" }, auths: { [REGISTRY]: { auth: base64("a:b") } } });
    expect((await refusal(find())).code).toBe("CREDENTIALS_UNAVAILABLE");
  });
});

describe("dockerCredentials: files", () => {
  const entry = (name: string): object => ({ auths: { [REGISTRY]: { auth: base64(`${name}:s`) } } });

  test("of docker, of REGISTRY_AUTH_FILE, of podman: the first that is there", async () => {
    const home = join(folder, "home");
    environment = {
      HOME: home,
      REGISTRY_AUTH_FILE: join(folder, "auth.json"),
      XDG_RUNTIME_DIR: join(folder, "run"),
    };
    expect(await find()).toEqual({ kind: "anonymous" });
    write(entry("podman"), join(folder, "run", "containers", "auth.json"));
    expect(await find()).toEqual(basic("podman", "s"));
    write(entry("file"), join(folder, "auth.json"));
    expect(await find()).toEqual(basic("file", "s"));
    write(entry("home"), join(home, ".docker", "config.json"));
    expect(await find()).toEqual(basic("home", "s"));
    environment = { ...environment, DOCKER_CONFIG: join(folder, "docker") };
    expect(await find()).toEqual(basic("file", "s"));
    write(entry("docker"));
    expect(await find()).toEqual(basic("docker", "s"));
  });

  test("are read once", async () => {
    const path = write(entry("a"));
    const source = dockerCredentials(environment);
    expect(await source(REGISTRY)).toEqual(basic("a", "s"));
    write(entry("b"), path);
    expect(await source(REGISTRY)).toEqual(basic("a", "s"));
  });

  test.for<readonly [string, string, string]>([
    ["no JSON", "secret", "DOCKER_CONFIG_MALFORMED"],
    ["a list", '["secret"]', "DOCKER_CONFIG_MALFORMED"],
    ["a name twice", '{"auths":{"a":"secret","a":"secret"}}', "JSON_DUPLICATE_KEY"],
    ["entries of another type", '{"auths":["secret"]}', "DOCKER_CONFIG_MALFORMED"],
    ["a helper of another type", `{"credHelpers":{"${REGISTRY}":1}}`, "DOCKER_CONFIG_MALFORMED"],
    ["too much", " ".repeat(5_000_000), "FILE_TOO_LARGE"],
  ])("with %s are an error without what stands there", async ([, content, code]) => {
    write(content);
    const error = await refusal(find());
    expect(error.code).toBe(code);
    expect(JSON.stringify([error.message, error.found, error.cause])).not.toContain("secret");
  });

  test("that are empty say nothing, and a folder or a pipe is none", async () => {
    write("");
    expect(await find()).toEqual({ kind: "anonymous" });
    environment = { DOCKER_CONFIG: join(folder, "other") };
    mkdirSync(join(folder, "other", "config.json"), { recursive: true });
    expect((await refusal(find())).code).toBe("FILE_UNREADABLE");
    environment = { DOCKER_CONFIG: join(folder, "pipe") };
    mkdirSync(join(folder, "pipe"));
    execFileSync("mkfifo", [join(folder, "pipe", "config.json")]);
    expect((await refusal(find())).code).toBe("FILE_UNREADABLE");
  });
});

describe("storeCredentials and eraseCredentials", () => {
  const alice = { username: "alice", password: "s3" };

  test("make the folder, for its owner alone, and know Docker Hub by its old name", async () => {
    expect(await storeCredentials("index.docker.io", alice, environment)).toEqual({
      path: join(folder, "docker", "config.json"),
    });
    expect(JSON.parse(readFileSync(join(folder, "docker", "config.json"), "utf8"))).toEqual({
      auths: { "https://index.docker.io/v1/": { auth: base64("alice:s3") } },
    });
    expect(await find("index.docker.io")).toEqual(basic("alice", "s3"));
    const path = join(folder, "docker", "config.json");
    expect(await eraseCredentials("index.docker.io", environment)).toEqual({ path });
    expect(await find("index.docker.io")).toEqual({ kind: "anonymous" });
    const written = statSync(path).mtimeMs;
    expect(await eraseCredentials("index.docker.io", environment)).toBeUndefined();
    expect(statSync(path).mtimeMs).toBe(written);
  });

  test("need a place", async () => {
    expect((await refusal(storeCredentials(REGISTRY, alice, {}))).code).toBe("USAGE_INVALID");
  });

  test("say what could not be written, and leave what was there", async () => {
    const path = write("{}", join(folder, "file"));
    const blocked = { DOCKER_CONFIG: join(path, "below") };
    expect((await refusal(storeCredentials(REGISTRY, alice, blocked))).code).toBe("WRITE_FAILED");
    expect(readFileSync(path, "utf8")).toBe("{}");
  });
});
