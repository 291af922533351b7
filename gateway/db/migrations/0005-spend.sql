-- Why: budgets and bills need what was used and what it cost, also where exchanges are not kept: rows are appended, and rolled up by the hour.

CREATE TABLE spend (
  -- of the exchange; a row that is written twice is there once
  exchange_id uuid PRIMARY KEY,
  -- when the request was admitted: the day that it is charged to
  at timestamptz NOT NULL,
  -- for the roll-up: rows that waited while the database was away come late
  written_at timestamptz NOT NULL DEFAULT now(),
  -- null for the holder of the admin key; text, because a token's subject is no uuid
  key_id text,
  project_id text,
  model text NOT NULL,
  version text NOT NULL,
  prompt_tokens bigint NOT NULL,
  cached_tokens bigint NOT NULL,
  completion_tokens bigint NOT NULL,
  -- to a billionth of a dollar: one token at a cent for a million is ten of them
  cost_usd numeric(20, 9) NOT NULL
);

CREATE INDEX spend_at ON spend (at);
CREATE INDEX spend_written_at ON spend (written_at);

-- Days and months are sums of hours, made when they are read.
CREATE TABLE spend_hours (
  hour timestamptz NOT NULL,
  key_id text,
  project_id text,
  model text NOT NULL,
  version text NOT NULL,
  requests bigint NOT NULL,
  prompt_tokens bigint NOT NULL,
  cached_tokens bigint NOT NULL,
  completion_tokens bigint NOT NULL,
  cost_usd numeric(20, 9) NOT NULL
);

CREATE INDEX spend_hours_hour ON spend_hours (hour);

-- One row, written by the roll-up alone: hours before this one are in spend_hours, newer rows have to be added up.
CREATE TABLE spend_rolled_up (
  is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
  until timestamptz NOT NULL
);

INSERT INTO spend_rolled_up (until) VALUES ('-infinity');
