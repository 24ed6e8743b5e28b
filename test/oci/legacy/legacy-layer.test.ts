import { beforeAll, describe, expect, test } from "vitest";

import { SigstoreError } from "../../../src/errors.ts";
import { readLegacyLayer, toLegacyLayer } from "../../../src/oci/legacy/legacy-layer.ts";
import type { Descriptor } from "../../../src/oci/manifest.ts";
import { parseBundle } from "../../../src/bundle/bundle.ts";
import { openImages, OTHER_DIGEST, payloadFor, statementFor } from "../../support/images.ts";
import { utf8 } from "../../support/logs.ts";
import { bundleFrom, makeSandbox } from "../../support/sandbox/sandbox.ts";

const sandbox = makeSandbox();
const PAYLOAD = payloadFor(OTHER_DIGEST);
const SIGNATURE = "dev.cosignproject.cosign/signature";
const CERTIFICATE = "dev.sigstore.cosign/certificate";
const CHAIN = "dev.sigstore.cosign/chain";
const ENTRY = "dev.sigstore.cosign/bundle";
const TIMESTAMP = "dev.sigstore.cosign/rfc3161timestamp";

let layer: Descriptor;
beforeAll(async () => {
  layer = (await openImages(sandbox).legacySignature(PAYLOAD)) as unknown as Descriptor;
});

const annotationsOf = ({ annotations = {} }: Descriptor): Readonly<Record<string, string>> => annotations;

/** The layer with one annotation changed, or taken away. */
function changed(name: string, change: ((text: string) => string) | undefined): Descriptor {
  const { [name]: text = "", ...others } = annotationsOf(layer);
  return { ...layer, annotations: change === undefined ? others : { ...others, [name]: change(text) } };
}

const read = (one: Descriptor): ReturnType<typeof readLegacyLayer> => readLegacyLayer(one, utf8(PAYLOAD));

