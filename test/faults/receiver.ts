/** The receiver of all scenarios, each with a path of its own, so that a straggler of one is never counted by another. */
import type { ServerResponse } from "node:http";
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
  const hanging = new Set<ServerResponse>();
  let now: Mood = "takes";
  const receiver = await openReceiver((request, response) => {
    if (now === "hangs") {
      hanging.add(response);
      response.on("close", () => hanging.delete(response));
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
      for (const response of hanging) response.destroy();
    },
    follow(path, arrive) {
      followers.set(path, arrive);
      return () => followers.delete(path);
    },
    [Symbol.asyncDispose]: () => receiver[Symbol.asyncDispose](),
  };
}
