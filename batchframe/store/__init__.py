"""The store: everything the project says to Postgres, and no SQL anywhere else."""
