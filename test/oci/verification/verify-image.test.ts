import { beforeEach, describe, expect, test } from "vitest";

import { verifyImage } from "../../../src/oci/verification/verify-image.ts";
import {
  ImageNotVerifiedError,
  type ImageVerifierOptions,
  type VerifyImagePolicy,
} from "../../../src/oci/verification/verified-image.ts";
import { parseDetachedSct } from "../../../src/x509/sct.ts";
import { dns, email, prim } from "../../support/certificates.ts";
import {
  COSIGN_SIGNATURES,
  HOST,
  openImages,
  OTHER_DIGEST,
  payloadFor,
  REPOSITORY,
  SIMPLE_SIGNING,
  statementFor,
  type ImageWorld,
  type TestDescriptor,
} from "../../support/images.ts";
import { refusal } from "../../support/outcome.ts";
import { detachedSct, ISSUER, issueCertificate, signerKeys } from "../../support/sandbox/authorities.ts";
import {
  ALICE_SIGNED,
  bundleFrom,
  makeSandbox,
  PREDICATE_TYPE,
  type BundleOptions,
} from "../../support/sandbox/sandbox.ts";

const sandbox = makeSandbox();
const NAME = `${HOST}/${REPOSITORY}:v1`;
const MALLORY: BundleOptions = { signer: { request: { names: [email("mallory@example.com")] } } };

let world: ImageWorld;
let image: TestDescriptor;
beforeEach(async () => {
  world = openImages(sandbox);
  image = await world.image("app", "v1");
});

type Changes = Partial<ImageVerifierOptions & VerifyImagePolicy>;

async function verified(changes: Changes = {}, name: string = NAME) {
  return await verifyImage(name, { ...world.options(), ...ALICE_SIGNED, ...changes } as ImageVerifierOptions &
    VerifyImagePolicy);
}

/** The code of the whole, and of each candidate. */
async function codesOf(verification: Promise<unknown>): Promise<readonly string[]> {
  const error = await refusal(verification);
  return [error.code, ...(error instanceof ImageNotVerifiedError ? error.refused.map((one) => one.error.code) : [])];
}

const bundleFor = (digest: string, options: BundleOptions = {}): string =>
  bundleFrom(sandbox, { statement: statementFor(digest), ...options }).text;

/** A signature in each generation, of whoever is asked for. */
const GENERATIONS = {
  bundle: async (options?: BundleOptions) => void (await world.attachBundle(image, bundleFor(image.digest, options))),
  legacy: async (options?: BundleOptions) =>
    void (await world.putLayers(image, "sig", [await world.legacySignature(payloadFor(image.digest), options)])),
  "oci-1-1": async (options?: BundleOptions) => {
    const layer = await world.legacySignature(payloadFor(image.digest), options);
    const config = await world.blob("{}", COSIGN_SIGNATURES);
    await world.manifest({ config, layers: [layer], subject: image, artifactType: COSIGN_SIGNATURES });
  },
};
type Generation = keyof typeof GENERATIONS;
const EACH = Object.keys(GENERATIONS) as Generation[];

