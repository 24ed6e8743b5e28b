const { closeSync, openSync, renameSync, rmSync, writeSync } = process.getBuiltinModule("node:fs");
const { randomBytes } = process.getBuiltinModule("node:crypto");
const { basename, dirname, join } = process.getBuiltinModule("node:path");

/**
 * Replaces a file whole or not at all: other processes see the old one or the new one, never a part.
 *
 * It is there after the end of this process, however sudden, but not always after that of the machine: the disk is not waited for.
 *
 * @param mode - Permissions of the new file, less what the mask of the process takes.
 * @throws what the file system says; then nothing is left beside the file either.
 */
export function replaceFile(path: string, content: Uint8Array | string, mode: number): void {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString("hex")}.tmp`);
  let fd: number | undefined;
  try {
    fd = openSync(temporary, "wx", mode);
    let rest = typeof content === "string" ? Buffer.from(content) : content;
    while (rest.length > 0) rest = rest.subarray(writeSync(fd, rest));
    closeSync(fd);
    fd = undefined;
    renameSync(temporary, path);
  } catch (error) {
    if (fd !== undefined) closeSync(fd);
    removeQuietly(temporary);
    throw error;
  }
}

function removeQuietly(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // what could not be written need not be told a second time
  }
}
