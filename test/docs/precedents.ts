// This file is the faults of other programs that tunl must not have: each has a test whose title ends in its identifier.

interface Precedent {
  readonly id: string;
  /** Whose fault it was. */
  readonly who: string;
  /** The requirement that keeps it out. */
  readonly rule: string;
}

/** What this version can be held against. */
export const PRECEDENTS: readonly Precedent[] = [
  { id: "CVE-2025-55315", who: "Kestrel", rule: "S-03" },
  { id: "CVE-2025-22871", who: "Go", rule: "S-03" },
  { id: "CVE-2023-25725", who: "HAProxy", rule: "S-02" },
  { id: "CVE-2023-40225", who: "HAProxy", rule: "S-01" },
  { id: "CVE-2021-40346", who: "HAProxy", rule: "S-02" },
  { id: "CVE-2023-45539", who: "HAProxy", rule: "S-36" },
  { id: "CVE-2026-33555", who: "HAProxy", rule: "S-10" },
  { id: "CVE-2026-1525", who: "undici", rule: "S-05" },
  { id: "OpenLiteSpeed issue 392", who: "OpenLiteSpeed", rule: "S-05" },
  { id: "CVE-2026-100666", who: "Netty", rule: "S-08" },
  { id: "Traefik 3.6.25", who: "Traefik", rule: "S-06" },
  { id: "CVE-2026-27588", who: "Caddy", rule: "S-21" },
  { id: "CVE-2018-19148", who: "Caddy", rule: "S-22" },
  { id: "GHSA-9cr8", who: "Traefik", rule: "S-23" },
  { id: "CVE-2025-23419", who: "nginx", rule: "S-23" },
  { id: "CVE-2025-23048", who: "Apache", rule: "S-23" },
  { id: "CVE-2026-49353", who: "gates by Host", rule: "S-26" },
  { id: "CVE-2026-40910", who: "frp", rule: "S-29" },
  { id: "CVE-2026-3209", who: "Pangolin", rule: "S-29" },
  { id: "CVE-2026-40575", who: "oauth2-proxy", rule: "S-29" },
  { id: "CVE-2026-41059", who: "oauth2-proxy", rule: "S-29" },
  { id: "GHSA-7rh7", who: "oauth2-proxy", rule: "S-29" },
  { id: "CVE-2024-45410", who: "Traefik", rule: "S-32" },
  { id: "CVE-2026-33433", who: "Traefik", rule: "S-30" },
  { id: "GHSA-5m6w-wvh7-57vm", who: "Traefik", rule: "S-30" },
  { id: "dot alias", who: "Traefik", rule: "S-30" },
  { id: "CVE-2024-47070", who: "authentik", rule: "S-33" },
  { id: "CVE-2019-9901", who: "Envoy", rule: "S-37" },
  { id: "CVE-2021-29492", who: "Envoy", rule: "S-37" },
  { id: "CVE-2026-47676", who: "Hono", rule: "S-37" },
  { id: "CVE-2025-32431", who: "Traefik", rule: "S-37" },
  { id: "GHSA-vrch", who: "Traefik", rule: "S-37" },
  { id: "GHSA-gm3x", who: "Traefik", rule: "S-37" },
  { id: "CVE-2026-40912", who: "Traefik", rule: "S-37" },
  { id: "CVE-2024-32984", who: "rust-yamux", rule: "S-48" },
  { id: "CVE-2023-49295", who: "quic-go", rule: "S-48" },
  { id: "CVE-2024-22189", who: "quic-go", rule: "S-48" },
  { id: "CVE-2026-32314", who: "rust-yamux", rule: "S-45" },
  { id: "rabbitmq-c 899", who: "rabbitmq-c", rule: "S-45" },
  { id: "frp 5526", who: "frp", rule: "S-49" },
  { id: "GHSA-24fp-5v3p-rvpw", who: "chisel", rule: "A-08" },
  { id: "CVE-2024-43798", who: "chisel", rule: "S-72" },
  { id: "CVE-2025-56332", who: "Pangolin", rule: "S-72" },
  { id: "sish 173", who: "sish", rule: "S-72" },
  { id: "GHSA-c4j6-fc7j-m34r", who: "Next.js", rule: "S-51" },
  { id: "CVE-2026-40302", who: "zrok", rule: "S-70" },
  { id: "CVE-2020-24356", who: "cloudflared", rule: "S-74" },
  { id: "CVE-2026-39409", who: "Hono", rule: "S-33" },
];

/** What is not in this version, in a word: whoever builds it moves its precedents up. */
export const LATER: Readonly<Record<string, readonly string[]>> = {
  http2: [
    "CVE-2023-44487",
    "CVE-2025-8671",
    "VU#421644",
    ...Array.from({ length: 8 }, (_, index) => `CVE-2019-${9_511 + index}`),
    "CVE-2026-49975",
    "CVE-2025-64702",
    "CVE-2026-40898",
  ],
  http3: ["GHSA-7ghq"],
  mtls: ["CVE-2026-27586"],
  policies: ["CVE-2026-27585", "CVE-2026-27587", "GHSA-gx7w"],
  prefixes: ["GHSA-xf64", "CVE-2026-65600"],
  dashboard: ["CVE-2025-49596", "CVE-2026-27589", "CVE-2026-40303"],
  inspector: ["CVE-2026-22036"],
  directories: ["CVE-2026-42275"],
  proxyProtocol: ["HAProxy PROXY v2 TLV"],
};
