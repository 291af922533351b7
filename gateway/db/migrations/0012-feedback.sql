-- Why: what people and evaluations say about an answer comes later than its exchange, several times, and is counted apart
-- from it; and callers read back the exchanges that they asked to be stored.

-- No foreign key leads to a partition, which goes as a whole; what is said of an exchange goes with its day, by the id.
CREATE TABLE feedback (
  -- UUIDv7, of when it was first given
  id uuid PRIMARY KEY,
  exchange_id uuid NOT NULL,
  -- what it replaces when it comes again: 'user:', the owner of the exchange and the end user; 'caller:' and the id of a
  -- key; 'admin:' and the id or name of an admin
  giver text NOT NULL,
  given_by text NOT NULL CHECK (given_by IN ('end_user', 'caller', 'admin')),
  -- '' where nobody said who it is; null: none
  end_user text,
  -- whose key, or whose token, gave it: what the exchange has to agree with
  caller_id uuid,
  caller_name text,
  project_id uuid,
  thumb text CHECK (thumb IN ('up', 'down')),
  score smallint CHECK (score BETWEEN 1 AND 5),
  comment text,
  -- the answer that it should have been
  correction text,
  -- of the exchange; null while its row is not there
  model text,
  version text,
  -- The exchange belongs to whoever gave this. What isn't confirmed is shown to nobody and counted nowhere: it waits for
  -- the exchange's row.
  is_confirmed boolean NOT NULL,
  given_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  UNIQUE (exchange_id, giver)
);
-- What waits for its exchange's row: to be confirmed, or for the model.
CREATE INDEX feedback_waiting ON feedback (exchange_id) WHERE NOT is_confirmed OR model IS NULL;
CREATE INDEX feedback_model ON feedback (model, id) WHERE is_confirmed;

CREATE TABLE scores (
  -- UUIDv7, of when it was first given
  id uuid PRIMARY KEY,
  exchange_id uuid NOT NULL,
  -- what was looked at: 'faithfulness'
  name text NOT NULL,
  -- who looked: a person, a program, a model; '' where nobody said
  evaluator text NOT NULL,
  value double precision,
  label text,
  comment text,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  CHECK (value IS NOT NULL OR label IS NOT NULL),
  UNIQUE (exchange_id, name, evaluator)
);
CREATE INDEX scores_name ON scores (name, id);

-- A page of an owner's stored exchanges, of the few that are.
CREATE INDEX exchanges_stored ON exchanges (
  coalesce(project_id, caller_id, '00000000-0000-0000-0000-000000000000'), id
) WHERE is_stored;

-- Keys that sign for an hour or a day, where the operator set none to derive them from: made once, the same for all replicas.
CREATE TABLE signing_keys (
  purpose text PRIMARY KEY,
  key bytea NOT NULL
);

-- For tools that read: what is waiting for its exchange is not there.

CREATE VIEW report_feedback AS
SELECT
  id, exchange_id, given_by, nullif(end_user, '') AS end_user, caller_id, caller_name, project_id, thumb, score,
  comment, correction, model, version, given_at, updated_at
FROM feedback
WHERE is_confirmed;

CREATE VIEW report_scores AS
SELECT
  id, exchange_id, name, nullif(evaluator, '') AS evaluator, value, label, comment, created_at, updated_at
FROM scores;
