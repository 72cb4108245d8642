"""Providers: the six verbs the engine needs of a Batch API, and the providers that speak them."""
