// This file is the browser of the tests: Debian's chromium without a window, which finds every name of the test domain on loopback.
import { type Browser, chromium } from "playwright-core";
import { isInstalled, SEARCH_PATH } from "../binary/program.ts";
import { DOMAIN } from "./rig.ts";

const CHROMIUM = "chromium";
export const CAN_BROWSE = isInstalled(CHROMIUM);
/** For anything a browser does, ms. */
export const WAIT_MS = 15_000;

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--no-proxy-server",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  `--host-resolver-rules=MAP *.${DOMAIN} 127.0.0.1`,
];

export function launchBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: Bun.which(CHROMIUM, { PATH: SEARCH_PATH }) ?? CHROMIUM,
    headless: true,
    args: FLAGS,
    timeout: WAIT_MS,
  });
}
