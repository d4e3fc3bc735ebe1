// A length and a disguised coding in one request, in thousands of disguises: refused, or forwarded as one request that nobody can cut in two. S-01.
import { describe, expect, test } from "bun:test";
import { JUDGES } from "../http1/judges/judge.ts";
import { bytes, faultOf } from "../http1/support.ts";
import { type Forwarded, forwardAll, judged } from "./forwarding.ts";

/** Lines that somebody in a chain may take for `Transfer-Encoding: chunked`, as tools for smuggling have them. */
const FIXED = [
  "Transfer-Encoding: chunked",
  " Transfer-Encoding: chunked",
  "Transfer-Encoding:\tchunked",
  "Transfer-Encoding\t:\tchunked",
  "Transfer Encoding: chunked",
  "Transfer_Encoding: chunked",
  "Transfer.Encoding: chunked",
  "TransferEncoding: chunked",
  "Transfer Encoding:chunked",
  "Transfer-Encoding : chunked",
  "Transfer-Encoding:  chunked",
  "Transfer-Encoding: chunked, cow",
  "Transfer-Encoding: cow, chunked",
  "Transfer-Encoding: chunked, chunked",
  "Transfer-Encoding: identity, chunked",
  "Transfer-Encoding: chunked;q=1",
  "Content-Encoding: chunked",
  "Transfer-Encoding:\n chunked",
  "Transfer-Encoding:\r\n chunked",
  "Transfer-Encoding\r\n: chunked",
  'Transfer-Encoding: "chunked"',
  "Transfer-Encoding: 'chunked'",
  "Transfer-Encoding: chunk",
  "TrAnSFer-EnCODinG: cHuNkeD",
  "TRANSFER-ENCODING: CHUNKED",
  "Transfer-Encoding: chunked\r",
  "Transfer-Encoding: chunked\t",
  "Transfer-Encoding: cow\r\nTransfer-Encoding: chunked",
  "Transfer-Encoding: chunked\r\nTransfer-Encoding: cow",
  "Transfer-Encoding: chunked\r\nTransfer-encoding: chunked",
  "Transfer\r-Encoding: chunked",
  "Transfer-Encoding: cow chunked bar",
  "Transfer-Encoding: ch\x96nked",
  "Transf\x82r-Encoding: chunked",
  "X: X\rTransfer-Encoding: chunked",
  "X: X\nTransfer-Encoding: chunked",
  "Foo: bar\r\n\rTransfer-Encoding: chunked",
  "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked",
  "Transfer-Encoding: chunked\r\nConnection: Transfer-Encoding",
  "Trailer: Transfer-Encoding",
  "TE: chunked",
];

/** The same with each byte somewhere in the line. */
const SWEPT: readonly ((byte: string) => string)[] = [
  (byte) => `Transfer-Encoding:${byte}chunked`,
  (byte) => `Transfer-Encoding${byte}: chunked`,
  (byte) => `${byte}Transfer-Encoding: chunked`,
  (byte) => `Transfer-Encoding: chunked${byte}`,
  (byte) => `Transfer${byte}Encoding: chunked`,
  (byte) => `X: X${byte}Transfer-Encoding: chunked`,
  (byte) => `Transfer-Encoding: chunked${byte}X: X`,
  (byte) => `X: X\r${byte}Transfer-Encoding: chunked`,
  (byte) => `X: X${byte}\nTransfer-Encoding: chunked`,
  (byte) => `Transfer-Encoding: chunked\r${byte}X: X`,
  (byte) => `Transfer-Encoding: chunked${byte}\nX: X`,
];

const GADGETS = [
  ...FIXED,
  ...SWEPT.flatMap((sweep) =>
    Array.from({ length: 256 }, (_, byte) => sweep(String.fromCharCode(byte))),
  ),
];

/** For one reader the body ends here, for the other a second request follows. */
const BODY = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: app.example.com\r\n\r\n";

/** The gadget before and behind the length. */
function messages(gadget: string): string[] {
  const start = "POST /outer HTTP/1.1\r\nHost: app.example.com\r\n";
  const length = `Content-Length: ${BODY.length}\r\n`;
  return [`${start}${gadget}\r\n${length}\r\n${BODY}`, `${start}${length}${gadget}\r\n\r\n${BODY}`];
}

const all = GADGETS.flatMap(messages);

describe("smuggling", () => {
  const forwarded: Forwarded[] = [];
  const faults = new Map<string, number>();
  for (const message of all) {
    const fault = faultOf(message);
    if (fault !== undefined) faults.set(fault, (faults.get(fault) ?? 0) + 1);
    else forwarded.push(...forwardAll(bytes(message)));
  }

  test("is refused for the reason it has, most of it", () => {
    expect(all.length).toBeGreaterThan(5_000);
    expect(faults.get("FRAMING_CONFLICT")).toBeGreaterThan(10);
    expect(faults.get("FRAMING_ALIAS")).toBeGreaterThan(10);
    const refused = [...faults.values()].reduce((sum, count) => sum + count);
    expect(refused).toBeGreaterThan(all.length * 0.8);
  });

  test("that is not refused is one request, of the length it said, without the disguise", () => {
    expect(forwarded.length).toBeGreaterThan(100);
    for (const { target, body, bytes: written } of forwarded) {
      expect([target, body]).toEqual(["/outer", BODY]);
      const head = Buffer.from(written).toString("latin1").split("\r\n\r\n")[0] ?? "";
      // The words may stand in a value; a line of that name does not.
      expect(head).not.toMatch(/^[^a-z0-9:]*transfer[^a-z0-9:]*encoding[^a-z0-9:]*:/im);
      expect(head.match(/^content-length: /gim)).toHaveLength(1);
    }
  });

  for (const judge of JUDGES) {
    test.skipIf(!judge.isThere)(`is for ${judge.name} one request each (S-01, S-05)`, async () => {
      const { seen, known } = await judged(judge, forwarded);
      expect(known).toHaveLength(forwarded.length);
      expect(seen).toEqual([...known]);
    });
  }
});
