import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parseBundleCandidates } from "../../src/bundle/bundle-candidates.ts";
import { MAX_BUNDLES } from "../../src/limits.ts";
import { utf8 } from "../support/logs.ts";
import { realBundle, realPath } from "../support/real.ts";

const [first, second] = [realBundle("a/attestation-v1-email"), realBundle("a/attestation-v2-github")];
const line = (json: unknown): string => JSON.stringify(json);
const outcomes = (text: string): readonly (readonly [string, string])[] =>
  parseBundleCandidates(utf8(text)).map((one) => [
    one.position,
    one.kind === "bundle" ? one.bundle.verificationMaterial.content.kind : one.error.code,
  ]);
const codeOf = (text: string): unknown => {
  try {
    return outcomes(text);
  } catch (error) {
    return (error as { readonly code: unknown }).code;
  }
};

describe("parseBundleCandidates", () => {
  test.for([
    ["two lines", `${line(first)}\n${line(second)}`],
    ["two lines, the last with its end", `${line(first)}\n${line(second)}\n`],
    ["two lines that end as on Windows", `${line(first)}\r\n${line(second)}\r\n`],
    ["two lines with a space behind", `${line(first)} \n${line(second)}`],
  ] as const)("reads JSON Lines: %s", ([, text]) => {
    expect(outcomes(text)).toEqual([
      ["line 1", "certificate"],
      ["line 2", "certificate"],
    ]);
  });

  test("numbers lines as an editor does, empty ones too", () => {
    expect(outcomes(`\n${line(first)}\n\n \n${line(second)}\n\n`).map(([position]) => position)).toEqual([
      "line 2",
      "line 5",
    ]);
  });

  test("reads GitHub's answer, whatever stands beside the bundle and in whichever order", () => {
    const item = { bundle: first, repository_id: 1, bundle_url: "https://example.com/x", initiator: "user" };
    const answer = { total_count: 2, attestations: [item, { ...item, bundle: second }] };
    expect(outcomes(JSON.stringify(answer, undefined, 2))).toEqual([
      ["attestations[0]", "certificate"],
      ["attestations[1]", "certificate"],
    ]);
  });

  test("reads npm's answer, and believes nothing of what is not signed", () => {
    const answer = { attestations: [{ predicateType: "https://slsa.dev/provenance/v1", bundle: first }] };
    expect(outcomes(line(answer))).toEqual([["attestations[0]", "certificate"]]);
  });

  test("reads arrays, of bundles and of what gh attestation verify prints", () => {
    const printed = [{ attestation: { bundle: first }, verificationResult: { mediaType: "whatever" } }];
    expect(outcomes(line(printed))).toEqual([["item[0]", "certificate"]]);
    expect(outcomes(line([first, second]))).toEqual([
      ["item[0]", "certificate"],
      ["item[1]", "certificate"],
    ]);
  });

  test("reads one bundle, on one line and on many", () => {
    const path = realPath("a/attestation-v1-email.sigstore.json");
    expect(outcomes(readFileSync(path, "utf8"))).toEqual([["", "certificate"]]);
    expect(outcomes(`${line(first)}\n`)).toEqual([["", "certificate"]]);
    expect(outcomes(JSON.stringify(first, undefined, 2))).toEqual([["", "certificate"]]);
  });

  test("keeps what can be read beside what cannot", () => {
    const unknown = { ...(first as object), mediaType: "application/vnd.dev.sigstore.bundle.v9+json" };
    expect(outcomes([line(unknown), `{"mediaType":}`, line(first)].join("\n"))).toEqual([
      ["line 1", "BUNDLE_MEDIA_TYPE_UNSUPPORTED"],
      ["line 2", "BUNDLE_MALFORMED"],
      ["line 3", "certificate"],
    ]);
    const list = [
      { bundle: null, bundle_url: "https://example.com/x?sig=secret" },
      null,
      1,
      { bundle: [] },
      { bundle: first },
    ];
    expect(outcomes(line({ attestations: list })).map(([, outcome]) => outcome)).toEqual([
      "BUNDLE_MALFORMED",
      "BUNDLE_MALFORMED",
      "BUNDLE_MALFORMED",
      "BUNDLE_MALFORMED",
      "certificate",
    ]);
  });

  test("fetches nothing, and says so without the address", () => {
    const text = line({ attestations: [{ bundle: null, bundle_url: "https://example.com/x?sig=secret" }] });
    const [only] = parseBundleCandidates(utf8(text));
    const error = only.kind === "unreadable" ? only.error : undefined;
    expect(error?.found).toMatch(/address alone/);
    expect(JSON.stringify([error?.message, error?.found, error?.remedy])).not.toContain("example.com");
  });

  test.for([
    ["an empty list of GitHub", `{"attestations":[]}`, "ATTESTATION_NOT_FOUND"],
    ["an empty array", "[]", "ATTESTATION_NOT_FOUND"],
    ["attestations that are no list", `{"attestations":{}}`, "BUNDLE_MALFORMED"],
    ["attestations that are null", `{"attestations":null}`, "BUNDLE_MALFORMED"],
    ["a key twice around the list", `{"attestations":[],"attestations":[]}`, "JSON_DUPLICATE_KEY"],
    ["nothing", "", "BUNDLE_MALFORMED"],
    ["a line that is no object", `x\n${line(first)}`, "BUNDLE_MALFORMED"],
  ] as const)("refuses %s", ([, text, code]) => {
    expect(codeOf(text)).toBe(code);
  });

  test("has a limit, and takes as many as that", () => {
    const many = (count: number, around: (items: string) => string, separator: string): unknown =>
      codeOf(around(Array.from({ length: count }, () => "{}").join(separator)));
    for (const [around, separator] of [
      [(items: string) => items, "\n"],
      [(items: string) => `[${items}]`, ","],
      [(items: string) => `{"attestations":[${items}]}`, ","],
    ] as const) {
      expect(many(MAX_BUNDLES, around, separator)).toHaveLength(MAX_BUNDLES);
      expect(many(MAX_BUNDLES + 1, around, separator)).toBe("LIMIT_EXCEEDED");
    }
  });
});
