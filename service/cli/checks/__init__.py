"""What `parley doctor` looks at, by where it lies: on the host, in the database."""
