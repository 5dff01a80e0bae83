/** Work that many want at once, done once for each key; and work of one key done one after the other. */

interface Flight<Value> {
  readonly current: Promise<Value>;
  next: Promise<Value> | null;
}

/**
 * Questions that many ask at once. Holds one entry for each key that is being asked about; `run` has to end within a
 * bound of its own. An error goes to all who share the question, and the next one is put afresh.
 */
export class SingleFlight<Key, Value> {
  readonly #run: (key: Key) => Promise<Value>;
  readonly #flights = new Map<Key, Flight<Value>>();

  constructor(run: (key: Key) => Promise<Value>) {
    this.#run = run;
  }

  /** How many keys are being asked about. */
  get count(): number {
    return this.#flights.size;
  }

  /** The answer to the question under way, else to a new one. It may come from a state older than this call. */
  share(key: Key): Promise<Value> {
    return this.#flights.get(key)?.current ?? this.#start(key);
  }

  /** As `share`, but never older than this call: who asks while a question is under way shares the one after it. */
  askAfresh(key: Key): Promise<Value> {
    const flight = this.#flights.get(key);
    if (flight === undefined) return this.#start(key);
    // Somebody may have asked in the moment between the two: his question is late enough for all.
    const again = (): Promise<Value> => this.share(key);
    flight.next ??= flight.current.then(again, again);
    return flight.next;
  }

  #start(key: Key): Promise<Value> {
    const flight: Flight<Value> = { current: this.#run(key), next: null };
    this.#flights.set(key, flight);
    const end = (): void => void this.#flights.delete(key);
    flight.current.then(end, end);
    return flight.current;
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
