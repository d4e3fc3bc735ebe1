// This file is what a caller is told of the certificate of a name: `certificate` events. http.md §5.4.
import { messageOf } from "../../errors.ts";
import type { CallBody } from "../../exchange/index.ts";
import type { CertificateSource } from "../certificates/index.ts";
import { shortText } from "./body.ts";

const DAY_MS = 86_400_000;

/**
 * Tells that the certificate of a wanted name is pending, and then what came of it; of one that is there already there
 * is nothing to tell.
 *
 * `ms` of a ready one is how long it took from now on.
 */
export function tellCertificate(
  source: CertificateSource,
  host: string,
  tell: (body: CallBody) => void,
): void {
  const startedAt = performance.now();
  if (source.state(host).state === "ready") return;
  tell({ host, state: "pending" });
  source
    .ready(host)
    .then(() => tell(readyBody(source, host, Math.round(performance.now() - startedAt))))
    .catch((error: unknown) => tell({ host, state: "failed", text: textOf(error) }));
}

function readyBody(source: CertificateSource, host: string, ms: number): CallBody {
  const { notAfter } = source.state(host);
  const days = notAfter === undefined ? undefined : Math.floor((notAfter - Date.now()) / DAY_MS);
  return { host, state: "ready", ms, ...(days !== undefined && { days }) };
}

function textOf(error: unknown): string {
  return shortText(messageOf(error));
}
