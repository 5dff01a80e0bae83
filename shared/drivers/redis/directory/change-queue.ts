/**
 * Questions that many ask at once, asked once. Whoever asks while one is under way shares the one after it: an answer
 * always comes from a question put after it was asked for, so nobody gets a state older than his own asking.
 */

export interface Turns<Answer> {
  ask(subject: string): Promise<Answer>;
}

interface Turn<Answer> {
  readonly current: Promise<Answer>;
  next: Promise<Answer> | null;
}

/** Holds one entry for each subject that is being asked about; `run` has to end within a bound of its own. */
export function createTurns<Answer>(run: (subject: string) => Promise<Answer>): Turns<Answer> {
  const underway = new Map<string, Turn<Answer>>();

  function start(subject: string): Promise<Answer> {
    const turn: Turn<Answer> = { current: run(subject), next: null };
    underway.set(subject, turn);
    const end = (): void => {
      if (underway.get(subject) === turn) underway.delete(subject);
    };
    turn.current.then(end, end);
    return turn.current;
  }

  return {
    ask(subject) {
      const turn = underway.get(subject);
      if (turn === undefined) return start(subject);
      // Somebody may have asked in the moment between the two: his question is late enough for all.
      const again = (): Promise<Answer> => underway.get(subject)?.current ?? start(subject);
      turn.next ??= turn.current.then(again, again);
      return turn.next;
    },
  };
}
