/**
 * The pages of the identity provider: no scripts, nothing from elsewhere, and whatever came with a request is escaped.
 *
 * @module
 */

import { hash } from "node:crypto";

const STYLE = `:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:30rem;margin:4rem auto;padding:0 1rem}
h1{font-size:1.3rem}label{display:block;margin:1rem 0}input{display:block;width:100%;box-sizing:border-box;font:inherit;padding:.4rem}
button{font:inherit;padding:.4rem 1rem;margin:.5rem .5rem 0 0}code{font-size:1.1rem;word-break:break-all}.problem{color:#b00020}`;
const STYLE_HASH = hash("sha256", STYLE, "base64");

/** Is a field that a person fills in. */
export interface PageField {
  readonly name: string;
  readonly label: string;
  readonly type: "email" | "text";
  readonly value: string;
}

/** Is a page with a form that posts to its own address. */
export interface FormPage {
  readonly title: string;
  /** Sentences before the form. */
  readonly text: readonly string[];
  /** What was wrong with the form when it was sent before. */
  readonly problem?: string | undefined;
  readonly fields: readonly PageField[];
  /** Fields that nobody sees. */
  readonly hidden: Readonly<Record<string, string>>;
  readonly buttons: readonly { readonly action: string; readonly label: string }[];
  /** Where the answer to the form may lead, besides this server: an origin. */
  readonly leadsTo?: string | undefined;
}

/** Renders a form. */
export function formPage(page: FormPage, status: 200 | 400 = 200): Response {
  const fields = page.fields.map(
    ({ name, label, type, value }) =>
      `<label>${escape(label)}<input name="${escape(name)}" type="${type}" value="${escape(value)}" required autofocus></label>`,
  );
  const hidden = Object.entries(page.hidden).map(
    ([name, value]) => `<input type="hidden" name="${escape(name)}" value="${escape(value)}">`,
  );
  const buttons = page.buttons.map(
    ({ action, label }, index) =>
      `<button name="action" value="${escape(action)}"${index > 0 ? " formnovalidate" : ""}>${escape(label)}</button>`,
  );
  const problem = page.problem === undefined ? "" : `<p class="problem" role="alert">${escape(page.problem)}</p>`;
  const body = `${paragraphs(page.text)}${problem}<form method="post">${hidden.join("")}${fields.join("")}${buttons.join("")}</form>`;
  return htmlResponse(page.title, body, status, page.leadsTo);
}

/** Renders a page that only says something, with an optional code to copy. */
export function messagePage(
  title: string,
  text: readonly string[],
  options: { readonly status?: 200 | 400; readonly code?: string } = {},
): Response {
  const code = options.code === undefined ? "" : `<p><code>${escape(options.code)}</code></p>`;
  return htmlResponse(title, paragraphs(text) + code, options.status ?? 200);
}

function paragraphs(text: readonly string[]): string {
  return text.map((sentence) => `<p>${escape(sentence)}</p>`).join("");
}

function htmlResponse(title: string, body: string, status: number, leadsTo?: string): Response {
  const html = `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escape(title)}</title><style>${STYLE}</style></head><body><main><h1>${escape(title)}</h1>${body}</main></body></html>\n`;
  return new Response(html, {
    status,
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": [
        "default-src 'none'",
        `style-src 'sha256-${STYLE_HASH}'`,
        // Browsers hold the redirect after a form to this list, too.
        `form-action 'self'${leadsTo === undefined ? "" : ` ${leadsTo}`}`,
        "base-uri 'none'",
        "frame-ancestors 'none'",
      ].join("; "),
      "cache-control": "no-store",
      "referrer-policy": "no-referrer",
      "x-content-type-options": "nosniff",
    },
  });
}

function escape(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#39;");
}
