import { tryDecodeBase64Either } from "../encoding/base64.ts";
import { parseJson } from "../encoding/json.ts";
import { JsonReader } from "../encoding/json-reader.ts";
import { FormatError } from "../errors.ts";
import { MAX_BUNDLE_BYTES, MAX_ENVELOPE_SIGNATURES, MAX_SIGNATURE_BYTES } from "../limits.ts";

/** Is one signature over the pre-authentication encoding of an envelope, not verified. */
export interface EnvelopeSignature {
  readonly sig: Uint8Array;
  /** A hint at the key, which nothing protects; empty when there is none. */
  readonly keyid: string;
}

/** Is a DSSE envelope as it was read; nothing about it is proven. */
export interface Envelope {
  readonly payload: Uint8Array;
  readonly payloadType: string;
  readonly signatures: readonly EnvelopeSignature[];
}

/**
 * Parses a DSSE envelope that stands in a file of its own, with one signature or more.
 *
 * Either base64 alphabet is accepted and unknown fields are ignored, as the specification wants. The envelope inside a
 * bundle has stricter rules of its own.
 *
 * @throws {@link FormatError} `ENVELOPE_MALFORMED`, `JSON_DUPLICATE_KEY`, `LIMIT_EXCEEDED`.
 * @see {@link https://github.com/secure-systems-lab/dsse/blob/master/envelope.md | DSSE envelope}, "Standard JSON envelope"
 */
export function parseEnvelope(json: string | Uint8Array): Envelope {
  const value = parseJson(json, { what: "envelope", code: "ENVELOPE_MALFORMED", maxBytes: MAX_BUNDLE_BYTES });
  const object = new JsonReader(value, "envelope", "ENVELOPE_MALFORMED").object();
  const payloadType = object.required("payloadType");
  if (payloadType.string() === "") payloadType.fail("is empty");
  const signatures = object.required("signatures");
  const items = signatures.array(MAX_ENVELOPE_SIGNATURES);
  if (items.length === 0) signatures.fail("is empty");
  return {
    payload: readBase64(object.required("payload")),
    payloadType: payloadType.string(),
    signatures: items.map(readSignature),
  };
}

function readSignature(reader: JsonReader): EnvelopeSignature {
  const object = reader.object();
  const sigReader = object.required("sig");
  const sig = readBase64(sigReader);
  if (sig.length === 0) sigReader.fail("is empty");
  if (sig.length > MAX_SIGNATURE_BYTES) {
    throw new FormatError("LIMIT_EXCEEDED", `${sigReader.path} is too large`, {
      expected: `at most ${MAX_SIGNATURE_BYTES} bytes`,
      found: `${sig.length} bytes`,
    });
  }
  return { sig, keyid: object.optional("keyid")?.string() ?? "" };
}

function readBase64(reader: JsonReader): Uint8Array {
  return (
    tryDecodeBase64Either(reader.string()) ?? reader.fail("is not base64 of the standard or the URL-safe alphabet")
  );
}
