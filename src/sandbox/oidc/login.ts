import { isEmailAddress } from "../email-address.ts";
import { DEFAULT_CLAIMS, type Claim, type IdentityKind } from "./claims.ts";
import type { PageField } from "./pages.ts";

/** Is who somebody says to be. There are no passwords: whoever reaches the sandbox can be anybody in it. */
export type Login =
  | { readonly kind: "claims"; readonly claims: Readonly<Record<string, Claim>> }
  | { readonly kind: "problem"; readonly problem: string };

/** Lists what a person is asked for: an address, or nothing where the identity is that of a build. */
export function loginFields(kind: IdentityKind, hint: string | undefined): readonly PageField[] {
  if (kind !== "email") return [];
  const value = hint ?? String(DEFAULT_CLAIMS.email["email"]);
  return [{ name: "email", label: "E-mail address", type: "email", value }];
}

/** Says as whom one logs in, before the form. */
export function loginText(kind: IdentityKind): string {
  if (kind === "email") return "This is a sandbox: log in with any e-mail address. It will stand in the certificate.";
  return `This is a sandbox: you will be ${String(DEFAULT_CLAIMS[kind]["sub"])}.`;
}

/** Reads what a person answered. */
export function readLogin(kind: IdentityKind, email: string | undefined): Login {
  if (kind !== "email") return { kind: "claims", claims: {} };
  const address = email?.trim() ?? "";
  if (!isEmailAddress(address)) return { kind: "problem", problem: "That is not an e-mail address." };
  return { kind: "claims", claims: { email: address } };
}
