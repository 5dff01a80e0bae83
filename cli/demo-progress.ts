/** How far the demo is: a bar that is drawn over itself on a terminal, a line per quarter elsewhere. */

export interface Progress {
  readonly update: (done: number) => void;
  readonly end: () => void;
}

const BAR_CELLS = 40;

export function createProgress(options: {
  total: number;
  isTerminal: boolean;
  write: (text: string) => void;
}): Progress {
  const { total, isTerminal, write } = options;
  // Drawn only when it changes: as often as there are cells, or quarters.
  const steps = isTerminal ? BAR_CELLS : 4;
  let shown = 0;
  return {
    update(done) {
      const step = total === 0 ? steps : Math.floor((done * steps) / total);
      if (step === shown) return;
      shown = step;
      const count = `${done} of ${total} delivered`;
      if (isTerminal) write(`\r  [${"#".repeat(step)}${"·".repeat(BAR_CELLS - step)}] ${count}`);
      else write(`  ${count}\n`);
    },
    end() {
      if (isTerminal) write("\n");
    },
  };
}
