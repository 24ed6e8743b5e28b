import { describe, expect, test } from "vitest";
import { defaultCryptoProvider } from "../../src/crypto/provider.ts";
import { SigstoreError } from "../../src/errors.ts";
import { change, type Json } from "../support/json-edits.ts";
import { base64, utf8 } from "../support/logs.ts";
import { failedChecks, outcomeOf, refusal } from "../support/outcome.ts";
import { ISSUER, listCtLog, makeCtLog, signerKeys } from "../support/sandbox/authorities.ts";
import {
  ALICE_SIGNED,
  ARTIFACT,
  bundleFrom,
  edited,
  makeSandbox,
  PREDICATE_TYPE,
  statementAbout,
  verifyIn,
  type BundleOptions,
  type Demand,
} from "../support/sandbox/sandbox.ts";

const sandbox = makeSandbox();
const { rekor1, rekor2, ctLog } = sandbox;
const outcome = (options: BundleOptions, demand?: Demand): ReturnType<typeof outcomeOf> =>
  outcomeOf(verifyIn(sandbox, bundleFrom(sandbox, options), demand));

const good = statementAbout(ARTIFACT);
const text = JSON.stringify(good);

describe("checklist 6: error path", () => {
  describe("a payload that cannot be read is a refusal, however well it is signed", () => {
    const PAYLOADS = [
      ["no JSON", "hello", "STATEMENT_MALFORMED"],
      ["JSON that ends early", text.slice(0, -1), "STATEMENT_MALFORMED"],
      ["JSON with more behind it", `${text}{}`, "STATEMENT_MALFORMED"],
      ["JSON with a byte order mark", `\ufeff${text}`, "STATEMENT_MALFORMED"],
      ["a list", `[${text}]`, "STATEMENT_MALFORMED"],
      ["text", JSON.stringify(text), "STATEMENT_MALFORMED"],
      ["null", "null", "STATEMENT_MALFORMED"],
      [
        "another kind of statement",
        JSON.stringify({ ...good, _type: "https://in-toto.io/Statement/v2" }),
        "STATEMENT_MALFORMED",
      ],
      ["no kind of statement", JSON.stringify({ ...good, _type: undefined }), "STATEMENT_MALFORMED"],
      ["a subject that is no list", JSON.stringify({ ...good, subject: { digest: {} } }), "STATEMENT_MALFORMED"],
      ["a predicate type that is a number", JSON.stringify({ ...good, predicateType: 1 }), "STATEMENT_MALFORMED"],
      ["a digest that is too short", text.replace(/"[0-9a-f]{64}"/, '"00"'), "STATEMENT_MALFORMED"],
      ["two subjects under one key", text.replace('"subject"', '"subject":[],"subject"'), "JSON_DUPLICATE_KEY"],
      ["two digests under one key", text.replace('"sha256"', '"sha256":"00","sha256"'), "JSON_DUPLICATE_KEY"],
      [
        "two predicate types",
        text.replace('"predicateType"', '"predicateType":"x","predicateType"'),
        "JSON_DUPLICATE_KEY",
      ],
    ] as const;

    test.each(PAYLOADS)("%s", async (_, statement, code) => {
      expect(await outcome({ statement })).toBe(code);
      expect(await outcome({ statement }, { artifact: "unsafe-any" }), "where no artifact is compared").toBe(code);
      expect(
        await outcome({ statement }, { policy: { ...ALICE_SIGNED, predicateType: PREDICATE_TYPE } }),
        "where a type is asked for",
      ).toBe(code);
    });

    test.each([
      "application/json",
      "application/vnd.in-toto+json;x",
      "application/vnd.in-toto+JSON",
      "application/vnd.in-toto",
      "text/plain",
      " ",
    ])("payload type %j", async (payloadType) => {
      expect(await outcome({ statement: good, payloadType })).toBe("PAYLOAD_TYPE_MISMATCH");
      expect(await outcome({ statement: good, payloadType }, { artifact: "unsafe-any" })).toBe("PAYLOAD_TYPE_MISMATCH");
    });

    test("the same payload under another type is not what was signed", async () => {
      const bundle = edited(bundleFrom(sandbox, { statement: good, payloadType: "text/plain" }), (json) =>
        change(json, "dsseEnvelope.payloadType", "application/vnd.in-toto+json"),
      );
      expect(await outcomeOf(verifyIn(sandbox, bundle))).toBe("SIGNATURE_INVALID");
    });
  });

  describe("one that is wrong is not passed over for one that is right, in either order", () => {
    const bothOrders = async (first: BundleOptions, second: BundleOptions): Promise<readonly string[]> => [
      await outcome(first),
      await outcome(second),
    ];

    test("timestamps", async () => {
      const [wrong, right] = [{ data: ARTIFACT }, {}];
      const codes = await bothOrders({ timestamps: [wrong, right] }, { timestamps: [right, wrong] });
      expect(codes).toEqual(["TIMESTAMP_IMPRINT_MISMATCH", "TIMESTAMP_IMPRINT_MISMATCH"]);
    });

    test("timestamps that cannot be read", async () => {
      const bundle = bundleFrom(sandbox, { timestamps: [{}] });
      const path = "verificationMaterial.timestampVerificationData.rfc3161Timestamps";
      const token = (
        bundle.json as { verificationMaterial: { timestampVerificationData: { rfc3161Timestamps: Json[] } } }
      ).verificationMaterial.timestampVerificationData.rfc3161Timestamps[0];
      const garbage = { signedTimestamp: base64(utf8("no token")) };
      for (const list of [
        [garbage, token],
        [token, garbage],
      ]) {
        expect(
          await outcomeOf(
            verifyIn(
              sandbox,
              edited(bundle, (json) => change(json, path, list)),
            ),
          ),
        ).toMatch(/^(TIMESTAMP|DER)_MALFORMED$/);
      }
    });

    test("log entries about something else", async () => {
      const wrong = { log: rekor1, body: (body: Json) => change(body, "spec.data.hash.value", "00".repeat(32)) };
      const right = { log: rekor2 };
      expect(await bothOrders({ entries: [wrong, right] }, { entries: [right, wrong] })).toEqual([
        "TLOG_ENTRY_MISMATCH",
        "TLOG_ENTRY_MISMATCH",
      ]);
    });

    test("log entries of a kind that is not known", async () => {
      const wrong = {
        log: rekor1,
        entry: (entry: object) => ({ ...entry, kindVersion: { kind: "helm", version: "0.0.1" } }) as never,
      };
      const right = { log: rekor2 };
      const codes = await bothOrders({ entries: [wrong, right] }, { entries: [right, wrong] });
      expect(codes).toEqual(["TLOG_ENTRY_KIND_UNSUPPORTED", "TLOG_ENTRY_KIND_UNSUPPORTED"]);
    });

    test("log entries whose body cannot be read", async () => {
      const wrong = { log: rekor1, body: () => ({ kind: "hashedrekord", apiVersion: "0.0.1" }) };
      const right = { log: rekor2 };
      expect(await bothOrders({ entries: [wrong, right] }, { entries: [right, wrong] })).toEqual([
        "TLOG_ENTRY_MALFORMED",
        "TLOG_ENTRY_MALFORMED",
      ]);
    });

    test("SCTs", async () => {
      const impostor = { keys: signerKeys(), logId: ctLog.logId };
      const certified = (...ctLogs: readonly (typeof ctLog)[]): BundleOptions => ({ signer: { request: { ctLogs } } });
      expect(await bothOrders(certified(impostor, ctLog), certified(ctLog, impostor))).toEqual([
        "SCT_INVALID",
        "SCT_INVALID",
      ]);
    });
  });

  describe("one that is not the right one is passed over for the next", () => {
    test("keys of the caller", async () => {
      const bundle = bundleFrom(sandbox, { signer: { keys: signerKeys() } });
      const strangers = (["p256", "p384", "rsa", "ed25519"] as const).map((kind) => ({
        publicKey: bundleFrom(sandbox, { signer: { keys: signerKeys(kind) }, entries: [], timestamps: [] }).publicKey,
      }));
      const ask = (...keys: readonly object[]): Promise<string> =>
        outcomeOf(verifyIn(sandbox, bundle, { policy: { keys: keys as never } }));
      expect(await ask(...strangers, { publicKey: bundle.publicKey })).toBe("accepted");
      expect(await ask({ publicKey: bundle.publicKey }, ...strangers)).toBe("accepted");
      expect(await ask(...strangers)).toBe("SIGNATURE_INVALID");
    });

    test("certificate transparency logs that share an id", async () => {
      const other = { ...makeCtLog(), logId: ctLog.logId };
      const lists = [
        [listCtLog(other), listCtLog(ctLog)],
        [listCtLog(ctLog), listCtLog(other)],
      ];
      for (const ctlogs of lists) expect(await outcome({}, { root: { ctlogs } })).toBe("accepted");
      expect(await outcome({}, { root: { ctlogs: [listCtLog(other)] } })).toBe("SCT_INVALID");
    });
  });

  describe("a fault of ours, or of what was passed in, is no acceptance", () => {
    const crypto = defaultCryptoProvider();
    const fault = new Error("out of memory");

    test.each(["digest", "verify"] as const)("of the crypto provider's %s", async (method) => {
      const broken = { ...crypto, [method]: () => Promise.reject(fault) };
      await expect(verifyIn(sandbox, bundleFrom(sandbox), { options: { crypto: broken } })).rejects.toBe(fault);
    });

    test("of the deny list", async () => {
      const denyList = (): never => {
        throw fault;
      };
      await expect(verifyIn(sandbox, bundleFrom(sandbox), { options: { denyList } })).rejects.toBe(fault);
    });

    test("of the pattern", async () => {
      const test = (): never => {
        throw fault;
      };
      const policy = {
        identity: {
          subjectAlternativeName: { kind: "pattern", description: "x", anchored: true, test },
          issuer: ISSUER,
        },
      } as const;
      await expect(verifyIn(sandbox, bundleFrom(sandbox), { policy })).rejects.toBe(fault);
      expect(fault).not.toHaveProperty("report"); // it is no outcome of a check
    });

    test("of the artifact's stream, even after its last byte", async () => {
      const stream = async function* (): AsyncGenerator<Uint8Array> {
        yield ARTIFACT;
        throw fault;
      };
      const error = await refusal(verifyIn(sandbox, bundleFrom(sandbox), { artifact: stream() }));
      expect({ code: error.code, cause: error.cause }).toEqual({ code: "ARTIFACT_UNREADABLE", cause: fault });
      expect(await outcome({ statement: good }, { artifact: stream() })).toBe("ARTIFACT_UNREADABLE");
    });
  });

  describe("a refusal", () => {
    test("lists every failure, with checks that do not depend on it", async () => {
      const error = await refusal(
        verifyIn(
          sandbox,
          bundleFrom(sandbox, { timestamps: [{ data: ARTIFACT }], signer: { request: { ctLogs: [] } } }),
          {
            policy: { identity: { subjectAlternativeName: "bob@example.com", issuer: ISSUER } },
            artifact: utf8("another artifact"),
          },
        ),
      );
      expect(error).toBeInstanceOf(SigstoreError);
      expect(failedChecks(error)).toEqual([
        "timestamp[0]: TIMESTAMP_IMPRINT_MISMATCH",
        "sct.threshold: SCT_THRESHOLD_NOT_MET",
        "identity.subject-alternative-name: IDENTITY_MISMATCH",
        "tlog[0].body: TLOG_ENTRY_MISMATCH",
        "artifact.digest: ARTIFACT_DIGEST_MISMATCH",
        "signature: SIGNATURE_INVALID",
      ]);
      const passed = error.report?.filter(({ outcome }) => outcome === "passed").map(({ name }) => name);
      expect(passed).toEqual(
        expect.arrayContaining([
          "tlog[0].inclusion-proof",
          "tlog[0].inclusion-promise",
          "certificate.path",
          "identity.issuer",
        ]),
      );
    });

    test("says which checks were not reached", async () => {
      const error = await refusal(
        verifyIn(sandbox, bundleFrom(sandbox), { policy: { keys: [{ publicKey: bundleFrom(sandbox).publicKey }] } }),
      );
      expect(failedChecks(error)).toEqual(["signer.kind: SIGNER_KIND_MISMATCH"]);
      const notReached = error.report?.filter(({ outcome }) => outcome === "not-reached").map(({ name }) => name);
      expect(notReached).toEqual(["tlog[0].body", "signature"]);
    });
  });
});
