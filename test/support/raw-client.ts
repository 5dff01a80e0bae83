/** A connection that sends what it wants, byte for byte, and reads what comes as HTTP/1.1 answers. */
import { connect } from "node:net";
import type { Socket } from "node:net";

export interface RawAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

export interface RawClient extends Disposable {
  readonly socket: Socket;
  /** All that came. */
  text(): string;
  until(pattern: RegExp): Promise<void>;
  /** Resolves once so many whole answers have come, or the connection is closed. */
  answers(count: number): Promise<readonly RawAnswer[]>;
  /** Resolves with all answers when the other side has ended the connection. */
  ended(): Promise<readonly RawAnswer[]>;
}

export function rawClient(port: number): RawClient {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  let text = "";
  let isOver = false;
  const waiting = new Set<() => void>();
  const wake = (): void => waiting.forEach((check) => check());
  socket.setEncoding("latin1");
  socket.on("data", (piece: string) => {
    text += piece;
    wake();
  });
  for (const event of ["end", "close", "error"] as const) {
    socket.on(event, () => {
      isOver = true;
      wake();
    });
  }
  const whenSo = (isSo: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      const check = (): void => {
        if (!isSo()) return;
        waiting.delete(check);
        resolve();
      };
      waiting.add(check);
      check();
    });
  return {
    socket,
    text: () => text,
    until: (pattern) => whenSo(() => pattern.test(text)),
    async answers(count) {
      await whenSo(() => isOver || readAnswers(text).length >= count);
      return readAnswers(text);
    },
    async ended() {
      await whenSo(() => isOver);
      return readAnswers(text);
    },
    [Symbol.dispose]: () => void socket.destroy(),
  };
}

/** The whole answers in `text`; `100 Continue` is one without a body. Throws on what is none. */
function readAnswers(text: string): readonly RawAnswer[] {
  const answers: RawAnswer[] = [];
  let rest = text;
  for (;;) {
    const end = rest.indexOf("\r\n\r\n");
    if (end === -1) return answers;
    const [first = "", ...lines] = rest.slice(0, end).split("\r\n");
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(first)?.[1] ?? NaN);
    if (Number.isNaN(status)) throw new Error(`this is no answer: ${JSON.stringify(rest.slice(0, 200))}`);
    const headers = new Map(
      lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]),
    );
    const length = status < 200 || status === 204 ? 0 : Number(headers.get("content-length") ?? 0);
    if (rest.length < end + 4 + length) return answers;
    answers.push({ status, headers, body: rest.slice(end + 4, end + 4 + length) });
    rest = rest.slice(end + 4 + length);
  }
}
