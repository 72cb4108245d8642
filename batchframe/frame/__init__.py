"""What a data scientist touches: `df.llm`, `s.llm`, the job handle, and the session they stand on."""
