/** What the kernel runs for the gate, and the memory that it shares with us. */

import { random } from '../sys/clock.ts';
import { close } from '../sys/libc.ts';
import { type BpfRefusal, loadFilter, openBoard } from './bpf.ts';
import { BOARD_BYTES, createHashKeys, FloodBoard } from './floodboard.ts';
import { createFloodFilter } from './floodfilter.ts';

export interface Machinery {
  /** Of no use after `close`, which takes its memory away: nobody may look at it then. */
  readonly board: FloodBoard;
  /** Descriptors of the filters, by the family of the sockets that they are for. */
  readonly filters: Readonly<Record<4 | 6, number>>;
  /** What is attached to sockets holds until these are closed. */
  readonly close: () => void;
}

/** Takes root, or a capability. What was refused leaves nothing open. */
export function openMachinery(): Machinery | BpfRefusal {
  const board = openBoard(BOARD_BYTES);
  if ('refusal' in board) return board;
  const keys = createHashKeys(random);
  const v4 = loadFilter(createFloodFilter(4, board.fd, keys));
  const v6 = loadFilter(createFloodFilter(6, board.fd, keys));
  // The programs and the mapping hold it.
  close(board.fd);
  const end = (): void => {
    for (const filter of [v4, v6]) if (typeof filter === 'number') close(filter);
    board.release();
  };
  const fail = (refusal: BpfRefusal): BpfRefusal => {
    end();
    return refusal;
  };
  if (typeof v4 !== 'number') return fail(v4);
  if (typeof v6 !== 'number') return fail(v6);
  return { board: new FloodBoard(board.memory, keys), filters: { 4: v4, 6: v6 }, close: end };
}
