/**
 * The predicate of an attestation: flags, and the file or standard input that it is read from.
 *
 * @module
 */

import { concatBytes } from "../encoding/bytes.ts";
import { FormatError } from "../errors.ts";
import { readInputFile } from "../files/read-file.ts";
import { predicateFor, PREDICATE_TYPES, type Predicate } from "../intoto/predicate.ts";
import { MAX_BUNDLE_BYTES } from "../limits.ts";
import type { Context } from "./context.ts";
import type { Flag, Flags } from "./flags.ts";
import { naming } from "./named-input.ts";

/** Are the flags for a predicate. */
export const PREDICATE_FLAGS: readonly Flag[] = [
  { name: "predicate", kind: "string", value: "FILE", description: "the predicate, in JSON: a file or -" },
  {
    name: "type",
    kind: "string",
    default: "custom",
    choices: Object.keys(PREDICATE_TYPES),
    description: `the predicate type: ${Object.keys(PREDICATE_TYPES).join(", ")}, or a URI`,
  },
];

/**
 * Reads the predicate that the flags name, and makes of it what its type wants.
 *
 * @throws InputError, FormatError `STATEMENT_MALFORMED`, `LIMIT_EXCEEDED`.
 */
export async function readPredicate(flags: Flags, context: Context): Promise<Predicate> {
  const file = flags.string("predicate") ?? "";
  const predicate = file === "-" ? await readAll(context) : await readInputFile(file, MAX_BUNDLE_BYTES, "predicate");
  return await naming(file, () => predicateFor(flags.string("type") ?? "custom", predicate, context.now()));
}

async function readAll({ stdin }: Context): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of stdin) {
    length += piece.length;
    if (length > MAX_BUNDLE_BYTES)
      throw new FormatError("LIMIT_EXCEEDED", `predicate has more than ${MAX_BUNDLE_BYTES} bytes`);
    pieces.push(piece);
  }
  return concatBytes(...pieces);
}
