"""HTTP: routes, schemas, problems, the stream."""
