import { X509Certificate } from "node:crypto";
import { beforeEach, describe, expect, test } from "vitest";
import { parseRekorBundle } from "../../src/bundle/legacy.ts";
import { attachAttestations, attachSignature, type AttachOptions } from "../../src/oci/attach.ts";
import { downloadAttestations, downloadSignatures, type DownloadedImage } from "../../src/oci/download.ts";
import { verifyImage, verifyImageAttestation } from "../../src/oci/verification/verify-image.ts";
import { parseCertificate } from "../../src/x509/certificate.ts";
import {
  DSSE,
  HOST,
  OCI_MANIFEST,
  openImages,
  OTHER_DIGEST,
  payloadFor,
  REPOSITORY,
  SIMPLE_SIGNING,
  statementFor,
  type ImageWorld,
  type TestDescriptor,
} from "../support/images.ts";
import type { Json } from "../support/json-edits.ts";
import { legacyOf } from "../support/legacy.ts";
import { utf8 } from "../support/logs.ts";
import { outcomeOf, refusal } from "../support/outcome.ts";
import { ALICE_SIGNED, bundleFrom, makeSandbox, PREDICATE_TYPE } from "../support/sandbox/sandbox.ts";

const sandbox = makeSandbox();
const NAME = `${HOST}/${REPOSITORY}:v1`;
const NOW = new Date("2026-02-03T04:05:06Z");

let world: ImageWorld;
let image: TestDescriptor;
beforeEach(async () => {
  world = openImages(sandbox);
  image = await world.image("app", "v1");
});

const options = (changes: AttachOptions = {}): AttachOptions => ({
  registry: world.options().registry,
  sleep: () => Promise.resolve(),
  random: () => 0,
  now: () => NOW,
  ...changes,
});

const bundleAbout = (digest: string, changes: Json = {}): string =>
  JSON.stringify(bundleFrom(sandbox, { statement: statementFor(digest, changes) }).json);
const attestationAbout = (digest: string, predicateType: string): string => bundleAbout(digest, { predicateType });
/** As cosign 2 wrote it to a file: a DSSE envelope. */
const envelopeAbout = (digest: string, predicateType: string): string =>
  Buffer.from(
    legacyOf(bundleFrom(sandbox, { statement: statementFor(digest, { predicateType }) }).json).signature,
  ).toString();

const documents = ({ found }: DownloadedImage): readonly string[] =>
  found.map(({ content }) => {
    if (content.kind === "bundle") return Buffer.from(content.json).toString();
    return Buffer.from(content.kind === "dsse" ? content.envelope : content.payload).toString();
  });

/** Asks as a client that knows cosign's layout, and none of our code. */
async function manifestAt(reference: string, repository = REPOSITORY): Promise<Json | undefined> {
  const { status, text } = await world.registry.ask(`/v2/${repository}/manifests/${reference}`);
  return status === 200 ? (JSON.parse(text) as Json) : undefined;
}
const tagOf = (kind: string): string => `${image.digest.replace(":", "-")}.${kind}`;