describe("readLegacyLayer (cosign, pkg/oci/internal/signature/layer.go)", () => {
  test("reads all parts", () => {
    const { kind, bundle } = read(layer);
    expect(kind).toBe("simple-signing");
    expect(bundle.version).toBe("0.1");
    const { content, tlogEntries, rfc3161Timestamps } = bundle.verificationMaterial;
    // Leaf and intermediate: a root is nothing that a signature could bring.
    expect(content.kind === "x509CertificateChain" && content.certificates.length).toBe(2);
    expect([tlogEntries.length, rfc3161Timestamps.length]).toEqual([1, 1]);
  });

  test.for([CERTIFICATE, CHAIN, ENTRY, TIMESTAMP])("takes an empty %s for none", (name) => {
    const withEmpty = read(changed(name, () => "")).bundle;
    expect(withEmpty).toEqual(read(changed(name, undefined)).bundle);
    expect(withEmpty).not.toEqual(read(layer).bundle);
  });

  test("takes a signature as a file of base64 holds it, with a newline", () => {
    expect(read(changed(SIGNATURE, (text) => `${text}\n`)).bundle).toEqual(read(layer).bundle);
  });

  test.for<readonly [string, string, ((text: string) => string) | undefined, string]>([
    ["without a signature", SIGNATURE, undefined, "BUNDLE_MALFORMED"],
    ["with an empty signature", SIGNATURE, () => "", "BUNDLE_MALFORMED"],
    ["with a signature of nothing but a newline", SIGNATURE, () => "\n", "BUNDLE_MALFORMED"],
    ["with a signature that is no base64", SIGNATURE, () => "%", "BUNDLE_MALFORMED"],
    ["with a signature that is an envelope", SIGNATURE, () => envelopeBase64(), "BUNDLE_MALFORMED"],
    ["with a signature without end", SIGNATURE, () => "A".repeat(2_000_000), "LIMIT_EXCEEDED"],
    ["with a certificate that is none", CERTIFICATE, () => "certificate", "PEM_MALFORMED"],
    ["with a certificate of other bytes", CERTIFICATE, (pem) => pem.replace("MII", "MIJ"), "CERTIFICATE_MALFORMED"],
    ["with a chain that is none", CHAIN, () => "chain", "PEM_MALFORMED"],
    ["with a chain without end", CHAIN, (pem) => pem.repeat(20), "LIMIT_EXCEEDED"],
    ["with an entry that is no JSON", ENTRY, () => "entry", "BUNDLE_MALFORMED"],
    ["with an entry without a payload", ENTRY, () => '{"SignedEntryTimestamp":"AA=="}', "BUNDLE_MALFORMED"],
    ["with a timestamp that is no JSON", TIMESTAMP, () => "timestamp", "TIMESTAMP_MALFORMED"],
    ["with an empty timestamp", TIMESTAMP, () => '{"SignedRFC3161Timestamp":""}', "TIMESTAMP_MALFORMED"],
  ])("rejects a layer %s", ([, name, change, code]) => {
    expect(() => read(changed(name, change))).toThrow(expect.objectContaining({ code }));
  });

  test("rejects an envelope with two signatures, or none", () => {
    for (const signatures of [[], [{ sig: "AA==" }, { sig: "AA==" }]]) {
      const envelope = utf8(
        JSON.stringify({ payload: "e30=", payloadType: "application/vnd.in-toto+json", signatures }),
      );
      const descriptor: Descriptor = {
        ...layer,
        mediaType: "application/vnd.dsse.envelope.v1+json",
        size: envelope.length,
      };
      expect(() => readLegacyLayer(descriptor, envelope)).toThrow(SigstoreError);
    }
  });

  test("throws nothing but its own errors, whatever character of an annotation is another", () => {
    for (const [name, text] of Object.entries(annotationsOf(layer))) {
      const step = Math.ceil(text.length / 60);
      for (let at = 0; at < text.length; at += step) {
        for (const edit of [
          text.slice(0, at),
          `${text.slice(0, at)}"${text.slice(at + 1)}`,
          `${text.slice(0, at)}A${text.slice(at + 1)}`,
        ]) {
          try {
            read(changed(name, () => edit));
          } catch (error) {
            expect(error).toBeInstanceOf(SigstoreError);
          }
        }
      }
    }
  });
});

const envelopeBase64 = (): string =>
  Buffer.from(
    JSON.stringify({ payload: "e30=", payloadType: "application/vnd.in-toto+json", signatures: [{ sig: "AA==" }] }),
  ).toString("base64");

describe("toLegacyLayer", () => {
  test("writes what it reads, the chain aside, of which a bundle keeps no root", () => {
    const { bundle } = read(layer);
    const chain = [sandbox.ca.intermediate.der, sandbox.ca.root.der];
    const written = toLegacyLayer({ bundle, payload: utf8(PAYLOAD), chain });
    expect(written.descriptor).toEqual({ ...layer, annotations: { ...annotationsOf(layer) } });
    expect(Buffer.from(written.bytes).toString()).toBe(PAYLOAD);
  });

  test("refuses an entry of Rekor v2, which such a layer cannot hold", () => {
    const { text } = bundleFrom(sandbox, { artifact: utf8(PAYLOAD), entries: [{ log: sandbox.rekor2 }] });
    expect(() => toLegacyLayer({ bundle: parseBundle(text), payload: utf8(PAYLOAD) })).toThrow(
      expect.objectContaining({ code: "BUNDLE_MALFORMED" }),
    );
  });

  test("writes an attestation without a signature of its own, and with its type", () => {
    const { text } = bundleFrom(sandbox, { statement: statementFor(OTHER_DIGEST) });
    const { descriptor, bytes } = toLegacyLayer({ bundle: parseBundle(text), predicateType: "https://example.com/p" });
    expect(descriptor).toMatchObject({
      mediaType: "application/vnd.dsse.envelope.v1+json",
      annotations: { [SIGNATURE]: "", predicateType: "https://example.com/p" },
    });
    expect(readLegacyLayer(descriptor, bytes).kind).toBe("dsse");
  });
});
