// This file is the page a browser shows for an answer made by tunl: one static layout, no script, light and dark. http.md §13, S-70.
import { createHash } from "node:crypto";

/** What differs from page to page. Plain text: everything is escaped here. */
export interface PageText {
  readonly status: number;
  readonly title: string;
  readonly advice: string;
  /** Hostname as the visitor asked for it; left out when unknown. */
  readonly host: string | undefined;
  readonly code: string;
  /** 32 hex digits. */
  readonly requestId: string;
}

const STYLE = `:root{color-scheme:light dark;--paper:#fcfbf9;--ink:#191b1f;--soft:#5b626c;--line:#dcd9d3;--mark:#a63d0a}
@media (prefers-color-scheme:dark){:root{--paper:#131518;--ink:#eceef1;--soft:#a0a8b3;--line:#33383f;--mark:#ffab6b}}
*{box-sizing:border-box}
body{margin:0;padding:clamp(3rem,18vh,12rem) 1.5rem 3rem;background:var(--paper);color:var(--ink);font:1.125rem/1.6 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif}
main{max-width:36rem;margin:0 auto;overflow-wrap:anywhere}
p,h1,dl,dd{margin:0}
.status{color:var(--mark);font-weight:600;font-variant-numeric:tabular-nums}
.host{color:var(--soft)}
h1{margin:.5rem 0 1rem;font-size:clamp(2rem,6vw,3rem);font-weight:700;line-height:1.1;letter-spacing:-.02em;text-wrap:balance}
footer{margin-top:2.5rem;padding-top:1rem;border-top:1px solid var(--line);color:var(--soft);font-size:.875rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:0 .75rem;align-items:baseline;margin-top:.25rem}
dd{font-size:.8125rem;font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}`;

/** Nothing is loaded and nothing runs; only the style above, named by its hash, applies. */
export const PAGE_POLICY = `default-src 'none'; style-src 'sha256-${createHash("sha256").update(STYLE).digest("base64")}'; base-uri 'none'; form-action 'none'`;

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Makes any text harmless in HTML text and in quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? "");
}

/** Renders the page. @returns A complete HTML document, to be sent as UTF-8. */
export function renderPage(text: PageText): string {
  const host = text.host === undefined ? "" : ` <span class="host">${escapeHtml(text.host)}</span>`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="robots" content="noindex">
<title>${escapeHtml(`${text.status} ${text.title}`)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<p><span class="status">${text.status}</span>${host}</p>
<h1>${escapeHtml(text.title)}</h1>
<p>${escapeHtml(text.advice)}</p>
<footer>
<p>If you ask for help, pass this on:</p>
<dl>
<dt>Error</dt><dd>${escapeHtml(text.code)}</dd>
<dt>Request</dt><dd>${escapeHtml(text.requestId)}</dd>
</dl>
</footer>
</main>
</body>
</html>
`;
}
