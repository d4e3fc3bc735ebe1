// This file is the name that ENROLL wishes for. PROTOCOL §3.1.
import { NAME_BYTES } from "../session/index.ts";

/** A wished name as ENROLL can carry it: at most 64 bytes of UTF-8, no character split. */
export function fitName(label: string): string {
  let name = "";
  for (const character of label) {
    if (Buffer.byteLength(name + character) > NAME_BYTES) break;
    name += character;
  }
  return name;
}
