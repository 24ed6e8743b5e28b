import { expect, test } from "vitest";
import { nearest } from "../../src/cli/suggestion.ts";

const WORDS = ["verify-blob", "verify-blob-attestation", "bundle inspect", "env"];

test.each([
  ["verify-blb", "verify-blob"],
  ["verifyblob", "verify-blob"],
  ["verfiy-blob", "verify-blob"],
  ["attestation", "verify-blob-attestation"],
  ["inspect", "bundle inspect"],
  ["enf", "env"],
  ["frobnicate", undefined],
  ["e", undefined],
  ["", undefined],
])("nearest to %j is %j", (written, word) => {
  expect(nearest(written, WORDS)).toBe(word);
});
