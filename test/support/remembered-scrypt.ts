/**
 * Makes scrypt remember what it derived in this process. A key file costs 150 ms each time it is read, and tests read the same few
 * again and again. What is derived is derived by the real one, once.
 *
 * @module
 */

const crypto = process.getBuiltinModule("node:crypto");
const derive = crypto.scrypt;
const known = new Map<string, Buffer>();

function remembered(...[password, salt, length, options, callback]: Required<Parameters<typeof derive>>): void {
  const bytes = (value: typeof salt): string => Buffer.from(value as Uint8Array).toString("hex");
  const key = JSON.stringify([bytes(password), bytes(salt), length, options]);
  const derived = known.get(key);
  if (derived !== undefined) {
    setImmediate(() => callback(null, Buffer.from(derived)));
    return;
  }
  derive(password, salt, length, options, (error, value) => {
    if (error === null) known.set(key, Buffer.from(value));
    callback(error, value);
  });
}

/** Puts it in the place of the real one, for this file of tests. */
export function rememberScrypt(): void {
  crypto.scrypt = remembered as typeof derive;
}