describe("verifyImage, whatever generation the signature is of", () => {
  test.for(EACH)("accepts one of Alice as %s, and gives the digest to use", async (generation) => {
    await GENERATIONS[generation]();
    const found = await verified();
    expect(found).toMatchObject({
      name: NAME,
      pinned: `${HOST}/${REPOSITORY}@${image.digest}`,
      digest: image.digest,
      refused: [],
      unproven: [],
      vouchedFor: [],
    });
    expect(found.signatures.map(({ place, format, digest }) => [place, format, digest])).toEqual([
      [
        { bundle: "referrers-api", legacy: "signature-tag", "oci-1-1": "oci-1-1" }[generation],
        generation === "bundle" ? "bundle" : "legacy",
        image.digest,
      ],
    ]);
    expect(found.signatures[0].evidence.signer).toMatchObject({
      kind: "certificate",
      identity: { subjectAlternativeName: { value: "alice@example.com" } },
    });
  });

  test.for(EACH)("refuses one of somebody else as %s", async (generation) => {
    await GENERATIONS[generation](MALLORY);
    expect(await codesOf(verified())).toEqual(["SIGNATURE_NOT_ACCEPTED", "IDENTITY_MISMATCH"]);
  });

  test.for(EACH)("takes one of a key as %s for that key alone", async (generation) => {
    const keys = signerKeys();
    await GENERATIONS[generation]({ signer: { keys } });
    const publicKey = bundleFrom(sandbox, { signer: { keys } }).publicKey;
    const other = bundleFrom(sandbox, { signer: { keys: signerKeys() } }).publicKey;
    const asked = (key: typeof publicKey): Changes => ({ identity: undefined, keys: [{ publicKey: key }] });
    expect((await verified(asked(publicKey))).signatures[0].evidence.signer.kind).toBe("public-key");
    expect(await codesOf(verified(asked(other)))).toEqual(["SIGNATURE_NOT_ACCEPTED", "SIGNATURE_INVALID"]);
    expect(await codesOf(verified())).toEqual(
      generation === "bundle"
        ? ["CERTIFICATE_MISSING", "SIGNER_KIND_MISMATCH"]
        : ["CERTIFICATE_MISSING", "CERTIFICATE_MISSING"],
    );
  });

  test.for(EACH)("refuses one as %s that only a log the trusted root does not know vouches for", async (generation) => {
    await GENERATIONS[generation]({ entries: [{ log: makeSandbox().rekor1 }] });
    const [code, reason] = await codesOf(verified());
    expect([code, reason]).toEqual(["SIGNATURE_NOT_ACCEPTED", "TLOG_THRESHOLD_NOT_MET"]);
  });

  test.for(EACH)("wants a signed timestamp of one as %s where that is asked for", async (generation) => {
    await GENERATIONS[generation]({ timestamps: [] });
    await verified();
    expect(await codesOf(verified({ thresholds: { timestamp: 1 } }))).toEqual([
      "SIGNATURE_NOT_ACCEPTED",
      "TIMESTAMP_THRESHOLD_NOT_MET",
    ]);
  });

  test.for(EACH)("counts a signed timestamp of one as %s", async (generation) => {
    await GENERATIONS[generation]();
    expect((await verified({ thresholds: { timestamp: 1 } })).signatures).toHaveLength(1);
  });
});

describe("verifyImage, whose certificate it is", () => {
  test.for(EACH)("knows a name of a host, or its address, in one as %s", async (generation) => {
    for (const [name, value] of [
      [dns("builder.example.com"), "builder.example.com"],
      [prim(7, Uint8Array.of(192, 0, 2, 7)), "192.0.2.7"],
    ] as const) {
      await GENERATIONS[generation]({ signer: { request: { names: [name] } } });
      const identity = { subjectAlternativeName: value, issuer: ISSUER };
      expect((await verified({ identity })).signatures).toHaveLength(1);
      expect((await refusal(verified({ identity: { ...identity, subjectAlternativeName: `x${value}` } }))).code).toBe(
        "SIGNATURE_NOT_ACCEPTED",
      );
    }
  });

  test.for(EACH)("takes a promise of publication that came beside the certificate of one as %s", async (generation) => {
    const signer = issueCertificate(sandbox.ca, { ctLogs: [] }, sandbox.ctLog);
    await GENERATIONS[generation]({ signer });
    const [code, reason] = await codesOf(verified());
    expect([code, reason]).toEqual(["SIGNATURE_NOT_ACCEPTED", "SCT_THRESHOLD_NOT_MET"]);
    const detachedScts = [parseDetachedSct(detachedSct(sandbox.ctLog, signer.der))];
    expect((await verified({ detachedScts })).signatures).toHaveLength(1);
  });
});

