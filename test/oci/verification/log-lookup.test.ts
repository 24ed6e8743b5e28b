import { beforeEach, describe, expect, test } from "vitest";

import { verifyImage, verifyImageAttestation } from "../../../src/oci/verification/verify-image.ts";
import type {
  ImageNotVerifiedError,
  ImageVerifierOptions,
  VerifiedImage,
  VerifyImagePolicy,
} from "../../../src/oci/verification/verified-image.ts";
import type { TransparencyLogEntry } from "../../../src/tlog/transparency-log-entry.ts";
import {
  HOST,
  openImages,
  OTHER_DIGEST,
  payloadFor,
  REPOSITORY,
  statementFor,
  type ImageWorld,
  type TestDescriptor,
} from "../../support/images.ts";
import { refusal } from "../../support/outcome.ts";
import { entryIdOf, entryJsonV1 } from "../../support/rekor-answers.ts";
import { signerKeys } from "../../support/sandbox/authorities.ts";
import {
  ALICE_SIGNED,
  bundleFrom,
  makeSandbox,
  PREDICATE_TYPE,
  type BundleOptions,
} from "../../support/sandbox/sandbox.ts";

const sandbox = makeSandbox();
const NAME = `${HOST}/${REPOSITORY}:v1`;
const REKOR = "https://rekor.test";
const WITHOUT_ENTRY = { "dev.sigstore.cosign/bundle": undefined };

let world: ImageWorld;
let image: TestDescriptor;
/** What the log knows, and how often it was asked. */
let logged: TransparencyLogEntry[];
let asked: string[];
/** Answers instead of it. */
let answer: (() => Response) | undefined;
beforeEach(async () => {
  world = openImages(sandbox);
  image = await world.image("app", "v1");
  [logged, asked, answer] = [[], [], undefined];
});

/** Has the log keep the entry. */
const entries: BundleOptions["entries"] = [
  {
    log: sandbox.rekor1,
    entry: (entry) => {
      logged.push(entry);
      return entry;
    },
  },
];

const from = {
  rekorUrl: REKOR,
  fetch: (address: string, init: RequestInit): Promise<Response> => {
    asked.push(`${init.method ?? "GET"} ${address}`);
    if (answer !== undefined) return Promise.resolve(answer());
    return Promise.resolve(Response.json(logged.map((entry) => ({ [entryIdOf(entry)]: entryJsonV1(entry) }))));
  },
};

type Changes = Partial<ImageVerifierOptions & VerifyImagePolicy>;

async function verified(changes: Changes = {}): Promise<VerifiedImage> {
  return await verifyImage(NAME, {
    ...world.options(),
    ...ALICE_SIGNED,
    fetchLogEntriesFrom: from,
    ...changes,
  } as ImageVerifierOptions & VerifyImagePolicy);
}

async function reasonsOf(verification: Promise<unknown>): Promise<readonly string[]> {
  return ((await refusal(verification)) as ImageNotVerifiedError).refused.map(({ error }) => error.code);
}

const put = async (options: BundleOptions = { entries }, payload = payloadFor(image.digest)): Promise<void> =>
  void (await world.putLayers(image, "sig", [await world.legacySignature(payload, options, WITHOUT_ENTRY)]));

