"""What survives a restart: the database, files, worker processes."""
