// This file is what is seen of both ends during the soak: the highest mark of every table, and resident memory over the time.
import { connectorFigures, edgeFigures, type Figures } from "../rig/figures.ts";
import type { Edge } from "../rig/pair.ts";
import { memoryOf } from "../rig/process-figures.ts";
import type { SoakTunnel } from "./stage.ts";
import type { Sample } from "./trend.ts";

const LOOK_MS = 500;

type Marks = Map<string, number>;

/** Looks at the edge and at the connector that is never disturbed, twice a second. */
export class SoakWatch {
  /** Resident bytes by process. */
  readonly memory = { edge: [] as Sample[], connector: [] as Sample[] };
  readonly marks = { edge: new Map() as Marks, connector: new Map() as Marks };
  readonly #edge: Edge;
  readonly #steady: SoakTunnel;
  #isOver = false;
  readonly #work: Promise<void>;

  constructor(edge: Edge, steady: SoakTunnel) {
    this.#edge = edge;
    this.#steady = steady;
    this.#work = this.#run();
  }

  /** @throws Error if an end could not be asked. */
  async finish(): Promise<void> {
    this.#isOver = true;
    await this.#work;
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      const { program, home } = this.#steady.connector;
      const at = performance.now();
      this.memory.edge.push({ at, value: memoryOf(this.#edge.program.pid).rss });
      this.memory.connector.push({ at, value: memoryOf(program.pid).rss });
      note(this.marks.edge, await edgeFigures(this.#edge.home));
      note(this.marks.connector, await connectorFigures(home, program.pid));
      await Bun.sleep(LOOK_MS);
    }
  }
}

function note(marks: Marks, { tables, bytes }: Figures): void {
  for (const [name, value] of [...Object.entries(tables), ...Object.entries(bytes)])
    marks.set(name, Math.max(marks.get(name) ?? 0, value));
}
