import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { Verifier } from "../../src/verify/verifier.ts";
import { utf8 } from "../support/logs.ts";
import { outcomeOf } from "../support/outcome.ts";
import { REAL_ROOTS, realBytes, realCase, realPolicy } from "../support/real.ts";
import {
  ARTIFACT,
  bundleFrom,
  makeSandbox,
  statementAbout,
  verifyIn,
  type Demand,
} from "../support/sandbox/sandbox.ts";

const sandbox = makeSandbox();
const other = utf8("another artifact");
const hex = (algorithm: string, data: Uint8Array): string => createHash(algorithm).update(data).digest("hex");
const bytes = (
  algorithm: "sha256" | "sha384" | "sha512",
  data: Uint8Array,
): { algorithm: typeof algorithm; value: Uint8Array } => ({
  algorithm,
  value: new Uint8Array(Buffer.from(hex(algorithm, data), "hex")),
});

type Subject = { readonly name?: string; readonly digest: Readonly<Record<string, string>> };
const about = (...subject: readonly Subject[]): object => ({ ...statementAbout(), subject });
const ask = (subjects: readonly Subject[], demand?: Demand): ReturnType<typeof outcomeOf> =>
  outcomeOf(verifyIn(sandbox, bundleFrom(sandbox, { statement: about(...subjects) as never }), demand));

const own: Subject = { name: "own", digest: { sha256: hex("sha256", ARTIFACT) } };
const foreign: Subject = { name: "foreign", digest: { sha256: hex("sha256", other) } };
const third: Subject = { name: "third", digest: { sha512: hex("sha512", utf8("a third artifact")) } };

describe("checklist 15: subjects", () => {
  describe("of several, one that is the artifact is enough, wherever it stands", () => {
    test.each([
      ["first", [own, foreign, third]],
      ["in the middle", [foreign, own, third]],
      ["last", [third, foreign, own]],
      ["alone", [own]],
      ["twice", [own, foreign, own]],
    ])("%s", async (_, subjects) => {
      expect(await ask(subjects)).toBe("accepted");
      expect(await ask(subjects, { artifact: utf8("none of them") })).toBe("SUBJECT_MISMATCH");
    });

    test("the evidence names the one that is", async () => {
      const statement = about(foreign, own, third);
      const { content } = await verifyIn(sandbox, bundleFrom(sandbox, { statement: statement as never }));
      expect(content).toMatchObject({ subject: { subject: own, digest: bytes("sha256", ARTIFACT) } });
    });

    test("each of them is a subject of its own", async () => {
      for (const artifact of [ARTIFACT, other]) expect(await ask([own, foreign], { artifact })).toBe("accepted");
    });
  });

  describe("an algorithm that binds", () => {
    test.each(["sha256", "sha384", "sha512"] as const)("%s alone", async (algorithm) => {
      const subject = { digest: { [algorithm]: hex(algorithm, ARTIFACT) } };
      expect(await ask([subject])).toBe("accepted");
      expect(await ask([subject], { artifact: other })).toBe("SUBJECT_MISMATCH");
      expect(await ask([subject], { artifact: { digests: [bytes(algorithm, ARTIFACT)] } })).toBe("accepted");
      expect(await ask([subject], { artifact: { digests: [bytes(algorithm, other)] } })).toBe("SUBJECT_MISMATCH");
    });

    test("in upper case", async () => {
      expect(await ask([{ digest: { sha256: hex("sha256", ARTIFACT).toUpperCase() } }])).toBe("accepted");
    });

    test("beside others that do not bind", async () => {
      expect(await ask([{ digest: { sha1: "00", gitCommit: "x", sha256: hex("sha256", ARTIFACT) } }])).toBe("accepted");
    });

    test("given by a digest in another algorithm is an error of its own", async () => {
      const subject = { digest: { sha512: hex("sha512", ARTIFACT) } };
      expect(await ask([subject], { artifact: { digests: [bytes("sha256", ARTIFACT)] } })).toBe(
        "DIGEST_ALGORITHM_MISMATCH",
      );
      expect(await ask([own], { artifact: { digests: [bytes("sha512", ARTIFACT)] } })).toBe(
        "DIGEST_ALGORITHM_MISMATCH",
      );
      expect(
        await ask([own, subject], { artifact: { digests: [bytes("sha384", ARTIFACT), bytes("sha512", ARTIFACT)] } }),
      ).toBe("accepted");
    });
  });

  describe("what does not bind", () => {
    test.each([
      ["sha1", hex("sha1", ARTIFACT)],
      ["md5", hex("md5", ARTIFACT)],
      ["gitCommit", hex("sha1", ARTIFACT)],
      ["dirHash", "h1:AAAA"],
      ["sha3-256", hex("sha3-256", ARTIFACT)],
      ["sha512_256", hex("sha512-256", ARTIFACT)],
      ["SHA256", hex("sha256", ARTIFACT)],
      ["sha256 ", hex("sha256", ARTIFACT)],
      ["toString", hex("sha256", ARTIFACT)],
    ])("a digest by %s", async (algorithm, value) => {
      expect(await ask([{ digest: { [algorithm]: value } }])).toBe("SUBJECT_MISMATCH");
    });

    test("a name", async () => {
      expect(
        await ask(
          [
            { ...foreign, name: "own" },
            { ...own, name: "own" },
          ],
          { artifact: utf8("x") },
        ),
      ).toBe("SUBJECT_MISMATCH");
      const { content } = await verifyIn(
        sandbox,
        bundleFrom(sandbox, { statement: about({ ...own, name: "../../etc/passwd" }) as never }),
      );
      expect(content).toMatchObject({ kind: "statement", subject: { subject: { name: "../../etc/passwd" } } });
    });

    test("a digest of one algorithm under the name of another", async () => {
      expect(
        await ask([{ digest: { sha384: hex("sha384", other), sha256: hex("sha512", ARTIFACT).slice(0, 64) } }]),
      ).toBe("SUBJECT_MISMATCH");
    });
  });

  describe("in bundles of cosign", () => {
    const names = ["sha512-only", "sha384-only", "several-subjects", "several-digests", "v0.1"].flatMap((one) => [
      `a/attestation-v1-email-statement-${one}`,
      `a/attestation-v2-email-statement-${one}`,
    ]);

    test.each(names)("%s", async (caseName) => {
      const one = realCase(caseName);
      const verifier = await Verifier.create(REAL_ROOTS.a);
      const verifyAbout = (artifact: string): ReturnType<typeof outcomeOf> =>
        outcomeOf(verifier.verify(realBytes(one.bundle), realBytes(artifact), realPolicy(one)));
      for (const artifact of [one.artifact, ...(one.alsoCovers ?? [])])
        expect(await verifyAbout(artifact), artifact).toBe("accepted");
      for (const artifact of ["keys/p256.pub", "artifacts/empty.txt"])
        expect(await verifyAbout(artifact), artifact).toBe("SUBJECT_MISMATCH");
    });
  });
});
