/**
 * The version of this package. A test compares it with `package.json`.
 *
 * @module
 */

/** Is the version of this package. */
export const VERSION = "0.1.0";
