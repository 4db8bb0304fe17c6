-- What the embedded pipeline keeps for itself: Kafka keeps these elsewhere.

CREATE TABLE task_state (
  partition integer PRIMARY KEY,
  state     bytea NOT NULL
) WITH (fillfactor = 20);

-- Changed meter states, one payload a commit, folded into one from time to time.
CREATE TABLE state_changelog (
  partition   integer NOT NULL,
  next_offset bigint  NOT NULL,
  part        integer NOT NULL,
  payload     bytea   NOT NULL,
  PRIMARY KEY (partition, next_offset, part)
);
ALTER TABLE state_changelog ALTER COLUMN payload SET STORAGE EXTERNAL;

-- One row a replayed input. The row with finished = false is the one to resume.
CREATE TABLE inputs (
  id           integer PRIMARY KEY,
  fingerprint  text        NOT NULL,
  description  text        NOT NULL,
  base_offsets bigint[]    NOT NULL,
  now_at       timestamptz NOT NULL,
  rows_total   bigint,
  finished     boolean     NOT NULL DEFAULT false
);

CREATE TABLE settings (
  key   text PRIMARY KEY,
  value text NOT NULL
);
