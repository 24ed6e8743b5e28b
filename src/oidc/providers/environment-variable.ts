import { InputError } from "../../errors.ts";
import { absent, available, variable, type IdentityProvider } from "../provider.ts";

const NAME = "SIGSTORE_ID_TOKEN";

/** Takes the token from `SIGSTORE_ID_TOKEN`, where GitLab CI/CD and whoever has another source puts it. */
export const environmentVariable: IdentityProvider = {
  name: "envvar",
  detect: ({ environment }) =>
    Promise.resolve(
      variable(environment, NAME) === undefined
        ? absent(environment[NAME] === undefined ? `${NAME} is not set` : `${NAME} is empty`)
        : available(`${NAME} is set`),
    ),
  obtain({ environment }) {
    const token = variable(environment, NAME);
    if (token === undefined) return Promise.reject(new InputError("IDENTITY_TOKEN_UNAVAILABLE", `${NAME} is not set`));
    return Promise.resolve(token);
  },
  audienceRemedy: (audience) => `put a token for the audience ${JSON.stringify(audience)} into ${NAME}`,
};
