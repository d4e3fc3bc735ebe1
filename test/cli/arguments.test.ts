import { describe, expect, test } from "bun:test";
import { normalArguments, readArguments } from "../../src/cli/arguments.ts";
import {
  ALIASES,
  FOREIGN_COMMANDS,
  GROUPS,
  LATER_ADVICE,
  LATER_COMMANDS,
} from "../../src/cli/command-words.ts";
import { commandRow, COMMANDS, commandsBelow } from "../../src/cli/commands.ts";
import { OPTIONS } from "../../src/config/index.ts";
import { TunlError } from "../../src/errors.ts";

function read(line: string) {
  const { command, group, flags, positionals } = readArguments(line === "" ? [] : line.split(" "));
  return {
    command,
    ...(group !== undefined && { group }),
    flags: Object.fromEntries(flags),
    positionals,
  };
}

function refusal(line: string): string {
  try {
    read(line);
  } catch (error) {
    if (error instanceof TunlError) return `${error.code} ${error.message} / ${error.hint}`;
    throw error;
  }
  return "accepted";
}

describe("arguments", () => {
  test("finds the command, its flags and its arguments", () => {
    expect(read("connect 8000 --name app")).toEqual({
      command: "connect",
      flags: { name: ["app"] },
      positionals: ["8000"],
    });
    expect(read("edge")).toEqual({ command: "edge", flags: {}, positionals: [] });
    expect(read("edge run --http off")).toEqual({
      command: "edge",
      flags: { http: ["off"] },
      positionals: [],
    });
    expect(read("edge invite --json")).toEqual({
      command: "edge invite",
      flags: { json: ["true"] },
      positionals: [],
    });
    expect(read("")).toEqual({ command: undefined, flags: {}, positionals: [] });
    expect(read("connect -- --odd")).toEqual({
      command: "connect",
      flags: {},
      positionals: ["--odd"],
    });
    expect(read("connect run")).toMatchObject({ command: "connect", positionals: ["run"] });
  });

  test("takes other programs' words for help and version", () => {
    const help = { flags: { help: ["true"] }, positionals: [] };
    expect(read("help")).toEqual({ command: undefined, ...help });
    expect(read("help connect")).toEqual({ command: "connect", ...help });
    expect(read("help edge invite")).toEqual({ command: "edge invite", ...help });
    expect(refusal("help conect")).toContain("nearest is connect");
    const version = { flags: { version: ["true"] } };
    expect(read("-v")).toMatchObject({ command: undefined, ...version });
    expect(read("connect 8000 -v")).toMatchObject({ command: "connect", ...version });
    expect(read("-v edge invite")).toMatchObject({ command: "edge invite", ...version });
  });

  test("no advice names a command that this build lacks", () => {
    const names = COMMANDS.map(({ name }) => name as string);
    let seen = 0;
    for (const text of Object.values(LATER_ADVICE))
      for (const [, name = ""] of text.matchAll(
        /tunl ((?:(?:edge|tunnel|route|config) )?[a-z]+)/g,
      )) {
        expect(names).toContain(names.includes(name) ? name : (name.split(" ")[0] as string));
        seen += 1;
      }
    expect(seen).toBeGreaterThan(3);
  });

  test("groups do nothing alone; cloudflared's ways to write a command are known", () => {
    expect(read("tunnel")).toMatchObject({ command: undefined, group: "tunnel" });
    expect(read("tunnel --help")).toMatchObject({ group: "tunnel", flags: { help: ["true"] } });
    expect(read("tunnel --edge-ip 4 run my-tunnel")).toEqual({
      command: "tunnel run",
      flags: { "edge-ip": ["4"] },
      positionals: ["my-tunnel"],
    });
    expect(refusal("tunnel rnu")).toBe(
      'USAGE Unknown command "rnu" of tunl tunnel, nearest is tunnel run / Run tunl tunnel --help',
    );
    expect(refusal("edge run invite")).toContain('takes no argument, but got "invite"');
    for (const [typed, meant] of Object.entries(ALIASES)) {
      const last = meant.split(" ").at(-1) as string;
      expect(typed.split(" ").length > 1 || last === meant).toBe(true);
      expect(refusal(`${typed} --frobnicate`).replaceAll(typed, meant)).toBe(
        refusal(`${meant} --frobnicate`),
      );
    }
  });

  test("every group has a sentence, and what is below a group belongs to one", () => {
    for (const { name } of COMMANDS) {
      const [group = "", ...rest] = name.split(" ");
      if (rest.length > 0)
        expect([name, Object.hasOwn(GROUPS, group) || commandsBelow(group).length > 0]).toEqual([
          name,
          true,
        ]);
    }
    for (const group of Object.keys(GROUPS)) {
      expect(COMMANDS.map(({ name }) => name as string)).not.toContain(group);
      if (commandsBelow(group).length === 0)
        expect(refusal(group)).toStartWith(`USAGE tunl ${group} is not in this build yet`);
    }
  });

  test("cloudflared's commands that tunl does without are refused with what serves here", () => {
    for (const [words, { message, hint }] of Object.entries(FOREIGN_COMMANDS))
      for (const line of [words, `${words} more words`, `${words} --flag`])
        expect(refusal(line)).toBe(`USAGE ${message} / ${hint}`);
  });

  test("what ngrok and cloudflared users type first leads to tunl connect", () => {
    expect(refusal("8000")).toBe(
      'USAGE Unknown command "8000", which is a target / Write tunl connect 8000',
    );
    expect(refusal("http://localhost")).toEndWith("which is a target / Write tunl connect TARGET");
    for (const words of ["http 8000", "start --all", "tunnel --url http://localhost:8000"])
      expect(refusal(words)).toContain("tunl connect 8000");
    expect(refusal("ingress validate my.yml")).toEndWith(
      "Write tunl ingress validate --config my.yml",
    );
    expect(refusal("login")).toContain("tunl edge invite --account");
  });

  test("a command says which of its arguments is missing, and shows a whole one", () => {
    let needy = 0;
    for (const { name, positionals, examples } of COMMANDS) {
      const needed = positionals.filter(({ isNeeded }) => isNeeded);
      if (needed.length === 0) continue;
      needy += 1;
      expect(refusal(name)).toStartWith(
        `USAGE tunl ${name} needs ${needed.map((positional) => positional.name).join(" and ")} / Write ${examples[0]}`,
      );
      expect(read(`${name} --help`)).toMatchObject({ command: name });
      expect(read((examples[0] as string).slice("tunl ".length))).toMatchObject({ command: name });
    }
    expect(needy).toBe(
      COMMANDS.filter(({ name }) => commandRow(name).positionals.some(({ isNeeded }) => isNeeded))
        .length,
    );
  });

  test("flags in front of a sub-command count for it", () => {
    expect(read("--log-level debug edge --json invite --ttl 1h")).toEqual({
      command: "edge invite",
      flags: { "log-level": ["debug"], json: ["true"], ttl: ["1h"] },
      positionals: [],
    });
    expect(read("--log-file edge connect 8000")).toMatchObject({
      command: "connect",
      flags: { "log-file": ["edge"] },
    });
  });

  test("repeated flags collect, equal ones are one, different ones are a contradiction", () => {
    expect(read("connect 1 --host a.com --host=b.com").flags).toEqual({ host: ["a.com", "b.com"] });
    expect(read("connect 1 --name a --name a").flags).toEqual({ name: ["a"] });
    expect(refusal("connect 1 --name a --name b")).toBe(
      "USAGE --name is given twice with different values / Give it once",
    );
    expect(refusal("edge --no-color --color")).toBe(
      "USAGE --no-color is given twice with different values / Give it once",
    );
  });

  test("booleans are read in both forms", () => {
    expect(read("connect 1 --no-tls-verify").flags).toEqual({ "tls-verify": ["false"] });
    expect(read("connect 1 --tls-verify=no").flags).toEqual({ "tls-verify": ["false"] });
    expect(read("connect 1 --yes --color=on").flags).toEqual({ yes: ["true"], color: ["true"] });
    expect(refusal("connect 1 --color=maybe")).toBe(
      'USAGE --color is "maybe", expected true or false / Write --no-color alone',
    );
    expect(refusal("connect 1 --no-color=true")).toBe(
      'USAGE --no-color takes no value, but got "true" / Write --no-color',
    );
  });

  test("a flag without its value is refused, the next flag is none", () => {
    expect(refusal("connect 8000 --join --host x")).toBe(
      "USAGE --join needs a value, but --host follows / Write --join URL",
    );
    expect(refusal("connect 8000 --join")).toBe(
      "USAGE --join needs a value, but nothing follows / Write --join URL",
    );
    expect(refusal("edge --listen --http :80")).toBe(
      "USAGE --listen needs a value, but --http follows / Write --listen ADDR",
    );
    expect(read("connect 1 --label=--odd").flags).toEqual({ label: ["--odd"] });
  });

  test("an unknown flag is refused with the nearest, or with whose it is", () => {
    expect(refusal("edge --domian x")).toBe(
      "USAGE Unknown flag --domian, nearest is --domain / Run tunl edge --help",
    );
    expect(refusal("connect 1 --tlsverify")).toBe(
      "USAGE Unknown flag --tlsverify, nearest is --tls-verify / Run tunl connect --help",
    );
    expect(refusal("connect 1 --no-tls-verfy")).toBe(
      "USAGE Unknown flag --no-tls-verfy, nearest is --no-tls-verify / Run tunl connect --help",
    );
    expect(refusal("connect 1 --domain x")).toBe(
      "USAGE --domain is no flag of tunl connect, it belongs to tunl edge / Run tunl connect --help",
    );
    expect(refusal("connect 1 --json")).toContain("it belongs to tunl edge invite, ");
    expect(refusal("connect 1 -x")).toBe("USAGE Unknown flag -x / Run tunl connect --help");
    expect(refusal("connect 1 --hots")).toContain("nearest is --host");
    expect(refusal("--foo connect")).toBe("USAGE Unknown flag --foo / Run tunl --help");
    expect(refusal("connect 1 --no-json")).toContain("--no-json is no flag of tunl connect");
  });

  test("a secret behind an unknown flag is not repeated", () => {
    expect(refusal("connect 1 --jion=tunl://a/b/secret")).not.toContain("secret");
  });

  test("every flag that this build lacks is refused by name", () => {
    let seen = 0;
    for (const { flag, isBuilt, commands, refusal: own } of OPTIONS) {
      if (isBuilt || flag === undefined) continue;
      for (const command of commands) {
        for (const form of [`--${flag}`, `--${flag} x`, `--${flag}=x`]) {
          expect(refusal(`${command} ${form}`)).toStartWith(
            own === undefined
              ? `USAGE --${flag} is not in this build yet / `
              : `USAGE ${own.message} / `,
          );
          seen += 1;
        }
      }
    }
    expect(seen).toBeGreaterThan(60);
  });

  test("every command that comes later is refused by name, an unknown one with the nearest", () => {
    for (const command of LATER_COMMANDS) {
      const said = `USAGE tunl ${command} is not in this build yet / ${LATER_ADVICE[command] ?? "Run tunl --help for what is"}`;
      for (const line of [command, `${command} --help`, `help ${command}`])
        expect(refusal(line)).toBe(said);
      expect(refusal(`${command} word --flag`)).toStartWith(
        `USAGE tunl ${command} is not in this build yet`,
      );
    }
    for (const command of Object.keys(LATER_ADVICE)) expect(LATER_COMMANDS).toContain(command);
    expect(refusal("conect 8000")).toBe(
      'USAGE Unknown command "conect", nearest is connect / Run tunl --help',
    );
    expect(refusal("edge invit")).toBe(
      'USAGE Unknown command "invit" of tunl edge, nearest is edge invite / Run tunl edge --help',
    );
    // What is refused itself is no help.
    expect(refusal("route ls")).toBe(
      'USAGE Unknown command "ls" of tunl route, nearest is route list / Run tunl route --help',
    );
    expect(refusal("grant a b")).toBe('USAGE Unknown command "grant" / Write tunl edge grant');
    expect(refusal("list")).toBe(
      'USAGE Unknown command "list" / Write tunl tunnel list or tunl route list',
    );
    expect(refusal("edge status")).toBe(
      'USAGE Unknown command "status" of tunl edge / Write tunl status',
    );
    expect(refusal("frobnicate")).toBe('USAGE Unknown command "frobnicate" / Run tunl --help');
  });

  test("arguments too many are refused, a join line without its flag most of all", () => {
    expect(refusal("connect 1 2")).toBe(
      'USAGE tunl connect takes one argument, but got "2" too / Run tunl connect --help',
    );
    expect(refusal("status now")).toBe(
      'USAGE tunl status takes no argument, but got "now" / Run tunl status --help',
    );
    const joined = refusal("connect tunl://example.com/k5xq/secret");
    expect(joined).toBe(
      "USAGE A join line is no argument of tunl connect / Write tunl connect TARGET --join tunl://HOST[:PORT]/FINGERPRINT/CODE",
    );
  });

  test("the normal form means the same and holds nothing that citty could misread", () => {
    for (const line of [
      "connect 8000 --host a --host b --no-tls-verify",
      "edge --http off --domain a",
      "--log-level debug edge invite --json",
      "connect -- --odd",
    ]) {
      const normal = normalArguments(readArguments(line.split(" ")));
      expect(
        normal.filter(
          (word) =>
            word.startsWith("--") && !word.includes("=") && word !== "--" && word !== "--odd",
        ),
      ).toEqual([]);
      const invocation = readArguments(line.split(" "));
      expect(readArguments([...(invocation.command ?? "").split(" "), ...normal])).toEqual(
        invocation,
      );
    }
  });
});