describe("verifyImage, what was signed", () => {
  test("refuses a bundle whose statement is about another image", async () => {
    await world.attachBundle(image, bundleFor(OTHER_DIGEST));
    expect(await codesOf(verified())).toEqual(["SIGNATURE_NOT_ACCEPTED", "SUBJECT_MISMATCH"]);
  });

  test("refuses a payload that is about another image", async () => {
    await world.putLayers(image, "sig", [await world.legacySignature(payloadFor(OTHER_DIGEST))]);
    expect(await codesOf(verified())).toEqual(["SIGNATURE_NOT_ACCEPTED", "SUBJECT_MISMATCH"]);
  });

  test("with claims skipped takes both, and says that they prove nothing about the image", async () => {
    await world.attachBundle(image, bundleFor(OTHER_DIGEST));
    await world.putLayers(image, "sig", [await world.legacySignature(payloadFor(OTHER_DIGEST))]);
    const found = await verified({ claims: "unsafe-skip" });
    expect(found.signatures).toHaveLength(2);
    expect(found.unproven).toEqual([expect.stringContaining(NAME)]);
  });

  test("with claims skipped still wants the signature", async () => {
    await world.attachBundle(image, bundleFor(OTHER_DIGEST, MALLORY));
    expect(await codesOf(verified({ claims: "unsafe-skip" }))).toEqual(["SIGNATURE_NOT_ACCEPTED", "IDENTITY_MISMATCH"]);
  });

  test("refuses a payload under a signature over another payload", async () => {
    const layer = await world.legacySignature(payloadFor(image.digest));
    const other = await world.blob(payloadFor(image.digest, { optional: { tag: "v1" } }), SIMPLE_SIGNING);
    await world.putLayers(image, "sig", [{ ...layer, ...other }]);
    expect(await codesOf(verified())).toEqual(["SIGNATURE_NOT_ACCEPTED", "SIGNATURE_INVALID"]);
  });

  test.for(["cosign container image signature", "cosign container signature", "atomic container signature"])(
    "takes a payload of the type %s",
    async (type) => {
      await world.putLayers(image, "sig", [await world.legacySignature(payloadFor(image.digest, { type }))]);
      expect((await verified()).signatures).toHaveLength(1);
    },
  );

  test("refuses a payload of a type that is not the signature of an image", async () => {
    const payload = payloadFor(image.digest, { type: "cosign container image revocation" });
    await world.putLayers(image, "sig", [await world.legacySignature(payload)]);
    expect(await codesOf(verified())).toEqual(["SIGNATURE_NOT_ACCEPTED", "PREDICATE_TYPE_MISMATCH"]);
  });

  test("refuses what was signed and is no payload", async () => {
    await world.putLayers(image, "sig", [await world.legacySignature('{"critical":{}}')]);
    expect(await codesOf(verified())).toEqual(["SIGNATURE_NOT_ACCEPTED", "SIMPLE_SIGNING_MALFORMED"]);
  });

  test("takes no attestation for a signature, unless any statement will do", async () => {
    await world.attachBundle(
      image,
      bundleFor(image.digest, { statement: statementFor(image.digest, { predicateType: PREDICATE_TYPE }) }),
    );
    expect(await codesOf(verified())).toEqual(["SIGNATURE_NOT_ACCEPTED", "PREDICATE_TYPE_MISMATCH"]);
    expect((await verified({ predicateType: PREDICATE_TYPE })).signatures).toHaveLength(1);
    expect((await verified({ predicateType: "unsafe-any" })).signatures).toHaveLength(1);
  });

  test("takes no legacy signature for a statement of another type", async () => {
    await GENERATIONS.legacy();
    expect(await codesOf(verified({ predicateType: PREDICATE_TYPE }))).toEqual([
      "SIGNATURE_NOT_ACCEPTED",
      "PREDICATE_TYPE_MISMATCH",
    ]);
    expect((await verified({ predicateType: "unsafe-any" })).signatures).toHaveLength(1);
  });

  test("takes no signature over a file for one of an image, even over the bytes of its manifest", async () => {
    const manifest = await world.registry.ask(`/v2/${REPOSITORY}/manifests/${image.digest}`);
    await world.attachBundle(image, bundleFrom(sandbox, { artifact: Buffer.from(manifest.text) }).text);
    for (const predicateType of [undefined, "unsafe-any"])
      expect(await codesOf(verified({ predicateType }))).toEqual(["SIGNATURE_NOT_ACCEPTED", "PREDICATE_TYPE_MISMATCH"]);
  });

  test("refuses an envelope that holds no statement", async () => {
    await world.attachBundle(image, bundleFor(image.digest, { payloadType: "text/plain" }));
    for (const predicateType of [undefined, "unsafe-any"])
      expect(await codesOf(verified({ predicateType }))).toEqual(["SIGNATURE_NOT_ACCEPTED", "PAYLOAD_TYPE_MISMATCH"]);
  });

  describe.for(["bundle", "legacy"] as const)("annotations of a %s", (generation) => {
    const signed = { env: "prod", "key with = and ,": "value, with = both", count: 7 };
    beforeEach(async () => {
      if (generation === "bundle") {
        const statement = statementFor(image.digest, {}, signed);
        await world.attachBundle(image, bundleFrom(sandbox, { statement }).text);
      } else {
        const payload = payloadFor(image.digest, { optional: signed });
        await world.putLayers(image, "sig", [await world.legacySignature(payload)]);
      }
    });

    test("are given, and each that is asked for must be there", async () => {
      const found = await verified({ annotations: { env: "prod", "key with = and ,": "value, with = both" } });
      expect(found.signatures[0].annotations).toEqual(signed);
    });

    test.for<readonly [string, Readonly<Record<string, string>>]>([
      ["another value", { env: "test" }],
      ["one of two that has another value", { env: "prod", "key with = and ,": "value" }],
      ["a name that is not there", { environment: "prod" }],
      ["a name of every object", { constructor: "Object" }],
      ["a number as text", { count: "7" }],
      ["a part of a value", { env: "pro" }],
    ])("do not match %s", async ([, annotations]) => {
      expect(await codesOf(verified({ annotations }))).toEqual(["SIGNATURE_NOT_ACCEPTED", "ANNOTATION_MISMATCH"]);
    });

    test("cannot be asked for where claims are skipped", async () => {
      const error = await refusal(verified({ annotations: { env: "prod" }, claims: "unsafe-skip" }));
      expect(error.code).toBe("USAGE_INVALID");
    });
  });

  test("compares annotations of the subject that is the image, not those of another", async () => {
    const statement = statementFor(image.digest);
    const [own] = statement["subject"] as [unknown];
    const [other] = statementFor(OTHER_DIGEST, {}, { env: "prod" })["subject"] as [unknown];
    await world.attachBundle(image, bundleFrom(sandbox, { statement: { ...statement, subject: [other, own] } }).text);
    expect(await codesOf(verified({ annotations: { env: "prod" } }))).toEqual([
      "SIGNATURE_NOT_ACCEPTED",
      "ANNOTATION_MISMATCH",
    ]);
  });
});

