import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatReference, isTag, parseReference } from "../../src/oci/reference.ts";
import { anyText, expectNoOtherError, SAMPLE } from "../support/hostile.ts";

const SHA256 = `sha256:${"0123456789abcdef".repeat(4)}`;
const SHA512 = `sha512:${"0123456789abcdef".repeat(8)}`;

describe("parseReference (distribution/reference, Grammar)", () => {
  /** With the defaults of Docker Hub as go-containerregistry writes them out: `crane` names images so. */
  test.for([
    ["ubuntu", "index.docker.io", "library/ubuntu", "latest", undefined],
    ["ubuntu:24.04", "index.docker.io", "library/ubuntu", "24.04", undefined],
    ["bitnami/redis", "index.docker.io", "bitnami/redis", "latest", undefined],
    ["docker.io/ubuntu", "index.docker.io", "library/ubuntu", "latest", undefined],
    ["registry-1.docker.io/library/ubuntu", "index.docker.io", "library/ubuntu", "latest", undefined],
    ["ghcr.io/owner/app:v1", "ghcr.io", "owner/app", "v1", undefined],
    ["GHCR.io/owner/app:V1", "ghcr.io", "owner/app", "V1", undefined],
    [`ghcr.io/owner/app@${SHA256}`, "ghcr.io", "owner/app", undefined, SHA256],
    [`ghcr.io/owner/app:v1@${SHA512}`, "ghcr.io", "owner/app", "v1", SHA512],
    ["localhost/app", "localhost", "app", "latest", undefined],
    ["localhost:5000/a/b__c/d-e.f:x_Y.z-1", "localhost:5000", "a/b__c/d-e.f", "x_Y.z-1", undefined],
    ["127.0.0.1:5000/app", "127.0.0.1:5000", "app", "latest", undefined],
    ["[::1]:5000/app:v1", "[::1]:5000", "app", "v1", undefined],
    ["host:443/app", "host:443", "app", "latest", undefined],
    ["app:5000", "index.docker.io", "library/app", "5000", undefined],
  ] as const)("reads %s", ([text, registry, repository, tag, digest]) => {
    expect(parseReference(text)).toEqual({
      registry,
      repository,
      ...(tag !== undefined && { tag }),
      ...(digest !== undefined && { digest }),
    });
  });

  test.for([
    ["nothing", ""],
    ["a tag alone", ":v1"],
    ["a host alone", "ghcr.io/"],
    ["a path that goes up", "ghcr.io/../app"],
    ["an empty part", "ghcr.io/a//b"],
    ["a slash at the end", "ghcr.io/app/"],
    ["capital letters in the name", "ghcr.io/Owner/app"],
    ["a space", "ghcr.io/owner/app v1"],
    ["a query", "ghcr.io/app?x=y"],
    ["a percent sign", "ghcr.io/a%2fb"],
    ["a backslash", "ghcr.io\\app/b"],
    ["three underscores", "ghcr.io/a___b"],
    ["two dots", "ghcr.io/a..b"],
    ["a tag that begins with a dot", "ghcr.io/app:.v1"],
    ["an empty tag", "ghcr.io/app:"],
    ["two tags", "ghcr.io/app:v1:v2"],
    ["a tag of 129 characters", `ghcr.io/app:${"a".repeat(129)}`],
    ["a name of 256 characters", `ghcr.io/${"a".repeat(256)}`],
    ["an empty digest", "ghcr.io/app@"],
    ["a digest with capital letters", `ghcr.io/app@${SHA256.toUpperCase()}`],
    ["a digest that is too short", `ghcr.io/app@${SHA256.slice(0, -1)}`],
    ["a digest of a hash that is not known", `ghcr.io/app@md5:${"0".repeat(32)}`],
    ["two digests", `ghcr.io/app@${SHA256}@${SHA256}`],
    ["a URL", "https://ghcr.io/owner/app"],
    ["port 0", "host:0/app"],
    ["port 65536", "host:65536/app"],
    ["no port", "host:/app"],
    ["numbers that are no address", "1.2.3.256/app"],
    ["colons that are no address", "[:::::]:5000/app"],
    ["a host that ends in a hyphen", "host-.example/app"],
    ["more than anybody writes", `${"a.".repeat(600)}example/app`],
  ] as const)("refuses %s", ([, text]) => {
    expect(() => parseReference(text)).toThrow(
      expect.objectContaining({ name: "InputError", code: "REFERENCE_MALFORMED" }),
    );
  });

  test.for([`user:pass-word@ghcr.io/app`, `https://user:pass-word@ghcr.io/app`, `https://ghcr.io/app?token=pass-word`])(
    "does not repeat the password in %s",
    (text) => {
      expect(() => parseReference(text)).toThrow(expect.objectContaining({ code: "REFERENCE_MALFORMED" }));
      expect(() => parseReference(text)).not.toThrow("pass-word");
    },
  );

  test("takes a name of 255 characters, and a tag of 128", () => {
    const text = `ghcr.io/${"a".repeat(255)}:${"t".repeat(128)}`;
    expect(formatReference(parseReference(text))).toBe(text);
    expect([isTag("t".repeat(128)), isTag("t".repeat(129)), isTag("")]).toEqual([true, false, false]);
  });

  test("reads what it writes, and fails in no other way", () => {
    const part = fc.string({ unit: fc.constantFrom(..."aZ0.-_:/@%[]".split(""), SHA256, "localhost"), maxLength: 12 });
    fc.assert(
      fc.property(fc.oneof(part, anyText({ maxLength: 30 })), (text) => {
        const reference = expectNoOtherError(() => parseReference(text));
        if (reference === undefined) return;
        expect(parseReference(formatReference(reference))).toEqual(reference);
        // What is not refused can be asked for.
        expect(URL.canParse(`https://${reference.registry}/v2/${reference.repository}/`)).toBe(true);
        expect(new URL(`https://${reference.registry}/v2/${reference.repository}/`).pathname).toBe(
          `/v2/${reference.repository}/`,
        );
      }),
      { ...SAMPLE, numRuns: 2000 },
    );
  });
});
