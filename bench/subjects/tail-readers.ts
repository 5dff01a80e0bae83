/**
 * Readers of `GET /v1/tail` at URL with KEY, in a process of their own: `open 20` opens so many, the last of which reads
 * nothing, and answers when all streams have begun; `close` ends them and tells what each of the others was shown.
 */
import { connect } from "node:net";
import type { Socket } from "node:net";
import { answerLines, tell } from "./talk.ts";

const { URL: base = "", KEY: key = "" } = process.env;
const { hostname, port } = new URL(base);
const REQUEST = `GET /v1/tail HTTP/1.1\r\nhost: ${hostname}\r\nauthorization: Bearer ${key}\r\n\r\n`;

interface Reader {
  readonly socket: Socket;
  /** Attempts that it was shown. */
  attempts: number;
}

let readers: Reader[] = [];
tell({});

await answerLines(async (line) => {
  const [command, count] = line.split(" ");
  if (command === "open") {
    const all = Array.from({ length: Number(count) }, (_, nth) => openReader(nth === Number(count) - 1));
    readers = await Promise.all(all);
    return {};
  }
  for (const { socket } of readers) socket.destroy();
  return { shown: readers.slice(0, -1).map(({ attempts }) => attempts) };
});

function openReader(isStuck: boolean): Promise<Reader> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port) }, () => void socket.write(REQUEST));
    const reader: Reader = { socket, attempts: 0 };
    let rest = "";
    socket.setEncoding("latin1");
    socket.on("error", reject);
    socket.on("data", (text: string) => {
      const whole = rest + text;
      const end = whole.lastIndexOf("\n") + 1;
      rest = whole.slice(end);
      reader.attempts += whole.slice(0, end).split("event: attempt\n").length - 1;
      if (!text.includes(": watching")) return;
      if (isStuck) socket.pause();
      resolve(reader);
    });
  });
}
