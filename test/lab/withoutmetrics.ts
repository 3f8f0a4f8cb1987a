/**
 * Loaded before a program (`node --import`), it hides uv_metrics_info, as a Node.js that does not
 * export it.
 */

import koffi from 'koffi';

const { load } = koffi;

koffi.load = (...words: Parameters<typeof load>) => {
  const library = load(...words);
  const func = (...signature: Parameters<typeof library.func>) => {
    if (String(signature[0]) === 'uv_metrics_info') throw new Error('Cannot find function');
    return library.func(...signature);
  };
  // Of a library the programs use functions only.
  return { func } as unknown as typeof library;
};
