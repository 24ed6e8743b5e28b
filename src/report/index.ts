/**
 * `cosign-ts/report`: evidence and refusals as text and as JSON.
 *
 * @module
 */

export { RESULT_VERSION, evidenceToJson, refusalToJson } from "./json.ts";
export { checksToText, evidenceToText, refusalToText } from "./text.ts";
