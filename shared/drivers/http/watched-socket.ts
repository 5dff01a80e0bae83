/**
 * A socket that undici gets: it reads the heads of answers through `AnswerHeads`, and remembers whether it was used before
 * and what came since. undici itself fails on an interim 100, on a status below 100 and on a head that may be repaired,
 * and does not say whether the socket of a failed request was new.
 */
import type { Socket } from "node:net";

import { AnswerHeads } from "./answer-heads.ts";
import type { ConnectionTimes, MilestoneRecord } from "./milestones.ts";
import { BadAnswer, NOT_HTTP } from "./network-fault.ts";

export interface WatchedSocket {
  /** It had an earlier request, and no byte came since the latest was begun. */
  isStale(): boolean;
  /** It carries no request. */
  isIdle(): boolean;
  /** Its request has ended. */
  ended(): void;
}

/** What began a request learns its socket: undici writes the head in the same turn as it calls `onRequestStart`. */
export class SocketWatch {
  /** Takes the socket of the request that is begun. */
  #taker: ((socket: WatchedSocket) => void) | null = null;
  #milestones: MilestoneRecord | null = null;

  /** `taker` is told of the socket on which a head is written next, and `milestones` of what that request reaches. */
  expect(milestones: MilestoneRecord | null, taker: (socket: WatchedSocket) => void): void {
    this.#milestones = milestones;
    this.#taker = taker;
  }

  watch(socket: Socket, times: ConnectionTimes): WatchedSocket {
    const heads = new AnswerHeads();
    let requestCount = 0;
    let hasBytes = false;
    let isIdle = true;
    let milestones: MilestoneRecord | null = null;
    const watched: WatchedSocket = {
      isStale: () => requestCount > 1 && !hasBytes,
      isIdle: () => isIdle,
      ended: () => (isIdle = true),
    };
    const read = socket.read.bind(socket);
    const write = socket.write.bind(socket) as (...given: unknown[]) => boolean;
    socket.read = (size?: number) => {
      for (;;) {
        const chunk = read(size) as Buffer | null;
        if (chunk === null) return null;
        try {
          const bytes = heads.push(chunk);
          if (!hasBytes) milestones?.reached("first-byte");
          hasBytes = true;
          if (bytes !== null) return bytes;
        } catch (error) {
          // What is not HTTP at all on a used socket is left over of the answer before.
          hasBytes ||= !(error instanceof BadAnswer && error.message === NOT_HTTP);
          socket.destroy(error as Error);
          return null;
        }
      }
    };
    // undici writes a head as text, a body as bytes.
    socket.write = (...given: unknown[]) => {
      if (typeof given[0] === "string") {
        requestCount += 1;
        hasBytes = false;
        isIdle = false;
        heads.begin();
        this.#taker?.(watched);
        this.#taker = null;
        milestones = this.#milestones;
        this.#milestones = null;
        if (requestCount === 1) milestones?.opened(times);
      }
      return write(...given);
    };
    return watched;
  }
}
