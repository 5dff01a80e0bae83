/**
 * The log's sink on a standard stream of the process. A reader that is slow, as a log driver that hangs, keeps lines waiting in
 * the log, which bounds them; one that is gone loses them. Neither stops anything else.
 */
import type { LogSink } from "../drivers/json-log.ts";

/** Of `node:stream` what is needed; Bun 1.4.5 tells by `write` alone that much waits, its `writableLength` stays 0. */
interface TextStream {
  write(text: string): boolean;
  on(event: "error", listener: () => void): unknown;
  once(event: "drain", listener: () => void): unknown;
}

export function createStreamSink(stream: TextStream): LogSink {
  let isGone = false;
  let goOn = (): void => undefined;
  stream.on("error", () => {
    isGone = true;
    goOn();
  });
  return (text) => {
    if (isGone || stream.write(text)) return undefined;
    return new Promise((resolve) => {
      goOn = resolve;
      stream.once("drain", resolve);
    });
  };
}
