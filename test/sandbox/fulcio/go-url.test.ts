import { describe, expect, test } from "vitest";
import { joinUrl, normalizeUrl, schemeAndHost, UrlRefusal } from "../../../src/sandbox/fulcio/go-url.ts";

// Expected values are what a program of Go 1.26 printed for these inputs.
describe("joinUrl (Go net/url, URL.JoinPath)", () => {
  test.for([
    [["acme/app"], "https://h/acme/app"],
    [["acme/app", "actions/runs", "42", "attempts", "1"], "https://h/acme/app/actions/runs/42/attempts/1"],
    [["acme/app", "/-/jobs/", "10"], "https://h/acme/app/-/jobs/10"],
    [["acme//app/"], "https://h/acme/app/"],
    [["a/../../b"], "https://h/b"],
    [["a/", ""], "https://h/a"],
    [[""], "https://h/"],
    [["a b"], "https://h/a%20b"],
    [["a%20b"], "https://h/a%20b"],
    [["a%20b c"], "https://h/a%20b%20c"],
    [["100%"], "https://h/"],
    [["ü"], "https://h/%C3%BC"],
    [["a?b#c"], "https://h/a%3Fb%23c"],
    [["x/(y)[1]!*'@v1"], "https://h/x/(y)[1]!*'@v1"],
    [["(y) z"], "https://h/%28y%29%20z"],
  ] as const)("joins %j", ([elements, expected]) => {
    expect(joinUrl("https://h", ...elements)).toBe(expected);
  });
});

describe("normalizeUrl (Go net/url, Parse and String)", () => {
  test.for([
    [
      "gitlab.com/acme/app//.gitlab-ci.yml@refs/heads/main",
      "https://gitlab.com/acme/app//.gitlab-ci.yml@refs/heads/main",
    ],
    ["http://gitlab.com/a b", "https://gitlab.com/a%20b"],
    ["//gitlab.com/a", "https://gitlab.com/a"],
    ["/a", "https:///a"],
    ["a?b=c d#e", "https://a?b=c d#e"],
    ["mailto:x", "https:x"],
    ["", "https:"],
  ] as const)("writes %j with a scheme", ([text, expected]) => {
    expect(normalizeUrl(text, "https")).toBe(expected);
  });

  test.for([
    ["HTTPS://Example.com/ü", "https://Example.com/%C3%BC"],
    ["spiffe://example.org/a", "spiffe://example.org/a"],
    ["https://example.com", "https://example.com"],
    ["file:/a", "file:/a"],
  ] as const)("writes %j", ([text, expected]) => {
    expect(normalizeUrl(text)).toBe(expected);
  });

  test.for(["a:b/c:1", "1:b/c", "a/\u0000", "a/%zz"])("refuses %j, or what Go refuses of it", (text) => {
    const write = (): string => normalizeUrl(text, "https");
    if (text === "a:b/c:1") expect(write()).toBe("https:b/c:1");
    else expect(write).toThrow(UrlRefusal);
  });
});

describe("schemeAndHost (Go net/url, URL.Hostname)", () => {
  test.for([
    ["https://example.com:8443/a", "https", "example.com"],
    ["https://user@example.com/", "https", "example.com"],
    ["https://example.com@evil/", "https", "evil"],
    ["http://[::1]:80/", "http", "::1"],
    ["example.com/a", "", ""],
  ] as const)("reads %s", ([text, scheme, host]) => {
    expect(schemeAndHost(text)).toEqual({ scheme, host });
  });
});
