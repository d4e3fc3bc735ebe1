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

const STYLE = `:root{color-scheme:light dark;--ink:#1c2430;--soft:#5c6675;--line:#dfe3e8;--paper:#f6f7f9;--card:#fff;--mark:#b4541a}
@media (prefers-color-scheme:dark){:root{--ink:#e6e9ee;--soft:#9aa4b2;--line:#2c3440;--paper:#11151b;--card:#181e26;--mark:#f0a060}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem;background:var(--paper);color:var(--ink);font:1rem/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{width:100%;max-width:34rem;padding:2rem 2.25rem;background:var(--card);border:1px solid var(--line);border-radius:14px}
.status{margin:0;color:var(--mark);font-weight:600;letter-spacing:.04em}
h1{margin:.25rem 0 .75rem;font-size:1.5rem;line-height:1.25}
p{margin:0 0 1rem}
.host{font-weight:600;overflow-wrap:anywhere}
footer{margin-top:1.5rem;padding-top:1rem;border-top:1px solid var(--line);color:var(--soft);font-size:.8125rem;overflow-wrap:anywhere}
code{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}`;

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
  const host = text.host === undefined ? "" : `<p class="host">${escapeHtml(text.host)}</p>\n`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="robots" content="noindex">
<title>${escapeHtml(text.title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<p class="status">${text.status}</p>
<h1>${escapeHtml(text.title)}</h1>
${host}<p>${escapeHtml(text.advice)}</p>
<footer>Error <code>${escapeHtml(text.code)}</code> · Request <code>${escapeHtml(text.requestId)}</code></footer>
</main>
</body>
</html>
`;
}
