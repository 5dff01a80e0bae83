/** Waiting for a fact about a process outside: asked again and again, within a bound. */

export interface Waiting {
  /** What is waited for, as the error names it: "redis on port 11000 to answer". */
  readonly fact: string;
  readonly withinMs: number;
  /** True once the fact holds. A throw ends the wait at once with that error. */
  readonly holds: () => boolean | Promise<boolean>;
}

const ASK_EVERY_MS = 40;

/** Rejects with the fact's name when it does not hold within the bound. */
export async function waitFor({ fact, withinMs, holds }: Waiting): Promise<void> {
  const untilMs = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > untilMs) throw new Error(`waited ${withinMs} ms in vain for ${fact}`);
    await new Promise((resolve) => {
      setTimeout(resolve, ASK_EVERY_MS);
    });
  }
}
