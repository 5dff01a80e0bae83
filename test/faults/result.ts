/** What one scenario came to, and what of it is not good. */
import type { ByPriority } from "./book.ts";
import { PRIORITIES } from "./book.ts";
import type { Memory } from "./memory.ts";
import type { Answers } from "./publisher.ts";
import type { Scenario } from "./scenario.ts";
import { NONE, RECOVERY_MS_MAX } from "./scenario.ts";

export interface Result {
  readonly scenario: string;
  readonly answers: Answers;
  readonly accepted: number;
  readonly delivered: number;
  readonly dead: number;
  /** Waits for a planned attempt. */
  readonly planned: number;
  readonly lost: number;
  readonly lostByStore: number;
  readonly duplicates: number;
  readonly unasked: number;
  /** Delivered, of a sample, and not shown so by the API. */
  readonly unshown: { readonly of: number; readonly unshown: number };
  readonly stallMs: number;
  readonly highStallMs: number;
  /** Null: something that was accepted before the fault's end never came. */
  readonly recoveryMs: number | null;
  /** The longest wait of what was accepted after the fault's end; null: it never ended. */
  readonly afterMs: number | null;
  readonly died: number;
  readonly memory: Memory;
  /** Why it is not good; empty when it is. */
  readonly problems: readonly string[];
}

/** A broken promise each: a loss, a late recovery, a program that ended by itself, an answer that no fault explains. */
export function problemsOf(scenario: Scenario, result: Omit<Result, "problems">): readonly string[] {
  const { lost, recoveryMs, afterMs, died, answers } = result;
  const problems: string[] = [];
  if (result.accepted === 0) problems.push("nothing was accepted, so that nothing is shown");
  if (lost > 0) problems.push(`${lost} accepted events are lost`);
  const withinMs = scenario.recoveryMsMax ?? RECOVERY_MS_MAX;
  if (recoveryMs !== null && recoveryMs > withinMs) {
    problems.push(`recovery took ${Math.round(recoveryMs)} ms, more than ${withinMs}`);
  }
  if (afterMs !== null && afterMs > withinMs) {
    problems.push(`what was accepted afterwards waited ${Math.round(afterMs)} ms, more than ${withinMs}`);
  }
  if (died > 0) problems.push(`${died} programs ended by themselves`);
  for (const [seen, count] of Object.entries(answers.odd)) problems.push(`${count} answers ${seen}`);
  if (answers.heldBack > 0) problems.push(`${answers.heldBack} events were not sent, as too many answers were awaited`);
  problems.push(...refusalsOf(answers, scenario.refusedMax ?? NONE));
  return problems;
}

function refusalsOf({ refused, sent }: Answers, most: ByPriority): readonly string[] {
  return PRIORITIES.flatMap((priority) => {
    const share = refused[priority] / Math.max(1, sent / PRIORITIES.length);
    if (share <= most[priority]) return [];
    return [`${refused[priority]} of ${priority} were refused, more than ${most[priority] * 100} %`];
  });
}
