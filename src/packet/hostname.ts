/** What may be the name of a host. Pure; whether there is such a host is not known here. */

const NAME_CHARACTERS_MAX = 253;

/**
 * Whether DNS or a hosts file could hold the name (RFC 1123 2.1, and the underscore that many use).
 * One whose last label is a number is none: it is a mistyped address.
 */
export function isHostName(text: string): boolean {
  if (text.length > NAME_CHARACTERS_MAX) return false;
  const labels = text.replace(/\.$/, '').split('.');
  const isNumeric = /^(\d+|0x[0-9a-f]*)$/i.test(labels[labels.length - 1]);
  return (
    !isNumeric && labels.every((label) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i.test(label))
  );
}
