/** A machine in memory with files of hostname.if(5), a shell and somebody to tell. */

import type { Boot, Service } from '../../src/cli/boot.ts';
import { netstart } from '../../src/cli/netstart.ts';
import { parse } from '../../src/cli/parse.ts';
import type { ShellOptions } from '../../src/host/shell.ts';
import { FakeSystem } from './fakesystem.ts';

/** A machine with files, whose shell writes down what it is to run and knows one failure. */
export class FakeBoot implements Boot {
  readonly system = new FakeSystem();
  readonly files = new Map<string, { text: string; mode?: number; owner?: number }>();
  readonly printed: string[] = [];
  readonly complaints: string[] = [];
  readonly notes: string[] = [];
  /** What the service manager was told. */
  readonly told: string[] = [];
  readonly service: Service;

  constructor(files: Record<string, string> = {}, isManaged = false) {
    this.service = {
      isManaged,
      ready: () => void this.told.push('ready'),
      status: (text) => void this.told.push(text),
    };
    for (const [name, text] of Object.entries(files)) this.files.set(name, { text });
  }

  fileNames(): string[] {
    return [...this.files.keys()].sort();
  }

  pathOf(name: string): string {
    return `/etc/hostname.${name}`;
  }

  async readFile(path: string, maxBytes: number) {
    const file = this.files.get(path.slice('/etc/hostname.'.length));
    if (file === undefined) throw Object.assign(new Error('none'), { code: 'ENOENT' });
    const { text, mode = 0o600, owner = 0 } = file;
    const bytes = Buffer.from(text).subarray(0, maxBytes);
    return { isRegular: text !== 'a folder', mode, owner, text: bytes.toString('latin1') };
  }

  async runShell(command: string, _options?: ShellOptions): Promise<string | null> {
    this.system.log.push(`! ${command}`);
    return command === 'false' ? 'exit code 1' : null;
  }

  print(line: string): void {
    this.printed.push(line);
  }

  complain(line: string): void {
    this.complaints.push(line);
  }

  note(line: string): void {
    this.notes.push(line);
  }

  async run(words = ''): Promise<number> {
    const command = parse(['netstart', ...words.split(' ').filter((word) => word !== '')]);
    if (command.kind !== 'netstart') throw new Error(JSON.stringify(command));
    return netstart(command, this);
  }
}
