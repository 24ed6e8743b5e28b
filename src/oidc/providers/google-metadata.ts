/**
 * The metadata server of Google Cloud, which answers each machine about itself.
 *
 * @module
 */

import { tryDecodeUtf8 } from "../../encoding/utf8.ts";
import { InputError, ServiceError } from "../../errors.ts";
import { requestFrom } from "../oidc-request.ts";
import { variable, type ProviderContext } from "../provider.ts";

const HOST_NAME = "GCE_METADATA_HOST";
/** By number: whoever answers for a name could be anybody. */
const DEFAULT_HOST = "169.254.169.254";
const PRODUCT_FILE = "/sys/class/dmi/id/product_name";
const FLAVOR = "metadata-flavor";
const DETECTION_TIMEOUT_MS = 3000;

/** Says why this may be a machine of Google's, or `undefined`. */
export async function findGoogle({ environment, files }: ProviderContext): Promise<string | undefined> {
  if (variable(environment, HOST_NAME) !== undefined) return `${HOST_NAME} is set`;
  if (!(await files.exists(PRODUCT_FILE))) return undefined;
  const product = (tryDecodeUtf8(await files.read(PRODUCT_FILE)) ?? "").trim();
  return product === "Google" || product === "Google Compute Engine" ? "this is a machine of Google's" : undefined;
}

/** Says whether the machine has a service account. */
export async function hasServiceAccount(context: ProviderContext): Promise<boolean> {
  const quick = { ...context, request: { ...context.request, timeoutMs: DETECTION_TIMEOUT_MS, retries: 0 } };
  return (await requestMetadata("instance/service-accounts/default/email", quick)) !== undefined;
}

/**
 * Asks the metadata server.
 *
 * The header goes both ways: the server refuses requests that were sent there without knowing it, and an answer without it is of
 * something else.
 *
 * @returns the answer, or `undefined` where there is no such thing.
 */
export async function requestMetadata(path: string, context: ProviderContext): Promise<string | undefined> {
  const host = variable(context.environment, HOST_NAME) ?? DEFAULT_HOST;
  if (!/^(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:.]+\])(?::\d{1,5})?$/.test(host)) {
    throw new InputError("URL_INVALID", `${HOST_NAME} is not a host`, { expected: "host or host:port" });
  }
  const service = "Google metadata server";
  const answer = await requestFrom(
    `http://${host}/computeMetadata/v1/${path}`,
    { method: "GET", headers: { [FLAVOR]: "Google" }, accept: [200, 404] },
    { ...context.request, fetch: context.directFetch, service },
  );
  if (answer.headers.get(FLAVOR) !== "Google") {
    throw new ServiceError("SERVICE_RESPONSE_INVALID", `${service} (${host}) is something else`, {
      expected: "header Metadata-Flavor: Google",
      found: "none such",
      service,
    });
  }
  return answer.status === 404 ? undefined : (tryDecodeUtf8(answer.body) ?? "").trim();
}
