/**
 * Two handshakes of the Linux kernel's WireGuard with every key published: the captures of
 * Wireshark's own tests (test/captures/wireguard-ping-tcp.pcap and wireguard-psk.pcap, keys in
 * suite_decryption.py). Timestamps, session keys and packets were decrypted from them with an
 * independent reckoning in Python (hashlib's BLAKE2s, pyca/cryptography's X25519 and AEAD); the
 * nanoseconds are the ones that Wireshark's tests expect.
 */

export interface CapturedHandshake {
  readonly name: string;
  readonly initiatorPrivate: string;
  readonly initiatorPublic: string;
  readonly responderPrivate: string;
  readonly responderPublic: string;
  readonly initiatorEphemeral: string;
  readonly responderEphemeral: string;
  readonly presharedKey: string;
  readonly initiatorIndex: number;
  readonly responderIndex: number;
  readonly timestamp: string;
  readonly initiation: string;
  readonly response: string;
  readonly initiatorSends: string;
  readonly initiatorReceives: string;
  /** Data messages, each with the IP packet in it. */
  readonly fromInitiator?: { readonly message: string; readonly packet: string };
  readonly fromResponder?: { readonly message: string; readonly packet: string };
}

const fromBase64 = (text: string) => Buffer.from(text, 'base64').toString('hex');

const STATICS = {
  initiatorPrivate: fromBase64('AKeZaHwBxjiKLFnkY2unvEdOTtg4AL+M9dQXfopFVFk='),
  initiatorPublic: fromBase64('Igge9KzRytKNwrgkzDE/8hrLu6Ly0OqVdvOPWhA5KR4='),
  responderPrivate: fromBase64('cFIxTUyBs1Qil414hBwEgvasEax8CKJ5IS5ZougplWs='),
  responderPublic: fromBase64('YDCttCs9e1J52/g9vEnwJJa+2x6RqaayAYMpSVQfGEY='),
};

const ZERO_MAC2 = '00'.repeat(16);

export const CAPTURED: readonly CapturedHandshake[] = [
  {
    name: 'without a preshared key',
    ...STATICS,
    initiatorEphemeral: fromBase64('sLGLJSOQfyz7JNJ5ZDzFf3Uz1rkiCMMjbWerNYcPFFU='),
    responderEphemeral: fromBase64('QC4/FZKhFf0b/eXEcCecmZNt6V6PXmRa4EWG1PIYTU4='),
    presharedKey: '00'.repeat(32),
    initiatorIndex: 0x30d037d8,
    responderIndex: 0xab7df406,
    timestamp: '400000005b52647b15405610', // ...356537872 ns
    initiation:
      '01000000d837d0305fcec7c8e5c8e2e3f7989eef60c228d82329d602b6b1e2bb9d068f89cf9d4d45' +
      '32780f6d27264f7b98701fdc27a4ec00aeb6becdbef2332f1b4084cadb93823935c012ae255e7b25' +
      'eff13940c321fa6bd66a2a87b061db1430173e937f569349de2856dc5f2616763eeeafc0533b01dd' +
      `965e7ec76976e28f683d6712${ZERO_MAC2}`,
    response:
      '0200000006f47dabd837d030b18d5550bd4042a37a46823ac08db1ec66839bc0ca2d64bc15cd8023' +
      `2b66232faec24af8918de1060ff5c98e865d5f35f272214c5260110dc4c61e32cdd85421${ZERO_MAC2}`,
    initiatorSends: '200edbb85503b00463f987aab96e0e7d047726c684f4cf3c7695caac38cacc8b',
    initiatorReceives: 'dec67e4017307e59ef13cb788eff6a808a883956975f03b56f1468f6a581d5f3',
    fromInitiator: {
      message:
        '0400000006f47dab0000000000000000a4ebc12ee3f990da18033a0789c04e2700f6f5c271d42ac4b4d6262e' +
        '666549b445a7436e829bffb6ac65f05648bc0c391fe7c5884874376127164940188f03dba67af8388eaab76c' +
        '593628bf9dc7be03346d912e916dad862545454701364f2d2486d7ced4c8642ce547ddb26ef6a46b',
      packet: `45000054e54640004001414c0a0a00020a0a00010800f95c6c0000006fad22f5${'00'.repeat(64)}`,
    },
    fromResponder: {
      message:
        '04000000d837d03000000000000000006f4f080e9f52691bbe948535f79c13ed68f09145d523eedb087265f9' +
        '68082f70735729263eda627c7683cdc0b80a3356d9536c9f0e2872797b5c81720ba0b8ea7233c6debf9f0fbe' +
        'e8f10ec18985b824bf350f8b8180d08a64e6be9810089ac3d1363ed5e129ca1e0425cf7e94965659',
      packet: `45000054a11d00004001c5750a0a00010a0a00020000015d6c0000006fad22f5${'00'.repeat(64)}`,
    },
  },
  {
    name: 'with a preshared key',
    ...STATICS,
    initiatorEphemeral: fromBase64('iCv2VTi/BC/q0egU931KXrrQ4TSwXaezMgrhh7uCbXs='),
    responderEphemeral: fromBase64('8G1N3LnEqYC7+NW/b6mqceVUIGBMAZSm+IpwG1U0j0w='),
    presharedKey: 'ff'.repeat(32),
    initiatorIndex: 0xc1039c02,
    responderIndex: 0xdce3fa01,
    timestamp: '400000005b60ed663156716e',
    initiation:
      '01000000029c03c1f30ceb67148dd27c78d52d0196b6b78b71542986f563ac898879353f022f1747' +
      '70c5b3d433cfb49fd3311688284ce67ec72111e655129fc5f6bed2e0a44b8d28c222c6e1479a0833' +
      'c7a1f6417b733c1ef049fab5e451aff561ea428c2116f7d1023ccdac2b2a00ecbe0273c9f84b1c69' +
      `5032084b58e7d2ff9fcf19fd${ZERO_MAC2}`,
    response:
      '0200000001fae3dc029c03c1394ce1067faccdff74d71ddde6450ccedb94839008a7a2c0cdb0b4ab' +
      `e080565b96d16752c32e60baabfb5413fba24276beae31ece918c01700e5dfe66ca3c7b9${ZERO_MAC2}`,
    initiatorSends: '360f69b725f4733f4f593c9a24fead31bed6d76be9f445cfc4ac46d76b59d961',
    initiatorReceives: 'f844ab4dcfc62b5d4feb3b0cc7bbf01e6333c461db6882d56ad0344125ee4ed1',
  },
];
