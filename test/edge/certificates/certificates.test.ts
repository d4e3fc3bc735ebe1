import { beforeAll, describe, expect, test } from "bun:test";
import {
  type Certificate,
  CertificateTable,
  contextOf,
} from "../../../src/edge/certificates/certificates.ts";
import { makeSelfSigned } from "../../../src/edge/certificates/internal-ca.ts";

describe("certificate table", () => {
  let make: (id: string, ...names: string[]) => Certificate;

  beforeAll(async () => {
    const pem = await makeSelfSigned("test", 1, Date.now());
    make = (id, ...names) => ({ id, names, context: contextOf(pem), notBefore: 0, notAfter: 0 });
  });

  test("finds the exact name before the wildcard, and covers one label only", () => {
    const table = new CertificateTable();
    const wild = make("wild", "example.com", "*.example.com");
    const exact = make("exact", "app.example.com");
    table.put(wild);
    table.put(exact);
    expect(table.find("app.example.com")).toBe(exact);
    expect(table.find("other.example.com")).toBe(wild);
    expect(table.find("example.com")).toBe(wild);
    expect(table.find("a.b.example.com")).toBeUndefined();
    expect(table.find("example.org")).toBeUndefined();
    expect(table.find("com")).toBeUndefined();
    expect(table.contextFor("app.example.com")).toBe(exact.context);
    expect(table.contextFor("example.org")).toBeUndefined();
    expect([...table.names].sort()).toEqual(["*.example.com", "app.example.com", "example.com"]);
  });

  test("says whether a Host belongs to the certificate of a connection (S-23)", () => {
    const table = new CertificateTable();
    const wild = make("wild", "*.example.com");
    const exact = make("exact", "app.example.com", "example.org");
    table.put(wild);
    table.put(exact);
    expect(table.covers("example.org")).toBe(true);
    expect(table.covers("example.org", exact)).toBe(true);
    expect(table.covers("example.org", wild)).toBe(false);
    // Covered by the certificate shown, although another one would have been chosen for it.
    expect(table.covers("app.example.com", wild)).toBe(true);
    expect(table.covers("a.b.example.com", wild)).toBe(false);
    expect(table.covers("example.com", wild)).toBe(false);
  });

  test("replaces a certificate by its id, and gives a name back when a later one leaves", () => {
    const table = new CertificateTable();
    const old = make("a", "app.example.com", "old.example.com");
    const renewed = make("a", "app.example.com");
    const other = make("b", "app.example.com");
    table.put(old);
    table.put(renewed);
    expect(table.find("app.example.com")).toBe(renewed);
    expect(table.covers("old.example.com")).toBe(false);
    table.put(other);
    expect(table.find("app.example.com")).toBe(other);
    table.remove("b");
    expect(table.find("app.example.com")).toBe(renewed);
    table.remove("a");
    table.remove("a");
    expect(table.covers("app.example.com")).toBe(false);
    expect(table.names).toEqual([]);
  });

  test("answers the same for the same name at 1, 100, 101 and 10 000 entries (S-21)", () => {
    let sizes = 0;
    for (const size of [1, 100, 101, 10_000]) {
      const table = new CertificateTable();
      const pem = make("x", "x");
      const names = Array.from({ length: size }, (_, index) => `h${index}.example.com`);
      table.put({ ...pem, names });
      expect(table.covers(`h${size - 1}.example.com`)).toBe(true);
      expect(table.covers(`h${size}.example.com`)).toBe(false);
      sizes += 1;
    }
    expect(sizes).toBe(4);
  });
});
