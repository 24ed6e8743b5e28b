import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import {
  eraseFromHelper,
  getFromHelper,
  storeInHelper,
  type HelperProcess,
} from "../../../src/oci/registry/credential-helper.ts";
import { temporaryFolder } from "../../support/cli.ts";
import { refusal } from "../../support/outcome.ts";

let folder: string;
let process_: HelperProcess;
beforeEach(() => {
  folder = temporaryFolder();
  process_ = { environment: { PATH: `${folder}:${process.env["PATH"] ?? ""}`, ONLY: "this" } };
});

/** Makes `docker-credential-NAME` of a shell script. */
function install(name: string, script: string): void {
  const path = join(folder, `docker-credential-${name}`);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
}

const get = (name = "test"): ReturnType<typeof getFromHelper> => getFromHelper(name, "registry.example", process_);

describe("getFromHelper", () => {
  test("asks for the server by standard input, with the environment of the caller alone", async () => {
    install(
      "test",
      `cat > '${folder}/input'; echo "$1 $ONLY $VITEST" > '${folder}/seen'; printf '{"Username":"alice","Secret":"s3"}'`,
    );
    expect(await get()).toEqual({ kind: "basic", username: "alice", password: "s3" });
    expect(readFileSync(join(folder, "input"), "utf8")).toBe("registry.example");
    expect(readFileSync(join(folder, "seen"), "utf8")).toBe("get this \n");
  });

  test.for<readonly [string, object | undefined]>([
    // docker/docker-credential-helpers README.md, "Development"
    [`printf '{"ServerURL":"x","Username":"<token>","Secret":"t"}'`, { kind: "identity-token", identityToken: "t" }],
    [`printf '{"ServerURL":"x","Username":"","Secret":""}'`, undefined],
    [`echo 'credentials not found in native keychain'; exit 1`, undefined],
    // One that reads nothing.
    [`exec 0<&-; printf '{"Username":"a","Secret":"b"}'`, { kind: "basic", username: "a", password: "b" }],
  ])("reads the answer of %s", async ([script, expected]) => {
    install("test", script);
    expect(await get()).toEqual(expected);
  });

  test.for([
    ["ended with status 3", "echo secret; echo secret >&2; exit 3"],
    ["does not answer in JSON", "echo 'secret is not JSON'"],
    ["does not answer in JSON", `printf '["secret"]'`],
    ["answers with more than", "head -c 2000000 /dev/zero"],
  ] as const)("says that it %s, and repeats nothing", async ([problem, script]) => {
    install("test", script);
    const error = await refusal(get());
    expect([error.code, error.message]).toEqual([
      "CREDENTIALS_UNAVAILABLE",
      expect.stringContaining(`docker-credential-test ${problem}`),
    ]);
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain("secret");
  });

  test("says that one is not installed, or is no program", async () => {
    expect((await refusal(get("missing"))).message).toContain("docker-credential-missing is not installed");
    writeFileSync(join(folder, "docker-credential-test"), "");
    expect((await refusal(get())).code).toBe("CREDENTIALS_UNAVAILABLE");
  });

  test.for(["../../evil", "a/b", "", "-x", "a b", "x".repeat(65), "a\0"])(
    "runs none with the name %j",
    async (name) => {
      mkdirSync(join(folder, "docker-credential-a"), { recursive: true });
      const evil = join(folder, "docker-credential-a", "b");
      writeFileSync(evil, `#!/bin/sh\ntouch '${folder}/ran'\n`);
      chmodSync(evil, 0o755);
      expect((await refusal(get(name))).code).toBe("CREDENTIALS_UNAVAILABLE");
      expect(existsSync(join(folder, "ran"))).toBe(false);
    },
  );

  test("ends with its caller, whose reason it gives", async () => {
    install("test", "exec sleep 600");
    const reason = new Error("enough");
    const controller = new AbortController();
    const asking = getFromHelper("test", "registry.example", { ...process_, signal: controller.signal });
    controller.abort(reason);
    await expect(asking).rejects.toBe(reason);
  });
});

describe("storeInHelper and eraseFromHelper", () => {
  test("give what is to be kept by standard input, where nobody else reads it", async () => {
    install("test", `cat > '${folder}/input'; echo "$@" > '${folder}/arguments'`);
    await storeInHelper("test", { server: "registry.example", username: "alice", secret: "s3" }, process_);
    expect(JSON.parse(readFileSync(join(folder, "input"), "utf8"))).toEqual({
      ServerURL: "registry.example",
      Username: "alice",
      Secret: "s3",
    });
    expect(readFileSync(join(folder, "arguments"), "utf8")).toBe("store\n");
    expect(await eraseFromHelper("test", "registry.example", process_)).toBe(true);
    expect(readFileSync(join(folder, "input"), "utf8")).toBe("registry.example");
    expect(readFileSync(join(folder, "arguments"), "utf8")).toBe("erase\n");
  });

  test("say what failed, and that there was nothing to forget", async () => {
    install("test", `cat; exit 1`);
    const entry = { server: "registry.example", username: "alice", secret: "s3" };
    const error = await refusal(storeInHelper("test", entry, process_));
    expect([error.code, error.message.includes("s3")]).toEqual(["CREDENTIALS_UNAVAILABLE", false]);
    expect((await refusal(eraseFromHelper("test", "registry.example", process_))).code).toBe("CREDENTIALS_UNAVAILABLE");
    install("test", "echo credentials not found in native keychain; exit 1");
    expect(await eraseFromHelper("test", "registry.example", process_)).toBe(false);
  });
});
