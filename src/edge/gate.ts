// This file is the gate of the edge: who may have a session, answered from the store. session/gate.ts; PROTOCOL §3.1; http.md §5.4.
import { bug, TunlError } from "../errors.ts";
import { fingerprintOf } from "../identity/index.ts";
import type { Logger } from "../log.ts";
import type { Admission, Enrolment, Gate } from "../session/index.ts";
import { isEnded, type KeyRow, type Owner, type Store } from "./store/index.ts";

/** Bound of `application` in READY (PROTOCOL §2.2). */
const MAX_READY_APPLICATION = 16_384;
const MAX_LABEL = 64;

export type GateOptions = {
  readonly store: Store;
  readonly log: Logger;
  /** Told to connectors, the edge's own name first. */
  readonly domains: readonly string[];
  /** The port visitors use; asked at each admission, for it may be known only after listening. */
  readonly publicPort: () => number;
};

/** JSON of AUTH and ENROLL, as far as it is of use; everything in it is a stranger's wish. */
type Application = { readonly label: string; readonly for: Owner["kind"] | undefined };

/** Makes the gate. Reasons of refusals go to the log only: the wire has one answer for all. */
export function createGate(options: GateOptions): Gate {
  return new StoreGate(options);
}

class StoreGate implements Gate {
  readonly #options: GateOptions;

  constructor(options: GateOptions) {
    this.#options = options;
  }

  admit(publicKey: Uint8Array): Admission | undefined {
    const { store, log } = this.#options;
    const key = store.snapshot.key(publicKey);
    if (key === undefined) {
      const fingerprint = fingerprintOf(publicKey);
      log.warn("auth.refused", `Refused the key ${fingerprint}, which is not registered`, {
        key: fingerprint,
      });
      return undefined;
    }
    if (isEnded(key, store.now())) {
      const how = key.revokedAt === undefined ? "expired" : "revoked";
      // The tunnel of a revoked key may be deleted, and its name another one's.
      const name = this.#ownerOf(key.owner)?.name ?? key.owner.id;
      log.warn(
        "auth.refused",
        `Refused the ${how} key "${key.keyId}" of ${key.owner.kind} "${name}"`,
        { keyId: key.keyId },
      );
      return undefined;
    }
    return this.#admission(key.owner, this.#nameOf(key.owner), key);
  }

  /** @throws TunlError of the store: nothing was decided, so the other end may try again. */
  async enrol(enrolment: Enrolment): Promise<Admission | undefined> {
    const { store, log } = this.#options;
    const application = parseApplication(enrolment.application);
    const kind = application.for;
    if (kind === undefined) {
      log.warn("enrol.refused", "Refused an enrolment that does not say for what", {
        name: printable(enrolment.name),
      });
      return undefined;
    }
    const label = application.label === "" ? enrolment.name : application.label;
    const { key: publicKey, code, name } = enrolment;
    const outcome = await store.enrol({ publicKey, code, kind, name, label });
    if (outcome.state === "refused") {
      const fields = { reason: outcome.reason, kind, name: printable(name) };
      log.warn(
        "enrol.refused",
        `Refused a ${kind === "account" ? "login" : "join"} line: ${REASONS[outcome.reason]}`,
        fields,
      );
      return undefined;
    }
    const { owner, keyId, isRepeat } = outcome;
    const what = `Key "${keyId}" of ${owner.kind} "${outcome.name}"`;
    log.info("enrolled", isRepeat ? `${what} repeated its line` : `${what} joined`, {
      [owner.kind]: outcome.name,
      keyId,
    });
    const { scope = [] } = store.snapshot.key(publicKey) ?? {};
    return this.#admission(owner, outcome.name, { keyId, scope });
  }

  #nameOf(owner: Owner): string {
    return this.#ownerOf(owner)?.name ?? bug(`key without its ${owner.kind} ${owner.id}`);
  }

  #ownerOf(owner: Owner): { readonly name: string } | undefined {
    const { snapshot } = this.#options.store;
    return owner.kind === "tunnel" ? snapshot.tunnel(owner.id) : snapshot.account(owner.id);
  }

  #admission(owner: Owner, name: string, key: Pick<KeyRow, "keyId" | "scope">): Admission {
    const { domains, publicPort } = this.#options;
    const { keyId, scope } = key;
    const told = { keyId, domains, publicPort: publicPort() };
    const ready =
      owner.kind === "tunnel"
        ? { tunnel: { id: owner.id, name }, ...told }
        : { tunnel: null, account: name, ...told, scope };
    const application = Buffer.from(JSON.stringify(ready));
    if (application.length > MAX_READY_APPLICATION) {
      throw new TunlError(
        "INTERNAL_ERROR",
        `READY needs ${application.length} bytes for ${domains.length} domains, allowed 16384`,
      );
    }
    return { kind: owner.kind, id: owner.id, name, keyId, application };
  }
}

const REASONS = {
  unknownCode: "no such code was made here",
  expiredCode: "its code has expired",
  usedCode: "its code was used by another key; if that was not you, revoke that key",
  otherKind: "it was given to the wrong command; its code is unused",
  revokedKey: "the key was revoked",
  registeredKey: "the key is registered by another code",
} as const;

function parseApplication(bytes: Uint8Array): Application {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    // Not JSON: as good as saying nothing, which is refused where something is needed.
    value = undefined;
  }
  const fields: { label?: unknown; for?: unknown } =
    typeof value === "object" && value !== null ? value : {};
  const label =
    typeof fields.label === "string" && fields.label.length <= MAX_LABEL ? fields.label : "";
  return {
    label,
    for: fields.for === "tunnel" || fields.for === "account" ? fields.for : undefined,
  };
}

/** A stranger's text in a log line: no control characters that a terminal would obey. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, "?").slice(0, MAX_LABEL);
}
