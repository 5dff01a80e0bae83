/** Questions to another process, each answered by its number, or not in time. */
import type { Clock } from "@posthaste/shared/lib/ambient.ts";

export interface Questions {
  /** Sends the question with its number. Resolves with the answer; null when none came in time, or it could not be sent. */
  ask(send: (id: number) => boolean): Promise<string | null>;
  /** An answer that nobody waits for any more is ignored. */
  answered(id: number, text: string): void;
}

/** Past it a question has no answer; whoever asks for metrics asks again. */
const OPEN_MAX = 100;

export function createQuestions(clock: Pick<Clock, "timer">, ms: number): Questions {
  const open = new Map<number, (text: string | null) => void>();
  let last = 0;
  return {
    ask(send) {
      const id = ++last;
      if (open.size >= OPEN_MAX) return Promise.resolve(null);
      return new Promise((resolve) => {
        const end = (text: string | null): void => {
          cancel();
          open.delete(id);
          resolve(text);
        };
        const cancel = clock.timer(ms, () => end(null));
        open.set(id, end);
        if (!send(id)) end(null);
      });
    },
    answered: (id, text) => open.get(id)?.(text),
  };
}
