/** Calls on dead letters. A replay is tried again only when it is certain that nothing was planned. */
import type { DeadLetter, DeadLetterFilter, DeadLetterWithData } from "./dead-letter-shapes.ts";
import type { Replayed, ReplayedMany, ReplayWish } from "./dead-letter-shapes.ts";
import type { Connection } from "./request.ts";
import { request } from "./request.ts";
import type { CallOptions, Page, PageQuery } from "./shapes.ts";

export interface DeadLetterQuery extends DeadLetterFilter, PageQuery {}

export interface DeadLetters {
  /** Newest first. */
  readonly list: (query?: DeadLetterQuery, options?: CallOptions) => Promise<Page<DeadLetter>>;
  readonly get: (id: string, options?: CallOptions) => Promise<DeadLetterWithData>;
  readonly replay: (id: string, options?: CallOptions) => Promise<Replayed>;
  /** All of the filter, about 10,000 in a call; goes on with `cursor` while `has_more`. */
  readonly replayAll: (wish: ReplayWish, options?: CallOptions) => Promise<ReplayedMany>;
  readonly delete: (id: string, options?: CallOptions) => Promise<void>;
}

export function deadLetterCalls(connection: Connection): DeadLetters {
  const all = "dead-letters";
  const get = { method: "GET", isRepeatable: true } as const;
  const post = { method: "POST", isRepeatable: false } as const;
  return {
    async list(query, options) {
      const { body } = await request(connection, { ...options, ...get, path: [all], query });
      return body as Page<DeadLetter>;
    },
    async get(id, options) {
      const { body } = await request(connection, { ...options, ...get, path: [all, id] });
      return body as DeadLetterWithData;
    },
    async replay(id, options) {
      const { body } = await request(connection, { ...options, ...post, path: [all, id, "replay"] });
      return body as Replayed;
    },
    async replayAll(wish, options) {
      const { body } = await request(connection, { ...options, ...post, path: [all, "replay"], body: wish });
      return body as ReplayedMany;
    },
    async delete(id, options) {
      await request(connection, { ...options, method: "DELETE", isRepeatable: true, path: [all, id] });
    },
  };
}
