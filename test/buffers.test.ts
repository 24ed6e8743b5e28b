import { generateKeyPairSync } from "node:crypto";
import { describe, expect, test } from "vitest";
import { parsePublicKey } from "../src/crypto/public-key.ts";
import { parseTimestampResponse } from "../src/tsa/timestamp-response.ts";
import { readArtifact } from "../src/verify/artifact.ts";
import { defaultCryptoProvider } from "../src/crypto/provider.ts";
import { makeTimestampAuthority, timestamp } from "./support/sandbox/authorities.ts";

/** In Node nearly all bytes are a `Buffer`, whose `slice` shares them, where that of a `Uint8Array` copies them. */
describe("a Buffer that is given", () => {
  test("to the parser of a timestamp stays as it is", () => {
    const given = Buffer.from(timestamp(makeTimestampAuthority(), Buffer.from("data")));
    const before = given.toString("hex");
    parseTimestampResponse(given);
    expect(given.toString("hex")).toBe(before);
  });

  test("to the parser of an Ed25519 key stays as it is, the sign of x among it", () => {
    for (;;) {
      const given = generateKeyPairSync("ed25519").publicKey.export({ type: "spki", format: "der" });
      if (((given.at(-1) ?? 0) & 0x80) === 0) continue; // one in two has it
      const before = given.toString("hex");
      parsePublicKey(given);
      expect(given.toString("hex")).toBe(before);
      return;
    }
  });

  test("by a stream that uses its memory again is read before that", async () => {
    const memory = Buffer.alloc(4);
    async function* pieces(): AsyncGenerator<Uint8Array> {
      for (const text of ["one.", "two."]) {
        await Promise.resolve();
        memory.write(text);
        yield memory;
      }
    }
    const { bytes = new Uint8Array(0) } = await readArtifact(pieces(), [], true, defaultCryptoProvider());
    expect(Buffer.from(bytes).toString()).toBe("one.two.");
  });
});
