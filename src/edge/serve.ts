// This file is where a visitor's request enters: it has a route and a place among those of its name, or an answer of our own. http.md §6, §13.
import { logAnswered } from "./access-log.ts";
import { Pipeline, type ServeOptions } from "./pipeline.ts";
import type { AnswerCode } from "./reply.ts";
import { sendAnswer, ServedRequest } from "./served-request.ts";
import type { Serve, Visit } from "./visit.ts";

/** Answers a request that no tunnel sees. */
function refuse({ options }: Pipeline, visit: Visit, code: AnswerCode): void {
  const bytesOut = sendAnswer(visit, code);
  if (options.accessLog) logAnswered(options.log, visit.request, code, bytesOut);
}

/** The pipeline of one edge. */
export interface Service {
  readonly serve: Serve;
  /** Requests in progress. */
  readonly inProgress: number;
  /** Of them: upgraded connections and event streams, which may last for ever. */
  readonly longLived: number;
  /** Those that wait for a session, for stream credit, and whole ones whose first response message is due. */
  readonly parked: number;
  readonly waiting: number;
  readonly unanswered: number;
  /** Names changed hands: what is in progress for a tunnel that lost its name ends. */
  revoke(): void;
  /** No session comes any more: those that wait for one are told so, and nobody waits from now on. */
  stopHolding(): void;
}

export function createService(options: ServeOptions): Service {
  const pipeline = new Pipeline(options);
  return {
    get inProgress() {
      return pipeline.inProgress;
    },
    get longLived() {
      return pipeline.longLived;
    },
    get parked() {
      return pipeline.hold.count;
    },
    get waiting() {
      return pipeline.waiting;
    },
    get unanswered() {
      return pipeline.awaiting.size;
    },
    serve: (visit) => {
      const { host } = visit.request;
      if (options.grants.ownerOf(host) === undefined) refuse(pipeline, visit, "NO_ROUTE");
      else if (pipeline.isFull(host)) refuse(pipeline, visit, "HOST_BUSY");
      else {
        const served = new ServedRequest(pipeline, visit);
        pipeline.begin(host, served);
        served.start();
      }
    },
    revoke: () => pipeline.revoke(),
    stopHolding: () => pipeline.hold.close(),
  };
}
