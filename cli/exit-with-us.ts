/** What must not outlive this process: child processes and temporary folders of a demo, whichever way it ends. */
import type { ChildProcess } from "node:child_process";

const endings = new Set<() => void>();

/** Runs `ending` when the process exits. Returns what takes it back. */
export function whenWeExit(ending: () => void): () => void {
  if (endings.size === 0) process.once("exit", endAll);
  endings.add(ending);
  return () => {
    endings.delete(ending);
    if (endings.size === 0) process.off("exit", endAll);
  };
}

/** Asks the child to end in order when we exit before it. */
export function exitWithUs(child: ChildProcess): void {
  const forget = whenWeExit(() => child.kill("SIGTERM"));
  child.once("exit", forget);
}

function endAll(): void {
  for (const ending of endings) ending();
}
