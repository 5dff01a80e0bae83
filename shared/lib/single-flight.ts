/** Work that many want at once, done once for each key; and work of one key done one after the other. */

interface Question<Value> {
  readonly current: Promise<Value>;
  next: Promise<Value> | null;
}

/**
 * Questions that many ask at once. Holds one entry for each key that is being asked about; `run` has to end within a
 * bound of its own. An error goes to all who share the question, and the next one is put afresh.
 */
export class SingleFlight<Key, Value> {
  readonly #run: (key: Key) => Promise<Value>;
  readonly #questions = new Map<Key, Question<Value>>();

  constructor(run: (key: Key) => Promise<Value>) {
    this.#run = run;
  }

  /** How many keys are being asked about. */
  get count(): number {
    return this.#questions.size;
  }

  /** The answer to the question under way, else to a new one. It may come from a state older than this call. */
  share(key: Key): Promise<Value> {
    return this.peek(key) ?? this.#start(key);
  }

  /** The answer to the question under way; undefined when there is none. */
  peek(key: Key): Promise<Value> | undefined {
    return this.#questions.get(key)?.current;
  }

  /** As `share`, but never older than this call: who asks while a question is under way shares the one after it. */
  askAfresh(key: Key): Promise<Value> {
    const question = this.#questions.get(key);
    if (question === undefined) return this.#start(key);
    // Somebody may have asked in the moment between the two: his question is late enough for all.
    const again = (): Promise<Value> => this.share(key);
    question.next ??= question.current.then(again, again);
    return question.next;
  }

  #start(key: Key): Promise<Value> {
    const question: Question<Value> = { current: this.#run(key), next: null };
    this.#questions.set(key, question);
    const end = (): void => void this.#questions.delete(key);
    question.current.then(end, end);
    return question.current;
  }
}

/**
 * One piece of work for each key at a time; those of other keys do not wait. It has no bound of its own: as many wait as
 * callers bring, and as long as the work before them takes.
 */
export class OneAtATime<Key> {
  readonly #underWay = new Map<Key, Promise<void>>();

  /** How many keys have work under way. */
  get count(): number {
    return this.#underWay.size;
  }

  isUnderWay(key: Key): boolean {
    return this.#underWay.has(key);
  }

  /** Runs `work` before this returns when its key is free; else after all that came before. An error is its caller's alone. */
  async run<Value>(key: Key, work: () => Promise<Value>): Promise<Value> {
    const before = this.#underWay.get(key);
    const { promise: over, resolve: end } = Promise.withResolvers<void>();
    this.#underWay.set(key, over);
    try {
      if (before !== undefined) await before;
      return await work();
    } finally {
      if (this.#underWay.get(key) === over) this.#underWay.delete(key);
      end();
    }
  }
}
