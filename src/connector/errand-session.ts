// This file is the session of a command: one errand on a link of its own, ended by CLOSE, so that the edge does not take it for a lost link.
import type { Socket } from "node:net";
import type { Deadlines } from "../deadlines.ts";
import {
  type ConnectedLink,
  DEFAULT_PARAMETERS,
  ProcessBudget,
  Session,
  SESSION_CODES,
  type SessionStatus,
} from "../session/index.ts";

/** How long the end of the session may take to leave, ms. */
const CLOSE_MS = 500;

export interface ErrandEvents {
  /** The session ended, by whichever side. */
  closed(status: Extract<SessionStatus, { name: "closed" }>): void;
  /** A fault of this program. */
  fault(error: unknown): void;
}

/** A session on a live link; the caller attaches it. */
export function errandSession(link: ConnectedLink, version: string, events: ErrandEvents): Session {
  return new Session(
    {
      side: "connector",
      local: { ...DEFAULT_PARAMETERS.connector, resumeMs: 0, software: `tunl ${version}` },
      remote: link.parameters,
      trace: SILENT,
      budget: new ProcessBudget(),
      isTuning: false,
    },
    {
      // The edge opens streams for visitors; this end serves none.
      accept: () => undefined,
      status: (status) => {
        if (status.name === "closed") events.closed(status);
      },
      fault: (error) => events.fault(error),
    },
  );
}

/** Says why it ends, and waits until the link is gone; a peer that does not take the CLOSE is not waited for. */
export async function endErrand(
  session: Session,
  link: ConnectedLink,
  deadlines: Deadlines,
  reason: string,
): Promise<void> {
  if (!session.isClosed) session.close(SESSION_CODES.NO_ERROR.code, reason);
  // CLOSE leaves with the next batch.
  const end = deadlines.schedule(CLOSE_MS, () => link.socket.destroy());
  await closed(link.socket);
  end.cancel();
}

/** Resolves when the socket is closed, also by an error: what that means for the errand is the session's to say. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.once("close", () => resolve());
  });
}

const SILENT = {
  link: () => undefined,
  stream: () => undefined,
  dropped: () => undefined,
  violation: () => undefined,
};
