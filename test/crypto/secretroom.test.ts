import { describe, expect, it } from 'vitest';
import { SecretRoom } from '../../src/crypto/secretroom.ts';

describe('room for secrets', () => {
  it('is zeros, and nobody has what another one has', () => {
    const room = new SecretRoom();
    const lengths = [32, 0, 1_024, 64, 70_000, 65_536, ...new Array<number>(200).fill(1_088)];
    const taken = lengths.map((length) => room.take(length));
    for (const [i, secret] of taken.entries()) {
      expect(secret).toHaveLength(lengths[i]!);
      expect(secret.every((byte) => byte === 0)).toBe(true);
      secret.fill(1 + (i % 255));
    }
    for (const [i, secret] of taken.entries()) {
      expect(secret.every((byte) => byte === 1 + (i % 255))).toBe(true);
    }
  });
});
