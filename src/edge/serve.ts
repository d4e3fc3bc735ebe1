// This file is where a visitor's request leads: its hostname to a tunnel, the grant, a session, or an answer of our own. http.md §6, §13.
import { Pipeline, type ServeOptions } from "./pipeline.ts";
import type { AnswerCode } from "./reply.ts";
import type { LiveSession } from "./route/index.ts";
import { sendAnswer, ServedRequest } from "./served-request.ts";
import type { Serve } from "./visit.ts";

/** A session of the tunnel that has the name now: the grant is asked on every stream, not only at the announcement. */
function findSession({ options }: Pipeline, host: string): LiveSession | AnswerCode {
  const tunnel = options.grants.ownerOf(host);
  if (tunnel === undefined) return "NO_ROUTE";
  return options.registry.pick(tunnel, host) ?? "TUNNEL_OFFLINE";
}

/** The pipeline of one edge. */
export interface Service {
  readonly serve: Serve;
  /** Requests in progress. */
  readonly inProgress: number;
  /** Of them, those that wait for stream credit, and whole ones whose first response message is due. */
  readonly waiting: number;
  readonly unanswered: number;
}

export function createService(options: ServeOptions): Service {
  const pipeline = new Pipeline(options);
  return {
    get inProgress() {
      return pipeline.inProgress;
    },
    get waiting() {
      return pipeline.waiting;
    },
    get unanswered() {
      return pipeline.awaiting.size;
    },
    serve: (visit) => {
      const { host } = visit.request;
      const found = findSession(pipeline, host);
      if (typeof found === "string") sendAnswer(visit, found);
      else if (!pipeline.begin(host)) sendAnswer(visit, "HOST_BUSY");
      else new ServedRequest(pipeline, visit, found).start();
    },
  };
}
