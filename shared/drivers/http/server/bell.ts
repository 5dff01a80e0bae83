/** For one who waits until something has changed, and looks again then. */
export class Bell {
  #wake: (() => void) | null = null;

  /** Resolves at the next `ring`. */
  rung(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  ring(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}
