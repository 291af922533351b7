-- Why: which version answered for a model, since when, by whose decision and why has to be known for ever, and a bad one
-- has to be taken back in one call: so every traffic state that a model ever had is an entry, and the newest is live.

CREATE TABLE deployments (
  -- In the order of commits: whoever writes holds the ledger's lock (gateway/db/deployments.ts), so that readers who ask
  -- for what came after an id miss nothing. Also in exchanges.deployment.
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  model text NOT NULL,
  -- 1, 2, … of each model
  number integer NOT NULL,
  at timestamptz NOT NULL,
  action text NOT NULL CHECK (
    action IN ('adopt', 'deploy', 'canary', 'step', 'promote', 'shadow', 'rollback', 'weights')
  ),
  -- 'failed': what was asked for never got traffic, and `error` says why
  outcome text NOT NULL CHECK (outcome IN ('live', 'failed')),
  -- the whole traffic state: TrafficState of gateway/deployments/state.ts
  state jsonb NOT NULL,
  -- the number that was live when it was asked for; NULL: none was
  based_on integer,
  -- of a rollback: the number whose state this is
  restores integer,
  reason text,
  -- as in audit_log
  actor_id uuid,
  actor_name text NOT NULL,
  actor_via text NOT NULL,
  error text,
  CHECK ((outcome = 'failed') = (error IS NOT NULL)),
  UNIQUE (model, number)
);
-- What is live, and what was at a time.
CREATE INDEX deployments_live ON deployments (model, number DESC) WHERE outcome = 'live';

CREATE FUNCTION deployments_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'entries of the ledger of deployments are neither changed nor deleted';
END
$$;

CREATE TRIGGER deployments_append_only
  BEFORE UPDATE OR DELETE OR TRUNCATE ON deployments
  FOR EACH STATEMENT EXECUTE FUNCTION deployments_refuse();

-- Switches that are under way: what is being loaded, before there is an entry. A row ends together with its entry's
-- beginning; one whose gateway has died is closed by another, with an entry that says so.
CREATE TABLE deployment_attempts (
  -- UUIDv7
  id uuid PRIMARY KEY,
  model text NOT NULL,
  began_at timestamptz NOT NULL DEFAULT now(),
  -- by PostgreSQL's clock, renewed while its gateway lives
  beat_at timestamptz NOT NULL DEFAULT now(),
  -- the entry that is to be: action, state, based_on, restores, reason, actor
  entry jsonb NOT NULL,
  -- the old versions make room first, and requests for the model wait
  holds boolean NOT NULL
);

-- Calls to the addresses that are configured, one for each entry and address: made with the entry, sent until received.
CREATE TABLE webhook_deliveries (
  -- UUIDv7
  id uuid PRIMARY KEY,
  -- the same for all addresses, and at every attempt: receivers tell by it what they know already
  event_id text NOT NULL,
  url text NOT NULL,
  payload text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  attempts integer NOT NULL DEFAULT 0,
  -- NULL: delivered, or given up
  next_at timestamptz DEFAULT now(),
  delivered_at timestamptz,
  last_error text
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (next_at) WHERE next_at IS NOT NULL;

-- Which deployment routed it; NULL: none, as for declared models and pinned versions. Ids grow with time, so that a
-- summary of ranges finds them.
ALTER TABLE exchanges ADD COLUMN deployment bigint;
CREATE INDEX exchanges_deployment_in_ranges ON exchanges USING brin (id, deployment) WITH (pages_per_range = 8);

-- What the gateway does by itself, such as taking back a canary, is in the audit log too.
ALTER TABLE audit_log DROP CONSTRAINT audit_log_via_check;
ALTER TABLE audit_log ADD CONSTRAINT audit_log_via_check CHECK (via IN ('api', 'command_line', 'gateway'));
