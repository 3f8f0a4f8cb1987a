/**
 * A table of named deadlines, a row a peer. Arming one is a store; finding the next one due is a
 * scan of one flat array, and only when something may be due. It holds numbers (ms, monotonic)
 * and knows nothing of what they mean.
 */

export const DEADLINE_NAMES = [
  'retransmitHandshake',
  'sendKeepalive',
  'newHandshake',
  'zeroKeyMaterial',
  'persistentKeepalive',
  'preferredWay',
  'condition',
] as const;

export type DeadlineName = (typeof DEADLINE_NAMES)[number];

/** Column of each name; used as `DEADLINE.sendKeepalive`. */
export const DEADLINE = {
  retransmitHandshake: 0,
  sendKeepalive: 1,
  newHandshake: 2,
  zeroKeyMaterial: 3,
  persistentKeepalive: 4,
  preferredWay: 5,
  condition: 6,
} as const satisfies Record<DeadlineName, number>;

const COLUMNS = DEADLINE_NAMES.length;
const NEVER = Number.POSITIVE_INFINITY;

export class DeadlineTable {
  #times = new Float64Array(COLUMNS * 16).fill(NEVER);
  /** Per row, no later than its earliest deadline: moved forward only when the row is visited. */
  #rowBounds = new Float64Array(16).fill(NEVER);
  #rows = 0;
  readonly #freeRows: number[] = [];
  /** No later than the earliest deadline of all. */
  #bound = NEVER;

  /** A row with nothing armed. */
  addRow(): number {
    const row = this.#freeRows.pop() ?? this.#rows++;
    if (row >= this.#rowBounds.length) this.#grow();
    return row;
  }

  removeRow(row: number): void {
    this.disarmAll(row);
    this.#freeRows.push(row);
  }

  arm(row: number, column: number, time: number): void {
    this.#times[row * COLUMNS + column] = time;
    if (time < this.#rowBounds[row]) this.#rowBounds[row] = time;
    if (time < this.#bound) this.#bound = time;
  }

  disarm(row: number, column: number): void {
    this.#times[row * COLUMNS + column] = NEVER;
  }

  disarmAll(row: number): void {
    this.#times.fill(NEVER, row * COLUMNS, (row + 1) * COLUMNS);
    this.#rowBounds[row] = NEVER;
  }

  /** When a deadline is due; Infinity when it is not armed. */
  time(row: number, column: number): number {
    return this.#times[row * COLUMNS + column];
  }

  isArmed(row: number, column: number): boolean {
    return this.#times[row * COLUMNS + column] !== NEVER;
  }

  /** No deadline is due before this time; Infinity when none is armed. May be early, never late. */
  get next(): number {
    return this.#bound;
  }

  /**
   * Disarms every deadline that is due at `now` and calls `expire(row, column)` for it, which may
   * arm and disarm as it likes; what it arms in the past waits for the next call.
   */
  expire(now: number, expire: (row: number, column: number) => void): void {
    if (now < this.#bound) return;
    this.#bound = NEVER;
    for (let row = 0; row < this.#rows; row++) {
      if (this.#rowBounds[row] <= now) {
        this.#rowBounds[row] = NEVER;
        for (let column = 0; column < COLUMNS; column++) {
          if (this.#times[row * COLUMNS + column] > now) continue;
          this.disarm(row, column);
          expire(row, column);
        }
        for (let column = 0; column < COLUMNS; column++) {
          const time = this.#times[row * COLUMNS + column];
          if (time < this.#rowBounds[row]) this.#rowBounds[row] = time;
        }
      }
      if (this.#rowBounds[row] < this.#bound) this.#bound = this.#rowBounds[row];
    }
  }

  #grow(): void {
    const rows = 2 * this.#rowBounds.length;
    const times = new Float64Array(COLUMNS * rows).fill(NEVER);
    const rowBounds = new Float64Array(rows).fill(NEVER);
    times.set(this.#times);
    rowBounds.set(this.#rowBounds);
    this.#times = times;
    this.#rowBounds = rowBounds;
  }
}
