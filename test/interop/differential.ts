/**
 * Sends the same requests to a real service and to ours, and tells where the answers differ in more than their words.
 *
 * @module
 */

/** Is a request for both. */
export interface SharedRequest {
  /** Completes "the request …". */
  readonly name: string;
  readonly method?: string;
  readonly path: string;
  readonly type?: string;
  readonly body?: string | Uint8Array;
}

/** Is a request that was answered differently. */
export interface Difference {
  readonly request: string;
  readonly real: string;
  readonly ours: string;
}

/** Is an answer, with what does not depend on words, numbers and keys. */
interface Answer {
  readonly shape: string;
  readonly text: string;
}

/** Compares the answers to each of the requests, which are sent in order. */
export async function compareAnswers(
  realUrl: string,
  oursUrl: string,
  requests: readonly SharedRequest[],
): Promise<readonly Difference[]> {
  const differences: Difference[] = [];
  for (const request of requests) {
    const [real, ours] = await Promise.all([send(realUrl, request), send(oursUrl, request)]);
    // Files that a server without types hands out say no type.
    if (real.shape !== ours.shape && real.shape !== ours.shape.replace(/(?<=^\d+ )\S+/, "none"))
      differences.push({
        request: request.name,
        real: `${real.shape} ${real.text.slice(0, 300)}`,
        ours: `${ours.shape} ${ours.text.slice(0, 300)}`,
      });
  }
  return differences;
}

/** How long an answer may take: Rekor v2 waits for its next checkpoint. */
const ANSWER_MS = 60_000;

async function send(url: string, request: SharedRequest): Promise<Answer> {
  try {
    return await ask(url, request);
  } catch (error) {
    return { shape: "no answer", text: String(error) };
  }
}

async function ask(url: string, { method = "GET", path, type, body }: SharedRequest): Promise<Answer> {
  const response = await fetch(`${url}${path}`, {
    method,
    signal: AbortSignal.timeout(ANSWER_MS),
    ...(body !== undefined && { body: typeof body === "string" ? body : new Uint8Array(body) }),
    ...(type !== undefined && { headers: { "content-type": type } }),
  });
  const bytes = Buffer.from(await response.arrayBuffer());
  const text = bytes.toString("utf8");
  const contentType = response.headers.get("content-type")?.split(";")[0] ?? "none";
  const headers = ["location", "etag", "x-log-index", "allow"].filter((name) => response.headers.has(name));
  return { shape: `${response.status} ${contentType} [${headers.join(" ")}] ${shapeOf(text)}`, text };
}

/** Members whose values must be the same: what an error is, and what is logged, byte for byte. */
const COMPARED: ReadonlySet<string> = new Set(["code", "canonicalizedBody", "body"]);

/** Describes JSON by its members and their types; anything else in one word. */
function shapeOf(text: string): string {
  if (text === "") return "empty";
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return text.startsWith("-----BEGIN") ? "PEM" : "other";
  }
  return JSON.stringify(typesOf(value));
}

function typesOf(value: unknown, name = ""): unknown {
  if (Array.isArray(value) && name === "hashes") return "hashes"; // none, where the tree is small
  if (Array.isArray(value)) return value.length === 0 ? [] : [typesOf(value[0])];
  if (typeof value === "object" && value !== null) {
    const members = Object.entries(value).map(
      ([key, member]) => [/^[0-9a-f]{80}$/.test(key) ? "entry id" : key, typesOf(member, key)] as const,
    );
    return Object.fromEntries(members.sort(([a], [b]) => (a < b ? -1 : 1)));
  }
  if (COMPARED.has(name)) return value;
  return value === null ? "null" : typeof value;
}
