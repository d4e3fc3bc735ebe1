// This file is a CA that does what a test says, for what pebble 2.4 cannot do: renewal information, orders that take their time, nonsense. RFC 8555, RFC 9773.
import { webcrypto } from "node:crypto";
import { certificateId } from "../../src/edge/certificates/acme/renewal-info.ts";
import type { Fetch } from "../../src/edge/certificates/acme/transport.ts";
import { makeRoot, type PemPair } from "../../src/edge/certificates/internal-ca.ts";
import { loadX509 } from "../../src/edge/certificates/x509.ts";

const BASE = "https://ca.test";
const DAY_MS = 86_400_000;
const P256 = { name: "ECDSA", namedCurve: "P-256" } as const;

interface Order {
  readonly names: readonly string[];
  readonly replaces: string | undefined;
  isProven: boolean;
  /** Kind of the challenge that was tried and failed. */
  failed: string | undefined;
  /** Looks that still find it `processing`. */
  processing: number;
  chain: string | undefined;
}

/** What the CA does out of the ordinary. */
export interface Script {
  /** Looks at an order after `finalize` that find it `processing`. */
  processing?: number;
  /** True: no challenge is ever decided. */
  isUndecided?: boolean;
  /** True: every challenge fails. */
  fails?: boolean;
  /** `Retry-After` of answers that are not the last word. */
  retryAfter?: string;
  /** Serial number of the next certificate, hex. */
  serial?: string;
  /** True: `replaces` is refused. */
  refusesReplaces?: boolean;
  /** Names in the certificate in place of those that were ordered. */
  signs?: readonly string[];
  /** In place of any answer to this first part of a path. */
  answers?: Readonly<Record<string, () => Response>>;
  /** When it would have certificates renewed. */
  window?: { readonly start: number; readonly end: number };
  /** Life of certificates, by the CA's clock. */
  life?: { readonly notBefore: number; readonly notAfter: number };
}

/** An ACME server without sockets. It checks no signature: pebble does. */
export class ScriptedCa {
  readonly directory = `${BASE}/dir`;
  readonly script: Script;
  readonly orders: Order[] = [];
  /** Ids that were asked for renewal information. */
  readonly asked: string[] = [];
  readonly #root: PemPair;

  private constructor(root: PemPair, script: Script) {
    this.#root = root;
    this.script = script;
  }

  static async start(script: Script = {}): Promise<ScriptedCa> {
    return new ScriptedCa(await makeRoot(Date.now()), script);
  }

  /** Id of the certificate of an order. */
  async idOf(order: number): Promise<string | undefined> {
    return await certificateId(this.orders[order]?.chain ?? "");
  }

  readonly fetch: Fetch = async (url, init) => {
    const [, what = "", id = "", type] = new URL(url).pathname.split("/");
    const special = this.script.answers?.[what];
    if (special !== undefined) return special();
    const payload = init.method === "POST" ? readPayload(String(init.body)) : {};
    return await this.#answer(what, id, payload, type);
  };

