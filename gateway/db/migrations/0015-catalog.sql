-- Why: a team wants to know which models and versions it has, what each was made of, how good it is, and what was said of it.

CREATE TABLE catalog_models (
  -- as clients name it
  name text PRIMARY KEY,
  task text,
  owner text,
  -- Markdown, as the three further texts are
  description text,
  intended_use text,
  user_guide text,
  known_issues text,
  licence text,
  tags jsonb NOT NULL,
  -- US dollars for a million tokens, in the wire's words; null: nobody said
  price jsonb,
  -- what callers should know; nothing enforces them
  limits jsonb NOT NULL,
  created_at timestamptz NOT NULL,
  created_by text NOT NULL,
  updated_at timestamptz NOT NULL
);

CREATE TABLE catalog_versions (
  -- 'model@number', which is in every row of the log as well: never given twice, so rows stay when a version is deleted
  id text PRIMARY KEY,
  model text NOT NULL REFERENCES catalog_models,
  number integer NOT NULL CHECK (number > 0),
  kind text NOT NULL CHECK (kind IN ('local', 'upstream')),
  state text NOT NULL CHECK (state IN ('draft', 'ready', 'archived', 'deleted')),
  -- of a local one's folder; an upstream's version is always 'present'
  condition text NOT NULL CHECK (condition IN ('present', 'missing', 'damaged')),
  -- what is wrong with the folder, in a sentence
  problem text,
  -- the data folder that says so: others may not have the version, and are not asked
  library uuid,
  -- from the manifest
  digest text,
  source text,
  source_revision text,
  family text,
  precision text,
  parameters bigint,
  context_length integer,
  bytes bigint,
  licence text,
  -- of an upstream's version: where it is asked, and for what
  upstream text,
  asks text,
  price jsonb,
  -- facts: each is said once
  base_model text,
  training_data jsonb,
  hyperparameters jsonb,
  training_run text,
  change_note text,
  created_by text,
  -- when it was made; registered_at: when the catalog came to know of it
  created_at timestamptz NOT NULL,
  registered_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  UNIQUE (model, number),
  CHECK ((kind = 'upstream') = (upstream IS NOT NULL AND asks IS NOT NULL))
);

CREATE TABLE catalog_notes (
  -- UUIDv7, of when it was written
  id uuid PRIMARY KEY,
  model text NOT NULL REFERENCES catalog_models,
  -- null: of the model as a whole
  version text REFERENCES catalog_versions,
  kind text NOT NULL,
  title text NOT NULL,
  -- Markdown
  text text NOT NULL,
  author text NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  -- the text search configuration that took the words apart
  language text NOT NULL,
  words tsvector NOT NULL
);
CREATE INDEX catalog_notes_model ON catalog_notes (model, id);
CREATE INDEX catalog_notes_version ON catalog_notes (version, id);
CREATE INDEX catalog_notes_words ON catalog_notes USING gin (words);

CREATE TABLE catalog_attachments (
  id uuid PRIMARY KEY,
  note_id uuid NOT NULL REFERENCES catalog_notes ON DELETE CASCADE,
  name text NOT NULL,
  content_type text NOT NULL,
  bytes integer NOT NULL,
  sha256 text NOT NULL,
  author text NOT NULL,
  created_at timestamptz NOT NULL
);
CREATE INDEX catalog_attachments_note ON catalog_attachments (note_id, id);

-- Apart, so that no listing ever reads one.
CREATE TABLE catalog_attachment_contents (
  attachment_id uuid PRIMARY KEY REFERENCES catalog_attachments ON DELETE CASCADE,
  content bytea NOT NULL
);
-- Not packed, so that a piece is read without the rest.
ALTER TABLE catalog_attachment_contents ALTER COLUMN content SET STORAGE EXTERNAL;

CREATE TABLE catalog_evaluations (
  -- UUIDv7, of when it was told
  id uuid PRIMARY KEY,
  model text NOT NULL REFERENCES catalog_models,
  version text NOT NULL REFERENCES catalog_versions,
  dataset text NOT NULL,
  -- '' where the dataset has none
  split text NOT NULL,
  metric text NOT NULL,
  value double precision NOT NULL,
  higher_is_better boolean NOT NULL,
  sample_size bigint,
  -- of whatever evaluated, so that its own record can be found
  run text,
  measured_at timestamptz NOT NULL,
  measured_by text NOT NULL
);
CREATE INDEX catalog_evaluations_version ON catalog_evaluations (version, dataset, metric, split, measured_at);
CREATE INDEX catalog_evaluations_model ON catalog_evaluations (model, id);
