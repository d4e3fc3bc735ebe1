import { describe, expect, test } from "bun:test";
import { createGate } from "../../src/edge/gate.ts";
import { generateKey, makeCode } from "../../src/identity/index.ts";
import { openStore } from "../../src/edge/store/index.ts";
import type { Store } from "../../src/edge/store/index.ts";
import type { LogRecord } from "../../src/log.ts";
import type { Admission, Enrolment, Gate } from "../../src/session/index.ts";
import {
  Directory,
  DOMAINS,
  makeLog,
  optionsFor,
  TUNNEL_CODE,
  refusalOf,
} from "./store/fixture.ts";

const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const FOR_TUNNEL = json({
  label: "laptop",
  version: "0.1.0",
  platform: "linux-x64",
  for: "tunnel",
});
const EMPTY = new Uint8Array();

type Rig = AsyncDisposable & {
  readonly gate: Gate;
  readonly store: Store;
  readonly records: LogRecord[];
};

async function rig(): Promise<Rig> {
  const directory = new Directory();
  const { log, records } = makeLog();
  const store = await openStore({ ...optionsFor(directory.path), log });
  const gate = createGate({ store, log, domains: DOMAINS, publicPort: () => 8443 });
  return {
    gate,
    store,
    records,
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      directory[Symbol.dispose]();
    },
  };
}

const enrolment = (code: Uint8Array, changes: Partial<Enrolment> = {}): Enrolment => ({
  ...{ key: generateKey().publicKey, code, name: "home", application: FOR_TUNNEL },
  ...changes,
});
const application = (admission: Admission | undefined): unknown =>
  JSON.parse(new TextDecoder().decode(admission?.application));

describe("gate", () => {
  test("admits a key from its enrolment on, with the JSON of http.md §5.4", async () => {
    await using own = await rig();
    const { code } = await own.store.createCode(TUNNEL_CODE);
    const request = enrolment(code);
    const joined = await own.gate.enrol(request);
    expect(joined).toMatchObject({ kind: "tunnel", name: "home", keyId: "laptop" });
    expect(application(joined)).toEqual({
      tunnel: { id: joined?.id, name: "home" },
      keyId: "laptop",
      domains: DOMAINS,
      publicPort: 8443,
    });
    expect(own.gate.admit(request.key, EMPTY)).toEqual(joined as Admission);
    expect(await own.gate.enrol(request)).toEqual(joined as Admission);
    expect(own.records.map((record) => record.event)).toEqual(["enrolled", "enrolled"]);
  });

  test("admits an account without a tunnel", async () => {
    await using own = await rig();
    const { code } = await own.store.createCode({ ...TUNNEL_CODE, makes: { kind: "account" } });
    const joined = await own.gate.enrol(
      enrolment(code, { application: json({ for: "account" }), name: "you" }),
    );
    expect(joined).toMatchObject({ kind: "account", name: "you", keyId: "you" });
    expect(application(joined)).toMatchObject({ tunnel: null, keyId: "you" });
  });

  test("refuses unknown and revoked keys alike and tells the log which (A-11)", async () => {
    await using own = await rig();
    const { code } = await own.store.createCode(TUNNEL_CODE);
    const request = enrolment(code);
    const joined = await own.gate.enrol(request);
    await own.store.revokeKey({ kind: "tunnel", id: joined?.id as string }, "laptop");
    expect(own.gate.admit(request.key, EMPTY)).toBeUndefined();
    expect(own.gate.admit(generateKey().publicKey, EMPTY)).toBeUndefined();
    expect(await own.gate.enrol(request)).toBeUndefined();
    const messages = own.records
      .filter((record) => record.level === "warn")
      .map((record) => record.message);
    expect(messages).toEqual([
      'Refused the revoked key "laptop" of tunnel "home"',
      expect.stringMatching(/^Refused the key [a-z2-7]{26}, which is not registered$/),
      "Refused a join line: the key was revoked",
    ]);
  });

  test("warns the owner of a second key with a used code, and names a line given to the wrong command", async () => {
    await using own = await rig();
    const { code } = await own.store.createCode(TUNNEL_CODE);
    expect(
      await own.gate.enrol(enrolment(code, { application: json({ for: "account" }) })),
    ).toBeUndefined();
    expect(await own.gate.enrol(enrolment(code))).toBeDefined();
    expect(await own.gate.enrol(enrolment(code, { name: "evil\n\x1b[2J" }))).toBeUndefined();
    expect(await own.gate.enrol(enrolment(makeCode()))).toBeUndefined();
    expect(
      own.records.filter((record) => record.level === "warn").map((record) => record.fields),
    ).toEqual([
      { reason: "otherKind", kind: "account", name: "home" },
      { reason: "usedCode", kind: "tunnel", name: "evil??[2J" },
      { reason: "unknownCode", kind: "tunnel", name: "home" },
    ]);
  });

  test.each([
    ["nothing", EMPTY],
    ["no JSON", new TextEncoder().encode("{")],
    ["no UTF-8", Uint8Array.of(0xff)],
    ["null", json(null)],
    ["a list", json(["tunnel"])],
    ["no word of what for", json({ label: "x" })],
    ["another kind", json({ for: "root" })],
  ])("refuses an enrolment that says %s, and leaves the code unused", async (_what, bytes) => {
    await using own = await rig();
    const { code } = await own.store.createCode(TUNNEL_CODE);
    expect(await own.gate.enrol(enrolment(code, { application: bytes }))).toBeUndefined();
    expect(await own.gate.enrol(enrolment(code))).toBeDefined();
  });

  test("passes a failure of the store on instead of calling it a refusal", async () => {
    await using own = await rig();
    await own.store[Symbol.asyncDispose]();
    expect(await refusalOf(own.gate.enrol(enrolment(makeCode())))).toMatchObject({
      code: "STORE_FAILED",
    });
  });

  test("never writes a code or a key's seed to the log (S-66)", async () => {
    await using own = await rig();
    const { code } = await own.store.createCode(TUNNEL_CODE);
    const request = enrolment(code);
    await own.gate.enrol(request);
    await own.gate.enrol(enrolment(code));
    const text = JSON.stringify(own.records);
    expect(own.records.length).toBeGreaterThan(1);
    for (const form of ["hex", "base64", "base64url"] as const)
      expect(text).not.toContain(Buffer.from(code).toString(form));
  });
});
