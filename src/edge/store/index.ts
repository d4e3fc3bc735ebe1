/**
 * What the edge must not forget: tunnels, accounts, public keys, codes as hashes, hostnames, audit.
 *
 * Small, precious, rarely written. SQLite runs in a worker and every change is awaited; what traffic needs is
 * read from `Snapshot`, in memory and synchronous, so nothing on a visitor's path ever waits for a disk. The
 * store decides nothing about names beyond "first come": the rules stand in `route/grants.ts`.
 * Start reading in `store.ts`, then `state.ts`, which opens everything at the start of an edge.
 *
 * @module
 */
export { assertWhole } from "./asked.ts";
export { openState } from "./state.ts";
export type { EdgeState } from "./state.ts";
export { openStore } from "./worker-store.ts";
export type {
  CodeOrder,
  EnrolRequest,
  HostOwner,
  IssuedCode,
  KeyOrder,
  Store,
  StoreCondition,
  StoreOptions,
  TunnelChanges,
  TunnelOrder,
} from "./store.ts";
export { Snapshot, type SnapshotEvents } from "./snapshot.ts";
export { isEnded } from "./keys.ts";
export { Repair } from "./repair.ts";
export type { Repaired, RepairPlan } from "./repair.ts";
export type {
  AccountRow,
  AuditRow,
  By,
  Change,
  CodeRow,
  Enrolled,
  HostProof,
  HostRow,
  KeyRow,
  MadeRecord,
  MadeTunnel,
  Owner,
  Refusal,
  Rotated,
  TunnelRow,
} from "./records.ts";
