import { spawn } from "node:child_process";
import { beforeAll, describe, expect, test } from "bun:test";
import {
  ALERT,
  type ClientHelloReading,
  MAX_HELLO_BYTES,
  MAX_HELLO_RECORDS,
  readClientHello,
} from "../../../src/edge/listen/client-hello.ts";
import {
  alpn,
  ascii,
  captureFirstRecord,
  captureHello,
  extension,
  hello,
  helloMessage,
  randomFrom,
  records,
  serverName,
  testSeed,
  uint16,
  vector16,
  vector8,
} from "./hello-bytes.ts";

const hasOpenssl = Bun.which("openssl") !== null;
if (!hasOpenssl) console.warn("skip: openssl is absent, its ClientHello is not read");

describe("client hello", () => {
  let modern: Buffer;

  beforeAll(async () => {
    modern = await captureHello({
      servername: "App.Example.com",
      ALPNProtocols: ["h2", "http/1.1"],
    });
  });

  test("reads name, protocols and versions of a node:tls client", () => {
    expect(readClientHello(modern)).toEqual({
      kind: "hello",
      hello: {
        serverName: "app.example.com",
        alpn: ["h2", "http/1.1"],
        versions: expect.arrayContaining([0x0304, 0x0303]),
      },
    });
  });

  test("reads a client without name and protocols, limited to TLS 1.2", async () => {
    const reading = readClientHello(await captureHello({ maxVersion: "TLSv1.2" }));
    expect(reading).toEqual({
      kind: "hello",
      hello: { serverName: undefined, alpn: [], versions: [0x0303] },
    });
  });

  test.skipIf(!hasOpenssl)("reads the hello of openssl s_client", async () => {
    const bytes = await captureFirstRecord((port) => {
      const child = spawn(
        "openssl",
        [
          "s_client",
          "-connect",
          `127.0.0.1:${port}`,
          "-servername",
          "app.example.com.",
          "-alpn",
          "tunl/1",
        ],
        { stdio: "ignore" },
      );
      return () => child.kill();
    });
    expect(readClientHello(bytes)).toEqual({
      kind: "hello",
      hello: {
        serverName: "app.example.com",
        alpn: ["tunl/1"],
        versions: expect.arrayContaining([0x0304]),
      },
    });
  });

  test("asks for more on every strict prefix, for no more than there is", () => {
    let prefixes = 0;
    for (let length = 0; length < modern.length; length++) {
      const reading = readClientHello(modern.subarray(0, length));
      if (reading.kind !== "needBytes") throw new Error(`${reading.kind} after ${length} bytes`);
      expect(reading.total).toBeGreaterThan(length);
      expect(reading.total).toBeLessThanOrEqual(modern.length);
      prefixes += 1;
    }
    expect(prefixes).toBe(modern.length);
  });

  test("reads the same hello out of records of any size that fits 16 records", () => {
    const message = [...modern.subarray(5)];
    const expected = readClientHello(modern);
    let splits = 0;
    for (
      let size = Math.ceil(message.length / MAX_HELLO_RECORDS);
      size <= message.length;
      size += 7
    ) {
      expect(readClientHello(records(message, size))).toEqual(expected);
      splits += 1;
    }
    expect(splits).toBeGreaterThan(100);
  });

  test("reads a message header that its records cut", () => {
    const message = helloMessage();
    for (const cut of [1, 2, 3]) {
      const bytes = Buffer.concat([records(message.slice(0, cut)), records(message.slice(cut))]);
      expect(readClientHello(bytes)).toEqual(readClientHello(records(message)));
    }
    expect(readClientHello(records(message)).kind).toBe("hello");
  });

  test("leaves what follows the hello's last record alone", () => {
    const bytes = Buffer.concat([modern, Buffer.from([20, 3, 3, 0, 1, 1, 23, 9, 9])]);
    expect(readClientHello(bytes)).toEqual(readClientHello(modern));
  });

  test("takes the legacy version for the only one without supported_versions", () => {
    expect(readClientHello(hello({ version: 0x0302, extensions: undefined }))).toEqual({
      kind: "hello",
      hello: { serverName: undefined, alpn: [], versions: [0x0302] },
    });
  });

  test("reads a hello of exactly 16 KiB", () => {
    const bytes = paddedTo(MAX_HELLO_BYTES);
    expect(bytes.length).toBe(MAX_HELLO_BYTES);
    expect(readClientHello(bytes)).toMatchObject({
      kind: "hello",
      hello: { serverName: "app.example.com" },
    });
  });

  const small = helloMessage();
  const refusals: readonly (readonly [string, number, Uint8Array])[] = [
    ["another record type", ALERT.decodeError, Buffer.from([23, 3, 1])],
    ["plain HTTP", ALERT.decodeError, Buffer.from("GET / HTTP/1.1\r\n")],
    ["an SSL 2 hello", ALERT.decodeError, Buffer.from([0x80, 0x2e, 1, 3, 1])],
    ["another major version", ALERT.decodeError, Buffer.from([22, 2, 0])],
    ["an empty record", ALERT.unexpectedMessage, Buffer.from([22, 3, 1, 0, 0])],
    [
      "an empty record between two",
      ALERT.unexpectedMessage,
      Buffer.concat([
        records(small.slice(0, 20)),
        Buffer.from([22, 3, 1, 0, 0]),
        records(small.slice(20)),
      ]),
    ],
    [
      "another record type inside the hello",
      ALERT.unexpectedMessage,
      Buffer.concat([records(small.slice(0, 20)), Buffer.from([21, 3, 1, 0, 2, 1, 0])]),
    ],
    ["a record above 2^14 bytes", ALERT.recordOverflow, Buffer.from([22, 3, 1, 0x40, 0x01])],
    ["another handshake message", ALERT.unexpectedMessage, hello({ type: 2 })],
    [
      "a hello above 16 KiB, from its length alone",
      ALERT.illegalParameter,
      Buffer.from([22, 3, 1, 0x20, 0, 1, 0, 0x40, 0]),
    ],
    ["a hello of 16 KiB and one byte", ALERT.illegalParameter, paddedTo(MAX_HELLO_BYTES + 1)],
    ["17 records", ALERT.illegalParameter, records(small, Math.floor(small.length / 16.5))],
    ["bytes behind the hello in its record", ALERT.unexpectedMessage, records([...small, 0])],
    ["a session id above 32 bytes", ALERT.decodeError, hello({ sessionId: new Array(33).fill(0) })],
    ["no cipher suite", ALERT.decodeError, hello({ suites: [] })],
    ["half a cipher suite", ALERT.decodeError, hello({ suites: [0x13, 1, 0x13] })],
    ["no compression method", ALERT.decodeError, hello({ compression: [] })],
    ["bytes behind the extensions", ALERT.decodeError, hello({ trailer: [0] })],
    [
      "an extension that runs past the end",
      ALERT.decodeError,
      hello({ extensions: [0, 0, 0, 9, 0] }),
    ],
    ["half an extension header", ALERT.decodeError, hello({ extensions: [0, 0, 0] })],
    [
      "a repeated extension",
      ALERT.illegalParameter,
      hello({ extensions: [...alpn("h2"), ...alpn("h2")] }),
    ],
    [
      "a repeated extension it does not know",
      ALERT.illegalParameter,
      hello({
        extensions: [...extension(0x5a5a, []), ...extension(0x5a5a, [])],
      }),
    ],
    ["an empty server_name", ALERT.decodeError, hello({ extensions: extension(0, []) })],
    ["an empty name list", ALERT.decodeError, hello({ extensions: extension(0, vector16([])) })],
    [
      "two names",
      ALERT.illegalParameter,
      hello({
        extensions: extension(
          0,
          vector16([0, ...vector16(ascii("a.example")), 0, ...vector16(ascii("b.example"))]),
        ),
      }),
    ],
    [
      "a name of another type",
      ALERT.illegalParameter,
      hello({
        extensions: extension(0, vector16([1, ...vector16(ascii("a.example"))])),
      }),
    ],
    [
      "bytes behind the name list",
      ALERT.decodeError,
      hello({
        extensions: extension(0, [...vector16([0, ...vector16(ascii("a.example"))]), 0]),
      }),
    ],
    ["an empty name", ALERT.unrecognizedName, hello({ extensions: serverName("") })],
    ["an IPv4 literal", ALERT.unrecognizedName, hello({ extensions: serverName("192.0.2.1") })],
    ["an IPv6 literal", ALERT.unrecognizedName, hello({ extensions: serverName("2001:db8::1") })],
    ["an underscore", ALERT.unrecognizedName, hello({ extensions: serverName("a_b.example") })],
    [
      "a NUL in the name",
      ALERT.unrecognizedName,
      hello({ extensions: serverName("app.example.com\0.evil") }),
    ],
    [
      "a name outside ASCII",
      ALERT.unrecognizedName,
      hello({ extensions: serverName("b\u00fccher.example") }),
    ],
    [
      "two trailing dots",
      ALERT.unrecognizedName,
      hello({ extensions: serverName("app.example..") }),
    ],
    [
      "a name of 254 bytes",
      ALERT.unrecognizedName,
      hello({ extensions: serverName(`${"a".repeat(62)}.`.repeat(4) + "bb") }),
    ],
    [
      "an empty protocol list",
      ALERT.decodeError,
      hello({ extensions: extension(16, vector16([])) }),
    ],
    ["an empty protocol name", ALERT.decodeError, hello({ extensions: alpn("") })],
    [
      "a protocol list shorter than its extension",
      ALERT.decodeError,
      hello({
        extensions: extension(16, [...vector16(vector8(ascii("h2"))), 0]),
      }),
    ],
    ["an empty version list", ALERT.decodeError, hello({ extensions: extension(43, vector8([])) })],
    ["half a version", ALERT.decodeError, hello({ extensions: extension(43, vector8([3, 4, 3])) })],
    [
      "bytes behind the version list",
      ALERT.decodeError,
      hello({
        extensions: extension(43, [...vector8(uint16(0x0304)), 0]),
      }),
    ],
  ];

  test.each(refusals)("refuses %s with alert %d", (_name, alert, bytes) => {
    expect(readClientHello(bytes)).toMatchObject({ kind: "refused", alert });
  });

  test("decides the same for any split of mutated hellos, and never throws", () => {
    const seed = testSeed();
    console.log(`client hello mutations: TUNL_SEED=${seed}`);
    const random = randomFrom(seed);
    const originals = [
      modern,
      hello(),
      records(helloMessage(), 9),
      hello({ extensions: alpn("tunl/1") }),
    ];
    const seen = { hello: 0, refused: 0, needBytes: 0 };
    for (let round = 0; round < 20_000; round++) {
      const bytes = mutate(originals[random(originals.length)] as Buffer, random);
      const whole = readClientHello(bytes);
      seen[whole.kind] += 1;
      const prefix = readClientHello(bytes.subarray(0, random(bytes.length + 1)));
      if (prefix.kind !== "needBytes") expect<ClientHelloReading>(prefix).toEqual(whole);
      else expect(prefix.total).toBeLessThanOrEqual(MAX_HELLO_BYTES + 5);
    }
    expect(Math.min(seen.hello, seen.refused, seen.needBytes)).toBeGreaterThan(500);
  });
});

/** A valid hello of exactly `total` bytes in one record, by a padding extension (RFC 7685). */
function paddedTo(total: number): Buffer {
  const bare = hello({ extensions: [...serverName("app.example.com"), ...extension(21, [])] });
  const padding = new Array<number>(total - bare.length).fill(0);
  return hello({ extensions: [...serverName("app.example.com"), ...extension(21, padding)] });
}

function mutate(original: Buffer, random: (below: number) => number): Buffer {
  const bytes = [...original];
  for (let change = random(4); change >= 0; change--) {
    // Two of three changes hit the first 200 bytes, where the structure is.
    const at = random(random(3) === 0 ? bytes.length : Math.min(200, bytes.length));
    switch (random(5)) {
      case 0:
        bytes[at] = random(256);
        break;
      case 1:
        bytes[at] = (bytes[at] as number) ^ (1 << random(8));
        break;
      case 2:
        bytes.splice(at, 1);
        break;
      case 3:
        bytes.splice(at, 0, random(256));
        break;
      default:
        if (random(4) === 0) bytes.splice(bytes.length - random(Math.min(40, bytes.length)));
        break;
    }
    if (bytes.length === 0) break;
  }
  return Buffer.from(bytes);
}
