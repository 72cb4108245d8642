"""The proxy: OpenAI's API over the same engine, so that a back end gets the batch price by changing its `base_url`."""
