// This file is the table of every row of a foreign corpus that tunl judges otherwise than the corpus does, and why.
import type { FaultCode } from "../../src/http1/index.ts";

/**
 * `closed`: a whole message says that its connection ends, and nothing behind it is read. `truncated`: the input ends
 * inside a message that is legal so far. `otherwise`: read, but as something else. `BAD_HOST`: the head is legal and its
 * Host is no name that can be routed.
 */
export type Verdict = FaultCode | "read" | "closed" | "truncated" | "otherwise" | "BAD_HOST";

export interface Deviation {
  readonly corpus: "llhttp" | "llhttp-url" | "guardian";
  /** What the corpus says. */
  readonly theirs: "read" | "refused";
  readonly ours: Verdict;
  readonly reason: string;
  /** Ids of the corpus; "without fragment" is the same row once more, so that `#` hides nothing behind it. */
  readonly rows: readonly string[];
}

/** Switches of llhttp that make it lenient: tunl has none, and refuses what they let in. */
const LENIENT: readonly Deviation[] = [
  {
    corpus: "llhttp",
    theirs: "read",
    ours: "OBS_FOLD",
    reason: "lenient headers: S-02 knows no folded lines",
    rows: [
      "request/connection.md:481",
      "request/connection.md:576",
      "request/invalid.md:686",
      "request/sample.md:333",
      "request/sample.md:571",
      "response/transfer-encoding.md:389",
    ],
  },
  {
    corpus: "llhttp",
    theirs: "refused",
    ours: "OBS_FOLD",
    reason:
      "lenient headers: refused there for the coding the folded line makes, here for the fold (S-02)",
    rows: ["request/transfer-encoding.md:942"],
  },
  {
    corpus: "llhttp",
    theirs: "read",
    ours: "BLANK_BEFORE_COLON",
    reason: "lenient headers: S-02 wants the colon right behind the name",
    rows: ["request/connection.md:637", "request/content-length.md:189"],
  },
  {
    corpus: "llhttp",
    theirs: "read",
    ours: "BAD_VALUE",
    reason: "lenient headers, relaxed values: S-02 allows no control byte",
    rows: [
      "request/lenient-headers.md:6",
      "request/lenient-headers.md:34",
      "request/lenient-header-value-relaxed.md:8",
    ],
  },
  {
    corpus: "llhttp",
    theirs: "read",
    ours: "BARE_CARRIAGE_RETURN",
    reason: "LF is optional behind CR: S-03 wants both",
    rows: [
      "request/content-length.md:519",
      "request/lenient-headers.md:109",
      "request/sample.md:454",
      "request/transfer-encoding.md:1025",
      "response/invalid.md:151",
    ],
  },
  {
    corpus: "llhttp",
    theirs: "refused",
    ours: "BARE_CARRIAGE_RETURN",
    reason:
      "LF is optional behind CR: refused there for what follows a close, here for the line end (S-03)",
    rows: ["request/invalid.md:181"],
  },
  {
    corpus: "llhttp",
    theirs: "read",
    ours: "BARE_LINE_FEED",
    reason: "CR is optional before LF, all switches: S-03 wants both",
    rows: [
      "request/invalid.md:568",
      "response/invalid.md:304",
      "response/invalid.md:348",
      "response/sample.md:351",
    ],
  },
  {
    corpus: "llhttp",
    theirs: "read",
    ours: "VERSION_REFUSED",
    reason: "lenient version: 1.0 and 1.1 are the versions there are (S-02)",
    rows: ["request/lenient-version.md:4", "response/lenient-version.md:4"],
  },
  {
    corpus: "llhttp",
    theirs: "read",
    ours: "FRAMING_CONFLICT",
    reason: "chunked with a length: never (S-01)",
    rows: ["request/content-length.md:229", "request/transfer-encoding.md:530 without fragment"],
  },
  {
    corpus: "llhttp",
    theirs: "read",
    ours: "BAD_CODING",
    reason: "lenient codings: exactly chunked (S-01)",
    rows: [
      "request/transfer-encoding.md:680 without fragment",
      "request/transfer-encoding.md:713 without fragment",
    ],
  },
  {
    corpus: "llhttp",
    theirs: "read",
    ours: "BAD_CHUNK_END",
    reason: "CRLF is optional behind chunk data: S-04 wants it",
    rows: ["request/transfer-encoding.md:1140"],
  },
  {
    corpus: "llhttp",
    theirs: "read",
    ours: "BAD_CHUNK_SIZE",
    reason: "blanks behind a chunk size: S-04 knows none",
    rows: ["request/transfer-encoding.md:1215"],
  },
  {
    corpus: "llhttp",
    theirs: "read",
    ours: "closed",
    reason: "data behind a close: the connection ends there and reads no more (RFC 9112 §9.6)",
    rows: ["request/connection.md:107", "request/connection.md:392", "response/connection.md:191"],
  },
];

