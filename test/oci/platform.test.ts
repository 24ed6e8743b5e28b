import { describe, expect, test } from "vitest";

import { formatPlatform, matchesPlatform, parsePlatform } from "../../src/oci/platform.ts";

describe("parsePlatform", () => {
  test.for([
    ["linux/amd64", { os: "linux", architecture: "amd64" }],
    ["linux/arm64/v8", { os: "linux", architecture: "arm64", variant: "v8" }],
    ["windows/amd64:10.0.20348.2113", { os: "windows", architecture: "amd64", osVersion: "10.0.20348.2113" }],
    ["linux/arm/v7:1.0", { os: "linux", architecture: "arm", variant: "v7", osVersion: "1.0" }],
  ] as const)("reads %s, which formatPlatform writes", ([text, platform]) => {
    expect(parsePlatform(text)).toEqual(platform);
    expect(formatPlatform(platform)).toBe(text);
  });

  test.for([
    "",
    "linux",
    "linux/",
    "/amd64",
    "linux/amd64/",
    "linux/amd64/v1/x",
    "linux/amd64:",
    "linux/amd64:1:2",
    "linux /amd64",
    "*",
  ])("rejects %j", (text) => {
    expect(() => parsePlatform(text)).toThrow(expect.objectContaining({ code: "USAGE_INVALID" }));
  });
});

// Expected values by containerd/platforms database.go and platforms.go, `Normalize`.
describe("matchesPlatform", () => {
  test.for([
    ["linux/amd64", "linux/amd64"],
    ["linux/amd64", "linux/x86_64"],
    ["linux/amd64", "linux/x86-64"],
    ["linux/amd64", "Linux/AMD64"],
    ["linux/amd64/v1", "linux/amd64"],
    ["linux/amd64", "linux/amd64/v1"],
    ["linux/386", "linux/i386"],
    ["linux/arm64", "linux/aarch64"],
    ["linux/arm64", "linux/arm64/v8"],
    ["linux/arm64/v8", "linux/arm64"],
    ["linux/arm64/8", "linux/arm64/v8"],
    ["linux/arm/7", "linux/arm/v7"],
    ["linux/arm/v7", "linux/armhf"],
    ["linux/arm/v6", "linux/armel"],
    ["linux/arm/v6", "linux/arm"],
    ["darwin/arm64", "macos/arm64"],
    ["windows/amd64:10.0.1", "windows/amd64"],
    ["windows/amd64:10.0.1", "windows/amd64:10.0.1"],
  ] as const)("takes %s for %s", ([found, asked]) => {
    expect(matchesPlatform(parsePlatform(found), parsePlatform(asked))).toBe(true);
  });

  test.for([
    ["linux/amd64", "windows/amd64"],
    ["linux/amd64", "linux/arm64"],
    ["linux/amd64", "linux/amd64/v3"],
    ["linux/arm64/v9", "linux/arm64"],
    ["linux/arm/v6", "linux/arm/v7"],
    ["linux/arm", "linux/arm64"],
    ["windows/amd64:10.0.1", "windows/amd64:10.0.2"],
    ["windows/amd64", "windows/amd64:10.0.2"],
    ["unknown/unknown", "linux/amd64"],
  ] as const)("does not take %s for %s", ([found, asked]) => {
    expect(matchesPlatform(parsePlatform(found), parsePlatform(asked))).toBe(false);
  });
});
