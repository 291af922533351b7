-- Why: who is told of deployments changes more often than a file that somebody has to roll out, and whoever waits for a
-- call wants to know what became of it.

CREATE TABLE webhooks (
  -- UUIDv7
  id uuid PRIMARY KEY,
  -- one call for each address, however often it is named
  url text NOT NULL UNIQUE,
  -- what calls are signed with, sealed with HEADRACE_SECRET_KEY
  secret text NOT NULL,
  -- its last characters, for whoever wants to recognise it
  hint text NOT NULL,
  created_at timestamptz NOT NULL
);

-- From when on it is tried for as long as it may be: a call that is sent again is owed anew.
ALTER TABLE webhook_deliveries ADD COLUMN owed_since timestamptz NOT NULL DEFAULT now();
UPDATE webhook_deliveries SET owed_since = created_at;
