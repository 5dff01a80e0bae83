/** The tables as they were first released: step 1 of `schema.ts`, never edited. */
export const FIRST_SCHEMA = `
  -- Accepted events with their bodies: what lanes and the retry queue refer to, and the ledger shows.
  CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    event_id TEXT NOT NULL,
    type TEXT NOT NULL,
    priority TEXT NOT NULL,
    accepted_at INTEGER NOT NULL,
    deliver_at INTEGER,
    traceparent TEXT,
    directory_version INTEGER NOT NULL,
    is_laned INTEGER NOT NULL, -- 0: the retry queue alone has had it; 1: new in a lane; 2: 0 before, then in a lane
    prune_at INTEGER NOT NULL, -- when retention looks at it (again)
    body BLOB NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX events_by_name ON events (tenant, event_id);
  CREATE INDEX events_by_tenant ON events (tenant, accepted_at, id, type);
  CREATE INDEX events_by_time ON events (accepted_at);
  CREATE INDEX events_by_prune ON events (prune_at);

  CREATE TABLE lane_items (
    lane INTEGER NOT NULL, -- 0 high, 1 medium, 2 low
    event INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (lane, event)
  ) WITHOUT ROWID, STRICT;

  CREATE TABLE retry_items (
    not_before INTEGER NOT NULL,
    id INTEGER NOT NULL,
    cause TEXT NOT NULL,
    endpoint_id TEXT,
    generation INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    parks INTEGER NOT NULL,
    group_id TEXT,
    group_closed_at INTEGER,
    is_repeat INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (not_before, id)
  ) WITHOUT ROWID, STRICT;
  CREATE TABLE retry_members (
    item INTEGER NOT NULL,
    position INTEGER NOT NULL,
    event INTEGER NOT NULL,
    PRIMARY KEY (item, position)
  ) WITHOUT ROWID, STRICT;
  CREATE INDEX retry_members_by_event ON retry_members (event);

  -- With its own copy of the envelope, so that it outlives the event's row.
  CREATE TABLE dead_letters (
    id INTEGER PRIMARY KEY,
    delivery_id TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    event_id TEXT NOT NULL,
    endpoint_id TEXT NOT NULL,
    generation INTEGER NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    at INTEGER NOT NULL,
    type TEXT NOT NULL,
    priority TEXT NOT NULL,
    accepted_at INTEGER NOT NULL,
    deliver_at INTEGER,
    traceparent TEXT,
    directory_version INTEGER NOT NULL,
    body BLOB NOT NULL
  ) STRICT;
  CREATE INDEX dead_letters_by_time ON dead_letters (at, id);
  CREATE INDEX dead_letters_by_tenant ON dead_letters (tenant, at, id);
  CREATE INDEX dead_letters_by_endpoint ON dead_letters (endpoint_id, at, id);
  CREATE INDEX dead_letters_by_event ON dead_letters (event_id, at, id);
  -- Kept by the triggers in the same transaction as the letters; tenant '' is the sum of all.
  CREATE TABLE dead_letter_totals (
    tenant TEXT PRIMARY KEY,
    letters INTEGER NOT NULL,
    bytes INTEGER NOT NULL
  ) WITHOUT ROWID, STRICT;
  CREATE INDEX dead_letter_totals_by_bytes ON dead_letter_totals (bytes);
  CREATE TRIGGER dead_letters_in AFTER INSERT ON dead_letters BEGIN
    INSERT INTO dead_letter_totals VALUES (NEW.tenant, 1, length(NEW.body)), ('', 1, length(NEW.body))
      ON CONFLICT (tenant) DO UPDATE SET letters = letters + 1, bytes = bytes + excluded.bytes;
  END;
  CREATE TRIGGER dead_letters_out AFTER DELETE ON dead_letters BEGIN
    UPDATE dead_letter_totals SET letters = letters - 1, bytes = bytes - length(OLD.body)
      WHERE tenant IN (OLD.tenant, '');
    DELETE FROM dead_letter_totals WHERE tenant = OLD.tenant AND letters = 0;
  END;

  CREATE TABLE fan_outs (
    event INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    matched TEXT NOT NULL, -- JSON list of endpoint ids
    matched_count INTEGER NOT NULL,
    filtered TEXT NOT NULL,
    filtered_count INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY,
    event INTEGER NOT NULL,
    endpoint_id TEXT NOT NULL,
    generation INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    accepted_at INTEGER NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    next_at INTEGER,
    reason TEXT
  ) STRICT;
  CREATE UNIQUE INDEX deliveries_by_event ON deliveries (event, endpoint_id, generation);
  CREATE INDEX deliveries_by_endpoint ON deliveries (endpoint_id, accepted_at);
  CREATE TABLE attempts (
    delivery INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    endpoint_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    status INTEGER, -- null: a fault
    retry_after TEXT,
    excerpt TEXT NOT NULL, -- of the body, or the fault's detail
    is_cut INTEGER NOT NULL,
    fault TEXT,
    duration_ms REAL NOT NULL,
    group_id TEXT,
    reason TEXT,
    PRIMARY KEY (delivery, attempt)
  ) WITHOUT ROWID, STRICT;
  CREATE INDEX attempts_by_endpoint ON attempts (endpoint_id, at);

  CREATE TABLE directory_versions (
    tenant TEXT PRIMARY KEY,
    version INTEGER NOT NULL
  ) WITHOUT ROWID, STRICT;
  CREATE TABLE endpoints (
    id INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    endpoint_id TEXT NOT NULL,
    url TEXT NOT NULL,
    description TEXT NOT NULL,
    settings TEXT NOT NULL, -- JSON: event types, retry, rate limit, batch
    secrets BLOB NOT NULL, -- sealed JSON: secrets, headers
    status TEXT NOT NULL,
    status_reason TEXT,
    status_since INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX endpoints_by_name ON endpoints (tenant, endpoint_id);
  CREATE INDEX endpoints_by_time ON endpoints (created_at);

  CREATE TABLE api_keys (
    id INTEGER PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    key_id TEXT NOT NULL,
    hint TEXT NOT NULL,
    name TEXT NOT NULL,
    tenant TEXT, -- null: an operator key
    scopes TEXT NOT NULL, -- separated by spaces
    rate_limit INTEGER,
    rate_window_ms INTEGER,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
  ) STRICT;
  CREATE INDEX api_keys_by_name ON api_keys (key_id);
  CREATE INDEX api_keys_by_time ON api_keys (created_at);
  CREATE INDEX api_keys_by_tenant ON api_keys (tenant, created_at);

  CREATE TABLE claims (
    id INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    event_ids TEXT NOT NULL, -- JSON list
    lease_until INTEGER NOT NULL,
    status INTEGER, -- null until there is an answer
    body TEXT,
    expires_at INTEGER NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX claims_by_key ON claims (tenant, key);
  CREATE INDEX claims_by_expiry ON claims (expires_at);

  CREATE TABLE stat_types (
    tenant TEXT NOT NULL,
    hour INTEGER NOT NULL, -- its beginning in epoch ms
    type TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (tenant, hour, type)
  ) WITHOUT ROWID, STRICT;
  CREATE INDEX stat_types_by_hour ON stat_types (hour);
  CREATE TABLE stat_endpoints (
    tenant TEXT NOT NULL,
    endpoint_id TEXT NOT NULL,
    hour INTEGER NOT NULL,
    delivered INTEGER NOT NULL,
    retried INTEGER NOT NULL,
    dead INTEGER NOT NULL,
    duration_ms REAL NOT NULL, -- the sum
    last_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, endpoint_id, hour)
  ) WITHOUT ROWID, STRICT;
  CREATE INDEX stat_endpoints_by_hour ON stat_endpoints (hour);

  CREATE TABLE health_probes (id INTEGER PRIMARY KEY, content BLOB NOT NULL) STRICT;
`;
