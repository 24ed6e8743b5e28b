import { describe, expect, test } from "vitest";
import { parseChallenges } from "../../../src/oci/registry/challenge.ts";

const parse = (header: string): readonly (readonly [string, Readonly<Record<string, string>>])[] =>
  parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);

describe("parseChallenges", () => {
  test("reads the example of the specification: RFC 9110 §11.6.1", () => {
    const header = String.raw`Basic realm="simple", Newauth realm="apps", type=1, title="Login to \"apps\""`;
    expect(parse(header)).toEqual([
      ["basic", { realm: "simple" }],
      ["newauth", { realm: "apps", type: "1", title: 'Login to "apps"' }],
    ]);
  });

  test("reads the example of registries: distribution docs/content/spec/auth/token.md", () => {
    const header =
      'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:samalba/my-app:pull,push"';
    expect(parse(header)).toEqual([
      [
        "bearer",
        {
          realm: "https://auth.docker.io/token",
          service: "registry.docker.io",
          scope: "repository:samalba/my-app:pull,push",
        },
      ],
    ]);
  });

  test.for<readonly [string, ReturnType<typeof parse>]>([
    ["", []],
    ["Basic", [["basic", {}]]],
    ["BASIC Realm = x", [["basic", { realm: "x" }]]],
    [", ,Basic realm=x,, ,", [["basic", { realm: "x" }]]],
    // The first counts.
    ['Bearer realm="https://a", realm="https://b"', [["bearer", { realm: "https://a" }]]],
    // What cannot be read ends the list.
    ['Basic realm="x", Bearer realm="https://a', [["basic", { realm: "x" }], ["bearer", {}]]], // prettier-ignore
    ['Basic realm="x" "', [["basic", { realm: "x" }]]],
    ["=x Basic realm=x", []],
    ['Basic realm="\\', [["basic", {}]]],
  ])("reads %j", ([header, expected]) => {
    expect(parse(header)).toEqual(expected);
  });

  test("reads no more than could be meant, in little time", () => {
    expect(parse(`${"a ".repeat(500_000)}Basic realm=x`).at(-1)?.[0]).toBe("a");
    expect(parse(`Basic realm="${"\\".repeat(1_000_000)}`)).toEqual([["basic", {}]]);
  });
});
