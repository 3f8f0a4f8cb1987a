/**
 * The options that words of tswg take, as data: the parser, the help, the manual and the completion
 * read these tables. It knows nothing of how an option is carried out.
 */

export interface Option {
  /** What must follow it; null when nothing does. */
  readonly argument: string | null;
  readonly summary: string;
}

/** By their spelling, in the order of the help. */
export type Options = Readonly<Record<string, Option>>;

/** Of `tswg INTERFACE events`. */
export const EVENTS_OPTIONS: Options = {
  '--json': { argument: null, summary: 'one JSON object a line' },
  '--follow': { argument: null, summary: 'tell what happens from now on, as it happens' },
  '--since': {
    argument: 'SEQ',
    summary: 'begin after the event of this number; 0: all that is kept',
  },
  '--peer': { argument: 'PEER', summary: 'only of this peer: its public key or wgdescr' },
  '--on': { argument: 'KIND[,KIND...]', summary: 'only events of these kinds' },
  '--exec': { argument: 'COMMAND', summary: 'run a command for each event, one after the other' },
  '--timeout': { argument: 'SECONDS', summary: 'end a command after this time, 60 by default' },
};

/** Of `tswg INTERFACE doctor`. */
export const DOCTOR_OPTIONS: Options = {
  '--json': { argument: null, summary: 'print the findings as JSON' },
  '--peer': { argument: 'PEER', summary: 'look at this peer only: its public key or wgdescr' },
  '--other': { argument: 'FILE', summary: "compare with the other end's `tswg wg0 --json`" },
  '--quick': { argument: null, summary: 'send nothing and wait for nothing' },
  '--record': { argument: 'FILE', summary: 'write down what was seen, without secret keys' },
  '--evidence': { argument: 'FILE', summary: 'judge what was recorded, and look at nothing' },
};

/** Of `tswg netstart`. */
export const NETSTART_OPTIONS: Options = {
  '-n': { argument: null, summary: 'print what would be done, and change nothing' },
  '--keep': {
    argument: null,
    summary:
      'carry out what can be of a file with mistakes, try what was refused again after 1 to 60 seconds, and run until every line has been carried out',
  },
  '--install': {
    argument: null,
    summary:
      'write the units of systemd, tswg@.service and tswg-config@.service, to /etc/systemd/system, with the paths of this tswg and its Node.js; enable nothing',
  },
};

/** Of `tswg metrics`. */
export const METRICS_OPTIONS: Options = {
  '--openmetrics': { argument: null, summary: 'print OpenMetrics 1.0' },
};
