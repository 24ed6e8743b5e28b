import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { once } from "node:events";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

import { generateKeyPair } from "../../src/keys/generate.ts";
import { runProcess, type ProcessRun } from "../support/cli.ts";
import { outcomeOfRun, runCommand } from "./support/command-line.ts";
import { countEntries, startWorld, testFolder, type TestFolder, type World } from "./support/world.ts";

const ALL = process.env["COSIGN_TS_E2E"] === "all";
const PASSWORD = "correct horse battery";

let world: World;
let token: string;
let privateKeyPem: string;
beforeAll(async () => {
  world = await startWorld();
  token = await world.sandbox.token();
  ({ privateKeyPem } = await generateKeyPair({ password: () => Promise.resolve(Buffer.from(PASSWORD)) }));
}, 60_000);
afterEach(() => world.sandbox.clearFaults());
afterAll(() => world.end());

/** A command line that signs, and what a test changes in it. */
interface CommandLine {
  flags: Record<string, string>;
  operands: string[];
  environment: Record<string, string>;
  before?: () => void | Promise<void>;
}

function commandLine(folder: TestFolder): CommandLine {
  const { paths } = world.sandbox;
  writeFileSync(folder.at("app"), "app\n");
  return {
    flags: {
      "identity-token": token,
      "signing-config": paths.signingConfigRekor1,
      "trusted-root": paths.trustedRoot,
      bundle: folder.at("app.json"),
    },
    operands: [folder.at("app")],
    environment: {},
  };
}

const wordsOf = ({ flags, operands }: CommandLine): readonly string[] => [
  "sign-blob",
  "--yes",
  ...Object.entries(flags).map(([name, value]) => `--${name}=${value}`),
  ...operands,
];

function keyed(line: CommandLine, folder: TestFolder, password: string): void {
  delete line.flags["identity-token"];
  writeFileSync(folder.at("key"), privateKeyPem);
  line.flags["key"] = folder.at("key");
  line.environment["COSIGN_PASSWORD"] = password;
}

/** A port that nobody listens on. */
async function closedPort(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return `http://127.0.0.1:${port}`;
}

/** Writes a signing config in which something else stands. */
function configWith(folder: TestFolder, edit: (config: Record<string, unknown>) => void): string {
  const config = JSON.parse(readFileSync(world.sandbox.paths.signingConfigRekor1, "utf8")) as Record<string, unknown>;
  edit(config);
  writeFileSync(folder.at("config.json"), JSON.stringify(config));
  return folder.at("config.json");
}

const elsewhere = (list: unknown, url: string): unknown =>
  (list as readonly object[]).map((service) => ({ ...service, url }));

type Mistake = readonly [string, string, RegExp, (line: CommandLine, folder: TestFolder) => void | Promise<void>];

