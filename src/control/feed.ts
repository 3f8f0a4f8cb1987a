/** An answer that comes piece by piece, some of it when it has happened; see uapiserver.ts. */

export interface Feed {
  /** It has no end of its own: it ends when the client says anything more, or closes its side. */
  readonly isEndless: boolean;
  /** The next piece; '' when there is none yet; null at the end. A piece is small. */
  read(): string | null;
  /**
   * Calls `onMore`, once or more, when there may be another piece after '' was read. It may be called
   * in the midst of anything, and only makes a note.
   */
  listen(onMore: () => void): void;
  /** Nobody reads any more. */
  close(): void;
}
