import type { Digest } from "../crypto/digest.ts";
import { encodeHex } from "../encoding/hex.ts";
import { parseJson } from "../encoding/json.ts";
import { encodeUtf8, tryDecodeUtf8 } from "../encoding/utf8.ts";
import { FormatError } from "../errors.ts";
import { MAX_BUNDLE_BYTES } from "../limits.ts";
import { parseStatement, STATEMENT_TYPES } from "./statement.ts";

/** Holds the parts of a statement that is to be made. */
export interface StatementParts {
  /** Default: v0.1, which cosign writes and every reader knows. */
  readonly type?: (typeof STATEMENT_TYPES)[number] | undefined;
  readonly subjects: readonly SubjectParts[];
  readonly predicateType: string;
  /** JSON text, or UTF-8 of it. */
  readonly predicate: string | Uint8Array;
}

/** Is one artifact that the statement is to be about. */
export interface SubjectParts {
  readonly name?: string | undefined;
  readonly digests: readonly Digest[];
  /** What the signer says of this artifact besides: for an image, what cosign calls its annotations. */
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/**
 * Writes a statement around the text of a predicate.
 *
 * The predicate is checked to be JSON and then taken over as it is written: parsing and writing it again would round large
 * integers and reorder keys, and what is signed would not be what was given.
 *
 * @returns UTF-8, which `parseStatement` reads.
 * @throws {@link FormatError} `STATEMENT_MALFORMED`, `JSON_DUPLICATE_KEY`, `LIMIT_EXCEEDED`.
 * @see {@link https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md | in-toto attestation framework, statement}
 */
export function buildStatement(parts: StatementParts): Uint8Array {
  const { type = STATEMENT_TYPES[0], subjects, predicateType, predicate } = parts;
  parseJson(predicate, { what: "predicate", code: "STATEMENT_MALFORMED", maxBytes: MAX_BUNDLE_BYTES });
  const text = typeof predicate === "string" ? predicate : tryDecodeUtf8(predicate);
  if (text === undefined) throw new FormatError("STATEMENT_MALFORMED", "predicate is not UTF-8 text");
  const head = JSON.stringify({
    _type: type,
    predicateType,
    subject: subjects.map(({ name, digests, annotations }) => ({
      ...(name !== undefined && { name }),
      digest: Object.fromEntries(digests.map(({ algorithm, value }) => [algorithm, encodeHex(value)])),
      ...(annotations !== undefined && { annotations }),
    })),
  });
  // White space around JSON can be no other than JSON's own: a newline at the end of a file, for instance.
  const statement = encodeUtf8(`${head.slice(0, -1)},"predicate":${text.trim()}}`);
  parseStatement(statement);
  return statement;
}
