-- Rings when read models moved, stopped or began: no payload, heard at commit.
-- Called by: every INSERT and UPDATE of ops.checkpoints. Locks: none. Errors: none.
-- One notification per batch: the projector waits for no disk, so the commit that
-- carries it is short. Whoever waits for a read model reads the checkpoints then.
CREATE OR REPLACE FUNCTION ops.tg_checkpoints__ring() RETURNS trigger
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  NOTIFY parley_read;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION ops.tg_checkpoints__ring() IS
  'NOTIFY parley_read: a read model has moved, or stands still.';

CREATE OR REPLACE TRIGGER _500_ring
AFTER INSERT OR UPDATE ON ops.checkpoints
FOR EACH STATEMENT EXECUTE FUNCTION ops.tg_checkpoints__ring();
ALTER TABLE ops.checkpoints ENABLE ALWAYS TRIGGER _500_ring;
COMMENT ON TRIGGER _500_ring ON ops.checkpoints IS
  'Wakes requests that wait for a read model, and watchers.';
