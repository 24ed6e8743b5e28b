/**
 * The sandbox's own page: what its logs hold, what was issued, what goes wrong on purpose. No scripts, nothing from elsewhere, and
 * whatever came with a request is escaped.
 *
 * @module
 */

import { hash } from "node:crypto";

import { Hono, type Context } from "hono";
import { html, raw } from "hono/html";
import type { HtmlEscapedString } from "hono/utils/html";

import { encodeBase64 } from "../encoding/base64.ts";
import { encodeHex } from "../encoding/hex.ts";
import { parseJson, type JsonObject } from "../encoding/json.ts";
import { JsonReader } from "../encoding/json-reader.ts";
import { sanitize } from "../encoding/printable.ts";
import { SigstoreError } from "../errors.ts";
import { MAX_SANDBOX_FAULT_BYTES } from "../limits.ts";
import type { SandboxPaths, SandboxUrls } from "./client-files.ts";
import { readService, type ActiveFault, type Faults } from "./faults.ts";
import type { SandboxRequest } from "./listener.ts";
import type { LoggedTreeHead } from "./log-listing.ts";
import {
  bundleOf,
  describeCertificate,
  describeSigner,
  type ObservedEntry,
  type Observations,
} from "./observations.ts";
import { readBody } from "./request-body.ts";
import type { SandboxService } from "./service.ts";

/** Is a log as the page shows it. */
export interface ShownLog {
  readonly name: "rekor1" | "rekor2";
  readonly url: string;
  readonly origin: string;
  readonly frozen: boolean;
  /** Its tree heads since the sandbox was started, the latest first. */
  readonly heads: readonly LoggedTreeHead[];
}

/** Is what the page is made of. */
export interface PageSources {
  readonly urls: () => SandboxUrls;
  readonly paths: SandboxPaths;
  readonly faults: Faults;
  readonly observations: Observations;
  readonly requests: readonly SandboxRequest[];
  readonly logs: () => readonly ShownLog[];
  readonly now: () => Date;
}

const REFRESH_SECONDS = 5;
const SHOWN_ENTRIES = 100;
const SHOWN_CERTIFICATES = 50;
const SHOWN_REQUESTS = 50;

const STYLE = `:root{color-scheme:light dark;--line:#8884;--faint:#888;--accent:#2b6cb0;--bad:#c0392b}
body{font:15px/1.45 system-ui,sans-serif;margin:0 auto;max-width:76rem;padding:1.5rem}
h1{font-size:1.4rem;margin:0}h2{font-size:1.05rem;margin:2rem 0 .5rem}p{margin:.3rem 0}
a{color:var(--accent)}code{font:13px ui-monospace,monospace;overflow-wrap:anywhere}.faint{color:var(--faint)}.bad{color:var(--bad)}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%}th{text-align:left;font-weight:600}
th,td{padding:.35rem .8rem .35rem 0;border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere}
td:first-child,td:nth-child(2),th{white-space:nowrap}
.logs{display:grid;grid-template-columns:repeat(auto-fit,minmax(20rem,1fr));gap:1rem}
.log{border:1px solid var(--line);border-radius:.5rem;padding:.8rem 1rem}.size{font-size:1.6rem;font-weight:600}
svg{display:block;width:100%;height:5rem;margin-top:.5rem}.tree{fill:var(--accent);fill-opacity:.25;stroke:var(--accent)}
.leaf{fill:var(--accent)}svg text{font:10px system-ui;fill:currentColor;text-anchor:middle}`;
const STYLE_HASH = hash("sha256", STYLE, "base64");

