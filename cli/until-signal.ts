/** Waits for the wish to stop. The first SIGTERM or SIGINT asks for an orderly end, the second ends at once with 1. */

export function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    let isAsked = false;
    const ask = (): void => {
      if (isAsked) process.exit(1);
      isAsked = true;
      resolve();
    };
    process.on("SIGTERM", ask);
    process.on("SIGINT", ask);
  });
}