describe("verifyImage, a legacy signature without its log entry", () => {
  test("is refused, and the remedy says how the entry is looked up; nobody is asked", async () => {
    await put();
    const error = (await refusal(verified({ fetchLogEntriesFrom: undefined }))) as ImageNotVerifiedError;
    expect(error.code).toBe("SIGNATURE_NOT_ACCEPTED");
    expect(error.refused.map((one) => one.error.code)).toEqual(["TLOG_THRESHOLD_NOT_MET"]);
    expect(error.remedy).toContain("fetchLogEntriesFrom");
    expect(asked).toEqual([]);
  });

  test("is accepted where the entry is looked up, with the proof of the log", async () => {
    await put();
    const [{ evidence, bundle }] = (await verified()).signatures;
    expect(evidence.logEntries).toMatchObject([{ inclusionPromise: true, inclusionProof: { logIndex: 3n } }]);
    expect(bundle.verificationMaterial.tlogEntries).toHaveLength(1);
    expect(asked).toEqual([`POST ${REKOR}/api/v1/log/entries/retrieve`]);
  });

  test("of a key is accepted likewise", async () => {
    const keys = signerKeys();
    await put({ entries, signer: { keys } });
    const { publicKey } = bundleFrom(sandbox, { signer: { keys } });
    expect((await verified({ identity: undefined, keys: [{ publicKey }] })).signatures).toHaveLength(1);
    const other = bundleFrom(sandbox, { signer: { keys: signerKeys("ed25519") } });
    const both = [{ publicKey: other.publicKey }, { publicKey }] as const;
    expect((await verified({ identity: undefined, keys: both })).signatures).toHaveLength(1);
    logged = [];
    expect(await reasonsOf(verified({ identity: undefined, keys: both }))).toEqual(["TLOG_THRESHOLD_NOT_MET"]);
    asked = [];
    const others = verified({ identity: undefined, keys: [{ publicKey: other.publicKey }] });
    expect(await reasonsOf(others)).toEqual(["SIGNATURE_INVALID"]);
    expect(asked).toEqual([]);
  });

  test("keeps its timestamp", async () => {
    await put();
    expect((await verified({ thresholds: { timestamp: 1 } })).signatures).toHaveLength(1);
  });

  test("is refused where the log has no such entry, or one of another signature", async () => {
    await put({ entries: [] });
    expect(await reasonsOf(verified())).toEqual(["TLOG_THRESHOLD_NOT_MET"]);
    await world.legacySignature(payloadFor(OTHER_DIGEST), { entries });
    expect(logged).toHaveLength(1);
    expect(await reasonsOf(verified())).toEqual(["TLOG_THRESHOLD_NOT_MET"]);
  });

  test("is refused where the entry is of a log that the trusted root does not know", async () => {
    await put({
      entries: [{ log: makeSandbox().rekor1, entry: (entry) => (logged.push(entry), entry) }],
    });
    const [code] = await reasonsOf(verified());
    expect(code).toMatch(/^TLOG_/);
  });

  test("that nobody believes is never looked up", async () => {
    const layer = await world.legacySignature(payloadFor(image.digest), { entries }, WITHOUT_ENTRY);
    const annotations = {
      ...(layer["annotations"] as object),
      "dev.cosignproject.cosign/signature": Buffer.from("no signature").toString("base64"),
    };
    await world.putLayers(image, "sig", [{ ...layer, annotations }]);
    expect(await reasonsOf(verified())).toEqual(["SIGNATURE_INVALID"]);
    expect(asked).toEqual([]);
  });

  test("with its entry is not looked up", async () => {
    await world.putLayers(image, "sig", [await world.legacySignature(payloadFor(image.digest), { entries })]);
    await verified();
    expect(asked).toEqual([]);
  });

  test("is an error of the log where that does not answer: it may well be good", async () => {
    await put();
    answer = () => new Response("{}", { status: 400 });
    expect((await refusal(verified())).name).toBe("ServiceError");
  });

  test("does not take a good one away where the log does not answer", async () => {
    await put();
    await world.attachBundle(image, bundleFrom(sandbox, { statement: statementFor(image.digest) }).text);
    answer = () => new Response("{}", { status: 400 });
    const found = await verified();
    expect(found.signatures.map(({ format }) => format)).toEqual(["bundle"]);
    expect(found.refused.map(({ format }) => format)).toEqual(["legacy"]);
  });

  test("may be a statement, too", async () => {
    const statement = statementFor(image.digest, { predicateType: PREDICATE_TYPE });
    await world.putLayers(image, "att", [await world.legacyAttestation(statement, { entries }, WITHOUT_ENTRY)]);
    const attested = async (changes: Partial<ImageVerifierOptions>): Promise<VerifiedImage> => {
      const options = { ...world.options(changes), ...ALICE_SIGNED, predicateType: PREDICATE_TYPE };
      return await verifyImageAttestation(NAME, options);
    };
    expect(await reasonsOf(attested({}))).toEqual(["TLOG_THRESHOLD_NOT_MET"]);
    const found = await attested({ fetchLogEntriesFrom: from });
    expect(found.signatures[0].evidence.logEntries).toHaveLength(1);
  });
});
