/** Node's cryptography, loaded when it is first asked: that takes a fifth of what Node takes to start. */

/** Its module. */
export function nodeCrypto(): typeof import('node:crypto') {
  return process.getBuiltinModule('node:crypto');
}
