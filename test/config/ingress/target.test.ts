import { describe, expect, test } from "bun:test";

import { parseTarget } from "../../../src/config/ingress/target.ts";
import { TunlError } from "../../../src/errors.ts";

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
    ["8000/", "http://localhost:8000", "localhost", 8000, "localhost:8000"],
    ["nas.local:81/", "http://nas.local:81", "nas.local", 81, "nas.local:81"],
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
    expect(parseTarget("unix+tls:/a@b.sock")).toMatchObject({ isTls: true, path: "/a@b.sock" });
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
    "unix:app.sock",
    "unix+tls:./a.sock",
    "http_status",
    "hellow_world",
    "99999",
    "::1",
    "::1:8000",
    "http:/localhost:8000",
    "80a",
    "8000//",
    "/tmp",
    "/run/a@b.sock",
    "./dist",
    "..",
    "~/dist",
    "dist/",
    "a:b:c",
    "localhost:8000/path",
    "localhost:8000?x=1",
    "localhost:http",
    "C:\\dist",
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

  test.each([
    ["localhost", "http://localhost"],
    ["https://nas.local/admin", "https://nas.local"],
    ["localhost:8000/path", "http://localhost:8000"],
    ["localhost:8000?x=1", "http://localhost:8000"],
    ["http://localhost:8000/?x=1#y", "http://localhost:8000"],
    ["localhost:", "http://localhost:8000"],
    ["https://nas.local:", "https://nas.local:8000"],
    ["http:/localhost:8000", "http://localhost:8000"],
    ["https:nas.local", "https://nas.local"],
    ["80a", "http://localhost:80"],
    ["99999", "http://localhost:8000"],
    ["localhost:99999", "http://localhost:8000"],
    ["/tmp", "unix:/tmp"],
    ["./dist", "http://localhost:8000"],
    ["unix:app.sock", "unix:/run/app.sock"],
    ["unix+tls:", "unix+tls:/run/app.sock"],
    ["http_status", "http_status:404"],
    ["http_statsu", "http_status:404"],
    ["hellow_world", "hello_world"],
    ["::1:8000", "http://[::1]:8000"],
    ["::1", "http://[::1]"],
    ["http://2001:db8::5:3000", "http://[2001:db8::5]:3000"],
    ["http://user:hunter2@nas.local:81/x", "http://nas.local:81"],
    ["", "http://localhost:8000"],
  ])("for %j names the form %s", (text, works) => {
    expect(errorOf(text).hint).toBe(`A form that works: ${works}`);
  });

  test("every form it names is one it takes", () => {
    const parts = [
      "",
      "8000",
      "a",
      ":",
      "/",
      "@",
      "?",
      "#",
      "[",
      "]",
      "::1",
      "unix:",
      "http:",
      "https://",
      ".",
      "~",
      "http_status",
      "hello_word",
      " ",
      "%",
      "99999",
      "\\",
      "-",
    ];
    let count = 0;
    for (const first of parts)
      for (const second of parts)
        for (const third of parts) {
          const text = `${first}${second}${third}`;
          let error: unknown;
          try {
            parseTarget(text);
            continue;
          } catch (thrown) {
            error = thrown;
          }
          if (!(error instanceof TunlError)) throw error;
          if (error.code === "TARGET_UNSUPPORTED") continue;
          expect([text, error.hint]).toEqual([
            text,
            expect.stringMatching(/^A form that works: \S/),
          ]);
          const works = (error.hint as string).slice("A form that works: ".length);
          expect(() => parseTarget(works)).not.toThrow();
          count += 1;
        }
    expect(count).toBeGreaterThan(1_000);
  });

  test.each([
    "http://user:hunter2@localhost",
    "http://user:hunter2@localhost:8000/path?x#y",
    "https:/user:hunter2@localhost",
    "http:user:hunter2@localhost",
    "user:hunter2@localhost:8000",
    "user:hunter2@localhost",
    "ftp://user:hunter2@localhost",
    "tcp://user:hunter2@localhost:22",
    "http://user:hunter2/@more@localhost",
    "http://user:hunter2 @localhost",
    "http://user:hunter2\n@localhost",
  ])("user name and password of %j are in no text", (text) => {
    const { message, hint, stack } = errorOf(text);
    expect(message).toContain("localhost");
    expect(`${message}\n${hint}\n${stack}`).not.toMatch(/user:|hunter2|more/);
  });
});
