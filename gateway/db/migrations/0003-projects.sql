-- Why: keys belong to projects, and say what their holders may ask, how much and until when.
--
-- Only additions, with defaults: gateways of the release before go on writing and reading while these run.

CREATE TABLE projects (
  id uuid PRIMARY KEY,
  name text NOT NULL,
  -- requests_per_minute, monthly_usd and so on; an absent one is no limit
  limits jsonb NOT NULL DEFAULT '{}',
  tags jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL,
  created_by text NOT NULL,
  updated_at timestamptz NOT NULL,
  -- rows stay: exchanges and keys go on naming them
  archived_at timestamptz
);

-- A name can be taken again once its project is archived.
CREATE UNIQUE INDEX projects_open_name ON projects (name) WHERE archived_at IS NULL;

ALTER TABLE api_keys
  ADD COLUMN project_id uuid REFERENCES projects (id),
  -- patterns of model names, * for any characters; NULL: all models
  ADD COLUMN allowed_models text[],
  ADD COLUMN limits jsonb NOT NULL DEFAULT '{}',
  ADD COLUMN tags jsonb NOT NULL DEFAULT '{}',
  -- answers to equal questions may be given again; NULL: as the model says
  ADD COLUMN cache_seconds integer CHECK (cache_seconds >= 0),
  ADD COLUMN expires_at timestamptz,
  ADD COLUMN created_by text,
  ADD COLUMN updated_at timestamptz,
  ADD COLUMN rotated_at timestamptz,
  -- the key before the last rotation, which works until then
  ADD COLUMN previous_hash bytea,
  ADD COLUMN previous_until timestamptz,
  ADD CONSTRAINT api_keys_previous CHECK ((previous_hash IS NULL) = (previous_until IS NULL)),
  DROP CONSTRAINT api_keys_role_check,
  ADD CONSTRAINT api_keys_role_check CHECK (role IN ('caller', 'developer', 'admin'));

CREATE INDEX api_keys_previous_hash ON api_keys (previous_hash) WHERE previous_hash IS NOT NULL;
CREATE INDEX api_keys_project ON api_keys (project_id);
