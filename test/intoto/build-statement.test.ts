import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { buildStatement } from "../../src/intoto/build-statement.ts";
import { parseStatement } from "../../src/intoto/statement.ts";
import { expectNoOtherError, SAMPLE } from "../support/hostile.ts";
import { outcomeOf, utf8 } from "../support/logs.ts";

const digestOf = (algorithm: "sha256" | "sha384" | "sha512", text: string) => ({
  algorithm,
  value: new Uint8Array(createHash(algorithm).update(text).digest()),
});
const TYPE = "https://example.com/predicate/v1";
const SUBJECTS = [{ name: "a.tgz", digests: [digestOf("sha256", "a")] }];
const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

describe("buildStatement (in-toto attestation framework, statement)", () => {
  test("writes type, predicate type and subject in the order of cosign, and the predicate last", () => {
    const statement = buildStatement({ subjects: SUBJECTS, predicateType: TYPE, predicate: "{}" });
    expect(decode(statement)).toBe(
      '{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"https://example.com/predicate/v1","subject":' +
        '[{"name":"a.tgz","digest":{"sha256":"ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"}}],"predicate":{}}',
    );
  });

  test("takes the text of the predicate as it is: large integers, order, spaces, escapes", () => {
    const predicate = '{ "z": 12345678901234567890123, "a": 1.0e2,\n\t"text": "\\u00e9/\\/", "n": -0 }';
    for (const given of [predicate, ` \r\n\t${predicate}\n`, utf8(predicate)]) {
      const statement = decode(buildStatement({ subjects: SUBJECTS, predicateType: TYPE, predicate: given }));
      expect(statement.endsWith(`,"predicate":${predicate}}`)).toBe(true);
    }
  });

  test("takes no longer for a predicate that is white space for the most part", () => {
    const predicate = `{"a":${" ".repeat(200_000)}1}`;
    const started = performance.now();
    const statement = buildStatement({ subjects: SUBJECTS, predicateType: TYPE, predicate });
    expect(performance.now() - started).toBeLessThan(5000); // by trying an end at each space: minutes
    expect(statement.length).toBeGreaterThan(200_000);
  });

  test("names many subjects, each by several digests", () => {
    const subjects = [
      { name: "a", digests: [digestOf("sha256", "a"), digestOf("sha512", "a")] },
      { digests: [digestOf("sha384", "b")] },
    ];
    const statement = buildStatement({
      type: "https://in-toto.io/Statement/v1",
      subjects,
      predicateType: TYPE,
      predicate: "null",
    });
    const { type, subject } = parseStatement(statement);
    expect(type).toBe("https://in-toto.io/Statement/v1");
    expect(subject.map(({ name, digest }) => [name, Object.keys(digest)])).toEqual([
      ["a", ["sha256", "sha512"]],
      [undefined, ["sha384"]],
    ]);
    expect(subject[1]?.digest["sha384"]).toBe(createHash("sha384").update("b").digest("hex"));
  });

  test.for([
    ["a predicate that is not JSON", "STATEMENT_MALFORMED", { predicate: "{" }],
    ["a predicate that ends and goes on", "STATEMENT_MALFORMED", { predicate: '{},"subject":[]' }],
    ["a predicate with a name twice", "JSON_DUPLICATE_KEY", { predicate: '{"a":1,"a":2}' }],
    ["a predicate that is not UTF-8", "STATEMENT_MALFORMED", { predicate: Uint8Array.of(0x22, 0xff, 0x22) }],
    ["no subject", "STATEMENT_MALFORMED", { subjects: [] }],
    ["a subject without a digest", "STATEMENT_MALFORMED", { subjects: [{ digests: [] }] }],
    ["an empty predicate type", "STATEMENT_MALFORMED", { predicateType: "" }],
    [
      "more subjects than any verifier reads",
      "LIMIT_EXCEEDED",
      { subjects: Array<(typeof SUBJECTS)[0]>(1025).fill(SUBJECTS[0] ?? expect.fail()) },
    ],
  ] as const)("refuses %s", async ([, code, change]) => {
    const parts = { subjects: SUBJECTS, predicateType: TYPE, predicate: "{}", ...change };
    expect(await outcomeOf(Promise.resolve().then(() => buildStatement(parts)))).toBe(code);
  });

  /** JSON, and JSON with something cut out, repeated or put in where it may hurt. */
  const texts = fc.oneof(
    fc.json(),
    fc
      .tuple(
        fc.json(),
        fc.nat(),
        fc.nat(3),
        fc.constantFrom('"', "}", "{", ",", ":", "\\", '},"subject":[', "\ufeff", "\0"),
      )
      .map(([json, at, cut, more]) => {
        const place = at % (json.length + 1);
        return json.slice(0, place) + more + json.slice(place + cut);
      }),
  );

  test("keeps whatever text it takes inside the predicate, and changes nothing else by it", () => {
    const head = decode(buildStatement({ subjects: SUBJECTS, predicateType: TYPE, predicate: "0" })).slice(0, -2);
    fc.assert(
      fc.property(texts, (predicate) => {
        const statement = expectNoOtherError(() =>
          decode(buildStatement({ subjects: SUBJECTS, predicateType: TYPE, predicate })),
        );
        if (statement === undefined) return;
        const { predicate: held, ...rest } = JSON.parse(statement) as { predicate: unknown };
        expect(held).toEqual(JSON.parse(predicate));
        expect(rest).toEqual(JSON.parse(`${head}null}`.replace(',"predicate":null', "")));
      }),
      SAMPLE,
    );
  });
});
