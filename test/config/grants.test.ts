// `grants` of edge.yml: a typing error in it would open or shut a door, so every one is an error with its place.
import { describe, expect, test } from "bun:test";
import { readEdgeFile } from "../../src/config/edge.ts";

const problemsOf = (text: string): string[] =>
  readEdgeFile(text).problems.map(({ message, span }) => `${span?.line}: ${message}`);

describe("grants", () => {
  test("are read in canonical form, in order", () => {
    const text = `grants:
  - {tunnel: My-Tunnel, hosts: [App.Example.com., "*.dev.example.com"]}
  - tunnel: 0b8e5c1d-93a7-4f5e-9d21-6c4b7f0a2e58
    hosts: xn--bcher-kva.example.com
`;
    expect(readEdgeFile(text)).toMatchObject({
      problems: [],
      grants: [
        { tunnel: "my-tunnel", hosts: ["app.example.com", "*.dev.example.com"] },
        {
          tunnel: "0b8e5c1d-93a7-4f5e-9d21-6c4b7f0a2e58",
          hosts: ["xn--bcher-kva.example.com"],
        },
      ],
    });
    expect(readEdgeFile("grants:\n")).toMatchObject({ problems: [], grants: [] });
    expect(readEdgeFile("grants: []\n")).toMatchObject({ problems: [], grants: [] });
  });

  const WRONG: readonly (readonly [text: string, problem: RegExp])[] = [
    ["grants: {tunnel: a, hosts: [a.example.com]}", /^1: grants is no list/],
    ["grants: [my-tunnel]", /^1: An entry of grants is no map/],
    ["grants: [{hosts: [a.example.com]}]", /^1: An entry of grants has no tunnel/],
    ["grants: [{tunnel: a}]", /^1: An entry of grants has no hosts/],
    ["grants: [{}]", /^1: An entry of grants has no tunnel and no hosts/],
    ["grants: [{tunnel: a.b, hosts: [a.example.com]}]", /^1: tunnel of a grant is no name/],
    ["grants:\n- tunnel: a\n  hosts: [a_b!]", /^3: A name of a grant is "a_b!"/],
    ["grants: [{tunnel: a, hosts: [[x.example.com]]}]", /^1: A name of a grant is a list/],
    [
      "grants:\n- tunnel: a\n  host: [a.example.com]",
      /^3: Unknown key "host" in a grant, nearest is "hosts"/,
    ],
    [
      "grants: [{tunnel: a, hosts: [a.example.com], tcp: 25565}]",
      /^1: "tcp" of a grant is not in this build yet/,
    ],
    [
      "grants:\n- {tunnel: a, hosts: [x.example.com]}\n- {tunnel: b, hosts: [x.example.com]}",
      /^3: grants gives x\.example\.com to "b" and x\.example\.com to "a"/,
    ],
    [
      'grants:\n- {tunnel: a, hosts: ["*.example.com"]}\n- {tunnel: b, hosts: [y.x.example.com]}',
      /^3: grants gives y\.x\.example\.com to "b" and \*\.example\.com to "a"/,
    ],
    [
      'grants:\n- {tunnel: a, hosts: [x.dev.example.com]}\n- {tunnel: b, hosts: ["*.example.com"]}',
      /^3: grants gives \*\.example\.com to "b"/,
    ],
  ];
  test.each(WRONG)("%p is refused", (text, problem) => {
    expect(problemsOf(text)).toContainEqual(expect.stringMatching(problem));
  });

  test("of one tunnel may overlap", () => {
    expect(problemsOf('grants: [{tunnel: a, hosts: [x.example.com, "*.example.com"]}]')).toEqual(
      [],
    );
  });

  test("end at 1,000 entries", () => {
    const entries = Array.from(
      { length: 1_001 },
      (_, index) => `{tunnel: a, hosts: [h${index}.example.com]}`,
    );
    expect(problemsOf(`grants: [${entries.slice(1).join(", ")}]`)).toEqual([]);
    expect(problemsOf(`grants: [${entries.join(", ")}]`)).toEqual([
      "1: grants has 1001 entries, allowed 1000",
    ]);
  });
});
