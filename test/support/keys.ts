import { readFileSync } from "node:fs";
import { join } from "node:path";
import { rememberScrypt } from "./remembered-scrypt.ts";
import { projectDir } from "./shared.ts";

rememberScrypt();

/** Of the keys in `testdata/keys` that have one. */
export const PASSWORD = "correct horse";

/** Gives the path of a file in `testdata/keys`. */
export function keyPath(name: string): string {
  return join(projectDir, "testdata", "keys", name);
}

/** Reads a file in `testdata/keys`. */
export function keyFile(name: string): string {
  return readFileSync(keyPath(name), "utf8");
}

/** A source of passwords that counts how often it is asked. */
export function passwordSource(password: string | Uint8Array | undefined): {
  (): Promise<string | Uint8Array | undefined>;
  asked: number;
} {
  const source = Object.assign(
    () => {
      source.asked += 1;
      return Promise.resolve(password);
    },
    { asked: 0 },
  );
  return source;
}
