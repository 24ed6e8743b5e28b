/**
 * Ambient providers together: which there are, in which order they are asked, and why one was used or not.
 *
 * @module
 */

import { InputError, SigstoreError } from "../errors.ts";
import { buildkiteAgent } from "./providers/buildkite-agent.ts";
import { circleCi } from "./providers/circleci.ts";
import { environmentVariable } from "./providers/environment-variable.ts";
import { filesystem } from "./providers/filesystem.ts";
import { githubActions } from "./providers/github-actions.ts";
import { gitlabCi } from "./providers/gitlab-ci.ts";
import { googleImpersonate } from "./providers/google-impersonate.ts";
import { googleWorkloadIdentity } from "./providers/google-workload-identity.ts";
import { spiffe } from "./providers/spiffe.ts";
import type { Detection, IdentityProvider, ProviderContext } from "./provider.ts";

/**
 * Lists the ambient providers in the order in which they are asked unless told otherwise: first what a person must have set up for
 * this, then what the job runs on, then what the machine is.
 */
const IDENTITY_PROVIDERS: readonly IdentityProvider[] = [
  environmentVariable,
  githubActions,
  gitlabCi,
  circleCi,
  buildkiteAgent,
  filesystem,
  spiffe,
  googleImpersonate,
  googleWorkloadIdentity,
];

/** Says which ambient providers are asked. */
export interface AmbientChoice {
  /** Asks none. */
  readonly disableAmbient?: boolean | undefined;
  /** Asks this one alone, and fails when it is not there. */
  readonly provider?: string | undefined;
  /** The names of those to ask, in order. Default: all, in the order of `explainProviders`. */
  readonly providers?: readonly string[] | undefined;
  /** Asks the next one when one that is there fails. Default: that failure is the end, so that the identity stays predictable. */
  readonly fallThrough?: boolean | undefined;
}

/** Says why a provider is used or skipped. */
export interface ProviderExplanation {
  readonly name: string;
  /** `used`: the one that would be asked first. `available`: would be, were it not for an earlier one. */
  readonly outcome: "used" | "available" | "not-configured" | "absent" | "failed" | "not-asked";
  readonly reason: string;
  readonly remedy?: string;
}

/** Finds the providers of a choice, in its order. @throws {@link InputError} `USAGE_INVALID` for a name that is none. */
export function chooseProviders({ disableAmbient, provider, providers }: AmbientChoice): readonly IdentityProvider[] {
  if (disableAmbient === true) {
    if (provider === undefined && providers === undefined) return [];
    throw new InputError("USAGE_INVALID", "an identity provider is named, and all of them are disabled");
  }
  const names = provider === undefined ? providers : [provider];
  return names === undefined ? IDENTITY_PROVIDERS : [...new Set(names)].map(findProvider);
}

function findProvider(name: string): IdentityProvider {
  const found = IDENTITY_PROVIDERS.find((provider) => provider.name === name);
  if (found !== undefined) return found;
  throw new InputError("USAGE_INVALID", "identity provider is unknown", {
    expected: IDENTITY_PROVIDERS.map((provider) => provider.name).join(", "),
    found: name.slice(0, 80),
  });
}

/** Is a provider with what was found out about it; a failure to find out is a failure of the provider. */
export type Detected = { readonly provider: IdentityProvider } & (
  Detection | { readonly kind: "failed"; readonly reason: string; readonly error: SigstoreError }
);

/** Asks each provider whether it is there, in order. Nothing but machines' own services is asked over a network. */
export async function* detectProviders(
  providers: readonly IdentityProvider[],
  context: ProviderContext,
): AsyncGenerator<Detected> {
  for (const provider of providers) {
    try {
      yield { provider, ...(await provider.detect(context)) };
    } catch (error) {
      if (!(error instanceof SigstoreError)) throw error;
      yield { provider, kind: "failed", reason: error.message, error };
    }
  }
}

/**
 * Says for each provider why it would be used or skipped, without asking for a token.
 *
 * @throws {@link InputError} `USAGE_INVALID`.
 */
export async function explainAmbient(
  choice: AmbientChoice,
  context: ProviderContext,
): Promise<readonly ProviderExplanation[]> {
  const chosen = chooseProviders(choice);
  const explanations: ProviderExplanation[] = [];
  let isUsed = false;
  for await (const detected of detectProviders(chosen, context)) {
    const { provider, kind, reason } = detected;
    const isFirst: boolean = kind === "available" && !isUsed;
    isUsed ||= isFirst;
    explanations.push({
      name: provider.name,
      outcome: isFirst ? "used" : kind,
      reason,
      ...(detected.kind === "not-configured" ? { remedy: detected.remedy } : {}),
    });
  }
  const left = IDENTITY_PROVIDERS.filter((provider) => !chosen.includes(provider));
  const reason =
    choice.disableAmbient === true ? "ambient providers are disabled" : "is not among the chosen providers";
  return [...explanations, ...left.map(({ name }) => ({ name, outcome: "not-asked" as const, reason }))];
}
