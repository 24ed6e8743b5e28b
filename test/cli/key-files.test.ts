import { existsSync, readFileSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test, vi } from "vitest";
import type { Context } from "../../src/cli/context.ts";
import { checkKeyFiles, writeKeyFiles } from "../../src/cli/key-files.ts";
import type * as OutputFiles from "../../src/cli/output-file.ts";
import { StorageError } from "../../src/errors.ts";
import { temporaryFolder } from "../support/cli.ts";

/** What happens when a file is put in its place, before it is. */
let committing: (path: string) => void = () => undefined;
vi.mock("../../src/cli/output-file.ts", async (original) => {
  const { openOutputFile } = await original<typeof OutputFiles>();
  return {
    openOutputFile: (...args: Parameters<typeof openOutputFile>): OutputFiles.OutputFile => {
      const file = openOutputFile(...args);
      const commit = file.commit.bind(file);
      file.commit = () => {
        try {
          committing(args[0]);
        } catch (error) {
          file.discard();
          throw error;
        }
        commit();
      };
      return file;
    },
  };
});
beforeEach(() => void (committing = () => undefined));

/** A disk on which private keys can be written, and not put in their place: no real one does that when it is asked to. */
function failAtPrivateKey(path: string): void {
  if (path.endsWith(".key")) throw new StorageError("WRITE_FAILED", "could not write");
}

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
  beforeEach(() => void (committing = failAtPrivateKey));

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

/** Somebody who is asked whether to overwrite, and answers when something has happened meanwhile. */
function answering(meanwhile: () => void): Context {
  return {
    ...context,
    stdin: (async function* () {
      meanwhile();
      yield await Promise.resolve(Buffer.from("y\n"));
    })(),
  };
}

describe("writeKeyFiles, beside somebody else who writes there", () => {
  const textsIn = (folder: string): Record<string, string> =>
    Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), "utf8")]));
  const refusal = { code: "WRITE_FAILED", message: expect.stringMatching(/nobody agreed to overwrite it/) as unknown };

  test("overwrites no file that appeared while it was asked about the other", async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "k.key"), "old private key");
    const asked = answering(() => writeFileSync(join(folder, "k.pub"), "somebody's"));
    await expect(writeKeyFiles(join(folder, "k"), PAIR, false, asked)).rejects.toMatchObject(refusal);
    expect(textsIn(folder)).toEqual({ "k.key": "old private key", "k.pub": "somebody's" });
  });

  test("overwrites no other file than the one that it asked about", async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "k.key"), "old private key");
    const asked = answering(() => {
      writeFileSync(join(folder, "newer"), "somebody's newer private key");
      renameSync(join(folder, "newer"), join(folder, "k.key"));
    });
    await expect(writeKeyFiles(join(folder, "k"), PAIR, false, asked)).rejects.toMatchObject(refusal);
    expect(textsIn(folder)).toEqual({ "k.key": "somebody's newer private key" });
  });

  test.for([".key", ".pub"])("overwrites no PREFIX%s that appears at the last moment", async (suffix) => {
    const folder = temporaryFolder();
    committing = (path) => {
      if (path.endsWith(suffix)) writeFileSync(path, "somebody's");
    };
    await expect(writeKeyFiles(join(folder, "k"), PAIR, false, context)).rejects.toMatchObject(refusal);
    expect(textsIn(folder)).toEqual({ [`k${suffix}`]: "somebody's" });
  });

  test("leaves both files of one pair where another run writes them at the same moment", async () => {
    const folder = temporaryFolder();
    const prefix = join(folder, "k");
    let other: Promise<unknown> | undefined;
    committing = (path) => {
      if (!path.endsWith(".key") || other !== undefined) return;
      // Up to its end, as the function waits for nothing where it asks nothing.
      other = writeKeyFiles(prefix, { privateKeyPem: "other private", publicKeyPem: "other public" }, true, context);
    };
    await writeKeyFiles(prefix, PAIR, true, context);
    await expect(other).rejects.toMatchObject({
      code: "WRITE_FAILED",
      message: expect.stringMatching(/another run is writing it/) as unknown,
    });
    expect(textsIn(folder)).toEqual({ "k.key": "new private key", "k.pub": "new public key" });
  });

  test("overwrites what exists after a yes, and leaves nothing else behind", async () => {
    const folder = temporaryFolder();
    for (const name of ["k.key", "k.pub"]) writeFileSync(join(folder, name), "old");
    await writeKeyFiles(
      join(folder, "k"),
      PAIR,
      false,
      answering(() => undefined),
    );
    expect(textsIn(folder)).toEqual({ "k.key": "new private key", "k.pub": "new public key" });
  });
});

test("checkKeyFiles refuses a prefix that names a folder alone", () => {
  const folder = temporaryFolder();
  expect(() => checkKeyFiles(`${folder}/`)).toThrow(expect.objectContaining({ code: "USAGE_INVALID" }));
  expect(readdirSync(folder)).toEqual([]);
});
