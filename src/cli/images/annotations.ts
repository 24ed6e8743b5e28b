/**
 * Annotations on the command line: `-a key=value`.
 *
 * @module
 */

import { usage, type Flags } from "../flags.ts";

/**
 * Reads the annotations. As in cosign a comma separates several, so that a value cannot hold one; the first equals sign ends the name.
 *
 * @throws InputError `USAGE_INVALID`.
 */
export function parseAnnotations(flags: Flags): Readonly<Record<string, string>> {
  const annotations: Record<string, string> = {};
  for (const pair of flags.strings("annotations").flatMap((text) => text.split(","))) {
    const equals = pair.indexOf("=");
    if (equals < 1)
      throw usage(`${JSON.stringify(pair)} of ${flags.nameOf("annotations")} is no annotation`, {
        expected: "KEY=VALUE; a comma separates several",
      });
    const name = pair.slice(0, equals);
    if (Object.hasOwn(annotations, name)) throw usage(`annotation ${JSON.stringify(name)} is given twice`);
    annotations[name] = pair.slice(equals + 1);
  }
  return annotations;
}
