// This file is the provider `cloudflare`: its API, version 4, with a token that may edit the DNS of zones. product.md §6 item 4.
import { setTimeout as sleep } from "node:timers/promises";
import { isBelow, withoutWildcard } from "../../address/index.ts";
import { TunlError } from "../../errors.ts";
import { changeRefusal, CODE, has, isObject, refusal, type Reply } from "./cloudflare-replies.ts";
import {
  type DnsProvider,
  type DnsRecord,
  isSameRecord,
  type RecordType,
  type Replacement,
} from "./provider.ts";

export const CLOUDFLARE_API = "https://api.cloudflare.com/client/v4";

const KINDS: readonly string[] = ["A", "AAAA", "CNAME", "TXT"] satisfies readonly RecordType[];
const ANSWER_MS = 15_000;
/** No answer of ours comes near it: 100 records of 4 KiB. */
const MAX_ANSWER = 1_048_576;
const PER_PAGE = { zones: 50, records: 100 } as const;
/** Pages that are read of one list. */
const MAX_PAGES = 100;
/** How long the list of zones is believed, ms. */
const ZONES_MS = 60_000;
/** Beyond the limit of 1,200 requests in five minutes: so often, and each time so long at most, a request is repeated. */
const BUSY_TRIES = 3;
const BUSY_WAIT_MS = 30_000;

export interface CloudflareOptions {
  readonly token: string;
  /** Of the records it makes, seconds. */
  readonly ttl: number;
  /** Stands in for `CLOUDFLARE_API`. */
  readonly api?: string;
  /** Waits before a request is repeated; a test's own. */
  readonly wait?: (ms: number) => Promise<unknown>;
}

interface Zone {
  readonly id: string;
  readonly name: string;
}

export class Cloudflare implements DnsProvider {
  readonly name = "cloudflare";
  readonly #options: CloudflareOptions;
  #zones: { readonly all: Promise<readonly Zone[]>; readonly until: number } | undefined;

  constructor(options: CloudflareOptions) {
    this.#options = options;
  }

