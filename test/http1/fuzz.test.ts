import { describe, expect, test } from "bun:test";
import { byteByByte, corpus, decode, readRequests, readResponses, verdict } from "./support.ts";

interface Row {
  id: string;
  kind: "request" | "response";
  input: string;
}

describe.each(["fuzz-h2o-http1.jsonl", "fuzz-gofuzz-http1.jsonl"])("%s", (name) => {
  const rows = corpus<Row>(name);
  test.skipIf(rows === undefined)(
    "is refused or read, alike whole and byte by byte, from either side",
    () => {
      let seen = 0;
      for (const row of rows ?? []) {
        const input = decode(row.input);
        for (const read of [readRequests, readResponses]) {
          const whole = verdict(read([input]));
          const single = verdict(read(byteByByte(input)));
          if (JSON.stringify(single) !== JSON.stringify(whole))
            expect([row.id, single]).toEqual([row.id, whole]);
        }
        seen++;
      }
      expect(seen).toBeGreaterThan(1000);
    },
  );
});
