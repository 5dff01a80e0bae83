/** The receiver of all scenarios, each with a path of its own, so that a straggler of one is never counted by another. */
import type { Socket } from "node:net";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { openReceiver } from "../support/receiver.ts";

/** `refuses` answers 503, and `hangs` nothing until it is well again. */
export type Mood = "takes" | "refuses" | "hangs";

export interface FaultReceiver extends AsyncDisposable {
  readonly url: string;
  mood(mood: Mood): void;
  /** Tells of each delivery that was answered 200 below the path, until it is called back. */
  follow(path: string, arrive: (id: string, atMs: number) => void): () => void;
}

export async function openFaultReceiver(): Promise<FaultReceiver> {
  const followers = new Map<string, (id: string, atMs: number) => void>();
  /** Of requests that get no answer. Bun (1.4.5) answers 200 when a response without a head is destroyed, hence the sockets. */
  const hanging = new Set<Socket>();
  let now: Mood = "takes";
  const receiver = await openReceiver((request, response) => {
    if (now === "hangs") {
      hanging.add(request.socket);
      request.socket.on("close", () => hanging.delete(request.socket));
      return;
    }
    if (now === "takes") {
      followers.get(request.url ?? "")?.(String(request.headers["webhook-id"]), systemClock.monotonic());
    }
    response.writeHead(now === "takes" ? 200 : 503).end();
  });
  return {
    url: new URL(receiver.url).origin,
    mood(mood) {
      now = mood;
      if (mood === "hangs") return;
      for (const socket of hanging) socket.destroy();
    },
    follow(path, arrive) {
      followers.set(path, arrive);
      return () => followers.delete(path);
    },
    [Symbol.asyncDispose]: () => receiver[Symbol.asyncDispose](),
  };
}
