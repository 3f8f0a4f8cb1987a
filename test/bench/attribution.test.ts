import { describe, expect, it } from 'vitest';
import { nameOf, parseCompiledCode, parsePerfScript, placeOf } from './attribution.ts';
import { parseCpuProfile } from './cpuprofile.ts';

const DAEMONS = new Set([101, 102]);
const NODE = '/usr/bin/node';

describe('the place of a sample', () => {
  it.each([
    ['MainThread', 101, 'ffffffff812faf53', '_copy_from_iter', '[kernel.kallsyms]', 'kernel'],
    ['MainThread', 101, 'ffffffffc0101000', 'tun_get_user', '[tun]', 'kernel'],
    ['node', 102, '1d036e0', 'ChaCha20_16x', NODE, 'crypto'],
    ['node', 102, '1d036e0', 'poly1305_blocks_vpmadd52_8x', NODE, 'crypto'],
    ['node', 102, '1d036e0', 'EVP_CipherUpdate', NODE, 'crypto'],
    ['node', 102, '1d036e0', 'v8::internal::FunctionCallbackArguments::Call', NODE, 'glue'],
    ['node', 102, '1d036e0', 'v8impl::(anonymous namespace)::FunctionCallback', NODE, 'glue'],
    ['node', 102, '1d036e0', 'Builtins_LoadIC', NODE, 'glue'],
    ['node', 102, '7f01', '[unknown]', '/app/node_modules/koffi.node', 'glue'],
    ['node', 102, '7f02', '__memmove_avx512_unaligned_erms', '/lib/libc.so.6', 'glue'],
    ['node', 102, '1d0', 'Builtins_LdaZeroHandler', NODE, 'JavaScript and WebAssembly'],
    ['node', 101, '7fab', '[unknown]', '//anon', 'JavaScript and WebAssembly'],
    ['node', 101, '7fab', '[unknown]', '[JIT] tid 101', 'JavaScript and WebAssembly'],
    ['node', 101, '7fab', 'JS:*seal', '/tmp/perf-7.map', 'JavaScript and WebAssembly'],
    ['node', 999, '7fab', '[unknown]', '//anon', 'other programs'],
    [
      'iperf3',
      300,
      'ffffffff812faf53',
      'tcp_sendmsg',
      '[kernel.kallsyms]',
      'iperf3 and its kernel work',
    ],
    ['swapper', 0, 'ffffffff821f236b', 'pv_native_safe_halt', '[kernel.kallsyms]', null],
    ['swapper', 0, 'ffffffff821f236b', 'handle_softirqs', '[kernel.kallsyms]', 'kernel'],
    ['a program', 7, '1000', 'main', '/usr/bin/a (deleted)', 'other programs'],
  ] as const)('%s %d %s %s (%s): %s', (command, pid, address, symbol, object, place) => {
    const line = `${command.padStart(15)} ${pid}     ${address} ${symbol} (${object})`;
    const samples = parsePerfScript(`${line}\n\n`);
    expect(samples).toHaveLength(1);
    expect(samples[0]).toMatchObject({ command, pid, object });
    expect(placeOf(samples[0], DAEMONS)).toBe(place);
  });

  it('passes over lines that are no samples', () => {
    expect(parsePerfScript('# a comment\n\nsomething else\n')).toEqual([]);
  });
});

describe("V8's map of compiled code", () => {
  it('names the newest code at an address', () => {
    const codes = parseCompiledCode(
      '1000 20 JS:~old file.js:1:1\n0x1010 10 JS:*new file.js:2:2\ngarbage\n',
    );
    expect(nameOf(0x1004n, codes)).toBe('JS:~old file.js:1:1');
    expect(nameOf(0x1010n, codes)).toBe('JS:*new file.js:2:2');
    expect(nameOf(0x1020n, codes)).toBe('[compiled code]');
  });
});

describe("V8's own profile", () => {
  it('is summed up by kind', () => {
    const frame = (functionName: string, url = '') => ({ functionName, url });
    const nodes = [
      { id: 1, callFrame: frame('(root)') },
      { id: 2, callFrame: frame('(idle)') },
      { id: 3, callFrame: frame('(program)') },
      { id: 4, callFrame: frame('(garbage collector)') },
      { id: 5, callFrame: frame('seal', 'file:///seal.js') },
      { id: 6, callFrame: frame('wasm-function[1]', 'wasm://wasm/1') },
    ];
    const samples = [2, 3, 3, 4, 5, 6, 5];
    const timeDeltas = [1000, 2000, 3000, 4000, 5000, 6000, 500];
    expect(parseCpuProfile(JSON.stringify({ nodes, samples, timeDeltas }))).toEqual({
      idleMs: 1,
      nativeMs: 5,
      collectorMs: 4,
      scriptMs: 5.5,
      webAssemblyMs: 6,
      functions: new Map([['seal seal.js', 5.5]]),
    });
  });
});
