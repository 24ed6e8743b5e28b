import { ServiceError } from "../../errors.ts";
import { absent, available, type IdentityProvider } from "../provider.ts";
import { findGoogle, hasServiceAccount, requestMetadata } from "./google-metadata.ts";

/**
 * Asks the metadata server of Google Cloud for a token of the machine's, or the workload's, service account.
 *
 * @see {@link https://cloud.google.com/compute/docs/instances/verifying-instance-identity | Compute Engine, verifying instance identity}
 */
export const googleWorkloadIdentity: IdentityProvider = {
  name: "google-workload-identity",
  async detect(context) {
    const reason = await findGoogle(context);
    if (reason === undefined) return absent("this is no machine of Google Cloud");
    return (await hasServiceAccount(context)) ? available(reason) : absent(`${reason}, but it has no service account`);
  },
  async obtain(context) {
    // Only the full format holds the e-mail address, which is what gets certified.
    const query = new URLSearchParams({ audience: context.audience, format: "full" }).toString();
    const token = await requestMetadata(`instance/service-accounts/default/identity?${query}`, context);
    if (token === undefined) {
      throw new ServiceError("OIDC_REQUEST_REFUSED", "Google metadata server gives no identity token", {
        status: 404,
        service: "Google metadata server",
        remedy: "attach a service account to the machine or the workload",
      });
    }
    return token;
  },
};
