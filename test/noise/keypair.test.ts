import { describe, expect, it } from 'vitest';
import { REJECT_AFTER_MESSAGES, REKEY_AFTER_MESSAGES } from '../../src/noise/constants.ts';
import { Keypair } from '../../src/noise/keypair.ts';
import { suite } from './parties.ts';

const CREATED = 1_000_000;

function createKeypair(isInitiator: boolean) {
  const wiped: string[] = [];
  const keypair = new Keypair({
    localIndex: 7,
    remoteIndex: 8,
    isInitiator,
    createdAt: CREATED,
    sealer: { seal: () => {}, copyKey: () => {}, wipe: () => wiped.push('sealer') },
    opener: { open: () => true, copyKey: () => {}, wipe: () => wiped.push('opener') },
  });
  return { keypair, wiped };
}

const initiator = () => createKeypair(true).keypair;
const responder = () => createKeypair(false).keypair;

describe.each([
  ['an initiator', initiator],
  ['a responder', responder],
])('%s', (_, create) => {
  it('sends and receives until REJECT_AFTER_TIME, 180 s', () => {
    const keypair = create();
    for (const [age, isUsable] of [
      [0, true],
      [179_999, true],
      [180_000, false],
      [1e9, false],
    ] as const) {
      expect(keypair.canSend(CREATED + age)).toBe(isUsable);
      expect(keypair.canReceive(CREATED + age, 0)).toBe(isUsable);
    }
  });

  it('sends no more than REJECT_AFTER_MESSAGES', () => {
    const keypair = create();
    keypair.sendCounter = REJECT_AFTER_MESSAGES - 1;
    expect(keypair.canSend(CREATED)).toBe(true);
    keypair.sendCounter++;
    expect(keypair.canSend(CREATED)).toBe(false);
  });

  it('receives no counter of REJECT_AFTER_MESSAGES or more', () => {
    const keypair = create();
    expect(keypair.canReceive(CREATED, REJECT_AFTER_MESSAGES - 1)).toBe(true);
    expect(keypair.canReceive(CREATED, REJECT_AFTER_MESSAGES)).toBe(false);
    expect(keypair.canReceive(CREATED, 2 ** 64)).toBe(false);
  });

  it('renews after sending REKEY_AFTER_MESSAGES', () => {
    const keypair = create();
    keypair.sendCounter = REKEY_AFTER_MESSAGES - 1;
    expect(keypair.mustRekeyOnSend(CREATED)).toBe(false);
    keypair.sendCounter++;
    expect(keypair.mustRekeyOnSend(CREATED)).toBe(true);
  });

  it('wipes both keys, once, and is of no more use', () => {
    const { keypair, wiped } = createKeypair(true);
    expect(keypair.isWiped).toBe(false);
    keypair.wipe();
    keypair.wipe();
    expect(wiped).toEqual(['sealer', 'opener']);
    expect(keypair.isWiped).toBe(true);
    expect(keypair.canSend(CREATED)).toBe(false);
    expect(keypair.canReceive(CREATED, 0)).toBe(false);
  });
});

describe('renewing by time', () => {
  it.each([
    ['on sending', 119_999, 120_000, (k: Keypair, now: number) => k.mustRekeyOnSend(now)],
    ['on receiving', 164_999, 165_000, (k: Keypair, now: number) => k.mustRekeyOnReceive(now)],
  ])('%s is the initiator’s', (_, before, after, mustRekey) => {
    expect(mustRekey(initiator(), CREATED + before)).toBe(false);
    expect(mustRekey(initiator(), CREATED + after)).toBe(true);
    expect(mustRekey(responder(), CREATED + 1e9)).toBe(false);
  });
});

it('starts with counter 0 and an empty replay window of its own', () => {
  const [one, other] = [initiator(), initiator()];
  expect(one.sendCounter).toBe(0);
  expect(one.replay.accept(0)).toBe(true);
  expect(other.replay.accept(0)).toBe(true);
});

it('wipes real keys for good', () => {
  const key = new Uint8Array(32).fill(9);
  const keypair = new Keypair({
    localIndex: 7,
    remoteIndex: 8,
    isInitiator: true,
    createdAt: CREATED,
    sealer: suite.createSealer(key),
    opener: suite.createOpener(key),
  });
  keypair.sealer.seal(64, 32, 0);
  expect(keypair.opener.open(64, 32, 0)).toBe(true);
  keypair.wipe();
  expect(() => keypair.sealer.seal(64, 32, 1)).toThrow();
  expect(() => keypair.opener.open(64, 32, 1)).toThrow();
});
