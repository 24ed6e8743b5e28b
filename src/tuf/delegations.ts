/**
 * Which delegated roles may speak for a target.
 *
 * @module
 */

import type { Targets } from "@tufjs/models";

/** Names a role that metadata delegates a target to. */
export interface Delegation {
  readonly role: string;
  /** Whether roles listed after it have no say. */
  readonly terminating: boolean;
}

/**
 * Finds the roles that metadata delegates a target to, in order of appearance.
 *
 * @see TUF specification §4.5 "paths", §5.6.7; TAP 15 for hashed bins
 */
export function delegationsFor(delegations: Targets["delegations"], target: string): readonly Delegation[] {
  const { roles, succinctRoles } = delegations ?? {};
  if (roles === undefined)
    return succinctRoles === undefined ? [] : [{ role: succinctRoles.getRoleForTarget(target), terminating: true }];
  return Object.values(roles)
    .filter(
      (role) => role.paths?.some((pattern) => matchesPathPattern(target, pattern)) ?? role.isDelegatedPath(target),
    )
    .map(({ name, terminating }) => ({ role: name, terminating }));
}

/**
 * Tells whether a target path matches a PATHPATTERN: `*`, `?` and `[a-z]` as in glob(7), none of which matches a slash. Nothing
 * else has a meaning, and the answer does not depend on the platform.
 *
 * @see TUF specification §4.5 "paths"
 */
export function matchesPathPattern(path: string, pattern: string): boolean {
  const segments = path.split("/");
  const patterns = pattern.split("/");
  return (
    segments.length === patterns.length && patterns.every((part, index) => matchesSegment(segments[index] ?? "", part))
  );
}

/** Is one place of a pattern: a test of one character, or any number of characters. */
type Piece = "*" | ((character: string) => boolean);

function matchesSegment(text: string, pattern: string): boolean {
  const pieces = parsePattern(Array.from(pattern));
  const characters = Array.from(text);
  let at = 0;
  let piece = 0;
  // Where to go on when a try fails: only the last star can still be made longer.
  let star: { readonly piece: number; at: number } | undefined;
  while (at < characters.length) {
    const current = pieces[piece];
    if (current === "*") {
      piece += 1;
      star = { piece, at };
    } else if (current?.(characters[at] ?? "") === true) {
      piece += 1;
      at += 1;
    } else if (star === undefined) {
      return false;
    } else {
      star.at += 1;
      ({ piece, at } = star);
    }
  }
  return pieces.slice(piece).every((rest) => rest === "*");
}

function parsePattern(pattern: readonly string[]): readonly Piece[] {
  const pieces: Piece[] = [];
  for (let index = 0; index < pattern.length; index += 1) {
    const character = pattern[index] ?? "";
    // A bracket right after the opening one, or after the negation, is a member of the set.
    const negated = pattern[index + 1] === "!" || pattern[index + 1] === "^";
    const first = index + (negated ? 2 : 1);
    const end = character === "[" ? pattern.indexOf("]", first + 1) : -1;
    if (character === "*") {
      pieces.push("*");
    } else if (character === "?") {
      pieces.push(() => true);
    } else if (end === -1) {
      pieces.push((found) => found === character);
    } else {
      const isMember = parseSet(pattern.slice(first, end));
      pieces.push((found) => isMember(found) !== negated);
      index = end;
    }
  }
  return pieces;
}

function parseSet(members: readonly string[]): (character: string) => boolean {
  const ranges: (readonly [string, string])[] = [];
  for (let index = 0; index < members.length; index += 1) {
    const from = members[index] ?? "";
    const isRange = members[index + 1] === "-" && index + 2 < members.length;
    ranges.push([from, isRange ? (members[index + 2] ?? "") : from]);
    if (isRange) index += 2;
  }
  return (character) => ranges.some(([from, to]) => order(from) <= order(character) && order(character) <= order(to));
}

function order(character: string): number {
  return character.codePointAt(0) ?? 0;
}
