/** Shows on a terminal which bench runs, and for how long. */

const TICK_MS = 1000;

/** Resolves or rejects as `running` does. Where nobody looks nothing is written. */
export async function withElapsedShown<Result>(name: string, running: Promise<Result>): Promise<Result> {
  const { stderr } = process;
  if (!stderr.isTTY) return await running;
  const startedAt = performance.now();
  const show = (): void => {
    stderr.write(`\r${name}: ${Math.round((performance.now() - startedAt) / 1000)} s`);
  };
  const timer = setInterval(show, TICK_MS);
  try {
    show();
    return await running;
  } finally {
    clearInterval(timer);
    stderr.write("\r\u001b[K");
  }
}
