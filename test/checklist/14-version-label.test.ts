import { describe, expect, test } from "vitest";
import { change, pick, without, type Json } from "../support/json-edits.ts";
import { base64, flip, unbase64 } from "../support/logs.ts";
import { outcomeOf } from "../support/outcome.ts";
import {
  ARTIFACT,
  bundleFrom,
  edited,
  makeSandbox,
  statementAbout,
  verifyIn,
  type SandboxBundle,
} from "../support/sandbox/sandbox.ts";

const sandbox = makeSandbox();
const { rekor1, rekor2 } = sandbox;

/** Every spelling of every version. */
const MEDIA_TYPES = [
  "application/vnd.dev.sigstore.bundle+json;version=0.1",
  "application/vnd.dev.sigstore.bundle+json;version=0.2",
  "application/vnd.dev.sigstore.bundle+json;version=0.3",
  "application/vnd.dev.sigstore.bundle.v0.1+json",
  "application/vnd.dev.sigstore.bundle.v0.2+json",
  "application/vnd.dev.sigstore.bundle.v0.3+json",
];

const labelled = (bundle: SandboxBundle, mediaType: string): SandboxBundle =>
  edited(bundle, (json) => change(json, "mediaType", mediaType));
const ask = (bundle: SandboxBundle): ReturnType<typeof outcomeOf> => outcomeOf(verifyIn(sandbox, bundle));

const ENTRY = "verificationMaterial.tlogEntries.0";
const flipped = (json: Json, path: string): Json => {
  const parent = pick(json, path.slice(0, path.lastIndexOf(".")));
  return change(json, path, base64(flip(unbase64(String(parent[path.slice(path.lastIndexOf(".") + 1)])))));
};
/** Breaks the signature of the log's line. */
const wrongCheckpoint = (json: Json): Json => {
  const path = `${ENTRY}.inclusionProof.checkpoint.envelope`;
  const { envelope } = pick(json, `${ENTRY}.inclusionProof.checkpoint`) as { envelope: string };
  const [text, lines = ""] = envelope.split("\n\n");
  const [dash, name, signature = ""] = lines.trimEnd().split(" ");
  return change(json, path, `${text}\n\n${dash} ${name} ${base64(flip(unbase64(signature)))}\n`);
};

const BUNDLES = {
  "message, Rekor v1": bundleFrom(sandbox),
  "message, Rekor v2": bundleFrom(sandbox, { entries: [{ log: rekor2 }] }),
  "statement, Rekor v1": bundleFrom(sandbox, { statement: statementAbout(ARTIFACT) }),
  "statement, Rekor v2": bundleFrom(sandbox, { statement: statementAbout(ARTIFACT), entries: [{ log: rekor2 }] }),
};

describe("checklist 14: the version label relaxes nothing", () => {
  describe.each(MEDIA_TYPES)("%s", (mediaType) => {
    test.each(Object.entries(BUNDLES))("what holds, holds: %s", async (_, bundle) => {
      expect(await ask(labelled(bundle, mediaType))).toBe("accepted");
    });

    test.each([
      [
        "promise",
        (json: Json) => flipped(json, `${ENTRY}.inclusionPromise.signedEntryTimestamp`),
        "TLOG_INCLUSION_PROMISE_INVALID",
      ],
      ["proof", (json: Json) => flipped(json, `${ENTRY}.inclusionProof.hashes.0`), "TLOG_INCLUSION_PROOF_INVALID"],
      ["root hash", (json: Json) => flipped(json, `${ENTRY}.inclusionProof.rootHash`), "TLOG_INCLUSION_PROOF_INVALID"],
      ["checkpoint", wrongCheckpoint, "CHECKPOINT_SIGNATURE_INVALID"],
      [
        "checkpoint, which is empty",
        (json: Json) => change(json, `${ENTRY}.inclusionProof.checkpoint`, {}),
        "TLOG_INCLUSION_PROOF_INVALID",
      ],
      [
        "timestamp",
        (json: Json) =>
          flipped(json, "verificationMaterial.timestampVerificationData.rfc3161Timestamps.0.signedTimestamp"),
        "TIMESTAMP_SIGNATURE_INVALID",
      ],
      [
        "certificate",
        (json: Json) => flipped(json, "verificationMaterial.certificate.rawBytes"),
        "CERTIFICATE_SIGNATURE_INVALID",
      ],
    ])("a wrong %s is refused", async (_, edit, code) => {
      const bundle = BUNDLES["message, Rekor v1"];
      expect(await ask(labelled(edited(bundle, edit), mediaType))).toBe(code);
    });

    test("Rekor v2 gives a proof, whatever the label", async () => {
      const unproven = edited(BUNDLES["message, Rekor v2"], (json) => without(json, `${ENTRY}.inclusionProof`));
      expect(await ask(labelled(unproven, mediaType))).toBe("TLOG_INCLUSION_PROOF_MISSING");
    });

    test("an entry with neither promise nor proof is refused", async () => {
      const bare = edited(BUNDLES["message, Rekor v1"], (json) =>
        without(without(json, `${ENTRY}.inclusionProof`), `${ENTRY}.inclusionPromise`),
      );
      expect(await ask(labelled(bare, mediaType))).toMatch(/^TLOG_INCLUSION_(PROOF|PROMISE)_MISSING$/);
    });
  });

  test("a promise alone is for version 0.1, and the evidence says so", async () => {
    const promised = edited(BUNDLES["message, Rekor v1"], (json) => without(json, `${ENTRY}.inclusionProof`));
    for (const mediaType of MEDIA_TYPES) {
      const first = mediaType.includes("0.1");
      expect(await ask(labelled(promised, mediaType)), mediaType).toBe(
        first ? "accepted" : "TLOG_INCLUSION_PROOF_MISSING",
      );
    }
    const { unproven, logEntries } = await verifyIn(sandbox, labelled(promised, MEDIA_TYPES[0] ?? ""));
    expect(unproven.map(({ what }) => what)).toEqual(["tlog-inclusion-proof"]);
    expect(logEntries).toMatchObject([{ inclusionPromise: true, inclusionProof: undefined }]);
  });

  test("a proof alone is for later versions", async () => {
    const proven = bundleFrom(sandbox, { entries: [{ log: rekor1, promise: false }] });
    for (const mediaType of MEDIA_TYPES) {
      const first = mediaType.includes("0.1");
      expect(await ask(labelled(proven, mediaType)), mediaType).toBe(
        first ? "TLOG_INCLUSION_PROMISE_MISSING" : "accepted",
      );
    }
  });

  test.each([
    "",
    "application/json",
    "application/vnd.dev.sigstore.bundle+json",
    "application/vnd.dev.sigstore.bundle+json;version=0.4",
    "application/vnd.dev.sigstore.bundle+json;version=0.30",
    "application/vnd.dev.sigstore.bundle+json; version=0.3",
    "application/vnd.dev.sigstore.bundle.v0.4+json",
    "application/vnd.dev.sigstore.bundle.v0.3+json;x=1",
    "application/vnd.dev.sigstore.bundle.v0.3+json ",
    "Application/vnd.dev.sigstore.bundle.v0.3+json",
    "application/vnd.dev.sigstore.bundle.v0x3+json",
  ])("another label is none: %j", async (mediaType) => {
    expect(await ask(labelled(BUNDLES["message, Rekor v1"], mediaType))).toBe("BUNDLE_MEDIA_TYPE_UNSUPPORTED");
  });
});
