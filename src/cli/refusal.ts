/** What ends a command for the operator: one line that names the word, the value and the way out. */
export class Refusal extends Error {}