const HEADERS = {
  "content-security-policy": `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'`,
  "cache-control": "no-store",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

/** Makes the page, its JSON, the bundles, and the switches for faults. */
export function createPage(sources: PageSources): SandboxService {
  const app = new Hono().basePath("/sandbox");
  app.use(async (c, next) => {
    await next();
    for (const [name, value] of Object.entries(HEADERS)) c.header(name, value);
  });
  app.get("/", async (c) => c.html(await render(sources, c.req.query("refresh") !== "off")));
  app.get("/state.json", (c) => c.json(stateOf(sources)));
  app.get("/bundle/:name{rekor[12]-[0-9a-f]{64}\\.sigstore\\.json}", (c) => {
    const id = c.req.param("name").replace(/\.sigstore\.json$/, "");
    const entry = sources.observations.entry(id);
    const bundle = entry && bundleOf(entry, sources.observations);
    if (bundle === undefined) return c.text("there is no such bundle\n", 404);
    return c.body(bundle, 200, {
      "content-type": "application/vnd.dev.sigstore.bundle.v0.3+json",
      "content-disposition": `attachment; filename="${id.slice(0, 20)}.sigstore.json"`,
    });
  });
  app.get("/faults", (c) => c.json({ faults: sources.faults.list() }));
  app.post("/faults", async (c) => {
    if (isFromElsewhere(c)) return refuse(c, 403, "only programs, and this server's own pages, set faults");
    // A page elsewhere can send other types without being asked whether it may.
    if (!/^application\/json\s*(?:;|$)/i.test(c.req.header("content-type") ?? ""))
      return refuse(c, 415, "the body is to be application/json");
    const body = await readBody(c.req.raw, MAX_SANDBOX_FAULT_BYTES);
    if (body === undefined) return refuse(c, 413, "the body is too large");
    try {
      const { service, ...fault } = readFault(body);
      sources.faults.set(service, fault);
    } catch (error) {
      if (error instanceof SigstoreError)
        return refuse(
          c,
          400,
          error.expected === undefined ? error.message : `${error.message}; expected: ${error.expected}`,
        );
      throw error;
    }
    return c.json({ faults: sources.faults.list() });
  });
  app.delete("/faults/:service?", (c) => {
    if (isFromElsewhere(c)) return refuse(c, 403, "only programs, and this server's own pages, set faults");
    try {
      const service = c.req.param("service");
      sources.faults.clear(service === undefined ? undefined : readService(service));
    } catch (error) {
      if (error instanceof SigstoreError) return refuse(c, 404, error.message);
      throw error;
    }
    return c.json({ faults: sources.faults.list() });
  });
  app.notFound((c) => c.text("not found\n", 404));
  return { fetch: (request) => app.fetch(request) };
}

function refuse(c: Context, status: 400 | 403 | 404 | 413 | 415, error: string): Response {
  return c.json({ error }, status);
}

/** A browser says where a request comes from; a program says nothing. */
function isFromElsewhere(c: Context): boolean {
  const origin = c.req.header("origin");
  return origin !== undefined && origin !== new URL(c.req.url).origin;
}

function readFault(body: Uint8Array): ActiveFault {
  const json = parseJson(body, { what: "fault", code: "JSON_MALFORMED", maxBytes: MAX_SANDBOX_FAULT_BYTES });
  const fault = new JsonReader(json, "fault", "JSON_MALFORMED").object([
    "service",
    "kind",
    "argument",
    "requests",
    "path",
  ]);
  const argument = fault.optional("argument")?.string();
  const requests = fault.optional("requests")?.uint32();
  const path = fault.optional("path")?.string();
  return {
    service: readService(fault.required("service").string()),
    kind: fault.required("kind").string(),
    ...(argument !== undefined && { argument }),
    ...(requests !== undefined && { requests }),
    ...(path !== undefined && { path }),
  };
}

// ---- JSON

function stateOf({ urls, paths, faults, observations, requests, logs }: PageSources): JsonObject {
  return {
    urls: { ...urls() },
    paths: { ...paths },
    logs: logs().map(({ name, url, origin, frozen, heads: [head] }) => ({
      log: name,
      url,
      origin,
      frozen,
      ...(head !== undefined && { treeSize: head.size, rootHash: encodeBase64(head.rootHash) }),
    })),
    entries: observations.entries.map((entry) => ({
      log: entry.log,
      logIndex: `${entry.entry.logIndex}`,
      time: entry.time.toISOString(),
      kind: entry.entry.kindVersion.kind,
      version: entry.entry.kindVersion.version,
      digest: `${entry.digest.algorithm}:${encodeHex(entry.digest.value)}`,
      ...describeSigner(entry),
      timestamps: observations.timestampsOver(entry.signature).length,
      ...(hasBundle(entry) && { bundle: bundlePath(entry) }),
    })),
    certificates: observations.certificates.map(({ time, certificate }) => ({
      time: time.toISOString(),
      serialNumber: encodeHex(certificate.serialNumber),
      ...describeCertificate(certificate),
      notBefore: certificate.notBefore.toISOString(),
      notAfter: certificate.notAfter.toISOString(),
    })),
    faults: faults.list().map((fault) => ({ ...fault })),
    requests: requests.map(({ time, ...request }) => ({ time: time.toISOString(), ...request })),
  };
}

function hasBundle(entry: ObservedEntry): boolean {
  return entry.entry.kindVersion.kind === "hashedrekord" || entry.envelopeJson !== undefined;
}

function bundlePath({ id }: ObservedEntry): string {
  return `/sandbox/bundle/${id}.sigstore.json`;
}

// ---- HTML

type Html = HtmlEscapedString | Promise<HtmlEscapedString>;

async function render(sources: PageSources, refresh: boolean): Promise<string> {
  const { urls, paths, faults, observations, requests, logs, now } = sources;
  const { entries, certificates } = observations;
  const latest = [...requests].slice(-SHOWN_REQUESTS).reverse();
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        ${refresh ? html`<meta http-equiv="refresh" content="${REFRESH_SECONDS}" />` : ""}
        <title>Sigstore sandbox</title>
        ${raw(`<style>${STYLE}</style>`)}
      </head>
      <body>
        <h1>Sigstore sandbox</h1>
        <p class="faint">
          ${formatTime(now())} ·
          ${
            refresh
              ? html`renewed every ${REFRESH_SECONDS} seconds · <a href="/sandbox?refresh=off">stop</a>`
              : html`<a href="/sandbox">renew</a>`
          }
          · <a href="/sandbox/state.json">JSON</a> · <code>${text(paths.directory)}</code>
        </p>

        <h2>Logs</h2>
        <div class="logs">${logs().map(renderLog)}</div>

        <h2>Log entries</h2>
        <p class="faint">
          Rekor v2 is not told what was signed: its entry of an attestation is one of the digest of the envelope's
          encoding, and so is the bundle here.
        </p>
        ${table(
          ["Time", "Log", "Kind", "Digest", "Signer", "Bundle"],
          entries.slice(0, SHOWN_ENTRIES).map((entry) => renderEntry(entry, observations)),
          "Nothing was logged yet.",
        )}

        <h2>Certificates</h2>
        ${table(
          ["Time", "For", "Issuer of the token", "Valid until", "Serial number"],
          certificates.slice(0, SHOWN_CERTIFICATES).map(({ time, certificate }) => {
            const { signer, issuer = "" } = describeCertificate(certificate);
            return [
              formatTime(time),
              text(signer),
              text(issuer),
              formatTime(certificate.notAfter),
              html`<code>${encodeHex(certificate.serialNumber)}</code>`,
            ];
          }),
          "None was issued yet.",
        )}

        <h2>Faults in force</h2>
        ${table(
          ["Service", "What goes wrong", "Requests", "Path"],
          faults
            .list()
            .map(({ service, kind, argument, requests: left, path }) => [
              service,
              html`<span class="bad">${kind}${argument === undefined ? "" : `:${text(argument)}`}</span>`,
              left === undefined ? "every" : `${left} more`,
              path === undefined ? "any" : text(path),
            ]),
          "None: everything tells the truth, in time.",
        )}

        <h2>Where everything is</h2>
        ${table(
          ["Part", "URL"],
          Object.entries(urls()).map(([name, url]: [string, string]) => [name, html`<code>${url}</code>`]),
          "",
        )}

        <h2>Requests</h2>
        ${table(
          ["Time", "Service", "Request", "Status"],
          latest.map(({ time, service = "page", method, path, status, fault }) => [
            formatTime(time),
            service,
            html`<code>${text(`${method} ${path}`)}</code>`,
            html`${status === undefined ? "none" : `${status}`}${
              fault === undefined ? "" : html` <span class="bad">${text(fault)}</span>`
            }`,
          ]),
          "None yet.",
        )}
      </body>
    </html>`;
  return (await page).toString();
}

function renderLog({ name, url, origin, frozen, heads }: ShownLog): Html {
  const [head] = heads;
  const size = head?.size ?? 0;
  return html`<div class="log">
    <p>
      <strong>${name === "rekor2" ? "Rekor v2" : "Rekor v1"}</strong>
      ${frozen ? html`<span class="bad">frozen</span>` : ""} <span class="faint">${text(origin)}</span>
    </p>
    <p>
      <span class="size">${size}</span> ${size === 1 ? "entry" : "entries"}
      <span class="faint">at <code>${url}</code></span>
    </p>
    ${head === undefined ? "" : html`<p class="faint">root <code>${encodeBase64(head.rootHash)}</code></p>`}
    ${drawTree(size)}
  </div>`;
}

/** Draws the perfect trees that a Merkle tree of this size consists of, the oldest and largest first. */
function drawTree(size: number): Html {
  if (size === 0) return html``;
  const levels = Array.from({ length: 32 }, (_, index) => 31 - index).filter((level) => (size >>> level) & 1);
  const width = 320;
  const weight = (level: number): number => level + 1;
  const unit = (width - 8 * levels.length) / levels.reduce((sum, level) => sum + weight(level), 0);
  const highest = levels[0] ?? 0;
  let left = 4;
  const shapes = levels.map((level) => {
    const extent = Math.min(unit * weight(level), 120);
    const [middle, top] = [left + extent / 2, 56 - (level === 0 ? 0 : (44 * level) / highest)];
    const shape =
      level === 0
        ? html`<circle class="leaf" cx="${middle.toFixed(1)}" cy="56" r="4"></circle>`
        : html`<polygon
            class="tree"
            points="${left.toFixed(1)},60 ${(left + extent).toFixed(1)},60 ${middle.toFixed(1)},${top.toFixed(1)}"
          ></polygon>`;
    left += extent + 8;
    return html`${shape}<text x="${middle.toFixed(1)}" y="74">${2 ** level}</text>`;
  });
  return html`<svg
    viewBox="0 0 ${width} 80"
    preserveAspectRatio="xMinYMid"
    role="img"
    aria-label="Merkle tree of ${size} leaves"
  >
    ${shapes}
  </svg>`;
}

function renderEntry(entry: ObservedEntry, observations: Observations): readonly (string | Html)[] {
  const { signer, issuer } = describeSigner(entry);
  const stamped = observations.timestampsOver(entry.signature).length > 0;
  const { kind, version } = entry.entry.kindVersion;
  return [
    formatTime(entry.time),
    `${entry.log === "rekor2" ? "v2" : "v1"} #${entry.entry.logIndex}`,
    text(`${kind} ${version}`),
    html`<code>${entry.digest.algorithm}:${encodeHex(entry.digest.value)}</code>`,
    html`${text(signer)}${issuer === undefined ? "" : html`<br /><span class="faint">${text(issuer)}</span>`}`,
    hasBundle(entry)
      ? html`<a href="${bundlePath(entry)}">download</a>${
            stamped ? "" : html`<br /><span class="faint">no timestamp was given</span>`
          }`
      : html`<span class="faint">the log was not given all of it</span>`,
  ];
}

function table(heads: readonly string[], rows: readonly (readonly (string | Html)[])[], none: string): Html {
  if (rows.length === 0) return html`<p class="faint">${none}</p>`;
  return html`<div class="scroll">
    <table>
      <thead>
        <tr>
          ${heads.map((head) => html`<th scope="col">${head}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          (row) =>
            html`<tr>
              ${row.map((cell) => html`<td>${cell}</td>`)}
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

const MAX_TEXT = 300;

/** Text that somebody else wrote: nothing in it is invisible, or reorders what is around it. It is escaped where it is put in. */
function text(untrusted: string): string {
  const shown = sanitize(untrusted);
  return shown.length > MAX_TEXT ? `${shown.slice(0, MAX_TEXT)}…` : shown;
}

function formatTime(time: Date): string {
  return time
    .toISOString()
    .replace("T", " ")
    .replace(/\.\d+Z$/, " UTC");
}
