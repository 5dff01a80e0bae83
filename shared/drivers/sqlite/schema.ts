/**
 * The tables of the embedded set, as steps by version number. A step that was released is never edited: what changes
 * is a new step. Ids are given by the one process that has the file open, so that no insert reads them back.
 */
import { FIRST_SCHEMA } from "./first-schema.ts";

/** Step n (counted from 1) leads from version n-1 to version n. */
export const SCHEMA_STEPS: readonly string[] = [
  FIRST_SCHEMA,
  `
  -- Of the event that the claim stands for: repeated, it is the same to the byte.
  ALTER TABLE claims ADD COLUMN accepted_at INTEGER;
  `,
  `
  -- What is held for one endpoint, or for any, among any number of other dead letters.
  CREATE INDEX dead_letters_by_endpoint_state ON dead_letters (endpoint_id, state, at, id);
  CREATE INDEX dead_letters_by_state ON dead_letters (state, at, id);
  CREATE INDEX endpoints_by_tenant ON endpoints (tenant, created_at, id);
  -- Leases that a start ends: few, whatever the number of claims.
  CREATE INDEX claims_leased ON claims (lease_until) WHERE status IS NULL;
  `,
  `
  -- Dead letters weigh what they take, not their bodies alone: 200 bytes for numbers, row and indexes beside the texts.
  ALTER TABLE dead_letters ADD COLUMN size INTEGER GENERATED ALWAYS AS (
    200 + length(body) + 3 * (length(tenant) + length(event_id) + length(endpoint_id)) + 2 * length(delivery_id)
    + length(reason) + length(type) + ifnull(length(traceparent), 0)) VIRTUAL;
  DROP TRIGGER dead_letters_in;
  DROP TRIGGER dead_letters_out;
  CREATE TRIGGER dead_letters_in AFTER INSERT ON dead_letters BEGIN
    INSERT INTO dead_letter_totals VALUES (NEW.tenant, 1, NEW.size), ('', 1, NEW.size)
      ON CONFLICT (tenant) DO UPDATE SET letters = letters + 1, bytes = bytes + excluded.bytes;
  END;
  CREATE TRIGGER dead_letters_news AFTER UPDATE ON dead_letters WHEN NEW.size <> OLD.size BEGIN
    UPDATE dead_letter_totals SET bytes = bytes + NEW.size - OLD.size WHERE tenant IN (NEW.tenant, '');
  END;
  CREATE TRIGGER dead_letters_out AFTER DELETE ON dead_letters BEGIN
    UPDATE dead_letter_totals SET letters = letters - 1, bytes = bytes - OLD.size WHERE tenant IN (OLD.tenant, '');
    DELETE FROM dead_letter_totals WHERE tenant = OLD.tenant AND letters = 0;
  END;
  DELETE FROM dead_letter_totals;
  INSERT INTO dead_letter_totals SELECT tenant, count(*), sum(size) FROM dead_letters GROUP BY tenant;
  INSERT INTO dead_letter_totals SELECT '', count(*), ifnull(sum(size), 0) FROM dead_letters;
  `,
  `
  -- What claims take, by tenant and in all (tenant ''); kept by the triggers in the same transaction as the claims.
  ALTER TABLE claims ADD COLUMN size INTEGER GENERATED ALWAYS AS (
    200 + 2 * (length(tenant) + length(key)) + length(fingerprint) + length(event_ids) + ifnull(length(body), 0)) VIRTUAL;
  CREATE TABLE claim_totals (
    tenant TEXT PRIMARY KEY,
    claims INTEGER NOT NULL,
    bytes INTEGER NOT NULL
  ) WITHOUT ROWID, STRICT;
  CREATE TRIGGER claims_in AFTER INSERT ON claims BEGIN
    INSERT INTO claim_totals VALUES (NEW.tenant, 1, NEW.size), ('', 1, NEW.size)
      ON CONFLICT (tenant) DO UPDATE SET claims = claims + 1, bytes = bytes + excluded.bytes;
  END;
  CREATE TRIGGER claims_answered AFTER UPDATE OF body ON claims WHEN NEW.size <> OLD.size BEGIN
    UPDATE claim_totals SET bytes = bytes + NEW.size - OLD.size WHERE tenant IN (NEW.tenant, '');
  END;
  CREATE TRIGGER claims_out AFTER DELETE ON claims BEGIN
    UPDATE claim_totals SET claims = claims - 1, bytes = bytes - OLD.size WHERE tenant IN (OLD.tenant, '');
    DELETE FROM claim_totals WHERE tenant = OLD.tenant AND claims = 0;
  END;
  INSERT INTO claim_totals SELECT tenant, count(*), sum(size) FROM claims GROUP BY tenant;
  INSERT INTO claim_totals SELECT '', count(*), ifnull(sum(size), 0) FROM claims;
  `,
  `
  -- What is deferred for one endpoint, found again when that endpoint answers.
  CREATE INDEX retry_items_deferred ON retry_items (endpoint_id, not_before) WHERE cause IN ('parked', 'relieved');
  `,
  `
  -- What came first for an event with deliver_at; how many are cancelled is counted by tenant and in all (tenant '').
  CREATE TABLE cancellations (
    event INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    is_cancelled INTEGER NOT NULL -- 0: its fan-out has begun
  ) STRICT;
  CREATE TABLE cancellation_totals (
    tenant TEXT PRIMARY KEY,
    count INTEGER NOT NULL
  ) WITHOUT ROWID, STRICT;
  CREATE TRIGGER cancellations_in AFTER INSERT ON cancellations WHEN NEW.is_cancelled = 1 BEGIN
    INSERT INTO cancellation_totals VALUES (NEW.tenant, 1), ('', 1)
      ON CONFLICT (tenant) DO UPDATE SET count = count + 1;
  END;
  CREATE TRIGGER cancellations_out AFTER DELETE ON cancellations WHEN OLD.is_cancelled = 1 BEGIN
    UPDATE cancellation_totals SET count = count - 1 WHERE tenant IN (OLD.tenant, '');
    DELETE FROM cancellation_totals WHERE tenant = OLD.tenant AND count = 0;
  END;
  ALTER TABLE fan_outs ADD COLUMN is_cancelled INTEGER NOT NULL DEFAULT 0;
  -- Repeats that were begun and never ended: what was under way when a process died.
  CREATE TABLE attempts_begun (
    tenant TEXT NOT NULL,
    event_id TEXT NOT NULL,
    endpoint_id TEXT NOT NULL,
    generation INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    unended INTEGER NOT NULL,
    begun_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, event_id, endpoint_id, generation, attempt)
  ) STRICT;
  CREATE INDEX attempts_begun_by_time ON attempts_begun (begun_at);
  -- Keys by their end, whether by revocation or by their own date: the ended ones have a bound.
  CREATE INDEX api_keys_by_end ON api_keys (min(ifnull(revoked_at, 9e15), ifnull(expires_at, 9e15)));
  -- Read by tenant and flow, in turn (domain/flow.ts). What was there before the flows is of flow 0.
  CREATE TABLE lane_rows (
    lane INTEGER NOT NULL, -- 0 high, 1 medium, 2 low
    tenant TEXT NOT NULL,
    flow INTEGER NOT NULL,
    event INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (lane, tenant, flow, event)
  ) WITHOUT ROWID, STRICT;
  INSERT INTO lane_rows SELECT l.lane, e.tenant, 0, l.event, l.bytes FROM lane_items l JOIN events e ON e.id = l.event;
  DROP TABLE lane_items;
  ALTER TABLE lane_rows RENAME TO lane_items;
  -- What bounds an item that could not be sent, and one that could not be worked on, beside what its endpoint put off.
  ALTER TABLE retry_items ADD COLUMN unmade INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE retry_items ADD COLUMN put_aside INTEGER NOT NULL DEFAULT 0;
  `,
  `
  -- A word sealed with the master key, which tells rows that are damaged from rows of another key.
  CREATE TABLE master_key (id INTEGER PRIMARY KEY CHECK (id = 1), word BLOB NOT NULL) STRICT;
  `,
  `
  -- What stands in for a key's rate limit while a limiter that is shared cannot be asked; null: as in earlier releases.
  ALTER TABLE api_keys ADD COLUMN rate_failure_mode TEXT;
  `,
  `
  -- Where a delivery's time went, in ms; null: an earlier release recorded some of it. And what it waits for since its last news.
  ALTER TABLE deliveries ADD COLUMN lane_ms INTEGER;
  ALTER TABLE deliveries ADD COLUMN limiter_ms INTEGER;
  ALTER TABLE deliveries ADD COLUMN deferred_ms INTEGER;
  ALTER TABLE deliveries ADD COLUMN retry_ms INTEGER;
  ALTER TABLE deliveries ADD COLUMN wait TEXT;
  `,
  `
  -- Which alerts stand, as one text.
  CREATE TABLE alert_board (id INTEGER PRIMARY KEY CHECK (id = 1), text TEXT NOT NULL) STRICT;
  `,
  `
  -- The policy of a key's rate limit; null: exact.
  ALTER TABLE api_keys ADD COLUMN rate_policy TEXT;
  `,
  `
  -- What goes with a traceparent; dead letters weigh it as well.
  ALTER TABLE events ADD COLUMN tracestate TEXT;
  ALTER TABLE dead_letters ADD COLUMN tracestate TEXT;
  DROP TRIGGER dead_letters_in;
  DROP TRIGGER dead_letters_news;
  DROP TRIGGER dead_letters_out;
  ALTER TABLE dead_letters DROP COLUMN size;
  ALTER TABLE dead_letters ADD COLUMN size INTEGER GENERATED ALWAYS AS (
    200 + length(body) + 3 * (length(tenant) + length(event_id) + length(endpoint_id)) + 2 * length(delivery_id)
    + length(reason) + length(type) + ifnull(length(traceparent), 0) + ifnull(length(tracestate), 0)) VIRTUAL;
  CREATE TRIGGER dead_letters_in AFTER INSERT ON dead_letters BEGIN
    INSERT INTO dead_letter_totals VALUES (NEW.tenant, 1, NEW.size), ('', 1, NEW.size)
      ON CONFLICT (tenant) DO UPDATE SET letters = letters + 1, bytes = bytes + excluded.bytes;
  END;
  CREATE TRIGGER dead_letters_news AFTER UPDATE ON dead_letters WHEN NEW.size <> OLD.size BEGIN
    UPDATE dead_letter_totals SET bytes = bytes + NEW.size - OLD.size WHERE tenant IN (NEW.tenant, '');
  END;
  CREATE TRIGGER dead_letters_out AFTER DELETE ON dead_letters BEGIN
    UPDATE dead_letter_totals SET letters = letters - 1, bytes = bytes - OLD.size WHERE tenant IN (OLD.tenant, '');
    DELETE FROM dead_letter_totals WHERE tenant = OLD.tenant AND letters = 0;
  END;
  `,
  `
  -- How much flows through the lanes, by the minute (domain/lane-minutes.ts).
  CREATE TABLE stat_minutes (
    minute INTEGER NOT NULL, -- its beginning in epoch ms
    field TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (minute, field)
  ) WITHOUT ROWID, STRICT;
  -- As the last attempt of the hour left it: attempts under way, how many there may be, and the breaker (0 closed, 1 half-open, 2 open).
  ALTER TABLE stat_endpoints ADD COLUMN in_flight INTEGER;
  ALTER TABLE stat_endpoints ADD COLUMN in_flight_max INTEGER;
  ALTER TABLE stat_endpoints ADD COLUMN breaker INTEGER;
  `,
  `
  -- The catalogue of event types, one for the deployment: each as JSON.
  CREATE TABLE event_types (name TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT;
  `,
  `
  -- What a delivery that was made ends, among all endpoints of its event and all events of its endpoint.
  CREATE INDEX dead_letters_by_event_endpoint ON dead_letters (event_id, endpoint_id);
  `,
  `
  -- Events that retention has looked at and that stay for now, by when it looks again: \`events.prune_at\`, 0 before that. For the first time
  -- it looks at each by its acceptance, in the list by time, and so at those of earlier versions.
  CREATE TABLE prune_later (
    at INTEGER NOT NULL,
    event INTEGER NOT NULL,
    PRIMARY KEY (at, event)
  ) WITHOUT ROWID, STRICT;
  DROP INDEX events_by_prune;
  `,
];
