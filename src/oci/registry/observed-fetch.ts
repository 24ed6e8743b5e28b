/**
 * Requests that are told to whoever counts them.
 *
 * @module
 */

import type { Fetch } from "../../http/request.ts";
import type { RegistryOptions } from "./registry-options.ts";

/** Makes a `fetch` that tells of each request, once nobody reads any more of its answer. */
export function observed(fetch: Fetch, authentication: boolean, observer: RegistryOptions["observer"]): Fetch {
  if (observer === undefined) return fetch;
  return async (url, init) => {
    const method = init.method ?? "GET";
    const tell = (status: number | undefined, bytes: number): void =>
      observer({ kind: "request", method, url: url.split("?")[0] ?? "", status, bytes, authentication });
    try {
      const response = await fetch(url, init);
      return counted(response, (bytes) => tell(response.status, bytes));
    } catch (error) {
      tell(undefined, 0);
      throw error;
    }
  };
}

/** Tells how many bytes of an answer were read, once nobody reads any more of it. */
function counted(response: Response, tell: (bytes: number) => void): Response {
  const { body, status, headers } = response;
  if (body === null) {
    tell(0);
    return response;
  }
  const reader = (body as ReadableStream<Uint8Array>).getReader();
  let bytes = 0;
  let isTold = false;
  const end = (): void => {
    if (!isTold) tell(bytes);
    isTold = true;
  };
  const stream = new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        try {
          const { done, value } = await reader.read();
          if (done) {
            end();
            controller.close();
          } else {
            bytes += value.length;
            controller.enqueue(value);
          }
        } catch (error) {
          end();
          throw error;
        }
      },
      cancel: async (reason) => {
        end();
        await reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
  // Not a `Response`, which would take the headers apart: what gave this one need not be the standard `fetch`.
  return { status, headers, body: stream } as unknown as Response;
}
