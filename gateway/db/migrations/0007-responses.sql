-- Why: a client continues a response by its id, on whichever server, so that what was asked and answered is kept for a while.

CREATE TABLE responses (
  -- the exchange's
  id uuid PRIMARY KEY,
  -- who may read, continue and delete it: a project, or a key that belongs to none
  owner text NOT NULL,
  -- no foreign key: a response may be deleted while others continue it, and they are told so when they are asked
  previous_id uuid,
  -- json and not jsonb: nothing is looked up in them, and any text that a model writes has to fit
  head json NOT NULL,
  input json NOT NULL,
  output json NOT NULL,
  -- of input and output, so that a conversation can be measured before it is read
  bytes integer NOT NULL,
  created_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL
);

CREATE INDEX responses_expires_at ON responses (expires_at);
