/**
 * Patterns in the syntax of RE2, matched in linear time.
 *
 * @module
 */

import { RE2JS } from "re2js";

import { InputError } from "../errors.ts";
import type { StringPattern } from "../verify/identity.ts";

/**
 * Compiles a pattern. As in Go's `MatchString`, it matches a value that contains a match; `anchored` says whether that is the
 * whole value.
 *
 * @throws {@link InputError} `USAGE_INVALID`.
 * @see RE2 syntax
 */
export function compilePattern(source: string): StringPattern {
  let compiled: RE2JS;
  try {
    compiled = RE2JS.compile(source);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new InputError("USAGE_INVALID", `pattern ${JSON.stringify(source)} is not RE2 syntax: ${reason}`, { cause });
  }
  return {
    kind: "pattern",
    description: source,
    anchored: isAnchored(source),
    test: (value) => compiled.matcher(value).find(),
  };
}

/** Flags that hold for what follows, or for a group. */
const FLAGS = /^\(\?([a-zA-Z]*)(?:-[a-zA-Z]+)?[:)]/;

/**
 * Says whether every match of a pattern is a whole value. Errs on the side of "no": what could change the meaning of `^` and `$`, or
 * lead past them, counts as not anchored.
 */
function isAnchored(source: string): boolean {
  // `(?i)` and the like before `^` change nothing; `(?m)` does.
  const start = /^(?:\(\?[isU]+\))*(?:\^|\\A)/.exec(source)?.[0];
  const end = /(?:\$|\\z)$/.exec(source)?.[0];
  if (start === undefined || end === undefined) return false;
  const middle = source.slice(start.length, source.length - end.length);
  if (/^(?:\(\?[a-zA-Z-]+\))*[*+?{]/.test(middle)) return false; // `^*` need not be there, and flags do not come between both
  let depth = 0;
  for (let index = 0; index < middle.length; index += 1) {
    const character = middle[index];
    if (character === "\\") {
      if (middle[index + 1] === "Q") return false; // \Q…\E would hide what follows from this reading
      index += 1;
      if (index === middle.length) return false; // the last anchor is escaped
    } else if (character === "[") {
      const close = endOfClass(middle, index);
      if (close === undefined) return false;
      index = close;
    } else if (character === "(") {
      if (FLAGS.exec(middle.slice(index, index + 16))?.[1]?.includes("m") === true) return false;
      depth += 1;
    } else if (character === ")") {
      depth -= 1;
    } else if (character === "|" && depth === 0) {
      return false;
    }
  }
  return depth === 0; // otherwise this reading is not the compiler's
}

function endOfClass(text: string, open: number): number | undefined {
  let index = open + 1;
  if (text[index] === "^") index += 1;
  if (text[index] === "]") index += 1; // a bracket in the first place is a member
  for (; index < text.length; index += 1) {
    if (text[index] === "\\") index += 1;
    else if (text[index] === "[" && text[index + 1] === ":") index = text.indexOf(":]", index) + 1 || text.length;
    else if (text[index] === "]") return index;
  }
  return undefined;
}
