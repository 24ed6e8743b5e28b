/**
 * Key pairs as two files: both or none, whole or not at all, and nothing overwritten without a yes.
 *
 * @module
 */

import { chmodSync, closeSync, lstatSync, openSync, readFileSync, rmSync, statSync } from "node:fs";

import { SigstoreError, StorageError } from "../errors.ts";
import type { KeyPair } from "../keys/private-key.ts";
import { notice, warn, writeFailed, type Context } from "./context.ts";
import { usage } from "./flags.ts";
import { openOutputFile } from "./output-file.ts";
import { confirmContinue } from "./prompt.ts";

const PRIVATE_MODE = 0o600;
const PUBLIC_MODE = 0o644;

/**
 * Finds out whether two files can be written, before anybody is asked for anything.
 *
 * @throws InputError `USAGE_INVALID`, StorageError `WRITE_FAILED`.
 */
export function checkKeyFiles(prefix: string): void {
  // The files would be called `.key` and `.pub`, which a listing of the folder does not show.
  if (/[/\\]$/.test(prefix))
    throw usage(`prefix ${JSON.stringify(prefix)} names a folder, and no file in it`, {
      expected: "the beginning of two names",
      remedy: `add how the files are to be called, for instance --output-key-prefix ${prefix}cosign`,
    });
  for (const path of [`${prefix}.key`, `${prefix}.pub`]) {
    const found = statSync(path, { throwIfNoEntry: false });
    // A pipe would wait for a reader; and who asks for files wants files.
    if (found?.isFile() === false)
      throw writeFailed(
        JSON.stringify(path),
        found.isDirectory() ? Object.assign(new Error(), { code: "EISDIR" }) : "it is no file",
      );
    openOutputFile(path, PRIVATE_MODE).discard();
  }
}

/**
 * Writes a key pair to `PREFIX.key`, which its owner alone can read, and `PREFIX.pub`.
 *
 * A file is overwritten where somebody agreed to it, and only if it is still the one that was there when they were asked. Two that
 * write the same pair at the same time take turns, so that both files are of one pair.
 *
 * @param overwrite - Whether nobody is to be asked about files that exist.
 * @throws InputError `CONSENT_MISSING`, StorageError `WRITE_FAILED`; then neither file is new.
 */
export async function writeKeyFiles(
  prefix: string,
  pair: KeyPair,
  overwrite: boolean,
  context: Context,
): Promise<void> {
  const paths = [`${prefix}.key`, `${prefix}.pub`] as const;
  const before = paths.map(stampOf);
  const existing = paths.filter((_, index) => before[index] !== undefined);
  for (const path of existing) warn(context, `File ${path} already exists. Overwrite?`);
  if (existing.length > 0 && !overwrite) {
    await confirmContinue(context, "answer y, or name other files with --output-key-prefix");
  }
  context.signal.throwIfAborted();
  const release = lock(prefix);
  try {
    for (const [index, path] of paths.entries()) {
      if (!overwrite && stampOf(path) !== before[index])
        throw writeFailed(JSON.stringify(path), Object.assign(new Error(), { code: "EEXIST" }));
    }
    replacePair(paths, pair, overwrite);
  } finally {
    release();
  }
  notice(context, `Private key written to ${paths[0]}`);
  notice(context, `Public key written to ${paths[1]}`);
}

/** Tells one file from another that took its place. */
function stampOf(path: string): string | undefined {
  const found = lstatSync(path, { throwIfNoEntry: false });
  return found === undefined ? undefined : [found.dev, found.ino, found.size, found.mtimeMs].join(" ");
}

/** @returns what lets the next one write. */
function lock(prefix: string): () => void {
  const path = `${prefix}.key.lock`;
  try {
    closeSync(openSync(path, "wx", PRIVATE_MODE));
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
    if (code !== "EEXIST") return () => undefined; // nothing can be made here: files that exist are written to, as when they are mounted
    throw new StorageError(
      "WRITE_FAILED",
      `could not write ${JSON.stringify(`${prefix}.key`)}: another run is writing it`,
      {
        expected: `no file ${path}`,
        remedy: `run again; if the file ${path} stays, the run that made it was killed, and it can be removed`,
        cause,
      },
    );
  }
  return () => rmSync(path, { force: true });
}

function replacePair(
  [privatePath, publicPath]: readonly [string, string],
  { privateKeyPem, publicKeyPem }: KeyPair,
  overwrite: boolean,
): void {
  const isNew = (path: string): boolean => !overwrite && stampOf(path) === undefined;
  keepPrivate(privatePath); // a file that exists keeps its permissions
  const privateFile = openOutputFile(privatePath, PRIVATE_MODE, isNew(privatePath));
  try {
    const publicFile = openOutputFile(publicPath, PUBLIC_MODE, isNew(publicPath));
    try {
      privateFile.write(privateKeyPem);
      publicFile.write(publicKeyPem);
      // The private key is what cannot be had again, so it is replaced last, when all else has worked.
      const publicBefore = statSync(publicPath, { throwIfNoEntry: false }) && readFileSync(publicPath);
      publicFile.commit();
      try {
        privateFile.commit();
      } catch (error) {
        putBack(publicPath, publicBefore);
        throw error;
      }
    } finally {
      publicFile.discard();
    }
  } finally {
    privateFile.discard();
  }
}

function keepPrivate(path: string): void {
  try {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found !== undefined && (found.mode & 0o077) !== 0) chmodSync(path, PRIVATE_MODE);
  } catch (cause) {
    throw writeFailed(JSON.stringify(path), cause);
  }
}

/** What goes wrong here is not told: that the private key could not be written is the news. */
function putBack(path: string, before: Buffer | undefined): void {
  try {
    if (before === undefined) rmSync(path);
    else {
      const file = openOutputFile(path, PUBLIC_MODE);
      file.write(before.toString());
      file.commit();
    }
  } catch (error) {
    if (!(error instanceof SigstoreError) && !(error instanceof Error && "code" in error)) throw error;
  }
}
