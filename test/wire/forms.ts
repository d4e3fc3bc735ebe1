// This file is the values that the form of a field does not allow, by the notation of PROTOCOL §2.2: `u`, `0…63`, `f`, `b32`, `b≤64`, `s≤64`, a list.
import type { FrameSpec } from "../../src/wire/index.ts";

const bytes = (length: number): Uint8Array => new Uint8Array(length);

/** The form at a position of a frame whose payload is an array; behind the last one the repeated part goes on. */
export function formAt(spec: FrameSpec, position: number): string {
  const notation = spec.schema?.notation.slice(1, -1) ?? "";
  const fields = notation.match(/\w+ (?:\[[^\]]*\]|[^,()[\]\s]+)/g) ?? [];
  const forms = fields.map((field) => field.slice(field.indexOf(" ") + 1));
  const form = forms[notation.startsWith("(") ? position % forms.length : position] ?? forms.at(-1);
  if (form === undefined) throw new Error(`${spec.label} has no field ${position}: ${notation}`);
  return form;
}

/** Values of every other type, and those just out of range. */
export function wrongValues(form: string): unknown[] {
  if (form === "f") return [0, 1, null, "true", bytes(1), [true], { a: 1 }];
  if (form.startsWith("[")) return [1, null, "list", bytes(2), Array(129).fill(0), [1, [[2]]]];
  if (form.startsWith("s")) {
    const most = Number(form.slice(2));
    return [1, null, true, bytes(3), [], { a: 1 }, "x".repeat(most + 1), "ä".repeat(most / 2 + 1)];
  }
  if (form.startsWith("b")) {
    const others = ["text", 1, null, [], true, { a: 1 }];
    if (form[1] === "≤") return [...others, bytes(Number(form.slice(2)) + 1)];
    const length = Number(form.slice(1));
    return [...others, bytes(length - 1), bytes(length + 1), bytes(0)];
  }
  const numbers = [-1, 0.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY];
  const others = ["1", true, null, bytes(1), [1], { a: 1 }];
  if (form === "u") return [...numbers, ...others];
  const [min, max] = form.split("…").map(Number) as [number, number];
  return [...numbers, ...others, min - 1, max + 1];
}
