/** A subject's side of the conversation with the bench: JSON lines out, command lines in. */
import { createInterface } from "node:readline";

export function tell(facts: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify(facts)}\n`);
}

/** Calls `answer` for each line, one after the other, and tells what it returns. Ends with standard input. */
export async function answerLines(answer: (line: string) => Promise<Record<string, unknown>>): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) tell(await answer(line));
}