describe("verifyImage, one candidate beside another", () => {
  const BROKEN: Readonly<Record<string, () => Promise<unknown>>> = {
    "a bundle that is no JSON": () => world.attachBundle(image, "no bundle"),
    "a bundle of somebody else": () => world.attachBundle(image, bundleFor(image.digest, MALLORY)),
    "a bundle of version 0.1": () => world.attachBundle(image, bundleFor(image.digest, { version: "0.1" })),
    "a bundle about another image": () => world.attachBundle(image, bundleFor(OTHER_DIGEST)),
  };

  test.for(Object.keys(BROKEN))("accepts a legacy signature beside %s, and lists that", async (name) => {
    await BROKEN[name]?.();
    await GENERATIONS.legacy();
    const found = await verified();
    expect(found.signatures.map(({ format }) => format)).toEqual(["legacy"]);
    expect(found.refused.map(({ format, place }) => [format, place])).toEqual([["bundle", "referrers-api"]]);
  });

  test("accepts a bundle beside legacy signatures that prove nothing", async () => {
    const good = await world.legacySignature(payloadFor(image.digest));
    const layer = (changes: Record<string, unknown>): TestDescriptor => ({
      ...good,
      annotations: { ...(good["annotations"] as object), ...changes },
    });
    await world.putLayers(image, "sig", [
      layer({ "dev.cosignproject.cosign/signature": "%" }),
      layer({ "dev.sigstore.cosign/certificate": "no certificate" }),
      layer({ "dev.sigstore.cosign/bundle": "{}" }),
      layer({ "dev.sigstore.cosign/rfc3161timestamp": "{}" }),
      await world.legacySignature(payloadFor(image.digest), MALLORY),
    ]);
    await GENERATIONS.bundle();
    const found = await verified();
    expect(found.signatures.map(({ format }) => format)).toEqual(["bundle"]);
    expect(found.refused.map(({ error }) => error.code)).toEqual([
      "BUNDLE_MALFORMED",
      "PEM_MALFORMED",
      "BUNDLE_MALFORMED",
      "TIMESTAMP_MALFORMED",
      "IDENTITY_MISMATCH",
    ]);
  });

  test("gives all that are good", async () => {
    await GENERATIONS.bundle();
    await GENERATIONS.legacy();
    await GENERATIONS["oci-1-1"]();
    expect((await verified()).signatures.map(({ place }) => place).toSorted()).toEqual([
      "oci-1-1",
      "referrers-api",
      "signature-tag",
    ]);
  });

  test("tells the most telling reason, and every one", async () => {
    await world.attachBundle(image, "no bundle");
    await world.attachBundle(image, bundleFor(image.digest, MALLORY));
    await world.attachBundle(
      image,
      bundleFor(image.digest, { statement: statementFor(image.digest, { predicateType: PREDICATE_TYPE }) }),
    );
    const error = await refusal(verified());
    expect(error).toBeInstanceOf(ImageNotVerifiedError);
    expect(error).toMatchObject({
      code: "SIGNATURE_NOT_ACCEPTED",
      name: "VerificationError",
      cause: { code: "IDENTITY_MISMATCH" },
    });
    const { refused, places, digest } = error as ImageNotVerifiedError;
    expect(refused.map(({ error: { code } }) => code).toSorted()).toEqual([
      "BUNDLE_MALFORMED",
      "IDENTITY_MISMATCH",
      "PREDICATE_TYPE_MISMATCH",
    ]);
    for (const one of refused) expect(error.message).toContain(one.error.message);
    expect(places.map(({ place, outcome }) => [place, outcome])).toEqual([
      ["referrers-api", "found"],
      ["signature-tag", "absent"],
    ]);
    expect(digest).toBe(image.digest);
  });

  test("verifies as many at a time as it is told, with the same outcome", async () => {
    for (const label of ["1", "2", "3"])
      await world.attachBundle(
        image,
        bundleFrom(sandbox, { statement: statementFor(image.digest, { predicate: { label } }) }).text,
      );
    for (const maxWorkers of [1, 2, 20]) {
      const found = await verified({ maxWorkers });
      expect(found.signatures).toHaveLength(3);
    }
    for (const maxWorkers of [0, -1, 1.5, Number.NaN])
      expect((await refusal(verified({ maxWorkers }))).code).toBe("USAGE_INVALID");
  });
});

