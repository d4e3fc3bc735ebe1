import { describe, expect, test } from "bun:test";
import { flagText, OPTIONS, optionsOf, variableOf } from "../../src/config/index.ts";
import { COMMAND_NAMES } from "../../src/config/option.ts";
import { GROUPS_OFF, keysIn, optionOfKey } from "../../src/config/options.ts";
import { readValue } from "../../src/config/values.ts";

const BASE = { directory: "/", home: "/home/me" };

describe("options", () => {
  test("no command has two rows for a flag, no key has two rows", () => {
    for (const command of COMMAND_NAMES) {
      const flags = optionsOf(command).map(({ flag }) => flag);
      expect(flags.length).toBeGreaterThan(5);
      expect(flags.filter((flag, index) => flags.indexOf(flag) !== index)).toEqual([]);
    }
    const keys = OPTIONS.flatMap(({ key, keyAlias }) => [key, keyAlias]).filter(
      (key) => key !== undefined,
    );
    expect(keys.filter((key, index) => keys.indexOf(key) !== index)).toEqual([]);
  });

  test("every row has a flag or a key, and a row that works has a sentence", () => {
    expect(OPTIONS.filter(({ flag, key }) => flag === undefined && key === undefined)).toEqual([]);
    expect(
      OPTIONS.filter(({ isBuilt, about }) => isBuilt && (about === "" || about.endsWith("."))),
    ).toEqual([]);
    expect(
      OPTIONS.filter(({ flag, commands }) => flag !== undefined && commands.length === 0),
    ).toEqual([]);
  });

  test("a row that works is of phase 1", () => {
    expect(OPTIONS.filter(({ isBuilt, phase }) => isBuilt && phase !== 1)).toEqual([]);
  });

  test("every default can be read, except those that are refused", () => {
    let read = 0;
    for (const option of OPTIONS) {
      if (option.default === undefined || option.laterValues?.[option.default] !== undefined)
        continue;
      for (const text of option.isRepeatable ? option.default.split(",") : [option.default]) {
        expect([option.key ?? option.flag, readValue(option, text, BASE)]).toEqual([
          option.key ?? option.flag,
          { value: expect.anything() },
        ]);
        read += 1;
      }
    }
    expect(read).toBeGreaterThan(20);
  });

  test("every key of product.md §3.1 is known", () => {
    const all =
      "domains domain listen http publicAddresses state admin adminTokenFile adminRemote hold install resume grace kernelTuning certificates dns names grants ports hosts policies identity mail trustedProxies proxyProtocol limits timeouts log metrics dashboard store";
    expect(keysIn("").toSorted()).toEqual(all.split(" ").toSorted());
    expect(keysIn("timeouts").toSorted()).toEqual(
      "clientHello handshake head idle bodyIdle firstByte writeStall upgradeIdle"
        .split(" ")
        .toSorted(),
    );
    expect(keysIn("limits").toSorted()).toEqual(
      "connectionsPerIp acceptPerIp headerBytes headerFields targetBytes concurrent bodyBytes requests bandwidth connectorsPerTunnel memory"
        .split(" ")
        .toSorted(),
    );
    for (const group of GROUPS_OFF) expect(keysIn(group).length).toBeGreaterThan(0);
    expect(optionOfKey("domain")).toBe(optionOfKey("domains"));
  });

  test("names variables and shows flags as they are typed", () => {
    expect(variableOf("log-level")).toBe("TUNL_LOG_LEVEL");
    const verify = optionsOf("connect").find(({ flag }) => flag === "tls-verify");
    expect(verify && flagText(verify)).toBe("--no-tls-verify");
  });
});
