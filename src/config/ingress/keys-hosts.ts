// This file is the keys of `hosts` and `ports` in `config.yml`, which a later version serves: judged here, refused at the start. product.md §3.2, §3.5.
import type { KeyMap, KeyRow, Shape } from "./shape.ts";
import {
  BOOLEAN,
  DURATION,
  HONOURED,
  list,
  OPTIONAL_PATH,
  OPTIONAL_TEXT,
  PATH,
  TEXT,
  value,
} from "./shape.ts";

/** Keys of a map whose key is refused as a whole need no effects and no words of their own. */
function keys(name: string, shapes: Readonly<Record<string, Shape>>, isStrict = false): KeyMap {
  const rows = Object.entries(shapes).map(([key, shape]): KeyRow => ({
    name: key,
    shape,
    effect: HONOURED,
    about: "",
  }));
  return { name, rows, isStrict };
}

function map(of: KeyMap): Shape {
  return { is: "map", of };
}

function choice(...choices: string[]): Shape {
  return value("choice", { choices });
}

const COUNT = value("integer", { min: 0 });
const SIZE = value("size", { min: 0 });
const TEXTS = list(TEXT);
const CIDRS = list(value("cidr"));

export const BALANCE: KeyMap = keys("balance", {
  strategy: choice("least-streams", "round-robin", "random", "first"),
  sticky: choice("none", "cookie", "ip"),
  retries: value("integer", { min: 0, max: 10 }),
});

export const HEALTH: KeyMap = keys("health", {
  type: choice("http", "tcp"),
  path: TEXT,
  interval: DURATION,
  timeout: DURATION,
  fall: COUNT,
  rise: COUNT,
  expect: TEXT,
});

const POLICY: KeyMap = keys(
  "access",
  {
    ip: map(keys("ip", { allow: CIDRS, deny: CIDRS }, true)),
    country: map(keys("country", { database: OPTIONAL_PATH, allow: TEXTS, deny: TEXTS }, true)),
    mtls: map(keys("mtls", { ca: OPTIONAL_PATH, names: TEXTS, crl: OPTIONAL_PATH }, true)),
    any: list(
      map(
        keys(
          "any",
          {
            basic: map(keys("basic", { usersFile: PATH }, true)),
            login: map(
              keys("login", { provider: TEXT, emails: TEXTS, domains: TEXTS, groups: TEXTS }, true),
            ),
            pin: map(keys("pin", { emails: TEXTS }, true)),
            tokens: TEXTS,
            share: BOOLEAN,
            webhook: map(
              keys(
                "webhook",
                {
                  scheme: choice(
                    ..."github stripe slack standard gitlab shopify twilio hmac".split(" "),
                  ),
                  secretFile: PATH,
                  path: TEXT,
                  methods: TEXTS,
                },
                true,
              ),
            ),
          },
          true,
        ),
      ),
    ),
    bypass: list(map(keys("bypass", { path: TEXT, methods: TEXTS, ip: CIDRS }, true))),
    lifetime: map(keys("lifetime", { absolute: DURATION, idle: DURATION }, true)),
    identityHeaders: BOOLEAN,
    forward: BOOLEAN,
  },
  true,
);

const HEADER_CHANGES = map(
  keys("headers", { set: { is: "named", kind: "text", of: OPTIONAL_TEXT }, remove: TEXTS }),
);

const HOST: KeyMap = {
  ...keys("hosts", {
    balance: map(BALANCE),
    health: map(HEALTH),
    hold: DURATION,
    http: choice("redirect", "serve", "close"),
    hsts: value("duration", { min: 0, canBeOff: true }),
    headers: map(keys("headers", { request: HEADER_CHANGES, response: HEADER_CHANGES })),
    limits: map(
      keys("limits", {
        concurrent: COUNT,
        bodyBytes: SIZE,
        requests: map(
          keys("requests", {
            rate: value("rate"),
            burst: COUNT,
            key: choice("ip", "user", "token", "host"),
          }),
        ),
        bandwidth: SIZE,
      }),
    ),
    timeouts: map(
      keys("timeouts", {
        firstByte: DURATION,
        bodyIdle: DURATION,
        writeStall: DURATION,
        upgradeIdle: DURATION,
      }),
    ),
    underscoreHeaders: choice("drop", "keep", "reject"),
    pages: map(
      keys("pages", { offline: OPTIONAL_PATH, error: OPTIONAL_PATH, maintenance: BOOLEAN }),
    ),
  }),
};

const ACCESS_ROW: KeyRow = {
  name: "access",
  shape: { is: "either", of: [TEXT, map(POLICY)] },
  effect: HONOURED,
  about: "",
  isDoor: true,
};

export const HOSTS: Shape = {
  is: "named",
  kind: "pattern",
  of: map({ ...HOST, rows: [ACCESS_ROW, ...HOST.rows] }),
};

const PUBLIC_PORT = value("integer", { min: 1, max: 65_535, canBeAuto: true });

export const PORTS: Shape = list(
  map(
    keys("ports", {
      tcp: PUBLIC_PORT,
      udp: PUBLIC_PORT,
      service: TEXT,
      proxyProtocol: choice("off", "v1", "v2"),
    }),
  ),
);
