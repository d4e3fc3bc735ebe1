import { describe, expect, test } from "bun:test";
import { CanonicalRequests, newRequestId, type VisitorPeer } from "../../src/edge/request.ts";
import { hex } from "../../src/edge/reply.ts";
import { REQUEST_LIMITS, requestReader } from "../../src/http1/index.ts";
import { build, codeOf, head, linesOf, request, simple } from "./heads.ts";
import { PEER } from "./listen/rig.ts";

describe("canonical request", () => {
  test("keeps no view of the bytes a head came in: an idle connection would pin them", () => {
    const requests = new CanonicalRequests(PEER);
    const received = Buffer.from(simple(), "latin1");
    const reader = requestReader(REQUEST_LIMITS);
    reader.feed(received);
    expect(reader.next()).toBe("head");
    expect(requests.build(reader.head)).toMatchObject({ host: "app.example.com" });
    // If the Host value remembered from above were a view, it would now be the name of the next request.
    received.write("api.example.com", received.indexOf("app.example.com"), "latin1");
    const next = build(head("GET / HTTP/1.1", "Host: api.example.com"), PEER, requests);
    expect(next).toMatchObject({ code: "WRONG_CONNECTION" });
  });

  test("is the visitor's fields without hop-by-hop and framing, followed by ours [golden]", () => {
    const built = request(
      head(
        "POST /a%2Fb?x=1 HTTP/1.1",
        "Host: App.Example.COM.",
        "user-AGENT: curl/8",
        "Accept: */*",
        "Content-Length: 3",
        "Connection: keep-alive, X-Secret-Hop",
        "X-Secret-Hop: 1",
        "Keep-Alive: timeout=5",
        "Expect: 100-continue",
        "TE: trailers",
        "Trailer: X-Sum",
        "Cookie: a=1",
        "cookie: b=2",
      ),
    );
    expect(built).toMatchObject({
      method: "POST",
      host: "app.example.com",
      authority: "app.example.com",
      scheme: "https",
      upgrade: undefined,
      acceptsTrailers: true,
      accept: "*/*",
      fetchMode: "",
      visitor: { address: "192.0.2.7", port: 50_000, protocol: "http/1.1" },
      tls: { version: "TLSv1.3", serverName: "app.example.com" },
    });
    expect(Buffer.from(built.target).toString()).toBe("/a%2Fb?x=1");
    expect(linesOf(built)).toEqual([
      "user-AGENT: curl/8",
      "Accept: */*",
      "Trailer: X-Sum",
      "Cookie: a=1",
      "cookie: b=2",
      "X-Forwarded-For: 192.0.2.7",
      "X-Forwarded-Host: app.example.com",
      "X-Forwarded-Proto: https",
      "X-Forwarded-Port: 443",
      "X-Real-IP: 192.0.2.7",
      "CDN-Loop: tunl-0123456789abcdef",
      `X-Tunl-Request-Id: ${hex(built.id)}`,
    ]);
  });

  test("replaces what a visitor says about itself, in every spelling [GHSA-5m6w-wvh7-57vm]", () => {
    const names = [
      "X-Forwarded-For",
      "x_forwarded_for",
      "X.Forwarded.Host",
      "X-Real-IP",
      "Forwarded",
      "X-Tunl-Request-Id",
      "Tunl-User",
      "Proxy",
      "True-Client-IP",
    ];
    const built = request(simple(...names.map((name) => `${name}: evil`)));
    expect(Buffer.from(built.fields).toString("latin1")).not.toContain("evil");
    expect(linesOf(built)).toContain("X-Forwarded-For: 192.0.2.7");
  });

  test.each([
    ["app.example.com:8443", "app.example.com:8443", "8443"],
    ["app.example.com.:443", "app.example.com:443", "443"],
    ["APP.example.com", "app.example.com", "443"],
  ])("Host %p is forwarded as %p with port %p", (host, authority, port) => {
    const built = request(head("GET / HTTP/1.1", `Host: ${host}`));
    expect(built.host).toBe("app.example.com");
    expect(built.authority).toBe(authority);
    expect(linesOf(built)).toContain(`X-Forwarded-Host: ${authority}`);
    expect(linesOf(built)).toContain(`X-Forwarded-Port: ${port}`);
  });

  test.each([
    "app.example.com:80",
    "app.example.com:",
    "127.0.0.1",
    "[::1]",
    "a_b.example.com",
    "app%2eexample.com",
    "a,b",
    "user@app.example.com",
    "app..example.com",
    "",
    "\xe9.example.com",
  ])("Host %p is refused", (host) => {
    const built = build(
      head("GET / HTTP/1.1", `Host: ${host}`, "Accept: text/html", "Sec-Fetch-Mode: navigate"),
    );
    expect(built).toMatchObject({
      code: "BAD_HOST",
      host: undefined,
      accept: "text/html",
      fetchMode: "navigate",
    });
  });

  test("a host that the connection's certificate does not cover is 421 (S-23)", () => {
    expect(codeOf(build(head("GET / HTTP/1.1", "Host: stranger.example.net")))).toBe(
      "WRONG_CONNECTION",
    );
  });

  test.each([
    ["CDN-Loop: tunl-0123456789abcdef"],
    ["CDN-Loop: other.example; v=1, TUNL-0123456789ABCDEF ; x=y"],
    ["CDN-Loop: a\r\nCDN-Loop: b,\ttunl-0123456789abcdef"],
    ['cdn-loop: a; q="x, tunl-0123456789abcdef'],
  ])("%p is a loop (S-28)", (field) => {
    expect(codeOf(build(simple(field)))).toBe("LOOP");
  });

  test("marks of others pass and ours is added", () => {
    const built = request(simple("CDN-Loop: other, tunl-0123456789abcde, xtunl-0123456789abcdef"));
    const loops = linesOf(built).filter((line) => line.startsWith("CDN-Loop"));
    expect(loops).toEqual([
      "CDN-Loop: other, tunl-0123456789abcde, xtunl-0123456789abcdef",
      "CDN-Loop: tunl-0123456789abcdef",
    ]);
  });

  test.each([
    "X-Forwarded-For",
    "Host",
    "Content-Length",
    "Authorization",
    "Cookie",
    "X-Tunl-Request-Id",
  ])("Connection cannot name %p [CVE-2024-45410]", (name) => {
    expect(codeOf(build(simple(`Connection: ${name}`)))).toBe("BAD_REQUEST");
  });

  test("a valid upgrade keeps its token and its handshake, but not the hop-by-hop fields", () => {
    const built = request(
      simple(
        "Connection: Upgrade",
        "Upgrade: WebSocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      ),
    );
    expect(built.upgrade).toBe("websocket");
    expect(linesOf(built)).toContain("Sec-WebSocket-Version: 13");
    expect(linesOf(built).join("\n")).not.toMatch(/^(upgrade|connection):/im);
  });

  test.each([
    [
      "h2c (S-18)",
      ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAA"],
    ],
    [
      "a WebSocket without key",
      ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"],
    ],
    ["an upgrade that Connection does not name", ["Upgrade: foo"]],
    ["two protocols", ["Connection: upgrade", "Upgrade: foo, bar"]],
  ])("%s is an ordinary request", (_, fields) => {
    const built = request(simple(...fields));
    expect(built.upgrade).toBeUndefined();
    expect(linesOf(built).join("\n")).not.toMatch(/^(upgrade|connection|http2-settings):/im);
  });

  test("only path and query of an absolute target go on", () => {
    const built = request(
      head("GET https://app.example.com?x=1 HTTP/1.1", "Host: app.example.com"),
    );
    expect(Buffer.from(built.target).toString()).toBe("/?x=1");
  });

  test("every spelling of a host on one connection is checked anew", () => {
    const requests = new CanonicalRequests(PEER);
    const hosts = [
      "app.example.com",
      "app.example.com",
      "other.example.com",
      "stranger.example.net",
      "stranger.example.net",
      "APP.example.com",
      "app.example.com:81",
      "app.example.com",
    ];
    const seen = hosts.map((host) => {
      const built = build(head("GET / HTTP/1.1", `Host: ${host}`), PEER, requests);
      return "code" in built ? built.code : built.host;
    });
    expect(seen).toEqual([
      "app.example.com",
      "app.example.com",
      "other.example.com",
      "WRONG_CONNECTION",
      "WRONG_CONNECTION",
      "app.example.com",
      "BAD_HOST",
      "app.example.com",
    ]);
  });

  test("an IPv6 visitor and plain http are named as such", () => {
    const peer: VisitorPeer = {
      ...PEER,
      scheme: "http",
      tls: undefined,
      publicPorts: [80],
      remote: { address: "2001:db8::1", bytes: new Uint8Array(16), port: 1 },
    };
    const built = request(simple(), peer);
    expect(built.tls).toBeUndefined();
    expect(linesOf(built)).toContain("X-Forwarded-For: 2001:db8::1");
    expect(linesOf(built)).toContain("X-Forwarded-Proto: http");
    expect(linesOf(built)).toContain("X-Forwarded-Port: 80");
  });

  test("request ids are 16 bytes of their own and do not repeat", () => {
    const ids = Array.from({ length: 1_000 }, newRequestId);
    expect(new Set(ids.map(hex)).size).toBe(1_000);
    expect(ids.every((id) => id.length === 16 && id.buffer.byteLength === 16)).toBe(true);
  });
});
