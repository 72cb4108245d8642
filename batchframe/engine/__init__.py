"""The engine: claim a batch, decide by its state, give the provider one command, write what followed under guard."""
