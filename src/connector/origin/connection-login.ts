// This file is logins of a connection instead of a request: what they look like in either direction (http.md §11; S-09).
import { latin1 } from "../../bytes.ts";
import { equalsFolded, type HeaderBlock, nameId } from "../../headers/index.ts";

const WWW_AUTHENTICATE = nameId("www-authenticate");
const PROXY_AUTHENTICATE = nameId("proxy-authenticate");

/** Schemes that log a connection in instead of a request: whoever uses it next would be somebody else (S-09). */
const CONNECTION_SCHEME = /(?:^|[\s,])(?:ntlm|negotiate)(?:$|[\s,])/i;

/** True when the response belongs to a login of the connection itself; it is not used again. */
export function challengesConnection(fields: HeaderBlock): boolean {
  for (let index = 0; index < fields.count; index++) {
    const id = fields.nameId(index);
    if (id !== WWW_AUTHENTICATE && id !== PROXY_AUTHENTICATE) continue;
    if (CONNECTION_SCHEME.test(fields.text(index))) return true;
  }
  return false;
}

const AUTHORIZATION = "authorization";
const LOWER_A = 0x61;
const COLON = 0x3a;
const LF = 0x0a;

/** True when request lines carry such a login: the connection is its sender's afterwards, whatever the origin answers. */
export function authenticatesConnection(lines: Uint8Array): boolean {
  for (let start = 0; start < lines.length;) {
    const colon = start + AUTHORIZATION.length;
    // Two bytes tell almost every line apart; the rest is compared only then.
    if (((lines[start] as number) | 0x20) === LOWER_A && lines[colon] === COLON) {
      if (equalsFolded(lines, start, colon, AUTHORIZATION)) {
        const end = lines.indexOf(LF, colon);
        return CONNECTION_SCHEME.test(latin1(lines, colon + 1, end < 0 ? lines.length : end));
      }
    }
    const end = lines.indexOf(LF, start);
    if (end < 0) return false;
    start = end + 1;
  }
  return false;
}
