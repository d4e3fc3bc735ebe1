// This file is the pages of answers in a real browser: what hostile names do to their DOM, how they fit and read. http.md §13, S-70.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createServer, type Server } from "node:http";
import { mkdirSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { ANSWERS, answer, type AnswerCode } from "../../src/edge/reply.ts";
import { naughtyStrings } from "../naughty.ts";
import { CAN_BROWSE, launchBrowser, WAIT_MS } from "./chromium.ts";

const PICTURES = fileURLToPath(new URL("../../dist/test/", import.meta.url));
const CODES = Object.keys(ANSWERS) as AnswerCode[];
const DESK = { width: 1_200, height: 750 };
const PHONE = { width: 320, height: 568 };
const requestId = new Uint8Array(16).fill(0xab);

/** Names that would be elements, attributes or scripts if anything let them, and all that break programs elsewhere. */
const HOSTS = [
  "<script>document.title='owned'</script>",
  '"><img src=x onerror=alert(1)>',
  "</style><style>*{display:none}</style>",
  "<svg/onload=alert(1)>",
  "</span></p></main><iframe srcdoc='x'>",
  "&lt;script&gt;",
  ...naughtyStrings(),
];

function pageOf(code: AnswerCode, host: string) {
  return answer(code, { accept: "text/html", host, requestId });
}

/** Name and number of attributes of every element, in document order: what a page is made of. */
const STRUCTURE = `[...document.querySelectorAll("*")].map((e) => e.localName + e.attributes.length).join(" ")`;

/** For each element that has text of its own: the ratio of its colour to the paper (WCAG 2.2 §1.4.3). */
const CONTRASTS = `(() => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/\\d+/g).map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = light(getComputedStyle(document.body).backgroundColor);
  return [...document.querySelectorAll("main *")]
    .filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim() !== ""))
    .map((e) => light(getComputedStyle(e).color))
    .map((ink) => (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05));
})()`;

describe.skipIf(!CAN_BROWSE)("pages of answers in a browser", () => {
  let browser: Browser;
  let server: Server;
  /** What the server sends next: status, fields and body exactly as the edge would. */
  let shown = pageOf("NO_ROUTE", "x");

  beforeAll(async () => {
    mkdirSync(PICTURES, { recursive: true });
    server = createServer((_, response) => {
      const lines = Buffer.from(shown.fields).toString("latin1").trimEnd().split("\r\n");
      response.writeHead(
        shown.status,
        lines.flatMap((line) => [
          line.slice(0, line.indexOf(":")),
          line.slice(line.indexOf(":") + 2),
        ]),
      );
      response.end(shown.body);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    browser = await launchBrowser();
  }, 60_000);

  afterAll(async () => {
    await browser?.close();
    server?.close();
  });

  async function open(page: Page, code: AnswerCode, host: string): Promise<void> {
    shown = pageOf(code, host);
    const { port } = server.address() as AddressInfo;
    await page.goto(`http://127.0.0.1:${port}/`, { timeout: WAIT_MS });
  }

  test("no hostname becomes an element, an attribute or a script [S-70]", async () => {
    const page = await browser.newPage();
    const dialogs: string[] = [];
    page.on("dialog", async (dialog) => {
      dialogs.push(dialog.message());
      await dialog.dismiss();
    });
    await open(page, "NO_ROUTE", "app.example.com");
    const plain = await page.evaluate<string>(STRUCTURE);
    expect(plain).toContain("main0 p0 span1 span1 h10");
    // By navigation, under the page's own policy: those that carry markup.
    const marked = HOSTS.filter((host) => /<[a-z/!?]|javascript:|on\w+=/i.test(host)).slice(0, 20);
    expect(marked.length).toBeGreaterThanOrEqual(5);
    for (const host of marked) {
      await open(page, "NO_ROUTE", host);
      const [structure, title] = await page.evaluate<[string, string]>(
        `[${STRUCTURE}, document.title]`,
      );
      expect([host, structure, title]).toEqual([host, plain, "404 Nothing here"]);
    }
    // By the browser's own parser: all of them.
    const documents = HOSTS.filter((host) => host !== "").map((host) =>
      Buffer.from(pageOf("NO_ROUTE", host).body).toString(),
    );
    const structures = await page.evaluate<string[], string[]>((texts) => {
      const structure = (root: { querySelectorAll(what: string): Iterable<unknown> }) =>
        [...root.querySelectorAll("*")]
          .map((each) => each as { localName: string; attributes: { length: number } })
          .map((element) => element.localName + element.attributes.length)
          .join(" ");
      const parser = new (
        globalThis as unknown as {
          DOMParser: new () => { parseFromString(text: string, type: string): never };
        }
      ).DOMParser();
      return texts.map((text) => structure(parser.parseFromString(text, "text/html")));
    }, documents);
    expect(structures.length).toBe(documents.length);
    expect(new Set(structures)).toEqual(new Set([plain]));
    expect(dialogs).toEqual([]);
    await page.close();
  }, 60_000);

  test.each(["light", "dark"] as const)(
    "%s: every page fits a phone, reads well and loads nothing",
    async (colorScheme) => {
      const context = await browser.newContext({ viewport: PHONE, colorScheme });
      const page = await context.newPage();
      const complaints: string[] = [];
      const requests: string[] = [];
      page.on("console", (message) => {
        // The status itself is a line of the console.
        if (!message.text().startsWith("Failed to load resource")) complaints.push(message.text());
      });
      page.on("request", (request) => requests.push(request.url()));
      const long = `${"a-very-long-label-".repeat(3)}x.example.com`;
      // Colours are the same on all pages, texts are not.
      for (const code of colorScheme === "light" ? CODES : CODES.slice(0, 3)) {
        await open(page, code, long);
        const [width, contrasts] = await page.evaluate<[number, number[]]>(
          `[document.documentElement.scrollWidth, ${CONTRASTS}]`,
        );
        expect([code, width]).toEqual([code, PHONE.width]);
        expect(contrasts.length).toBe(9);
        expect(Math.min(...contrasts)).toBeGreaterThan(4.5);
      }
      expect(complaints).toEqual([]);
      expect(
        requests.filter((url) => !/^http:\/\/127\.0\.0\.1:\d+\/(?:favicon\.ico)?$/.test(url)),
      ).toEqual([]);
      await page.screenshot({ path: `${PICTURES}answer-phone-${colorScheme}.png` });
      await page.setViewportSize(DESK);
      await open(page, "TUNNEL_OFFLINE", "brave-otter.example.com");
      await page.screenshot({ path: `${PICTURES}answer-desk-${colorScheme}.png` });
      await context.close();
    },
    60_000,
  );
});
