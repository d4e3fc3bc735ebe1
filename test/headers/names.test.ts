import { describe, expect, test } from "bun:test";
import {
  END_TO_END,
  FRAMING,
  HOP_BY_HOP,
  looksLikeFraming,
  lookUpName,
  nameClass,
  nameId,
  nameKey,
  NOT_A_TRAILER,
  RESERVED_NAMES,
  ReservedNames,
  TAKEN,
} from "../../src/headers/index.ts";

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"));
const idOf = (name: string): number =>
  lookUpName(bytes(name), 0, name.length, nameKey(bytes(name), 0, name.length));
const classOf = (name: string): number => nameClass(idOf(name));
const isReserved = (name: string, names = RESERVED_NAMES): boolean =>
  names.has(bytes(name), 0, name.length);

describe("known names", () => {
  test("are found in any case, and nothing else is", () => {
    expect(idOf("hOST")).toBe(nameId("host"));
    expect(idOf("Content-LENGTH")).toBe(nameId("content-length"));
    for (const name of ["h", "hos", "hoxt", "hosts", "content_length", "x", "connectiox"])
      expect(idOf(name)).toBe(0);
    expect(classOf("x-unknown")).toBe(0);
  });

  test.each([
    "Connection",
    "Keep-Alive",
    "Proxy-Connection",
    "Proxy-Authorization",
    "Proxy-Authenticate",
    "TE",
    "Transfer-Encoding",
    "Upgrade",
    "HTTP2-Settings",
  ])("%s is hop-by-hop and no trailer", (name) => {
    expect(classOf(name) & HOP_BY_HOP).not.toBe(0);
    expect(classOf(name) & NOT_A_TRAILER).not.toBe(0);
  });

  test("Trailer stays", () => {
    expect(classOf("Trailer") & (HOP_BY_HOP | TAKEN)).toBe(0);
  });

  test("framing fields and what step 1 takes out are known", () => {
    for (const name of ["Host", "Content-Length", "Transfer-Encoding", "Expect"])
      expect(classOf(name) & TAKEN).not.toBe(0);
    for (const name of ["Content-Length", "Transfer-Encoding"])
      expect(classOf(name) & FRAMING).not.toBe(0);
    for (const name of ["Host", "Cookie", "Authorization", "Date", "CDN-Loop", "Via"]) {
      expect(classOf(name) & END_TO_END).not.toBe(0);
    }
  });
});

describe("look-alikes", () => {
  test.each([
    "Content-Length",
    "content_length",
    "ContentLength",
    "C-o-n-t-e-n-t-Length",
    "_Transfer.Encoding_",
    "TRANSFER~~ENCODING",
  ])("%s can be mistaken for framing", (name) => {
    expect(looksLikeFraming(bytes(name), 0, name.length)).toBe(true);
  });
  test.each(["Content-Lengt", "Content-Length2", "XContent-Length", "Transfer", "--------------"])(
    "%s cannot",
    (name) => {
      expect(looksLikeFraming(bytes(name), 0, name.length)).toBe(false);
    },
  );
});

describe("reserved names", () => {
  const NAMES = [
    "forwarded",
    "x-forwarded",
    "x-forwarded-for",
    "x-forwarded-anything",
    "x-real-ip",
    "x-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "cf-ipcountry",
    "x-original-url",
    "x-rewrite-url",
    "x-envoy-internal",
    "proxy",
    "x-tunl-user",
    "tunl-client-id",
  ];

  test.each(NAMES)("%s is reserved with every separator and in every case (S-30)", (name) => {
    const separators = [..."!#$%&'*+-.^_`|~"];
    let tried = 0;
    for (const separator of separators) {
      const spelled = name.replaceAll("-", separator);
      expect(isReserved(spelled)).toBe(true);
      expect(isReserved(spelled.toUpperCase())).toBe(true);
      tried++;
    }
    expect(tried).toBe(15);
  });

  test.each([
    "x-forwarde",
    "x-forwardedfor",
    "forwarded-for",
    "real-ip",
    "x-realip",
    "proxy-status",
    "tunl",
    "x-tunl",
    "x-originals",
    "accept",
  ])("%s is not", (name) => {
    expect(isReserved(name)).toBe(false);
  });

  test("take configured identity headers, folded alike", () => {
    const names = new ReservedNames(["X-Auth_User"]);
    expect(isReserved("x-auth.user", names)).toBe(true);
    expect(isReserved("X-Real-IP", names)).toBe(true);
    expect(isReserved("x-auth-users", names)).toBe(false);
    expect(isReserved("x-auth-user")).toBe(false);
  });
});
