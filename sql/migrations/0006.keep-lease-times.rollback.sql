-- What people see of silent workers goes by 30 s again; workers go on as they do.
ALTER TABLE ops.leases DROP COLUMN lease_time;