  async #answer(
    what: string,
    id: string,
    payload: Record<string, unknown>,
    type: string | undefined,
  ): Promise<Response> {
    const order = this.orders[Number(id)];
    switch (what) {
      case "dir":
        return json({
          ...{
            newNonce: `${BASE}/nonce`,
            newAccount: `${BASE}/account`,
            newOrder: `${BASE}/order`,
          },
          renewalInfo: `${BASE}/renewal`,
          meta: {},
        });
      case "nonce":
        return json({});
      case "account":
        return json({ status: "valid" }, 201, `${BASE}/account/1`);
      case "order":
        return id === "" ? this.#create(payload) : json(this.#view(Number(id)));
      case "authorization":
        return this.#authorization(Number(id));
      case "challenge":
        if (order !== undefined && this.script.isUndecided !== true) {
          if (this.script.fails === true) order.failed = type;
          else order.isProven = true;
        }
        return json({ status: "processing" });
      case "finalize":
        if (order !== undefined) order.chain = await this.#sign(order, String(payload["csr"]));
        return json(this.#view(Number(id)));
      case "certificate":
        return new Response(order?.chain, { headers: { "replay-nonce": nonce() } });
      case "renewal": {
        this.asked.push(id);
        const { start = 0, end = 0 } = this.script.window ?? {};
        return json({
          suggestedWindow: {
            start: new Date(start).toISOString(),
            end: new Date(end).toISOString(),
          },
        });
      }
      default:
        return json({ type: "urn:ietf:params:acme:error:malformed", detail: what }, 404);
    }
  }

  #create({ identifiers, replaces }: Record<string, unknown>): Response {
    if (replaces !== undefined && this.script.refusesReplaces === true)
      return json({ type: "urn:ietf:params:acme:error:alreadyReplaced", detail: "Replaced" }, 409);
    this.orders.push({
      names: (identifiers as { value: string }[]).map(({ value }) => value),
      replaces: typeof replaces === "string" ? replaces : undefined,
      isProven: false,
      failed: undefined,
      processing: this.script.processing ?? 0,
      chain: undefined,
    });
    const id = this.orders.length - 1;
    return json(this.#view(id), 201, `${BASE}/order/${id}`);
  }

  #view(id: number): object {
    const order = this.orders[id] as Order;
    const urls = {
      authorizations: [`${BASE}/authorization/${id}`],
      finalize: `${BASE}/finalize/${id}`,
    };
    if (order.chain === undefined) return { status: order.isProven ? "ready" : "pending", ...urls };
    if (order.processing > 0) {
      order.processing -= 1;
      return { status: "processing", ...urls };
    }
    return { status: "valid", ...urls, certificate: `${BASE}/certificate/${id}` };
  }

  #authorization(id: number): Response {
    const order = this.orders[id] as Order;
    const status = order.failed !== undefined ? "invalid" : order.isProven ? "valid" : "pending";
    const { retryAfter } = this.script;
    const challenges = ["http-01", "tls-alpn-01"].map((type) => ({
      ...{ type, url: `${BASE}/challenge/${id}/${type}`, token: "t".repeat(43), status },
      ...(order.failed === type && {
        error: { type: "urn:ietf:params:acme:error:connection", detail: `No address for ${type}` },
      }),
    }));
    return json(
      { status, identifier: { type: "dns", value: order.names[0] }, challenges },
      200,
      undefined,
      status === "pending" ? retryAfter : undefined,
    );
  }

  /** Signs what a request asks for, as an ordinary CA would. */
  async #sign(order: Order, csr: string): Promise<string> {
    const x509 = await loadX509();
    const request = new x509.Pkcs10CertificateRequest(Buffer.from(csr, "base64url"));
    const issuer = new x509.X509Certificate(this.#root.cert);
    const der = Buffer.from(this.#root.key.replace(/-----[^-]+-----|\s/g, ""), "base64");
    const signingKey = await webcrypto.subtle.importKey("pkcs8", der, P256, false, ["sign"]);
    const now = Date.now();
    const { notBefore, notAfter } = this.script.life ?? {
      notBefore: now - 3_600_000,
      notAfter: now + 90 * DAY_MS,
    };
    const certificate = await x509.X509CertificateGenerator.create(
      {
        serialNumber: this.script.serial ?? `0${this.orders.length}`,
        subject: "",
        issuer: issuer.subjectName.toJSON(),
        notBefore: new Date(notBefore),
        notAfter: new Date(notAfter),
        signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
        publicKey: request.publicKey,
        signingKey,
        extensions: [
          new x509.SubjectAlternativeNameExtension(
            (this.script.signs ?? order.names).map((value) => ({ type: "dns" as const, value })),
            true,
          ),
          await x509.AuthorityKeyIdentifierExtension.create(
            issuer.publicKey,
            false,
            webcrypto as Crypto,
          ),
        ],
      },
      webcrypto as Crypto,
    );
    return `${certificate.toString("pem")}\n${this.#root.cert}`;
  }
}

function json(body: object, status = 200, location?: string, retryAfter?: string): Response {
  return Response.json(body, {
    status,
    headers: {
      "replay-nonce": nonce(),
      ...(location !== undefined && { location }),
      ...(retryAfter !== undefined && { "retry-after": retryAfter }),
    },
  });
}

let nonces = 0;
function nonce(): string {
  nonces += 1;
  return `nonce-${nonces}`;
}

function readPayload(body: string): Record<string, unknown> {
  const { payload } = JSON.parse(body);
  const text = Buffer.from(payload, "base64url").toString();
  return text === "" ? {} : JSON.parse(text);
}
