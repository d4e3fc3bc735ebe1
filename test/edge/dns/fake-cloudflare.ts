// This file is the part of Cloudflare's documented API that tunl uses, in memory: zones, records, pages, refusals by its codes.

export interface StoredRecord {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly content: string;
  readonly ttl: number;
  readonly proxied: boolean;
}

/** One request as it came. */
export interface Request4 {
  readonly method: string;
  readonly path: string;
}

/** The body of `dns_records/batch`, as far as tunl uses it. */
interface Change {
  readonly deletes?: readonly { readonly id: string }[];
  readonly posts?: readonly Omit<StoredRecord, "id">[];
}

export class FakeCloudflare implements AsyncDisposable {
  readonly token = "tunl-test-token-Zone.DNS.Edit";
  readonly requests: Request4[] = [];
  readonly records = new Map<string, StoredRecord[]>();
  /** Requests that are told 429 before any is served. */
  busyFor = 0;
  /** Answered in place of JSON. */
  broken: (() => Response) | undefined;
  /** Waits with a change that arrived. */
  beforeChange: () => Promise<void> = async () => undefined;
  /** Brings a change to the name servers of the zone. */
  onChange: (change: "add" | "delete", record: StoredRecord) => Promise<void> = async () =>
    undefined;
  /** Records that a zone may have; beyond it none is added. */
  quota = Infinity;
  /** Requests that are done and whose answer is lost on the way. */
  losesAnswers = 0;
  /** False: no call that changes several records in one step. */
  hasBatch = true;
  readonly #server: Bun.Server<undefined>;
  #ids = 0;

  /** @param zones Names; each is a zone of the account. */
  constructor(zones: readonly string[]) {
    for (const zone of zones) this.records.set(zone, []);
    this.#server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: (request) => this.#answer(request),
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}/client/v4`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop(true);
  }

  async #answer(request: Request): Promise<Response> {
    const url = new URL(request.url);
    this.requests.push({ method: request.method, path: url.pathname + url.search });
    if (this.broken !== undefined) return this.broken();
    const answer = await this.#serve(request, url);
    if (request.method === "GET" || this.losesAnswers === 0) return answer;
    this.losesAnswers -= 1;
    return new Response("<html>bad gateway</html>", { status: 502 });
  }

  async #serve(request: Request, url: URL): Promise<Response> {
    if (this.busyFor > 0) {
      this.busyFor -= 1;
      const headers = { "retry-after": "7" };
      return Response.json(refusal(10_429, "Please wait"), { status: 429, headers });
    }
    if (request.headers.get("authorization") !== `Bearer ${this.token}`)
      return Response.json(refusal(10_000, "Authentication error"), { status: 403 });
    const [, , , , zoneId, , recordId] = url.pathname.split("/");
    if (zoneId === undefined) return Response.json(page(this.#zones(), url));
    const zone = [...this.records.keys()].find((name) => idOf(name) === zoneId);
    if (zone === undefined)
      return Response.json(refusal(7_003, "Could not route, object identifier is invalid"), {
        status: 404,
      });
    if (request.method === "GET") return Response.json(page(this.#named(zone, url), url));
    if (request.method === "POST" && recordId === "batch" && !this.hasBatch)
      return Response.json(refusal(7_000, "No route for that URI"), { status: 400 });
    const change: Change =
      request.method !== "POST"
        ? { deletes: [{ id: recordId ?? "" }] }
        : recordId === "batch"
          ? ((await request.json()) as Change)
          : { posts: [(await request.json()) as StoredRecord] };
    return await this.#change(zone, change);
  }

  /** A transaction: deletions first, and the first refusal undoes the whole. */
  async #change(zone: string, { deletes = [], posts = [] }: Change): Promise<Response> {
    await this.beforeChange();
    const before = this.records.get(zone) ?? [];
    const records = [...before];
    for (const { id } of deletes) {
      const index = records.findIndex((record) => record.id === id);
      if (index === -1)
        return Response.json(refusal(81_044, "Record does not exist."), { status: 404 });
      records.splice(index, 1);
    }
    for (const post of posts) {
      const why = this.#refuses(records, post);
      if (why !== undefined) return Response.json(why, { status: 400 });
      this.#ids += 1;
      records.push({ ...post, id: `r${this.#ids}` });
    }
    this.records.set(zone, records);
    const gone = before.filter((record) => !records.includes(record));
    const added = records.filter((record) => !before.includes(record));
    for (const record of gone) await this.onChange("delete", record);
    for (const record of added) await this.onChange("add", record);
    const result = { deletes: gone, posts: added };
    return Response.json({ success: true, errors: [], messages: [], result });
  }

  #zones(): readonly object[] {
    return [...this.records.keys()].map((name) => ({ id: idOf(name), name, status: "active" }));
  }

  #named(zone: string, url: URL): readonly StoredRecord[] {
    const name = url.searchParams.get("name");
    return (this.records.get(zone) ?? []).filter((record) => name === null || record.name === name);
  }

  #refuses(records: readonly StoredRecord[], post: Omit<StoredRecord, "id">): object | undefined {
    if (records.length >= this.quota) return refusal(81_045, "The record quota is exceeded.");
    const same = records.filter(({ name }) => name === post.name);
    if (same.some(({ type, content }) => type === post.type && content === post.content))
      return refusal(81_058, "An identical record already exists.");
    const isAddress = ({ type }: { type: string }): boolean => ["A", "AAAA"].includes(type);
    const clashes = same.some(
      (record) =>
        (post.type === "CNAME" && (isAddress(record) || record.type === "CNAME")) ||
        (record.type === "CNAME" && isAddress(post)),
    );
    return clashes
      ? refusal(81_053, "An A, AAAA, or CNAME record with that host already exists.")
      : undefined;
  }
}

function idOf(zone: string): string {
  return Buffer.from(zone).toString("hex").padEnd(32, "0");
}

function refusal(code: number, message: string): object {
  return { success: false, errors: [{ code, message }], messages: [], result: null };
}

function page(all: readonly object[], url: URL): object {
  const perPage = Number(url.searchParams.get("per_page") ?? 20);
  const at = Number(url.searchParams.get("page") ?? 1);
  const result = all.slice((at - 1) * perPage, at * perPage);
  const counts = { count: result.length, total_count: all.length };
  const pages = { page: at, per_page: perPage, total_pages: Math.ceil(all.length / perPage) };
  return { success: true, errors: [], messages: [], result, result_info: { ...pages, ...counts } };
}
