import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { fetchFor } from "../../src/http/fetch.ts";
import type { Fetch } from "../../src/http/request.ts";
import { generateKeyPair } from "../../src/keys/generate.ts";
import { startSandbox, type Sandbox } from "../../src/sandbox/sandbox.ts";
import { temporaryFolderOfFile } from "./support/world.ts";
import { outcomeOfRun, runCommand } from "./support/command-line.ts";
import { Secrets, type SecretKind } from "./support/secrets.ts";

const PASSWORD = "key password 5f1c";
const CLIENT_SECRET = "client secret 77ab/+";
const JOB_BEARER = "bearer-of-the-job-81d0c2";
const PROXY_PASSWORD = "proxy-password-4410";
const JOB_URL = "https://pipelines.actions.test/idtoken?api-version=2";

const secrets = new Secrets();
const folder = temporaryFolderOfFile();
/** What anybody could read afterwards: streams, files, pages. */
const shown: { readonly name: string; readonly text: string }[] = [];
const outcomes = new Map<string, string>();
let sandbox: Sandbox;

const at = (name: string): string => join(folder, name);
const write = (name: string, text: string): string => {
  writeFileSync(at(name), text);
  return at(name);
};

/** The network, with the server of a job beside it, and with a service that repeats to everybody what it was sent. */
function network(echo?: string): Fetch {
  return secrets.watch(async (url, init) => {
    if (url.startsWith("https://pipelines.actions.test/")) {
      if (echo === "job") return new Response(`no such bearer: ${JOB_BEARER}`, { status: 401 });
      return Response.json({ value: await sandbox.token("github") });
    }
    if (echo !== undefined && url.includes(echo)) {
      const said = typeof init.body === "string" ? init.body : Buffer.from(init.body as Uint8Array).toString();
      const sent = [said, ...new Headers(init.headers).values()].join(" ");
      return Response.json(
        { error: "invalid_request", error_description: sent, code: 3, message: sent },
        { status: 400 },
      );
    }
    return await fetch(url, init);
  });
}

interface Setting {
  readonly environment?: Readonly<Record<string, string>>;
  readonly fetch?: Fetch;
  /** Logs in on the page whose address is written to standard error. */
  readonly person?: (address: URL) => Promise<void>;
}

async function run(name: string, args: readonly string[], setting: Setting = {}): Promise<void> {
  let stderr = "";
  const { environment = {}, fetch = network(), person } = setting;
  let visited = false;
  const result = await runCommand(["--verbose", ...args], {
    environment: { TUF_ROOT: at("tuf"), ...environment },
    fetch,
    stderr: {
      isTerminal: false,
      write(text) {
        stderr += text;
        const address = /^\s*(http:\/\/127\.0\.0\.1:\d+\/(?:auth|device)\?\S+)/m.exec(text)?.[1];
        if (address === undefined || person === undefined || visited) return;
        visited = true;
        void person(new URL(address));
      },
    },
  });
  outcomes.set(name, outcomeOfRun({ ...result, stderr }));
  shown.push({ name, text: `${result.stdout}\n${stderr}` });
}

/** Fills in the page to log in, and goes where it sends a browser. */
async function logIn(address: URL): Promise<void> {
  const page = await (await fetch(address)).text();
  const login = /name="login" value="(?<login>[^"]+)"/.exec(page)?.groups?.["login"] ?? "";
  const form = new URLSearchParams({ login, email: "alice@example.com", action: "login" });
  const answer = await fetch(new URL("/auth", address), { method: "POST", body: form, redirect: "manual" });
  await fetch(answer.headers.get("location") ?? "");
}

async function keep(url: string): Promise<void> {
  const response = await fetch(url, { headers: { accept: "application/json, text/html" } });
  expect(response.status).toBe(200);
  shown.push({ name: url, text: await response.text() });
}

const filesBelow = (directory: string): readonly string[] =>
  readdirSync(directory, { recursive: true, encoding: "utf8" })
    .map((name) => join(directory, name))
    .filter((path) => statSync(path).isFile());

