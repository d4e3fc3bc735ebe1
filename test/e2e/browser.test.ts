import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Browser } from "playwright-core";
import { freePort } from "../../scripts/rig/ports.ts";
import { CAN_BROWSE, launchBrowser, WAIT_MS } from "./chromium.ts";
import { App, CAN_RUN, DOMAIN, Tunnel } from "./rig.ts";

/** Pictures of every run, for whoever wants to look; not committed. */
const PICTURES = fileURLToPath(new URL("../../dist/test/", import.meta.url));
const SIZE = { width: 900, height: 600 };

describe.skipIf(!CAN_BROWSE || !CAN_RUN)("a browser through the tunnel", () => {
  let app: App;
  let tunnel: Tunnel;
  let browser: Browser;

  beforeAll(async () => {
    mkdirSync(PICTURES, { recursive: true });
    app = await App.start();
    tunnel = await Tunnel.start({ target: String(app.port) });
    browser = await launchBrowser();
  }, 60_000);

  afterAll(async () => {
    await browser?.close();
    await tunnel?.[Symbol.asyncDispose]();
    await app?.[Symbol.asyncDispose]();
  });

  test("a page: its images are drawn and its WebSocket counts", async () => {
    const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: SIZE });
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on("console", (message) => {
      if (message.type() === "error") complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("requestfailed", (request) => complaints.push(`${request.url()} failed`));
    const response = await page.goto(tunnel.url("/"), { waitUntil: "load", timeout: WAIT_MS });
    expect(response?.status()).toBe(200);
    const images = await page.evaluate<[number, number][]>(
      `[...document.images].map((image) => [image.complete ? 1 : 0, image.naturalWidth])`,
    );
    expect(images.length).toBe(7);
    expect(images.filter(([isComplete, width]) => isComplete === 0 || width === 0)).toEqual([]);
    const count = `Number(document.getElementById("count").textContent)`;
    await page.waitForFunction(`${count} >= 3`, undefined, { timeout: WAIT_MS });
    const first = await page.evaluate<number>(count);
    await page.waitForFunction(`${count} >= ${first + 5}`, undefined, { timeout: WAIT_MS });
    expect(await page.textContent("#state")).toBe("open");
    await page.screenshot({ path: `${PICTURES}page.png` });
    // The favicon is the one thing that the page did not ask for.
    expect(complaints.filter((text) => !text.includes("404"))).toEqual([]);
    await context.close();
  }, 40_000);

  test.each(["light", "dark"] as const)(
    "the pages 404 and 502 in %s",
    async (colorScheme) => {
      await using closed = await Tunnel.start({
        target: String(await freePort()),
        name: `closed-${colorScheme}`,
        edge: tunnel.edge,
      });
      const pages = [
        [404, `https://nobody.${DOMAIN}:${tunnel.edge.port}/`, "NO_ROUTE"],
        [502, closed.url("/"), "ORIGIN_REFUSED"],
      ] as const;
      const context = await browser.newContext({
        ignoreHTTPSErrors: true,
        viewport: SIZE,
        colorScheme,
      });
      for (const [status, url, code] of pages) {
        const page = await context.newPage();
        const complaints: string[] = [];
        page.on("console", (message) => complaints.push(message.text()));
        const response = await page.goto(url, { timeout: WAIT_MS });
        expect([response?.status(), response?.headers()["tunl-error"]]).toEqual([status, code]);
        expect(await page.textContent("footer")).toContain(code);
        // The style is allowed by its hash: a page without it would be black on white, serif.
        const [ink, paper] = await page.evaluate<[string, string]>(
          `[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]`,
        );
        const isDark = brightness(paper) < brightness(ink);
        expect([colorScheme, isDark]).toEqual([colorScheme, colorScheme === "dark"]);
        expect(complaints.filter((text) => /Content Security|Refused/.test(text))).toEqual([]);
        await page.screenshot({ path: `${PICTURES}${status}-${colorScheme}.png` });
      }
      await context.close();
      expect.assertions(8);
    },
    40_000,
  );
});

/** Sum of the three colours of `rgb(1, 2, 3)`. */
function brightness(colour: string): number {
  return (colour.match(/\d+/g) ?? []).slice(0, 3).reduce((sum, part) => sum + Number(part), 0);
}
