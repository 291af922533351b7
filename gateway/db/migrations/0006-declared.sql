-- Why: upstreams and models that are declared by the admin API are the same for every replica.

CREATE TABLE upstreams (
  name text PRIMARY KEY,
  -- without its key and headers, which are secret
  declaration jsonb NOT NULL,
  -- both of them, sealed with HEADRACE_SECRET_KEY; null where there are none
  secret text,
  -- the last characters of each, for whoever wants to recognise them
  hints jsonb NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL
);

CREATE TABLE declared_models (
  name text PRIMARY KEY,
  declaration jsonb NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL
);

-- One row, counted up with every change: changes follow one another, and replicas see with one look that there was one.
CREATE TABLE declared_revision (
  is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
  revision bigint NOT NULL
);

INSERT INTO declared_revision (revision) VALUES (0);
