/** The connection behind a producer's sends. */
import type { Producer, TopicMessages } from "kafkajs";

import type { KafkaContext } from "./client.ts";
import { CLOSE_MS, within } from "./client.ts";
import type { IsWritten } from "./partitions.ts";
import { createStickyPartitions } from "./partitions.ts";

/**
 * The kafkajs producer behind the sends: connected when first needed, given up when a send did not come back in time.
 * The late send may still be written (its records were rejected, which allows that); the next one does not wait for it.
 */
export function keepConnection({ kafka, clock, onFault }: KafkaContext) {
  const partitions = createStickyPartitions();
  let current: Producer | null = null;

  function connect(): Producer {
    const producer = kafka.producer({
      createPartitioner: partitions.partitioner,
      allowAutoTopicCreation: false,
      idempotent: false,
    });
    current = producer;
    return producer;
  }

  async function close(producer: Producer): Promise<void> {
    await within(clock, CLOSE_MS, producer.disconnect(), () => new Error("a producer did not disconnect")).catch(
      onFault,
    );
  }

  return {
    /** Resolves with the question whether a message was written by this send. */
    async send(topicMessages: TopicMessages[], ms: number): Promise<IsWritten> {
      const producer = current ?? connect();
      let isOver = false;
      const sending = producer
        // Returns at once when it is connected.
        .connect()
        .then(() => producer.sendBatch({ acks: -1, timeout: Math.max(1, Math.floor(ms)), topicMessages }))
        .finally(() => {
          isOver = true;
        });
      try {
        const late = (): Error => new Error(`no answer in ${Math.floor(ms)} ms`);
        return partitions.written(await within(clock, Math.max(0, ms), sending, late));
      } catch (error) {
        if (!isOver) {
          if (current === producer) current = null;
          // Twice: now, to break off what hangs; and after a retry of the lost send may have connected again.
          void close(producer);
          void sending.catch(() => undefined).then(() => close(producer));
        }
        throw error;
      }
    },
    async close(): Promise<void> {
      const producer = current;
      current = null;
      if (producer !== null) await close(producer);
    },
  };
}
