import { describe, expect, test } from "bun:test";
import { HeaderBlock, parseLines } from "../../src/headers/index.ts";
import { acceptsWebSocket, websocketAccept } from "../../src/http1/index.ts";
import { bytes, lines, readRequests } from "./support.ts";

const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
const WEBSOCKET = [
  "Connection: keep-alive, Upgrade",
  "Upgrade: WebSocket",
  "Sec-WebSocket-Version: 13",
  `Sec-WebSocket-Key: ${KEY}`,
];

const upgradeOf = (line: string, ...fields: string[]): string | undefined => {
  const { messages, fault } = readRequests([bytes(lines(line, "Host: a", ...fields))]);
  expect(fault).toBeUndefined();
  expect(messages).toHaveLength(1);
  return messages[0]?.upgrade;
};
const GET = "GET / HTTP/1.1";
const without = (name: string, ...instead: string[]): string[] => [
  ...WEBSOCKET.filter((field) => !field.startsWith(name)),
  ...instead,
];

describe("upgrade request", () => {
  test("names one protocol in lower case", () => {
    expect(upgradeOf(GET, ...WEBSOCKET)).toBe("websocket");
    expect(
      upgradeOf("POST / HTTP/1.1", "Connection: upgrade", "Upgrade: Echo", "Content-Length: 0"),
    ).toBe("echo");
    expect(upgradeOf(GET, "Connection: upgrade", `Upgrade: ${"x".repeat(64)}`)).toBe(
      "x".repeat(64),
    );
  });

  test.each<[string, string, ...string[]]>([
    ["Connection does not name it", GET, ...without("Connection")],
    ["there are two protocols", GET, ...without("Upgrade", "Upgrade: websocket, echo")],
    ["there are two Upgrade lines", GET, ...WEBSOCKET, "Upgrade: websocket"],
    ["the protocol is not a token", GET, "Connection: upgrade", "Upgrade: a b"],
    ["the protocol is empty", GET, "Connection: upgrade", "Upgrade:"],
    ["the version of the protocol is empty", GET, "Connection: upgrade", "Upgrade: a/"],
    ["the protocol has a version", GET, "Connection: upgrade", "Upgrade: TLS/1.0"],
    ["the protocol has 65 bytes", GET, "Connection: upgrade", `Upgrade: ${"x".repeat(65)}`],
    ["it is HTTP/1.0", "GET / HTTP/1.0", ...WEBSOCKET],
    ["it has a body", GET, ...WEBSOCKET, "Content-Length: 1"],
    ["it has a chunked body", GET, ...WEBSOCKET, "Transfer-Encoding: chunked"],
    [
      "it is h2c (S-18)",
      GET,
      "Connection: upgrade, http2-settings",
      "Upgrade: h2c",
      "HTTP2-Settings: x",
    ],
    ["it is HTTP again", GET, "Connection: upgrade", "Upgrade: HTTP/2.0"],
    ["a WebSocket is not asked for by GET", "POST / HTTP/1.1", ...WEBSOCKET],
    ["the WebSocket version is missing", GET, ...without("Sec-WebSocket-Version")],
    [
      "the WebSocket version is not 13",
      GET,
      ...without("Sec-WebSocket-Version", "Sec-WebSocket-Version: 8"),
    ],
    ["the WebSocket version is repeated", GET, ...WEBSOCKET, "Sec-WebSocket-Version: 13"],
    ["the WebSocket key is missing", GET, ...without("Sec-WebSocket-Key")],
    [
      "the WebSocket key is too short",
      GET,
      ...without("Sec-WebSocket-Key", "Sec-WebSocket-Key: AAAA"),
    ],
    [
      "the WebSocket key is not base64",
      GET,
      ...without("Sec-WebSocket-Key", `Sec-WebSocket-Key: ${KEY.replace("d", "!")}`),
    ],
    ["the WebSocket key is repeated", GET, ...WEBSOCKET, `Sec-WebSocket-Key: ${KEY}`],
  ])("is an ordinary request when %s", (_, line, ...fields) => {
    expect(upgradeOf(line, ...fields)).toBeUndefined();
  });
});

describe("websocket accept", () => {
  const block = (...fields: string[]): HeaderBlock => {
    const parsed = parseLines(bytes(fields.map((field) => `${field}\r\n`).join("")), {
      bytes: 1000,
      fields: 10,
    });
    if (typeof parsed === "string") throw new Error(parsed);
    return parsed;
  };
  const ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

  test("is the one of RFC 6455 §1.3", () => {
    expect(websocketAccept(KEY)).toBe(ACCEPT);
  });

  test("must be there once and right (S-50)", () => {
    expect(acceptsWebSocket(block(`sec-websocket-accept:  ${ACCEPT} `), KEY)).toBe(true);
    expect(acceptsWebSocket(block(), KEY)).toBe(false);
    expect(acceptsWebSocket(block(`Sec-WebSocket-Accept: ${ACCEPT.toLowerCase()}`), KEY)).toBe(
      false,
    );
    expect(
      acceptsWebSocket(
        block(`Sec-WebSocket-Accept: ${ACCEPT}`, `Sec-WebSocket-Accept: ${ACCEPT}`),
        KEY,
      ),
    ).toBe(false);
    expect(acceptsWebSocket(block(`Sec-WebSocket-Accept: ${ACCEPT}`), `${KEY} `)).toBe(false);
  });
});
