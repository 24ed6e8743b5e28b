import { DIGEST_LENGTH, type Digest, type HashAlgorithm } from "../crypto/digest.ts";
import { encodeHex, tryDecodeHex } from "../encoding/hex.ts";
import { parseJson, type JsonObject, type JsonValue } from "../encoding/json.ts";
import { JsonReader } from "../encoding/json-reader.ts";
import { FormatError } from "../errors.ts";
import { MAX_BUNDLE_BYTES, MAX_DIGESTS_PER_SUBJECT, MAX_SUBJECTS } from "../limits.ts";

/** Is the payload type of an envelope whose payload is a statement. */
export const IN_TOTO_PAYLOAD_TYPE = "application/vnd.in-toto+json";

/** Lists the versions of the statement that are read: they agree in every field used here. */
export const STATEMENT_TYPES = ["https://in-toto.io/Statement/v0.1", "https://in-toto.io/Statement/v1"] as const;

/** Is one artifact that a statement is about. Only its digests identify it. */
export interface Subject {
  readonly name?: string;
  readonly uri?: string;
  /** Values by algorithm. Those of sha256, sha384 and sha512 are hex of the right length; others are any string. */
  readonly digest: Readonly<Record<string, string>>;
  readonly annotations?: JsonObject;
}

/** Is what an attestation says, not proven unless the envelope around it was verified. */
export interface Statement {
  readonly type: (typeof STATEMENT_TYPES)[number];
  /** Never empty. */
  readonly subject: readonly Subject[];
  readonly predicateType: string;
  /** Is `undefined` when absent or `null`. What it must look like, its type says. */
  readonly predicate: JsonValue | undefined;
  /** The whole statement, with the fields that nobody here knows. */
  readonly json: JsonObject;
}

/**
 * Parses the payload of an attestation.
 *
 * Unknown fields are kept and otherwise ignored. The predicate is not looked into.
 *
 * @throws {@link FormatError} `STATEMENT_MALFORMED`, `JSON_DUPLICATE_KEY`, `LIMIT_EXCEEDED`.
 * @see {@link https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md | in-toto attestation framework, statement}
 */
export function parseStatement(payload: Uint8Array): Statement {
  const value = parseJson(payload, { what: "statement", code: "STATEMENT_MALFORMED", maxBytes: MAX_BUNDLE_BYTES });
  const object = new JsonReader(value, "statement", "STATEMENT_MALFORMED").object();
  const type = object.required("_type").oneOf(STATEMENT_TYPES);
  const predicateType = object.required("predicateType");
  if (predicateType.string() === "") predicateType.fail("is empty");
  const subjects = object.required("subject");
  const items = subjects.array(MAX_SUBJECTS);
  if (items.length === 0) subjects.fail("is empty");
  return {
    type,
    subject: items.map(readSubject),
    predicateType: predicateType.string(),
    predicate: object.optional("predicate")?.value,
    json: value as JsonObject,
  };
}

function readSubject(reader: JsonReader): Subject {
  const object = reader.object();
  const name = object.optional("name")?.string();
  const uri = object.optional("uri")?.string();
  const annotations = object.optional("annotations");
  annotations?.object();
  return {
    ...(name !== undefined && { name }),
    ...(uri !== undefined && { uri }),
    digest: readDigestSet(object.required("digest")), // "Each element MUST have `digest` set"
    ...(annotations !== undefined && { annotations: annotations.value as JsonObject }),
  };
}

/** @see {@link https://github.com/in-toto/attestation/blob/main/spec/v1/digest_set.md | in-toto attestation framework, DigestSet} */
function readDigestSet(reader: JsonReader): Readonly<Record<string, string>> {
  const object = reader.object();
  const algorithms = object.keys();
  if (algorithms.length === 0) reader.fail("is empty");
  if (algorithms.length > MAX_DIGESTS_PER_SUBJECT) {
    throw new FormatError("LIMIT_EXCEEDED", `${reader.path} has too many digests`, {
      expected: `at most ${MAX_DIGESTS_PER_SUBJECT}`,
      found: `${algorithms.length}`,
    });
  }
  for (const algorithm of algorithms) {
    const digest = object.required(algorithm);
    const text = digest.string();
    // The specification asks for lower case; digests in upper case are in the field, and mean the same.
    if (isHashAlgorithm(algorithm) && tryDecodeHex(text)?.length !== DIGEST_LENGTH[algorithm]) {
      digest.fail(`is not a ${algorithm} digest in hexadecimal`);
    }
  }
  return reader.value as Readonly<Record<string, string>>;
}

function isHashAlgorithm(algorithm: string): algorithm is HashAlgorithm {
  return Object.hasOwn(DIGEST_LENGTH, algorithm);
}

/**
 * Finds the first subject that has one of these digests.
 *
 * "Subject artifacts are matched purely by digest": names are not compared. Algorithms other than sha256, sha384 and
 * sha512 never match.
 *
 * @returns `undefined` when the statement is not about an artifact with these digests.
 * @see {@link https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md | in-toto attestation framework, statement}, `subject`
 */
export function findSubject(
  statement: Statement,
  digests: readonly Digest[],
): { readonly subject: Subject; readonly digest: Digest; readonly index: number } | undefined {
  const wanted = digests
    .filter(({ algorithm, value }) => isHashAlgorithm(algorithm) && value.length === DIGEST_LENGTH[algorithm])
    .map((digest) => ({ digest, hex: encodeHex(digest.value) }));
  for (const [index, subject] of statement.subject.entries()) {
    for (const { digest, hex } of wanted) {
      if (Object.hasOwn(subject.digest, digest.algorithm) && subject.digest[digest.algorithm]?.toLowerCase() === hex) {
        return { subject, digest, index };
      }
    }
  }
  return undefined;
}
