/**
 * Loaded before a program of a test (`bun --preload`): at SIGUSR2 the program's time of day is set by so many milliseconds,
 * back or forth, as the file that `STEPPED_DATE_FILE` names says. What does not step (`performance.now`, timers) goes on.
 */
import { readFileSync } from "node:fs";

const { STEPPED_DATE_FILE: file = "" } = process.env;
const RealDate = Date;
let offsetMs = 0;

class SteppedDate extends RealDate {
  constructor(...given: readonly [] | readonly [string | number | Date]) {
    if (given.length === 0) super(SteppedDate.now());
    else super(given[0]);
  }
  static override now(): number {
    return RealDate.now() + offsetMs;
  }
}

globalThis.Date = SteppedDate as unknown as DateConstructor;
process.on("SIGUSR2", () => {
  offsetMs += Number(readFileSync(file, "utf8"));
  process.stdout.write(`${JSON.stringify({ event: "test.clock-set", offsetMs })}\n`);
});