const LLHTTP: readonly Deviation[] = [
  {
    corpus: "llhttp",
    theirs: "refused",
    ours: "closed",
    reason:
      "data behind a close is an error there; here the connection ends and it is never read (RFC 9112 §9.6)",
    rows: [
      "request/connection.md:81",
      "request/connection.md:292",
      "request/connection.md:342",
      "response/connection.md:164",
      "response/connection.md:225",
    ],
  },
  {
    corpus: "llhttp",
    theirs: "refused",
    ours: "read",
    reason: "llhttp has a list of methods; here any token is one (S-06)",
    rows: ["request/invalid.md:66", "request/invalid.md:356"],
  },
  {
    corpus: "llhttp",
    theirs: "read",
    ours: "METHOD_REFUSED",
    reason: "CONNECT is not served (S-06)",
    rows: [
      "request/method.md:27",
      "request/method.md:62",
      "request/method.md:96",
      "request/uri.md:188",
    ],
  },
  {
    corpus: "llhttp",
    theirs: "read",
    ours: "BAD_METHOD",
    reason: "one empty line may precede a request, here are two (RFC 9112 §2.2)",
    rows: ["request/connection.md:156"],
  },
  {
    corpus: "llhttp",
    theirs: "read",
    ours: "BAD_TARGET",
    reason: "* is for OPTIONS alone (RFC 9112 §3.2.4)",
    rows: ["request/method.md:135", "request/method.md:458"],
  },
  {
    corpus: "llhttp",
    theirs: "read",
    ours: "BAD_TARGET",
    reason:
      "no WebSocket handshake by S-50, or an upgrade to HTTP: what follows is the next request, and is none",
    rows: ["request/connection.md:542", "request/connection.md:753", "request/connection.md:812"],
  },
  {
    corpus: "llhttp",
    theirs: "read",
    ours: "BAD_TARGET",
    reason: "# in a target (S-36)",
    rows: [
      "request/transfer-encoding.md:530",
      "request/transfer-encoding.md:680",
      "request/transfer-encoding.md:713",
      "request/transfer-encoding.md:751",
      "request/transfer-encoding.md:793",
      "request/uri.md:165",
    ],
  },
  {
    corpus: "llhttp",
    theirs: "refused",
    ours: "BAD_TARGET",
    reason: "# in a target (S-36) is found before the framing fault that the row is about",
    rows: [
      "request/transfer-encoding.md:495",
      "request/transfer-encoding.md:613",
      "request/transfer-encoding.md:644",
      "request/transfer-encoding.md:840",
    ],
  },
  {
    corpus: "llhttp",
    theirs: "read",
    ours: "BAD_VERSION",
    reason: "RTSP, ICE and HTTP/0.9 are not spoken (S-02)",
    rows: [
      "request/method.md:372",
      "request/method.md:400",
      "request/method.md:430",
      "request/sample.md:314",
      "response/sample.md:40",
      "response/sample.md:60",
    ],
  },
  {
    corpus: "llhttp",
    theirs: "read",
    ours: "VERSION_REFUSED",
    reason: "HTTP/0.9 has no responses with a head (S-02)",
    rows: ["response/sample.md:645"],
  },
  {
    corpus: "llhttp",
    theirs: "read",
    ours: "BAD_VERSION",
    reason:
      "a line end before a response, or behind the one before, is a byte that answers nothing (S-08)",
    rows: [
      "response/connection.md:492",
      "response/connection.md:586",
      "response/pipelining.md:4",
      "response/sample.md:695",
    ],
  },
  {
    corpus: "llhttp",
    theirs: "read",
    ours: "WRONG_UPGRADE",
    reason: "a 101 to h2c that nobody asked for (S-18, S-50)",
    rows: ["response/connection.md:293", "response/connection.md:331"],
  },
  {
    corpus: "llhttp",
    theirs: "read",
    ours: "BAD_CODING",
    reason: "a coding besides chunked, or a second line of it (S-01)",
    rows: [
      "request/transfer-encoding.md:751 without fragment",
      "request/transfer-encoding.md:793 without fragment",
      "response/transfer-encoding.md:43",
      "response/transfer-encoding.md:74",
      "response/transfer-encoding.md:110",
    ],
  },
  {
    corpus: "llhttp",
    theirs: "read",
    ours: "BAD_TRAILER",
    reason: "Content-Type is no trailer (S-04, RFC 9110 §6.5.1)",
    rows: ["request/transfer-encoding.md:186"],
  },
  {
    corpus: "llhttp",
    theirs: "read",
    ours: "truncated",
    reason:
      "the row tells that parser not to expect a body; tunl waits for the 123 bytes announced",
    rows: ["request/content-length.md:444", "response/content-length.md:123"],
  },
];

