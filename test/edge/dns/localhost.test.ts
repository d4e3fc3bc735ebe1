import { expect, test } from "bun:test";
import { leadsWhere } from "../../../src/edge/dns/index.ts";

test("names below localhost lead here without a question to anybody; others are asked for", async () => {
  const asked: string[] = [];
  const options = {
    client: {
      query: async (host: string) => {
        asked.push(host);
        return { state: "none", records: [], server: "192.0.2.1", text: `${host} is not there` };
      },
    },
    here: {},
    localhostIsHere: true,
  } as unknown as Parameters<typeof leadsWhere>[0];
  const { signal } = new AbortController();
  for (const host of ["app.localhost", "app.tunl.localhost", "*.tunl.localhost"])
    expect(await leadsWhere(options, host, signal)).toMatchObject({ isHere: true });
  expect(asked).toEqual([]);
  expect(await leadsWhere(options, "app.notlocalhost", signal)).toMatchObject({ isHere: false });
  expect(asked).toEqual(["app.notlocalhost", "app.notlocalhost"]);
  const told = { ...options, localhostIsHere: false };
  expect(await leadsWhere(told, "app.localhost", signal)).toMatchObject({ isHere: false });
});
