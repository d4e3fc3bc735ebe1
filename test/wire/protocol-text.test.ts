// This file is the comparison of docs/PROTOCOL.md with the code: its tables, its constants, its vectors. PROTOCOL §10.1.
import { describe, expect, test } from "bun:test";
import { createHash, createPrivateKey, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import * as wire from "../../src/wire/index.ts";
import { feedAll, hexOf, readerOf, toPlain } from "./samples.ts";

const text = readFileSync(resolve(import.meta.dir, "../../docs/PROTOCOL.md"), "utf8");

/** The cells of the table behind `<!-- compared with the code: … -->`, without its two head lines. */
function tableOf(name: string): string[][] {
  const start = text.indexOf(`<!-- compared with the code: ${name} -->`);
  if (start < 0) throw new Error(`docs/PROTOCOL.md has no table "${name}"`);
  const lines = text.slice(start).split("\n").slice(2);
  const rows = lines.slice(0, lines.indexOf("")).slice(2);
  return rows.map((row) =>
    row
      .replaceAll("\\|", "\u0000")
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll("\u0000", "|")),
  );
}

function withoutTicks(cell: string | undefined): string {
  return (cell ?? "").replace(/^`|`$/g, "");
}

function numberOf(cell: string | undefined): number {
  const match = /^([\d,]+)(?: (KiB|MiB|GiB))?$/.exec(cell ?? "");
  if (match === null) throw new Error(`"${cell}" is no number`);
  const unit = { KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 }[match[2] ?? ""] ?? 1;
  return Number((match[1] as string).replaceAll(",", "")) * unit;
}

/** `aa*32` repeats, spaces separate. */
function bytesOf(notation: string): Uint8Array {
  const hex = notation.replace(/([0-9a-f]{2})\*(\d+)/g, (_, byte: string, count: string) =>
    byte.repeat(Number(count)),
  );
  return Uint8Array.from(Buffer.from(hex.replaceAll(" ", ""), "hex"));
}

/** The schema as the tables write it: parameter lists are `P`. */
function notationOf(schema: { readonly notation: string }): string {
  return schema.notation.replaceAll("[any × 0…128]", "P");
}

describe("tables of the specification", () => {
  test("frames: type, name, payload, maximum, direction", () => {
    const directions = { toEdge: "C→E", toConnector: "E→C", both: "both" };
    const rows = tableOf("frames").map((row) => [
      row[0],
      row[1],
      withoutTicks(row[2]),
      numberOf(row[3]),
      row[4],
    ]);
    const binary: Record<string, string> = {
      DATA: "binary: id u64, offset u64, 1…16,362 bytes",
      DATA_FIN: "binary: id u64, offset u64, 0…16,362 bytes",
      DATAGRAM: "binary: id u64, 0…65,507 bytes",
    };
    expect(rows).toEqual(
      wire.FRAME_SPECS.map((spec) => [
        spec.type.toString(16).padStart(2, "0"),
        spec.label,
        spec.schema === undefined ? binary[spec.label] : notationOf(spec.schema),
        spec.max,
        directions[spec.direction],
      ]),
    );
    expect(rows).toHaveLength(24);
    expect([
      wire.DATA_FRAMES.data.min,
      wire.DATA_FRAMES.dataFin.min,
      wire.DATA_FRAMES.datagram.min,
    ]).toEqual([17, 16, 8]);
  });

  test("bodies", () => {
    const rows = tableOf("bodies").map((row) => [row[0], withoutTicks(row[1])]);
    expect(rows).toEqual(
      Object.entries(wire.HANDSHAKE_BODIES).map(([name, schema]) => [
        wire.labelOf(name as wire.SignedFrameName),
        notationOf(schema),
      ]),
    );
    expect(rows).toHaveLength(4);
  });

  test("session codes: number, name, carriers, effect, sentence", () => {
    const letters = { close: "C", goAway: "G", refused: "R" };
    const rows = tableOf("session codes");
    expect(rows).toEqual(
      Object.entries(wire.SESSION_CODES).map(([name, row]) => [
        row.code.toString(16).padStart(2, "0"),
        name,
        row.in.map((carrier) => letters[carrier]).join(" "),
        `\`${row.effect}\``,
        row.sentence,
      ]),
    );
    expect(rows).toHaveLength(22);
    for (const row of rows)
      expect(wire.sessionCodeName(Number.parseInt(row[0] as string, 16)) as string).toBe(
        row[1] as string,
      );
    expect(wire.sessionCodeName(0x7f)).toBeUndefined();
  });

  test("stream codes", () => {
    const rows = tableOf("stream codes");
    expect(rows).toEqual(
      Object.entries(wire.STREAM_CODES).map(([name, row]) => [
        row.code.toString(16).padStart(2, "0"),
        name,
        row.sentence,
      ]),
    );
    expect(rows).toHaveLength(10);
    for (const row of rows)
      expect(wire.streamCodeName(Number.parseInt(row[0] as string, 16)) as string).toBe(
        row[1] as string,
      );
    expect(wire.streamCodeName(wire.STREAM_CODE_APPLICATION)).toBeUndefined();
  });

  test("parameters: id, name, value if absent, bounds, announced by each side", () => {
    const rows = tableOf("parameters");
    const value = (cell: string | undefined): unknown =>
      cell?.startsWith("[") || cell?.startsWith('"') ? JSON.parse(cell) : numberOf(cell);
    let compared = 0;
    for (const [id, name, absent, min, max, announced] of rows) {
      const row = wire.PARAMETERS[name as wire.ParameterName];
      expect([row.id, row.absent]).toEqual([Number(id), value(absent)] as never);
      if (min !== "–") expect(row.min).toBe(numberOf(min));
      expect(row.max).toBe(numberOf(max));
      const [edge, connector] = (announced ?? "").split(" / ");
      expect<unknown>(wire.DEFAULT_PARAMETERS.edge[name as wire.ParameterName]).toEqual(
        value(edge),
      );
      if (connector !== "–") {
        expect<unknown>(wire.DEFAULT_PARAMETERS.connector[name as wire.ParameterName]).toEqual(
          value(connector),
        );
      }
      compared += 1;
    }
    expect(compared).toBe(Object.keys(wire.PARAMETERS).length);
  });

  test("constants", () => {
    const rows = [...tableOf("constants"), ...tableOf("handshake constants")];
    const constants = wire as unknown as { readonly [name: string]: unknown };
    for (const [name, value] of rows) {
      expect([name, constants[withoutTicks(name)]]).toEqual([name, numberOf(value)]);
    }
    expect(rows.length).toBeGreaterThan(40);
  });
});

