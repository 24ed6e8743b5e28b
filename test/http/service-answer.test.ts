import { describe, expect, test } from "vitest";
import { VerificationError } from "../../src/errors.ts";
import { serviceUrl } from "../../src/http/redirect.ts";
import { readJsonAnswer } from "../../src/http/service-answer.ts";
import type { HttpAnswer } from "../../src/http/request.ts";

const answer = (body: string, type = "application/json"): HttpAnswer => ({
  status: 200,
  headers: new Headers({ "content-type": type }),
  body: Buffer.from(body),
  url: "https://service.test/a?s3cret",
  attempts: 2,
});

describe("readJsonAnswer", () => {
  test("reads JSON, whatever its type is called", () => {
    expect(readJsonAnswer(answer('{"a":1}', "text/plain"), "Rekor", "a log entry", (reader) => reader.value)).toEqual({
      a: 1,
    });
  });

  test("says what was expected of whom, and of what type the answer was", () => {
    const read = (): unknown => readJsonAnswer(answer("<html>", "text/html"), "Rekor", "a log entry", () => 0);
    expect(read).toThrow(
      expect.objectContaining({
        name: "ServiceError",
        code: "SERVICE_RESPONSE_INVALID",
        service: "Rekor",
        attempts: 2,
        status: 200,
        retryable: false,
        expected: "a log entry",
        found: '6 bytes of type "text/html"',
        message: expect.stringMatching(
          /^Rekor \(https:\/\/service\.test\/a\) did not answer with a log entry: answer /,
        ) as unknown,
      }),
    );
  });

  test("leaves alone what is no fault of the format", () => {
    const problem = new VerificationError("TLOG_ENTRY_MISMATCH", "another");
    expect(() =>
      readJsonAnswer(answer("{}"), "Rekor", "a log entry", () => {
        throw problem;
      }),
    ).toThrow(problem);
  });
});

describe("serviceUrl", () => {
  test.for([
    ["https://rekor.test", "https://rekor.test/api/v1/log"],
    ["https://rekor.test/", "https://rekor.test/api/v1/log"],
    ["https://rekor.test/base//", "https://rekor.test/base/api/v1/log"],
    ["http://127.0.0.1:3000/base#fragment", "http://127.0.0.1:3000/base/api/v1/log"],
  ] as const)("puts a path behind %s", ([base, url]) => {
    expect(serviceUrl(base, "/api/v1/log")).toBe(url);
  });

  test.for(["https://rekor.test/?a=b", "rekor.test", "ftp://rekor.test", "https://u:p@rekor.test"])(
    "refuses %s",
    (base) => {
      expect(() => serviceUrl(base, "/api")).toThrow(expect.objectContaining({ code: "URL_INVALID" }));
    },
  );
});