describe("attachAttestations", () => {
  test("attaches every bundle of every file, byte for byte, and each can be verified", async () => {
    const [first, second, third] = ["a", "b", "c"].map((name) =>
      attestationAbout(image.digest, `https://example.com/${name}`),
    ) as [string, string, string];
    const result = await attachAttestations(NAME, [utf8(`${first}\n${second}\n`), utf8(third)], options());
    expect(result).toMatchObject({ name: NAME, digest: image.digest, pinned: `${HOST}/${REPOSITORY}@${image.digest}` });
    expect(result.attached.map(({ via }) => via)).toEqual(["referrers-api", "referrers-api", "referrers-api"]);
    expect(new Set(documents(await downloadAttestations(NAME, options())))).toEqual(new Set([first, second, third]));
    for (const name of ["a", "b", "c"]) {
      const policy = { ...world.options(), ...ALICE_SIGNED, predicateType: `https://example.com/${name}` };
      expect((await verifyImageAttestation(NAME, policy)).signatures).toHaveLength(1);
    }
  });

  test("keeps what it is told is the time", async () => {
    const { attached } = await attachAttestations(NAME, [utf8(bundleAbout(image.digest))], options());
    expect(await manifestAt(attached[0]?.descriptor?.digest ?? "")).toMatchObject({
      annotations: { "org.opencontainers.image.created": "2026-02-03T04:05:06Z" },
    });
  });

  test("puts envelopes of a file, one after the other without a line between, under the tag of cosign 2", async () => {
    const [first, second] = ["a", "b"].map((name) => envelopeAbout(image.digest, `https://example.com/${name}`)) as [
      string,
      string,
    ];
    const { attached } = await attachAttestations(NAME, [utf8(` ${first}${second}`)], options());
    expect(attached.map(({ via, location }) => [via, location])).toEqual(
      Array.from({ length: 2 }, () => ["attestation-tag", `${HOST}/${REPOSITORY}:${tagOf("att")}`]),
    );
    expect(await manifestAt(tagOf("att"))).toMatchObject({
      mediaType: OCI_MANIFEST,
      layers: ["a", "b"].map((name) => ({
        mediaType: DSSE,
        annotations: { "dev.cosignproject.cosign/signature": "", predicateType: `https://example.com/${name}` },
      })),
    });
    expect(documents(await downloadAttestations(NAME, options()))).toEqual([first, second]);
  });

  test.for([
    ["a bundle", (digest: string) => bundleAbout(digest)],
    ["an envelope", (digest: string) => envelopeAbout(digest, PREDICATE_TYPE)],
  ] as const)("attaches nothing where %s is about another image, unless it is told to", async ([, write]) => {
    const files = [utf8(bundleAbout(image.digest)), utf8(write(OTHER_DIGEST))];
    expect(await refusal(attachAttestations(NAME, files, options()))).toMatchObject({
      code: "SUBJECT_MISMATCH",
      expected: image.digest,
      found: expect.stringContaining(OTHER_DIGEST.slice("sha256:".length)) as string,
    });
    expect(await outcomeOf(downloadAttestations(NAME, options()))).toBe("ATTESTATION_NOT_FOUND");
    await attachAttestations(NAME, files, options({ subject: "unsafe-any" }));
    expect((await downloadAttestations(NAME, options())).found).toHaveLength(2);
  });

  test("compares the digest of a bundle without a statement", async () => {
    const manifest = JSON.stringify(await manifestAt("v1"));
    const about = (text: string): Uint8Array =>
      utf8(JSON.stringify(bundleFrom(sandbox, { artifact: utf8(text) }).json));
    expect((await attachAttestations(NAME, [about(manifest)], options())).attached).toHaveLength(1);
    expect(await outcomeOf(attachAttestations(NAME, [about("else")], options()))).toBe("SUBJECT_MISMATCH");
  });

  test("is not misled by braces and quotes in strings", async () => {
    const files = ["a", "b"].map(
      (name) => `{"payload":"e30=","payloadType":"}{\\"}${name}\\\\","signatures":[{"sig":"AAAA"}]}`,
    );
    await attachAttestations(NAME, [utf8(files.join("\n"))], options({ subject: "unsafe-any" }));
    expect(documents(await downloadAttestations(NAME, options()))).toEqual(files);
  });

  test("cannot know what an envelope of another type is about", async () => {
    const envelope = utf8('{"payload":"e30=","payloadType":"text/plain","signatures":[{"sig":"AAAA"}]}');
    expect(await refusal(attachAttestations(NAME, [envelope], options()))).toMatchObject({
      code: "SUBJECT_MISMATCH",
      found: expect.stringContaining("text/plain") as string,
    });
    await attachAttestations(NAME, [envelope], options({ subject: "unsafe-any" }));
    expect(await manifestAt(tagOf("att"))).toHaveProperty("layers.0.annotations", {
      "dev.cosignproject.cosign/signature": "",
    });
  });

  test.for([
    ["nothing", "", "ENVELOPE_MALFORMED"],
    ["white space", " \n", "ENVELOPE_MALFORMED"],
    ["no JSON", "hello", "ENVELOPE_MALFORMED"],
    ["half an object", '{"payload":', "ENVELOPE_MALFORMED"],
    [
      "an object, and something after it",
      '{"payload":"","payloadType":"a","signatures":[{"sig":"AA=="}]}}',
      "ENVELOPE_MALFORMED",
    ],
    ["an array", "[]", "ENVELOPE_MALFORMED"],
    ["an object of another kind", "{}", "ENVELOPE_MALFORMED"],
    ["another media type", '{"mediaType":"a/b"}', "BUNDLE_MEDIA_TYPE_UNSUPPORTED"],
    ["a string that never ends", '{"a":"\\"', "ENVELOPE_MALFORMED"],
  ] as const)("refuses a file with %s", async ([, file, code]) => {
    expect(await outcomeOf(attachAttestations(NAME, [utf8(file)], options()))).toBe(code);
    expect(world.requests).toEqual([]);
  });

  test("refuses a bundle of an older version before it writes anything", async () => {
    const older = bundleAbout(image.digest).replace("bundle.v0.3+json", "bundle+json;version=0.2");
    const files = [utf8(bundleAbout(image.digest)), utf8(older)];
    expect(await outcomeOf(attachAttestations(NAME, files, options()))).not.toBe("accepted");
    expect(await outcomeOf(downloadAttestations(NAME, options()))).toBe("ATTESTATION_NOT_FOUND");
  });

  test("says that there is no such image", async () => {
    const missing = attachAttestations(`${HOST}/none:v1`, [utf8(bundleAbout(image.digest))], options());
    expect(await outcomeOf(missing)).toBe("IMAGE_NOT_FOUND");
  });

  test("attaches to the manifest of a platform", async () => {
    const other = await world.image("arm");
    const platform = (architecture: string): Json => ({ platform: { os: "linux", architecture } });
    await world.index(
      [
        { ...image, ...platform("amd64") },
        { ...other, ...platform("arm64") },
      ],
      "all",
    );
    const about = utf8(bundleAbout(other.digest));
    const name = `${HOST}/${REPOSITORY}:all`;
    expect(await outcomeOf(attachAttestations(name, [about], options()))).toBe("SUBJECT_MISMATCH");
    const { digest } = await attachAttestations(name, [about], options({ platform: "linux/arm64" }));
    expect(digest).toBe(other.digest);
    const found = await downloadAttestations(name, { ...options(), platform: "linux/arm64" });
    expect(found.digest).toBe(other.digest);
    expect(await outcomeOf(downloadAttestations(name, options()))).toBe("ATTESTATION_NOT_FOUND");
  });
});

