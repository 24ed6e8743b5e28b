/**
 * `cosign-ts sandbox`: a whole Sigstore on loopback, until it is interrupted.
 *
 * @module
 */

import { sanitize } from "../../encoding/printable.ts";
import { parseFault } from "../../sandbox/faults.ts";
import { startSandbox, type Sandbox } from "../../sandbox/sandbox.ts";
import { trace, warn, type Command } from "../context.ts";
import { Interruption } from "../interruption.ts";

/** Starts it, says how to use it, and ends it in order. */
export const sandbox: Command = {
  name: "sandbox",
  summary:
    "Run a whole Sigstore on this machine, to try things with: identity provider, Fulcio, CT log, Rekor v1 and v2, timestamp authority, TUF repository, OCI registry. Nothing outside trusts it.",
  operands: "",
  minOperands: 0,
  maxOperands: 0,
  environment: false,
  isEndless: true,
  flags: [
    {
      name: "dir",
      kind: "string",
      value: "DIR",
      description: "keep everything in this folder, and go on from there the next time",
    },
    {
      name: "port",
      kind: "number",
      description: "the first of its ports; the others follow. Otherwise the ones of the last time, or free ones",
    },
    {
      name: "fault",
      kind: "strings",
      value: "SERVICE=KIND[:ARGUMENT][,requests=N][,path=/BEGIN]",
      description: "let something go wrong, for instance rekor2=503,requests=2 or tsa=clock:+10m; can be repeated",
    },
    { name: "witnesses", kind: "number", description: "let so many witnesses cosign the checkpoints of Rekor v2" },
  ],
  examples: [
    "cosign-ts sandbox",
    "cosign-ts sandbox --dir ./sigstore --port 4400",
    "cosign-ts sandbox --fault fulcio=429:2,requests=1",
  ],
  async run(_operands, flags, context) {
    const { signal } = context;
    const faults = flags.strings("fault").map(parseFault);
    let started: Sandbox;
    try {
      started = await startSandbox({
        directory: flags.string("dir"),
        port: flags.number("port"),
        witnesses: flags.number("witnesses"),
        clock: context.now,
        faults,
        signal,
        onError: (error) =>
          warn(context, `mistake in the sandbox: ${error instanceof Error ? error.message : String(error)}`),
        onRequest: ({ service = "page", method, path, status, fault }) =>
          trace(
            context,
            `${service}: ${method} ${path}: ${status ?? "no answer"}${fault === undefined ? "" : ` (${fault})`}`,
          ),
      });
    } catch (error) {
      if (signal.aborted) return statusOf(signal);
      throw error;
    }
    context.stdout.write(instructions(started, flags.has("dir")));
    try {
      await untilAborted(signal);
    } finally {
      await started.close();
    }
    return statusOf(signal);
  },
};

async function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

function statusOf({ reason }: AbortSignal): number {
  return reason instanceof Interruption ? reason.exitStatus : 0;
}

/** Says what can be pasted into a shell. */
function instructions({ urls, paths, faults, witnessKeys }: Sandbox, isKept: boolean): string {
  const trust = `--trusted-root "$STACK_TRUSTED_ROOT"`;
  const sign = `sign-blob --yes --identity-token "$TOKEN" --signing-config "$STACK_SIGNING_CONFIG" ${trust} --bundle bundle.json FILE`;
  const verify = `verify-blob --bundle bundle.json ${trust} --certificate-identity alice@example.com --certificate-oidc-issuer "$STACK_OIDC_URL" FILE`;
  const kept = isKept ? "everything is kept in" : "files for clients, which go when it ends, are in";
  return [
    `A Sigstore of your own is up; ${kept} ${sanitize(paths.directory)}`,
    `Look at it: ${urls.page}`,
    ...faults.map(
      ({ service, kind, argument }) => `On purpose: ${service} ${kind}${argument === undefined ? "" : `:${argument}`}`,
    ),
    ...witnessKeys.map((key) => `Witness: ${key}`),
    "",
    "# in a shell: where everything is, and a token for anybody",
    `set -a; . ${quote(paths.env)}; set +a`,
    `TOKEN=$(curl -s "$STACK_OIDC_URL/token?email=alice@example.com")`,
    "",
    ...["cosign-ts", "cosign"].flatMap((program) => [
      `# with ${program}`,
      `${program} ${sign}`,
      `${program} ${verify}`,
      "",
    ]),
    "# or trust it by TUF, for either program; then signing and verifying need no --signing-config and --trusted-root",
    `cosign-ts initialize --mirror "$STACK_TUF_URL" --root "$STACK_TUF_ROOT"`,
    "",
    "Interrupt it (Ctrl-C) to end it.",
    "",
  ].join("\n");
}

function quote(path: string): string {
  return /^[\w./:@%+,=-]+$/.test(path) ? path : `'${path.replaceAll("'", String.raw`'\''`)}'`;
}
