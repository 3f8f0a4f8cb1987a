import { Arena } from '../../src/arena.ts';
import { createPortableSuite } from '../../src/crypto/portable.ts';
import { describeCipher, describeKeys, describeX25519, describeXseal } from './suitecases.ts';

describeCipher('portable', { create: createPortableSuite, arenaBytes: 1 << 18, lead: 64 });
describeKeys('portable', createPortableSuite);
describeX25519('portable', createPortableSuite(new Arena(65_536)), 1);
describeXseal('portable', createPortableSuite(new Arena(65_536)));