/** What goes wrong for people, the code, and what the line has to hold for them to find it. */
const MISTAKES: readonly Mistake[] = [
  [
    "a file of a token that is not there",
    "IDENTITY_TOKEN_UNAVAILABLE",
    /token/,
    (line, folder) => {
      line.flags["identity-token"] = folder.at("tokne");
    },
  ],
  [
    "a file that holds something else than a token",
    "IDENTITY_TOKEN_MALFORMED",
    /token/,
    (line, folder) => {
      writeFileSync(folder.at("note"), "my token is in the other file\n");
      line.flags["identity-token"] = folder.at("note");
    },
  ],
  [
    "a token that has expired",
    "IDENTITY_TOKEN_EXPIRED",
    /expired/,
    async (line) => {
      line.flags["identity-token"] = await world.sandbox.token("email", { exp: Math.floor(Date.now() / 1000) - 60 });
    },
  ],
  [
    "a token for somebody else",
    "IDENTITY_TOKEN_AUDIENCE_MISMATCH",
    /sigstore.*vault/,
    async (line) => {
      line.flags["identity-token"] = await world.sandbox.token("email", { aud: "vault" });
    },
  ],
  ["the wrong password of the key", "KEY_PASSWORD_WRONG", /password/, (line, folder) => keyed(line, folder, "wrong")],
  [
    "a key that is not there",
    "FILE_NOT_FOUND",
    /kye/,
    (line, folder) => {
      keyed(line, folder, PASSWORD);
      line.flags["key"] = folder.at("kye");
    },
  ],
  [
    "the public key in place of the private one",
    "PRIVATE_KEY_MALFORMED",
    /private key/,
    (line, folder) => {
      keyed(line, folder, PASSWORD);
      writeFileSync(
        folder.at("key"),
        "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n",
      );
    },
  ],
  [
    "a signing config that is not there",
    "FILE_NOT_FOUND",
    /confg/,
    (line, folder) => {
      line.flags["signing-config"] = folder.at("confg.json");
    },
  ],
  [
    "a trusted root in place of the signing config",
    "SIGNING_CONFIG_MALFORMED",
    /signing.config/i,
    (line) => {
      line.flags["signing-config"] = world.sandbox.paths.trustedRoot;
    },
  ],
  [
    "a signing config with Rekor v2 and no timestamp authority",
    "SIGNING_CONFIG_UNUSABLE",
    /timestamp authority/,
    (line, folder) => {
      const { paths } = world.sandbox;
      const config = JSON.parse(readFileSync(paths.signingConfig, "utf8")) as Record<string, unknown>;
      delete config["tsaUrls"];
      delete config["tsaConfig"];
      writeFileSync(folder.at("config.json"), JSON.stringify(config));
      line.flags["signing-config"] = folder.at("config.json");
    },
  ],
  [
    "the trusted root of another instance",
    "CERTIFICATE_ISSUER_UNKNOWN",
    /trusted root/,
    (line, folder) => {
      const root = JSON.parse(readFileSync(world.sandbox.paths.trustedRoot, "utf8")) as Record<string, unknown>;
      delete root["certificateAuthorities"];
      writeFileSync(folder.at("root.json"), JSON.stringify(root));
      line.flags["trusted-root"] = folder.at("root.json");
    },
  ],
  [
    "a service that nobody runs",
    "HTTP_REQUEST_FAILED",
    /Fulcio \(http.*ECONNREFUSED.*|ECONNREFUSED/,
    async (line, folder) => {
      const url = await closedPort();
      line.flags["signing-config"] = configWith(
        folder,
        (config) => (config["caUrls"] = elsewhere(config["caUrls"], url)),
      );
    },
  ],
  [
    "an artifact that is not there",
    "FILE_NOT_FOUND",
    /appp/,
    (line, folder) => {
      line.operands = [folder.at("appp")];
    },
  ],
  [
    "a folder as the artifact",
    "FILE_IS_DIRECTORY",
    /dir/,
    (line, folder) => {
      mkdirSync(folder.at("dir"));
      line.operands = [folder.at("dir")];
    },
  ],
  [
    "a folder as the bundle",
    "WRITE_FAILED",
    /is a directory/,
    (line, folder) => {
      mkdirSync(folder.at("dir"));
      line.flags["bundle"] = folder.at("dir");
    },
  ],
  [
    "a bundle in a folder that is not there",
    "WRITE_FAILED",
    /folder does not exist/,
    (line, folder) => {
      line.flags["bundle"] = folder.at("out/app.json");
    },
  ],
  [
    "a state in a folder that is not there",
    "WRITE_FAILED",
    /folder does not exist/,
    (line, folder) => {
      line.flags["resume-state"] = folder.at("out/state.json");
    },
  ],
  [
    "a state that is something else",
    "SIGNING_STATE_MALFORMED",
    /remove the file/,
    (line, folder) => {
      writeFileSync(folder.at("state"), "{}", { mode: 0o600 });
      line.flags["resume-state"] = folder.at("state");
    },
  ],
  [
    "one name for bundle and state",
    "USAGE_INVALID",
    /more than once/,
    (line) => {
      line.flags["resume-state"] = line.flags["bundle"] ?? "";
    },
  ],
  [
    "a flag that is mistyped",
    "USAGE_INVALID",
    /bundle/,
    (line, folder) => {
      line.flags["bundel"] = folder.at("app.json");
    },
  ],
  [
    "no token and no terminal",
    "IDENTITY_TOKEN_UNAVAILABLE",
    /token/,
    (line) => {
      delete line.flags["identity-token"];
      line.environment["CI"] = "true";
    },
  ],
  [
    "a token and a key",
    "USAGE_INVALID",
    /--key/,
    (line, folder) => {
      const given = line.flags["identity-token"] ?? "";
      keyed(line, folder, PASSWORD);
      line.flags["identity-token"] = given;
    },
  ],
];

describe("sign-blob tells a person in one line about", () => {
  test.for(MISTAKES)("%s", async ([, code, words, make]) => {
    const folder = testFolder();
    const line = commandLine(folder);
    await make(line, folder);
    const before = folder.files();
    const entries = await countEntries(world.sandbox, 1);
    const run = await runCommand(wordsOf(line), { environment: line.environment });
    expect([outcomeOfRun(run), run.status, run.stdout]).toEqual([code, 1, ""]);
    const errors = run.stderr.split("\n").filter((one) => one.startsWith("Error: "));
    expect(errors).toEqual([expect.stringMatching(words)]);
    expect(run.stderr).not.toMatch(/^ {4}at |this is a bug/m);
    // Nothing was written, and nothing was made public.
    expect(folder.files()).toEqual(before);
    expect(await countEntries(world.sandbox, 1)).toBe(entries);
  });
});

describe("sign-blob as a process", () => {
  const environment = (): Record<string, string> => ({ TUF_ROOT: "/nonexistent" });

  test("loses no signature where the disk is full", async () => {
    const folder = testFolder();
    const line = commandLine(folder);
    line.flags["bundle"] = "/dev/full";
    line.flags["resume-state"] = folder.at("state.json");
    const run = await runProcess(wordsOf(line), { environment: environment() });
    expect([outcomeOfRun(run), run.status]).toEqual(["WRITE_FAILED", 1]);
    expect(JSON.parse(run.stdout)).toMatchObject({ verificationMaterial: {}, messageSignature: {} });
    // With room for it, the same command line ends well, and makes nothing public a second time.
    const entries = await countEntries(world.sandbox, 1);
    line.flags["bundle"] = folder.at("app.json");
    const again = await runCommand(wordsOf(line));
    expect([again.status, folder.files(), await countEntries(world.sandbox, 1)]).toEqual([
      0,
      ["app", "app.json"],
      entries,
    ]);
  });

  test("ends with an error where its folder cannot be written to", async () => {
    const folder = testFolder();
    const line = commandLine(folder);
    mkdirSync(folder.at("locked"));
    chmodSync(folder.at("locked"), 0o500);
    // Of whoever may write everywhere, /proc takes nothing either.
    line.flags["bundle"] = process.getuid?.() === 0 ? "/proc/app.json" : folder.at("locked/app.json");
    const run = await runProcess(wordsOf(line), { environment: environment() });
    expect([outcomeOfRun(run), run.status, run.stdout]).toEqual(["WRITE_FAILED", 1, ""]);
  });

  test("asks nobody where standard input is at its end", async () => {
    const folder = testFolder();
    const line = commandLine(folder);
    keyed(line, folder, "");
    delete line.environment["COSIGN_PASSWORD"];
    const run = await runProcess(wordsOf(line), { environment: environment() });
    expect([run.status, folder.files()]).toEqual([1, ["app", "key"]]);
    expect(outcomeOfRun(run)).toMatch(/^KEY_PASSWORD_(MISSING|WRONG)$/);
  });

  const INTERRUPTIONS = [
    ["SIGINT", 130, "rekor1"],
    ["SIGINT", 130, "fulcio"],
    ["SIGTERM", 143, "tsa"],
    ["SIGHUP", 129, "rekor1"],
  ] as const;
  test.for(ALL ? INTERRUPTIONS : INTERRUPTIONS.slice(0, 1))(
    "ends at %s with status %i while %s is asked, and leaves what it can go on from",
    async ([signal, status, service]) => {
      const { sandbox } = world;
      const folder = testFolder();
      const line = commandLine(folder);
      line.flags["resume-state"] = folder.at("state.json");
      const entries = await countEntries(sandbox, 1);
      sandbox.setFault(service, { kind: "timeout" });
      const event = { fulcio: "certificate requesting", rekor1: "entry submitting", tsa: "timestamp requesting" }[
        service
      ];
      let sent = false;
      const run: ProcessRun = await runProcess([...wordsOf(line), "--verbose"], {
        environment: environment(),
        onStderr(text, kill) {
          if (sent || !text.includes(`signing: ${event}`)) return;
          sent = true;
          kill(signal);
        },
      });
      sandbox.clearFaults();
      expect([run.status, run.stdout]).toEqual([status, ""]);
      expect(run.stderr).toMatch(/^Error: command was interrupted by SIG[A-Z]+.*\[COMMAND_INTERRUPTED\]$/m);
      expect(folder.files()).toEqual(service === "fulcio" ? ["app"] : ["app", "state.json"]);
      expect(await countEntries(sandbox, 1)).toBe(entries);
      const again = await runCommand(wordsOf(line));
      expect([again.status, folder.files()]).toEqual([0, ["app", "app.json"]]);
      expect(await countEntries(sandbox, 1)).toBe(entries + 1);
    },
  );
});
