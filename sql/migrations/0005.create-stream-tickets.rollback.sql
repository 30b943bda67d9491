-- Clients take new tickets; streams that are open stay open.
DROP TABLE ops.stream_tickets;
