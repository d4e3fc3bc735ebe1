import { describe, expect, test } from "bun:test";
import {
  CHUNK_OVERHEAD,
  CONTINUE,
  type FramingToWrite,
  headCapacity,
  type HeadToWrite,
  interimHead,
  requestWriter,
  responseWriter,
  type Writer,
} from "../../src/http1/index.ts";
import { bytes, lines, text } from "./support.ts";

const FIELDS = bytes("A: b\r\n");
const request = (method: string, framing: FramingToWrite): HeadToWrite => ({
  line: { method, target: bytes("/x?y") },
  host: "a.example:8443",
  fields: FIELDS,
  framing,
  connection: "keep-alive",
});
const response = (status: number, framing: FramingToWrite): HeadToWrite => ({
  line: { status, reason: bytes("Why") },
  fields: FIELDS,
  framing,
  connection: "close",
});
const joined = (parts: readonly Uint8Array[] | false): string =>
  parts === false ? "false" : parts.map(text).join("");
const open = (writer: Writer, head: HeadToWrite): Writer => {
  writer.head(head);
  return writer;
};

describe("writer", () => {
  test("writes Host first, then the fields, then what only it may write", () => {
    expect(text(requestWriter().head(request("PUT", { kind: "length", length: 5 })))).toBe(
      lines(
        "PUT /x?y HTTP/1.1",
        "Host: a.example:8443",
        "A: b",
        "Content-Length: 5",
        "Connection: keep-alive",
      ),
    );
    expect(text(responseWriter().head(response(404, { kind: "chunked" })))).toBe(
      lines("HTTP/1.1 404 Why", "A: b", "Transfer-Encoding: chunked", "Connection: close"),
    );
  });

  // http.md §3.2: towards, framing, the framing lines written.
  const ROWS: [string, HeadToWrite, string[]][] = [
    [
      "origin, exact",
      request("POST", { kind: "length", length: 999_999_999_999_999 }),
      ["Content-Length: 999999999999999"],
    ],
    ["origin, exact, GET", request("GET", { kind: "length", length: 1 }), ["Content-Length: 1"]],
    ["origin, POST without body", request("POST", { kind: "none" }), ["Content-Length: 0"]],
    ["origin, PUT without body", request("PUT", { kind: "none" }), ["Content-Length: 0"]],
    [
      "origin, PATCH without body",
      request("PATCH", { kind: "length", length: 0 }),
      ["Content-Length: 0"],
    ],
    ["origin, GET without body", request("GET", { kind: "none" }), []],
    ["origin, DELETE without body", request("DELETE", { kind: "length", length: 0 }), []],
    ["origin, unknown", request("GET", { kind: "chunked" }), ["Transfer-Encoding: chunked"]],
    ["visitor, exact", response(200, { kind: "length", length: 0 }), ["Content-Length: 0"]],
    ["visitor, unknown", response(200, { kind: "chunked" }), ["Transfer-Encoding: chunked"]],
    ["visitor of 1.0, unknown", response(200, { kind: "untilClose" }), []],
    ["visitor, 204", response(204, { kind: "none" }), []],
    [
      "visitor, HEAD or 304",
      response(304, { kind: "announced", length: 7 }),
      ["Content-Length: 7"],
    ],
    [
      "visitor, HEAD or 304 of unknown length",
      response(200, { kind: "announced", length: -1 }),
      [],
    ],
  ];
  test.each(ROWS)("towards %s it writes its own framing", (_, head, expected) => {
    const writer = "method" in head.line ? requestWriter() : responseWriter();
    const written = text(writer.head(head)).split("\r\n");
    expect(written.filter((line) => /^(content-length|transfer-encoding):/i.test(line))).toEqual(
      expected,
    );
  });

  test("writes an upgrade with its protocol", () => {
    const head = {
      ...request("GET", { kind: "none" }),
      connection: "upgrade",
      upgrade: "websocket",
    } as const;
    expect(text(requestWriter().head(head))).toEndWith(
      "A: b\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    expect(() =>
      requestWriter().head({ ...request("GET", { kind: "none" }), connection: "upgrade" }),
    ).toThrow("BUG");
  });

  test("puts head and first content into one buffer of the caller", () => {
    const head = response(200, { kind: "chunked" });
    const target = new Uint8Array(3 + headCapacity(head) + 17 + CHUNK_OVERHEAD).fill(0x2e);
    const writer = responseWriter();
    const body = bytes("0123456789abcdefg");
    const middle = writer.headInto(head, target, 3);
    const end = writer.bodyInto(body, target, middle);
    const other = responseWriter();
    expect(text(target.subarray(0, end))).toBe(
      `...${text(other.head(head))}${joined(other.body(body))}`,
    );
    expect(writer.bodyInto(new Uint8Array(0), target, end)).toBe(end);
  });

  test("reserves enough for every head", () => {
    const longest: HeadToWrite = {
      line: { method: "M".repeat(64), target: bytes("/".repeat(100)) },
      host: "h".repeat(253),
      fields: FIELDS,
      framing: { kind: "length", length: 999_999_999_999_999 },
      connection: "upgrade",
      upgrade: "u".repeat(40),
    };
    for (const head of [
      longest,
      response(999, { kind: "chunked" }),
      request("GET", { kind: "none" }),
    ]) {
      const written = ("method" in head.line ? requestWriter() : responseWriter()).head(head);
      expect(written.length).toBeLessThanOrEqual(headCapacity(head));
      expect(text(written)).toEndWith("\r\n\r\n");
    }
  });

  test("frames chunks without copying them, and never an empty one", () => {
    const writer = open(responseWriter(), response(200, { kind: "chunked" }));
    const body = bytes("x".repeat(300));
    const parts = writer.body(body);
    expect(joined(parts)).toBe(`12c\r\n${text(body)}\r\n`);
    expect(parts[1]).toBe(body);
    expect(writer.body(new Uint8Array(0))).toEqual([]);
    expect(joined(writer.end())).toBe("0\r\n\r\n");
  });

  test("writes trailers in a chunked body and drops them in any other", () => {
    expect(
      joined(open(responseWriter(), response(200, { kind: "chunked" })).end(bytes("T: 1\r\n"))),
    ).toBe("0\r\nT: 1\r\n\r\n");
    expect(
      joined(
        open(responseWriter(), response(200, { kind: "length", length: 0 })).end(bytes("T: 1\r\n")),
      ),
    ).toBe("");
    expect(
      joined(open(responseWriter(), response(200, { kind: "untilClose" })).end(bytes("T: 1\r\n"))),
    ).toBe("");
  });

  test("refuses a byte too many", () => {
    const writer = open(requestWriter(), request("PUT", { kind: "length", length: 3 }));
    expect(joined(writer.body(bytes("ab")))).toBe("ab");
    expect(() => writer.body(bytes("cd"))).toThrow("Body has 2 bytes more, allowed 1");
    expect(() => writer.bodyInto(bytes("cd"), new Uint8Array(9), 0)).toThrow(
      "Body has 2 bytes more, allowed 1",
    );
    expect(joined(writer.body(bytes("c")))).toBe("c");
    expect(joined(writer.end())).toBe("");
    for (const framing of [{ kind: "none" }, { kind: "announced", length: 9 }] as const) {
      expect(() => open(responseWriter(), response(200, framing)).body(bytes("x"))).toThrow(
        "allowed 0",
      );
    }
  });

  test("says when bytes are missing instead of ending", () => {
    const writer = open(requestWriter(), request("PUT", { kind: "length", length: 3 }));
    writer.body(bytes("ab"));
    expect(writer.end()).toBe(false);
    expect(writer.isOpen).toBe(true);
  });

  test("writes one message after the other", () => {
    const writer = requestWriter();
    expect(() => writer.body(bytes("x"))).toThrow("BUG");
    writer.head(request("GET", { kind: "none" }));
    expect(() => writer.head(request("GET", { kind: "none" }))).toThrow("BUG");
    expect(writer.end()).toEqual([]);
    expect(() => writer.end()).toThrow("BUG");
    expect(writer.head(request("GET", { kind: "none" })).length).toBeGreaterThan(0);
  });

  test("refuses what cannot be framed as a bug of ours", () => {
    expect(() => requestWriter().head(request("GET", { kind: "untilClose" }))).toThrow("BUG");
    expect(() => requestWriter().head(response(200, { kind: "none" }))).toThrow("BUG");
    expect(() => responseWriter().head(request("GET", { kind: "none" }))).toThrow("BUG");
    expect(() => responseWriter().head(response(20, { kind: "none" }))).toThrow("BUG");
    expect(() => responseWriter().head(response(200, { kind: "length", length: 1.5 }))).toThrow(
      "BUG",
    );
    const { host: _, ...hostless } = request("GET", { kind: "none" });
    expect(() => requestWriter().head(hostless)).toThrow("BUG");
  });

  test("never lets text become a line end (platform trap 16)", () => {
    for (const bad of ["a\u010d\u010ab", "a\r\nb", "a\u00e9", "a\0"]) {
      expect(() =>
        requestWriter().head({ ...request("GET", { kind: "none" }), host: bad }),
      ).toThrow("printable ASCII");
      expect(() => requestWriter().head(request(bad, { kind: "none" }))).toThrow("printable ASCII");
    }
  });

  test("writes interim responses without framing", () => {
    expect(text(interimHead(103, bytes("Link: </a>\r\n")))).toBe(
      "HTTP/1.1 103 \r\nLink: </a>\r\n\r\n",
    );
    expect(text(CONTINUE)).toBe("HTTP/1.1 100 Continue\r\n\r\n");
  });
});
