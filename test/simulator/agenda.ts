/**
 * What is to happen, and when: a heap ordered by virtual time, then by the order of asking, so
 * that equal times never depend on anything but the scenario.
 */

interface Entry {
  readonly at: number;
  readonly number: number;
  readonly action: () => void;
}

export class Agenda {
  readonly #heap: Entry[] = [];
  #asked = 0;

  /** `at`: virtual ms. */
  add(at: number, action: () => void): void {
    const entry = { at, number: this.#asked++, action };
    const heap = this.#heap;
    let place = heap.length;
    heap.push(entry);
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (!isBefore(entry, heap[parent])) break;
      heap[place] = heap[parent];
      place = parent;
    }
    heap[place] = entry;
  }

  /** When the first entry is due; Infinity when there is none. */
  get next(): number {
    return this.#heap.length === 0 ? Number.POSITIVE_INFINITY : this.#heap[0].at;
  }

  /** Takes the first entry out and returns what to do; ask `next` before. */
  take(): () => void {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop()!;
    if (heap.length === 0) return first.action;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1], heap[child])) child++;
      if (!isBefore(heap[child], last)) break;
      heap[place] = heap[child];
      place = child;
    }
    heap[place] = last;
    return first.action;
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.number < b.number);
}
