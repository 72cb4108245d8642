"""OpenAI's wire format as a server speaks it: what simulator and proxy have in common."""
