// This file is what is judged beside single values: values that exclude each other, and advice that depends on others. product.md §4.
import { formatIp, parseIp } from "../address/index.ts";
import { TunlError } from "../errors.ts";
import { usage } from "./settings.ts";
import type { Settings } from "./settings.ts";
import { formatAddress } from "./values.ts";

/**
 * Two listeners on one port would blame each other, under the name of this very process.
 *
 * @throws TunlError `USAGE`.
 */
export function checkListeners(settings: Settings): void {
  const [listen, http] = [settings.address("listen"), settings.address("http")];
  if (listen === undefined || http === undefined || listen.port !== http.port) return;
  // Port 0 is another one each time.
  if (listen.port === 0 || !isSameHost(listen.host, http.host)) return;
  throw usage({
    message: `--listen is ${formatAddress(listen)} and --http is ${formatAddress(http)}, expected different ports`,
    hint: "Choose another port for one of them, or --http off",
  });
}

/** True where one address includes the other: none and `::` are every address, 0.0.0.0 is every one of IPv4. */
function isSameHost(one: string | undefined, other: string | undefined): boolean {
  const [left, right] = [canonical(one), canonical(other)];
  if (left === right || left === EVERY || right === EVERY) return true;
  return (left === EVERY_IPV4 && isIpv4(right)) || (right === EVERY_IPV4 && isIpv4(left));
}

const EVERY = "::";
const EVERY_IPV4 = "0.0.0.0";

/** One spelling of each address; a name stays as it is, where it leads is known at the bind only. */
function canonical(host: string | undefined): string {
  if (host === undefined) return EVERY;
  const bytes = parseIp(host);
  return bytes === undefined ? host : formatIp(bytes);
}

function isIpv4(host: string): boolean {
  return parseIp(host)?.length === 4;
}

/**
 * The value of `--join`. Its parts are judged where it is used; here only whether it is a line, because anything may be
 * pasted.
 *
 * @throws TunlError `BAD_JOIN_LINE`.
 */
export function joinLine(settings: Settings): string | undefined {
  const line = settings.text("join");
  if (line === undefined || /^\s*tunl:\/\/[^/]+\/[^/]+\/[^/]+\s*$/i.test(line)) return line;
  const what = /^\s*tunl:\/\//i.test(line) ? "is only a part of a join line" : "is no join line";
  // Not quoted: part of it may be a code.
  throw new TunlError(
    "BAD_JOIN_LINE",
    `The value of --join ${what}, expected tunl://HOST[:PORT]/FINGERPRINT/CODE`,
    { hint: "Copy the whole line that tunl edge or tunl edge invite printed" },
  );
}
