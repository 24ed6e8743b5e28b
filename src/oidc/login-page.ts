/**
 * The page that a browser shows at the end of a login.
 *
 * @module
 */

import { createHash } from "node:crypto";

const STYLE = `:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}
body{margin:0;min-height:100vh;display:grid;place-items:center}
main{max-width:32rem;padding:2rem}
h1{font-size:1.5rem;margin:0 0 .5rem}
p{margin:.5rem 0;overflow-wrap:anywhere}
.mark{font-size:2.5rem;line-height:1}`;

/** Is what a page says. */
export interface LoginPage {
  readonly outcome: "success" | "failure";
  readonly title: string;
  /** Paragraphs of plain text. */
  readonly text: readonly string[];
}

/**
 * Go with every page: nothing is loaded, nothing runs, nothing is kept, nothing of the address is passed on, and no other page may
 * frame it.
 */
export const LOGIN_PAGE_HEADERS: Readonly<Record<string, string>> = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy": `default-src 'none'; style-src 'sha256-${createHash("sha256").update(STYLE).digest("base64")}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  "cache-control": "no-store",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "cross-origin-opener-policy": "same-origin",
};

/** Writes a page that stands alone. */
export function renderLoginPage({ outcome, title, text }: LoginPage): string {
  const paragraphs = text.map((line) => `<p>${escapeHtml(line)}</p>`).join("\n");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<div class="mark" aria-hidden="true">${outcome === "success" ? "✓" : "✗"}</div>
<h1>${escapeHtml(title)}</h1>
${paragraphs}
</main>
</body>
</html>
`;
}

function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