const TARGETS: readonly Deviation[] = [
  {
    corpus: "llhttp-url",
    theirs: "read",
    ours: "BAD_TARGET",
    reason: "# in a target (S-36)",
    rows: ["url.md:3", "url.md:17", "url.md:127", "url.md:138", "url.md:153", "url.md:167"],
  },
  {
    corpus: "llhttp-url",
    theirs: "read",
    ours: "BAD_TARGET",
    reason: "% without two hex digits in front of the query (S-36)",
    rows: ["url.md:229"],
  },
  {
    corpus: "llhttp-url",
    theirs: "read",
    ours: "BAD_HOST",
    reason: "an IP literal is no host (S-20)",
    rows: ["url.md:65", "url.md:77", "url.md:89", "url.md:217"],
  },
  {
    corpus: "llhttp-url",
    theirs: "read",
    ours: "BAD_HOST",
    reason: "user and password are no part of a host (S-20)",
    rows: ["url.md:167 without fragment", "url.md:193", "url.md:205"],
  },
];

const GUARDIAN: readonly Deviation[] = [
  {
    corpus: "guardian",
    theirs: "refused",
    ours: "read",
    reason: "a body on GET or HEAD is read and forwarded with framing of our own (S-06)",
    rows: [
      "ambiguous.yaml#13",
      "ambiguous.yaml#14",
      "ambiguous.yaml#15",
      "ambiguous.yaml#16",
      "real-life-test-cases.yaml#1",
      "real-life-test-cases.yaml#2",
    ],
  },
  {
    corpus: "guardian",
    theirs: "read",
    ours: "BAD_CODING",
    reason: "more than exactly chunked: another coding, a parameter, a list (S-01)",
    rows: [
      "more-compliant-tests.yaml#6",
      "more-compliant-tests.yaml#8",
      "more-compliant-tests.yaml#9",
      "more-compliant-tests.yaml#10",
      "rfc-compliant.yaml#9",
      "rfc-compliant.yaml#10",
      "rfc-compliant.yaml#11",
    ],
  },
  {
    corpus: "guardian",
    theirs: "read",
    ours: "BAD_TARGET",
    reason: "#, bytes above 0x7F, an empty target (S-36)",
    rows: ["rfc-compliant.yaml#12", "rfc-compliant.yaml#13", "rfc-compliant.yaml#14"],
  },
  {
    corpus: "guardian",
    theirs: "read",
    ours: "BLANK_BEFORE_COLON",
    reason: "acceptable there; S-02 wants the colon right behind the name",
    rows: ["acceptable.yaml#1", "acceptable.yaml#2", "acceptable.yaml#4"],
  },
  {
    corpus: "guardian",
    theirs: "read",
    ours: "BAD_NAME",
    reason: "acceptable there; S-02 allows no control byte in a name",
    rows: ["acceptable.yaml#3", "bad-header-characters.yaml#12", "bad-header-characters.yaml#13"],
  },
  {
    corpus: "guardian",
    theirs: "read",
    ours: "BAD_VALUE",
    reason: "acceptable there; S-02 allows no control byte in a value",
    rows: ["bad-header-characters.yaml#14", "bad-header-characters.yaml#15"],
  },
  {
    corpus: "guardian",
    theirs: "read",
    ours: "VERSION_REFUSED",
    reason: "acceptable there; 1.0 and 1.1 are the versions there are (S-02)",
    rows: ["acceptable.yaml#7", "acceptable.yaml#9"],
  },
  {
    corpus: "guardian",
    theirs: "read",
    ours: "BAD_VERSION",
    reason: "acceptable there; no version, or a blank where none belongs (S-02)",
    rows: ["acceptable.yaml#8", "uri-specific-test-cases.yaml#2", "uri-specific-test-cases.yaml#4"],
  },
];

export const DEVIATIONS: readonly Deviation[] = [...LENIENT, ...LLHTTP, ...TARGETS, ...GUARDIAN];
