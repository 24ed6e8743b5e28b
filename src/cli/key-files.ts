/**
 * Key pairs as two files: both or none, whole or not at all, and nothing overwritten without a yes.
 *
 * @module
 */

import { chmodSync, readFileSync, rmSync, statSync } from "node:fs";

import { SigstoreError } from "../errors.ts";
import type { KeyPair } from "../keys/private-key.ts";
import { notice, warn, writeFailed, type Context } from "./context.ts";
import { openOutputFile } from "./output-file.ts";
import { confirmContinue } from "./prompt.ts";

const PRIVATE_MODE = 0o600;
const PUBLIC_MODE = 0o644;

/**
 * Finds out whether two files can be written, before anybody is asked for anything.
 *
 * @throws StorageError `WRITE_FAILED`.
 */
export function checkKeyFiles(prefix: string): void {
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
 * @param overwrite - Whether nobody is to be asked about files that exist.
 * @throws InputError `CONSENT_MISSING`, StorageError `WRITE_FAILED`; then neither file is new.
 */
export async function writeKeyFiles(
  prefix: string,
  { privateKeyPem, publicKeyPem }: KeyPair,
  overwrite: boolean,
  context: Context,
): Promise<void> {
  const privatePath = `${prefix}.key`;
  const publicPath = `${prefix}.pub`;
  const existing = [privatePath, publicPath].filter((path) => statSync(path, { throwIfNoEntry: false }) !== undefined);
  for (const path of existing) warn(context, `File ${path} already exists. Overwrite?`);
  if (existing.length > 0 && !overwrite) {
    await confirmContinue(context, "answer y, or name other files with --output-key-prefix");
  }
  context.signal.throwIfAborted();
  if (existing.includes(privatePath)) keepPrivate(privatePath); // a file that exists keeps its permissions

  const privateFile = openOutputFile(privatePath, PRIVATE_MODE);
  try {
    const publicFile = openOutputFile(publicPath, PUBLIC_MODE);
    try {
      privateFile.write(privateKeyPem);
      publicFile.write(publicKeyPem);
      // The private key is what cannot be had again, so it is replaced last, when all else has worked.
      const before = existing.includes(publicPath) ? readFileSync(publicPath) : undefined;
      publicFile.commit();
      try {
        privateFile.commit();
      } catch (error) {
        putBack(publicPath, before);
        throw error;
      }
    } finally {
      publicFile.discard();
    }
  } finally {
    privateFile.discard();
  }
  notice(context, `Private key written to ${privatePath}`);
  notice(context, `Public key written to ${publicPath}`);
}

function keepPrivate(path: string): void {
  try {
    if ((statSync(path).mode & 0o077) !== 0) chmodSync(path, PRIVATE_MODE);
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
