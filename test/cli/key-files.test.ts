import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import type { Context } from "../../src/cli/context.ts";
import { writeKeyFiles } from "../../src/cli/key-files.ts";
import type * as OutputFiles from "../../src/cli/output-file.ts";
import { StorageError } from "../../src/errors.ts";
import { temporaryFolder } from "../support/cli.ts";

/** A disk on which private keys can be written, and not put in their place: no real one does that when it is asked to. */
vi.mock("../../src/cli/output-file.ts", async (original) => {
  const { openOutputFile } = await original<typeof OutputFiles>();
  return {
    openOutputFile: (path: string, mode: number): OutputFiles.OutputFile => {
      const file = openOutputFile(path, mode);
      if (path.endsWith(".key"))
        file.commit = () => {
          file.discard();
          throw new StorageError("WRITE_FAILED", "could not write");
        };
      return file;
    },
  };
});

const PAIR = { privateKeyPem: "new private key", publicKeyPem: "new public key" };
const context: Context = {
  stdout: { write: () => undefined, isTerminal: false },
  stderr: { write: () => undefined, isTerminal: false },
  stdin: (async function* (): AsyncGenerator<Uint8Array> {})(),
  environment: {},
  now: () => new Date(0),
  fetch: () => Promise.reject(new Error("a test opened a socket")),
  signal: new AbortController().signal,
};

describe("writeKeyFiles, where the private key cannot be put in its place", () => {
  test("leaves both files as they were", async () => {
    const folder = temporaryFolder();
    const prefix = join(folder, "k");
    writeFileSync(`${prefix}.key`, "old private key");
    writeFileSync(`${prefix}.pub`, "old public key");
    await expect(writeKeyFiles(prefix, PAIR, true, context)).rejects.toMatchObject({ code: "WRITE_FAILED" });
    const texts = [".key", ".pub"].map((suffix) => readFileSync(prefix + suffix, "utf8"));
    expect(texts).toEqual(["old private key", "old public key"]);
    expect(readdirSync(folder).toSorted()).toEqual(["k.key", "k.pub"]);
  });

  test("leaves no file where there was none", async () => {
    const folder = temporaryFolder();
    await expect(writeKeyFiles(join(folder, "k"), PAIR, true, context)).rejects.toMatchObject({ code: "WRITE_FAILED" });
    expect([readdirSync(folder), existsSync(join(folder, "k.pub"))]).toEqual([[], false]);
  });
});
