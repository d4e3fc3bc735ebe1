// This file is the services an origin is made of, under the names the connector has for them.
import type { HttpService, StaticService, UnixService } from "../config/index.ts";

export { parseTarget, type Target } from "../config/index.ts";
export type HttpTarget = HttpService;
export type UnixTarget = UnixService;
export type StaticTarget = StaticService;
