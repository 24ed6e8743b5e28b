import { tryDecodeUtf8 } from "../../encoding/utf8.ts";
import { FormatError } from "../../errors.ts";
import { absent, available, type IdentityProvider } from "../provider.ts";

/** Where a token is looked for. */
const TOKEN_FILE = "/var/run/sigstore/cosign/oidc-token";

/** Reads the token from a file, into which for instance Kubernetes projects one. */
export const filesystem: IdentityProvider = {
  name: "filesystem",
  detect: async ({ files }) =>
    (await files.exists(TOKEN_FILE)) ? available(`${TOKEN_FILE} exists`) : absent(`${TOKEN_FILE} does not exist`),
  async obtain({ files }) {
    const token = tryDecodeUtf8(await files.read(TOKEN_FILE));
    if (token === undefined) throw new FormatError("IDENTITY_TOKEN_MALFORMED", `${TOKEN_FILE} holds no text`);
    return token.trim();
  },
  audienceRemedy: (audience) => `project a token for the audience ${JSON.stringify(audience)} into ${TOKEN_FILE}`,
};
