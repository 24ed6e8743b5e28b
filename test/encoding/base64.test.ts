import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import type * as Base64 from "../../src/encoding/base64.ts";
import { anyText, SAMPLE } from "../support/hostile.ts";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/** Loads the module as a runtime sees it that has, or has not, base64 of its own. */
async function load(builtIn: boolean): Promise<typeof Base64> {
  const descriptors = {
    from: Object.getOwnPropertyDescriptor(Uint8Array, "fromBase64"),
    to: Object.getOwnPropertyDescriptor(Uint8Array.prototype, "toBase64"),
  };
  if (!builtIn) {
    Reflect.deleteProperty(Uint8Array, "fromBase64");
    Reflect.deleteProperty(Uint8Array.prototype, "toBase64");
  }
  vi.resetModules();
  try {
    return await import("../../src/encoding/base64.ts");
  } finally {
    if (descriptors.from) Object.defineProperty(Uint8Array, "fromBase64", descriptors.from);
    // oxlint-disable-next-line eslint/no-extend-native -- what was there is put back
    if (descriptors.to) Object.defineProperty(Uint8Array.prototype, "toBase64", descriptors.to);
  }
}

/** What canonical base64 is, by way of node:buffer: the text that encoding its bytes gives again. */
function canonical(text: string, encoding: "base64" | "base64url"): Uint8Array | undefined {
  const bytes = Buffer.from(text, encoding);
  return bytes.toString(encoding) === text ? new Uint8Array(bytes) : undefined;
}

const candidateText = fc.oneof(
  anyText(),
  fc.string({ unit: fc.constantFrom(...Array.from("ABQgwz09+/-_= \n")) }),
  fc.uint8Array().map((bytes) => Buffer.from(bytes).toString("base64")),
  fc.uint8Array().map((bytes) => Buffer.from(bytes).toString("base64url")),
);

for (const builtIn of [true, false]) {
  describe(`base64 ${builtIn ? "built into the runtime" : "of our own"}`, async () => {
    const { encodeBase64, tryDecodeBase64, tryDecodeBase64Either, tryDecodeBase64Url } = await load(builtIn);

    describe("encodeBase64 (RFC 4648 §4)", () => {
      test.for([
        ["", ""],
        ["f", "Zg=="],
        ["fo", "Zm8="],
        ["foo", "Zm9v"],
        ["foob", "Zm9vYg=="],
        ["fooba", "Zm9vYmE="],
        ["foobar", "Zm9vYmFy"],
      ] as const)("writes the published vector %j, and tryDecodeBase64 reads it", ([text, base64]) => {
        expect(encodeBase64(Buffer.from(text))).toBe(base64);
        expect(tryDecodeBase64(base64)).toEqual(new Uint8Array(Buffer.from(text)));
      });

      test("agrees with node:buffer on any bytes", () => {
        fc.assert(
          fc.property(fc.uint8Array(), (bytes) => {
            expect(encodeBase64(bytes)).toBe(Buffer.from(bytes).toString("base64"));
          }),
          SAMPLE,
        );
      });
    });

    describe("tryDecodeBase64 (RFC 4648 §4, §3.5)", () => {
      test("reads the alphabet to its end", () => {
        const bytes = Buffer.from(`${ALPHABET}+/`, "base64");
        expect(tryDecodeBase64(`${ALPHABET}+/`)).toEqual(new Uint8Array(bytes));
      });

      test.for([
        ["lacks all padding", "Zm8"],
        ["lacks one of two paddings", "Zg="],
        ["has three paddings", "Z==="],
        ["is padding only", "===="],
        ["has a padding too many", "Zm9v===="],
        ["goes on after its padding", "Zm8=Zm8="],
        ["has padding inside", "Zg==Zm9v"],
        ["has unused bits before two paddings", "Zh=="],
        ["has unused bits before one padding", "Zm9="],
        ["begins with a space", " Zm8"],
        ["has four spaces", "Zm9v    "],
        ["ends in a newline", "Zm8=\n"],
        ["has four newlines inside", "Zm\n\n\n\n9v"],
        ["has a tab instead of padding", "Zm8\t"],
        ["is of the URL-safe alphabet (-)", "Zm9-"],
        ["is of the URL-safe alphabet (_)", "Zm9_"],
        ["has a character below the alphabet", "Zm9!"],
        ["has a character beyond ASCII", "Zm9\u0176"],
        ["has a NUL", "Zm9\0"],
      ] as const)("refuses a text that %s", ([, text]) => {
        expect(tryDecodeBase64(text)).toBeUndefined();
      });

      test("accepts exactly the one spelling that node:buffer writes", () => {
        fc.assert(
          fc.property(candidateText, (text) => {
            expect(tryDecodeBase64(text)).toEqual(canonical(text, "base64"));
          }),
          { ...SAMPLE, numRuns: 2000 },
        );
      });

      test("refuses or reads differently a text with any one character changed", () => {
        const bytes = Uint8Array.from({ length: 32 }, (_, i) => i * 7);
        const text = encodeBase64(bytes);
        for (let i = 0; i < text.length; i++) {
          for (const character of `${ALPHABET}+/-_= \n`) {
            if (character === text[i]) continue;
            expect(tryDecodeBase64(text.slice(0, i) + character + text.slice(i + 1))).not.toEqual(bytes);
          }
        }
      });
    });

    describe("tryDecodeBase64Url (RFC 4648 §5)", () => {
      test.for(["-_-_", "Zg", "Zg==", "Zm8", "Zm8=", ""])("reads %j", (text) => {
        expect(tryDecodeBase64Url(text)).toEqual(new Uint8Array(Buffer.from(text, "base64url")));
      });

      test.for([
        ["is of the standard alphabet (+)", "Zm9+"],
        ["is of the standard alphabet (/)", "Zm9/"],
        ["has half of its padding", "Zg="],
        ["has padding without need", "Zm9v="],
        ["has unused bits", "Zh"],
        ["has a single character", "Z"],
        ["has white space in place of padding", "Zm8 "],
        ["has a space too many", "Zm8= "],
      ] as const)("refuses a text that %s", ([, text]) => {
        expect(tryDecodeBase64Url(text)).toBeUndefined();
      });

      test("accepts exactly the spelling of node:buffer, with its padding or without any", () => {
        fc.assert(
          fc.property(candidateText, (text) => {
            const padded = /^[^=]*={1,2}$/.test(text) && text.length % 4 === 0;
            expect(tryDecodeBase64Url(text)).toEqual(canonical(padded ? text.replace(/=+$/, "") : text, "base64url"));
          }),
          { ...SAMPLE, numRuns: 2000 },
        );
      });
    });

    describe("tryDecodeBase64Either (DSSE envelope)", () => {
      test("reads both alphabets", () => {
        expect(tryDecodeBase64Either("+/+/")).toEqual(Uint8Array.of(0xfb, 0xff, 0xbf));
        expect(tryDecodeBase64Either("-_-_")).toEqual(Uint8Array.of(0xfb, 0xff, 0xbf));
      });

      test.for(["+_+_", "-/-/", "+/+", "Zm9 "])("refuses %j", (text) => {
        expect(tryDecodeBase64Either(text)).toBeUndefined();
      });
    });
  });
}