/** One line of a block of vectors. */
interface Vector {
  readonly name: string;
  readonly part: "frame" | "body" | "signature";
  readonly values: { readonly [name: string]: unknown };
  readonly isSent: boolean;
  readonly bytes: Uint8Array;
}

function vectors(): Vector[] {
  const blocks = [...text.matchAll(/```vectors\n([^]*?)```/g)].map((match) => match[1] as string);
  return blocks
    .flatMap((block) => block.trim().split("\n"))
    .map((line) => {
      const match = /^(\w+)(?: (body|signature))?(?: (\{.*\}))? (=|<-) ([0-9a-f* ]+)$/.exec(line);
      if (match === null) throw new Error(`"${line}" is no vector`);
      return {
        name: match[1] as string,
        part: (match[2] ?? "frame") as Vector["part"],
        values: toBytes(JSON.parse(match[3] ?? "{}")) as Vector["values"],
        isSent: match[4] === "=",
        bytes: bytesOf(match[5] as string),
      };
    });
}

function toBytes(value: unknown): unknown {
  if (typeof value === "string" && value.startsWith("hex:")) return bytesOf(value.slice(4));
  if (Array.isArray(value)) return value.map(toBytes);
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, toBytes(item)]));
  }
  return value;
}

/** What we write for the values of a vector. */
function written(vector: Vector): Uint8Array {
  const { name, values } = vector;
  if (vector.part === "body") return wire.encodeBody(name as "auth", values as never);
  const bytes = (values["bytes"] ?? new Uint8Array(0)) as Uint8Array;
  const into = new Uint8Array(22 + bytes.length);
  let end = 0;
  if (name === "datagram") {
    end = wire.writeDatagramHeader(into, 0, values["stream"] as number, bytes.length);
  } else if (name === "data" || name === "dataFin") {
    const offset = values["offset"] as number;
    end = wire.writeDataHeader(
      into,
      0,
      name === "dataFin",
      values["stream"] as number,
      offset,
      bytes.length,
    );
  } else {
    return wire.encodeFrame(name as "ack", values as never);
  }
  into.set(bytes, end);
  return into.subarray(0, end + bytes.length);
}

