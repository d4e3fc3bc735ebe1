import { describe, expect, test } from "bun:test";

import { parseTarget } from "../../src/connector/target.ts";
import { TunlError } from "../../src/errors.ts";

function errorOf(text: string): TunlError {
  try {
    const target = parseTarget(text);
    throw new Error(`"${text}" was taken as ${target.url}`);
  } catch (error) {
    if (error instanceof TunlError) return error;
    throw error;
  }
}

describe("target", () => {
  const http: readonly (readonly [string, string, string, number, string])[] = [
    ["8000", "http://localhost:8000", "localhost", 8000, "localhost:8000"],
    ["80", "http://localhost", "localhost", 80, "localhost"],
    ["127.0.0.1:3000", "http://127.0.0.1:3000", "127.0.0.1", 3000, "127.0.0.1:3000"],
    ["[::1]:3000", "http://[::1]:3000", "::1", 3000, "[::1]:3000"],
    ["NAS.local:5000", "http://nas.local:5000", "nas.local", 5000, "nas.local:5000"],
    ["http://localhost:8000/", "http://localhost:8000", "localhost", 8000, "localhost:8000"],
    ["http://example.com", "http://example.com", "example.com", 80, "example.com"],
    ["ws://localhost:9", "http://localhost:9", "localhost", 9, "localhost:9"],
    [
      "http://bücher.example",
      "http://xn--bcher-kva.example",
      "xn--bcher-kva.example",
      80,
      "xn--bcher-kva.example",
    ],
    ["HTTP://a_b:81", "http://a_b:81", "a_b", 81, "a_b:81"],
  ];
  for (const [text, url, host, port, authority] of http) {
    test(`takes "${text}"`, () => {
      expect(parseTarget(text)).toEqual({ kind: "http", isTls: false, url, host, port, authority });
    });
  }

  test("takes https and wss with TLS and port 443", () => {
    expect(parseTarget("https://nas.local")).toMatchObject({
      isTls: true,
      port: 443,
      authority: "nas.local",
    });
    expect(parseTarget("wss://nas.local:444")).toMatchObject({
      isTls: true,
      url: "https://nas.local:444",
    });
    expect(parseTarget("https://nas.local:443").url).toBe("https://nas.local");
  });

  test("takes socket files, path case kept", () => {
    expect(parseTarget("unix:/run/App.sock")).toEqual({
      kind: "unix",
      isTls: false,
      path: "/run/App.sock",
      authority: "localhost",
      url: "unix:/run/App.sock",
    });
    expect(parseTarget("unix+tls:./a.sock")).toMatchObject({ isTls: true, path: "./a.sock" });
  });

  test("takes the services the connector answers itself", () => {
    expect(parseTarget("http_status:404")).toEqual({
      kind: "static",
      status: 404,
      url: "http_status:404",
    });
    expect(parseTarget("hello_world")).toEqual({
      kind: "static",
      status: undefined,
      url: "hello_world",
    });
    expect(parseTarget("hello-world").url).toBe("hello_world");
  });

  test("a target is its own full form", () => {
    for (const text of [
      ...http.map((row) => row[0]),
      "https://a:1",
      "unix:/x",
      "http_status:503",
      "hello_world",
    ]) {
      const target = parseTarget(text);
      expect(parseTarget(target.url)).toEqual(target);
    }
  });

  for (const text of [
    "",
    "localhost",
    "0",
    "65536",
    "localhost:0",
    "localhost:99999",
    "localhost:",
    "http://",
    "http://:80",
    "http://localhost:80/path",
    "http://user:secret@localhost",
    "http://localhost?x",
    "http://localhost#x",
    "http://::1",
    "http://[::1",
    "http://[fe80::1%eth0]",
    "http://[1.2.3.4]",
    "http://10.1",
    "http://010.1.2.3",
    "http://a..b",
    "http://a b",
    "http://-a",
    "http://a%41",
    "http://local\thost",
    "unix:",
    "unix:/a\0b",
    "http_status:",
    "http_status:101",
    "http_status:1000",
    "http_status:2e2",
  ]) {
    test(`refuses ${JSON.stringify(text)}`, () => {
      const error = errorOf(text);
      expect(error.code).toBe("TARGET_INVALID");
      expect(error.message).toContain(`"${text}"`);
    });
  }

  for (const text of ["tcp://localhost:22", "ssh://x", "ftp://x:21", "bastion", "socks-proxy"]) {
    test(`says that "${text}" is not served yet`, () => {
      expect(errorOf(text).code).toBe("TARGET_UNSUPPORTED");
    });
  }

  test("names a form that works", () => {
    expect(errorOf("localhost").hint).toBe("A form that works: http://localhost");
    expect(errorOf("https://nas.local/admin").hint).toBe("A form that works: https://nas.local");
  });
});
