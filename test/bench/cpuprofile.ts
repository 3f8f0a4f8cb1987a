/**
 * The reading of V8's own profiles (`node --cpu-prof`), for machines without perf: how much of the
 * time JavaScript, WebAssembly and the garbage collector took. V8 sees no native code: the cipher
 * and the system calls count for the function that called them. Pure.
 */

export interface ScriptTime {
  /** Milliseconds; with the native code that JavaScript calls. */
  readonly scriptMs: number;
  readonly webAssemblyMs: number;
  readonly collectorMs: number;
  readonly idleMs: number;
  /** The event loop and V8 itself. */
  readonly nativeMs: number;
  /** Of scriptMs, by function. */
  readonly functions: ReadonlyMap<string, number>;
}

type Kind = Exclude<keyof ScriptTime, 'functions'>;

interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string };
  }[];
  readonly samples: readonly number[];
  /** Microseconds between a sample and the one before. */
  readonly timeDeltas: readonly number[];
}

const US_PER_MS = 1_000;

const PSEUDO_FUNCTIONS: Readonly<Record<string, Kind>> = {
  '(idle)': 'idleMs',
  '(program)': 'nativeMs',
  '(root)': 'nativeMs',
  '(garbage collector)': 'collectorMs',
};

export function parseCpuProfile(json: string): ScriptTime {
  const profile = JSON.parse(json) as Profile;
  const frames = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame]));
  const times = { scriptMs: 0, webAssemblyMs: 0, collectorMs: 0, idleMs: 0, nativeMs: 0 };
  const functions = new Map<string, number>();
  profile.samples.forEach((id, index) => {
    const frame = frames.get(id) ?? { functionName: '(program)', url: '' };
    const ms = (profile.timeDeltas[index] ?? 0) / US_PER_MS;
    const kind = kindOf(frame);
    times[kind] += ms;
    if (kind !== 'scriptMs') return;
    const name = `${frame.functionName} ${frame.url.slice(frame.url.lastIndexOf('/') + 1)}`.trim();
    functions.set(name, (functions.get(name) ?? 0) + ms);
  });
  return { ...times, functions };
}

function kindOf(frame: { functionName: string; url: string }): Kind {
  if (frame.url.startsWith('wasm://')) return 'webAssemblyMs';
  return PSEUDO_FUNCTIONS[frame.functionName] ?? 'scriptMs';
}