describe("vectors of the specification", () => {
  const all = vectors();
  const frames = all.filter((vector) => vector.part === "frame");

  test("every frame has one; signed frames have a body and a signature", () => {
    const signed = Object.keys(wire.HANDSHAKE_BODIES);
    for (const { name } of wire.FRAME_SPECS) {
      const parts = all.filter((vector) => vector.name === name).map((vector) => vector.part);
      expect([name, ...(signed.includes(name) ? ["body", "signature"] : ["frame"])]).toEqual([
        name,
        ...new Set(parts),
      ]);
    }
    expect(all.length).toBeGreaterThan(35);
  });

  test.each(frames.map((vector) => [`${vector.name} ${hexOf(vector.bytes)}`, vector] as const))(
    "%s",
    (_title, vector) => {
      if (vector.isSent) expect(hexOf(written(vector))).toBe(hexOf(vector.bytes));
      const spec = wire.FRAME_SPECS.find((each) => each.name === vector.name) as wire.FrameSpec;
      const seen = feedAll(readerOf(spec), vector.bytes);
      expect(seen).toHaveLength(1);
      expect(seen[0]?.name).toBe(spec.name);
      if (spec.schema !== undefined) {
        expect(seen[0]?.record).toEqual(toPlain(vector.values));
        return;
      }
      const { stream, offset, bytes } = vector.values;
      expect([seen[0]?.stream, seen[0]?.offset, seen[0]?.bytes]).toEqual([
        stream as number,
        (offset ?? 0) as number,
        hexOf(bytes as Uint8Array),
      ]);
    },
  );

  test("bodies, signatures and the frames made of them", () => {
    const fill = (length: number, value: number): Buffer => Buffer.alloc(length, value);
    const hash = (...parts: Uint8Array[]): Buffer =>
      createHash("sha256").update(Buffer.concat(parts)).digest();
    const find = (name: string, part: string): Vector =>
      all.find((vector) => vector.name === name && vector.part === part) as Vector;
    // PKCS #8 of an Ed25519 seed (RFC 8410): a fixed prefix and 32 bytes.
    const keyFrom = (first: number) =>
      createPrivateKey({
        key: Buffer.concat([
          Buffer.from("302e020100300506032b657004220420", "hex"),
          Buffer.from(Array.from({ length: 32 }, (_, index) => first + index)),
        ]),
        format: "der",
        type: "pkcs8",
      });
    const hello = find("hello", "frame").bytes;
    expect(hash(hello).toString("hex")).toStartWith("501c7ab5d49ab159");

    const edgeBody = written(find("edgeAuth", "body"));
    const edgeSignature = find("edgeAuth", "signature").bytes;
    const edgeInput = [Buffer.from("tunl edge auth v1\0"), fill(32, 0x11), hash(hello), edgeBody];
    expect(hexOf(sign(null, Buffer.concat(edgeInput), keyFrom(0)))).toBe(hexOf(edgeSignature));
    expect(hexOf(edgeSignature)).toStartWith("b42086f4f3fe98d2");
    expect(hexOf(edgeSignature)).toEndWith("bd9c388fa452e0f");
    const edgeAuth = wire.encodeFrame("edgeAuth", { body: edgeBody, signature: edgeSignature });
    expect(hexOf(edgeAuth)).toStartWith("c78c0292c447");

    for (const [name, label] of [
      ["auth", "tunl connector auth v1\0"],
      ["enroll", "tunl connector enrol v1\0"],
      ["resume", "tunl connector resume v1\0"],
    ] as const) {
      const body = find(name, "body");
      expect(hexOf(written(body))).toBe(hexOf(body.bytes));
      expect(toPlain(wire.decodeBody(name, body.bytes))).toEqual(toPlain(body.values));
      const input = [Buffer.from(label), fill(32, 0x22), hash(hello, edgeAuth), body.bytes];
      const signature = find(name, "signature").bytes;
      expect(hexOf(sign(null, Buffer.concat(input), keyFrom(0x20)))).toBe(hexOf(signature));
      const frame = wire.encodeFrame(name, { body: body.bytes, signature });
      const spec = wire.FRAME_SPECS.find((each) => each.name === name) as wire.FrameSpec;
      expect(feedAll(readerOf(spec), frame)[0]?.record).toEqual(
        toPlain({ body: body.bytes, signature }),
      );
      if (name === "auth") {
        expect(hexOf(signature)).toStartWith("7dfb502ecb1fb97c");
        expect(hexOf(signature)).toEndWith("b98865434fdf5ada09");
        expect(hexOf(frame)).toStartWith("c7850392c440");
      }
    }
    const digest = hash(find("edgeAuth", "body").values["edgeKey"] as Uint8Array);
    expect(base32(digest).slice(0, 26)).toBe("kzdvvj2umnduyauf35o36k6kw4");
  });
});

/** Lower-case base32 without padding (RFC 4648 §6). */
function base32(bytes: Uint8Array): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  return (bits.match(/.{5}/g) ?? [])
    .map((five) => "abcdefghijklmnopqrstuvwxyz234567".charAt(Number.parseInt(five, 2)))
    .join("");
}
