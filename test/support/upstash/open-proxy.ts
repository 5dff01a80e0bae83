/** A proxy before the REST server of the tests, which does with each command what the test says. */
import { createServer } from "node:http";
import { listen, readThen } from "../receiver.ts";
import type { RestServer } from "./rest-server.ts";

/** `hold`: it is never answered. */
export type Passage = "pass" | "hold";

export interface RestProxy extends AsyncDisposable {
  readonly url: string;
  readonly token: string;
  /** Asked before a command is carried out, with its text. */
  onCommand: (command: string) => Passage;
  /** Asked when it was carried out, and not answered yet. */
  onDone: (command: string) => Passage | Promise<Passage>;
}

/** The server stays the caller's to dispose, after the proxy. */
export async function openRestProxy({ url, token }: Pick<RestServer, "url" | "token">): Promise<RestProxy> {
  const server = createServer(
    readThen((request, response, body) => {
      const carryOut = async (): Promise<void> => {
        const command = body.toString();
        if (proxy.onCommand(command) === "hold") return;
        const { authorization = "", "upstash-encoding": encoding } = request.headers;
        const headers = { authorization, "upstash-encoding": String(encoding) };
        const answer = await fetch(url, { method: "POST", headers, body: command });
        const text = await answer.text();
        if ((await proxy.onDone(command)) === "hold") return;
        response.writeHead(answer.status, { "content-type": "application/json" }).end(text);
      };
      carryOut().catch(() => response.destroy());
    }),
  );
  const listening = await listen(server, () => server.closeAllConnections());
  const proxy: RestProxy = {
    url: new URL(listening.url).origin,
    token,
    onCommand: () => "pass",
    onDone: () => "pass",
    [Symbol.asyncDispose]: () => listening[Symbol.asyncDispose](),
  };
  return proxy;
}
