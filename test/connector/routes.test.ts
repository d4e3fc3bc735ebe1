// This file is what the owner of a connector is told of its names: each once, whatever the links do.
import { describe, expect, test } from "bun:test";
import { refusedName } from "../../src/connector/announce.ts";
import type { ConnectorEvents } from "../../src/connector/events.ts";
import { Ingress, type Rule } from "../../src/connector/ingress.ts";
import { StaticOrigin } from "../../src/connector/origin/index.ts";
import { RouteBook } from "../../src/connector/routes.ts";
import type { Service } from "../../src/connector/services.ts";
import { compileExpression } from "../../src/expression.ts";
import { untold } from "./untold.ts";

function rule(hostname: string, status: number, path?: string): Rule<Service> {
  const origin = new StaticOrigin({ kind: "static", status, url: `http_status:${status}` });
  return {
    hostname,
    path: path === undefined ? undefined : compileExpression(path),
    allowAmbiguousPaths: false,
    service: { origin, troubles: untold() },
  };
}

function bookOf(...rules: readonly Rule<Service>[]): {
  readonly book: RouteBook;
  readonly log: string[];
  at(ms: number): void;
} {
  const log: string[] = [];
  let now = 0;
  const events: Pick<ConnectorEvents, "route" | "certificate" | "failed"> = {
    route: (url, service, path) => log.push(`route ${url} ${path ?? "-"} ${service}`),
    certificate: (host, state, ms, text) => log.push(`certificate ${host} ${state} ${ms} ${text}`),
    failed: ({ code }) => log.push(`failed ${code}`),
  };
  const book = new RouteBook(new Ingress(rules), events as ConnectorEvents, () => now);
  return { book, log, at: (ms) => (now = ms) };
}

describe("routes", () => {
  test("a name is told with each rule that serves it, once over all sessions", () => {
    const { book, log } = bookOf(
      rule("app.example.com", 201, "^/api"),
      rule("app.example.com", 202),
      rule("*.example.com", 203),
      rule("", 404),
    );
    for (let session = 0; session < 2; session++) {
      book.begin();
      book.granted("app.example.com", "https://app.example.com");
      book.granted("*.example.com", "https://*.example.com");
      book.granted("other.org", "https://other.org");
    }
    expect(log).toEqual([
      "route https://app.example.com ^/api http_status:201",
      "route https://app.example.com - http_status:202",
      "route https://*.example.com - http_status:203",
      "route https://other.org - http_status:404",
    ]);
    expect(book.list()).toEqual([
      {
        host: "app.example.com",
        url: "https://app.example.com",
        service: "http_status:201",
        path: "^/api",
      },
      { host: "app.example.com", url: "https://app.example.com", service: "http_status:202" },
      { host: "*.example.com", url: "https://*.example.com", service: "http_status:203" },
      { host: "other.org", url: "https://other.org", service: "http_status:404" },
    ]);
    book.begin();
    expect(book.list()).toEqual([]);
  });

  test("a refusal is told once, until it is another one or the name was given", () => {
    const { book, log } = bookOf(rule("", 404));
    const refuse = (code: string): void =>
      book.refused("a.example.com", refusedName("a.example.com", code, ""));
    for (const code of ["HOSTNAME_NOT_GRANTED", "HOSTNAME_NOT_GRANTED", "HOSTNAME_TAKEN"])
      refuse(code);
    book.granted("a.example.com", "https://a.example.com");
    refuse("HOSTNAME_TAKEN");
    expect(log.filter((line) => line.startsWith("failed"))).toEqual([
      "failed HOSTNAME_NOT_GRANTED",
      "failed HOSTNAME_TAKEN",
      "failed HOSTNAME_TAKEN",
    ]);
  });

  test("a name that lost its proof is no route, and told again when it has it back", () => {
    const { book, log } = bookOf(rule("", 404));
    const lost = refusedName("shop.org", "HOSTNAME_NOT_PROVEN", "add the record");
    book.refused("shop.org", lost);
    book.granted("shop.org", "https://shop.org");
    book.refused("shop.org", lost);
    expect(book.list()).toEqual([]);
    book.granted("shop.org", "https://shop.org");
    expect(book.list()).toHaveLength(1);
    expect(log).toEqual([
      "failed HOSTNAME_NOT_PROVEN",
      "route https://shop.org - http_status:404",
      "failed HOSTNAME_NOT_PROVEN",
      "route https://shop.org - http_status:404",
    ]);
    expect(lost.hint).toContain("without a restart");
  });

  test("a certificate is told with the time since its name was granted, when there is an outcome", () => {
    const { book, log, at } = bookOf(rule("", 404));
    at(1_000);
    book.granted("a.example.com", "https://a.example.com");
    at(4_200);
    book.certificate("a.example.com", "pending", undefined, "");
    book.certificate("a.example.com", "ready", undefined, "");
    book.certificate("a.example.com", "ready", 2_900, "");
    book.certificate("a.example.com", "failed", undefined, "the CA said no");
    expect(log.slice(1)).toEqual([
      "certificate a.example.com ready 3200 ",
      "certificate a.example.com ready 2900 ",
      "certificate a.example.com failed 3200 the CA said no",
    ]);
  });
});