describe("verifyImage, where there is nothing", () => {
  test("says which places it looked at", async () => {
    const error = await refusal(verified());
    const tag = image.digest.replace(":", "-");
    expect(error.code).toBe("SIGNATURE_NOT_FOUND");
    expect(error.found).toContain(`${HOST}/${REPOSITORY}@${image.digest}: nothing of use`);
    expect(error.found).toContain(`${HOST}/${REPOSITORY}:${tag}.sig: absent`);
  });

  test("lists some of many things that it passed over, or refused; all are in the fields of the error", async () => {
    for (let n = 0; n < 8; n += 1) await world.attachBundle(image, "x", { layers: [], annotations: { n: `${n}` } });
    const passedOver = (await refusal(verified())) as ImageNotVerifiedError;
    expect(passedOver.found?.match(/was passed over/g)).toHaveLength(5);
    expect(passedOver.found).toContain("3 more");
    expect(passedOver.places[0]?.skipped).toHaveLength(8);
    for (let n = 0; n < 8; n += 1) await world.attachBundle(image, `{"mediaType":"${n}"}`);
    const refused = (await refusal(verified())) as ImageNotVerifiedError;
    expect(refused.refused).toHaveLength(8);
    expect(refused.message.length).toBeLessThan(2000);
  });

  test("says that there is no such image", async () => {
    expect((await refusal(verified({}, `${HOST}/${REPOSITORY}:v2`))).code).toBe("IMAGE_NOT_FOUND");
    expect((await refusal(verified({}, `${HOST}/${REPOSITORY}@${OTHER_DIGEST}`))).code).toBe("IMAGE_NOT_FOUND");
  });

  test("says what is wrong with a tag that names no signatures, and looks further", async () => {
    const layer = await world.blob("{}", SIMPLE_SIGNING);
    await world.putLayers(image, "sig", [layer]);
    world.intercept = ({ url }) =>
      url.endsWith(".sig")
        ? Response.json(
            { schemaVersion: 1 },
            { headers: { "content-type": "application/vnd.oci.image.manifest.v1+json" } },
          )
        : undefined;
    const error = await refusal(verified());
    expect(error).toMatchObject({ code: "SIGNATURE_NOT_FOUND", cause: { code: "MANIFEST_MALFORMED" } });
    expect(error.found).toContain("manifest.schemaVersion is not 2");
    await GENERATIONS.bundle();
    expect((await verified()).signatures).toHaveLength(1);
  });

  test.for(["bundle", "legacy"] as const)("looks only for the format %s where that is asked for", async (format) => {
    await GENERATIONS[format === "bundle" ? "legacy" : "bundle"]();
    expect((await refusal(verified({ format }))).code).toBe("SIGNATURE_NOT_FOUND");
    await GENERATIONS[format]();
    expect((await verified({ format })).signatures.map((one) => one.format)).toEqual([format]);
  });

  test.for([
    ["the list of referrers", /\/referrers\//],
    ["the tag of signatures", /\.sig$/],
    ["the manifest of a referrer", /referrer/],
  ] as const)("never says so where %s could not be read, even beside a good signature", async ([what, pattern]) => {
    const referrer = await world.attachBundle(image, bundleFor(image.digest));
    if (what !== "the tag of signatures") await GENERATIONS.legacy();
    for (const [status, code] of [
      [500, "HTTP_STATUS_UNEXPECTED"],
      [401, "REGISTRY_UNAUTHORIZED"],
      [403, "REGISTRY_UNAUTHORIZED"],
      [429, "HTTP_STATUS_UNEXPECTED"],
    ] as const) {
      world.intercept = ({ url }) =>
        (what === "the manifest of a referrer" ? url.endsWith(referrer.digest) : pattern.test(new URL(url).pathname))
          ? new Response("{}", { status })
          : undefined;
      const error = await refusal(verified());
      expect([status, error.code]).toEqual([status, code]);
    }
  });
});
