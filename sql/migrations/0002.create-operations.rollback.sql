-- CASCADE takes the views that show these tables along.
DROP TABLE ops.repeatables CASCADE;
DROP TABLE ops.parked_streams CASCADE;
DROP TABLE ops.checkpoints CASCADE;
DROP TABLE ops.projections CASCADE;
DROP TABLE ops.leases CASCADE;
