// This file is the entry of the store's worker: messages in, transactions, messages out. reliability.md §4 item 1; platform.md §9.
import { TunlError } from "../../errors.ts";
import { newestWhole } from "./inspect.ts";
import type { FromWorker, ToWorker } from "./messages.ts";
import { packError } from "./messages.ts";
import { SqliteState } from "./sqlite.ts";

declare const self: Worker;

let state: SqliteState | undefined;

self.onmessage = (event: MessageEvent<ToWorker>): void => {
  const message = event.data;
  switch (message.type) {
    case "open":
      answer(
        () => {
          const { directory, isExpected, now } = message;
          state = SqliteState.open(directory, isExpected, now);
          return { type: "opened", rows: state.rows(), newestBackup: newestWhole(directory) };
        },
        (error) => ({ type: "refused", error }),
      );
      return;
    case "call":
      answer(
        () => {
          const { id, name, body, now } = message;
          return { type: "done", id, ...opened().run(name, body, now) };
        },
        (error) => ({ type: "failed", id: message.id, error }),
      );
      return;
    case "backUp":
      answer(
        () => {
          const { id, now } = message;
          return { type: "done", id, value: opened().backUp(now), changes: [] };
        },
        (error) => ({ type: "failed", id: message.id, error }),
      );
      return;
    case "close":
      answer(
        () => {
          state?.[Symbol.dispose]();
          state = undefined;
          return { type: "closed", error: undefined };
        },
        (error) => ({ type: "closed", error }),
      );
      return;
    default:
      message satisfies never;
  }
};

function opened(): SqliteState {
  if (state === undefined) throw new TunlError("STORE_FAILED", "Store is closed");
  return state;
}

/** A failure is an answer as well: nothing that happens to one change ends the worker. */
function answer(
  work: () => FromWorker,
  refuse: (error: ReturnType<typeof packError>) => FromWorker,
): void {
  let reply: FromWorker;
  try {
    reply = work();
  } catch (error) {
    reply = refuse(packError(error));
  }
  self.postMessage(reply);
}

// Spoken first: until it is heard, nobody knows that the file behind the URL was found and runs.
self.postMessage({ type: "hello" } satisfies FromWorker);
