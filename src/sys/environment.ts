/** A process's environment, as it is handed in: nobody but the programs looks at their own. */

export type Environment = Readonly<Record<string, string | undefined>>;
