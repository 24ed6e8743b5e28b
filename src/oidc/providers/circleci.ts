import { InputError } from "../../errors.ts";
import { absent, available, variable, type Environment, type IdentityProvider } from "../provider.ts";

const NAMES = ["CIRCLE_OIDC_TOKEN_V2", "CIRCLE_OIDC_TOKEN"] as const;

function find(environment: Environment): string | undefined {
  return NAMES.find((name) => variable(environment, name) !== undefined);
}

/**
 * Takes the token that CircleCI puts into each job. Its audience is the organization, unless that is configured otherwise.
 *
 * @see {@link https://circleci.com/docs/openid-connect-tokens/ | CircleCI, OpenID Connect tokens}
 */
export const circleCi: IdentityProvider = {
  name: "circleci",
  detect({ environment }) {
    const name = find(environment);
    if (name !== undefined) return Promise.resolve(available(`${name} is set`));
    if (variable(environment, "CIRCLECI") === undefined) return Promise.resolve(absent("CIRCLECI is not set"));
    return Promise.resolve({
      kind: "not-configured",
      reason: `this is a job of CircleCI, but neither ${NAMES.join(" nor ")} is set`,
      remedy:
        "give the job a context; a build of a fork gets a token only where secrets are passed to builds from forks",
    });
  },
  obtain({ environment }) {
    const token = variable(environment, find(environment) ?? "");
    if (token === undefined) {
      return Promise.reject(new InputError("IDENTITY_TOKEN_UNAVAILABLE", `${NAMES.join(" and ")} are not set`));
    }
    return Promise.resolve(token);
  },
  audienceRemedy: (audience) =>
    `make a token for it in the job: export SIGSTORE_ID_TOKEN=$(circleci run oidc get --claims '{"aud":"${audience}"}')`,
};