describe("attachSignature (cosign, cmd/cosign/cli/attach/sig.go)", () => {
  const signed = (payload: string): ReturnType<typeof legacyOf> & { readonly raw: Uint8Array } => {
    const bundle = bundleFrom(sandbox, { artifact: utf8(payload) });
    return { ...legacyOf(bundle.json), raw: bundle.signature };
  };

  test("puts signature, certificate, chain, log entry and timestamp under the tag, where they can be verified", async () => {
    const payload = payloadFor(image.digest);
    const { raw, certificatePem = "", bundle } = signed(payload);
    const chain = [sandbox.ca.intermediate.der, sandbox.ca.root.der];
    const { attached } = await attachSignature(
      NAME,
      {
        signature: raw,
        payload: utf8(payload),
        signer: { kind: "certificate", certificate: parseCertificate(new X509Certificate(certificatePem).raw) },
        chain,
        tlogEntries: [parseRekorBundle(JSON.stringify(bundle.rekorBundle))],
      },
      options(),
    );
    expect(attached).toEqual([{ via: "signature-tag", location: `${HOST}/${REPOSITORY}:${tagOf("sig")}` }]);
    const manifest = (await manifestAt(tagOf("sig"))) as { readonly layers: readonly [TestDescriptor] };
    const [layer] = manifest.layers;
    expect(layer.mediaType).toBe(SIMPLE_SIGNING);
    const { "dev.sigstore.cosign/bundle": entry = "", ...annotations } = layer["annotations"] as Record<string, string>;
    expect(annotations).toEqual({
      "dev.cosignproject.cosign/signature": Buffer.from(raw).toString("base64"),
      "dev.sigstore.cosign/certificate": certificatePem,
      "dev.sigstore.cosign/chain": chain.map((der) => new X509Certificate(der).toString()).join(""),
    });
    expect(JSON.parse(entry)).toEqual(bundle.rekorBundle);
    const { signatures } = await verifyImage(NAME, { ...world.options(), ...ALICE_SIGNED });
    expect(signatures).toHaveLength(1);
  });

  test("makes the payload that cosign makes where none is given", async () => {
    const payload = payloadFor(image.digest);
    await attachSignature(NAME, { signature: signed(payload).raw }, options());
    expect(documents(await downloadSignatures(NAME, options()))).toEqual([payload]);
  });

  test("refuses a payload about another image, unless it is told to", async () => {
    const payload = payloadFor(OTHER_DIGEST);
    const signature = { signature: signed(payload).raw, payload: utf8(payload) };
    expect(await refusal(attachSignature(NAME, signature, options()))).toMatchObject({
      code: "SUBJECT_MISMATCH",
      expected: image.digest,
      found: OTHER_DIGEST,
    });
    expect(await manifestAt(tagOf("sig"))).toBeUndefined();
    await attachSignature(NAME, signature, options({ subject: "unsafe-any" }));
    expect(documents(await downloadSignatures(NAME, options()))).toEqual([payload]);
  });

  test("refuses a payload that is none, and an envelope in place of a signature", async () => {
    const { raw } = signed("x");
    expect(await outcomeOf(attachSignature(NAME, { signature: raw, payload: utf8("x") }, options()))).toBe(
      "SIMPLE_SIGNING_MALFORMED",
    );
    const envelope = utf8(envelopeAbout(image.digest, PREDICATE_TYPE));
    expect(await outcomeOf(attachSignature(NAME, { signature: envelope }, options()))).toBe("BUNDLE_MALFORMED");
  });

  test("leaves the signatures that are there", async () => {
    for (const name of ["one", "two"]) await attachSignature(NAME, { signature: signed(name).raw }, options());
    expect((await manifestAt(tagOf("sig")))?.["layers"]).toHaveLength(2);
  });

  test("writes where signatures are kept, under a tag with a prefix, of Docker's media types", async () => {
    const elsewhere = options({
      signatureRepository: `${HOST}/signatures`,
      attachmentTagPrefix: "x-",
      legacy: { dockerMediaTypes: true },
    });
    await attachSignature(NAME, { signature: signed("x").raw }, elsewhere);
    expect(await manifestAt(`x-${tagOf("sig")}`, "signatures")).toMatchObject({
      mediaType: "application/vnd.docker.distribution.manifest.v2+json",
    });
    expect((await downloadSignatures(NAME, elsewhere)).found).toHaveLength(1);
    expect(await outcomeOf(downloadSignatures(NAME, options()))).toBe("SIGNATURE_NOT_FOUND");
  });
});

