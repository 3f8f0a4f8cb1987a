/**
 * What of the sandbox does not hold, as codes with values: for `stats`, whose words stand in
 * cli/troubles.ts. `call` and `error` are the names of a system call and of its error (errno(3)).
 */

export type SandboxGap =
  /** The operator has turned all of it off. */
  | { readonly code: 'sandboxOff' }
  /** The system refused a step, which is named as in the fact `sandbox_STEP`. */
  | {
      readonly code: 'sandboxRefused';
      readonly step: string;
      readonly call: string;
      readonly error: string;
    }
  /** The operator wants it to stay root. */
  | { readonly code: 'sandboxRoot' }
  /** The other threads keep the capabilities that they were started with. */
  | { readonly code: 'sandboxThreads' }
  /** No filter of system calls is known for this processor. */
  | { readonly code: 'sandboxProcessor'; readonly processor: string }
  /** What is asked of an io_uring passes no filter. */
  | { readonly code: 'sandboxRing' };
