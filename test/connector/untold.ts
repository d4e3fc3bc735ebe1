// This file is the troubles of an origin in tests that look elsewhere.
import { Troubles } from "../../src/connector/trouble.ts";

/** They are told to nobody. */
export function untold(): Troubles {
  return new Troubles({ target: undefined, keepsHost: true, source: "flags" }, () => undefined);
}