describe("downloadSignatures, downloadAttestations", () => {
  test("give all bundles and nothing else, where there is one; otherwise what is under the tag", async () => {
    const payload = payloadFor(image.digest);
    await world.putLayers(image, "sig", [await world.legacySignature(payload)]);
    expect(documents(await downloadSignatures(NAME, options()))).toEqual([payload]);
    const bundle = bundleAbout(image.digest);
    await world.attachBundle(image, bundle);
    expect(documents(await downloadSignatures(NAME, options()))).toEqual([bundle]);
  });

  test("give attestations in bundles first, then those under the tag", async () => {
    await world.putLayers(image, "att", [await world.legacyAttestation(statementFor(image.digest))]);
    await world.attachBundle(image, bundleAbout(image.digest));
    const { found } = await downloadAttestations(NAME, options());
    expect(found.map(({ content }) => content.kind)).toEqual(["bundle", "dsse"]);
  });

  test("give attestations of one type, and name those that there are where there is none", async () => {
    for (const name of ["a", "b"])
      await world.attachBundle(image, attestationAbout(image.digest, `https://e.example/${name}`));
    const predicateType = "https://e.example/b";
    const { found } = await downloadAttestations(NAME, { ...options(), predicateType });
    expect(found.map((one) => one.predicateType)).toEqual([predicateType]);
    const error = await refusal(downloadAttestations(NAME, { ...options(), predicateType: "https://e.example/c" }));
    expect(error.code).toBe("PREDICATE_TYPE_MISMATCH");
    expect(error.found?.split(", ").toSorted()).toEqual(["https://e.example/a", "https://e.example/b"]);
  });

  test("give what can be read, and name what cannot", async () => {
    await world.attachBundle(image, "{}");
    const nothing = await refusal(downloadSignatures(NAME, options()));
    expect(nothing).toMatchObject({ code: "SIGNATURE_NOT_FOUND", found: expect.stringContaining("1 that") as string });
    await world.attachBundle(image, bundleAbout(image.digest));
    const { found, malformed } = await downloadSignatures(NAME, options());
    expect([found.length, malformed.length]).toEqual([1, 1]);
  });

  test("read no more than they are told", async () => {
    await world.attachBundle(image, bundleAbout(image.digest));
    const error = await refusal(downloadSignatures(NAME, { ...options(), maxBytes: 100 }));
    expect(error).toMatchObject({ code: "SIGNATURE_NOT_FOUND", cause: { code: "LIMIT_EXCEEDED" } });
  });

  test("say that there is no such image", async () => {
    expect(await outcomeOf(downloadSignatures(`${HOST}/${REPOSITORY}:none`, options()))).toBe("IMAGE_NOT_FOUND");
  });
});
