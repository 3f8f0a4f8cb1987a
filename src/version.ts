/** The version of this package, as `--version` and the control socket tell it. */

export const VERSION = '0.1.0';