beforeAll(async () => {
  const errors: unknown[] = [];
  const requests: unknown[] = [];
  sandbox = await startSandbox({
    directory: at("sandbox"),
    onError: (error) => errors.push(error),
    onRequest: (request) => requests.push(request),
  });
  const { privateKeyPem } = await generateKeyPair({ password: () => Promise.resolve(Buffer.from(PASSWORD)) });
  const plainKey = await crypto.subtle.exportKey(
    "pkcs8",
    (await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign"])).privateKey,
  );
  const plainPem = `-----BEGIN PRIVATE KEY-----\n${Buffer.from(plainKey)
    .toString("base64")
    .replace(/(.{64})/g, "$1\n")}\n-----END PRIVATE KEY-----\n`;
  for (const [kind, value] of [
    ["key password", PASSWORD],
    ["client secret", CLIENT_SECRET],
    ["bearer of the job", JOB_BEARER],
    ["proxy password", PROXY_PASSWORD],
    ["private key", privateKeyPem],
    ["private key", plainPem],
  ] as const)
    secrets.add(kind, value);

  mkdirSync(at("secret"));
  const token = await sandbox.token();
  const expired = await sandbox.token("email", { exp: Math.floor(Date.now() / 1000) - 60 });
  const otherAudience = await sandbox.token("email", { aud: "somebody-else" });
  sandbox.setFault("oidc", { kind: "wrong-key" });
  const foreign = await sandbox.token();
  sandbox.clearFaults();
  for (const one of [token, expired, otherAudience, foreign]) secrets.add("identity token", one);
  const [tokenFile, keyFile] = [write("secret/token", token), write("secret/cosign.key", privateKeyPem)];
  const secretFile = write("secret/client", CLIENT_SECRET);

  const { paths, urls } = sandbox;
  const files = [
    "--yes",
    "-o",
    "json",
    "--signing-config",
    paths.signingConfigRekor1,
    "--trusted-root",
    paths.trustedRoot,
  ];
  const signBlob = ["sign-blob", ...files, "--bundle", at("bundle.json"), write("app", "app\n")];
  const attestBlob = ["attest-blob", ...files, "--bundle", at("attestation.json"), "--type", "custom"];
  const predicate = ["--predicate", write("predicate.json", "{}"), at("app")];
  const withKey = { environment: { COSIGN_PASSWORD: PASSWORD } };
  const state = ["--resume-state", at("state.json")];
  const byToken = ["--identity-token", tokenFile];

  await run("token from a file", [...signBlob, ...byToken]);
  await run("token on the command line", [...attestBlob, "--identity-token", token, ...predicate]);
  await run("token in the environment", signBlob, { environment: { SIGSTORE_ID_TOKEN: token } });
  await run("explained", [...signBlob, "--explain", ...byToken]);
  await run("expired", [...signBlob, "--identity-token", expired]);
  await run("other audience", [...signBlob, "--identity-token", otherAudience]);
  await run("refused by Fulcio", [...signBlob, "--identity-token", foreign]);
  await run("malformed", [...signBlob, "--identity-token", `${token}.${token}`]);
  await run("Fulcio repeats what it was sent", [...signBlob, ...byToken], { fetch: network("/signingCert") });
  await run("the log repeats what it was sent", [...signBlob, ...byToken], { fetch: network("/log/entries") });
  sandbox.setFault("rekor1", { kind: "429", argument: "86400" });
  await run("interrupted", [...signBlob, ...byToken, ...state]);
  shown.push({ name: "state file", text: readFileSync(at("state.json"), "utf8") });
  await run("state of another signer", [...signBlob, "--key", keyFile, ...state], withKey);
  sandbox.clearFaults();
  await run("resumed", [...signBlob, ...byToken, ...state]);

  await run("key", [...signBlob, "--key", keyFile], withKey);
  await run("key, statement", [...attestBlob, "--key", keyFile, ...predicate], withKey);
  await run("wrong password", [...signBlob, "--key", keyFile], { environment: { COSIGN_PASSWORD: `${PASSWORD}!` } });
  await run("key in the environment", [...signBlob, "--key", "env://KEY"], {
    environment: { ...withKey.environment, KEY: privateKeyPem },
  });
  await run("plain key", [...signBlob, "--key", "env://KEY"], {
    environment: { ...withKey.environment, KEY: plainPem },
  });
  await run(
    "damaged key",
    [...signBlob, "--key", write("secret/bad.key", privateKeyPem.replace("\n", "\n!"))],
    withKey,
  );
  await run("key for a token", [...signBlob, "--identity-token", keyFile]);
  await run("token for a key", [...signBlob, "--key", tokenFile], withKey);
  await run("public key", ["public-key", "--key", keyFile], withKey);
  await run(
    "import",
    ["import-key-pair", "--key", write("secret/plain.pem", plainPem), "--output-key-prefix", at("secret/imported")],
    withKey,
  );
  await run("environment shown", ["env"], { environment: { ...withKey.environment, SIGSTORE_ID_TOKEN: token } });

  const job = { ACTIONS_ID_TOKEN_REQUEST_URL: JOB_URL, ACTIONS_ID_TOKEN_REQUEST_TOKEN: JOB_BEARER };
  await run("job", signBlob, { environment: { GITHUB_ACTIONS: "true", ...job } });
  await run("job, refused", signBlob, { environment: { GITHUB_ACTIONS: "true", ...job }, fetch: network("job") });

  const proxied = { http_proxy: `http://proxy-user:${PROXY_PASSWORD}@127.0.0.1:1`, no_proxy: "" };
  await run("proxy", [...signBlob, ...byToken, "--timeout", "100ms"], {
    environment: proxied,
    fetch: fetchFor(proxied),
  });

  const client = [...signBlob, "--fulcio-auth-flow", "client_credentials", "--oidc-client-secret-file", secretFile];
  await run("client", client);
  await run("client, repeated", client, { fetch: network("/token") });
  const browser = [...signBlob, "--fulcio-auth-flow", "normal", "--oidc-client-secret-file", secretFile];
  await run("browser", browser, { person: logIn });
  await run("browser, refused", browser, { person: logIn, fetch: network("/token") });
  sandbox.setFault("oidc", { kind: "other-nonce" });
  await run("browser, of another login", browser, { person: logIn });
  sandbox.clearFaults();
  const device = [...signBlob, "--fulcio-auth-flow", "device"];
  await run("device, refused", device, { fetch: network("/token") });

  await keep(urls.page);
  await keep(`${urls.page}/state.json`);
  await keep(`${urls.page}/faults`);
  shown.push({ name: "requests", text: JSON.stringify([requests, sandbox.requests]) });
  shown.push({ name: "mistakes of the sandbox", text: errors.map(String).join("\n") });
  for (const path of filesBelow(at("sandbox"))) shown.push({ name: path, text: readFileSync(path, "latin1") });
  for (const path of filesBelow(folder).filter((one) => !/\/(secret|sandbox)\//.test(one)))
    shown.push({ name: path, text: readFileSync(path, "latin1") });
}, 120_000);
afterAll(() => sandbox.close());

const EVERY_KIND: readonly SecretKind[] = [
  "access token",
  "authorization code",
  "bearer of the job",
  "client secret",
  "device code",
  "identity token",
  "key password",
  "PKCE verifier",
  "private key",
  "proxy password",
];

describe("what a run of everything shows and keeps", () => {
  test("comes of runs that ended as they were meant to", () => {
    expect(Object.fromEntries(outcomes)).toEqual({
      "Fulcio repeats what it was sent": "FULCIO_REQUEST_REFUSED",
      browser: "status 0",
      "browser, of another login": "LOGIN_FAILED",
      "browser, refused": "OIDC_REQUEST_REFUSED",
      client: "status 0",
      "client, repeated": "OIDC_REQUEST_REFUSED",
      "damaged key": "PEM_MALFORMED",
      "device, refused": "LOGIN_FAILED",
      "environment shown": "status 0",
      expired: "IDENTITY_TOKEN_EXPIRED",
      explained: "status 0",
      import: "status 0",
      interrupted: "HTTP_STATUS_UNEXPECTED",
      job: "status 0",
      "job, refused": "OIDC_REQUEST_REFUSED",
      key: "status 0",
      "key for a token": "IDENTITY_TOKEN_MALFORMED",
      "key in the environment": "status 0",
      "key, statement": "status 0",
      malformed: "IDENTITY_TOKEN_MALFORMED",
      "other audience": "IDENTITY_TOKEN_AUDIENCE_MISMATCH",
      "plain key": "PRIVATE_KEY_MALFORMED",
      proxy: "COMMAND_TIMED_OUT",
      "public key": "status 0",
      "refused by Fulcio": "FULCIO_REQUEST_REFUSED",
      resumed: "status 0",
      "state of another signer": "SIGNING_STATE_MISMATCH",
      "the log repeats what it was sent": "REKOR_REQUEST_REFUSED",
      "token for a key": "PEM_MALFORMED",
      "token from a file": "status 0",
      "token in the environment": "status 0",
      "token on the command line": "status 0",
      "wrong password": "KEY_PASSWORD_WRONG",
    });
  });

  test("holds no secret", () => {
    const found = shown
      .map(({ name, text }) => [name, secrets.findIn(text)] as const)
      .filter(([, kinds]) => kinds.length > 0);
    expect(found).toEqual([]);
    expect(shown.length).toBeGreaterThan(outcomes.size + 20);
  });

  test("is searched for what it could hold, of every kind and in whatever form", () => {
    expect([...secrets.kinds].sort()).toEqual([...EVERY_KIND].sort());
    for (const [value, kind] of secrets.all) {
      const basic = Buffer.from(`somebody:${value}`);
      for (const text of [
        `Error: not accepted: ${value} (400)`,
        JSON.stringify({ nested: [{ text: `{"a":"${value}"}` }] }).replaceAll("\\", ""),
        `http://127.0.0.1/?q=${encodeURIComponent(value)}&r=1`,
        `authorization: Basic ${basic.toString("base64")}`,
        basic.toString("base64url"),
      ])
        expect([kind, secrets.findIn(text)]).toEqual([kind, expect.arrayContaining([kind])]);
    }
    // And it finds nothing in what says nothing.
    expect(secrets.findIn("tlog entry created with index: 1\nWrote bundle to file /tmp/bundle.json")).toEqual([]);
  });

  test("is, of the sandbox's own keys, in files for its owner alone", () => {
    const holding = shown
      .filter(({ text }) => /PRIVATE KEY-----\s+[A-Za-z0-9+/]{20}/.test(text))
      .map(({ name }) => name);
    expect(holding.length).toBeGreaterThan(5);
    for (const path of holding)
      expect([path.startsWith(at("sandbox/state/")), statSync(path).mode & 0o077]).toEqual([true, 0]);
  });
});