  async zoneOf(name: string): Promise<string | undefined> {
    return (await this.#zoneOf(name))?.name;
  }

  async find(name: string): Promise<readonly DnsRecord[]> {
    const zone = await this.#zoneOf(name);
    if (zone === undefined) return [];
    return (await this.#records(zone, name)).map(({ record }) => record);
  }

  async add(record: DnsRecord): Promise<void> {
    const zone = await this.#assertZone(record.name);
    const { name, type } = record;
    const answer = await this.#call("POST", `/zones/${zone.id}/dns_records`, this.#body(record));
    if (!answer.isDone && !has(answer, CODE.same)) throw refusal(answer, `Adding ${name} ${type}`);
  }

  async remove(record: DnsRecord): Promise<void> {
    const zone = await this.#assertZone(record.name);
    for (const { id, record: there } of await this.#records(zone, record.name)) {
      if (!isSameRecord(there, record)) continue;
      const answer = await this.#call("DELETE", `/zones/${zone.id}/dns_records/${id}`);
      if (!answer.isDone && !has(answer, CODE.absent) && answer.status !== 404)
        throw refusal(answer, `Removing ${record.name} ${record.type}`);
    }
  }

  /** By the batch of the API: one transaction of its database, deletions first; where one fails nothing is changed. */
  async replace({ name, gone, added }: Replacement): Promise<void> {
    const [first] = added;
    if (gone.length === 0 && added.length === 1 && first !== undefined)
      return await this.add(first);
    const zone = await this.#assertZone(name);
    const deletes = (await this.#records(zone, name))
      .filter(({ record }) => gone.some((each) => isSameRecord(each, record)))
      .map(({ id }) => ({ id }));
    const body = { deletes, posts: added.map((record) => this.#body(record)) };
    const answer = await this.#call("POST", `/zones/${zone.id}/dns_records/batch`, body);
    if (answer.isDone) return;
    throw changeRefusal(answer, name);
  }

  #body({ name, type, value }: DnsRecord): object {
    const content = type === "TXT" ? quoted(value) : value;
    // Never proxied: connectors and certificates need the edge itself at the other end.
    return { name, type, content, ttl: this.#options.ttl, proxied: false };
  }

  async #records(zone: Zone, name: string): Promise<{ id: string; record: DnsRecord }[]> {
    const path = `/zones/${zone.id}/dns_records?name=${encodeURIComponent(name)}`;
    const all = await this.#list(path, PER_PAGE.records, `Listing records of ${name}`);
    return all.flatMap((item) => {
      const [id, type, content] = [item["id"], item["type"], item["content"]];
      // The filter of the API once meant "contains".
      if (typeof id !== "string" || item["name"] !== name) return [];
      if (typeof type !== "string" || !KINDS.includes(type) || typeof content !== "string")
        return [];
      const value = type === "TXT" ? unquoted(content) : content.toLowerCase();
      return [{ id, record: { name, type: type as RecordType, value } }];
    });
  }

  async #zoneOf(name: string): Promise<Zone | undefined> {
    const at = withoutWildcard(name);
    const now = performance.now();
    if (this.#zones === undefined || this.#zones.until < now) {
      const all = this.#listZones();
      this.#zones = { all, until: now + ZONES_MS };
      // A failure is not remembered; whoever awaits it gets it.
      all.catch(() => (this.#zones = undefined));
    }
    const zones = (await this.#zones.all).filter(
      (zone) => zone.name === at || isBelow(at, zone.name),
    );
    return zones.sort((one, two) => two.name.length - one.name.length)[0];
  }

  async #listZones(): Promise<readonly Zone[]> {
    const all = await this.#list("/zones?status=active", PER_PAGE.zones, "Listing zones");
    return all.flatMap(({ id, name }) =>
      typeof id === "string" && typeof name === "string" ? [{ id, name: name.toLowerCase() }] : [],
    );
  }

  async #assertZone(name: string): Promise<Zone> {
    const zone = await this.#zoneOf(name);
    if (zone !== undefined) return zone;
    throw new TunlError("DNS_REFUSED", `No zone of this Cloudflare token holds ${name}`, {
      hint: "Give the token the permissions Zone Read and DNS Edit for that zone",
    });
  }

  /** Every page of a list. */
  async #list(path: string, perPage: number, what: string): Promise<Record<string, unknown>[]> {
    const items: Record<string, unknown>[] = [];
    for (let page = 1; page <= MAX_PAGES; page += 1) {
      const answer = await this.#call("GET", `${path}&per_page=${perPage}&page=${page}`);
      if (!answer.isDone) throw refusal(answer, what);
      const { result, result_info: info } = answer.body;
      const found = Array.isArray(result) ? result.filter(isObject) : [];
      items.push(...found);
      const pages = isObject(info) ? info["total_pages"] : undefined;
      if (found.length === 0 || typeof pages !== "number" || page >= pages) break;
    }
    return items;
  }

  /** @throws TunlError `DNS_FAILED`. */
  async #call(method: "GET" | "POST" | "DELETE", path: string, body?: unknown): Promise<Reply> {
    const { wait = sleep } = this.#options;
    for (let attempt = 1; ; attempt += 1) {
      const { status, retryAfterMs, text } = await this.#send(method, path, body);
      if (status === 429 && attempt < BUSY_TRIES) {
        await wait(Math.min(retryAfterMs ?? BUSY_WAIT_MS, BUSY_WAIT_MS));
        continue;
      }
      if (status === 429) throw failed("answers that too many requests were made; it tells 429");
      const reply = parse(text);
      if (reply === undefined || status >= 500) throw failed(`answered with status ${status}`);
      return { status, body: reply, isDone: reply["success"] === true };
    }
  }

  async #send(
    method: string,
    path: string,
    body: unknown,
  ): Promise<{ status: number; retryAfterMs: number | undefined; text: string }> {
    const { token, api = CLOUDFLARE_API } = this.#options;
    try {
      const response = await fetch(`${api}${path}`, {
        ...{ method, redirect: "error", signal: AbortSignal.timeout(ANSWER_MS) },
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
      const retryAfterMs = Number.isFinite(seconds) ? seconds * 1_000 : undefined;
      return { status: response.status, retryAfterMs, text: await boundedText(response) };
    } catch (error) {
      if (error instanceof TunlError) throw error;
      const isLate = error instanceof Error && error.name === "TimeoutError";
      const what = isLate ? `did not answer within ${ANSWER_MS / 1_000} s` : "cannot be reached";
      throw failed(what, error);
    }
  }
}

function failed(what: string, cause?: unknown): TunlError {
  return new TunlError("DNS_FAILED", `The API of Cloudflare ${what}`, { retryable: true, cause });
}

async function boundedText(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of response.body ?? []) {
    text += decoder.decode(bytes, { stream: true });
    if (text.length > MAX_ANSWER) throw failed(`answered with more than ${MAX_ANSWER} bytes`);
  }
  return text + decoder.decode();
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    // No JSON: an error page of something on the way, told by its status.
    return undefined;
  }
}

/** TXT as zone files write it; the API shows what it was given, with quotes or without. */
function quoted(text: string): string {
  return `"${text.replaceAll(/["\\]/g, "\\$&")}"`;
}

function unquoted(text: string): string {
  const strings = [...text.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, inner]) => inner as string);
  if (!text.startsWith('"') || strings.length === 0) return text;
  return strings.join("").replaceAll(/\\(.)/g, "$1");
}
