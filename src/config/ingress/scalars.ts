// This file is the readers of single values of `config.yml`: those of flags, and the few that only this file has. product.md §3.
import { parseIp } from "../../address/index.ts";
import { parseDuration } from "../units.ts";
import type { Option } from "../option.ts";
import type { PathBase, Reading } from "../values.ts";
import { canonicalHostOrIp, expectedForm, readValue, splitHostPort } from "../values.ts";
import { parseCidr } from "./cidr.ts";
import type { ValueShape } from "./shape.ts";

/** What the reading depends on beside the text. */
export interface ScalarBase extends PathBase {
  /** True: durations are whole seconds, as in cloudflared's JSON. */
  readonly isJson: boolean;
}

/** As YAML 1.1 has them, which is how cloudflared reads a word where a boolean is expected. */
const WORDS: Readonly<Record<string, boolean>> = {
  true: true,
  yes: true,
  on: true,
  y: true,
  false: false,
  no: false,
  off: false,
  n: false,
};
const SECOND = 1_000;

/** Reads the text of a scalar. */
export function readScalar(shape: ValueShape, text: string, base: ScalarBase): Reading {
  if (text === "" && shape.canBeEmpty === true) return { value: "" };
  switch (shape.kind) {
    case "boolean": {
      const word = text.toLowerCase();
      return Object.hasOwn(WORDS, word)
        ? { value: WORDS[word] as boolean }
        : { expected: "true or false" };
    }
    case "duration":
      return readDuration(shape, text, base);
    case "cidr":
      return readCidr(text);
    case "ip":
      return parseIp(text) === undefined ? { expected: "an IP address" } : { value: text };
    case "url":
      return /^(?:http|socks5):\/\/[^\s]+$/i.test(text)
        ? { value: text }
        : { expected: "a proxy such as http://proxy.example.com:3128 or socks5://localhost:1080" };
    case "tag":
      return readTag(text);
    case "address":
      return readAddress(shape, text);
    case "host-header":
      return /^(?:[a-z0-9_][a-z0-9_.-]{0,252}|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?$/i.test(text)
        ? { value: text }
        : { expected: "a host such as app.local or app.local:8080" };
    case "server-name": {
      const name = canonicalHostOrIp(text);
      return name === undefined
        ? { expected: "a hostname such as app.example.com, or an IP address" }
        : { value: name };
    }
    case "fingerprint":
      return /^[a-z2-7]{26}$/.test(text)
        ? { value: text }
        : { expected: "26 letters and digits, as tunl edge prints them" };
    default:
      return readValue(optionOf(shape), text, base);
  }
}

/** The form of a value in words, as it stands after "expected". */
export function scalarForm(shape: ValueShape): string {
  // No text is a value of these, and every reader names its form.
  const reading = readScalar({ ...shape, canBeEmpty: false }, "", {
    directory: "/",
    isJson: false,
  });
  return "expected" in reading ? reading.expected : "a text";
}

/** What `readValue` needs to know. */
function optionOf({ kind, canBeEmpty: _, is: __, ...bounds }: ValueShape): Option {
  return {
    ...bounds,
    kind: kind as Option["kind"],
    commands: [],
    about: "",
    phase: 1,
    isBuilt: true,
  };
}

function readDuration(shape: ValueShape, text: string, { isJson }: ScalarBase): Reading {
  if (isJson) {
    const isWhole = /^\d{1,9}$/.test(text);
    return isWhole ? { value: Number(text) * SECOND } : { expected: "whole seconds such as 30" };
  }
  if (shape.canBeOff === true && /^(?:off|no|false)$/.test(text)) return { value: "off" };
  // Go knows no days, and cloudflared reads a bare number as nanoseconds: one spelling for both programs.
  const ms = /d/.test(text) ? undefined : parseDuration(text);
  if (ms === undefined) {
    return {
      expected: `a duration with a unit such as 30s${shape.canBeOff === true ? " or off" : ""}`,
      ...(/^\d{1,9}$/.test(text) && { hint: `Write ${text}s` }),
    };
  }
  return readValue(optionOf(shape), text, { directory: "/" });
}

function readCidr(text: string): Reading {
  const cidr = parseCidr(text);
  if (cidr !== undefined) return { value: cidr.canonical };
  const bytes = parseIp(text);
  return {
    expected: "a CIDR such as 10.0.0.0/8 or fd00::/8",
    ...(bytes !== undefined && { hint: `Write ${text}/${bytes.length * 8}` }),
  };
}

/** As cloudflared has them; what stands behind the = becomes the value of a header. */
function readTag(text: string): Reading {
  return /^[a-zA-Z0-9!#$%&'*+\-.^_`|~]+=[!-~](?:[ -~]*[!-~])?$/.test(text)
    ? { value: text }
    : { expected: "KEY=VALUE, printable ASCII" };
}

function readAddress(shape: ValueShape, text: string): Reading {
  if (shape.canBeOff === true && /^(?:off|no|false)$/.test(text)) return { value: "off" };
  if (text === "on") return { value: "on" };
  const split = splitHostPort(text);
  if (split?.port !== undefined) {
    const host = split.host === "" ? "" : canonicalHostOrIp(split.host);
    if (host !== undefined) return { value: text };
  }
  return {
    expected: `an address such as 127.0.0.1:4041${shape.canBeOff === true ? ", on or off" : " or on"}`,
  };
}
