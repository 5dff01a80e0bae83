/**
 * A record batch of Kafka, magic 2, without compression and transaction (kafka.apache.org/documentation, "Message Format"):
 *
 *   baseOffset int64, batchLength int32, partitionLeaderEpoch int32, magic int8, crc uint32, attributes int16, lastOffsetDelta int32,
 *   baseTimestamp int64, maxTimestamp int64, producerId int64, producerEpoch int16, baseSequence int32, count int32, records
 *
 * A record is its length, attributes int8, timestampDelta, offsetDelta, key, value, the number of its headers and their names and values.
 * Its numbers and lengths are of variable length, and -1 is the length of null.
 */
import { crc32c } from "../../lib/crc32c.ts";
import type { ByteWriter } from "./byte-writer.ts";
import { VARINT_BYTES_MAX, textBytes, varintBytes } from "./byte-writer.ts";

export interface BatchRecord {
  readonly key: string | null;
  readonly value: Uint8Array | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly timestampMs: number;
}

const MAGIC = 2;
const NO_PRODUCER = -1;
const NULL_LENGTH = -1;
/** From the start of a batch to the end of its length, to the end of its crc, and to the first record. */
const LENGTH_END = 12;
const CRC_END = 21;
const HEAD_BYTES = 61;

/** No batch of these records takes more. */
export function batchBytesMax(records: readonly BatchRecord[]): number {
  return records.reduce((sum, record) => sum + 3 * VARINT_BYTES_MAX + 1 + contentBytes(record), HEAD_BYTES);
}

/** Of one record at least. The times are compared as numbers; kafkajs takes them for texts, which is the same from 2001 on. */
export function writeBatch(writer: ByteWriter, records: readonly BatchRecord[]): void {
  const start = writer.at;
  const baseMs = records.reduce((least, { timestampMs }) => Math.min(least, timestampMs), Infinity);
  const maxMs = records.reduce((most, { timestampMs }) => Math.max(most, timestampMs), -Infinity);
  writer.int64(0);
  writer.int32(0); // Its length, written when it is known, as is the crc.
  writer.int32(0);
  writer.int8(MAGIC);
  writer.int32(0);
  writer.int16(0);
  writer.int32(records.length - 1);
  writer.int64(baseMs);
  writer.int64(maxMs);
  writer.int64(NO_PRODUCER);
  writer.int16(0);
  writer.int32(0);
  writer.int32(records.length);
  records.forEach((record, offsetDelta) => writeRecord(writer, record, record.timestampMs - baseMs, offsetDelta));
  const batch = writer.bytes.subarray(start, writer.at);
  batch.writeInt32BE(batch.length - LENGTH_END, LENGTH_END - 4);
  batch.writeUInt32BE(crc32c(batch.subarray(CRC_END)), CRC_END - 4);
}

function writeRecord(writer: ByteWriter, record: BatchRecord, timestampDelta: number, offsetDelta: number): void {
  const { key, value, headers } = record;
  writer.varint(1 + varintBytes(timestampDelta) + varintBytes(offsetDelta) + contentBytes(record));
  writer.int8(0);
  writer.varint(timestampDelta);
  writer.varint(offsetDelta);
  if (key === null) writer.varint(NULL_LENGTH);
  else writeText(writer, key);
  writer.varint(value?.length ?? NULL_LENGTH);
  if (value !== null) writer.raw(value);
  const entries = Object.entries(headers);
  writer.varint(entries.length);
  for (const [name, text] of entries) {
    writeText(writer, name);
    writeText(writer, text);
  }
}

function writeText(writer: ByteWriter, text: string): void {
  writer.varint(textBytes(text));
  writer.text(text);
}

/** Of key, value and headers. */
function contentBytes({ key, value, headers }: BatchRecord): number {
  const entries = Object.entries(headers);
  const own =
    behindLength(key === null ? NULL_LENGTH : textBytes(key)) +
    behindLength(value === null ? NULL_LENGTH : value.length);
  return entries.reduce(
    (sum, [name, text]) => sum + behindLength(textBytes(name)) + behindLength(textBytes(text)),
    own + varintBytes(entries.length),
  );
}

function behindLength(length: number): number {
  return varintBytes(length) + Math.max(0, length);
}
