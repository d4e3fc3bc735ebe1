// This file is the names of a connector at its session: asked for when it comes up, and again where an answer may be another one later. http.md §5.4, product.md §6.
import type { ConnectorOptions, IngressOptions } from "../config/index.ts";
import type { TunlError } from "../errors.ts";
import type { Session } from "../session/index.ts";
import { type Announced, announce, Answers, refusedName, UNPROVEN } from "./announce.ts";
import type { ConnectorEvents } from "./events.ts";
import type { RouteBook } from "./routes.ts";

/** When names are asked for again, ms: the call for them ended and the session did not; the edge could not give them. */
export const ASK_AGAIN = { lostMs: 5_000, refusedMs: 60_000 } as const;

export interface ClaimsOptions {
  readonly options: Pick<ConnectorOptions, "name" | "hosts" | "ingress">;
  readonly routes: RouteBook;
  readonly events: Pick<ConnectorEvents, "notice">;
  /** Name of the tunnel, once known. */
  readonly tunnel: () => string | undefined;
  /** Every name was refused for good: there is nothing to stay for. */
  readonly fail: (error: TunlError) => void;
  readonly askAgain?: { readonly lostMs: number; readonly refusedMs: number };
}

/** What one call asks for. */
interface Wish {
  readonly hosts: readonly string[];
  /** TARGET, for a random name; "" for none. */
  readonly random: string;
}

export class Claims {
  readonly #options: ClaimsOptions;
  readonly #hasFile: boolean;
  readonly #ruled: readonly string[];
  readonly #askAgain: { readonly lostMs: number; readonly refusedMs: number };
  /** Calls in force at the session of now. */
  #calls = new Set<Announced>();
  #answers = new Answers(0);
  #isOver = false;

  constructor(options: ClaimsOptions) {
    const { ingress } = options.options;
    this.#options = options;
    this.#hasFile = ingress.file !== undefined;
    this.#ruled = ruledHosts(ingress);
    this.#askAgain = options.askAgain ?? ASK_AGAIN;
  }

  /**
   * A session is up: nothing is asked for on an earlier one any more.
   *
   * @param domain First domain of the edge, below which `--name` is.
   */
  begin(session: Session, domain: string): void {
    const { name, hosts, ingress } = this.#options.options;
    const named = [...(name === undefined ? [] : [`${name}.${domain}`]), ...hosts];
    const wanted = [...new Set([...named, ...this.#ruled])];
    // A name of its own is for whoever gave nothing but a TARGET.
    const isNameless = wanted.length === 0 && !this.#hasFile;
    const random = isNameless ? (ingress.rules[0]?.service.url ?? "") : "";
    this.#calls = new Set();
    const wish = { hosts: wanted, random };
    this.#answers = new Answers(countOf(wish), this.#hasFile);
    this.#options.routes.begin();
    this.#ask(session, this.#calls, wish);
  }

  /** The names are served no more. Resolves when the edge has taken notice, or the session is over. */
  async withdraw(): Promise<void> {
    this.#isOver = true;
    await Promise.all([...this.#calls].map((call) => call.withdraw()));
  }

  /** @param calls Those of this session; a later one has a set of its own. */
  #ask(session: Session, calls: Set<Announced>, wish: Wish): void {
    const { routes, events, tunnel, fail } = this.#options;
    const { lostMs, refusedMs } = this.#askAgain;
    const askLater = (afterMs: number, next: () => Wish): void => {
      const ask = (): void => {
        if (!this.#isOver && !session.isClosed && !session.isDraining)
          this.#ask(session, calls, next());
      };
      setTimeout(ask, afterMs).unref();
    };
    /** What the edge could not give now. */
    const refused: string[] = [];
    const again = (): Wish => {
      // What is refused from now on is asked for again after a time of its own.
      const names = refused.splice(0);
      // A call that serves nothing would be one more each time.
      if (names.length === countOf(wish) && calls.size > 1) {
        calls.delete(call);
        void call.withdraw();
      }
      const isRandom = wish.random !== "" && names.includes(wish.random);
      return isRandom ? wish : { hosts: names, random: "" };
    };
    const call = announce(
      session,
      { ...wish, rest: this.#hasFile },
      {
        granted: (host, url) => {
          this.#answers.granted();
          routes.granted(host, url);
        },
        refused: (host, code, text) => {
          const ruledBy = this.#ruled.includes(host) ? (tunnel() ?? "TUNNEL") : undefined;
          const error = refusedName(host, code, text, ruledBy);
          const ending = this.#answers.refused(error);
          if (ending !== undefined) return fail(ending);
          routes.refused(host, error);
          if (!error.retryable || code === UNPROVEN) return;
          refused.push(host);
          if (refused.length === 1) askLater(refusedMs, again);
        },
        certificate: (...told) => routes.certificate(...told),
        notice: (text) => events.notice(text),
        lost: () => {
          // When the session is over the next one asks; here it is not.
          if (calls.delete(call)) askLater(lostMs, () => wish);
        },
      },
    );
    calls.add(call);
  }
}

/** Names that are asked for. */
function countOf({ hosts, random }: Wish): number {
  return hosts.length + (random === "" ? 0 : 1);
}

/** Names of rules, in their order; a rule for every host has none. */
export function ruledHosts({ rules }: IngressOptions): readonly string[] {
  return rules.map(({ hostname }) => hostname).filter((host) => host !== "");
}
