/**
 * Answers of services that have the right status, and may be something else nevertheless.
 *
 * @module
 */

import { parseJson } from "../encoding/json.ts";
import { JsonReader } from "../encoding/json-reader.ts";
import { FormatError, ServiceError } from "../errors.ts";
import { redactUrl } from "./redact.ts";
import type { HttpAnswer } from "./request.ts";
import { quoteServerWords } from "./server-words.ts";

/**
 * Reads an answer, of which whatever is malformed is a fault of the service.
 *
 * @param service - The service's name, for instance `Fulcio`.
 * @param what - What the answer should be, with its article: `a certificate chain`.
 * @throws ServiceError `SERVICE_RESPONSE_INVALID`, with the FormatError as its cause.
 */
export function readAnswer<T>(answer: HttpAnswer, service: string, what: string, read: (body: Uint8Array) => T): T {
  try {
    return read(answer.body);
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    const type = quoteServerWords(answer.headers.get("content-type") ?? "");
    throw new ServiceError(
      "SERVICE_RESPONSE_INVALID",
      `${service} (${redactUrl(answer.url)}) did not answer with ${what}: ${cause.message}`,
      {
        cause,
        service,
        attempts: answer.attempts,
        status: answer.status,
        expected: cause.expected ?? what,
        found: cause.found ?? (type === undefined ? undefined : `${answer.body.length} bytes of type ${type}`),
      },
    );
  }
}

/**
 * Reads an answer in JSON; the type that its header names is not looked at.
 *
 * @param read - Gets a reader whose errors are `JSON_MALFORMED`.
 * @throws as {@link readAnswer}.
 */
export function readJsonAnswer<T>(
  answer: HttpAnswer,
  service: string,
  what: string,
  read: (reader: JsonReader) => T,
): T {
  return readAnswer(answer, service, what, (body) => {
    const value = parseJson(body, { what: "answer", code: "JSON_MALFORMED", maxBytes: body.length });
    return read(new JsonReader(value, "answer", "JSON_MALFORMED"));
  });
}
